"""Offline lists over REST: what is granted fits into the locks, and everybody sees why."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import insert, select

from controller.access.offline_rows import state_of_locks
from controller.db.engine import Database
from controller.db.tables.access import group_people
from controller.db.tables.people import credentials, people
from controller.db.tables.records import audit_records
from controller.domain.ids import LockId
from controller.domain.offline import OfflineList, OfflineRules
from tests.controller.people.ground import NOW, OWN, Answer, Ground, served

CAPACITY = 39
SCHEDULES_MAX = 6


@pytest.fixture
async def ground(database: Database) -> Any:
    """Two sites with room for more people than a lock has."""
    async with served(database, users=CAPACITY + 10) as made:
        yield made


def offline_path(person: Any, credential: Any) -> str:
    """Return where a credential's offline access is."""
    return f"/sites/{OWN}/people/{person['id']}/credentials/{credential['id']}/offline"


async def grant(ground: Ground, person: Any, tag: Any, *, by: str = "ada") -> Answer:
    """Grant a tag offline access."""
    return await ground.call("PUT", offline_path(person, tag), by=by)


async def pin(ground: Ground, person: Any) -> Any:
    """Make a person a PIN."""
    return await ground.make(f"/people/{person['id']}/pins", {})


async def crowd(
    ground: Ground, count: int, group: Any, *, letter: str = "D", kind: str = "pin"
) -> list[Any]:
    """Write people into a group, the first of them subscribed first.

    Each holds a PIN, or a tag with offline access.
    """
    found = [
        {"id": f"{number:x}".rjust(32, letter.lower()), "name": f"{letter}{number}"}
        for number in range(count)
    ]
    async with ground.db.write() as tx:
        for number, one in enumerate(found):
            since = NOW + timedelta(seconds=number)
            kept = {"site_id": OWN, "created_at": NOW, "version": 1}
            await tx.execute(insert(people).values(**kept, **one, subscribed_at=since))
            await tx.execute(
                insert(credentials).values(
                    **kept,
                    id=held_by(one),
                    person_id=one["id"],
                    kind=kind,
                    digest=sha256(one["id"].encode()).digest()[:16],
                    label="",
                    offline=kind == "tag",
                )
            )
            member = {"group_id": group["id"], "person_id": one["id"]}
            await tx.execute(insert(group_people).values(site_id=OWN, **member))
    return found


def held_by(person: Any) -> str:
    """Return the id of what somebody in a crowd holds."""
    return str(person["id"])[::-1]


async def listed(ground: Ground, lock: Any, query: str = "") -> Any:
    """Return the explained offline list of a lock."""
    path = f"/sites/{OWN}/locks/{lock['id']}/offline-list{query}"
    return (await ground.call("GET", path)).body


async def compiled(ground: Ground, lock: Any) -> OfflineList:
    """Return the offline list of a lock by the rows of that lock alone."""
    async with ground.db.read() as tx:
        state = await state_of_locks(tx, OWN, [LockId(lock["id"])])
    return OfflineRules(state).list_of(state.locks[0])


async def full(ground: Ground, *, spare: int = 0) -> tuple[Any, Any]:
    """Make a lock with a full list, but for some places, and the group that fills it."""
    door = await ground.lock(await ground.hub())
    group = await ground.group(locks=(door,))
    await crowd(ground, CAPACITY - spare, group, kind="tag")
    return door, group


@pytest.mark.invariant("A7")
async def test_whatever_makes_a_list_too_long_is_refused(ground: Ground) -> None:
    """Granting, joining, adding the lock, subscribing and unblocking name lock, limit and use."""
    door, group = await full(ground)
    more = await ground.person("More")
    tag = await ground.tag(more)
    answers = {}

    apart = await ground.group(people=(more,))
    await ground.join(group, "people", more)
    answers["grant"] = await grant(ground, more, tag)
    await ground.leave(group, "people", more)
    assert (await grant(ground, more, tag)).status == 200
    answers["join"] = await ground.join(group, "people", more)
    answers["add lock"] = await ground.join(apart, "locks", door)
    path = f"/sites/{OWN}/people/{more['id']}"
    await ground.call("PATCH", path, {"subscribed": False}, if_match=1)
    assert (await ground.join(apart, "locks", door)).status == 204
    answers["subscribe"] = await ground.call("PATCH", path, {"subscribed": True}, if_match=2)
    held = f"{path}/credentials/{tag['id']}"
    await ground.call("PATCH", held, {"blocked": True}, if_match=2)
    await ground.call("PATCH", path, {"subscribed": True}, if_match=2)
    answers["unblock"] = await ground.call("PATCH", held, {"blocked": False}, if_match=3)
    answers["new tag"] = await ground.call(
        "POST", f"{path}/credentials", {"number": "deadbeef", "offline": True}
    )

    for way, answer in answers.items():
        assert (answer.status, answer.code) == (409, "offline_list_full"), way
        assert answer.facts == {
            "lock_id": door["id"],
            "limit": CAPACITY,
            "used": CAPACITY + 1,
            "remedy": "revoke_offline_access",
        }, way
        assert door["name"] in answer.body["detail"]
    assert (await listed(ground, door))["used"] == CAPACITY


