"""The incidents of a site, those that became known last first."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, tuple_

from controller.db.engine import ReadSession
from controller.db.tables.activity import incidents
from controller.db.tables.hardware import hubs, locks
from controller.domain.errors import NotFound
from controller.domain.ids import IncidentId, LockId, SiteId
from controller.domain.incidents import Incident, IncidentKind

Place = tuple[datetime, str]
"""Where an incident stands in the list: when it was received, and its id."""

Named = tuple[Incident, str | None, str | None]
"""An incident with what people call its lock and its hub."""


async def site_incidents(
    tx: ReadSession,
    site_id: SiteId,
    *,
    after: Place | None,
    limit: int,
    kind: IncidentKind | None = None,
    lock_id: LockId | None = None,
    going_on: bool | None = None,
) -> list[Named]:
    """Return incidents of a site.

    Args:
        tx: The view to read in.
        site_id: The site.
        after: Place of the incident behind which to begin.
        limit: Incidents at most.
        kind: Of this kind only.
        lock_id: At this lock only.
        going_on: Only those that go on, or only those that are over.
    """
    statement = _named().where(incidents.c.site_id == site_id).limit(limit)
    order = (incidents.c.received_at, incidents.c.id)
    if after is not None:
        statement = statement.where(tuple_(*order) < tuple_(*after))
    if kind is not None:
        statement = statement.where(incidents.c.kind == kind)
    if lock_id is not None:
        statement = statement.where(incidents.c.lock_id == lock_id)
    if going_on is not None:
        is_open = incidents.c.over_at.is_(None)
        statement = statement.where(is_open if going_on else ~is_open)
    rows = await tx.execute(statement.order_by(*(column.desc() for column in order)))
    return [_incident(row) for row in rows]


async def incident(tx: ReadSession, site_id: SiteId, incident_id: IncidentId) -> Named:
    """Return an incident of a site.

    Raises:
        NotFound: The site has none of this id.
    """
    found = _named().where(incidents.c.site_id == site_id, incidents.c.id == incident_id)
    row = (await tx.execute(found)).one_or_none()
    if row is None:
        raise NotFound("There is no such incident at this site.", object="incident")
    return _incident(row)


def _named() -> Any:
    return (
        select(incidents, locks.c.name.label("lock_name"), hubs.c.name.label("hub_name"))
        .outerjoin(
            locks, (locks.c.site_id == incidents.c.site_id) & (locks.c.id == incidents.c.lock_id)
        )
        .outerjoin(
            hubs, (hubs.c.site_id == incidents.c.site_id) & (hubs.c.id == incidents.c.hub_id)
        )
    )


def _incident(row: Row[Any]) -> Named:
    kept = Incident(
        site_id=row.site_id,
        id=row.id,
        kind=IncidentKind(row.kind),
        lock_id=row.lock_id,
        hub_id=row.hub_id,
        at=row.at,
        received_at=row.received_at,
        over_at=row.over_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        facts=row.facts,
    )
    return kept, row.lock_name, row.hub_name
