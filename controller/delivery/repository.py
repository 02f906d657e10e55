"""The rows behind leases, manifests and offline lists."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, exists, select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.subscriptions import subscriptions
from controller.delivery.compile import HubIdentity
from controller.domain.ids import HubId, LockId, SiteId


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
        .where(
            hubs.c.id.in_(hub_ids),
            hubs.c.retired_at.is_(None),
            hubs.c.agreement_key.is_not(None),
        )
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


async def lists_wanted(tx: ReadSession, wanted: Wanted) -> dict[LockId, bytes | None]:
    """Return the hash of the offline list that each lock of the hub is meant to hold."""
    rows = await tx.execute(
        select(locks.c.id, locks.c.list_wanted).where(
            locks.c.site_id == wanted.site_id, locks.c.hub_id == wanted.hub.id
        )
    )
    return {LockId(row.id): row.list_wanted for row in rows}


async def want_lists(tx: Session, wanted: Wanted, lists: Mapping[LockId, bytes]) -> None:
    """Note the lists of one revision; a newer revision of the hub keeps its own."""
    is_current = exists().where(
        hubs.c.site_id == wanted.site_id,
        hubs.c.id == wanted.hub.id,
        hubs.c.revision_wanted == wanted.revision_wanted,
    )
    await tx.execute(
        update(locks)
        .where(
            locks.c.site_id == wanted.site_id,
            locks.c.hub_id == wanted.hub.id,
            locks.c.id == bindparam("lock_id"),
            is_current,
        )
        .values(list_wanted=bindparam("hash")),
        [{"lock_id": lock_id, "hash": list_hash} for lock_id, list_hash in lists.items()],
    )


async def in_service(tx: ReadSession) -> list[HubId]:
    """Return all hubs that have been claimed and not retired."""
    rows = await tx.execute(
        select(hubs.c.id).where(hubs.c.retired_at.is_(None), hubs.c.device_key.is_not(None))
    )
    return [HubId(row.id) for row in rows]
