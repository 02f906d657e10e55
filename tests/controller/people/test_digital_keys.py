"""Digital keys of people, and their access documents."""

import asyncio
from base64 import b64decode
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from controller.db.tables.people import credentials, revoked_digests
from controller.db.tables.records import audit_records
from controller.db.tables.sites import sites
from gateway.protocol import phone
from gateway.protocol.errors import ProtocolError
from gateway.protocol.sealing import phone_digest
from tests.controller.people.ground import FOREIGN, KEYS, NOW, OWN, Answer, Ground

DAY = timedelta(days=1)


def phone_key(number: int = 1) -> Ed25519PrivateKey:
    """Return a key that a phone made."""
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32))


def public(key: Ed25519PrivateKey) -> bytes:
    """Return its public half."""
    return key.public_key().public_bytes_raw()


async def give(ground: Ground, person: Any, number: int = 1, **more: object) -> Answer:
    """Make a phone a key of a person and return the answer."""
    body = {"public_key": public(phone_key(number)).hex(), "label": "Phone"} | more
    return await ground.call("POST", f"/sites/{OWN}/people/{person['id']}/digital-keys", body)


def at(person: Any, key: Any) -> str:
    """Return where a digital key is."""
    return f"/sites/{OWN}/people/{person['id']}/credentials/{key['id']}"


async def ask(ground: Ground, person: Any, key: Any) -> Answer:
    """Ask for a digital key's access document."""
    path = f"/sites/{OWN}/people/{person['id']}/digital-keys/{key['id']}/document"
    return await ground.call("POST", path)


def read(answer: Answer) -> phone.AccessDocument:
    """Return what a lock of OWN reads in a document."""
    return phone.read(
        b64decode(answer.body["document"]),
        site_id=bytes.fromhex(OWN),
        signing_key=KEYS.signing.public_key(),
    )


def seconds(instant: datetime) -> int:
    """Return an instant as documents have it."""
    return int(instant.timestamp())


async def test_a_phone_becomes_a_credential(ground: Ground) -> None:
    """What is kept is its public key, and the digest by which hubs know it."""
    answer = await give(ground, await ground.person())

    assert answer.status == 201
    assert (answer.body["kind"], answer.body["label"]) == ("digital_key", "Phone")
    assert (answer.body["offline"], answer.body["document_issued_at"]) == (False, None)
    key = public(phone_key())
    digest = phone_digest(key, KEYS.tag_key(OWN))
    assert await ground.count(credentials, digest=digest, public_key=key) == 1


async def test_a_site_gives_new_digital_keys_offline_access_if_it_says_so(ground: Ground) -> None:
    """Those that are there already stay as they are."""
    pia = await ground.person()
    before = (await give(ground, pia, 1)).body
    async with ground.db.write() as tx:
        await tx.execute(update(sites).values(digital_keys_offline=True))

    after = (await give(ground, pia, 2)).body

    assert after["offline"]
    assert not (await ground.call("GET", at(pia, before))).body["offline"]


@pytest.mark.parametrize("public_key", ["", "00" * 32, "ab" * 31, "x" * 64, "02" + "00" * 31])
async def test_what_is_no_phones_key_is_refused(ground: Ground, public_key: str) -> None:
    """Wrong length, small order, no point, no hexadecimal: the field is named."""
    refused = await give(ground, await ground.person(), public_key=public_key)

    assert (refused.status, refused.code) == (422, "invalid_phone_key")
    assert refused.facts == {"field": "public_key"}


async def test_a_phone_belongs_to_one_person_of_a_site(ground: Ground) -> None:
    """The same key is refused there and taken at another site."""
    bo = await ground.person("Bo", site=FOREIGN, by="bob")
    await give(ground, await ground.person("Pia"))

    again = await give(ground, await ground.person("Max"))
    body = {"public_key": public(phone_key()).hex()}
    there = await ground.make(f"/people/{bo['id']}/digital-keys", body, site=FOREIGN, by="bob")

    assert (again.status, again.code) == (409, "digital_key_taken")
    assert there["id"]


async def test_a_lock_believes_the_document_and_the_phone_that_carries_it(ground: Ground) -> None:
    """It names site, credential and key for seven days, and only that phone can prove it."""
    pia = await ground.person()
    key = (await give(ground, pia)).body

    answer = await ask(ground, pia, key)

    found = read(answer)
    assert found == phone.AccessDocument(
        site_id=bytes.fromhex(OWN),
        credential_id=bytes.fromhex(key["id"]),
        public_key=public(phone_key()),
        issued_at_s=seconds(NOW),
        expires_at_s=seconds(NOW + 7 * DAY),
    )
    assert answer.body["renew_at"] == "2026-03-06T12:00:00Z"
    assert answer.body["expires_at"] == "2026-03-09T12:00:00Z"
    challenge = phone.Challenge(lock_id=bytes(16), challenge=bytes(range(16)))
    document = b64decode(answer.body["document"])
    proof = phone.prove(challenge, document, phone_key())
    phone.verify(proof, challenge, document, public_key=found.public_key)
    with pytest.raises(ProtocolError):
        stolen = phone.prove(challenge, document, phone_key(2))
        phone.verify(stolen, challenge, document, public_key=found.public_key)


