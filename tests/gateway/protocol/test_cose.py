"""A signature counts for one payload, one key, one algorithm, one topic."""

import hashlib

import cbor2
import pytest
from cddl_verifier import Validator
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.protocol import cose
from gateway.protocol.errors import ProtocolError
from gateway.protocol.topics import DownKind, Topic, UpKind
from tests.gateway.protocol import examples
from tests.gateway.protocol.test_cddl import CDDL

KEY = examples.CONTROLLER_SIGNING
PUBLIC = KEY.public_key()
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
TOPIC = Topic(hub_id=examples.HUB_HEX, kind=DownKind.LEASE)
EXTERNAL = cose.external_data(TOPIC)
SIGNED = bytes.fromhex(examples.GOLDEN["down-lease"])
PAYLOAD = bytes.fromhex(examples.GOLDEN["lease"])


def protected(algorithm: int, *, kid: bytes = cose.key_id(PUBLIC)) -> bytes:
    """Return a protected header."""
    return cbor2.dumps({1: algorithm, 4: kid}, canonical=True)


def signed(header: bytes, payload: bytes = PAYLOAD, *, key: Ed25519PrivateKey = KEY) -> bytes:
    """Return a message whose signature is right for whatever its header says."""
    to_be_signed = cbor2.dumps(["Signature1", header, EXTERNAL, payload])
    return cbor2.dumps([header, {}, payload, key.sign(to_be_signed)])


def test_signature_is_over_the_sig_structure() -> None:
    """The signature is Ed25519 over RFC 9052's Sig_structure, put together here by hand."""
    kid = hashlib.sha256(PUBLIC.public_bytes_raw()).digest()[:8]
    header = bytes.fromhex("a2 01 32 04 48") + kid
    hub = bytes.fromhex(examples.HUB_HEX)
    bound = b"\x84" + b"\x6adoorward/1" + b"\x64down" + b"\x65lease" + b"\x50" + hub
    structure = b"\x84" + b"\x6aSignature1" + b"\x4d" + header
    structure += b"\x58" + bytes([len(bound)]) + bound
    structure += b"\x58" + bytes([len(PAYLOAD)]) + PAYLOAD
    signature = KEY.sign(structure)
    by_hand = b"\x84\x4d" + header + b"\xa0\x58" + bytes([len(PAYLOAD)]) + PAYLOAD
    by_hand += b"\x58\x40" + signature

    assert by_hand == SIGNED
    assert Validator(CDDL).validate(structure, root_type="sig-structure").valid
    assert Validator(CDDL).validate(bound, root_type="external-data").valid


def test_gives_the_payload() -> None:
    """A sound message gives its payload, whichever of several accepted keys signed it."""
    assert cose.verify(SIGNED, [PUBLIC], EXTERNAL) == PAYLOAD
    assert cose.verify(SIGNED, iter([OTHER.public_key(), PUBLIC]), EXTERNAL) == PAYLOAD


def test_any_flipped_bit_is_refused() -> None:
    """There is no bit in a signed message that may be another."""
    for place in range(len(SIGNED)):
        for bit in range(8):
            damaged = bytearray(SIGNED)
            damaged[place] ^= 1 << bit
            with pytest.raises(ProtocolError):
                cose.verify(bytes(damaged), [PUBLIC], EXTERNAL)


@pytest.mark.parametrize(
    "topic",
    [
        Topic(hub_id="00" * 16, kind=DownKind.LEASE),
        Topic(hub_id=examples.HUB_HEX, kind=DownKind.MANIFEST),
        Topic(hub_id=examples.HUB_HEX, kind=UpKind.HELLO),
    ],
    ids=["another hub", "another kind", "another direction"],
)
def test_another_topic_is_refused(topic: Topic) -> None:
    """What was signed for one topic verifies on no other."""
    with pytest.raises(ProtocolError, match="signature is wrong"):
        cose.verify(SIGNED, [PUBLIC], cose.external_data(topic))


def test_direction_alone_is_bound() -> None:
    """The same kind and hub in the other direction is another external data."""
    up = cbor2.dumps(["doorward/1", "up", "lease", bytes.fromhex(examples.HUB_HEX)])

    assert up != EXTERNAL
    with pytest.raises(ProtocolError, match="signature is wrong"):
        cose.verify(SIGNED, [PUBLIC], up)


def test_another_key_is_refused() -> None:
    """A message of a key that is not accepted is refused, also if it borrows an accepted kid."""
    borrowed = signed(protected(cose.ALGORITHM), key=OTHER)

    with pytest.raises(ProtocolError, match="not accepted"):
        cose.verify(SIGNED, [OTHER.public_key()], EXTERNAL)
    with pytest.raises(ProtocolError, match="not accepted"):
        cose.verify(SIGNED, [], EXTERNAL)
    with pytest.raises(ProtocolError, match="signature is wrong"):
        cose.verify(borrowed, [PUBLIC], EXTERNAL)


@pytest.mark.parametrize(
    "header",
    [
        protected(-8),
        protected(-7),
        protected(5),
        protected(0),
        cbor2.dumps({4: cose.key_id(PUBLIC)}),
        cbor2.dumps({1: cose.ALGORITHM}),
        protected(cose.ALGORITHM, kid=cose.key_id(PUBLIC)[:7]),
        cbor2.dumps({1: cose.ALGORITHM, 2: [1], 4: cose.key_id(PUBLIC)}),
        cbor2.dumps({4: cose.key_id(PUBLIC), 1: cose.ALGORITHM}),
        b"",
    ],
    ids=[
        "EdDSA",
        "ES256",
        "HMAC",
        "algorithm 0",
        "no algorithm",
        "no kid",
        "short kid",
        "critical header",
        "order of keys",
        "empty",
    ],
)
def test_another_header_is_refused(header: bytes) -> None:
    """One protected header is read, byte by byte, even if the signature over another is right."""
    with pytest.raises(ProtocolError, match="algorithm or a key"):
        cose.verify(signed(header), [PUBLIC], EXTERNAL)


@pytest.mark.parametrize(
    "message",
    [
        [protected(-19), {}, PAYLOAD],
        [protected(-19), {}, PAYLOAD, b"", b""],
        [protected(-19), {1: -19}, PAYLOAD, b""],
        [protected(-19), [], PAYLOAD, b""],
        [protected(-19), {}, None, b""],
        [protected(-19), {}, "text", b""],
        [{1: -19}, {}, PAYLOAD, b""],
        [protected(-19), {}, PAYLOAD, 5],
        [protected(-19), {}, PAYLOAD, b""],
        [protected(-19), {}, PAYLOAD, bytes(64)],
        [protected(-19), {}, PAYLOAD, bytes(65)],
        {1: 2},
        cbor2.CBORTag(18, [protected(-19), {}, PAYLOAD, bytes(64)]),
    ],
    ids=repr,
)
def test_another_shape_is_refused(message: object) -> None:
    """Only the untagged array of four with an attached payload is read."""
    with pytest.raises(ProtocolError):
        cose.verify(cbor2.dumps(message), [PUBLIC], EXTERNAL)
