"""The hub's side of the claim: from a sticker and an installer's QR code to a pinned cloud.

The address in the QR code is not trusted, its fingerprint is: the CA is fetched over a connection
that nobody vouches for and compared, and only then something is said over a verified one.
"""

import hmac
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Protocol

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import NameOID
from yarl import URL

from firmware_sim import files
from firmware_sim.hub.state import HubIdentity
from firmware_sim.instant import ID_BYTES
from gateway.protocol import claim, cose, wire
from gateway.protocol.claim import ClaimRequest, ClaimResponse
from gateway.protocol.errors import ProtocolError
from gateway.protocol.wire import Digest, Key, Size

KEY_BYTES: Final = 32
PATIENCE: Final = aiohttp.ClientTimeout(total=15)
ANSWER_BYTES_MAX: Final = 64 * 1024
SECRETS_FILE: Final = "secrets.cbor"
IDENTITY_FILE: Final = "identity.cbor"
TLS_FILE: Final = "tls.pem"
AUTHORITY_FILE: Final = "authority.pem"
BROKER_FILE: Final = "broker"


class Chance(Protocol):
    """Unpredictable bytes."""

    def token_bytes(self, count: int, /) -> bytes:
        """Return ``count`` bytes that nobody can guess."""
        ...


class ClaimRefusedError(Exception):
    """The cloud is not the one of the QR code, or does not take this hub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticker:
    """What is printed on a hub."""

    serial: str
    activation_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QrCode:
    """What the installer shows to a hub."""

    claim_url: str
    ca_fingerprint: str  # SHA-256 of the CA's certificate, hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """A claimed hub: who it is and whom it talks to."""

    identity: HubIdentity
    authority_pem: str
    tls_file: Path
    broker_host: str
    broker_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Secrets:
    """What the hub makes itself, before its first claim: the place belongs to these keys."""

    device_key: Annotated[Digest, Key(1)]  # Ed25519
    agreement_key: Annotated[Digest, Key(2)]  # X25519
    tls_key: Annotated[bytes, Size(1, 2000), Key(3)]  # P-256, PEM


async def provision(
    sticker: Sticker,
    qr_code: QrCode,
    *,
    folder: Path,
    session: aiohttp.ClientSession,
    chance: Chance,
) -> Provisioned:
    """Claim a hub and keep what it learns in ``folder``.

    Raises:
        ClaimRefusedError: It was not possible, and why.
    """
    pinned = bytes.fromhex(qr_code.ca_fingerprint.replace(":", ""))
    authority = await _authority(session, qr_code, pinned)
    secrets = _secrets(folder, chance)
    nonce = chance.token_bytes(ID_BYTES)
    request = _request(sticker, secrets, nonce, pinned)
    device = Ed25519PrivateKey.from_private_bytes(secrets.device_key)
    message = cose.sign(wire.encode(request), device, claim.EXTERNAL)
    answer = await _post(session, qr_code, authority, message)
    response = _checked(answer, sticker, nonce)
    return _keep(folder, sticker, secrets, response, authority)


def load(folder: Path) -> Provisioned | None:
    """Return the hub that was claimed in ``folder``, or None."""
    if not (folder / IDENTITY_FILE).exists():
        return None
    host, port = (folder / BROKER_FILE).read_text().split()
    return Provisioned(
        identity=wire.decode(HubIdentity, (folder / IDENTITY_FILE).read_bytes()),
        authority_pem=(folder / AUTHORITY_FILE).read_text(),
        tls_file=folder / TLS_FILE,
        broker_host=host,
        broker_port=int(port),
    )


async def _authority(
    session: aiohttp.ClientSession, qr_code: QrCode, pinned: bytes
) -> x509.Certificate:
    """Fetch the CA's certificate from whoever answers, and believe the fingerprint only."""
    url = URL(qr_code.claim_url).with_path(claim.CA_PATH)
    try:
        async with session.get(url, ssl=False, timeout=PATIENCE) as response:
            response.raise_for_status()
            data = await response.content.read(ANSWER_BYTES_MAX)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ClaimRefusedError(f"no answer from {url}: {error}") from error
    is_pem = data.lstrip().startswith(b"-----BEGIN")
    try:
        read = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
        certificate = read(data)
    except ValueError as error:
        raise ClaimRefusedError(f"{url} is no certificate: {error}") from error
    found = claim.fingerprint(certificate.public_bytes(serialization.Encoding.DER))
    if not hmac.compare_digest(found, pinned):
        raise ClaimRefusedError(
            f"the CA of {url} has the fingerprint {found.hex()}, the QR code says {pinned.hex()}"
        )
    return certificate


