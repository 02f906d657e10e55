"""A site's subscription: free week, redeeming, refusals, expiry, cancelling."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.errors import Invalid
from controller.domain.subscription import (
    Cancelled,
    EndTooLate,
    Expired,
    FewerUsersWhileActive,
    HubHadFreeWeek,
    Kind,
    LowerPlanWhileActive,
    PlanRedeemed,
    Status,
    Subscription,
    SubscriptionNotRunning,
    admit_hub,
    cancel,
    expire,
    redeem_plan,
    start_free_week,
)
from tests.controller.domain.builders import (
    CATALOGUE,
    DAY,
    FAR,
    INSTANTS,
    NOON,
    PLAN_PRODUCTS,
    SECOND,
    free_week,
    paid,
    plan_product,
    redeem,
)
from vouchers.carry_over import Segment
from vouchers.products import Plan, PlanProduct

WITHIN = st.timedeltas(min_value=timedelta(0), max_value=40 * DAY)


@pytest.mark.invariant("V10")
@given(INSTANTS)
def test_the_free_week_lasts_604800_seconds(now: datetime) -> None:
    """It starts at the creation's whole second and is Pro with the catalogue's users."""
    change = start_free_week(CATALOGUE.newest, now=now)

    week = change.subscription
    assert week.started_at == now.replace(microsecond=0)
    assert (week.ends_at - week.started_at).total_seconds() == 604_800
    assert (week.plan, week.users, week.kind) == (Plan.PRO, 25, Kind.FREE_WEEK)
    assert len(change.entries) == 1


@pytest.mark.invariant("V10")
@given(PLAN_PRODUCTS, st.timedeltas(timedelta(0), timedelta(days=7) - SECOND))
def test_what_is_left_of_the_free_week_is_worth_nothing(
    product: PlanProduct, elapsed: timedelta
) -> None:
    """Any voucher is allowed during it, carries nothing over, and says what is given up."""
    week = free_week()
    now = NOON + elapsed

    change = redeem_plan(week, product, catalogue_version=1, redeem_until=FAR, now=now)

    started_at = now.replace(microsecond=0)
    assert change.subscription.ends_at == started_at + product.term_days * DAY
    assert change.carry_over.left_value == change.carry_over.carried_s == 0
    assert change.lost_s == (week.ends_at - started_at).total_seconds()


@pytest.mark.invariant("V10")
def test_a_hub_gives_no_second_free_week() -> None:
    """A serial from another site's free week is refused in this one, and welcome later."""
    week = free_week()

    with pytest.raises(HubHadFreeWeek) as refusal:
        admit_hub(week, serial_had_free_week=True, now=week.ends_at - SECOND)

    assert refusal.value.code == "hub_had_free_week"
    assert "Redeem a plan voucher" in refusal.value.message
    admit_hub(week, serial_had_free_week=False, now=NOON)
    admit_hub(week, serial_had_free_week=True, now=week.ends_at)
    admit_hub(paid(), serial_had_free_week=True, now=NOON)


@pytest.mark.invariant("V5")
@given(PLAN_PRODUCTS, PLAN_PRODUCTS, WITHIN)
def test_the_same_plan_and_size_adds_its_days(
    first: PlanProduct, second: PlanProduct, elapsed: timedelta
) -> None:
    """The new end is the later of old end and now, plus the term, whatever the rates."""
    current = paid(plan=Plan.PRO, users=10, term_days=first.term_days, rate=first.rate)
    again = plan_product(users=10, term_days=second.term_days, rate=second.rate)
    now = NOON + elapsed

    renewed = redeem(current, again, now=now)

    now_s = now.replace(microsecond=0)
    assert renewed.ends_at == max(current.ends_at, now_s) + again.term_days * DAY


@pytest.mark.invariant("V6")
@given(PLAN_PRODUCTS, PLAN_PRODUCTS, WITHIN)
def test_any_redemption_gives_at_least_what_the_voucher_says(
    first: PlanProduct, second: PlanProduct, elapsed: timedelta
) -> None:
    """Plan and users are the voucher's, the end is no earlier than its term."""
    current = redeem(free_week(NOON - DAY), first, now=NOON)
    now = NOON + elapsed

    try:
        change = redeem_plan(current, second, catalogue_version=1, redeem_until=FAR, now=now)
    except (FewerUsersWhileActive, LowerPlanWhileActive, EndTooLate):
        return

    new = change.subscription
    assert new.ends_at >= now.replace(microsecond=0) + second.term_days * DAY
    assert (new.plan, new.users, new.kind) == (second.plan, second.users, Kind.PAID)
    assert change.carry_over.carried_s >= 0
    assert change.carry_over.left_value >= 0


@pytest.mark.invariant("V4")
def test_more_users_get_the_same_value_in_fewer_days() -> None:
    """Fifteen days of 10 users are five days of 30 at thrice the rate."""
    current = paid(users=10, term_days=30, rate=50)

    renewed = redeem(current, plan_product(users=30, rate=150), now=NOON + 15 * DAY)

    assert renewed.ends_at == NOON + (15 + 5 + 30) * DAY


