"""COSE_Sign1 (RFC 9052) with Ed25519 (RFC 9864, algorithm -19), untagged, and nothing else of COSE.

The external data binds each message to the link's version, its direction, its kind and its hub,
so a message recorded on one topic verifies on no other.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.protocol import cbor
from gateway.protocol.errors import ProtocolError
from gateway.protocol.topics import Topic, UpKind

ALGORITHM: Final = -19  # Ed25519
_ALG: Final = 1
_KID: Final = 4
_KID_BYTES: Final = 8
_PARTS: Final = 4


def key_id(public_key: Ed25519PublicKey) -> bytes:
    """Return the 8 bytes by which a message names the key that signed it."""
    return hashlib.sha256(public_key.public_bytes_raw()).digest()[:_KID_BYTES]


def sign(payload: bytes, key: Ed25519PrivateKey, external: bytes) -> bytes:
    """Return the COSE_Sign1 of a payload, bound to the external data."""
    protected = cbor.encode({_ALG: ALGORITHM, _KID: key_id(key.public_key())})
    signature = key.sign(_to_be_signed(protected, external, payload))
    return cbor.encode([protected, {}, payload, signature])


def verify(message: bytes, keys: Iterable[Ed25519PublicKey], external: bytes) -> bytes:
    """Return the payload of a COSE_Sign1 that one of the keys signed for this external data.

    Raises:
        ProtocolError: It is not one, names another algorithm or key, or the signature is wrong.
    """
    value = cbor.decode(message)
    if type(value) is not list or len(value) != _PARTS or value[1] != {}:
        raise ProtocolError("message is not a COSE_Sign1 of four parts")
    protected, _, payload, signature = value
    if not all(type(part) is bytes for part in (protected, payload, signature)):
        raise ProtocolError("a part of the COSE_Sign1 is not a byte string")
    key = _named_key(protected, keys)
    try:
        key.verify(signature, _to_be_signed(protected, external, payload))
    except InvalidSignature as error:
        raise ProtocolError("the signature is wrong") from error
    return bytes(payload)


def external_data(topic: Topic) -> bytes:
    """Return what binds a message to its topic."""
    direction = "up" if isinstance(topic.kind, UpKind) else "down"
    return cbor.encode(["doorward/1", direction, str(topic.kind), bytes.fromhex(topic.hub_id)])


def _named_key(protected: bytes, keys: Iterable[Ed25519PublicKey]) -> Ed25519PublicKey:
    for key in keys:
        # The whole header is known beforehand, so it is compared and not interpreted.
        if protected == cbor.encode({_ALG: ALGORITHM, _KID: key_id(key)}):
            return key
    raise ProtocolError("the message names an algorithm or a key that is not accepted")


def _to_be_signed(protected: bytes, external: bytes, payload: bytes) -> bytes:
    return cbor.encode(["Signature1", protected, external, payload])