async def _post(
    session: aiohttp.ClientSession, qr_code: QrCode, authority: x509.Certificate, message: bytes
) -> bytes:
    context = ssl.create_default_context(cadata=_pem(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    url = URL(qr_code.claim_url).with_path(claim.PATH)
    headers = {"Content-Type": claim.CONTENT_TYPE}
    try:
        async with session.post(
            url, data=message, headers=headers, ssl=context, timeout=PATIENCE
        ) as response:
            data = await response.content.read(ANSWER_BYTES_MAX)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ClaimRefusedError(f"no answer from {url}: {error}") from error
    if not response.ok:
        raise ClaimRefusedError(
            f"{url} refused: {response.status} {data[:500].decode(errors='replace')}"
        )
    return data


def _secrets(folder: Path, chance: Chance) -> _Secrets:
    """Return the hub's keys: those of an earlier claim whose answer was lost, else new ones."""
    path = folder / SECRETS_FILE
    if path.exists():
        return wire.decode(_Secrets, path.read_bytes())
    tls_key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    secrets = _Secrets(
        device_key=chance.token_bytes(KEY_BYTES),
        agreement_key=chance.token_bytes(KEY_BYTES),
        tls_key=tls_key,
    )
    files.write(path, wire.encode(secrets))
    return secrets


def _request(sticker: Sticker, secrets: _Secrets, nonce: bytes, pinned: bytes) -> ClaimRequest:
    tls_key = serialization.load_pem_private_key(secrets.tls_key, password=None)
    assert isinstance(tls_key, ec.EllipticCurvePrivateKey), "we made it"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, sticker.serial)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name)
    device = Ed25519PrivateKey.from_private_bytes(secrets.device_key)
    agreement = X25519PrivateKey.from_private_bytes(secrets.agreement_key)
    request = ClaimRequest(
        serial=sticker.serial,
        csr=csr.sign(tls_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER),
        device_key=device.public_key().public_bytes_raw(),
        agreement_key=agreement.public_key().public_bytes_raw(),
        nonce=nonce,
        mac=b"",
    )
    secret = claim.code_secret(sticker.activation_code)
    mac = claim.request_mac(request, secret=secret, ca_fingerprint=pinned)
    return replace(request, mac=mac)


def _checked(answer: bytes, sticker: Sticker, nonce: bytes) -> ClaimResponse:
    """Return the answer, if whoever gave it knows the sticker too."""
    try:
        response = wire.decode(ClaimResponse, answer)
    except ProtocolError as error:
        raise ClaimRefusedError(f"the answer to the claim is not understood: {error}") from error
    secret = claim.code_secret(sticker.activation_code)
    mac = claim.response_mac(response, request_nonce=nonce, secret=secret)
    if not hmac.compare_digest(mac, response.mac):
        raise ClaimRefusedError("who answered the claim does not know the activation code")
    return response


def _keep(
    folder: Path,
    sticker: Sticker,
    secrets: _Secrets,
    response: ClaimResponse,
    authority: x509.Certificate,
) -> Provisioned:
    """Write everything down, the identity last: with it the hub counts as claimed."""
    identity = HubIdentity(
        serial=sticker.serial,
        hub_id=response.hub_id,
        site_id=response.site_id,
        epoch=response.epoch,
        device_key=secrets.device_key,
        agreement_key=secrets.agreement_key,
        controller_signing_key=response.signing_key,
        controller_agreement_key=response.agreement_key,
    )
    files.write(folder / TLS_FILE, secrets.tls_key + response.certificate)
    files.write(folder / AUTHORITY_FILE, _pem(authority).encode())
    files.write(folder / BROKER_FILE, f"{response.broker_host} {response.broker_port}".encode())
    files.write(folder / IDENTITY_FILE, wire.encode(identity))
    provisioned = load(folder)
    assert provisioned is not None, "it was written just now"
    return provisioned


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
