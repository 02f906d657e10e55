"""A phone proves that the access document it carries is its own."""

from dataclasses import replace

import pytest
from cddl_verifier import Validator
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.protocol import cbor, cose, phone, wire
from gateway.protocol.errors import ProtocolError
from tests.gateway.protocol import examples
from tests.gateway.protocol.test_cddl import CDDL

CONTROLLER = examples.CONTROLLER_SIGNING.public_key()
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
LARGEST = replace(examples.DOCUMENT, issued_at_s=wire.INT_MAX, expires_at_s=wire.INT_MAX)


def read(document: bytes) -> phone.AccessDocument:
    """Read a document as a lock of the site does."""
    return phone.read(document, site_id=examples.SITE, signing_key=CONTROLLER)


def verify(proof: phone.Proof, challenge: phone.Challenge, document: bytes) -> None:
    """Check a proof as the lock does that read the document."""
    phone.verify(proof, challenge, document, public_key=examples.PHONE_KEY)


def test_a_lock_reads_what_the_controller_issued() -> None:
    """The document comes back whole, and is small enough for what carries it."""
    assert read(examples.SIGNED_DOCUMENT) == examples.DOCUMENT
    assert len(phone.issue(LARGEST, examples.CONTROLLER_SIGNING)) <= phone.DOCUMENT_BYTES_MAX


def test_a_document_fits_its_rule() -> None:
    """What a phone carries, and what it signs, are what the CDDL says."""
    content = cbor.encode(["doorward/1 phone proof", examples.LOCK, examples.CHALLENGE, bytes(32)])
    validator = Validator(CDDL)

    assert validator.validate(examples.SIGNED_DOCUMENT, root_type="phone-document").valid
    assert validator.validate(content, root_type="phone-proof-content").valid


def test_a_document_of_another_site_is_refused() -> None:
    """The same controller, but a door of somebody else."""
    with pytest.raises(ProtocolError, match="of another site"):
        phone.read(examples.SIGNED_DOCUMENT, site_id=examples.HUB, signing_key=CONTROLLER)


def test_only_the_controller_issues() -> None:
    """Signed by another key, or by the controller but as something else: refused."""
    by_other = phone.issue(examples.DOCUMENT, OTHER_KEY)
    body = wire.encode(examples.DOCUMENT)
    as_message = cose.sign(body, examples.CONTROLLER_SIGNING, b"doorward/1 claim")
    for forged in (by_other, as_message, body, b""):
        with pytest.raises(ProtocolError):
            read(forged)


def test_any_flipped_bit_of_a_document_is_refused() -> None:
    """There is no bit in a document that may be another."""
    for place in range(len(examples.SIGNED_DOCUMENT)):
        damaged = bytearray(examples.SIGNED_DOCUMENT)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ProtocolError):
            read(bytes(damaged))


def test_a_document_that_is_too_long_is_refused_unread() -> None:
    """A lock has little memory: the length is looked at first."""
    with pytest.raises(ProtocolError, match="longer than 400 bytes"):
        read(bytes(phone.DOCUMENT_BYTES_MAX + 1))


def test_the_phone_proves_by_its_key() -> None:
    """Its own answer to this lock's challenge is believed."""
    verify(examples.PROOF, examples.PHONE_CHALLENGE, examples.SIGNED_DOCUMENT)


@pytest.mark.parametrize(
    ("challenge", "document"),
    [
        (
            phone.Challenge(lock_id=examples.LOCK, challenge=examples.NONCE),
            examples.SIGNED_DOCUMENT,
        ),
        (
            phone.Challenge(lock_id=examples.HUB, challenge=examples.CHALLENGE),
            examples.SIGNED_DOCUMENT,
        ),
        (examples.PHONE_CHALLENGE, phone.issue(LARGEST, examples.CONTROLLER_SIGNING)),
    ],
    ids=["another challenge", "another lock", "another document"],
)
def test_a_recorded_proof_proves_nothing_else(challenge: phone.Challenge, document: bytes) -> None:
    """Not at the next challenge, not at another lock, not for another document."""
    with pytest.raises(ProtocolError, match="phone proof"):
        verify(examples.PROOF, challenge, document)
    echoed = replace(examples.PROOF, challenge=challenge.challenge)
    with pytest.raises(ProtocolError, match="the signature is wrong"):
        verify(echoed, challenge, document)


def test_a_copied_document_is_worth_nothing() -> None:
    """Who has the document and not the phone's key cannot answer the challenge."""
    proof = phone.prove(examples.PHONE_CHALLENGE, examples.SIGNED_DOCUMENT, OTHER_KEY)

    with pytest.raises(ProtocolError, match="the signature is wrong"):
        verify(proof, examples.PHONE_CHALLENGE, examples.SIGNED_DOCUMENT)


def test_a_document_that_names_no_key_is_refused() -> None:
    """32 bytes that are no point of the curve refuse the proof and raise nothing else."""
    with pytest.raises(ProtocolError, match="phone proof"):
        phone.verify(
            examples.PROOF,
            examples.PHONE_CHALLENGE,
            examples.SIGNED_DOCUMENT,
            public_key=b"\xff" * 32,
        )
