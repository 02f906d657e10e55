"""The rows behind leases and manifests."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select

from controller.db.engine import ReadSession
from controller.db.tables.hardware import hubs
from controller.db.tables.subscriptions import subscriptions
from controller.delivery.items import HubIdentity
from controller.domain.ids import HubId, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is wanted of a hub in service, and what it may have."""

    site_id: SiteId
    hub: HubIdentity
    lease_wanted: int
    revision_wanted: int
    revision_confirmed: int
    ends_at: datetime  # of the subscription, past or future
    is_over: bool  # expired or cancelled, as it is recorded

    def is_subscribed(self, now: datetime) -> bool:
        """Return whether the site's subscription runs; at its end it no longer does."""
        return not self.is_over and now < self.ends_at


async def wanted(tx: ReadSession, hub_ids: Collection[str]) -> list[Wanted]:
    """Return what is wanted of those of these hubs that are in service, by id."""
    return await _wanted(tx, hubs.c.id.in_(hub_ids))


async def wanted_at(tx: ReadSession, site_id: SiteId) -> list[Wanted]:
    """Return what is wanted of all hubs of a site that are in service, by id."""
    return await _wanted(tx, hubs.c.site_id == site_id)


async def _wanted(tx: ReadSession, some: ColumnElement[bool]) -> list[Wanted]:
    rows = await tx.execute(
        select(
            hubs.c.site_id,
            hubs.c.id,
            hubs.c.epoch,
            hubs.c.agreement_key,
            hubs.c.lease_wanted,
            hubs.c.revision_wanted,
            hubs.c.revision_confirmed,
            subscriptions.c.ends_at,
            (subscriptions.c.expired | subscriptions.c.cancelled).label("is_over"),
        )
        .join(subscriptions, subscriptions.c.site_id == hubs.c.site_id)
        .where(some, hubs.c.retired_at.is_(None), hubs.c.agreement_key.is_not(None))
        .order_by(hubs.c.id)
    )
    return [
        Wanted(
            site_id=SiteId(row.site_id),
            hub=HubIdentity(id=HubId(row.id), epoch=row.epoch, agreement_key=row.agreement_key),
            lease_wanted=row.lease_wanted,
            revision_wanted=row.revision_wanted,
            revision_confirmed=row.revision_confirmed,
            ends_at=row.ends_at,
            is_over=bool(row.is_over),
        )
        for row in rows
    ]


async def in_service(tx: ReadSession) -> list[HubId]:
    """Return all hubs that have been claimed and not retired."""
    rows = await tx.execute(
        select(hubs.c.id).where(hubs.c.retired_at.is_(None), hubs.c.device_key.is_not(None))
    )
    return [HubId(row.id) for row in rows]
