"""Cut off after any statement, a redemption or an expiry leaves nothing half done."""

import pytest
from sqlalchemy import select

from controller.db.metadata import metadata
from controller.subscriptions import repository
from tests.controller.subscriptions.cutting import CutOffError, CutSession
from tests.controller.subscriptions.world import NOON, WEEK, World, plan


async def everything(world: World) -> dict[str, list[str]]:
    """Return all rows of all tables."""
    async with world.db.read() as tx:
        return {
            table.name: sorted(str(row) for row in (await tx.execute(select(table))).all())
            for table in metadata.sorted_tables
        }


@pytest.mark.invariant("V2")
async def test_a_redemption_is_done_or_not(world: World) -> None:
    """Whichever statement is the last one, the database is as before, until all are done."""
    site_id = await world.site()
    await world.hub(site_id)
    people = [await world.person(site_id) for _ in range(3)]
    (code,) = await world.mint(plan(users=2))
    world.now = NOON + WEEK  # the free week's end is not recorded: the redemption does that too
    before = await everything(world)

    done = cuts = 0
    while not done:
        try:
            async with world.db.write() as tx:
                cut = CutSession(tx, cuts)
                await world.subscriptions.redeem(
                    cut, world.at(world.owner, site_id), site_id, code, now=world.now
                )
            done = cuts
        except CutOffError:
            assert await everything(world) == before
            cuts += 1

    assert done > 10
    assert await world.spent() == 1
    assert len(await world.seated(site_id)) == len(people) - 1
    assert len(await world.history(site_id)) == 3


@pytest.mark.invariant("V2", "E9")
async def test_an_expiry_is_done_or_not(world: World) -> None:
    """A batch that is cut off anywhere expires nobody; the next one expires all."""
    for name in ("One", "Two"):
        await world.hub(await world.site(name))
    world.now = NOON + WEEK
    before = await everything(world)

    done = cuts = 0
    while not done:
        try:
            async with world.db.write() as tx:
                done = await world.due.expire(CutSession(tx, cuts), now=world.now, limit=10)
        except CutOffError:
            assert await everything(world) == before
            cuts += 1

    assert (done, cuts) == (2, 7)


async def test_the_version_guards_the_subscription(world: World) -> None:
    """What was read before somebody else's change cannot be written any more."""
    site_id = await world.site()
    read = await world.standing(site_id)
    (code,) = await world.mint(plan())
    await world.redeem(code, site_id)

    async with world.db.write() as tx:
        claimed = await repository.claim(
            tx,
            site_id,
            read.holdings.subscription,
            version_read=read.version,
            version=read.version + 1,
            reminder_at=None,
        )

    assert not claimed
    assert (await world.standing(site_id)).holdings.subscription.users == 10
