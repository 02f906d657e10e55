"""The loop that does what is due."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select
from typing_extensions import override

from controller.chance import SystemRandomness
from controller.clock import ScaledCalendar, SystemLinkClock
from controller.db.engine import Database, Session
from controller.db.tables.idempotency import idempotency_keys
from controller.db.tables.sites import sites
from controller.db.tables.subscriptions import subscription_history, subscriptions
from controller.domain.subscription import Status
from controller.subscriptions.due import Due
from controller.sync.service import WAKE_HUBS
from controller.timers import BATCH, Timers
from controller.web.idempotency import AnswerBook
from tests.controller.subscriptions.world import DAY, NOON, WEEK, World

DEADLINE_S = 20


@pytest.fixture
async def world(database: Database) -> World:
    """A cloud with an owner and an installer."""
    settled = World(database)
    await settled.settle()
    return settled


class WorldCalendar:
    """The calendar of a world, moved by hand."""

    speed = 1

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        """Return the world's instant."""
        return self._world.now


class BrokenDue(Due):
    """Expiries that fail, as on a row that nobody expected."""

    @override
    async def expire(self, tx: Session, *, now: datetime, limit: int) -> int:
        raise ValueError("a row that nobody expected")


def timers(world: World, *, due: Due | None = None) -> Timers:
    """Return the timers of a world."""
    answers = AnswerBook(world.db, key=bytes(32), randomness=SystemRandomness(), link=world.link)
    return Timers(
        world.db,
        WorldCalendar(world),
        due=due or world.due,
        sync=world.sync,
        answers=answers,
        others={},
    )


async def fast_calendar(start: datetime, speed: int) -> ScaledCalendar:
    """Return a calendar that runs."""

    async def load() -> datetime:
        return start

    async def save(_: datetime) -> None:
        pass

    return await ScaledCalendar.start(SystemLinkClock(), speed=speed, load=load, save=save)


async def many(world: World, count: int) -> None:
    """Add sites whose subscription has ended, past the services."""
    ids = [f"{number:032x}" for number in range(count)]
    async with world.db.write() as tx:
        await tx.execute(
            insert(sites),
            [
                {
                    "id": one,
                    "name": "x",
                    "time_zone": "UTC",
                    "buy_from": "x",
                    "created_at": NOON,
                    "version": 1,
                }
                for one in ids
            ],
        )
        await tx.execute(
            insert(subscriptions),
            [
                {
                    "site_id": one,
                    "plan": "pro",
                    "users": 10,
                    "kind": "free_week",
                    "started_at": NOON,
                    "ends_at": NOON + WEEK,
                    "segments": [],
                    "rest": 0,
                    "catalogue_version": 1,
                    "expired": False,
                    "cancelled": False,
                    "version": 1,
                }
                for one in ids
            ],
        )


async def test_one_turn_does_all_that_is_due(world: World) -> None:
    """More sites than fit a batch are all expired, and a second turn finds nothing."""
    await many(world, 2 * BATCH + 1)
    world.now = NOON + WEEK

    first = await timers(world).turn()
    second = await timers(world).turn()

    async with world.db.read() as tx:
        left = await tx.execute(select(func.count()).where(~subscriptions.c.expired))
        entries = await tx.execute(select(func.count()).select_from(subscription_history))
        assert (left.scalar_one(), entries.scalar_one()) == (0, 2 * BATCH + 1)
    assert (first, second) == (2 * BATCH + 1, 0)


async def test_what_fails_holds_up_nothing_else(world: World) -> None:
    """While expiries fail, reminders and leases go on."""
    site_id = await world.site(time_zone="UTC")
    hub_id = await world.hub(site_id)
    world.now = NOON + WEEK - timedelta(hours=1)

    await timers(world, due=BrokenDue(world.audit, world.sync)).turn()

    assert "subscription.ending" in await world.announced(site_id)
    assert (await world.wanted(hub_id))[0] == 2


async def test_answers_are_forgotten_after_thirty_days(world: World) -> None:
    """The body of a remembered answer goes, its key stays taken."""
    row = {
        "actor": "a",
        "key": "k",
        "request_digest": b"d",
        "status": 201,
        "headers": {},
        "body_sealed": b"b",
        "created_at": world.link.utc() - 31 * DAY,
    }
    async with world.db.write() as tx:
        await tx.execute(insert(idempotency_keys), row)

    await timers(world).turn()

    async with world.db.read() as tx:
        kept = (await tx.execute(select(idempotency_keys))).one()
    assert (kept.key, kept.body_sealed) == ("k", None)


@pytest.fixture
async def running(world: World) -> AsyncIterator[World]:
    """A world whose timers run on a calendar an hour a second, an hour before a site's end."""
    calendar = await fast_calendar(NOON + WEEK - timedelta(hours=1), 3600)
    answers = AnswerBook(world.db, key=bytes(32), randomness=SystemRandomness(), link=world.link)
    loop = Timers(world.db, calendar, due=world.due, sync=world.sync, answers=answers, others={})
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(loop.run())
        yield world
        task.cancel()


@pytest.mark.invariant("E9")
async def test_the_loop_wakes_for_an_end(running: World) -> None:
    """Nobody calls it: the end comes, is recorded, and the hubs are told."""
    with running.bus.subscribe(WAKE_HUBS) as waiter:
        site_id = await running.site()
        while (await running.standing(site_id)).holdings.subscription.status is Status.RUNNING:
            assert await waiter.wait(DEADLINE_S)

    assert (await running.announced(site_id)).count("subscription.expired") == 1
