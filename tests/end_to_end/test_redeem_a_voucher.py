"""A voucher is redeemed: the site's hubs answer again, and what waited goes out."""

import pytest

from tests.end_to_end.cloud import ADA, BEN, HUBS, LOCKS, Site
from tests.end_to_end.conftest import Measured, Town
from tests.end_to_end.programs import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAR_S = 5.0
RECONNECTED_S = 30.0
DORA = "04A1B2C3D7"
CONNECTED = ("1", "2")
CUT_OFF = "3"


async def ended(site: Site) -> None:
    """Bring the site's subscription to its end, known to all hubs."""
    await site.back_to_normal()
    await site.end()
    await until(lambda: site.hardware.are_subscribed(wanted=False), "unsubscribed")


@pytest.mark.invariant("E6", "E7")
async def test_hubs_are_subscribed_within_5_s_of_a_redeem(
    town: Town, record_property: Measured
) -> None:
    """Connected hubs within 5 s, another within 30 s of its return, without any restart."""
    site, hardware = town.site, town.site.hardware
    await ended(site)
    others_before = await town.other.hardware.hubs()
    await hardware.say(f"cut uplink {CUT_OFF}")

    await site.redeem()
    took_s = await until(lambda: hardware.are_subscribed(CONNECTED), "subscribed", within_s=BAR_S)

    record_property("subscribed_after_s", took_s)
    assert (await hardware.taps(BEN, ("1.1", "2.2"))) == {
        "1.1": "opened_by_hub",
        "2.2": "opened_by_hub",
    }
    assert not await hardware.are_subscribed([CUT_OFF])
    await hardware.say(f"restore uplink {CUT_OFF}")
    took_s = await until(
        lambda: hardware.are_subscribed([CUT_OFF]), "back, subscribed", within_s=RECONNECTED_S
    )
    record_property("subscribed_after_return_s", took_s)
    assert await hardware.tap("3.1", BEN) == "opened_by_hub"
    assert await town.other.hardware.hubs() == others_before


async def test_a_preview_spends_nothing_and_tells_what_will_be(town: Town) -> None:
    """The end that the preview names is the end that redeeming brings; a code works once."""
    site = town.site
    await site.back_to_normal()
    (code,) = await town.cloud.codes(1)
    subscription = f"{site.path}/subscription"

    told = await site.owner.post(f"{subscription}/preview", {"code": code})
    before = await site.card()
    done = await site.owner.post(f"{site.path}/redemptions", {"code": code})
    again = await town.other.owner.ask("POST", f"{town.other.path}/redemptions", {"code": code})

    assert before["ends_at"] < done["ends_at"] == told["ends_at"]
    assert (await site.card())["ends_at"] == told["ends_at"]
    assert (again.status, again.body["code"]) == (409, "voucher_not_redeemable")


@pytest.mark.invariant("E4", "E5")
async def test_offline_lists_stay_until_the_first_edit(town: Town) -> None:
    """Before the end, after it and after the renewal they are the same bytes, then an edit's."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    before = await hardware.offline_lists()
    await ended(site)
    after_the_end = await hardware.offline_lists()
    opened_then = await hardware.taps(ADA)

    await site.redeem()
    await until(site.is_in_sync, "in sync")
    renewed = await hardware.offline_lists()
    opened_renewed = await hardware.taps(ADA)
    await site.give_tag("Dora", "04A1B2C3D8", offline=True)
    await until(site.is_in_sync, "in sync with the edit")

    assert all(before.values())
    assert before == after_the_end == renewed
    assert opened_then == dict.fromkeys(LOCKS, "opened_by_list")
    assert opened_renewed == dict.fromkeys(LOCKS, "opened_by_hub")
    edited = await hardware.offline_lists()
    assert all(edited[lock] != before[lock] for lock in LOCKS)


@pytest.mark.invariant("E3")
async def test_a_change_from_before_the_end_goes_out_after_the_renewal(town: Town) -> None:
    """A hub that missed it takes it only once it is subscribed again."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    await hardware.say(f"cut uplink {CUT_OFF}")
    await site.give_tag("Dora", DORA, offline=False)
    await until(lambda: site.is_in_sync(CONNECTED), "the others have it")
    revision = (await hardware.hubs())[CUT_OFF]["revision"]
    await site.end()
    await hardware.say(f"restore uplink {CUT_OFF}")
    await until(lambda: hardware.are_subscribed(wanted=False), "all unsubscribed")
    await until(lambda: confirmed(site, subscribed=False), "the end is confirmed")

    waiting = await site.syncs()
    held = (await hardware.hubs())[CUT_OFF]["revision"]
    await site.redeem()
    await until(site.is_in_sync, "in sync")

    assert waiting[CUT_OFF]["state"] == "waiting_for_subscription"
    assert held == revision
    assert await hardware.tap("3.2", DORA) == "opened_by_hub"


async def confirmed(site: Site, *, subscribed: bool) -> bool:
    """Whether every hub has confirmed that."""
    syncs = await site.syncs()
    return all(syncs[hub]["subscribed_confirmed"] is subscribed for hub in HUBS)
