"""A site's subscription: free week, redeeming a plan voucher, expiry, cancelling.

Every rule is a function of the present subscription, the input and the instant. It returns the
next subscription with the history entries that lead to it, or raises a refusal; the caller
writes all or nothing.

Source: docs/algorithms/carry-over.md and docs/algorithms/expiry.md.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from controller.domain.catalogue import Edition
from controller.domain.errors import Invalid, Refused
from controller.domain.instants import from_seconds, to_seconds, to_text, whole_second
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

    ``segments`` and ``rest`` are the balance at ``started_at``; a free week has none, because
    it is worth nothing. Both instants are whole seconds.
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
        if self.kind is Kind.PAID and length_s != expected_s:
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


class FreeWeekSpent(Refused):
    """The site has had its free week."""

    code = "free_week_spent"


class HubHadFreeWeek(Refused):
    """The hub was part of another site's free week."""

    code = "hub_had_free_week"


class SubscriptionNotRunning(Refused):
    """There is no running subscription to cancel."""

    code = "subscription_not_running"


def start_free_week(edition: Edition, *, now: datetime) -> Change:
    """Return the subscription of a site that is created at ``now``."""
    raise NotImplementedError


def redeem_plan(
    current: Subscription, product: PlanProduct, *, catalogue_version: int, now: datetime
) -> PlanChange:
    """Return the subscription that a plan voucher starts at once.

    Args:
        current: The site's present subscription, running or over.
        product: What the voucher is for.
        catalogue_version: The catalogue under which the voucher was minted.
        now: The instant of the redemption; at ``current.ends_at`` the old one counts as expired.

    Raises:
        FewerUsersWhileActive: ``works_at`` tells from when on it is allowed.
        LowerPlanWhileActive: Likewise.
        EndTooLate: Likewise.
    """
    raise NotImplementedError


def expire(current: Subscription, *, now: datetime) -> Change:
    """Return the subscription as it stands at ``now``: expired from ``ends_at`` on.

    Calling it late, or twice, gives the same result.
    """
    raise NotImplementedError


def cancel(current: Subscription, *, reason: str, now: datetime) -> Change:
    """Return the subscription ended at ``now`` by the operator, without carry-over.

    Raises:
        Invalid: ``reason`` is empty or too long.
        SubscriptionNotRunning: It has ended already.
    """
    raise NotImplementedError


def admit_hub(current: Subscription, *, serial_had_free_week: bool, now: datetime) -> None:
    """Refuse a hub that would give its owner a second free week.

    Args:
        current: The subscription of the site that wants to attach the hub.
        serial_had_free_week: Its serial was ever attached during another site's free week.
        now: The instant of attaching.

    Raises:
        HubHadFreeWeek: The site is in its own free week.
    """
    raise NotImplementedError


def begun(entry: Begun) -> Subscription:
    """Return the subscription that a history entry started."""
    raise NotImplementedError


def ended(current: Subscription, entry: Ended) -> Subscription:
    """Return a subscription after the history entry that ended it."""
    raise NotImplementedError
