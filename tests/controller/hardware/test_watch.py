"""What lasts is noticed: devices that stay away, revocations that no lock confirms."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from controller.db.tables.activity import incidents
from controller.db.tables.hardware import hubs, locks
from controller.hardware.watch import LOOK_S, Watch
from controller.sync import repository as sync
from tests.controller.ground import Audience
from tests.controller.hardware.building import Building, built
from tests.controller.people.ground import NOW, OWN, Ground

TAG = "04A1B2C3D4"


class Guard:
    """Looks at a ground, now and again."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.audience = Audience()
        self.begin()

    def begin(self) -> None:
        """Be a new process."""
        self.watch = Watch(link=self.ground.link, audience=self.audience)

    async def wait(self, seconds: float) -> None:
        """Let time pass and look every few seconds."""
        while seconds > 0:
            step = min(LOOK_S, seconds)
            self.ground.link.now_s += step
            self.ground.link.at += timedelta(seconds=step)
            self.ground.calendar.at += timedelta(seconds=step)
            seconds -= step
            await self.look()

    async def look(self) -> None:
        """Look once."""
        async with self.ground.db.write() as tx:
            await self.watch(tx, now=self.ground.calendar.now(), limit=100)

    async def found(self) -> list[tuple[str, bool]]:
        """Return the incidents, and whether each is over."""
        some = select(incidents).order_by(incidents.c.received_at, incidents.c.kind)
        async with self.ground.db.read() as tx:
            return [(row.kind, row.over_at is not None) for row in await tx.execute(some)]


@pytest.fixture
def guard(ground: Ground) -> Guard:
    """A guard of two served sites."""
    return Guard(ground)


async def presence(ground: Ground, hub: Any, *, online: bool) -> None:
    """Let the gateway say that a hub came or went."""
    there, gone = ([hub["id"]], []) if online else ([], [hub["id"]])
    async with ground.db.write() as tx:
        await sync.presence(tx, online=there, offline=gone, now=ground.calendar.now())


async def test_a_hub_that_stays_away_is_one_incident(ground: Ground, guard: Guard) -> None:
    """It begins after a minute, at the instant it went, and is over when the hub is back."""
    hub = await ground.hub()
    await presence(ground, hub, online=True)
    await guard.wait(30)
    await presence(ground, hub, online=False)
    went_at = ground.calendar.at

    await guard.wait(55)
    assert await guard.found() == []
    await guard.wait(600)
    assert await guard.found() == [("hub_offline", False)]
    await presence(ground, hub, online=True)
    came_at = ground.calendar.at
    await guard.wait(LOOK_S)

    async with ground.db.read() as tx:
        (row,) = await tx.execute(select(incidents))
    assert (row.at, row.over_at, row.hub_id) == (went_at, came_at, hub["id"])
    assert [each.kind for each in guard.audience.heard] == ["hub_offline"]


async def test_a_line_that_flaps_makes_no_flood(ground: Ground, guard: Guard) -> None:
    """A hub that is away for less than a minute, a hundred times, is no incident."""
    hub = await ground.hub()

    for _ in range(100):
        await presence(ground, hub, online=False)
        await guard.wait(55)
        await presence(ground, hub, online=True)
        await guard.wait(1)

    assert await guard.found() == []


async def test_while_nobody_knows_nothing_begins_and_nothing_ends(
    ground: Ground, guard: Guard
) -> None:
    """Without the broker a hub is neither away nor back."""
    hub = await ground.hub()
    await presence(ground, hub, online=False)
    await guard.wait(100)
    async with ground.db.write() as tx:
        await sync.presence_unknown(tx, now=ground.calendar.now())
    await guard.wait(100)
    assert await guard.found() == [("hub_offline", False)]

    await presence(ground, hub, online=True)
    async with ground.db.write() as tx:
        await sync.presence_unknown(tx, now=ground.calendar.now())
    await guard.wait(100)
    assert await guard.found() == [("hub_offline", False)]


async def test_another_process_goes_on_with_the_same_incident(ground: Ground, guard: Guard) -> None:
    """After a restart it is still one, and it ends when the hub is back."""
    hub = await ground.hub()
    await presence(ground, hub, online=False)
    await guard.wait(100)

    guard.begin()
    await guard.wait(100)
    assert await guard.found() == [("hub_offline", False)]
    await presence(ground, hub, online=True)
    await guard.wait(LOOK_S)

    assert await guard.found() == [("hub_offline", True)]
    assert len(guard.audience.heard) == 1


async def test_a_lock_that_its_hub_does_not_reach_is_one_incident(
    ground: Ground, guard: Guard
) -> None:
    """It goes on while its hub is away too, and is over when the lock is heard again."""
    hub = await ground.hub()
    lock = await ground.lock(hub)
    await presence(ground, hub, online=True)
    await say(ground, lock, online=False)

    await guard.wait(100)
    await presence(ground, hub, online=False)
    await guard.wait(10)
    await presence(ground, hub, online=True)
    await say(ground, lock, online=False)
    await guard.wait(100)
    assert await guard.found() == [("lock_offline", False)]
    await say(ground, lock, online=True)
    await guard.wait(LOOK_S)

    assert await guard.found() == [("lock_offline", True)]


