"""Who is behind, for the publishing loop."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select

from controller.db.engine import ReadSession
from controller.db.tables.hardware import hubs
from controller.db.tables.subscriptions import subscriptions
from gateway.port import Behind


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


def _is_subscribed(now: datetime) -> ColumnElement[bool]:
    return and_(~subscriptions.c.expired, ~subscriptions.c.cancelled, subscriptions.c.ends_at > now)
