"""Tags of people."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from controller.db.metadata import metadata
from controller.db.tables.people import credentials, revoked_digests
from gateway.protocol.sealing import tag_digest
from tests.controller.people.ground import FOREIGN, KEYS, NOW, OWN, Ground

CANARY = "04c0ffee15600d"


def path(person: Any, tag: Any = None) -> str:
    """Return where a person's credentials are."""
    return f"/sites/{OWN}/people/{person['id']}/credentials" + (f"/{tag['id']}" if tag else "")


async def give(ground: Ground, person: Any, number: str) -> Any:
    """Give a person the tag of a number and return the answer."""
    return await ground.call("POST", path(person), {"number": number})


@pytest.mark.parametrize(
    "number", ["04A1B2C3", "04:a1:b2:c3:d4:e5:f6", "00 01 02 03 04 05 06 07 08 09"]
)
async def test_a_tag_of_four_to_ten_bytes_is_taken(ground: Ground, number: str) -> None:
    """Colons and spaces and either case do; what is kept is the keyed digest."""
    answer = await give(ground, await ground.person(), number)

    raw = bytes.fromhex(number.replace(":", ""))
    assert answer.status == 201
    assert await ground.count(credentials, digest=tag_digest(raw, KEYS.tag_key(OWN))) == 1


@pytest.mark.parametrize("count", [0, 3, 11])
async def test_a_tag_of_another_length_is_refused_with_the_bounds(
    ground: Ground, count: int
) -> None:
    """A number of 3 or 11 bytes is refused, and the refusal says how many there may be."""
    answer = await give(ground, await ground.person(), "ab" * count)

    assert (answer.status, answer.code) == (422, "invalid_tag_number")
    assert answer.facts == {"field": "number", "bytes": count, "bytes_min": 4, "bytes_max": 10}


@pytest.mark.parametrize("number", ["04A1B2C", "04A1B2CG", "xyz"])
async def test_a_number_that_is_not_hexadecimal_is_refused(ground: Ground, number: str) -> None:
    """Odd digits and other letters name the field."""
    answer = await give(ground, await ground.person(), number)

    assert (answer.status, answer.code) == (422, "invalid_tag_number")
    assert answer.facts == {"field": "number"}


async def test_a_tag_belongs_to_one_person_of_a_site(ground: Ground) -> None:
    """A second use of a number at the site is refused; another site may have it, as another."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    bo = await ground.person("Bo", site=FOREIGN, by="bob")
    await give(ground, pia, CANARY)

    again = await give(ground, max_, CANARY.upper())
    elsewhere = await ground.make(
        f"/people/{bo['id']}/credentials", {"number": CANARY}, site=FOREIGN, by="bob"
    )

    assert (again.status, again.code) == (409, "tag_taken")
    assert elsewhere["id"]
    async with ground.db.read() as tx:
        digests = list((await tx.execute(select(credentials.c.digest))).scalars())
    assert len(set(digests)) == 2


async def test_a_number_stands_nowhere(ground: Ground) -> None:
    """No column of any table holds the number of a tag, as bytes or as text."""
    answer = await give(ground, await ground.person(), CANARY)
    assert answer.status == 201
    assert CANARY not in str(answer.body).lower()

    raw = bytes.fromhex(CANARY)
    async with ground.db.read() as tx:
        for table in metadata.sorted_tables:
            for row in await tx.execute(select(table)):
                for value in row:
                    assert CANARY not in str(value).lower(), table.name
                    assert not isinstance(value, bytes) or raw not in value, table.name


async def test_a_deleted_tag_can_be_given_to_somebody_else(ground: Ground) -> None:
    """Taking a tag back frees its number and makes locks forget it."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    tag = (await give(ground, pia, CANARY)).body

    gone = await ground.call("DELETE", path(pia, tag), if_match=1)
    again = await give(ground, max_, CANARY)

    assert (gone.status, again.status) == (204, 201)
    assert await ground.count(revoked_digests, revoked_at=NOW) == 1


async def test_a_blocked_tag_keeps_the_instant(ground: Ground) -> None:
    """Blocking is noted with its instant, blocking again moves nothing, unblocking clears it."""
    pia = await ground.person()
    tag = await ground.tag(pia)

    blocked = await ground.call("PATCH", path(pia, tag), {"blocked": True}, if_match=1)
    ground.calendar.at = NOW + timedelta(minutes=5)
    again = await ground.call("PATCH", path(pia, tag), {"blocked": True}, if_match=2)
    free = await ground.call("PATCH", path(pia, tag), {"blocked": False}, if_match=3)

    assert blocked.body["blocked_at"] == "2026-03-02T12:00:00Z"
    assert again.body["blocked_at"] == blocked.body["blocked_at"]
    assert (free.body["blocked"], free.body["blocked_at"]) == (False, None)
    assert await ground.count(revoked_digests) == 1


@pytest.mark.parametrize(
    ("edit", "revisions", "revoked"),
    [
        ({"label": "spare"}, 0, 0),
        ({"offline": True}, 1, 0),
        ({"ends_at": "2026-06-01T00:00:00Z"}, 1, 1),
        ({"ends_at": "2026-03-02T12:00:00Z"}, 1, 1),
        ({"blocked": True}, 1, 1),
    ],
)
async def test_an_edit_reaches_the_hubs_where_it_matters(
    ground: Ground, edit: dict[str, object], revisions: int, revoked: int
) -> None:
    """A label is nobody's business; rights are, and what is over makes locks forget."""
    hub = await ground.hub()
    pia = await ground.person()
    tag = await ground.tag(pia)
    await ground.group(people=(pia,), locks=(await ground.lock(hub),))
    before = (await ground.revisions())[hub["id"]]

    answer = await ground.call("PATCH", path(pia, tag), edit, if_match=1)

    assert answer.status == 200
    assert (await ground.revisions())[hub["id"]] - before == revisions
    assert await ground.count(revoked_digests) == revoked


