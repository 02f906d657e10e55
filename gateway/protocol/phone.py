"""How a phone opens a lock: the access document it carries, and the proof that it is its own.

The phone holds an Ed25519 key that never leaves it. The controller signs an access document that
names the key, for seven days at most; a lock knows the controller since it was paired. So a lock
believes a phone without asking anybody, and a phone that is taken from its owner's account opens
nothing after the seven days, whatever list it stands on.

1. The phone sends ``Hello``. 2. The lock answers ``Challenge``, fresh each time. 3. The phone
signs it: ``Proof``. From there on the phone's digest is treated like a tag's: the lock asks its
hub, and looks into its offline list when the hub is silent.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.protocol import cbor, cose, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.wire import Digest, Id, Key, Size, Uint

DOCUMENT_LIFE_S: Final = 7 * 86_400
RENEW_AFTER_S: Final = 4 * 86_400
DOCUMENT_BYTES_MAX: Final = 400
SIGNATURE_BYTES: Final = 64

_DOCUMENT: Final = b"doorward/1 access document"
_PROOF: Final = "doorward/1 phone proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDocument:
    """What the controller says of a phone's key. It travels as a COSE_Sign1."""

    site_id: Annotated[Id, Key(1)]
    credential_id: Annotated[Id, Key(2)]
    public_key: Annotated[Digest, Key(3)]  # Ed25519, of the phone
    issued_at_s: Annotated[Uint, Key(4)]  # calendar
    expires_at_s: Annotated[Uint, Key(5)]  # calendar, the first instant outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Phone to lock: who I am."""

    document: Annotated[bytes, Size(1, DOCUMENT_BYTES_MAX), Key(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Lock to phone: prove it."""

    lock_id: Annotated[Id, Key(1)]
    challenge: Annotated[Id, Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Phone to lock: by the key that the document names."""

    challenge: Annotated[Id, Key(1)]
    signature: Annotated[bytes, Size(SIGNATURE_BYTES, SIGNATURE_BYTES), Key(2)]


def issue(document: AccessDocument, key: Ed25519PrivateKey) -> bytes:
    """Return the access document as a phone carries it."""
    return cose.sign(wire.encode(document), key, _DOCUMENT)


def read(document: bytes, *, site_id: bytes, signing_key: Ed25519PublicKey) -> AccessDocument:
    """Return an access document that the controller signed for this site.

    Its end is for the caller to judge, who has a clock.

    Raises:
        ProtocolError: It is none, or another site's.
    """
    if len(document) > DOCUMENT_BYTES_MAX:
        raise ProtocolError(f"access document: longer than {DOCUMENT_BYTES_MAX} bytes")
    found = wire.decode(AccessDocument, cose.verify(document, [signing_key], _DOCUMENT))
    if found.site_id != site_id:
        raise ProtocolError("access document: of another site")
    return found


def prove(challenge: Challenge, document: bytes, key: Ed25519PrivateKey) -> Proof:
    """Return the phone's answer to a lock's challenge."""
    signature = key.sign(_proven(challenge, document))
    return Proof(challenge=challenge.challenge, signature=signature)


def verify(proof: Proof, challenge: Challenge, document: bytes, *, public_key: bytes) -> None:
    """Accept a proof that was made with the phone's key for this challenge and document.

    Raises:
        ProtocolError: It was not.
    """
    if proof.challenge != challenge.challenge:
        raise ProtocolError("phone proof: of another challenge")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            proof.signature, _proven(challenge, document)
        )
    except InvalidSignature as error:
        raise ProtocolError("phone proof: the signature is wrong") from error


def _proven(challenge: Challenge, document: bytes) -> bytes:
    digest = hashlib.sha256(document).digest()
    return cbor.encode([_PROOF, challenge.lock_id, challenge.challenge, digest])
