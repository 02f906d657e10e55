"""Both ends derive the same keys, and what is sealed opens for one purpose only."""

import hashlib
import hmac

import cbor2
import pytest
from cddl_verifier import Validator
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from gateway.protocol import claim, sealing, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.sealing import HubTicket, LockOrder, LockTicket
from tests.gateway.protocol import examples
from tests.gateway.protocol.examples import EPOCH, HUB, LOCK, SITE, TICKET
from tests.gateway.protocol.test_cddl import CDDL

SMALL_ORDER = [bytes(32), (1).to_bytes(32, "little"), b"\xec" + b"\xff" * 30 + b"\x7f"]
SECRET = claim.code_secret(examples.LOCK_CODE)


def hkdf(secret: bytes, info: bytes) -> bytes:
    """Return 64 bytes by RFC 5869 with SHA-256 and no salt, written out."""
    pseudorandom = hmac.digest(bytes(32), secret, "sha256")
    first = hmac.digest(pseudorandom, info + b"\x01", "sha256")
    return first + hmac.digest(pseudorandom, first + info + b"\x02", "sha256")


def test_lock_and_controller_derive_one_seal_key() -> None:
    """The seal key is the same from the lock's private key and from the controller's."""
    at_lock = sealing.seal_key(
        examples.LOCK_AGREEMENT,
        examples.CONTROLLER_AGREEMENT.public_key(),
        site_id=SITE,
        lock_id=LOCK,
        epoch=EPOCH,
    )

    assert at_lock == examples.SEAL_KEY
    assert len(at_lock) == sealing.SIV_KEY_BYTES


def test_hub_and_controller_derive_one_hub_key() -> None:
    """The hub key is the same from both ends."""
    at_hub = sealing.hub_key(
        examples.HUB_AGREEMENT, examples.CONTROLLER_AGREEMENT.public_key(), hub_id=HUB
    )

    assert at_hub == examples.HUB_KEY


@pytest.mark.parametrize(
    ("secret", "context", "expected"),
    [
        (
            examples.LOCK_AGREEMENT.exchange(examples.CONTROLLER_AGREEMENT.public_key()),
            ["seal", SITE, LOCK, EPOCH],
            examples.SEAL_KEY,
        ),
        (
            examples.HUB_AGREEMENT.exchange(examples.CONTROLLER_AGREEMENT.public_key()),
            ["hub", HUB],
            examples.HUB_KEY,
        ),
        (examples.SEAL_KEY, ["link", HUB, TICKET], examples.LINK_KEY),
    ],
    ids=["seal", "hub", "link"],
)
def test_keys_come_by_hkdf(secret: bytes, context: list[object], expected: bytes) -> None:
    """Each key is HKDF-SHA-256 over what docs/protocol/trust.md says."""
    info = cbor2.dumps(["doorward/1", *context])

    assert hkdf(secret, info) == expected
    assert Validator(CDDL).validate(info, root_type="key-info").valid


def test_every_part_of_the_context_makes_another_key() -> None:
    """Another site, lock, epoch, hub or ticket has another key."""
    private, public = examples.LOCK_AGREEMENT, examples.CONTROLLER_AGREEMENT.public_key()
    contexts = [(SITE, LOCK, 1), (LOCK, LOCK, 1), (SITE, SITE, 1), (SITE, LOCK, 2)]
    keys = {
        sealing.seal_key(private, public, site_id=site, lock_id=lock, epoch=epoch)
        for site, lock, epoch in contexts
    }
    keys |= {sealing.hub_key(private, public, hub_id=hub) for hub in (HUB, LOCK)}
    links = [(HUB, 1), (LOCK, 1), (HUB, 2)]
    keys |= {sealing.link_key(examples.SEAL_KEY, hub_id=hub, number=n) for hub, n in links}

    assert len(keys) == len(contexts) + 2 + len(links)


@pytest.mark.parametrize("point", SMALL_ORDER, ids=bytes.hex)
def test_a_public_key_without_a_secret_is_refused(point: bytes) -> None:
    """A key of small order, whose agreement everybody knows, is refused by name."""
    public = X25519PublicKey.from_public_bytes(point)

    with pytest.raises(ProtocolError, match="agreement_key"):
        sealing.hub_key(examples.HUB_AGREEMENT, public, hub_id=HUB)
    with pytest.raises(ProtocolError, match="agreement_key"):
        sealing.seal_key(examples.LOCK_AGREEMENT, public, site_id=SITE, lock_id=LOCK, epoch=1)


