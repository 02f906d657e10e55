"""The REST API of a site's subscription, and of the catalogue."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Self

from pydantic import Field

from controller.domain.catalogue import Catalogue, Component, Edition, Feature, Price
from controller.domain.ids import PersonId, SiteId, VoucherId
from controller.domain.roles import Action
from controller.domain.subscription import REASON_MAX
from controller.subscriptions import queries
from controller.subscriptions.queries import HistoryOut, SubscriptionOut
from controller.subscriptions.service import Outcome, Subscriptions
from controller.subscriptions.voucher_repository import product_record
from controller.web.api import Call, get, post
from controller.web.auth import SIGNED_IN
from controller.web.models import ID, In, Out
from controller.web.pagination import (
    LIMIT_DEFAULT,
    BadCursor,
    Cursor,
    Limit,
    Page,
    decoded,
    page_of,
)
from vouchers.products import USERS_MAX, Plan

NUMBER_MAX: Final = 2**31 - 1  # of an entry of the history, as wide as its column
CODE_LENGTH_MAX: Final = 100  # 25 symbols, and as many dashes and spaces as anybody types


class RedeemIn(In):
    """A voucher code, as it was typed."""

    code: Annotated[str, Field(min_length=1, max_length=CODE_LENGTH_MAX, repr=False)]
    keep_people: Annotated[
        list[Annotated[PersonId, ID]],
        Field(
            default_factory=list,
            max_length=USERS_MAX,
            description="Who keeps a seat if the voucher has fewer users than are subscribed; "
            "the rest is decided by role and date of subscription.",
        ),
    ]


class CancelIn(In):
    """Why a subscription is cancelled."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_MAX)]


class CarriedOut(Out):
    """How the new end was computed, in seconds and value units."""

    left_s: Annotated[int, Field(description="Time that was left of the running subscription.")]
    left_value: int
    carried_s: Annotated[int, Field(description="What that time became.")]
    term_s: Annotated[int, Field(description="What the voucher added.")]
    converted: Annotated[
        bool, Field(description="By value, because plan or users differ; else second for second.")
    ]


class UnseatedOut(Out):
    """Somebody who loses a seat."""

    person_id: PersonId
    name: str | None = None


class OutcomeOut(Out):
    """What a voucher does to a site, or has done."""

    voucher_id: VoucherId
    product: dict[str, Any]
    plan: Plan
    users: int
    starts_at: datetime
    ends_at: Annotated[datetime, Field(description="Of what the voucher is for.")]
    carry_over: CarriedOut | None
    free_week_lost_s: int
    lost_features: list[Feature]
    unseated: list[UnseatedOut]

    @classmethod
    def of(cls, outcome: Outcome, names: dict[str, str]) -> Self:
        """Return an outcome as it is shown, with the names that may be shown."""
        redemption = outcome.redemption
        carried = redemption.carry_over
        return cls(
            voucher_id=outcome.voucher.id,
            product=product_record(outcome.voucher.product),
            plan=redemption.holdings.subscription.plan,
            users=redemption.holdings.subscription.users,
            starts_at=redemption.entries[-1].at,
            ends_at=redemption.ends_at,
            carry_over=CarriedOut(
                left_s=carried.left_s,
                left_value=carried.left_value,
                carried_s=carried.carried_s,
                term_s=carried.term_s,
                converted=carried.converted,
            )
            if carried
            else None,
            free_week_lost_s=redemption.lost_s,
            lost_features=sorted(redemption.lost_features),
            unseated=[
                UnseatedOut(person_id=person_id, name=names.get(person_id))
                for person_id in outcome.seating.unseated
            ],
        )


class PriceOut(Out):
    """What is shown; vouchers are sold outside Doorward."""

    amount_minor: int
    currency: str
    unit: str


class PlanOut(Out):
    """A plan that is sold."""

    plan: Plan
    title: str
    features: list[Feature]
    limits: dict[Component, int]
    activity_log_days: int
    event_retention_days: int
    rate_per_user: Annotated[int, Field(description="Value units per user and second.")]
    price: PriceOut


class AddOnSoldOut(Out):
    """An add-on that is sold."""

    feature: Feature
    title: str
    price: PriceOut


class SeatsSoldOut(Out):
    """Seats that are sold."""

    component: Component
    title: str
    price: PriceOut


