"""NATS's notation for Ed25519 keys and tokens, as far as the auth callout needs them."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.ports import Randomness

_ACCOUNT_PREFIX: Final = 0  # prints as the leading "A" of an account key
_SEED_BYTES: Final = 32
_CRC16_POLYNOMIAL: Final = 0x1021


class AccountKey:
    """An account's key: its public half stands in the broker's configuration, it signs logins."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: Final = _encode_public(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, randomness: Randomness) -> Self:
        """Return a fresh key."""
        return cls(Ed25519PrivateKey.from_private_bytes(randomness.token_bytes(_SEED_BYTES)))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return the claims as a token of this account, issuer and token id filled in."""
        issued = {**claims, "iss": self.public}
        digest = hashlib.sha256(json.dumps(issued).encode()).digest()
        head = _base64url(b'{"typ":"JWT","alg":"ed25519-nkey"}')
        body = _base64url(json.dumps({**issued, "jti": _base32(digest)}).encode())
        signature = self._key.sign(f"{head}.{body}".encode())
        return f"{head}.{body}.{_base64url(signature)}"


def read_claims(token: bytes) -> dict[str, Any]:
    """Return the claims of a token without checking its signature.

    The one reader gets its tokens on a subject that only the broker itself can publish on.
    """
    body = token.split(b".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
    return claims


def _encode_public(raw: bytes) -> str:
    prefixed = bytes([_ACCOUNT_PREFIX]) + raw
    return _base32(prefixed + _crc16(prefixed).to_bytes(2, "little"))


def _base32(data: bytes) -> str:
    return base64.b32encode(data).rstrip(b"=").decode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _crc16(data: bytes) -> int:
    """CRC-16/XMODEM, which ends every printed key so that a typing error is seen."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ _CRC16_POLYNOMIAL if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc
