"""A site's subscription: free week, redeeming a plan voucher, expiry, cancelling.

Every rule is a function of the present subscription, the input and the instant. It returns the
next subscription with the history entries that lead to it, or raises a refusal; the caller
writes all or nothing.

Source: docs/algorithms/carry-over.md and docs/algorithms/expiry.md.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, assert_never

from controller.domain.catalogue import Edition
from controller.domain.errors import Invalid, Refused
from controller.domain.instants import SECOND, from_seconds, to_seconds, to_text, whole_second
from vouchers.carry_over import NOTHING, Balance, CarryOver, Segment, carry_over
from vouchers.products import HORIZON_S, Plan, PlanProduct

FREE_WEEK: Final = timedelta(seconds=604_800)
REASON_MAX: Final = 500


class Kind(StrEnum):
    """How a subscription came about."""

    FREE_WEEK = "free_week"
    PAID = "paid"


class Status(StrEnum):
    """What has been recorded of a subscription; a recorded end is final."""

    RUNNING = "running"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a site may use over the half-open interval from ``started_at`` to ``ends_at``.

    ``segments`` and ``rest`` are the balance at ``started_at``; a free week has none, because it
    is worth nothing, nor has a cancelled one. Both instants are whole seconds.
    """

    plan: Plan
    users: int
    kind: Kind
    started_at: datetime
    ends_at: datetime
    segments: tuple[Segment, ...]
    rest: int
    catalogue_version: int
    status: Status = Status.RUNNING

    def __post_init__(self) -> None:
        length_s = to_seconds(self.ends_at) - to_seconds(self.started_at)
        expected_s = sum(segment.seconds for segment in self.segments)
        if self.kind is Kind.FREE_WEEK or self.status is Status.CANCELLED:
            expected_s = length_s
        if length_s < 0 or length_s != expected_s:
            raise ValueError(f"segments of {expected_s} s do not fill {length_s} s")

    def is_active(self, now: datetime) -> bool:
        """Return whether the site is subscribed. At ``ends_at`` it no longer is.

        The start is not compared: the present subscription has begun, and a clock that is
        behind must not say otherwise.
        """
        return self.status is Status.RUNNING and now < self.ends_at

    def is_paid(self, now: datetime) -> bool:
        """Return whether the site is subscribed by a voucher."""
        return self.kind is Kind.PAID and self.is_active(now)

    def is_free(self, now: datetime) -> bool:
        """Return whether the site is in its free week."""
        return self.kind is Kind.FREE_WEEK and self.is_active(now)

    def left(self, now: datetime) -> Balance:
        """Return the balance that a redemption at ``now`` would carry over."""
        if not self.is_paid(now):
            return NOTHING
        elapsed_s = max(0, to_seconds(now) - to_seconds(self.started_at))
        return Balance(segments=self.segments, rest=self.rest).after(elapsed_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeWeekStarted:
    """The site was created and has its free week."""

    kind: ClassVar = "free_week_started"
    at: datetime
    plan: Plan
    users: int
    ends_at: datetime
    catalogue_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRedeemed:
    """A plan voucher ended the running subscription and started this one."""

    kind: ClassVar = "plan_redeemed"
    at: datetime
    plan: Plan
    users: int
    ends_at: datetime
    catalogue_version: int
    segments: tuple[Segment, ...]
    rest: int
    term_s: int
    rate: int
    left_s: int
    left_value: int
    carried_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The subscription reached its end; ``at`` is that end, whenever it was noticed."""

    kind: ClassVar = "expired"
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The operator ended the subscription early; what was left is forfeited."""

    kind: ClassVar = "cancelled"
    at: datetime
    reason: str
    forfeited_s: int


Begun = FreeWeekStarted | PlanRedeemed
Ended = Expired | Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The subscription after a rule, and what the history gains; nothing when nothing changed."""

    subscription: Subscription
    entries: tuple[Begun | Ended, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange(Change):
    """A redeemed plan voucher, with how the new end was computed."""

    carry_over: CarryOver
    lost_s: int  # seconds of the free week that are given up


class FewerUsersWhileActive(Refused):
    """The voucher has fewer users than the running paid subscription."""

    code = "fewer_users_while_active"


class LowerPlanWhileActive(Refused):
    """The voucher has a lower plan than the running paid subscription."""

    code = "lower_plan_while_active"


class EndTooLate(Refused):
    """The end would be after 2100-01-01."""

    code = "end_too_late"


class HubHadFreeWeek(Refused):
    """The hub was part of another site's free week."""

    code = "hub_had_free_week"


class SubscriptionNotRunning(Refused):
    """There is no running subscription to cancel."""

    code = "subscription_not_running"


def start_free_week(edition: Edition, *, now: datetime) -> Change:
    """Return the subscription of a site that is created at ``now``."""
    at = whole_second(now)
    entry = FreeWeekStarted(
        at=at,
        plan=edition.free_week.plan,
        users=edition.free_week.users,
        ends_at=at + FREE_WEEK,
        catalogue_version=edition.version,
    )
    return Change(subscription=begun(entry), entries=(entry,))


def redeem_plan(
    current: Subscription,
    product: PlanProduct,
    *,
    catalogue_version: int,
    redeem_until: datetime,
    now: datetime,
) -> PlanChange:
    """Return the subscription that a plan voucher starts at once.

    Args:
        current: The site's present subscription, running or over.
        product: What the voucher is for.
        catalogue_version: The catalogue under which the voucher was minted.
        redeem_until: The voucher's own limit, which a refusal must not send people past.
        now: The instant of the redemption; at ``current.ends_at`` the old one counts as expired.

    Raises:
        FewerUsersWhileActive: ``works_at`` is the first instant at which it works, or None.
        LowerPlanWhileActive: Likewise.
        EndTooLate: The end would be after 2100-01-01.
    """
    old = expire(current, now=now)
    if current.is_paid(now):
        _require_no_downgrade(current, product, redeem_until=redeem_until)
    carried = carry_over(
        old.subscription.left(now),
        term_s=product.term_s,
        rate=product.rate,
        same_terms=(product.plan, product.users) == (current.plan, current.users),
    )
    at = _starts_at(old.subscription, now)
    entry = _redeemed(product, carried, at=at, catalogue_version=catalogue_version)
    return PlanChange(
        subscription=begun(entry),
        entries=(*old.entries, entry),
        carry_over=carried,
        lost_s=(current.ends_at - at) // SECOND if current.is_free(now) else 0,
    )


def expire(current: Subscription, *, now: datetime) -> Change:
    """Return the subscription as it stands at ``now``: expired from ``ends_at`` on.

    Calling it late, or twice, gives the same result.
    """
    if current.status is not Status.RUNNING or now < current.ends_at:
        return Change(subscription=current, entries=())
    entry = Expired(at=current.ends_at)
    return Change(subscription=ended(current, entry), entries=(entry,))


def cancel(current: Subscription, *, reason: str, now: datetime) -> Change:
    """Return the subscription ended at ``now`` by the operator, without carry-over.

    Raises:
        Invalid: ``reason`` is empty or too long.
        SubscriptionNotRunning: It has ended already.
    """
    if not 1 <= len(reason.strip()) <= REASON_MAX:
        raise Invalid(
            f"reason: say in 1 to {REASON_MAX} characters why the subscription is cancelled.",
            field="reason",
        )
    if not current.is_active(now):
        raise SubscriptionNotRunning(
            f"The subscription ended at {to_text(current.ends_at)}; there is nothing to cancel.",
            ended_at=to_text(current.ends_at),
        )
    at = max(whole_second(now), current.started_at)
    entry = Cancelled(at=at, reason=reason.strip(), forfeited_s=(current.ends_at - at) // SECOND)
    return Change(subscription=ended(current, entry), entries=(entry,))


def admit_hub(current: Subscription, *, serial_had_free_week: bool, now: datetime) -> None:
    """Refuse a hub that would give its owner a second free week.

    Args:
        current: The subscription of the site that wants to attach the hub.
        serial_had_free_week: Its serial was ever attached during another site's free week.
        now: The instant of attaching.

    Raises:
        HubHadFreeWeek: The site is in its own free week.
    """
    if serial_had_free_week and current.is_free(now):
        raise HubHadFreeWeek(
            "This hub has been part of another site's free week. Redeem a plan voucher first; "
            "then it can be attached.",
            remedy="redeem_plan_voucher",
        )


def begun(entry: Begun) -> Subscription:
    """Return the subscription that a history entry started."""
    match entry:
        case FreeWeekStarted():
            kind, balance = Kind.FREE_WEEK, NOTHING
        case PlanRedeemed():
            kind, balance = Kind.PAID, Balance(segments=entry.segments, rest=entry.rest)
        case _:
            assert_never(entry)
    return Subscription(
        plan=entry.plan,
        users=entry.users,
        kind=kind,
        started_at=entry.at,
        ends_at=entry.ends_at,
        segments=balance.segments,
        rest=balance.rest,
        catalogue_version=entry.catalogue_version,
    )


def ended(current: Subscription, entry: Ended) -> Subscription:
    """Return a subscription after the history entry that ended it."""
    match entry:
        case Expired():
            return replace(current, status=Status.EXPIRED)
        case Cancelled():
            return replace(current, status=Status.CANCELLED, ends_at=entry.at, segments=(), rest=0)
        case _:
            assert_never(entry)


def require_before_horizon(ends_at_s: int) -> None:
    """Refuse an end after 2100-01-01, seconds UTC.

    Raises:
        EndTooLate: It names the remedy.
    """
    if ends_at_s > HORIZON_S:
        raise EndTooLate(
            "The end would be after 2100-01-01. Ask for a voucher with a shorter term."
        )


def _redeemed(
    product: PlanProduct, carried: CarryOver, *, at: datetime, catalogue_version: int
) -> PlanRedeemed:
    ends_at_s = to_seconds(at) + carried.balance.seconds
    require_before_horizon(ends_at_s)
    return PlanRedeemed(
        at=at,
        plan=product.plan,
        users=product.users,
        ends_at=from_seconds(ends_at_s),
        catalogue_version=catalogue_version,
        segments=carried.balance.segments,
        rest=carried.balance.rest,
        term_s=product.term_s,
        rate=product.rate,
        left_s=carried.left_s,
        left_value=carried.left_value,
        carried_s=carried.carried_s,
    )


def _require_no_downgrade(
    current: Subscription, product: PlanProduct, *, redeem_until: datetime
) -> None:
    works_at, later = _later(current.ends_at, redeem_until)
    if product.users < current.users:
        raise FewerUsersWhileActive(
            f"The subscription allows {current.users} users until it ends, and this voucher "
            f"{product.users}. {later}",
            users_now=current.users,
            users_asked=product.users,
            works_at=works_at,
        )
    if product.plan.rank < current.plan.rank:
        raise LowerPlanWhileActive(
            f"The subscription has the plan {current.plan} until it ends, and this voucher "
            f"{product.plan}. {later}",
            plan_now=str(current.plan),
            plan_asked=str(product.plan),
            works_at=works_at,
        )


def _later(works_at: datetime, redeem_until: datetime) -> tuple[str | None, str]:
    """Return the first instant at which a voucher works, if there is one, and how to say it."""
    if works_at < redeem_until:
        return to_text(works_at), f"It can be redeemed from {to_text(works_at)} on."
    return None, (
        f"That is at {to_text(works_at)}, and the voucher is good until {to_text(redeem_until)} "
        "only: ask whoever sold it for another."
    )


def _starts_at(old: Subscription, now: datetime) -> datetime:
    """Return when the next subscription starts: now, and never inside an interval before it."""
    earliest = old.started_at if old.status is Status.RUNNING else old.ends_at
    return max(whole_second(now), earliest)
