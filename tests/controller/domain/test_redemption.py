"""One function redeems any voucher, and tells what would be lost."""

import pytest

from controller.domain.catalogue import Feature
from controller.domain.entitlements import AddOn, SeatsRedeemed
from controller.domain.redemption import redeem
from controller.domain.subscription import Expired, FewerUsersWhileActive, PlanRedeemed
from tests.controller.domain.builders import (
    CATALOGUE,
    DAY,
    NOON,
    free_week,
    holdings,
    plan_product,
    voucher_for,
)
from vouchers.products import AddOnProduct, Plan, SeatProduct


def test_a_plan_voucher_replaces_the_subscription_only() -> None:
    """Add-ons and seats move along with their own ends."""
    pods = AddOnProduct(feature="pods", term_days=100)
    seats = SeatProduct(component="lockers", count=3, term_days=100)
    site = holdings()
    for product in (pods, seats):
        site = redeem(site, voucher_for(product), catalogue=CATALOGUE, now=NOON).holdings

    renewed = redeem(site, voucher_for(plan_product()), catalogue=CATALOGUE, now=NOON + DAY)

    assert renewed.holdings.add_ons == site.add_ons != ()
    assert renewed.holdings.seats == site.seats != ()
    assert renewed.ends_at == renewed.holdings.subscription.ends_at == NOON + 60 * DAY
    assert renewed.lost_features == frozenset()


def test_a_preview_of_lite_in_the_free_week_says_what_would_be_lost() -> None:
    """Days of the free week, and the features of Pro and add-ons."""
    lite = voucher_for(plan_product(plan=Plan.LITE))

    preview = redeem(holdings(free_week()), lite, catalogue=CATALOGUE, now=NOON + 2 * DAY)

    assert preview.lost_s == 5 * 86_400
    assert preview.lost_features == set(Feature) - {Feature.ACTIVITY_LOG}
    assert preview.carry_over is not None
    assert preview.carry_over.carried_s == 0


def test_a_late_renewal_records_the_expiry_first() -> None:
    """History shows the end before the new beginning, whoever noticed it."""
    site = holdings()
    now = site.subscription.ends_at + DAY

    renewed = redeem(site, voucher_for(plan_product()), catalogue=CATALOGUE, now=now)

    assert [type(entry) for entry in renewed.entries] == [Expired, PlanRedeemed]


def test_other_vouchers_compute_no_carry_over() -> None:
    """An add-on or seat voucher has an end of its own, and loses nothing."""
    pods = voucher_for(AddOnProduct(feature="pods", term_days=3))
    seats = voucher_for(SeatProduct(component="lockers", count=3, term_days=4))

    add_on = redeem(holdings(), pods, catalogue=CATALOGUE, now=NOON)
    seat = redeem(holdings(), seats, catalogue=CATALOGUE, now=NOON)

    assert add_on.holdings.add_ons == (AddOn(feature=Feature.PODS, ends_at=NOON + 3 * DAY),)
    assert add_on.ends_at == NOON + 3 * DAY
    assert [type(entry) for entry in seat.entries] == [SeatsRedeemed]
    assert seat.ends_at == NOON + 4 * DAY
    assert add_on.carry_over is seat.carry_over is None


@pytest.mark.invariant("V7")
def test_a_refused_voucher_leaves_no_trace() -> None:
    """Holdings are values: after a refusal they are what they were."""
    site = holdings()
    before = repr(site)

    with pytest.raises(FewerUsersWhileActive):
        redeem(site, voucher_for(plan_product(users=1)), catalogue=CATALOGUE, now=NOON)

    assert repr(site) == before


def test_the_subscription_keeps_the_vouchers_catalogue() -> None:
    """It runs under the version in which its voucher was minted."""
    voucher = voucher_for(plan_product(), catalogue_version=1)

    redemption = redeem(holdings(), voucher, catalogue=CATALOGUE, now=NOON)

    assert redemption.holdings.subscription.catalogue_version == 1
