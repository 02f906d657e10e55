"""A subscription ends: the site's hubs stop answering, and nothing else changes."""

import asyncio

import pytest

from tests.end_to_end.cloud import ADA, BEN, LOCKS
from tests.end_to_end.conftest import Measured, Town
from tests.end_to_end.programs import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAR_S = 5.0
RECONNECTED_S = 30.0
CONNECTED = ("1", "2")
CUT_OFF = "3"


@pytest.mark.invariant("E1", "E6")
async def test_hubs_go_unsubscribed_within_5_s_of_the_end(
    town: Town, record_property: Measured
) -> None:
    """Connected hubs within 5 s, the one without a line when it is back; the other site's never."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    others_before = await town.other.hardware.hubs()
    await hardware.say(f"cut uplink {CUT_OFF}")

    await site.end()
    took_s = await until(
        lambda: hardware.are_subscribed(CONNECTED, wanted=False), "unsubscribed", within_s=BAR_S
    )

    record_property("unsubscribed_after_s", took_s)
    hubs = await hardware.hubs()
    assert [hubs[hub]["led"] for hub in CONNECTED] == ["purple", "purple"]
    assert hubs[CUT_OFF]["subscribed"], "without contact it serves on: the site may have paid"
    await hardware.say(f"restore uplink {CUT_OFF}")
    took_s = await until(
        lambda: hardware.are_subscribed(wanted=False), "back, unsubscribed", within_s=RECONNECTED_S
    )
    record_property("unsubscribed_after_return_s", took_s)
    assert await town.other.hardware.hubs() == others_before


@pytest.mark.invariant("E1", "E4", "E5", "E12")
async def test_offline_lists_stay_and_go_on_opening(town: Town) -> None:
    """The locks' lists are the same bytes before and after the end, and open to the same tags."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    assert await hardware.taps(ADA) == dict.fromkeys(LOCKS, "opened_by_hub")
    assert await hardware.tap("1.1", BEN) == "opened_by_hub"
    lists = await hardware.offline_lists()
    assert all(lists.values())
    openings = await hardware.openings()
    await hardware.say(f"cut uplink {CUT_OFF}")

    await site.end()
    await until(lambda: hardware.are_subscribed(CONNECTED, wanted=False), "unsubscribed")
    await hardware.say(f"restore uplink {CUT_OFF}")
    await until(lambda: hardware.are_subscribed(wanted=False), "all unsubscribed")

    assert await hardware.offline_lists() == lists
    assert await hardware.openings() == openings
    assert await hardware.taps(ADA) == dict.fromkeys(LOCKS, "opened_by_list")
    assert await hardware.tap("1.1", BEN) == "opened_by_memory"
    assert await hardware.tap("1.2", BEN) == "denied_offline: unknown_credential"
    assert await hardware.openings() == {
        lock: openings[lock] + 1 + (lock == "1.1") for lock in LOCKS
    }


@pytest.mark.invariant("E3")
async def test_no_access_edit_is_taken(town: Town) -> None:
    """Whatever would change who may open is refused by its code, and no revision is raised."""
    site = town.site
    await site.back_to_normal()
    person = site.person_ids["Ada"]
    await site.end()
    await until(lambda: site.hardware.are_subscribed(wanted=False), "unsubscribed")
    await until(site.is_in_sync, "the end is confirmed")
    before = await site.syncs()

    refusals = await asyncio.gather(
        *(
            site.owner.ask(method, f"{site.path}/{path}", body)
            for method, path, body in (
                ("POST", "people", {"name": "Dora", "subscribed": True}),
                ("POST", f"people/{person}/credentials", {"number": "04A1B2C3DF"}),
                ("POST", "access-groups", {"name": "Nobody"}),
                ("POST", "schedules", {"name": "Never", "windows": []}),
                ("DELETE", f"access-groups/{site.group}/people/{person}", None),
                ("DELETE", f"access-groups/{site.group}/locks/{site.lock_ids['1.1']}", None),
                ("POST", f"locks/{site.lock_ids['1.1']}/open", None),
            )
        )
    )

    assert {(each.status, each.body["code"]) for each in refusals} == {
        (403, "no_valid_subscription")
    }
    assert await site.syncs() == before