async def test_the_credential_too_many_is_refused(ground: Ground) -> None:
    """A section has room for twenty credentials of a person."""
    pia = await ground.person()
    for _ in range(20):
        await ground.tag(pia)

    answer = await give(ground, pia, CANARY)

    assert (answer.status, answer.code) == (409, "too_many_credentials")
    assert answer.facts == {"limit": 20, "used": 20, "remedy": "delete_credential"}


async def test_an_old_version_of_a_tag_is_refused(ground: Ground) -> None:
    """Edits and deletions of a tag name the version they were made from."""
    pia = await ground.person()
    tag = await ground.tag(pia)
    await ground.call("PATCH", path(pia, tag), {"label": "one"}, if_match=1)

    edited = await ground.call("PATCH", path(pia, tag), {"label": "two"}, if_match=1)
    gone = await ground.call("DELETE", path(pia, tag), if_match=1)

    assert (edited.status, edited.code) == (412, "stale")
    assert (gone.status, gone.code) == (412, "stale")


async def test_a_tag_is_found_under_its_holder_only(ground: Ground) -> None:
    """Another person's path does not lead to the tag, for reading or writing."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    tag = await ground.tag(pia)

    read = await ground.call("GET", path(max_, tag))
    edited = await ground.call("PATCH", path(max_, tag), {"blocked": True}, if_match=1)

    assert (read.code, edited.code) == ("not_found", "not_found")
    assert (await ground.call("GET", path(pia))).body["items"] == [tag]


async def replace(ground: Ground, person: Any, tag: Any, number: str, if_match: int = 1) -> Any:
    """Give a person another tag instead and return the answer."""
    where = f"{path(person, tag)}/replacement"
    return await ground.call("POST", where, {"number": number}, if_match=if_match)


@pytest.mark.invariant("A1")
async def test_a_new_tag_takes_the_place_of_a_lost_one(ground: Ground) -> None:
    """It has its label, offline access and end, and the lost one is known no more."""
    pia = await ground.person()
    more: dict[str, Any] = {"label": "Blue", "offline": True, "ends_at": "2026-06-01T00:00:00Z"}
    old = await ground.tag(pia, **more)
    await ground.call("PATCH", path(pia, old), {"blocked": True}, if_match=1)

    ground.calendar.at = NOW + timedelta(minutes=1)

    answer = await replace(ground, pia, old, CANARY, if_match=2)

    new = answer.body
    assert (answer.status, new["version"], new["blocked"]) == (201, 1, False)
    assert {name: new[name] for name in more} == more
    assert (await ground.call("GET", path(pia))).body["items"] == [new]
    assert await ground.count(revoked_digests, revoked_at=ground.calendar.at) == 1
    raw = bytes.fromhex(CANARY)
    assert await ground.count(credentials, digest=tag_digest(raw, KEYS.tag_key(OWN))) == 1


async def test_a_replacement_that_is_refused_leaves_the_old_tag(ground: Ground) -> None:
    """A number that is taken or none, and an old version: nothing is half done."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    old = await ground.tag(pia)
    await give(ground, max_, CANARY)

    refused = [
        await replace(ground, pia, old, CANARY),
        await replace(ground, pia, old, "04"),
        await replace(ground, pia, old, "04a1b2c3", if_match=7),
        await replace(ground, max_, old, "04a1b2c3"),
    ]

    codes = ["tag_taken", "invalid_tag_number", "stale", "not_found"]
    assert [one.code for one in refused] == codes
    assert (await ground.call("GET", path(pia))).body["items"] == [old]
    assert await ground.count(revoked_digests) == 0


async def test_only_a_tag_is_replaced(ground: Ground) -> None:
    """A PIN or a digital key is made anew."""
    pia = await ground.person()
    pin = await ground.make(f"/people/{pia['id']}/pins", {"kind": "generated"})

    refused = await replace(ground, pia, pin, CANARY)

    assert (refused.status, refused.code) == (409, "not_a_tag")


async def test_a_person_with_twenty_credentials_can_replace_one(ground: Ground) -> None:
    """The old one makes room first."""
    pia = await ground.person()
    tags = [await ground.tag(pia) for _ in range(20)]

    assert (await replace(ground, pia, tags[0], CANARY)).status == 201


@pytest.mark.invariant("T3")
async def test_offline_access_takes_a_right_of_its_own(ground: Ground) -> None:
    """Whoever gives tags gives none to locks that reach no hub, nor takes them from there."""
    pia = await ground.person()
    plain, listed = await ground.tag(pia, by="sam"), await ground.tag(pia, offline=True)
    lock = await ground.lock(await ground.hub())
    offline = {"offline": True}

    refused = [
        await ground.call("POST", path(pia), {"number": CANARY} | offline, by="sam"),
        await ground.call("PATCH", path(pia, plain), offline, by="sam", if_match=1),
        await ground.call("PATCH", path(pia, listed), {"offline": False}, by="sam", if_match=1),
        await ground.call(
            "POST",
            f"/sites/{OWN}/locks/{lock['id']}/enrolments",
            {"person_id": pia["id"]} | offline,
            by="sam",
            key="k",
        ),
    ]
    blocked = await ground.call("PATCH", path(pia, listed), {"blocked": True}, by="sam", if_match=1)

    assert [(one.code, one.facts["action"]) for one in refused] == [
        ("forbidden", "offline:manage")
    ] * 4
    assert blocked.status == 200