@pytest.mark.invariant("V4")
def test_the_rest_of_a_conversion_is_kept() -> None:
    """What is too little for a second stays until the next conversion, and counts there."""
    current = paid(users=1, term_days=1, rate=10)
    at = NOON + DAY - SECOND

    once = redeem(current, plan_product(users=2, term_days=1, rate=7), now=at)
    twice = redeem(once, plan_product(users=3, term_days=1, rate=13), now=at)

    assert (once.segments, once.rest) == ((Segment(seconds=86_401, rate=7),), 3)
    assert (twice.segments[0].seconds - 86_400) * 13 + twice.rest == 86_401 * 7 + 3


@pytest.mark.invariant("V7")
@given(PLAN_PRODUCTS, st.integers(1, 99_999), WITHIN)
def test_fewer_users_wait_for_the_end(product: PlanProduct, users: int, elapsed: timedelta) -> None:
    """A smaller voucher is refused to the last second, and works from the end on."""
    current = paid(users=users + 1, term_days=41)
    smaller = plan_product(plan=product.plan, users=min(product.users, users))

    with pytest.raises(FewerUsersWhileActive) as refusal:
        redeem(current, smaller, now=NOON + elapsed)
    with pytest.raises(FewerUsersWhileActive):
        redeem(current, smaller, now=current.ends_at - timedelta(microseconds=1))

    assert refusal.value.facts["works_at"] == "2026-04-11T12:00:00Z"
    assert redeem(current, smaller, now=current.ends_at).users == smaller.users


@pytest.mark.invariant("V7")
def test_a_refusal_says_what_is_and_what_was_asked() -> None:
    """A person reads both sizes and the first instant at which the voucher works."""
    with pytest.raises(FewerUsersWhileActive) as refusal:
        redeem(paid(users=10), plan_product(users=9), now=NOON)

    assert refusal.value.code == "fewer_users_while_active"
    assert refusal.value.facts == {
        "users_now": 10,
        "users_asked": 9,
        "works_at": "2026-03-31T12:00:00Z",
    }
    assert "from 2026-03-31T12:00:00Z on" in refusal.value.message


@pytest.mark.invariant("V7")
def test_a_lower_plan_waits_for_the_end() -> None:
    """Pro to Lite is refused while Pro is paid; Lite to Pro is not."""
    pro, lite = paid(plan=Plan.PRO), paid(plan=Plan.LITE)

    with pytest.raises(LowerPlanWhileActive) as refusal:
        redeem(pro, plan_product(plan=Plan.LITE, users=99), now=pro.ends_at - SECOND)

    assert refusal.value.code == "lower_plan_while_active"
    assert refusal.value.facts == {
        "plan_now": "pro",
        "plan_asked": "lite",
        "works_at": "2026-03-31T12:00:00Z",
    }
    assert redeem(pro, plan_product(plan=Plan.LITE), now=pro.ends_at).plan is Plan.LITE
    assert redeem(lite, plan_product(plan=Plan.PRO), now=NOON).plan is Plan.PRO


def test_a_refusal_does_not_send_people_past_the_vouchers_own_date() -> None:
    """A voucher that is no longer good when it would work is said to be of no use."""
    current = paid(users=10)

    with pytest.raises(FewerUsersWhileActive) as refusal:
        redeem_plan(
            current,
            plan_product(users=9),
            catalogue_version=1,
            redeem_until=current.ends_at,
            now=NOON,
        )

    assert refusal.value.facts["works_at"] is None
    assert "ask whoever sold it" in refusal.value.message


def test_nothing_ends_after_2100() -> None:
    """The last voucher that fits is taken, one day more is refused."""
    now = datetime(2099, 12, 1, tzinfo=UTC)
    current = paid(now)

    fits = redeem(current, plan_product(term_days=1), now=now)
    with pytest.raises(EndTooLate) as refusal:
        redeem(fits, plan_product(term_days=1), now=now)

    assert fits.ends_at == datetime(2100, 1, 1, tzinfo=UTC)
    assert refusal.value.code == "end_too_late"


@pytest.mark.invariant("V9")
def test_expires_at_the_very_instant_it_ends() -> None:
    """The end is exclusive: at ends_at the subscription is over."""
    subscription = paid()

    just_before = expire(subscription, now=subscription.ends_at - timedelta(microseconds=1))
    at_the_end = expire(subscription, now=subscription.ends_at)

    assert just_before.subscription.is_active(subscription.ends_at - SECOND)
    assert not subscription.is_active(subscription.ends_at)
    assert (just_before.subscription, just_before.entries) == (subscription, ())
    assert at_the_end.subscription.status is Status.EXPIRED
    assert at_the_end.entries == (Expired(at=subscription.ends_at),)


