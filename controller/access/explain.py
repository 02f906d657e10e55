"""Why a person may or may not open a lock, and who is on a lock's offline list."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import and_, select

from controller.access.queries import holidays_of
from controller.access.repository import to_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import access_groups, group_locks, group_people, schedules
from controller.db.tables.sites import sites
from controller.domain.access import (
    AccessGroup,
    Allowed,
    Credential,
    Decision,
    DenyReason,
    Person,
    decide,
)
from controller.domain.ids import LockId, PersonId, SiteId
from controller.domain.people import SiteCredential
from controller.domain.schedule import Schedule
from controller.hardware import repository as hardware
from controller.people import repository as people_repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What would happen if a person presented one of its credentials."""

    credential: SiteCredential
    decision: Decision


async def why(
    tx: ReadSession,
    site_id: SiteId,
    *,
    person_id: PersonId,
    lock_id: LockId,
    subscribed: bool,
    at: datetime,
) -> tuple[Decision, tuple[Explained, ...]]:
    """Return what a lock would do for a person at an instant, at best and by credential.

    Args:
        tx: The view to read in.
        site_id: The site.
        person_id: Who stands at the door.
        lock_id: Which door.
        subscribed: The site's subscription runs at that instant.
        at: The instant.

    Raises:
        NotFound: The site has no such person or lock.
    """
    person = await people_repository.person(tx, site_id, person_id)
    lock = await hardware.lock(tx, site_id, lock_id)
    groups = await _groups_of(tx, site_id, person_id=person_id, lock_id=lock.id)
    zone = ZoneInfo(
        (await tx.execute(select(sites.c.time_zone).where(sites.c.id == site_id))).scalar_one()
    )
    who = Person(
        id=person.id,
        subscribed=person.subscribed_at is not None,
        starts_at=person.starts_at,
        ends_at=person.expires_at,
    )
    kept = await holidays_of(tx, site_id)

    def decided(credential: SiteCredential | None) -> Decision:
        is_told = credential is not None and credential.usable  # what is not, hubs do not know
        holder = (_presented(credential), who) if credential and is_told else None
        return decide(
            subscribed=subscribed,
            holder=holder,
            groups=groups,
            lock_id=lock_id,
            zone=zone,
            now=at,
            holidays=kept,
        )

    held = await people_repository.credentials_of(tx, site_id, person_id)
    explained = tuple(Explained(credential=one, decision=decided(one)) for one in held)
    return _best(tuple(one.decision for one in explained) or (decided(None),)), explained


def _presented(credential: SiteCredential) -> Credential:
    return Credential(
        id=credential.id,
        person_id=credential.person_id,
        kind=credential.kind,
        blocked=credential.blocked_at is not None,
        ends_at=credential.ends_at,
    )


def _best(decisions: tuple[Decision, ...]) -> Decision:
    """Return the one that opens, else the one that got furthest in the order of the checks."""
    order = list(DenyReason)

    def rank(decision: Decision) -> int:
        return len(order) if isinstance(decision, Allowed) else order.index(decision.reason)

    return max(decisions, key=rank)


async def _groups_of(
    tx: ReadSession, site_id: SiteId, *, person_id: PersonId, lock_id: LockId
) -> list[AccessGroup]:
    """Return the groups that have both the person and the lock."""
    rows = await tx.execute(
        select(
            access_groups.c.id,
            access_groups.c.schedule_id,
            access_groups.c.starts_at,
            access_groups.c.ends_at,
            schedules.c.windows,
            schedules.c.observes_holidays,
            schedules.c.starts_on,
            schedules.c.ends_on,
        )
        .join(
            group_people,
            and_(
                group_people.c.site_id == access_groups.c.site_id,
                group_people.c.group_id == access_groups.c.id,
            ),
        )
        .join(
            group_locks,
            and_(
                group_locks.c.site_id == access_groups.c.site_id,
                group_locks.c.group_id == access_groups.c.id,
            ),
        )
        .outerjoin(
            schedules,
            and_(
                schedules.c.site_id == access_groups.c.site_id,
                schedules.c.id == access_groups.c.schedule_id,
            ),
        )
        .where(
            access_groups.c.site_id == site_id,
            group_people.c.person_id == person_id,
            group_locks.c.lock_id == lock_id,
        )
    )
    return [
        AccessGroup(
            id=row.id,
            person_ids=frozenset({person_id}),
            lock_ids=frozenset({lock_id}),
            schedule=Schedule.always() if row.schedule_id is None else to_schedule(row),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )
        for row in rows
    ]
