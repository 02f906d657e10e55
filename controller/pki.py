"""Who is who on the device link: a certificate authority of this installation's own.

Made at first start in ``<data>/keys``. It signs the broker's and the claim server's certificate,
the gateway's, and each hub's. One PEM file holds a key and its certificate, so that a crash never
leaves halves that do not fit.
"""

import contextlib
import ipaddress
import os
import re
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.domain.errors import Invalid

GATEWAY_NAME: Final = "gw-all"
HUB_CERTIFICATE_DAYS: Final = 90
OWN_CERTIFICATE_DAYS: Final = 397  # browsers and phones refuse more
RENEW_BELOW_DAYS: Final = 132  # a third left: a controller may well run that long without a start
AUTHORITY_DAYS: Final = 20 * 365  # a hub pins it at claim, for as long as it hangs on the wall
BACKDATED: Final = timedelta(hours=1)  # a hub's clock may be a little behind at its first contact
CSR_BYTES_MAX: Final = 4_096

_SIGNS_CERTIFICATES: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)

HubPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class CsrRefused(Invalid):
    """The certificate request cannot be signed; the text says what is wrong with it."""

    code = "csr_refused"


class KeyFileDamagedError(Exception):
    """A file in the folder of keys is no key with its certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Authority:
    """The installation's own certificate authority, and the certificates it gives itself.

    Args:
        folder: ``<data>/keys``; made with what is missing.
        public_host: The name or address under which hubs reach this installation.
        now: UTC by the link clock; certificates know no other.
    """

    def __init__(self, folder: Path, *, public_host: str, now: datetime) -> None:
        self.certificate_path: Final = folder / "ca.crt"
        """PEM: what brokers and hubs trust."""
        self.server_path: Final = folder / "server.pem"
        """PEM: key and certificate of the broker and of the claim server."""
        self.gateway_path: Final = folder / "gateway.pem"
        """PEM: key and certificate with which the gateway connects to the broker."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = _load(folder / "ca.pem") or _make_root(folder / "ca.pem", now=now)
        _write(self.certificate_path, self.certificate_pem)
        self._keep(self.server_path, _server_names(public_host), now=now)
        self._keep(self.gateway_path, (), now=now)

    @property
    def certificate_pem(self) -> bytes:
        """The authority's certificate."""
        return self._root.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the authority's certificate: what the installer's QR code carries."""
        return self._root.certificate.fingerprint(hashes.SHA256())

    def sign_hub(self, csr_der: bytes, *, hub_id: str, now: datetime) -> bytes:
        """Return a hub's certificate as DER. Of the request only the public key counts.

        Raises:
            CsrRefused: It is no request, not signed by its own key, or of another kind of key.
        """
        assert re.fullmatch("[0-9a-f]{32}", hub_id), (
            "a name with a wildcard would be a skeleton key"
        )
        builder = _certificate(hub_id, _public_key(csr_der), days=HUB_CERTIFICATE_DAYS, now=now)
        certificate = self._signed(builder, ExtendedKeyUsageOID.CLIENT_AUTH)
        return certificate.public_bytes(serialization.Encoding.DER)

    def server_context(self) -> ssl.SSLContext:
        """Return TLS for the claim server, which knows no client certificates."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.server_path)
        return context

    def gateway_context(self) -> ssl.SSLContext:
        """Return TLS for the gateway's connection to the broker."""
        context = ssl.create_default_context(cafile=self.certificate_path)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.gateway_path)
        return context

    def _keep(self, path: Path, names: tuple[x509.GeneralName, ...], *, now: datetime) -> None:
        """Leave a good certificate of our own in place, else make it anew.

        One with names is a server's, one without the gateway's.
        """
        identity = _load(path)
        if identity is not None and self._is_good(identity.certificate, names, now=now):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        common_name = "doorward" if names else GATEWAY_NAME
        builder = _certificate(common_name, key.public_key(), days=OWN_CERTIFICATE_DAYS, now=now)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        _save(path, _Identity(certificate=self._signed(builder, usage), key=key))

    def _is_good(
        self, certificate: x509.Certificate, names: tuple[x509.GeneralName, ...], *, now: datetime
    ) -> bool:
        try:
            certificate.verify_directly_issued_by(self._root.certificate)
        except (ValueError, InvalidSignature):
            return False
        left = certificate.not_valid_after_utc - now
        return _names_of(certificate) == names and left > timedelta(days=RENEW_BELOW_DAYS)

    def _signed(
        self, builder: x509.CertificateBuilder, usage: x509.ObjectIdentifier
    ) -> x509.Certificate:
        """A certificate for one use: a hub's never passes for a server's."""
        return (
            builder.issuer_name(self._root.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root.key.public_key()),
                critical=False,
            )
            .sign(self._root.key, hashes.SHA256())
        )


def _public_key(csr_der: bytes) -> HubPublicKey:
    if len(csr_der) > CSR_BYTES_MAX:
        raise CsrRefused(f"The request has {len(csr_der)} bytes; at most {CSR_BYTES_MAX} are read.")
    try:
        request = x509.load_der_x509_csr(csr_der)
        is_signed = request.is_signature_valid
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CsrRefused("This is no certificate request in DER.") from error
    if not is_signed:
        raise CsrRefused("The request is not signed by the key it names.")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise CsrRefused("The key is neither of P-256 nor of Ed25519; make one that is.")


def _certificate(
    common_name: str, key: HubPublicKey, *, days: int, now: datetime
) -> x509.CertificateBuilder:
    """Everything but issuer and uses."""
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _make_root(path: Path, *, now: datetime) -> _Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    name = "Doorward devices"
    certificate = (
        _certificate(name, key.public_key(), days=AUTHORITY_DAYS, now=now)
        .issuer_name(_name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(key, hashes.SHA256())
    )
    root = _Identity(certificate=certificate, key=key)
    _save(path, root)
    return root


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _server_names(public_host: str) -> tuple[x509.GeneralName, ...]:
    """Under what names the server's certificate is good, each once."""
    hosts = dict.fromkeys(("localhost", "127.0.0.1", public_host))
    return tuple(_general_name(host) for host in hosts)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _names_of(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value)


def _load(path: Path) -> _Identity | None:
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        key = serialization.load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise KeyFileDamagedError(
            f"{path} is damaged: put it back from a backup. Without ca.pem every hub must be"
            " claimed anew; any other may be deleted, it is made again."
        ) from error
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return _Identity(certificate=certificate, key=key)


def _save(path: Path, identity: _Identity) -> None:
    key = identity.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(path, identity.certificate.public_bytes(serialization.Encoding.PEM) + key)


def _write(path: Path, content: bytes) -> None:
    """Replace the file at one stroke, for nobody's eyes but ours."""
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()  # of a process that was killed here
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
