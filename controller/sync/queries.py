"""Who is behind, for the publishing loop and for people."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select

from controller.db.engine import ReadSession
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.subscriptions import subscriptions
from controller.domain.ids import HubId, LockId, SiteId
from gateway.port import Behind


class Progress(StrEnum):
    """How far a hub, or a lock, is with what is wanted of it."""

    IN_SYNC = "in_sync"
    PENDING = "pending"
    WAITING_FOR_SUBSCRIPTION = "waiting_for_subscription"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubProgress:
    """A hub, what it has confirmed and since when."""

    id: HubId
    name: str
    online: bool | None  # None: nobody knows
    online_since: datetime | None  # since when it is so
    subscription: Progress
    access: Progress
    confirmed_at: datetime | None
    silent_at: datetime | None
    """When a hub that has not heard of the site's end falls silent by itself."""
    locks_pending: tuple[LockId, ...]  # whose offline list is not the wanted one


async def behind(tx: ReadSession, *, now: datetime, after: str, limit: int) -> list[Behind]:
    """Return online hubs that lack a lease, or a revision that they may have, by id."""
    lacks_lease = hubs.c.lease_confirmed < hubs.c.lease_wanted
    lacks_revision = hubs.c.revision_confirmed < hubs.c.revision_wanted
    rows = await tx.execute(
        select(
            hubs.c.id,
            hubs.c.lease_wanted,
            hubs.c.revision_wanted,
            _is_subscribed(now).label("is_subscribed"),
        )
        .join(subscriptions, subscriptions.c.site_id == hubs.c.site_id)
        .where(
            hubs.c.online,
            hubs.c.retired_at.is_(None),
            or_(lacks_lease, lacks_revision),  # as the index ix_hubs_behind says it
            or_(lacks_lease, _is_subscribed(now)),
            hubs.c.id > after,
        )
        .order_by(hubs.c.id)
        .limit(limit)
    )
    return [
        Behind(
            hub_id=row.id,
            lease_number=row.lease_wanted,
            revision=row.revision_wanted if row.is_subscribed else 0,
        )
        for row in rows
    ]


async def site_progress(
    tx: ReadSession, site_id: SiteId, *, now: datetime, offline_grace: timedelta
) -> list[HubProgress]:
    """Return how far each hub of a site is, by name."""
    pending = await _locks_pending(tx, site_id)
    rows = await tx.execute(
        select(
            hubs,
            subscriptions.c.ends_at,
            subscriptions.c.cancelled,
            _is_subscribed(now).label("is_subscribed"),
        )
        .join(subscriptions, subscriptions.c.site_id == hubs.c.site_id)
        .where(hubs.c.site_id == site_id, hubs.c.retired_at.is_(None))
        .order_by(hubs.c.name, hubs.c.id)
    )
    return [
        HubProgress(
            id=HubId(row.id),
            name=row.name,
            online=row.online,
            online_since=row.online_since,
            subscription=_progress(row.lease_confirmed, row.lease_wanted, may_have=True),
            access=_progress(
                row.revision_confirmed, row.revision_wanted, may_have=row.is_subscribed
            ),
            confirmed_at=row.confirmed_at,
            silent_at=row.ends_at + offline_grace if _serves_on(row) else None,
            locks_pending=tuple(pending.get(row.id, ())),
        )
        for row in rows
    ]


def _is_subscribed(now: datetime) -> ColumnElement[bool]:
    return and_(~subscriptions.c.expired, ~subscriptions.c.cancelled, subscriptions.c.ends_at > now)


def _serves_on(row: Row[Any]) -> bool:
    """Whether a hub may still serve a site that has ended.

    A cancelled subscription's row no longer has the end that the hub's lease names.
    """
    return not row.is_subscribed and not row.cancelled and row.subscribed_confirmed is not False


def _progress(confirmed: int, wanted: int, *, may_have: bool) -> Progress:
    if confirmed >= wanted:
        return Progress.IN_SYNC
    return Progress.PENDING if may_have else Progress.WAITING_FOR_SUBSCRIPTION


async def _locks_pending(tx: ReadSession, site_id: SiteId) -> dict[str, list[LockId]]:
    rows = await tx.execute(
        select(locks.c.hub_id, locks.c.id)
        .where(
            locks.c.site_id == site_id, locks.c.list_confirmed.is_distinct_from(locks.c.list_wanted)
        )
        .order_by(locks.c.id)
    )
    pending: defaultdict[str, list[LockId]] = defaultdict(list)
    for row in rows:
        pending[row.hub_id].append(LockId(row.id))
    return pending
