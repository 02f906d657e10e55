"""Keys that hub, lock and controller share, and what is sealed under them.

- The *seal key* of a lock follows from the X25519 keys of lock and controller: only these two
  know it. The controller uses it for what the hub must not read or forge.
- The *hub key* follows likewise from the keys of hub and controller.
- The *link key* of a hub, a lock and a ticket protects the radio between the two. The lock
  derives it from the seal key; the hub gets it in its half of the ticket.

AES-SIV (RFC 5297) needs no nonce: the same content under the same key gives the same bytes, which
is what lets sealed things be named by their hash.
"""

import hmac
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.protocol import cbor, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.wire import Digest, Id, Key, Range, Size, Uint

SIV_KEY_BYTES: Final = 64
DIGEST_BYTES: Final = 16
TAG_BYTES_MIN: Final = 4
TAG_BYTES_MAX: Final = 10
PIN_DIGITS_MIN: Final = 6
PIN_DIGITS_MAX: Final = 10

LOCK_TICKET: Final = "lock ticket"  # purpose of a LockTicket under the seal key
HUB_TICKET: Final = "hub ticket"  # purpose of a HubTicket under the hub key
LOCK_ORDER: Final = "lock order"  # purpose of a LockOrder under the seal key


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What a lock pins at commissioning, in factory state and after a press."""

    site_id: Annotated[Id, Key(1)]
    lock_id: Annotated[Id, Key(2)]
    epoch: Annotated[Uint, Key(3)]
    agreement_key: Annotated[Digest, Key(4)]  # the controller's X25519 public key
    signing_key: Annotated[Digest, Key(5)]  # the controller's Ed25519 public key


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPairing:
    """A pairing with its MAC under the secret code on the lock's sticker."""

    pairing: Annotated[bytes, Size(1, 300), Key(1)]
    mac: Annotated[Digest, Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTicket:
    """The lock's half: which hub may answer it, and how this site digests tag numbers."""

    hub_id: Annotated[Id, Key(1)]
    number: Annotated[Uint, Key(2)]
    tag_key: Annotated[Digest, Key(3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubTicket:
    """The hub's half: the key of the radio link to this lock."""

    lock_id: Annotated[Id, Key(1)]
    number: Annotated[Uint, Key(2)]
    link_key: Annotated[bytes, Size(SIV_KEY_BYTES, SIV_KEY_BYTES), Key(3)]


class OrderKind(IntEnum):
    """What a lock is told to do now."""

    OPEN = 1
    START_OFFICE = 2  # stay open until told otherwise, or for ``seconds`` of the calendar
    END_OFFICE = 3
    ENROL_TAG = 4  # report the next tag instead of judging it, within ``seconds`` of link clock
    CLEAR_KEYPAD = 5  # forget the wrong codes
    FREE_LOCKER = 6  # the locker is nobody's again


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOrder:
    """An order of the controller, readable by its lock only. The number only grows: it works once.

    It works at once or never: who keeps the frame back is too late by the lock's own calendar.
    """

    command_id: Annotated[Id, Key(1)]
    number: Annotated[int, Range(1, wire.INT_MAX), Key(2)]
    until_ms: Annotated[Uint, Key(3)]  # of the calendar, the first instant that is too late
    kind: Annotated[OrderKind, Key(4)]
    seconds: Annotated[int | None, Range(1, 86_400), Key(5)] = None


def seal_key(
    private: X25519PrivateKey,
    public: X25519PublicKey,
    *,
    site_id: bytes,
    lock_id: bytes,
    epoch: int,
) -> bytes:
    """Return the key of a lock and the controller, from either end.

    Raises:
        ProtocolError: The public key is one of the few that agree on nothing secret.
    """
    return _derive(_agree(private, public), "seal", [site_id, lock_id, epoch])


def hub_key(private: X25519PrivateKey, public: X25519PublicKey, *, hub_id: bytes) -> bytes:
    """Return the key of a hub and the controller, from either end.

    Raises:
        ProtocolError: The public key is one of the few that agree on nothing secret.
    """
    return _derive(_agree(private, public), "hub", [hub_id])


def link_key(lock_seal_key: bytes, *, hub_id: bytes, number: int) -> bytes:
    """Return the key of a hub and a lock under the ticket of this number."""
    return _derive(lock_seal_key, "link", [hub_id, number])


def seal(key: bytes, message: object, *, purpose: str) -> bytes:
    """Return a message encrypted and authenticated for one purpose."""
    return AESSIV(key).encrypt(wire.encode(message), [purpose.encode()])


def unseal(key: bytes, kind: type[wire.M], sealed: bytes, *, purpose: str) -> wire.M:
    """Return the sealed message.

    Raises:
        ProtocolError: It was not sealed with this key for this purpose.
    """
    try:
        content = AESSIV(key).decrypt(sealed, [purpose.encode()])
    except InvalidTag as error:
        raise ProtocolError(f"not sealed with this key for {purpose}") from error
    return wire.decode(kind, content)


def sign_pairing(pairing: Pairing, sticker_secret: bytes) -> bytes:
    """Return the pairing that a lock with this sticker accepts."""
    body = wire.encode(pairing)
    return wire.encode(SignedPairing(pairing=body, mac=hmac.digest(sticker_secret, body, sha256)))


def read_pairing(data: bytes, sticker_secret: bytes) -> Pairing:
    """Return the pairing, if it was made by somebody who knows the sticker.

    Raises:
        ProtocolError: It was not.
    """
    signed = wire.decode(SignedPairing, data)
    if not hmac.compare_digest(signed.mac, hmac.digest(sticker_secret, signed.pairing, sha256)):
        raise ProtocolError("pairing: the MAC does not fit the sticker")
    return wire.decode(Pairing, signed.pairing)


def tag_digest(tag_number: bytes, tag_key: bytes) -> bytes:
    """Return what a tag is called everywhere but at reader and enrolment.

    Args:
        tag_number: 4 to 10 bytes, as read from the tag.
        tag_key: The site's key.

    Returns:
        16 bytes: HMAC-SHA-256, cut.

    Raises:
        ProtocolError: The number is shorter or longer.
    """
    if not TAG_BYTES_MIN <= len(tag_number) <= TAG_BYTES_MAX:
        raise ProtocolError(
            f"tag number has {len(tag_number)} bytes, {TAG_BYTES_MIN} to {TAG_BYTES_MAX} are read"
        )
    return hmac.digest(tag_key, b"tag" + tag_number, sha256)[:DIGEST_BYTES]


def pin_digest(pin: str, tag_key: bytes) -> bytes:
    """Return what a PIN is called everywhere but at the keypad and where it is made.

    Only lock and controller know the key, so nobody who finds the digest can try all PINs.

    Args:
        pin: 6 to 10 decimal digits.
        tag_key: The site's key.

    Returns:
        16 bytes.

    Raises:
        ProtocolError: It is no PIN.
    """
    if not (pin.isascii() and pin.isdecimal() and PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX):
        raise ProtocolError(f"a PIN has {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")
    return hmac.digest(tag_key, b"pin" + pin.encode(), sha256)[:DIGEST_BYTES]


def phone_digest(public_key: bytes, tag_key: bytes) -> bytes:
    """Return what a digital key is called on the link.

    Args:
        public_key: Ed25519, 32 bytes, of the phone.
        tag_key: The site's key.

    Returns:
        16 bytes.
    """
    return hmac.digest(tag_key, b"phone" + public_key, sha256)[:DIGEST_BYTES]


def _agree(private: X25519PrivateKey, public: X25519PublicKey) -> bytes:
    try:
        return private.exchange(public)
    except ValueError as error:  # the result is all zeros (RFC 7748 section 6.1)
        raise ProtocolError("agreement_key: a key of small order is not accepted") from error


def _derive(secret: bytes, purpose: str, context: list[bytes | int]) -> bytes:
    info = cbor.encode(["doorward/1", purpose, *context])
    return HKDF(hashes.SHA256(), SIV_KEY_BYTES, salt=None, info=info).derive(secret)
