"""Access groups over REST."""

import asyncio

import pytest

from controller.db.tables.access import group_people
from controller.db.tables.people import revoked_digests
from tests.controller.people.ground import NOW, OWN, Ground

GROUPS = f"/sites/{OWN}/access-groups"


async def test_a_group_comes_back_with_its_members(ground: Ground) -> None:
    """People and locks of a group are listed."""
    pia, hub = await ground.person(), await ground.hub()
    door = await ground.lock(hub)
    group = await ground.group(people=(pia,), locks=(door,))

    path = f"{GROUPS}/{group['id']}"

    assert (await ground.call("GET", path)).body == group
    assert (await ground.call("GET", GROUPS)).body["items"] == [group]
    assert (await ground.call("GET", f"{path}/people")).body["items"] == [pia]
    assert (await ground.call("GET", f"{path}/locks")).body["items"] == [door]


async def test_doing_it_twice_changes_nothing(ground: Ground) -> None:
    """Joining and leaving are answered alike the second time, and leave no trace of it."""
    pia, hub = await ground.person(), await ground.hub()
    door = await ground.lock(hub)
    group = await ground.group(people=(pia,), locks=(door,))
    revisions, audited = await ground.revisions(), await ground.audited()

    again = [await ground.join(group, "people", pia), await ground.join(group, "locks", door)]

    assert [answer.status for answer in again] == [204, 204]
    assert (await ground.revisions(), await ground.audited()) == (revisions, audited)

    for _ in range(2):
        assert (await ground.leave(group, "people", pia)).status == 204
        assert (await ground.leave(group, "locks", door)).status == 204
    assert len(await ground.audited()) == len(audited) + 2


async def test_the_same_person_put_in_at_once_is_in_once(ground: Ground) -> None:
    """Ten who put one person into one group at once are all content, and it is there once."""
    pia, group = await ground.person(), await ground.group()

    answers = await asyncio.gather(*(ground.join(group, "people", pia) for _ in range(10)))

    assert {answer.status for answer in answers} == {204}
    assert await ground.count(group_people) == 1
    assert (await ground.audited()).count("group_joined") == 1


@pytest.mark.parametrize("way", ["person leaves", "lock leaves", "group is deleted"])
async def test_a_right_taken_away_makes_locks_forget(ground: Ground, way: str) -> None:
    """Whatever takes a right away notes the digests of those who had it."""
    pia, hub = await ground.person(), await ground.hub()
    stranger = await ground.person("Stranger")
    await ground.tag(pia)
    await ground.tag(stranger)
    door = await ground.lock(hub)
    group = await ground.group(people=(pia,), locks=(door,))

    match way:
        case "person leaves":
            await ground.leave(group, "people", pia)
        case "lock leaves":
            await ground.leave(group, "locks", door)
        case _:
            await ground.call("DELETE", f"{GROUPS}/{group['id']}", if_match=1)

    assert await ground.count(revoked_digests, revoked_at=NOW) == 1


@pytest.mark.invariant("A9")
async def test_another_group_keeps_the_door_open(ground: Ground) -> None:
    """Leaving one of two groups with a door leaves the right by the other, leaving both none."""
    pia, hub = await ground.person(), await ground.hub()
    await ground.tag(pia)
    door = await ground.lock(hub)
    one = await ground.group(people=(pia,), locks=(door,))
    two = await ground.group(people=(pia,), locks=(door,))
    why = f"/sites/{OWN}/people/{pia['id']}/locks/{door['id']}/why"

    await ground.leave(one, "people", pia)
    first = (await ground.call("GET", why)).body
    await ground.leave(two, "people", pia)
    second = (await ground.call("GET", why)).body

    assert (first["allowed"], first["group_id"]) == (True, two["id"])
    assert (second["allowed"], second["reason"]) == (False, "no_access_to_lock")


async def test_the_group_too_many_is_refused(ground: Ground) -> None:
    """A section has room for a hundred groups of a person."""
    pia = await ground.person()
    for _ in range(100):
        await ground.group(people=(pia,))
    more = await ground.group()

    answer = await ground.join(more, "people", pia)

    assert (answer.status, answer.code) == (409, "too_many_groups")
    assert answer.facts == {
        "person_id": pia["id"],
        "limit": 100,
        "used": 100,
        "remedy": "leave_group",
    }
    assert await ground.count(group_people) == 100


@pytest.mark.parametrize(("field", "revisions"), [("name", 0), ("schedule_id", 1)])
async def test_a_groups_schedule_reaches_the_hubs(
    ground: Ground, field: str, revisions: int
) -> None:
    """A new schedule asks for a revision, a new name does not; null means at all times."""
    hub = await ground.hub()
    window = {"weekday": 0, "start_min": 0, "end_min": 60}
    schedule = await ground.make("/schedules", {"name": "Office", "windows": [window]})
    group = await ground.group(locks=(await ground.lock(hub),), schedule_id=schedule["id"])
    before = (await ground.revisions())[hub["id"]]

    edit = {field: {"name": "Other", "schedule_id": None}[field]}
    answer = await ground.call("PATCH", f"{GROUPS}/{group['id']}", edit, if_match=1)

    assert answer.body == group | edit | {"version": 2}
    assert (await ground.revisions())[hub["id"]] - before == revisions


async def test_two_groups_of_a_site_have_two_names(ground: Ground) -> None:
    """A name is taken once."""
    group = await ground.group()

    answer = await ground.call("POST", GROUPS, {"name": group["name"]})

    assert (answer.status, answer.code) == (409, "name_taken")


