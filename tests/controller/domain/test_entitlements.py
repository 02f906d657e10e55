"""Features, limits, add-ons and seats."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.catalogue import Component, Feature
from controller.domain.entitlements import (
    AddOn,
    Entitlements,
    FeatureNotEntitled,
    Holdings,
    LimitReached,
    PaidSubscriptionNeeded,
    SeatGrant,
    SeatsNotInPlan,
    effective,
    redeem_add_on,
    redeem_seats,
)
from controller.domain.errors import NoValidSubscription
from controller.domain.subscription import EndTooLate, Subscription, cancel, expire
from tests.controller.domain.builders import (
    CATALOGUE,
    DAY,
    NOON,
    SECOND,
    free_week,
    holdings,
    paid,
    plan_product,
    redeem,
)
from vouchers.products import AddOnProduct, Plan, SeatProduct

PODS = AddOnProduct(feature="pods", term_days=10)
SEATS = SeatProduct(component="lockers", count=1, term_days=10)

EVERYTHING = set(Feature)
PRO = EVERYTHING - {Feature.PODS}
LITE = {Feature.ACTIVITY_LOG}

SUBSCRIPTIONS = {
    "free week": (free_week(), EVERYTHING),
    "lite": (paid(plan=Plan.LITE), LITE),
    "pro": (paid(plan=Plan.PRO), PRO),
    "cancelled": (cancel(paid(), reason="x", now=NOON).subscription, set()),
    "expired": (expire(paid(), now=NOON + 30 * DAY).subscription, set()),
}


def rights(of: Holdings, now: datetime = NOON) -> Entitlements:
    """What a site may use; its supplier is Acme."""
    return effective(of, catalogue=CATALOGUE, contact="Acme", now=now)


def locker_seats(count: int, *, ends_at: datetime) -> SeatGrant:
    """Locker seats from noon on."""
    return SeatGrant(component=Component.LOCKERS, count=count, started_at=NOON, ends_at=ends_at)


@pytest.mark.invariant("V11")
@pytest.mark.parametrize("feature", Feature)
@pytest.mark.parametrize("state", SUBSCRIPTIONS)
@pytest.mark.parametrize("pods_for", [None, timedelta(0), DAY])
def test_a_feature_is_allowed_exactly_when_entitled(
    feature: Feature, state: str, pods_for: timedelta | None
) -> None:
    """Plan, free week and running add-ons decide, and only while the subscription runs."""
    subscription, expected = SUBSCRIPTIONS[state]
    add_ons = () if pods_for is None else (AddOn(feature=Feature.PODS, ends_at=NOON + pods_for),)
    entitled = rights(Holdings(subscription=subscription, add_ons=add_ons))
    if expected and pods_for:
        expected = expected | {Feature.PODS}

    assert entitled.features == expected
    if feature in expected:
        entitled.require(feature)
    else:
        with pytest.raises((NoValidSubscription, FeatureNotEntitled)):
            entitled.require(feature)


@pytest.mark.invariant("V11")
def test_lite_after_the_free_week_refuses_what_pro_allowed() -> None:
    """The refusal names the feature, promises that nothing is deleted, and says whom to ask."""
    lite = rights(holdings(redeem(free_week(), plan_product(plan=Plan.LITE), now=NOON)))

    with pytest.raises(FeatureNotEntitled) as refusal:
        lite.require(Feature.CUSTOM_PIN)

    assert refusal.value.code == "feature_not_entitled"
    assert refusal.value.facts == {"feature": "custom_pin", "contact": "Acme"}
    assert "stays" in refusal.value.message


@pytest.mark.invariant("V11")
def test_entitling_again_allows_again() -> None:
    """Pro after Lite has what Pro had before."""
    lite = redeem(free_week(), plan_product(plan=Plan.LITE), now=NOON)
    pro = redeem(lite, plan_product(plan=Plan.PRO), now=NOON + DAY)

    assert rights(holdings(pro), NOON + DAY).features == PRO


@pytest.mark.parametrize("end", [NOON + 30 * DAY, NOON + 31 * DAY])
def test_without_a_running_subscription_everything_is_refused(end: datetime) -> None:
    """From the end on, recorded or not, the answer is one: who sells vouchers, since when."""
    over = rights(holdings(), end)
    calls: list[Callable[[], None]] = [
        over.require_active,
        lambda: over.require(Feature.ACTIVITY_LOG),
        lambda: over.require_room(Component.USERS, used=0),
    ]

    for call in calls:
        with pytest.raises(NoValidSubscription) as refusal:
            call()
        assert refusal.value.code == "no_valid_subscription"
        assert refusal.value.facts == {
            "ended_at": "2026-03-31T12:00:00Z",
            "contact": "Acme",
            "remedy": "redeem_plan_voucher",
        }


@pytest.mark.invariant("V12")
@given(
    seats=st.lists(st.tuples(st.integers(1, 300), st.integers(-3, 3)), max_size=4),
    used=st.integers(0, 900),
    adding=st.integers(1, 300),
)
def test_never_more_than_the_plan_and_the_running_seats(
    seats: list[tuple[int, int]], used: int, adding: int
) -> None:
    """The call that would exceed plan limit plus running seats is refused, and no other."""
    grants = tuple(
        SeatGrant(
            component=Component.LOCKERS,
            count=count,
            started_at=NOON - 10 * DAY,
            ends_at=NOON + offset * DAY,
        )
        for count, offset in seats
    )
    entitled = rights(Holdings(subscription=paid(), seats=grants))
    limit = 192 + sum(count for count, offset in seats if offset > 0)

    if used + adding <= limit:
        entitled.require_room(Component.LOCKERS, used=used, adding=adding)
        return
    with pytest.raises(LimitReached) as refusal:
        entitled.require_room(Component.LOCKERS, used=used, adding=adding)

    assert refusal.value.facts["limit"] == limit


@pytest.mark.invariant("V12")
def test_the_193rd_locker_needs_a_seat() -> None:
    """The refusal names limit, usage and remedy; one seat makes room for one."""
    with pytest.raises(LimitReached) as refusal:
        rights(holdings()).require_room(Component.LOCKERS, used=192)
    seated, _ = redeem_seats(holdings(), SEATS, catalogue=CATALOGUE, now=NOON)

    assert refusal.value.code == "limit_reached"
    assert refusal.value.facts == {
        "component": "lockers",
        "limit": 192,
        "used": 192,
        "adding": 1,
        "remedy": "remove_or_redeem_seat_voucher",
    }
    rights(holdings()).require_room(Component.LOCKERS, used=191)
    rights(seated).require_room(Component.LOCKERS, used=192)
    with pytest.raises(LimitReached):
        rights(seated).require_room(Component.LOCKERS, used=193)


@pytest.mark.invariant("V12")
def test_the_vouchers_users_are_the_limit_of_users() -> None:
    """The eleventh subscribed person of ten is refused loudly."""
    with pytest.raises(LimitReached) as refusal:
        rights(holdings(paid(users=10))).require_room(Component.USERS, used=10)

    assert refusal.value.facts["remedy"] == "unsubscribe_or_redeem_plan_voucher"
    rights(holdings(paid(users=10))).require_room(Component.USERS, used=9)


@pytest.mark.parametrize(
    "subscription",
    [free_week(), paid(NOON - 30 * DAY), expire(paid(), now=NOON + 30 * DAY).subscription],
)
def test_add_ons_and_seats_need_a_paid_subscription(subscription: Subscription) -> None:
    """In the free week and after the end they are refused, and the voucher stays unspent."""
    with pytest.raises(PaidSubscriptionNeeded) as refusal:
        redeem_add_on(holdings(subscription), PODS, now=NOON)
    with pytest.raises(PaidSubscriptionNeeded):
        redeem_seats(holdings(subscription), SEATS, catalogue=CATALOGUE, now=NOON)

    assert refusal.value.code == "paid_subscription_needed"
    assert refusal.value.facts == {"remedy": "redeem_plan_voucher"}


def test_a_second_add_on_voucher_extends_the_first() -> None:
    """While it runs the days are added at its end; after a lapse they start now."""
    once, _ = redeem_add_on(holdings(), PODS, now=NOON)
    twice, _ = redeem_add_on(once, PODS, now=NOON + 4 * DAY)
    lapsed, entry = redeem_add_on(once, PODS, now=NOON + 12 * DAY + SECOND / 2)

    assert twice.add_ons == (AddOn(feature=Feature.PODS, ends_at=NOON + 20 * DAY),)
    assert lapsed.add_ons == (AddOn(feature=Feature.PODS, ends_at=NOON + 22 * DAY),)
    assert entry.at == NOON + 12 * DAY


def test_each_seat_voucher_has_its_own_end() -> None:
    """Counts add up while both run, and each lapses by itself."""
    more = SeatProduct(component="lockers", count=5, term_days=2)
    once, _ = redeem_seats(holdings(), SEATS, catalogue=CATALOGUE, now=NOON)
    twice, _ = redeem_seats(once, more, catalogue=CATALOGUE, now=NOON + DAY)

    limits = [rights(twice, NOON + days * DAY).limits[Component.LOCKERS] for days in (1, 3, 10)]

    assert limits == [198, 193, 192]


def test_locker_seats_are_of_no_use_with_lite() -> None:
    """The voucher is refused, unspent, and the refusal names what is missing."""
    with pytest.raises(SeatsNotInPlan) as refusal:
        redeem_seats(holdings(paid(plan=Plan.LITE)), SEATS, catalogue=CATALOGUE, now=NOON)

    assert refusal.value.code == "seats_not_in_plan"
    assert refusal.value.facts == {
        "component": "lockers",
        "feature": "lockers",
        "remedy": "redeem_plan_voucher",
    }


def test_add_ons_do_not_end_after_2100() -> None:
    """Extending beyond is refused like a plan's end."""
    century = AddOnProduct(feature="pods", term_days=20_000)
    once, _ = redeem_add_on(holdings(), century, now=NOON)

    with pytest.raises(EndTooLate):
        redeem_add_on(once, century, now=NOON)


def test_days_and_limits_outlive_the_subscription() -> None:
    """What is kept for 90 days is kept for 90 days after the end, too; features are gone."""
    over = rights(holdings(), NOON + 60 * DAY)

    assert (over.activity_log_days, over.event_retention_days) == (30, 90)
    assert over.limits == {Component.USERS: 10, Component.LOCKERS: 192}
    assert over.features == frozenset()