class CatalogueOut(Out):
    """What is sold now; a subscription keeps the version under which it was sold."""

    version: int
    free_week_plan: Plan
    free_week_users: int
    plans: list[PlanOut]
    add_ons: list[AddOnSoldOut]
    seats: list[SeatsSoldOut]


class SubscriptionsApi:
    """A site's subscription."""

    tag = "subscriptions"

    def __init__(
        self, subscriptions: Subscriptions, *, catalogue: Catalogue, offline_grace: timedelta
    ) -> None:
        self._subscriptions = subscriptions
        self._catalogue = catalogue
        self._offline_grace = offline_grace

    @get("/sites/{site_id}/subscription", requires=Action.READ_SUBSCRIPTION)
    async def card(self, call: Call, site_id: SiteId) -> SubscriptionOut:
        """Show a site's subscription, what it allows, and which hubs have not confirmed its end."""
        async with call.db.read() as tx:
            return await queries.card(
                tx,
                site_id,
                catalogue=self._catalogue,
                grace=self._offline_grace,
                now=call.now,
            )

    @get("/sites/{site_id}/subscription/history", requires=Action.READ_SUBSCRIPTION)
    async def history(
        self, call: Call, site_id: SiteId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[HistoryOut]:
        """List what happened to a site's subscription, newest first."""
        key = decoded(cursor, int)
        before = int(key[0]) if key else None
        if before is not None and not 0 < before <= NUMBER_MAX:
            raise BadCursor
        async with call.db.read() as tx:
            found = await queries.history(tx, site_id, before=before, limit=limit + 1)
        return page_of(found, limit, lambda entry: (entry.number,))

    @post("/sites/{site_id}/subscription/preview", requires=Action.READ_SUBSCRIPTION)
    async def preview(self, call: Call, site_id: SiteId, body: RedeemIn) -> OutcomeOut:
        """Say what a voucher would do, without spending it."""
        async with call.db.read() as tx:
            outcome = await self._subscriptions.preview(
                tx, call.actor, site_id, body.code, keep=body.keep_people, now=call.now
            )
            names: dict[str, str] = {}
            if call.actor.may(Action.READ_PEOPLE, site_id):
                names = await queries.names(tx, site_id, outcome.seating.unseated)
        return OutcomeOut.of(outcome, names)

    @post(
        "/sites/{site_id}/redemptions",
        requires=Action.READ_SUBSCRIPTION,
        status=201,
        idempotent=True,
    )
    async def redeem(self, call: Call, site_id: SiteId, body: RedeemIn) -> OutcomeOut:
        """Redeem a voucher. Owner and admin may, once the site is handed over."""
        async with call.db.write() as tx:
            outcome = await self._subscriptions.redeem(
                tx, call.actor, site_id, body.code, keep=body.keep_people, now=call.now
            )
        return OutcomeOut.of(outcome, {})

    @post("/sites/{site_id}/subscription/cancel", requires=Action.CANCEL_SUBSCRIPTION, status=204)
    async def cancel(self, call: Call, site_id: SiteId, body: CancelIn) -> None:
        """End a subscription now, for a reason and without carry-over."""
        async with call.db.write() as tx:
            await self._subscriptions.cancel(
                tx, call.actor, site_id, reason=body.reason, now=call.now
            )

    @get("/catalogue", requires=SIGNED_IN)
    async def catalogue(self, call: Call) -> CatalogueOut:  # noqa: ARG002 - every handler has it
        """Show what is sold now."""
        return _sold(self._catalogue.newest)


def _sold(edition: Edition) -> CatalogueOut:
    return CatalogueOut(
        version=edition.version,
        free_week_plan=edition.free_week.plan,
        free_week_users=edition.free_week.users,
        plans=[
            PlanOut(
                plan=plan,
                title=terms.title,
                features=sorted(terms.features),
                limits=dict(terms.limits),
                activity_log_days=terms.activity_log_days,
                event_retention_days=terms.event_retention_days,
                rate_per_user=terms.rate_per_user,
                price=_price(terms.price),
            )
            for plan, terms in edition.plans.items()
        ],
        add_ons=[
            AddOnSoldOut(feature=feature, title=terms.title, price=_price(terms.price))
            for feature, terms in edition.add_ons.items()
        ],
        seats=[
            SeatsSoldOut(component=component, title=terms.title, price=_price(terms.price))
            for component, terms in edition.seats.items()
        ],
    )


def _price(price: Price) -> PriceOut:
    return PriceOut(amount_minor=price.amount_minor, currency=price.currency, unit=price.unit)