def test_same_content_gives_same_bytes() -> None:
    """Sealing twice gives the same bytes, so that what is sealed can be named by its hash."""
    once = sealing.seal(examples.SEAL_KEY, examples.ORDER, purpose=sealing.LOCK_ORDER)
    again = sealing.seal(examples.SEAL_KEY, examples.ORDER, purpose=sealing.LOCK_ORDER)

    assert once == again
    assert len(once) == len(wire.encode(examples.ORDER)) + 16
    assert examples.COMMAND not in once


@pytest.mark.parametrize(
    ("sealed", "key", "kind", "purpose", "content"),
    [
        (
            examples.SEALED_LOCK_TICKET,
            examples.SEAL_KEY,
            LockTicket,
            sealing.LOCK_TICKET,
            examples.LOCK_TICKET,
        ),
        (
            examples.SEALED_HUB_TICKET,
            examples.HUB_KEY,
            HubTicket,
            sealing.HUB_TICKET,
            examples.HUB_TICKET,
        ),
        (examples.SEALED_ORDER, examples.SEAL_KEY, LockOrder, sealing.LOCK_ORDER, examples.ORDER),
    ],
    ids=["lock ticket", "hub ticket", "lock order"],
)
def test_opens_for_its_purpose_only(
    sealed: bytes, key: bytes, kind: type, purpose: str, content: object
) -> None:
    """Another purpose, another key and any flipped bit are refused."""
    assert sealing.unseal(key, kind, sealed, purpose=purpose) == content

    purposes = {sealing.LOCK_TICKET, sealing.HUB_TICKET, sealing.LOCK_ORDER, "frame ORDER", ""}
    for other in purposes - {purpose}:
        with pytest.raises(ProtocolError, match="not sealed"):
            sealing.unseal(key, kind, sealed, purpose=other)
    with pytest.raises(ProtocolError, match="not sealed"):
        sealing.unseal(examples.LINK_KEY, kind, sealed, purpose=purpose)
    for place in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ProtocolError, match="not sealed"):
            sealing.unseal(key, kind, bytes(damaged), purpose=purpose)


@pytest.mark.parametrize("length", [0, 1, 15, 16])
def test_what_is_too_short_to_be_sealed_is_refused(length: int) -> None:
    """Bytes that hold no content are refused like all others."""
    with pytest.raises(ProtocolError, match="not sealed"):
        sealing.unseal(examples.LINK_KEY, LockOrder, bytes(length), purpose=sealing.LOCK_ORDER)


def test_a_sealed_message_of_another_type_is_refused() -> None:
    """The right key and purpose do not help a content of the wrong type; the text says which."""
    sealed = sealing.seal(examples.SEAL_KEY, examples.PAIRING, purpose=sealing.LOCK_ORDER)

    with pytest.raises(ProtocolError, match=r"LockOrder\.number: int is needed"):
        sealing.unseal(examples.SEAL_KEY, LockOrder, sealed, purpose=sealing.LOCK_ORDER)


def test_a_pairing_needs_the_sticker() -> None:
    """A lock reads a pairing made with its own sticker and no other, whole."""
    assert sealing.read_pairing(examples.SIGNED_PAIRING, SECRET) == examples.PAIRING

    with pytest.raises(ProtocolError, match="does not fit the sticker"):
        sealing.read_pairing(examples.SIGNED_PAIRING, claim.code_secret(examples.HUB_CODE))
    for place in range(len(examples.SIGNED_PAIRING)):
        damaged = bytearray(examples.SIGNED_PAIRING)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ProtocolError):
            sealing.read_pairing(bytes(damaged), SECRET)


def test_a_tag_is_called_by_a_keyed_digest() -> None:
    """The digest is HMAC-SHA-256 under the site's key, cut to 16 bytes."""
    expected = hmac.new(examples.TAG_KEY, b"tag" + examples.TAG, hashlib.sha256).digest()[:16]

    assert sealing.tag_digest(examples.TAG, examples.TAG_KEY) == expected
    assert sealing.tag_digest(examples.TAG, bytes(32)) != expected
    assert sealing.tag_digest(examples.TAG[:4], examples.TAG_KEY) != expected


@pytest.mark.parametrize("length", [4, 7, 10])
def test_tags_of_these_lengths_are_read(length: int) -> None:
    """A tag number has 4 to 10 bytes."""
    assert len(sealing.tag_digest(bytes(length), examples.TAG_KEY)) == sealing.DIGEST_BYTES


@pytest.mark.parametrize("length", [0, 3, 11])
def test_tags_of_other_lengths_are_refused(length: int) -> None:
    """A shorter or longer number is refused, and the text names both bounds."""
    with pytest.raises(ProtocolError, match=f"{length} bytes, 4 to 10 are read"):
        sealing.tag_digest(bytes(length), examples.TAG_KEY)