async def say(ground: Ground, lock: Any, **values: object) -> None:
    """Let a hub say how its lock stands."""
    async with ground.db.write() as tx:
        await tx.execute(
            update(locks)
            .where(locks.c.id == lock["id"])
            .values(**values, online_since=ground.calendar.now())
        )


async def test_a_device_that_is_gone_for_good_is_no_incident_any_more(
    ground: Ground, guard: Guard
) -> None:
    """A hub that was retired, and a lock that has left, are not waited for."""
    hub = await ground.hub()
    lock = await ground.lock(hub)
    await presence(ground, hub, online=False)
    await say(ground, lock, online=False)
    await guard.wait(100)
    assert sorted(await guard.found()) == [("hub_offline", False), ("lock_offline", False)]

    await ground.call("DELETE", f"/sites/{OWN}/locks/{lock['id']}", if_match=1)
    await ground.call("DELETE", f"/sites/{OWN}/hubs/{hub['id']}", if_match=1)
    await guard.wait(LOOK_S)

    assert sorted(await guard.found()) == [("hub_offline", True), ("lock_offline", True)]


@pytest.fixture
async def building(ground: Ground, tmp_path: Path) -> AsyncIterator[Building]:
    """The served sites with hardware to come."""
    async with built(ground, tmp_path) as made:
        yield made


async def test_a_revocation_that_no_lock_confirms_is_an_incident(
    building: Building, guard: Guard
) -> None:
    """A minute after the edit, at each lock that may not have heard; over when it has."""
    ground = building.ground
    made = await ground.hub()
    hub = await building.claimed(made)
    door, lock = await building.mounted(made, hub)
    pia = await ground.person()
    await ground.make(f"/people/{pia['id']}/credentials", {"number": TAG})
    group = await ground.group(people=(pia,), locks=(door,))
    await building.pass_by(30)
    building.tap(lock, bytes.fromhex(TAG))
    await guard.look()
    lock.has_radio = False

    await ground.call("PATCH", f"/sites/{OWN}/locks/{door['id']}", {"open_s": 9}, if_match=1)
    await building.pass_by(5)
    await guard.wait(200)
    assert await guard.found() == []  # the lock lacks a setting, which takes nobody's right
    await ground.leave(group, "people", pia)
    await building.pass_by(5)
    await guard.wait(60)
    assert await guard.found() == []
    await guard.wait(LOOK_S)

    assert ("revocation_unconfirmed", False) in await guard.found()
    lock.has_radio = True
    await building.pass_by(60)
    await guard.wait(LOOK_S)
    assert ("revocation_unconfirmed", True) in await guard.found()
    async with ground.db.read() as tx:
        row = (await tx.execute(select(incidents))).first()
    assert row is not None
    assert (row.lock_id, row.hub_id) == (door["id"], made["id"])


async def test_a_revocation_that_is_confirmed_is_none(building: Building, guard: Guard) -> None:
    """However long ago, and whatever else the lock lacks later."""
    ground = building.ground
    made = await ground.hub()
    hub = await building.claimed(made)
    door, lock = await building.mounted(made, hub)
    pia = await ground.person()
    await ground.make(f"/people/{pia['id']}/credentials", {"number": TAG})
    group = await ground.group(people=(pia,), locks=(door,))
    await building.pass_by(30)
    await ground.leave(group, "people", pia)
    await building.pass_by(30)
    await guard.look()
    await guard.wait(30)

    building.cut_uplink(hub)
    await ground.call("PATCH", f"/sites/{OWN}/locks/{door['id']}", {"open_s": 9}, if_match=1)
    await guard.wait(300)

    assert lock.now.memory == {}
    assert [kind for kind, _ in await guard.found() if kind == "revocation_unconfirmed"] == []


async def test_a_battery_that_was_changed_is_low_no_more(ground: Ground, guard: Guard) -> None:
    """What the log has begun ends with what the lock tells of its battery."""
    hub = await ground.hub()
    lock = await ground.lock(hub)
    await say(ground, lock, online=True, battery=15)
    async with ground.db.write() as tx:
        await tx.execute(
            incidents.insert().values(
                site_id=OWN,
                id="1" * 32,
                kind="battery_low",
                lock_id=lock["id"],
                hub_id=hub["id"],
                at=NOW,
                received_at=NOW,
                facts={},
            )
        )

    await guard.wait(100)
    assert await guard.found() == [("battery_low", False)]
    await say(ground, lock, battery=36)
    await guard.wait(LOOK_S)

    assert await guard.found() == [("battery_low", True)]
    async with ground.db.read() as tx:
        assert (await tx.execute(select(hubs.c.id))).scalars().all() == [hub["id"]]