async def test_an_old_version_of_a_group_is_refused(ground: Ground) -> None:
    """Edits and deletions name the version they were made from."""
    path = f"{GROUPS}/{(await ground.group())['id']}"
    await ground.call("PATCH", path, {"name": "One"}, if_match=1)

    edited = await ground.call("PATCH", path, {"name": "Two"}, if_match=1)
    gone = await ground.call("DELETE", path, if_match=1)

    assert (edited.status, edited.code, gone.status) == (412, "stale", 412)


async def test_a_group_keeps_its_frame(ground: Ground) -> None:
    """Check-in and check-out come back at whole seconds in UTC; null takes one away."""
    frame = {"starts_at": "2026-03-02T15:00:00.9+01:00", "ends_at": "2026-03-05T10:00:00Z"}
    made = await ground.make("/access-groups", {"name": "Room 1", **frame})
    path = f"{GROUPS}/{made['id']}"

    opened = await ground.call("PATCH", path, {"ends_at": None}, if_match=1)

    assert made["starts_at"] == "2026-03-02T14:00:00Z"
    assert made["ends_at"] == "2026-03-05T10:00:00Z"
    assert opened.body == made | {"ends_at": None, "version": 2}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"ends_at": "2026-03-02T12:00:00Z"}, "invalid_frame", "ends_at"),
        ({"ends_at": "2026-03-02T12:00:00.9Z"}, "invalid_frame", "ends_at"),
        ({"ends_at": "2026-03-02T11:59:59Z"}, "invalid_frame", "ends_at"),
        ({"ends_at": "1969-12-31T23:59:59Z"}, "invalid", "ends_at"),
        ({"starts_at": "2100-01-01T00:00:01Z"}, "invalid", "starts_at"),
        ({"starts_at": "2026-03-02T12:00:00"}, "validation_failed", "starts_at"),
        ({"starts_at": 1_772_452_800}, "validation_failed", "starts_at"),
        ({"name": "Ro\u202eom"}, "validation_failed", "name"),
        ({"schedule_id": "office"}, "validation_failed", "schedule_id"),
        ({"people": []}, "validation_failed", "people"),
    ],
)
async def test_what_a_group_cannot_be_names_the_field(
    ground: Ground, body: dict[str, object], code: str, field: str
) -> None:
    """An end that is not after the start, an instant without a zone: nothing of it is written."""
    start = {"starts_at": "2026-03-02T12:00:00Z"}
    kept = await ground.make("/access-groups", {"name": "Kept", **start})

    made = await ground.call("POST", GROUPS, {"name": "Room", **start, **body})
    edited = await ground.call("PATCH", f"{GROUPS}/{kept['id']}", body, if_match=1)

    for answer in (made, edited):
        assert (answer.status, answer.code) == (422, code)
        errors = answer.body.get("errors", [])
        assert (errors[0]["field"] if errors else answer.facts["field"]) == field
    assert (await ground.call("GET", GROUPS)).body["items"] == [kept]


async def test_a_groups_name_with_markup_is_a_text(ground: Ground) -> None:
    """What looks like markup, or is written from the right, comes back letter by letter."""
    for name in ("<img src=x>", "צוות", "a\u200cb"):
        assert (await ground.make("/access-groups", {"name": name}))["name"] == name


FRAME = {"starts_at": "2026-03-01T12:00:00Z", "ends_at": "2026-03-08T12:00:00Z"}
YEAR = {"windows": [{"weekday": 0, "start_min": 0, "end_min": 60}]}


@pytest.mark.parametrize(
    ("edit", "noted", "revisions"),
    [
        ({"ends_at": "2026-03-07T12:00:00Z"}, 1, 1),
        ({"starts_at": "2026-03-02T12:00:00Z"}, 1, 1),
        ({"ends_at": "2026-03-09T12:00:00Z"}, 0, 1),
        ({"starts_at": None, "ends_at": None}, 0, 1),
        (dict(FRAME), 0, 0),
        ({"name": "Other"}, 0, 0),
        ({"schedule_id": "hours"}, 0, 1),
        ({"schedule_id": "days"}, 1, 1),
    ],
)
async def test_time_that_is_lost_makes_locks_forget(
    ground: Ground, edit: dict[str, object], noted: int, revisions: int
) -> None:
    """A frame cut short, or a schedule with fewer days, notes all members; more time nobody."""
    pia, stranger, hub = await ground.person(), await ground.person("Other"), await ground.hub()
    await ground.tag(pia)
    await ground.tag(stranger)
    door = await ground.lock(hub)
    schedules = {
        "hours": await ground.make("/schedules", YEAR | {"name": "Hours"}),
        "days": await ground.make("/schedules", YEAR | {"name": "Days", "ends_on": "2027-01-01"}),
    }
    if "schedule_id" in edit:
        edit = {"schedule_id": schedules[str(edit["schedule_id"])]["id"]}
    group = await ground.make("/access-groups", {"name": "Room", **FRAME})
    await ground.join(group, "people", pia)
    await ground.join(group, "locks", door)
    before = (await ground.revisions())[hub["id"]]

    answer = await ground.call("PATCH", f"{GROUPS}/{group['id']}", edit, if_match=1)

    assert answer.status == 200
    assert await ground.count(revoked_digests, revoked_at=NOW) == noted
    assert (await ground.revisions())[hub["id"]] - before == revisions
