"""People of a site over REST."""

from datetime import timedelta

import pytest

from controller.db.metadata import metadata
from controller.db.tables.access import group_people
from controller.db.tables.people import credentials, people, revoked_digests
from controller.people.repository import TIED
from tests.controller.people.ground import ABSENT, NOW, OWN, Ground

PEOPLE = f"/sites/{OWN}/people"


async def test_a_person_comes_back_as_it_was_added(ground: Ground) -> None:
    """What was added is shown, with the version as ETag."""
    added = await ground.person("  Pia Peña ", email="Pia@Example.ORG")

    shown = await ground.call("GET", f"{PEOPLE}/{added['id']}")

    assert shown.body == added
    assert shown.headers["ETag"] == '"1"'
    assert (added["name"], added["email"]) == ("Pia Peña", "pia@example.org")
    assert added["subscribed_at"] == "2026-03-02T12:00:00Z"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "Pia\u202egnp"}, "name"),
        ({"name": "Pia", "email": "nowhere"}, "email"),
        ({"name": "Pia", "expires_at": "2026-03-02T12:00:00"}, "expires_at"),
        ({"name": "Pia", "subscribed": "yes"}, "subscribed"),
        ({"name": "Pia", "nmae": "Pia"}, "nmae"),
    ],
)
async def test_a_wrong_field_is_named(ground: Ground, body: dict[str, object], field: str) -> None:
    """A body that cannot be is refused by the field, and nothing is added."""
    answer = await ground.call("POST", PEOPLE, body)

    assert (answer.status, answer.code) == (422, "validation_failed")
    assert [error["field"] for error in answer.body["errors"]] == [field]
    assert await ground.count(people) == 0


@pytest.mark.parametrize("end", ["2100-01-02T00:00:00Z", "1969-12-31T00:00:00Z"])
async def test_an_end_that_no_hub_could_be_told_is_refused(ground: Ground, end: str) -> None:
    """An end past 2100 or before 1970 names the field."""
    answer = await ground.call("POST", PEOPLE, {"name": "Pia", "expires_at": end})

    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.facts == {"field": "expires_at"}


async def test_what_an_edit_leaves_out_stays(ground: Ground) -> None:
    """A field that is not sent is kept, and null empties one that may be empty."""
    end = "2026-06-01T00:00:00Z"
    added = await ground.person(email="pia@example.org", expires_at=end)
    path = f"{PEOPLE}/{added['id']}"

    renamed = await ground.call("PATCH", path, {"name": "Pina"}, if_match=1)
    emptied = await ground.call("PATCH", path, {"expires_at": None}, if_match=2)

    assert renamed.body == added | {"name": "Pina", "version": 2}
    assert emptied.body == renamed.body | {"expires_at": None, "version": 3}
    assert emptied.headers["ETag"] == '"3"'


async def test_an_edit_of_an_old_version_is_refused(ground: Ground) -> None:
    """The second of two edits from one version is told to read again."""
    path = f"{PEOPLE}/{(await ground.person())['id']}"
    await ground.call("PATCH", path, {"name": "First"}, if_match=1)

    second = await ground.call("PATCH", path, {"name": "Second"}, if_match=1)
    gone = await ground.call("DELETE", path, if_match=1)
    blind = await ground.call("PATCH", path, {"name": "Third"})

    assert (second.status, second.code) == (412, "stale")
    assert (gone.status, gone.code) == (412, "stale")
    assert (blind.status, blind.code) == (428, "if_match_missing")
    assert (await ground.call("GET", path)).body["name"] == "First"


async def test_an_empty_edit_of_a_null_name_is_refused(ground: Ground) -> None:
    """A name can be changed, not taken."""
    path = f"{PEOPLE}/{(await ground.person())['id']}"

    answer = await ground.call("PATCH", path, {"name": None}, if_match=1)

    assert (answer.status, answer.code) == (422, "validation_failed")


async def test_a_name_reaches_no_hub(ground: Ground) -> None:
    """Hubs know no names, so an edit of name and address asks for no revision."""
    hub = await ground.hub()
    added = await ground.person()
    wanted = (await ground.revisions())[hub["id"]]

    body = {"name": "Pina", "email": "pina@example.org"}
    answer = await ground.call("PATCH", f"{PEOPLE}/{added['id']}", body, if_match=1)

    assert answer.status == 200
    assert (await ground.revisions())[hub["id"]] == wanted


