"""Offline lists over REST: what is granted fits into the locks, and everybody sees why."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from controller.access.queries import site_state
from controller.db.engine import Database
from controller.db.tables.people import credentials
from controller.domain.ids import LockId
from controller.domain.offline import offline_list
from tests.controller.people.ground import NOW, OWN, Answer, Ground, served

CAPACITY = 39
SCHEDULES_MAX = 6


@pytest.fixture
async def ground(database: Database) -> Any:
    """Two sites with room for more people than a lock has."""
    async with served(database, users=CAPACITY + 10) as made:
        yield made


async def grant(ground: Ground, person: Any, tag: Any, version: int = 1) -> Answer:
    """Grant a tag offline access."""
    path = f"/sites/{OWN}/people/{person['id']}/credentials/{tag['id']}"
    return await ground.call("PATCH", path, {"offline": True}, if_match=version)


async def listed(ground: Ground, lock: Any) -> Any:
    """Return the explained offline list of a lock."""
    return (await ground.call("GET", f"/sites/{OWN}/locks/{lock['id']}/offline-list")).body


async def full(ground: Ground, *, spare: int = 0) -> tuple[Any, Any]:
    """Make a lock with a full list, but for some places, and the group that fills it."""
    door = await ground.lock(await ground.hub())
    group = await ground.group(locks=(door,))
    for number in range(CAPACITY - spare):
        person = await ground.person(f"P{number}")
        await ground.tag(person, offline=True)
        await ground.join(group, "people", person)
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

    assert (shown["capacity"], shown["used"]) == (CAPACITY, 1)
    reasons = {one["person_name"]: one["reason"] for one in shown["credentials"]}
    assert reasons == {
        "On": None,
        "Blocked": "credential_blocked",
        "Unsubscribed": "person_unsubscribed",
        "Without": "no_access_to_lock",
    }
    (first,) = [one for one in shown["credentials"] if one["listed"]]
    assert first == {
        "credential_id": tags["On"]["id"],
        "label": "on",
        "person_id": on["id"],
        "person_name": "On",
        "listed": True,
        "reason": None,
        "group_ids": [group["id"]],
        "at_all_times": False,
        "ends_at": end,
    }


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
        async with ground.db.read() as tx:
            lists.append(offline_list(await site_state(tx, OWN), LockId(door["id"])))

    assert len(lists[0]) == 1
    assert lists[0][0].ends_at == NOW + timedelta(hours=1)
    assert lists[1:] == [lists[0]] * 2


async def test_the_part_that_lists_need_gives_the_same_lists(ground: Ground) -> None:
    """Reading offline holders only leaves out nobody who is on a list."""
    door = await ground.lock(await ground.hub())
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    await ground.tag(pia, offline=True)
    await ground.tag(pia)
    await ground.tag(max_)
    await ground.group(people=(pia, max_), locks=(door,))

    async with ground.db.read() as tx:
        whole = await site_state(tx, OWN)
        part = await site_state(tx, OWN, offline_only=True)

    assert offline_list(part, LockId(door["id"])) == offline_list(whole, LockId(door["id"]))
    assert len(part.credentials) == 1
    assert len(whole.credentials) == 3