@pytest.mark.parametrize(
    ("later", "is_new"),
    [
        (timedelta(0), False),
        (4 * DAY - timedelta(seconds=1), False),
        (4 * DAY, True),
        (6 * DAY, True),
        (20 * DAY, True),
    ],
)
async def test_a_document_is_the_same_for_four_days(
    ground: Ground, later: timedelta, *, is_new: bool
) -> None:
    """The same bytes until the fourth day, then one for seven days more."""
    pia = await ground.person()
    key = (await give(ground, pia)).body
    first = await ask(ground, pia, key)
    ground.calendar.at = NOW + later

    second = await ask(ground, pia, key)

    assert (second.body["document"] != first.body["document"]) == is_new
    issued_at = NOW + later if is_new else NOW
    assert read(second).expires_at_s == seconds(issued_at + 7 * DAY)
    assert await ground.count(audit_records, action="access_document_issued") == 1 + is_new


async def test_those_who_ask_at_once_get_the_same_document(ground: Ground) -> None:
    """Of eight that renew it one issues it, and all carry the same bytes."""
    pia = await ground.person()
    key = (await give(ground, pia)).body
    await ask(ground, pia, key)
    ground.calendar.at = NOW + 5 * DAY

    answers = await asyncio.gather(*(ask(ground, pia, key) for _ in range(8)))

    assert len({answer.body["document"] for answer in answers}) == 1
    assert await ground.count(audit_records, action="access_document_issued") == 2


async def test_a_document_does_not_make_a_key_stale(ground: Ground) -> None:
    """A phone that renews its document does not hold up whoever edits the key."""
    pia = await ground.person()
    key = (await give(ground, pia)).body
    await ask(ground, pia, key)

    edited = await ground.call("PATCH", at(pia, key), {"label": "Mine"}, if_match=1)

    assert (edited.status, edited.body["document_issued_at"]) == (200, "2026-03-02T12:00:00Z")


@pytest.mark.parametrize("whose", ["credential", "person"])
async def test_a_document_never_outlives_its_key(ground: Ground, whose: str) -> None:
    """The end of credential or person is the document's, where it comes first."""
    end = NOW + 2 * DAY
    pia = await ground.person(expires_at=end.isoformat() if whose == "person" else None)
    more: dict[str, Any] = {"ends_at": end.isoformat()} if whose == "credential" else {}
    key = (await give(ground, pia, **more)).body

    answer = await ask(ground, pia, key)

    assert read(answer).expires_at_s == seconds(end)


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        (("credential", {"blocked": True}), "credential_blocked"),
        (("credential", {"ends_at": NOW.isoformat()}), "credential_expired"),
        (("person", {"expires_at": NOW.isoformat()}), "credential_expired"),
        (("person", {"subscribed": False}), "person_unsubscribed"),
    ],
)
async def test_a_key_that_opens_nothing_gets_no_document(
    ground: Ground, edits: tuple[str, dict[str, object]], reason: str
) -> None:
    """Blocked, over, or without a seat: no document any more, also not the one of before."""
    pia = await ground.person()
    key = (await give(ground, pia)).body
    await ask(ground, pia, key)
    what, edit = edits
    path = at(pia, key) if what == "credential" else f"/sites/{OWN}/people/{pia['id']}"
    await ground.call("PATCH", path, edit, if_match=1)

    refused = await ask(ground, pia, key)

    assert (refused.status, refused.code) == (409, "no_access_document")
    assert refused.facts == {"reason": reason}


@pytest.mark.invariant("E3")
async def test_without_a_subscription_there_is_no_document(ground: Ground) -> None:
    """Phones stop with their last document once the site is unsubscribed."""
    pia = await ground.person()
    key = (await give(ground, pia)).body
    await ask(ground, pia, key)
    ground.expire()

    assert (await ask(ground, pia, key)).code == "no_valid_subscription"


async def test_a_tag_has_no_document(ground: Ground) -> None:
    """It is no digital key, and one of another person is none of this."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    tag, key = await ground.tag(pia), (await give(ground, pia)).body

    assert (await ask(ground, pia, tag)).code == "not_found"
    assert (await ask(ground, max_, key)).code == "not_found"


@pytest.mark.invariant("A1")
async def test_locks_forget_a_phone_that_is_blocked_or_deleted(ground: Ground) -> None:
    """It is revoked like any other credential."""
    pia = await ground.person()
    one, other = (await give(ground, pia, 1)).body, (await give(ground, pia, 2)).body

    await ground.call("PATCH", at(pia, one), {"blocked": True}, if_match=1)
    await ground.call("DELETE", at(pia, other), if_match=1)

    assert await ground.count(revoked_digests, revoked_at=NOW) == 2