@pytest.mark.invariant("V9")
def test_expiring_again_changes_nothing() -> None:
    """A timer that runs late or twice leaves the state as it is, and no second entry."""
    subscription = paid()

    once = expire(subscription, now=subscription.ends_at + 9 * DAY)
    twice = expire(once.subscription, now=subscription.ends_at + 10 * DAY)

    assert once == expire(subscription, now=subscription.ends_at)
    assert (twice.subscription, twice.entries) == (once.subscription, ())


@pytest.mark.invariant("V9")
@given(PLAN_PRODUCTS, WITHIN, st.sampled_from([free_week(), paid()]))
def test_expiry_and_renewal_end_alike_in_either_order(
    product: PlanProduct, late: timedelta, current: Subscription
) -> None:
    """A redemption at or after the end records the expiry first, as the timer would have."""
    now = current.ends_at + late
    expired = expire(current, now=now)

    redeemed_first = redeem_plan(current, product, catalogue_version=1, redeem_until=FAR, now=now)
    expired_first = redeem_plan(
        expired.subscription, product, catalogue_version=1, redeem_until=FAR, now=now
    )

    assert redeemed_first.subscription == expired_first.subscription
    assert redeemed_first.entries == (*expired.entries, *expired_first.entries)
    assert redeemed_first.carry_over.left_value == 0
    assert redeemed_first.lost_s == 0
    assert expire(redeemed_first.subscription, now=now).entries == ()


def test_a_recorded_end_is_final() -> None:
    """A clock that is set back does not bring an expired subscription to life."""
    over = expire(paid(), now=NOON + 31 * DAY).subscription

    assert not over.is_active(NOON)
    assert over.left(NOON).value == 0
    assert redeem(over, plan_product(users=1), now=NOON).started_at == over.ends_at


@pytest.mark.invariant("V8")
def test_a_clock_set_back_makes_no_overlap() -> None:
    """A subscription never starts before the one it replaces, and loses no value."""
    current = paid()

    renewed = redeem(current, plan_product(), now=NOON - 5 * DAY)

    assert renewed.started_at == current.started_at
    assert renewed.ends_at == current.ends_at + 30 * DAY


def test_cancelling_forfeits_what_is_left() -> None:
    """From the cancelling on nothing runs, and nothing carries over."""
    change = cancel(paid(), reason=" chargeback ", now=NOON + 10 * DAY)

    over = change.subscription
    assert change.entries == (
        Cancelled(at=NOON + 10 * DAY, reason="chargeback", forfeited_s=20 * 86_400),
    )
    assert over.status is Status.CANCELLED
    assert not over.is_active(NOON + 10 * DAY)
    assert redeem(over, plan_product(), now=NOON + 11 * DAY).ends_at == NOON + 41 * DAY


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_cancelling_needs_a_reason(reason: str) -> None:
    """The history must tell why; an empty or endless reason is refused."""
    with pytest.raises(Invalid) as refusal:
        cancel(paid(), reason=reason, now=NOON)

    assert refusal.value.facts == {"field": "reason"}


def test_what_has_ended_cannot_be_cancelled() -> None:
    """Neither an expired subscription, recorded or not, nor a cancelled one."""
    current = paid()
    over = [
        (current, current.ends_at),
        (expire(current, now=current.ends_at).subscription, NOON),
        (cancel(current, reason="fraud", now=NOON + DAY).subscription, NOON + DAY),
    ]

    for subscription, now in over:
        with pytest.raises(SubscriptionNotRunning) as refusal:
            cancel(subscription, reason="again", now=now)
        assert refusal.value.code == "subscription_not_running"


def test_the_history_tells_how_the_end_was_computed() -> None:
    """A redemption's entry holds term, rate, what was left and what it became."""
    change = redeem_plan(
        paid(users=10, rate=50),
        plan_product(users=30, rate=150),
        catalogue_version=3,
        redeem_until=FAR,
        now=NOON + 15 * DAY,
    )

    assert change.entries == (
        PlanRedeemed(
            at=NOON + 15 * DAY,
            plan=Plan.PRO,
            users=30,
            ends_at=NOON + 50 * DAY,
            catalogue_version=3,
            segments=(Segment(seconds=35 * 86_400, rate=150),),
            rest=0,
            term_s=30 * 86_400,
            rate=150,
            left_s=15 * 86_400,
            left_value=15 * 86_400 * 50,
            carried_s=5 * 86_400,
        ),
    )


def test_segments_fill_the_interval() -> None:
    """A paid subscription whose segments do not add up to its length is never built."""
    with pytest.raises(ValueError, match="do not fill"):
        Subscription(
            plan=Plan.PRO,
            users=1,
            kind=Kind.PAID,
            started_at=NOON,
            ends_at=NOON + DAY,
            segments=(Segment(seconds=1, rate=1),),
            rest=0,
            catalogue_version=1,
        )
