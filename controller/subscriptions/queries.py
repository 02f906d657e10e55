"""What pages and API show of subscriptions: the card and the history."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import func, or_, select

from controller.db.engine import ReadSession
from controller.db.tables.hardware import hubs
from controller.db.tables.people import people
from controller.db.tables.subscriptions import subscription_history
from controller.domain.catalogue import Catalogue, Component, Feature
from controller.domain.entitlements import AddOn, Entitlements, Holdings, SeatGrant, effective
from controller.domain.ids import HubId, SiteId, VoucherId
from controller.domain.instants import SECOND
from controller.domain.subscription import Kind, Status, expire
from controller.subscriptions.entitlement import standing
from controller.subscriptions.repository import ROWS_AT_ONCE, Standing, seated
from controller.web.models import Out
from vouchers.products import DAY_S, Plan


class Why(StrEnum):
    """Why a feature may be used, or may not."""

    PLAN = "plan"
    ADD_ON = "add_on"
    FREE_WEEK = "free_week"
    NOT_INCLUDED = "not_included"
    NO_VALID_SUBSCRIPTION = "no_valid_subscription"


class FeatureOut(Out):
    """A feature, and whether it may be used now."""

    feature: Feature
    usable: bool
    why: Why


class UsageOut(Out):
    """What is counted against a limit."""

    limit: int
    used: int


class AddOnOut(Out):
    """An add-on; it moves along to a new subscription."""

    feature: Feature
    ends_at: datetime
    running: bool


class SeatsOut(Out):
    """Seats of one voucher."""

    component: Component
    count: int
    ends_at: datetime
    running: bool


class SilentHubOut(Out):
    """A hub that has not confirmed the end of the subscription."""

    hub_id: HubId
    name: str
    online: bool
    falls_silent_at: Annotated[
        datetime, Field(description="From then on it answers no lock, whatever it has heard.")
    ]


class SubscriptionOut(Out):
    """A site's subscription as it stands."""

    active: bool
    status: Status
    kind: Kind
    plan: Plan
    plan_title: str
    started_at: datetime
    ends_at: Annotated[datetime, Field(description="First instant outside the subscription.")]
    seconds_left: int
    days_left: Annotated[int, Field(description="Whole days of 86,400 s.")]
    users: UsageOut
    limits: Annotated[dict[Component, int], Field(description="Seats included.")]
    activity_log_days: int
    features: list[FeatureOut]
    add_ons: list[AddOnOut]
    seats: list[SeatsOut]
    buy_from: Annotated[str, Field(description="Whom to ask for a voucher.")]
    catalogue_version: int
    hubs_not_confirmed: list[SilentHubOut]


class HistoryOut(Out):
    """One entry of the history."""

    number: int
    kind: str
    at: datetime
    actor_name: str
    voucher_id: VoucherId | None
    facts: dict[str, Any]


