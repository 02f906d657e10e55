"""Access groups over REST."""

import asyncio
from itertools import product

import pytest

from controller.access.queries import site_state
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
async def test_leaving_takes_every_right_that_has_no_other_path(ground: Ground) -> None:
    """After any mixture of joining and leaving, the rights are those of the groups left."""
    hub = await ground.hub()
    doors = [await ground.lock(hub) for _ in range(3)]
    people = [await ground.person(f"P{number}") for number in range(3)]
    groups = [await ground.group() for _ in range(3)]
    wanted: dict[str, tuple[set[str], set[str]]] = {g["id"]: (set(), set()) for g in groups}
    steps = [(g, p, d, (g + 2 * p + d) % 4) for g, p, d in product(range(3), repeat=3)]

    for g, p, d, how in [*steps, *reversed(steps)]:
        group, person, door = groups[g], people[p], doors[d]
        persons, locks = wanted[group["id"]]
        if how in {0, 1}:
            await ground.join(group, "people", person)
            persons.add(person["id"])
        if how in {1, 2}:
            await ground.join(group, "locks", door)
            locks.add(door["id"])
        if how == 3:
            await ground.leave(group, "people", person)
            persons.discard(person["id"])
            await ground.leave(group, "locks", door)
            locks.discard(door["id"])

    rights = {pair for persons, locks in wanted.values() for pair in product(persons, locks)}
    async with ground.db.read() as tx:
        state = await site_state(tx, OWN)
    stored = {pair for group in state.groups for pair in product(group.person_ids, group.lock_ids)}
    assert rights
    assert stored == rights


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
