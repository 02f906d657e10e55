"""Incidents over REST."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import Field

from controller.activity import incident_queries, incidents
from controller.activity.incident_queries import Named, Place
from controller.audit.service import Audit
from controller.domain.ids import AccountId, HubId, IncidentId, LockId, SiteId
from controller.domain.incidents import IncidentKind
from controller.domain.roles import Action
from controller.web.api import Call, get, post
from controller.web.models import ID, Out
from controller.web.pagination import (
    LIMIT_DEFAULT,
    BadCursor,
    Cursor,
    Key,
    Limit,
    Page,
    decoded,
    page_of,
)

INCIDENTS = "/sites/{site_id}/incidents"


class IncidentOut(Out):
    """What a device reports that is no entry at a door."""

    id: IncidentId
    kind: IncidentKind
    lock_id: LockId | None
    lock_name: Annotated[str | None, Field(description="Nothing once the lock has left.")]
    hub_id: HubId | None
    hub_name: str | None
    at: Annotated[datetime, Field(description="By the clock of who noticed.")]
    received_at: Annotated[datetime, Field(description="When it was stored here.")]
    over_at: Annotated[datetime | None, Field(description="Nothing while it goes on.")]
    acknowledged_at: datetime | None
    acknowledged_by: AccountId | None
    facts: dict[str, Any]

    @classmethod
    def of(cls, named: Named) -> Self:
        """Return an incident as it is shown."""
        incident, lock_name, hub_name = named
        return cls(**asdict(incident), lock_name=lock_name, hub_name=hub_name)


class IncidentsApi:
    """The incidents of a site."""

    tag = "incidents"

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @get(INCIDENTS, requires=Action.READ_ACTIVITY)
    async def incidents(
        self,
        call: Call,
        site_id: SiteId,
        *,
        kind: Annotated[IncidentKind | None, Field(description="Of this kind only.")] = None,
        lock_id: Annotated[LockId, ID] | None = None,
        going_on: Annotated[
            bool | None, Field(description="Only those that go on, or that are over.")
        ] = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[IncidentOut]:
        """List incidents, those that became known last first."""
        after = _place(cursor)
        async with call.db.read() as tx:
            found = await incident_queries.site_incidents(
                tx,
                site_id,
                after=after,
                limit=limit + 1,
                kind=kind,
                lock_id=lock_id,
                going_on=going_on,
            )
        page = page_of(found, limit, _key)
        return Page(
            items=[IncidentOut.of(each) for each in page.items], next_cursor=page.next_cursor
        )

    @post(INCIDENTS + "/{incident_id}/acknowledge", requires=Action.READ_ACTIVITY)
    async def acknowledge(
        self, call: Call, site_id: SiteId, incident_id: IncidentId
    ) -> IncidentOut:
        """Say that somebody has seen an incident; who said so first stays."""
        async with call.db.write() as tx:
            await incident_queries.incident(tx, site_id, incident_id)
            if await incidents.acknowledge(tx, call.actor, site_id, incident_id, now=call.now):
                await self._audit.record(
                    tx,
                    call.actor,
                    "incident_acknowledged",
                    site_id=site_id,
                    object_kind="incident",
                    object_id=incident_id,
                    now=call.now,
                )
            seen = await incident_queries.incident(tx, site_id, incident_id)
        return IncidentOut.of(seen)


def _key(named: Named) -> tuple[Key, ...]:
    incident, _, _ = named
    return incident.received_at.isoformat(), incident.id


def _place(cursor: str | None) -> Place | None:
    """Return the incident behind which a page begins.

    Raises:
        BadCursor: No page of ours ends there.
    """
    key = decoded(cursor, str, str)
    if key is None:
        return None
    try:
        return datetime.fromisoformat(str(key[0])).astimezone(UTC), str(key[1])
    except (ValueError, OverflowError) as error:
        raise BadCursor from error
