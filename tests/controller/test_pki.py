"""The installation's own certificate authority."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.pki import (
    GATEWAY_NAME,
    OWN_CERTIFICATE_DAYS,
    RENEW_BELOW_DAYS,
    Authority,
    CsrRefused,
    KeyFileDamagedError,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HUB = "0b0e" * 8
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def make_authority(
    folder: Path, *, public_host: str = "doors.example.org", now: datetime = NOW
) -> Authority:
    """An authority as a start of the controller finds or makes it."""
    return Authority(folder, public_host=public_host, now=now)


def make_csr(key: PrivateKey, *, name: str = "anybody") -> bytes:
    """A request that asks for as much as it can."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def read(path: Path) -> x509.Certificate:
    """The certificate in a PEM file."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_everything_is_made_at_first_start_for_the_owner_only(tmp_path: Path) -> None:
    """The folder of keys and all in it can be read by nobody else."""
    make_authority(tmp_path / "keys")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert modes == dict.fromkeys(("ca.crt", "ca.pem", "gateway.pem", "server.pem"), 0o600)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_second_start_finds_everything_again(tmp_path: Path) -> None:
    """Nothing is made anew while it is good, and the fingerprint is that of the file."""
    first = make_authority(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = make_authority(tmp_path, now=NOW + timedelta(days=1))

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert second.fingerprint == first.fingerprint
    assert second.fingerprint == read(tmp_path / "ca.crt").fingerprint(hashes.SHA256())


def test_the_server_is_good_under_all_its_names(tmp_path: Path) -> None:
    """Localhost, the loopback address and the public host stand in the server's certificate."""
    make_authority(tmp_path, public_host="192.0.2.7")

    names = read(tmp_path / "server.pem").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    addresses = names.value.get_values_for_type(x509.IPAddress)
    assert [str(address) for address in addresses] == ["127.0.0.1", "192.0.2.7"]


def test_a_new_public_host_makes_a_new_server_certificate(tmp_path: Path) -> None:
    """Hubs that come under the new name must find it in the certificate."""
    make_authority(tmp_path, public_host="old.example.org")
    before = read(tmp_path / "server.pem")
    make_authority(tmp_path, public_host="new.example.org")

    assert read(tmp_path / "server.pem") != before
    make_authority(tmp_path, public_host="new.example.org")


@pytest.mark.parametrize("name", ["server.pem", "gateway.pem"])
def test_a_start_renews_what_is_near_its_end(tmp_path: Path, name: str) -> None:
    """Below a third of its life a certificate of our own is made anew, and not before."""
    turn = NOW + timedelta(days=OWN_CERTIFICATE_DAYS - RENEW_BELOW_DAYS)
    make_authority(tmp_path)
    first = read(tmp_path / name)
    make_authority(tmp_path, now=turn - timedelta(seconds=1))
    just_before = read(tmp_path / name)
    make_authority(tmp_path, now=turn)
    at_the_turn = read(tmp_path / name)

    assert just_before == first
    assert at_the_turn.not_valid_after_utc == turn + timedelta(days=OWN_CERTIFICATE_DAYS)


def test_the_gateway_goes_by_its_name(tmp_path: Path) -> None:
    """The broker gives the gateway's rights to this name, and only as a client."""
    make_authority(tmp_path)

    certificate = read(tmp_path / "gateway.pem")
    assert certificate.subject.rfc4514_string() == f"CN={GATEWAY_NAME}"
    assert uses(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_of_a_request_only_the_key_counts(tmp_path: Path, key: PrivateKey) -> None:
    """Whatever a hub asks for, it gets its own name, one use and ninety days."""
    authority = make_authority(tmp_path)

    der = authority.sign_hub(make_csr(key, name=GATEWAY_NAME), hub_id=HUB, now=NOW)

    certificate = x509.load_der_x509_certificate(der)
    certificate.verify_directly_issued_by(read(authority.certificate_path))
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={HUB}"
    assert uses(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_after_utc == NOW + timedelta(days=90)
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def uses(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    """What the certificate is good for."""
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


GOOD = make_csr(ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize(
    ("csr", "reason"),
    [
        (b"", "no certificate request"),
        (b"\x00" * 64, "no certificate request"),
        (GOOD[:-1], "no certificate request"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "not signed by the key"),
        (bytes(4_097), "4097 bytes"),
        (make_csr(ec.generate_private_key(ec.SECP384R1())), "neither"),
        (make_csr(rsa.generate_private_key(public_exponent=65_537, key_size=2_048)), "neither"),
    ],
    ids=["empty", "zeros", "cut", "flipped", "long", "P-384", "RSA"],
)
def test_a_bad_request_is_refused(tmp_path: Path, csr: bytes, reason: str) -> None:
    """Garbage, a forged signature and a foreign kind of key each get their own words."""
    authority = make_authority(tmp_path)

    with pytest.raises(CsrRefused, match=reason) as refusal:
        authority.sign_hub(csr, hub_id=HUB, now=NOW)

    assert refusal.value.code == "csr_refused"


@pytest.mark.parametrize("hub_id", ["+", "#", "gw-all", HUB.upper(), f"{HUB}\n", ""])
def test_no_name_but_a_hub_id_is_signed(tmp_path: Path, hub_id: str) -> None:
    """A certificate in the name of a wildcard or of the gateway cannot come about."""
    authority = make_authority(tmp_path)

    with pytest.raises(AssertionError):
        authority.sign_hub(GOOD, hub_id=hub_id, now=NOW)


def test_a_damaged_authority_stops_the_start(tmp_path: Path) -> None:
    """A new authority would lock all hubs out, so none is made where one is damaged."""
    make_authority(tmp_path)
    (tmp_path / "ca.pem").write_text("-----BEGIN")

    with pytest.raises(KeyFileDamagedError, match=r"ca\.pem is damaged"):
        make_authority(tmp_path)


def test_another_installations_certificates_are_replaced(tmp_path: Path) -> None:
    """A server certificate that this authority has not signed does not stay."""
    make_authority(tmp_path / "ours")
    make_authority(tmp_path / "theirs")
    foreign = (tmp_path / "theirs" / "server.pem").read_bytes()
    (tmp_path / "ours" / "server.pem").write_bytes(foreign)
    make_authority(tmp_path / "ours")

    read(tmp_path / "ours" / "server.pem").verify_directly_issued_by(
        read(tmp_path / "ours" / "ca.crt")
    )
