"""What a site may use now: features and limits, from subscription, add-ons and seats."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final

from controller.domain.catalogue import Catalogue, Component, Feature
from controller.domain.errors import Forbidden, NoValidSubscription, Refused
from controller.domain.instants import from_seconds, to_seconds, to_text, whole_second
from controller.domain.subscription import Subscription, require_before_horizon
from vouchers.products import AddOnProduct, SeatProduct


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOn:
    """A feature until ``ends_at``. It moves along to a new subscription; at most one a feature."""

    feature: Feature
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatGrant:
    """More of a component over an interval; each seat voucher makes its own."""

    component: Component
    count: int
    started_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """All that a site holds by vouchers; lapsed add-ons and seats included."""

    subscription: Subscription
    add_ons: tuple[AddOn, ...] = ()
    seats: tuple[SeatGrant, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOnRedeemed:
    """An add-on voucher started or extended a feature."""

    kind: ClassVar = "add_on_redeemed"
    at: datetime
    feature: Feature
    term_s: int
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatsRedeemed:
    """A seat voucher raised a limit."""

    kind: ClassVar = "seats_redeemed"
    at: datetime
    component: Component
    count: int
    ends_at: datetime


class PaidSubscriptionNeeded(Refused):
    """An add-on or seat voucher without a running paid subscription."""

    code = "paid_subscription_needed"


class SeatsNotInPlan(Refused):
    """A seat voucher for something that the running plan does not have."""

    code = "seats_not_in_plan"


class FeatureNotEntitled(Forbidden):
    """The subscription runs, but neither plan nor add-on has the feature."""

    code = "feature_not_entitled"


class LimitReached(Refused):
    """The limit of a component is used up."""

    code = "limit_reached"


_REMEDIES: Final = {
    Component.USERS: (
        "unsubscribe_or_redeem_plan_voucher",
        "Unsubscribe somebody, or redeem a voucher for more users.",
    ),
    Component.LOCKERS: (
        "remove_or_redeem_seat_voucher",
        "Remove a locker, or redeem a voucher for locker seats.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlements:
    """What a site may use at one instant.

    Limits and days are those of the present or last subscription; ``features`` is empty unless
    it is active.
    """

    active: bool
    ended_at: datetime  # end of the subscription, past or future
    features: frozenset[Feature]
    limits: Mapping[Component, int]
    activity_log_days: int
    event_retention_days: int
    contact: str  # whom the site asks for a voucher

    def require_active(self) -> None:
        """Refuse unless the subscription runs.

        Raises:
            NoValidSubscription: It says since when and whom to ask for a voucher.
        """
        if not self.active:
            raise NoValidSubscription(
                f"The site's subscription ended at {to_text(self.ended_at)}. Redeem a voucher "
                f"for it; {self.contact} sells them.",
                ended_at=to_text(self.ended_at),
                contact=self.contact,
                remedy="redeem_plan_voucher",
            )

    def require(self, feature: Feature) -> None:
        """Refuse unless the feature may be used.

        Raises:
            NoValidSubscription: The subscription does not run.
            FeatureNotEntitled: It runs without this feature.
        """
        self.require_active()
        if feature not in self.features:
            raise FeatureNotEntitled(
                f"The site's subscription does not include {feature}. What was made with it stays "
                f"as it is; {self.contact} sells the plan or add-on that includes it.",
                feature=str(feature),
                contact=self.contact,
            )

    def require_room(self, component: Component, *, used: int, adding: int = 1) -> None:
        """Refuse to go beyond a component's limit.

        Raises:
            NoValidSubscription: The subscription does not run.
            LimitReached: It names limit, usage and remedy.
        """
        self.require_active()
        limit = self.limits[component]
        if used + adding > limit:
            remedy, sentence = _REMEDIES[component]
            raise LimitReached(
                f"{component}: {used} of {limit} are in use, and {adding} more would be too many. "
                f"{sentence}",
                component=str(component),
                limit=limit,
                used=used,
                adding=adding,
                remedy=remedy,
            )


def effective(
    holdings: Holdings, *, catalogue: Catalogue, contact: str, now: datetime
) -> Entitlements:
    """Return what a site may use at ``now``.

    Args:
        holdings: What the site holds.
        catalogue: All versions; the subscription names its own.
        contact: Whom the site asks for a voucher; it stands in the refusals.
        now: The instant.
    """
    subscription = holdings.subscription
    edition = catalogue.edition(subscription.catalogue_version)
    terms = edition.plans[subscription.plan]
    limits = {
        component: limit
        + sum(
            grant.count
            for grant in holdings.seats
            if grant.component is component and grant.started_at <= now < grant.ends_at
        )
        for component, limit in terms.limits.items()
    }
    return Entitlements(
        active=subscription.is_active(now),
        ended_at=subscription.ends_at,
        features=features(holdings, catalogue, now=now),
        limits={Component.USERS: subscription.users} | limits,
        activity_log_days=terms.activity_log_days,
        event_retention_days=terms.event_retention_days,
        contact=contact,
    )


def redeem_add_on(
    holdings: Holdings, product: AddOnProduct, *, now: datetime
) -> tuple[Holdings, AddOnRedeemed]:
    """Return the holdings with an add-on started at ``now``, or extended from its end.

    Raises:
        PaidSubscriptionNeeded: No paid subscription runs.
        EndTooLate: The end would be after 2100-01-01.
    """
    _require_paid(holdings.subscription, now)
    feature = Feature(product.feature)
    at = whole_second(now)
    runs_until = max(
        [at, *(add_on.ends_at for add_on in holdings.add_ons if add_on.feature is feature)]
    )
    ends_at_s = to_seconds(runs_until) + product.term_s
    require_before_horizon(ends_at_s)
    entry = AddOnRedeemed(
        at=at, feature=feature, term_s=product.term_s, ends_at=from_seconds(ends_at_s)
    )
    return with_add_on(holdings, entry), entry


def redeem_seats(
    holdings: Holdings, product: SeatProduct, *, catalogue: Catalogue, now: datetime
) -> tuple[Holdings, SeatsRedeemed]:
    """Return the holdings with another seat grant.

    Args:
        holdings: What the site holds.
        product: What the voucher is for.
        catalogue: All versions; the subscription names its own.
        now: The instant of the redemption.

    Raises:
        PaidSubscriptionNeeded: No paid subscription runs.
        SeatsNotInPlan: The plan lacks the component's feature.
        EndTooLate: The end would be after 2100-01-01.
    """
    _require_paid(holdings.subscription, now)
    component = Component(product.component)
    edition = catalogue.edition(holdings.subscription.catalogue_version)
    needed = edition.seats[component].feature
    if needed not in features(holdings, catalogue, now=now):
        raise SeatsNotInPlan(
            f"The running plan has no {needed}, so seats for {component} would be of no use. "
            f"Redeem a voucher for a plan with {needed} first.",
            component=str(component),
            feature=str(needed),
            remedy="redeem_plan_voucher",
        )
    at = whole_second(now)
    ends_at_s = to_seconds(at) + product.term_s
    require_before_horizon(ends_at_s)
    entry = SeatsRedeemed(
        at=at, component=component, count=product.count, ends_at=from_seconds(ends_at_s)
    )
    return with_seats(holdings, entry), entry


def with_add_on(holdings: Holdings, entry: AddOnRedeemed) -> Holdings:
    """Return the holdings after an add-on was started or extended."""
    others = (add_on for add_on in holdings.add_ons if add_on.feature is not entry.feature)
    return replace(holdings, add_ons=(*others, AddOn(feature=entry.feature, ends_at=entry.ends_at)))


def with_seats(holdings: Holdings, entry: SeatsRedeemed) -> Holdings:
    """Return the holdings after seats were added."""
    grant = SeatGrant(
        component=entry.component, count=entry.count, started_at=entry.at, ends_at=entry.ends_at
    )
    return replace(holdings, seats=(*holdings.seats, grant))


def features(holdings: Holdings, catalogue: Catalogue, *, now: datetime) -> frozenset[Feature]:
    """Return the features that may be used at ``now``; none unless a subscription runs."""
    subscription = holdings.subscription
    edition = catalogue.edition(subscription.catalogue_version)
    if not subscription.is_active(now):
        return frozenset()
    if subscription.is_free(now):
        return edition.plans[subscription.plan].features | set(edition.add_ons)
    running = {add_on.feature for add_on in holdings.add_ons if now < add_on.ends_at}
    return edition.plans[subscription.plan].features | running


def _require_paid(subscription: Subscription, now: datetime) -> None:
    if not subscription.is_paid(now):
        raise PaidSubscriptionNeeded(
            "Add-ons and seats need a paid subscription that runs. Redeem a plan voucher first; "
            "this voucher stays unspent.",
            remedy="redeem_plan_voucher",
        )
