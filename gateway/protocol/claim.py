"""How a hub becomes one of a site: one HTTPS request, without a client certificate.

The hub makes its own keys and proves with the activation code on its sticker that it stands in
the installer's hands; the controller proves with the same code that it is the cloud whose address
and CA fingerprint the installer showed. Both MACs cover the certificate request and the
fingerprint, so nobody between them can swap either.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.protocol import cbor, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.wire import Digest, Id, Key, Range, Size, Uint

PATH: Final = "/device/v1/claim"
CA_PATH: Final = "/device/v1/ca"
CONTENT_TYPE: Final = "application/cbor"
EXTERNAL: Final = b"doorward/1 claim"
CODE_SYMBOLS_MIN: Final = 12  # 60 bits
CODE_SYMBOLS_MAX: Final = 32
_MAC_KEY: Final = 9  # of ClaimResponse
_SYMBOLS: Final = frozenset("0123456789ABCDEFGHJKMNPQRSTVWXYZ")  # Crockford's base 32
_TYPED: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """Hub to controller, signed by the device key it carries."""

    serial: Annotated[str, Size(1, 40), Key(1)]
    csr: Annotated[bytes, Size(1, 2000), Key(2)]  # DER, P-256
    device_key: Annotated[Digest, Key(3)]  # Ed25519, signs everything the hub says
    agreement_key: Annotated[Digest, Key(4)]  # X25519
    nonce: Annotated[Id, Key(5)]
    mac: Annotated[Digest, Key(6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResponse:
    """Controller to hub: everything the hub pins."""

    hub_id: Annotated[Id, Key(1)]
    site_id: Annotated[Id, Key(2)]
    epoch: Annotated[Uint, Key(3)]
    certificate: Annotated[bytes, Size(1, 4000), Key(4)]  # PEM
    signing_key: Annotated[Digest, Key(5)]  # the controller's Ed25519
    agreement_key: Annotated[Digest, Key(6)]  # the controller's X25519
    broker_host: Annotated[str, Size(1, 253), Key(7)]
    broker_port: Annotated[int, Range(1, 65_535), Key(8)]
    mac: Annotated[Digest, Key(9)]


def code_secret(code: str) -> bytes:
    """Return the 32 secret bytes behind the code on a sticker, however it was typed.

    Raises:
        ProtocolError: It has too few symbols, or one that no sticker has.
    """
    symbols = code.upper().translate(_TYPED)
    if not CODE_SYMBOLS_MIN <= len(symbols) <= CODE_SYMBOLS_MAX or set(symbols) - _SYMBOLS:
        raise ProtocolError(
            f"a sticker's code has {CODE_SYMBOLS_MIN} to {CODE_SYMBOLS_MAX} letters and digits"
        )
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"doorward/1 sticker").derive(symbols.encode())


def request_mac(request: ClaimRequest, *, secret: bytes, ca_fingerprint: bytes) -> bytes:
    """Return the MAC that a claim must carry. ``request.mac`` itself is not read."""
    parts = (request.csr, request.device_key, request.agreement_key, request.nonce, ca_fingerprint)
    return _mac(secret, b"request", request.serial.encode(), *parts)


def response_mac(response: ClaimResponse, *, request_nonce: bytes, secret: bytes) -> bytes:
    """Return the MAC that the answer must carry. ``response.mac`` itself is not read."""
    body = {key: value for key, value in wire.to_map(response).items() if key != _MAC_KEY}
    return _mac(secret, b"response", request_nonce, cbor.encode(body))


def fingerprint(ca_certificate_der: bytes) -> bytes:
    """Return what the installer's QR shows of the cloud's CA: the SHA-256 of its certificate."""
    return hashlib.sha256(ca_certificate_der).digest()


def _mac(secret: bytes, *parts: bytes) -> bytes:
    return hmac.digest(secret, cbor.encode(list(parts)), hashlib.sha256)
