"""Lockers: whose they are, how many there may be, and what is left of them without the plan."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert

from controller.access import part_rows
from controller.db.engine import Database
from controller.db.tables.access import lockers
from controller.db.tables.hardware import locks
from controller.domain.hardware import FIRST_LOCK_EPOCH
from tests.controller.people.ground import FOREIGN, NOW, OWN, Answer, Ground, served
from vouchers.products import Plan

LOCKERS = f"/sites/{OWN}/lockers"


async def locker(ground: Ground, kind: str = "personal", **more: object) -> Any:
    """Make a lock a locker."""
    lock = await ground.lock(await ground.hub())
    body = {"lock_id": lock["id"], "name": f"Locker {lock['name']}", "kind": kind}
    return await ground.make("/lockers", body | more)


async def assign(ground: Ground, made: Any, person: Any) -> Answer:
    """Give a locker to a person."""
    return await ground.call("PUT", f"{LOCKERS}/{made['id']}/people/{person['id']}")


async def opens(ground: Ground, made: Any, person: Any) -> bool:
    """Return whether a person may open a locker now, and that hubs are told the same."""
    path = f"/sites/{OWN}/people/{person['id']}/locks/{made['lock_id']}/why"
    is_allowed = bool((await ground.call("GET", path)).body["allowed"])
    async with ground.db.read() as tx:
        group_ids = await part_rows.groups_with(tx, OWN, [made["lock_id"]])
        groups = await part_rows.groups_by(tx, OWN, group_ids)
        members = await part_rows.members_of(tx, OWN, group_ids)
    told = {
        person_id
        for group in groups.values()
        if made["lock_id"] in group.lock_ids
        for person_id in members.get(group.id, ())
    }
    assert (person["id"] in told) is is_allowed
    return is_allowed


async def test_a_personal_locker_opens_to_its_people_only(ground: Ground) -> None:
    """Whoever it is assigned to opens it, up to the moment when it is taken away again."""
    made = await locker(ground)
    pia, rob = await ground.person("Pia"), await ground.person("Rob")
    for person in (pia, rob):
        await ground.tag(person)

    assert (await assign(ground, made, pia)).status == 204
    assert [await opens(ground, made, one) for one in (pia, rob)] == [True, False]
    holders = (await ground.call("GET", f"{LOCKERS}/{made['id']}/people")).body["items"]
    assert [holder["id"] for holder in holders] == [pia["id"]]

    path = f"{LOCKERS}/{made['id']}/people/{pia['id']}"
    assert (await ground.call("DELETE", path)).status == 204
    assert not await opens(ground, made, pia)


async def test_a_free_locker_opens_to_the_people_of_its_groups(ground: Ground) -> None:
    """Nobody is assigned to it; its lock is told that whoever takes it keeps it."""
    made = await locker(ground, "free")
    pia = await ground.person()
    await ground.tag(pia)
    await ground.group(people=(pia,), locks=({"id": made["lock_id"]},))

    assert await opens(ground, made, pia)
    async with ground.db.read() as tx:
        (lock,) = (await part_rows.locks_by(tx, OWN, [made["lock_id"]])).values()
    assert lock.free_locker
    assert (await assign(ground, made, pia)).code == "locker_not_personal"


async def test_a_personal_locker_is_in_no_group(ground: Ground) -> None:
    """Nobody else gets at it by another way: not before it was made, not after."""
    lock = await ground.lock(await ground.hub())
    group = await ground.group(locks=(lock,))
    body = {"lock_id": lock["id"], "name": "L", "kind": "personal"}

    assert (await ground.call("POST", LOCKERS, body)).code == "lock_in_groups"
    await ground.leave(group, "locks", lock)
    await ground.make("/lockers", body)

    assert (await ground.join(group, "locks", lock)).code == "lock_is_locker"


async def test_a_lock_is_one_locker(ground: Ground) -> None:
    """The same lock cannot be two lockers, and two lockers cannot share a name."""
    made = await locker(ground)
    other = await ground.lock(await ground.hub())

    twice = await ground.call("POST", LOCKERS, {"lock_id": made["lock_id"], "name": "Other"})
    named = await ground.call("POST", LOCKERS, {"lock_id": other["id"], "name": made["name"]})

    assert (twice.code, named.code) == ("lock_is_locker", "name_taken")


async def test_the_lock_of_another_site_is_no_locker_here(ground: Ground) -> None:
    """A foreign lock answers like an absent one."""
    foreign = await ground.lock(await ground.hub(site=FOREIGN, by="bob"), site=FOREIGN, by="bob")

    answers = [
        await ground.call("POST", LOCKERS, {"lock_id": lock_id, "name": "L"})
        for lock_id in (foreign["id"], "0" * 32)
    ]

    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].body["detail"] == answers[1].body["detail"]


@pytest.mark.invariant("V11")
async def test_without_the_plan_a_locker_is_seen_and_opens_to_nobody(ground: Ground) -> None:
    """On Lite it stays as it is, unusable; on Pro it works again, unchanged."""
    made = await locker(ground)
    pia = await ground.person()
    await ground.tag(pia)
    await assign(ground, made, pia)

    await ground.sell(Plan.LITE)
    shown = (await ground.call("GET", f"{LOCKERS}/{made['id']}")).body
    assert shown == made | {"usable": False}
    assert not await opens(ground, made, pia)
    refused = await ground.call("PATCH", f"{LOCKERS}/{made['id']}", {"name": "X"}, if_match=1)
    assert (refused.status, refused.code) == (403, "feature_not_entitled")

    await ground.sell(Plan.PRO)
    assert (await ground.call("GET", f"{LOCKERS}/{made['id']}")).body == made
    assert await opens(ground, made, pia)


@pytest.mark.invariant("V11")
async def test_a_free_locker_without_the_plan_opens_to_nobody(ground: Ground) -> None:
    """Its lock's groups give no right while the locker may not be used."""
    made = await locker(ground, "free")
    pia = await ground.person()
    await ground.tag(pia)
    await ground.group(people=(pia,), locks=({"id": made["lock_id"]},))

    await ground.sell(Plan.LITE)

    assert not await opens(ground, made, pia)


