"""What a subscription does by itself, whoever runs the timer and however often."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select

from controller.db.tables.records import outbox
from controller.db.tables.subscriptions import subscriptions
from controller.domain.history import fold
from controller.domain.ids import SiteId
from controller.domain.subscription import Expired, FreeWeekStarted, PlanRedeemed, Status
from controller.subscriptions.due import next_due_at
from tests.controller.subscriptions.world import DAY, NOON, WEEK, World, plan


async def remind(world: World) -> int:
    """Run one batch of the reminder timer."""
    async with world.db.write() as tx:
        return await world.due.remind(tx, now=world.now, limit=200)


async def reminders(world: World, site_id: SiteId) -> list[int]:
    """Return the reminders of a site, as days before the end."""
    query = select(outbox.c.facts).where(
        outbox.c.site_id == site_id, outbox.c.kind == "subscription.ending"
    )
    async with world.db.read() as tx:
        found = (await tx.execute(query.order_by(outbox.c.id))).scalars()
        return [facts["days_before"] for facts in found]


@pytest.mark.invariant("E9")
async def test_many_controllers_record_one_end(world: World) -> None:
    """Any number of runs at once make one change, one event and one lease request a site."""
    sites = [await world.site(f"Site {number}") for number in range(8)]
    hub_id = await world.hub(sites[0])
    world.now = NOON + WEEK

    found = await asyncio.gather(
        *(world.expire(limit=3) for _ in range(12)), return_exceptions=True
    )
    await world.expire()
    again = await world.expire()

    assert [one for one in found if isinstance(one, BaseException)] == []
    assert again == 0
    for site_id in sites:
        assert [type(entry) for entry in await world.history(site_id)] == [FreeWeekStarted, Expired]
        assert (await world.announced(site_id)).count("subscription.expired") == 1
        assert (await world.audited(site_id)).count("subscription_expired") == 1
        assert len(await world.ledger(site_id)) == 2
    assert (await world.wanted(hub_id))[0] == 2


@pytest.mark.invariant("V9", "V14")
async def test_the_end_itself_is_outside(world: World) -> None:
    """A second before its end nothing is due; at the end it is, and history says so."""
    site_id = await world.site()

    world.now = NOON + WEEK - timedelta(seconds=1)
    assert await world.expire() == 0
    world.now = NOON + WEEK
    assert await world.expire() == 1

    held = (await world.standing(site_id)).holdings
    assert held.subscription.status is Status.EXPIRED
    assert fold(await world.history(site_id)) == held


@pytest.mark.invariant("V8")
async def test_intervals_follow_without_gap_or_overlap(world: World) -> None:
    """Each subscription of a site ends where the next one starts, or at its own end."""
    site_id = await world.site()
    for days_later in (1, 2, 40, 1):
        world.now += days_later * DAY + timedelta(microseconds=7)
        await world.expire()
        (code,) = await world.mint(plan(days=5))
        await world.redeem(code, site_id)

    intervals: list[tuple[datetime, datetime]] = []
    for entry in await world.history(site_id):
        match entry:
            case FreeWeekStarted() | PlanRedeemed():
                if intervals:
                    start, end = intervals[-1]
                    intervals[-1] = (start, min(end, entry.at))
                intervals.append((entry.at, entry.ends_at))
            case _:
                pass
    handed_over = [start - end for (_, end), (start, _) in pairwise(intervals)]
    assert [gap == timedelta(0) for gap in handed_over] == [True, True, False, True]
    assert min(handed_over) == timedelta(0)
    async with world.db.read() as tx:
        rows = (await tx.execute(select(subscriptions).filter_by(site_id=site_id))).all()
    assert len(rows) == 1


async def test_a_redeem_goes_first_between_two_batches(world: World) -> None:
    """While ends are recorded in batches, a redeem that waits does not wait for all of them."""
    batches = 30  # on PostgreSQL nobody queues: a redeem merely takes as long as some batches
    for number in range(batches):
        await world.site(f"Site {number}")
    (code,) = await world.mint(plan())
    site_id = await world.site("Busy")
    world.now = NOON + WEEK
    done: list[str] = []

    async def batch() -> None:
        await world.expire(limit=1)
        done.append("batch")

    async def redeem() -> None:
        await world.redeem(code, site_id)
        done.append("redeem")

    first = asyncio.gather(batch(), redeem())
    for _ in range(batches - 1):
        await batch()
    await first

    assert done.index("redeem") < batches - 1


@pytest.mark.parametrize(
    ("time_zone", "offset_h"), [("UTC", 0), ("Asia/Kolkata", 5.5), ("America/New_York", -5)]
)
async def test_reminders_come_at_nine_by_the_sites_clock(
    world: World, time_zone: str, offset_h: float
) -> None:
    """A day before the end, at 09:00 on the site's wall, and not a second earlier."""
    site_id = await world.site(time_zone=time_zone)
    due_at = datetime(2026, 3, 7, 9, tzinfo=UTC) - timedelta(hours=offset_h)

    world.now = due_at - timedelta(seconds=1)
    async with world.db.read() as tx:
        wakes_at = await next_due_at(tx)
    assert wakes_at is not None
    assert wakes_at <= due_at  # or the timer would sleep past it
    await remind(world)
    assert 1 not in await reminders(world, site_id)
    world.now = due_at
    await remind(world)
    assert (await reminders(world, site_id))[-1] == 1