async def card(
    tx: ReadSession,
    site_id: SiteId,
    *,
    catalogue: Catalogue,
    grace: timedelta,
    now: datetime,
) -> SubscriptionOut:
    """Return a site's subscription as it stands at ``now``.

    Args:
        grace: How long a hub without contact goes on after the end it knows.

    Raises:
        NotFound: There is no such site.
    """
    site = await standing(tx, site_id)
    held, subscription = site.holdings, site.holdings.subscription
    may = effective(held, catalogue=catalogue, contact=site.contact, now=now)
    left_s = max(0, (subscription.ends_at - now) // SECOND) if may.active else 0
    edition = catalogue.edition(subscription.catalogue_version)
    used = select(func.count()).select_from(people).where(people.c.site_id == site_id, *seated(now))
    return SubscriptionOut(
        active=may.active,
        status=expire(subscription, now=now).subscription.status,
        kind=subscription.kind,
        plan=subscription.plan,
        plan_title=edition.plans[subscription.plan].title,
        started_at=subscription.started_at,
        ends_at=subscription.ends_at,
        seconds_left=left_s,
        days_left=left_s // DAY_S,
        users=UsageOut(limit=subscription.users, used=(await tx.execute(used)).scalar_one()),
        limits=dict(may.limits),
        activity_log_days=may.activity_log_days,
        features=[_feature(feature, held, may, now) for feature in Feature],
        add_ons=[_add_on(add_on, may, now) for add_on in held.add_ons],
        seats=[_seats(grant, may, now) for grant in held.seats],
        buy_from=site.contact,
        catalogue_version=subscription.catalogue_version,
        hubs_not_confirmed=[] if may.active else await _silent_hubs(tx, site, grace),
    )


async def history(
    tx: ReadSession, site_id: SiteId, *, before: int | None, limit: int
) -> list[HistoryOut]:
    """Return a site's history, newest first."""
    table = subscription_history
    query = select(table).where(table.c.site_id == site_id)
    if before is not None:
        query = query.where(table.c.number < before)
    rows = await tx.execute(query.order_by(table.c.number.desc()).limit(limit))
    return [
        HistoryOut(
            number=row.number,
            kind=row.kind,
            at=row.at,
            actor_name=row.actor_name,
            voucher_id=row.voucher_id,
            facts=row.facts,
        )
        for row in rows
    ]


async def names(tx: ReadSession, site_id: SiteId, person_ids: Sequence[str]) -> dict[str, str]:
    """Return people's names."""
    found: dict[str, str] = {}
    for at in range(0, len(person_ids), ROWS_AT_ONCE):
        some = people.c.id.in_(person_ids[at : at + ROWS_AT_ONCE])
        query = select(people.c.id, people.c.name).where(people.c.site_id == site_id, some)
        found |= {row.id: row.name for row in await tx.execute(query)}
    return found


def _add_on(add_on: AddOn, may: Entitlements, now: datetime) -> AddOnOut:
    running = may.active and now < add_on.ends_at
    return AddOnOut(feature=add_on.feature, ends_at=add_on.ends_at, running=running)


def _seats(grant: SeatGrant, may: Entitlements, now: datetime) -> SeatsOut:
    running = may.active and now < grant.ends_at
    return SeatsOut(
        component=grant.component, count=grant.count, ends_at=grant.ends_at, running=running
    )


def _feature(feature: Feature, held: Holdings, may: Entitlements, now: datetime) -> FeatureOut:
    added = any(add_on.feature is feature and now < add_on.ends_at for add_on in held.add_ons)
    if not may.active:
        why = Why.NO_VALID_SUBSCRIPTION
    elif feature not in may.features:
        why = Why.NOT_INCLUDED
    elif held.subscription.kind is Kind.FREE_WEEK:
        why = Why.FREE_WEEK
    else:
        why = Why.ADD_ON if added else Why.PLAN
    return FeatureOut(feature=feature, usable=feature in may.features, why=why)


async def _silent_hubs(tx: ReadSession, site: Standing, grace: timedelta) -> list[SilentHubOut]:
    """Return hubs that have not confirmed the end, each with the instant of its own end.

    One in contact goes by the end itself; the others know the end they were last told, which for
    a cancelled subscription is the one it would have had.
    """
    known_end = site.holdings.subscription.ends_at
    if site.holdings.subscription.status is Status.CANCELLED:
        last = (await history(tx, site.site_id, before=None, limit=1))[0]
        known_end += last.facts["forfeited_s"] * SECOND
    rows = await tx.execute(
        select(hubs.c.id, hubs.c.name, hubs.c.online)
        .where(
            hubs.c.site_id == site.site_id,
            hubs.c.retired_at.is_(None),
            hubs.c.claimed_at.is_not(None),
            or_(hubs.c.subscribed_confirmed.is_(None), hubs.c.subscribed_confirmed),
        )
        .order_by(hubs.c.name, hubs.c.id)
    )
    return [
        SilentHubOut(
            hub_id=row.id,
            name=row.name,
            online=row.online is True,
            falls_silent_at=site.holdings.subscription.ends_at if row.online else known_end + grace,
        )
        for row in rows
    ]