@pytest.mark.invariant("V12")
async def test_the_locker_too_many_is_refused_aloud(database: Database) -> None:
    """192 are Pro's; the next one names limit, usage and remedy, and two racers do not get past."""
    async with served(database) as ground:
        hub = await ground.hub()
        await fill(ground, await ground.hub(), 191)
        pair = [await ground.lock(hub), await ground.lock(hub)]

        answers = await asyncio.gather(
            *(
                ground.call("POST", LOCKERS, {"lock_id": lock["id"], "name": lock["name"]})
                for lock in pair
            )
        )

        assert sorted(answer.status for answer in answers) == [201, 409]
        (refused,) = [answer for answer in answers if answer.status == 409]
        assert refused.code == "limit_reached"
        assert refused.facts == {
            "component": "lockers",
            "limit": 192,
            "used": 192,
            "adding": 1,
            "remedy": "remove_or_redeem_seat_voucher",
        }


@pytest.mark.invariant("V12")
async def test_seats_that_run_out_shut_the_newest_lockers(ground: Ground) -> None:
    """What is beyond the limit is shut, newest first, and the oldest go on."""
    await fill(ground, await ground.hub(), 194)

    async with ground.db.write() as tx:
        await ground.services.gates.settle(tx, OWN, now=NOW)

    async with ground.db.read() as tx:
        rows = await tx.execute(lockers.select().order_by(lockers.c.id))
        usable = [row.usable for row in rows]
    assert usable == [True] * 192 + [False] * 2


async def fill(ground: Ground, hub: Any, count: int) -> None:
    """Write lockers with their locks, all made at the same instant, so ordered by id."""
    ids = [f"{number:032x}" for number in range(1, count + 1)]
    async with ground.db.write() as tx:
        await tx.execute(
            insert(locks),
            [
                {
                    "site_id": OWN,
                    "id": lock_id,
                    "hub_id": hub["id"],
                    "serial": f"S{lock_id}"[:33],
                    "name": lock_id,
                    "public_key": bytes(32),
                    "pairing": b"-",
                    "capacity": 39,
                    "open_s": 3,
                    "memory_days": 7,
                    "epoch": FIRST_LOCK_EPOCH,
                    "order_number": 0,
                    "created_at": NOW,
                    "paired": False,
                    "log_epoch": 0,
                    "version": 1,
                    "released_at": NOW,  # on no hub any more, so that the hub has room
                }
                for lock_id in ids
            ],
        )
        await tx.execute(
            insert(lockers),
            [
                {
                    "site_id": OWN,
                    "id": lock_id,
                    "lock_id": lock_id,
                    "name": lock_id,
                    "kind": "free",
                    "usable": True,
                    "created_at": NOW,
                    "version": 1,
                }
                for lock_id in ids
            ],
        )