async def test_each_reminder_comes_once(world: World) -> None:
    """28, 7 and 1 days before; repeated runs add nothing, and a pause brings only the latest."""
    site_id = await world.site(time_zone="UTC")
    (code,) = await world.mint(plan(days=40))
    await world.redeem(code, site_id)

    for _ in range(35 * 2):
        world.now += timedelta(hours=12)
        await asyncio.gather(remind(world), remind(world))
    assert await reminders(world, site_id) == [28, 7]
    assert await remind(world) == 0
    world.now += 4 * DAY + timedelta(hours=12)
    await remind(world)
    assert await reminders(world, site_id) == [28, 7, 1]

    (code,) = await world.mint(plan(days=40))
    await world.redeem(code, site_id)
    world.now += 39 * DAY + timedelta(hours=23)
    await remind(world)
    assert await reminders(world, site_id) == [28, 7, 1, 1]


async def test_reminders_follow_into_another_time_zone(world: World) -> None:
    """After the site's time zone was edited, the next reminder keeps to the new clock."""
    site_id = await world.site(time_zone="UTC")
    async with world.db.write() as tx:
        site = await world.sites.edit(
            tx,
            world.at(world.owner, site_id),
            site_id,
            version_read=2,
            time_zone="Asia/Kolkata",
            now=world.now,
        )

    async with world.db.read() as tx:
        assert await next_due_at(tx) == datetime(2026, 3, 7, 3, 30, tzinfo=UTC)
    assert site.time_zone == "Asia/Kolkata"


async def test_a_move_west_brings_no_reminder_twice(world: World) -> None:
    """Nine o'clock comes again for a site that moves west on the day; the reminder does not."""
    site_id = await world.site(time_zone="UTC")
    (code,) = await world.mint(plan(days=40))
    await world.redeem(code, site_id)
    world.now = datetime(2026, 3, 13, 9, tzinfo=UTC)  # 28 days before
    await remind(world)

    async with world.db.write() as tx:
        await world.sites.edit(
            tx,
            world.at(world.owner, site_id),
            site_id,
            version_read=2,
            time_zone="America/New_York",
            now=world.now,
        )
    world.now += timedelta(hours=6)
    assert await remind(world) == 1
    assert await reminders(world, site_id) == [28]
    world.now += 30 * DAY
    await remind(world)
    assert await reminders(world, site_id) == [28]


async def test_a_lease_is_signed_anew_every_day(world: World) -> None:
    """A hub's lease that is a day old is asked for again; nobody's who is retired."""
    site_id = await world.site()
    hub_id = await world.hub(site_id)
    retired = await world.hub(site_id, retired_at=NOON)
    async with world.db.read() as tx:
        assert await world.sync.next_lease_at(tx) == NOON + DAY

    world.now = NOON + DAY - timedelta(seconds=1)
    for expected in (0, 1, 0):
        async with world.db.write() as tx:
            assert await world.sync.request_due_leases(tx, now=world.now, limit=10) == expected
        world.now = NOON + DAY

    assert (await world.wanted(hub_id))[0] == 2
    assert (await world.wanted(retired))[0] == 1
