"""`--speed 3600`: an hour of the calendar each second, and everything else in real time."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.end_to_end.cloud import ADA, BEN, LOCKS, Cloud, Site
from tests.end_to_end.conftest import Measured
from tests.end_to_end.programs import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAR_S = 5.0
A_DAY_IS_S = 24.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site in use on a cloud whose calendar runs fast."""
    async with Cloud(tmp_path_factory.mktemp("fast"), speed=3600) as cloud:
        yield await Site.begin(cloud, "one")


async def test_the_hub_decides_and_a_remote_opening_reports_opened(
    site: Site, record_property: Measured
) -> None:
    """Neither a question of the lock nor an order with a life of 10 s minds the calendar."""
    assert await site.hardware.taps(BEN) == dict.fromkeys(LOCKS, "opened_by_hub")

    order = await site.owner.post(f"{site.path}/locks/{site.lock_ids['1.1']}/open")

    async def is_opened() -> bool:
        command = await site.owner.get(f"{site.path}/commands/{order['id']}")
        return bool(command["state"] == "opened")

    record_property("opened_remotely_after_s", await until(is_opened, "opened"))


@pytest.mark.invariant("E1", "E2", "E4", "E5", "E6", "E7")
async def test_a_day_of_subscription_ends_by_itself(site: Site, record_property: Measured) -> None:
    """No hub falls silent before the end, every one within 5 s after it, and a voucher heals."""
    hardware = site.hardware
    lists = await hardware.offline_lists()
    await site.redeem(days=1)
    await until(site.is_in_sync, "every hub knows the new end")
    await hardware.say("cut uplink 3")

    async def is_over() -> bool:
        silent = [name for name, hub in (await hardware.hubs()).items() if not hub["subscribed"]]
        active = (await site.card())["active"]  # asked after the hubs: it may only be later
        assert not (active and silent), f"hubs {silent} are silent before the end"
        return not active

    lasted_s = await until(is_over, "the subscription is over", within_s=A_DAY_IS_S + BAR_S)
    took_s = await until(
        lambda: hardware.are_subscribed(wanted=False), "all unsubscribed", within_s=BAR_S
    )

    record_property("a_day_lasted_s", lasted_s)
    record_property("unsubscribed_after_s", took_s)
    assert await hardware.offline_lists() == lists
    assert await hardware.taps(ADA) == dict.fromkeys(LOCKS, "opened_by_list")
    await site.back_to_normal()
    assert await hardware.taps(BEN) == dict.fromkeys(LOCKS, "opened_by_hub")
    assert await hardware.offline_lists() == lists
