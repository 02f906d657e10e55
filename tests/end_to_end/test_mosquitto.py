"""Another broker than the embedded one: Mosquitto, configured as deploy/ says."""

from pathlib import Path

import pytest

from tests.end_to_end.cloud import ADA, BEN, LOCKS, Cloud, Site
from tests.end_to_end.conftest import Measured
from tests.end_to_end.programs import until
from tests.gateway import brokers

BAR_S = 5.0
CONNECTED = ("1", "2")


@pytest.mark.invariant("E1", "E4", "E6", "E7", "L1")
async def test_the_main_job_is_done_on_mosquitto(tmp_path: Path, record_property: Measured) -> None:
    """Tags open by the hub, the end reaches the hubs, and a voucher brings everything back."""
    data = tmp_path / "data"
    async with brokers.mosquitto(data) as broker:
        settings = {"broker": f"mqtts://127.0.0.1:{broker.port}", "public_host": "127.0.0.1"}
        async with Cloud(tmp_path, **settings) as cloud:
            site, other = [await Site.begin(cloud, name) for name in ("one", "two")]
            hardware, lists = site.hardware, await site.hardware.offline_lists()
            assert await hardware.taps(BEN) == dict.fromkeys(LOCKS, "opened_by_hub")
            await hardware.say("cut uplink 3")

            await site.end()
            took_s = await until(
                lambda: hardware.are_subscribed(CONNECTED, wanted=False), "silent", within_s=BAR_S
            )
            await hardware.say("restore uplink 3")
            await until(lambda: hardware.are_subscribed(wanted=False), "all silent")
            assert await hardware.taps(ADA) == dict.fromkeys(LOCKS, "opened_by_list")
            await site.redeem()
            back_s = await until(hardware.are_subscribed, "subscribed", within_s=BAR_S)

            record_property("unsubscribed_after_s", took_s)
            record_property("subscribed_after_s", back_s)
            assert await hardware.taps(BEN) == dict.fromkeys(LOCKS, "opened_by_hub")
            assert await hardware.offline_lists() == lists
            assert await other.hardware.are_subscribed()
            await until(lambda: all(len(site.entries(lock)) == 3 for lock in LOCKS), "entries")
