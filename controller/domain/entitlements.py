"""What a site may use now: features and limits, from subscription, add-ons and seats."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from controller.domain.catalogue import Catalogue, Component, Edition, Feature
from controller.domain.errors import Forbidden, NoValidSubscription, Refused
from controller.domain.subscription import Subscription
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
        raise NotImplementedError

    def require(self, feature: Feature) -> None:
        """Refuse unless the feature may be used.

        Raises:
            NoValidSubscription: The subscription does not run.
            FeatureNotEntitled: It runs without this feature.
        """
        raise NotImplementedError

    def require_room(self, component: Component, *, used: int, adding: int = 1) -> None:
        """Refuse to go beyond a component's limit.

        Raises:
            NoValidSubscription: The subscription does not run.
            LimitReached: It names limit, usage and remedy.
        """
        raise NotImplementedError


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
    raise NotImplementedError


def redeem_add_on(
    holdings: Holdings, product: AddOnProduct, *, now: datetime
) -> tuple[Holdings, AddOnRedeemed]:
    """Return the holdings with an add-on started at ``now``, or extended from its end.

    Raises:
        PaidSubscriptionNeeded: No paid subscription runs.
        EndTooLate: The end would be after 2100-01-01.
    """
    raise NotImplementedError


def redeem_seats(
    holdings: Holdings, product: SeatProduct, *, edition: Edition, now: datetime
) -> tuple[Holdings, SeatsRedeemed]:
    """Return the holdings with another seat grant.

    Args:
        holdings: What the site holds.
        product: What the voucher is for.
        edition: The catalogue version of the running subscription.
        now: The instant of the redemption.

    Raises:
        PaidSubscriptionNeeded: No paid subscription runs.
        SeatsNotInPlan: The plan lacks the component's feature.
        EndTooLate: The end would be after 2100-01-01.
    """
    raise NotImplementedError