async def test_a_stay_reaches_the_hubs(ground: Ground) -> None:
    """Until when somebody stays asks for a revision of the hubs whose locks she may open."""
    one, two, other = [await ground.hub() for _ in range(3)]
    added = await ground.person()
    await ground.group(people=(added,), locks=tuple([await ground.lock(hub) for hub in (one, two)]))
    before = await ground.revisions()

    body = {"expires_at": "2026-06-01T00:00:00Z"}
    await ground.call("PATCH", f"{PEOPLE}/{added['id']}", body, if_match=1)

    after = await ground.revisions()
    assert {hub: after[hub] - before[hub] for hub in after} == {
        one["id"]: 1,
        two["id"]: 1,
        other["id"]: 0,
    }


async def test_a_deleted_person_leaves_nothing_that_opens(ground: Ground) -> None:
    """Credentials and memberships go with the person, and locks are told to forget."""
    pia = await ground.person()
    await ground.tag(pia)
    await ground.group(people=(pia,))

    gone = await ground.call("DELETE", f"{PEOPLE}/{pia['id']}", if_match=1)

    assert gone.status == 204
    for table in (people, credentials, group_people):
        assert await ground.count(table) == 0
    assert await ground.count(revoked_digests, revoked_at=NOW) == 1
    assert (await ground.call("GET", f"{PEOPLE}/{pia['id']}")).code == "not_found"


async def test_pages_show_everybody_once(ground: Ground) -> None:
    """Following the cursors gives all people, also while others are added."""
    added = {(await ground.person(f"P{number}", subscribed=False))["id"] for number in range(5)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await ground.call("GET", f"{PEOPLE}?limit=2{cursor}")).body
        seen += [person["id"] for person in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        await ground.person("Late", subscribed=False)

    assert added <= set(seen)
    assert len(seen) == len(set(seen))


async def test_unsubscribing_makes_locks_forget(ground: Ground) -> None:
    """The digests of an unsubscribed person are noted with the instant, a later one anew."""
    pia = await ground.person()
    await ground.tag(pia)
    path = f"{PEOPLE}/{pia['id']}"

    await ground.call("PATCH", path, {"subscribed": False}, if_match=1)
    assert await ground.count(revoked_digests, revoked_at=NOW) == 1
    await ground.call("PATCH", path, {"subscribed": True}, if_match=2)
    ground.calendar.at = later = NOW + timedelta(hours=1)
    await ground.call("PATCH", path, {"subscribed": False}, if_match=3)

    assert await ground.count(revoked_digests) == 1
    assert await ground.count(revoked_digests, revoked_at=later) == 1


@pytest.mark.invariant("A1")
async def test_an_end_brought_forward_makes_locks_forget(ground: Ground) -> None:
    """A memory may hold the later end; one that is put off or lifted is no reason to forget."""
    pia = await ground.person()
    await ground.tag(pia)
    noted = []
    for version, end in enumerate(
        ["2026-06-02", "2026-06-03", None, "2026-06-02", "2026-06-01"], 1
    ):
        ground.calendar.at += timedelta(hours=1)
        body = {"expires_at": end and f"{end}T00:00:00Z"}
        await ground.call("PATCH", f"{PEOPLE}/{pia['id']}", body, if_match=version)
        noted.append(await ground.count(revoked_digests, revoked_at=ground.calendar.at))

    assert noted == [1, 0, 0, 1, 1]


async def test_a_typed_address_ties_nobody_to_an_account(ground: Ground) -> None:
    """Neither when a person is added nor when it is edited: an invitation does, if accepted."""
    ada = await ground.person("Ada", email="ada@example.org")
    bob = await ground.person("Bob")
    await ground.call("PATCH", f"{PEOPLE}/{bob['id']}", {"email": "ada@example.org"}, if_match=1)

    assert await ground.count(people, id=ada["id"], account_id=None) == 1
    assert await ground.count(people, id=bob["id"], account_id=None) == 1


async def test_an_id_of_nobody_is_not_found(ground: Ground) -> None:
    """An absent person is named as what was looked for."""
    answer = await ground.call("PATCH", f"{PEOPLE}/{ABSENT}", {"name": "Pia"}, if_match=1)

    assert (answer.status, answer.code, answer.facts) == (404, "not_found", {"object": "person"})


def test_nothing_of_a_deleted_person_is_left_to_hang() -> None:
    """Every table that refers to people is emptied of a person before it goes."""
    referring = {
        table
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table is people
    }

    assert referring == set(TIED)