@pytest.mark.invariant("A7")
async def test_racers_never_overfill_a_list(ground: Ground) -> None:
    """Of six who are granted the last place at once, one gets it."""
    door, group = await full(ground, spare=1)
    waiting = []
    for number in range(6):
        person = await ground.person(f"W{number}")
        waiting.append((person, await ground.tag(person)))
        await ground.join(group, "people", person)

    answers = await asyncio.gather(*(grant(ground, person, tag) for person, tag in waiting))

    assert sorted(answer.status for answer in answers) == [200, *[409] * 5]
    assert await ground.count(credentials, offline=True) == CAPACITY
    assert (await listed(ground, door))["used"] == CAPACITY


@pytest.mark.invariant("A7")
async def test_the_smallest_lock_decides(ground: Ground) -> None:
    """A credential that reaches a large and a full small lock is refused for the small one."""
    small, group = await full(ground)
    hub = await ground.hub()
    large = await ground.lock(hub, capacity=360)
    await ground.join(group, "locks", large)
    more = await ground.person("More")
    tag = await ground.tag(more)
    await ground.group(people=(more,), locks=(large, small))

    answer = await grant(ground, more, tag)

    assert answer.facts["lock_id"] == small["id"]
    assert (await listed(ground, large))["used"] == CAPACITY


async def test_a_lock_keeps_six_different_schedules(ground: Ground) -> None:
    """The seventh different schedule among a lock's offline credentials is refused."""
    door = await ground.lock(await ground.hub())
    answers = []
    for number in range(SCHEDULES_MAX + 1):
        window = {"weekday": 0, "start_min": number, "end_min": 1000}
        schedule = await ground.make("/schedules", {"name": f"S{number}", "windows": [window]})
        person = await ground.person(f"P{number}")
        await ground.tag(person, offline=True)
        group = await ground.group(locks=(door,), schedule_id=schedule["id"])
        answers.append(await ground.join(group, "people", person))

    assert [answer.status for answer in answers] == [*[204] * SCHEDULES_MAX, 409]
    assert answers[-1].code == "offline_schedules_full"
    assert answers[-1].facts["limit"] == SCHEDULES_MAX
    assert answers[-1].facts["used"] == SCHEDULES_MAX + 1


