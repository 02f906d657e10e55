"""What features above ask before they write."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from controller.db.tables.people import people
from controller.domain.catalogue import Component, Feature
from controller.domain.entitlements import FeatureNotEntitled, LimitReached
from controller.domain.errors import NotFound, NoValidSubscription
from controller.domain.ids import SiteId
from controller.domain.subscription import HubHadFreeWeek
from tests.controller.subscriptions.world import NOON, WEEK, World, plan
from vouchers.products import AddOnProduct, Plan


async def admit(world: World, site_id: SiteId, serial: str) -> None:
    """Attach a hub by its serial."""
    async with world.db.write() as tx:
        await world.entitlement.admit_hub_serial(tx, site_id, serial, now=world.now)


@pytest.mark.invariant("E3")
async def test_from_the_end_on_nothing_may_be_changed(world: World) -> None:
    """A second before the end it may, at the end it may not, recorded or not; then it may again."""
    site_id = await world.site()
    (code,) = await world.mint(plan())

    async with world.db.write() as tx:
        just_before = NOON + WEEK - timedelta(seconds=1)
        await world.entitlement.require_active(tx, site_id, now=just_before)
        with pytest.raises(NoValidSubscription) as refused:
            await world.entitlement.require_active(tx, site_id, now=NOON + WEEK)
    world.now = NOON + WEEK
    await world.expire()
    async with world.db.write() as tx:
        with pytest.raises(NoValidSubscription):
            await world.entitlement.require_active(tx, site_id, now=world.now)
    await world.redeem(code, site_id)
    async with world.db.write() as tx:
        await world.entitlement.require_active(tx, site_id, now=world.now)

    assert refused.value.facts["contact"] == "sue@example.org"


@pytest.mark.invariant("V11")
async def test_lite_gates_what_pro_had(world: World) -> None:
    """After the free week, Lite lacks Pro's features and add-ons until they are entitled again."""
    site_id = await world.site()
    lite, pro = await world.mint(plan(name=Plan.LITE)), await world.mint(plan(users=10))
    (pods,) = await world.mint(AddOnProduct(feature="pods", term_days=10))

    async def usable() -> set[Feature]:
        async with world.db.read() as tx:
            return set((await world.entitlement.entitled(tx, site_id, now=world.now)).features)

    free = await usable()
    await world.redeem(lite[0], site_id)
    small = await usable()
    async with world.db.write() as tx:
        with pytest.raises(FeatureNotEntitled):
            await world.entitlement.require(tx, site_id, Feature.CUSTOM_PIN, now=world.now)
    await world.redeem(pro[0], site_id)
    await world.redeem(pods, site_id)

    assert small < free
    assert await usable() == free == set(Feature)


@pytest.mark.invariant("V12")
async def test_the_last_seat_is_taken_once(world: World) -> None:
    """Of ten writers who count and then add at once, only as many get in as there are seats."""
    site_id = await world.site()
    (code,) = await world.mint(plan(users=3))
    await world.redeem(code, site_id)

    async def add() -> None:
        async with world.db.write() as tx:
            may = await world.entitlement.require_active(tx, site_id, now=world.now)
            seated = people.c.site_id == site_id, people.c.subscribed_at.is_not(None)
            used = (await tx.execute(select(func.count()).where(*seated))).scalar_one()
            may.require_room(Component.USERS, used=used)
            row = {
                "site_id": site_id,
                "id": world.ids.new(),
                "name": "Pat",
                "subscribed_at": world.now,
                "created_at": world.now,
                "version": 1,
            }
            await tx.execute(insert(people), row)

    found = await asyncio.gather(*(add() for _ in range(10)), return_exceptions=True)

    refused = [one for one in found if one is not None]
    assert {type(one) for one in refused} == {LimitReached}
    assert (len(refused), len(await world.seated(site_id))) == (7, 3)
    async with world.db.read() as tx:
        assert await world.entitlement.user_limit(tx, site_id, now=world.now) == 3


@pytest.mark.invariant("V10")
async def test_a_hub_brings_one_free_week(world: World) -> None:
    """A hub of one free week is refused in another, for ever, and welcome once that is paid."""
    first, second = await world.site("First"), await world.site("Second")
    (code,) = await world.mint(plan())
    await admit(world, first, "HUB-1")
    await admit(world, first, "HUB-1")
    await admit(world, second, "HUB-2")

    with pytest.raises(HubHadFreeWeek):
        await admit(world, second, "HUB-1")
    await world.redeem(code, second)
    await admit(world, second, "HUB-1")

    world.now = NOON + 3 * WEEK
    third = await world.site("Third")
    with pytest.raises(HubHadFreeWeek):
        await admit(world, third, "HUB-1")


async def test_an_absent_site_is_not_found(world: World) -> None:
    """Asking for a site that does not exist is refused as such."""
    async with world.db.read() as tx:
        with pytest.raises(NotFound):
            await world.entitlement.entitled(tx, SiteId("f" * 32), now=world.now)