async def test_everybody_with_offline_access_is_explained(ground: Ground) -> None:
    """Who is on the list and by which group, who is not and why, and until when."""
    door = await ground.lock(await ground.hub())
    window = {"weekday": 0, "start_min": 0, "end_min": 60}
    schedule = await ground.make("/schedules", {"name": "Early", "windows": [window]})
    on, blocked, unsubscribed, without = [
        await ground.person(name) for name in ("On", "Blocked", "Unsubscribed", "Without")
    ]
    tags = {
        person["name"]: await ground.tag(person, offline=True, label=person["name"].lower())
        for person in (on, blocked, unsubscribed, without)
    }
    group = await ground.group(
        people=(on, blocked, unsubscribed), locks=(door,), schedule_id=schedule["id"]
    )
    end = (NOW + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    await ground.call("PATCH", f"/sites/{OWN}/people/{on['id']}", {"expires_at": end}, if_match=1)
    await ground.call(
        "PATCH",
        f"/sites/{OWN}/people/{blocked['id']}/credentials/{tags['Blocked']['id']}",
        {"blocked": True},
        if_match=1,
    )
    await ground.call(
        "PATCH", f"/sites/{OWN}/people/{unsubscribed['id']}", {"subscribed": False}, if_match=1
    )

    shown = await listed(ground, door)

    assert (shown["capacity"], shown["used"], shown["schedules_used"]) == (CAPACITY, 1, 1)
    reasons = {one["person_name"]: one["reason"] for one in shown["items"]}
    assert reasons == {
        "On": None,
        "Blocked": "credential_blocked",
        "Unsubscribed": "person_unsubscribed",
        "Without": "no_access_to_lock",
    }
    (first,) = (await listed(ground, door, "?listed=true"))["items"]
    assert first == {
        "credential_id": tags["On"]["id"],
        "kind": "tag",
        "label": "on",
        "person_id": on["id"],
        "person_name": "On",
        "listed": True,
        "reason": None,
        "group_ids": [group["id"]],
        "slots": 1,
        "at_all_times": False,
        "starts_at": None,
        "ends_at": end,
        "held": False,
        "pending": True,
        "since": None,
    }


async def test_a_list_is_shown_in_pages(ground: Ground) -> None:
    """Listed and left out, one after the other, each once."""
    door = await ground.lock(await ground.hub())
    people = [await ground.person(f"P{number}") for number in range(5)]
    for person in people:
        await ground.tag(person, offline=True)
    await ground.group(people=tuple(people[:3]), locks=(door,))
    seen, cursor = [], ""
    while True:
        page = await listed(ground, door, f"?listed=false&limit=1{cursor}")
        seen += [one["person_name"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert sorted(seen) == ["P3", "P4"]
    assert len((await listed(ground, door, "?listed=true"))["items"]) == 3


@pytest.mark.invariant("A7")
async def test_pins_are_listed_by_themselves_where_there_is_a_keypad(ground: Ground) -> None:
    """First subscribed first; who finds no slot is shown as such; elsewhere PINs are no matter."""
    hub = await ground.hub()
    door, plain = await ground.lock(hub, keypad=True), await ground.lock(hub)
    await crowd(ground, CAPACITY + 2, await ground.group(locks=(door, plain)))

    out = (await listed(ground, door, "?listed=false"))["items"]

    assert {one["person_name"] for one in out} == {"D39", "D40"}
    assert {one["reason"] for one in out} == {"no_slot"}
    assert (await listed(ground, door))["used"] == CAPACITY
    assert (await listed(ground, plain))["items"] == []


@pytest.mark.invariant("A7")
async def test_granting_says_whose_pin_gives_way(ground: Ground) -> None:
    """The answer and the audit record name the PIN that lost its place; nothing is silent."""
    door = await ground.lock(await ground.hub(), keypad=True)
    found = await crowd(ground, CAPACITY, await ground.group(locks=(door,)))
    first, last = found[0], found[-1]
    tag = await ground.tag(first)

    answer = await grant(ground, first, tag)
    again = await grant(ground, first, tag)

    lost = {
        "lock_id": door["id"],
        "credential_id": held_by(last),
        "person_id": last["id"],
    }
    assert (answer.status, answer.body["displaced"]) == (200, [lost])
    assert (again.status, again.body["displaced"]) == (200, [])
    assert again.body["version"] == answer.body["version"]
    async with ground.db.read() as tx:
        facts = (
            await tx.execute(
                select(audit_records.c.facts).where(
                    audit_records.c.action == "offline_access_granted"
                )
            )
        ).scalar_one()
    assert facts["displaced"] == [[door["id"], held_by(last)]]
    assert (await ground.call("DELETE", offline_path(first, tag))).status == 204
    assert (await listed(ground, door, "?listed=false"))["items"] == []


async def test_a_pin_is_granted_nothing(ground: Ground) -> None:
    """It is on lists by itself."""
    pia = await ground.person()
    made = await pin(ground, pia)

    answer = await grant(ground, pia, made)

    assert (answer.status, answer.code) == (409, "offline_automatic")


async def test_a_credential_is_shown_at_each_of_its_locks(ground: Ground) -> None:
    """Where it opens while the lock reaches no hub, and why not elsewhere."""
    hub = await ground.hub()
    door, other = await ground.lock(hub), await ground.lock(hub)
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    tag, plain = await ground.tag(pia, offline=True), await ground.tag(pia)
    await ground.group(people=(pia,), locks=(door,))
    await ground.group(people=(max_,), locks=(other,))

    shown = (await ground.call("GET", offline_path(pia, tag))).body["items"]
    refused = (await ground.call("GET", offline_path(pia, plain))).body["items"]

    assert [(one["lock_id"], one["listed"]) for one in shown] == [(door["id"], True)]
    assert [(one["lock_id"], one["reason"]) for one in refused] == [
        (door["id"], "offline_not_granted")
    ]


@pytest.mark.invariant("E4")
async def test_a_list_does_not_depend_on_the_instant(ground: Ground) -> None:
    """Before an end, after it, after the subscription's: the same rows give the same list."""
    door = await ground.lock(await ground.hub())
    pia = await ground.person(expires_at=(NOW + timedelta(hours=1)).isoformat())
    await ground.tag(pia, offline=True, ends_at=(NOW + timedelta(hours=2)).isoformat())
    await ground.group(people=(pia,), locks=(door,))
    lists = []
    for passed in (timedelta(0), timedelta(hours=3), timedelta(days=40)):
        ground.calendar.at = NOW + passed
        lists.append(await compiled(ground, door))

    assert len(lists[0].grants) == 1
    assert lists[0].grants[0].ends_at == NOW + timedelta(hours=1)
    assert lists[1:] == [lists[0]] * 2


async def test_the_rows_of_a_lock_alone_give_its_list(ground: Ground) -> None:
    """Whoever is not at the lock, has nothing offline or is out of line is not even read."""
    hub = await ground.hub()
    door, other = await ground.lock(hub, keypad=True), await ground.lock(hub, keypad=True)
    at_door = await crowd(ground, CAPACITY + 3, await ground.group(locks=(door,)))
    await crowd(ground, 3, await ground.group(locks=(other,)), letter="E")
    await ground.tag(at_door[1])
    offline = await ground.tag(at_door[0], offline=True)

    async with ground.db.read() as tx:
        part = await state_of_locks(tx, OWN, [LockId(door["id"])])
        whole = await state_of_locks(tx, OWN)
        room = await state_of_locks(tx, OWN, [LockId(door["id"])], pins=False)

    (here,) = part.locks
    assert OfflineRules(part).list_of(here).grants == OfflineRules(whole).list_of(here).grants
    assert len(part.credentials) == CAPACITY + 1
    assert [one.credential.id for one in room.credentials] == [offline["id"]]
