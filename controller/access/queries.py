"""What the rows of a site say about who may open what."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, select

from controller.access.repository import to_group, to_named_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import (
    access_groups,
    group_locks,
    group_people,
    holidays,
    schedules,
)
from controller.db.tables.hardware import locks
from controller.db.tables.people import people
from controller.domain.access import Credential, CredentialKind, Person, Privilege
from controller.domain.groups import NamedSchedule, SiteGroup
from controller.domain.hardware import SiteLock
from controller.domain.ids import GroupId, SiteId
from controller.domain.people import SitePerson
from controller.domain.schedule import Holiday
from controller.domain.site_state import HeldCredential, Lock
from controller.hardware.repository import to_door, to_lock
from controller.people.repository import to_person


async def holidays_of(tx: ReadSession, site_id: SiteId) -> tuple[Holiday, ...]:
    """Return the holidays of a site, in order."""
    rows = await tx.execute(
        select(holidays).where(holidays.c.site_id == site_id).order_by(holidays.c.starts_on)
    )
    return tuple(Holiday(starts_on=row.starts_on, days=row.days) for row in rows)


async def schedules_of(tx: ReadSession, site_id: SiteId) -> Sequence[NamedSchedule]:
    """Return the schedules of a site by name."""
    some = select(schedules).where(schedules.c.site_id == site_id)
    return [to_named_schedule(row) for row in await tx.execute(some.order_by(schedules.c.name))]


async def groups_of_site(
    tx: ReadSession, site_id: SiteId, *, after_id: str | None, limit: int
) -> Sequence[SiteGroup]:
    """Return access groups of a site after an id, by id, at most ``limit``."""
    some = select(access_groups).where(access_groups.c.site_id == site_id)
    if after_id is not None:
        some = some.where(access_groups.c.id > after_id)
    return [
        to_group(row) for row in await tx.execute(some.order_by(access_groups.c.id).limit(limit))
    ]


async def members(
    tx: ReadSession, site_id: SiteId, group_id: GroupId, *, after_id: str | None, limit: int
) -> Sequence[SitePerson]:
    """Return people of a group after an id, by id, at most ``limit``."""
    some = (
        select(people)
        .join(
            group_people,
            and_(
                group_people.c.site_id == people.c.site_id,
                group_people.c.person_id == people.c.id,
            ),
        )
        .where(people.c.site_id == site_id, group_people.c.group_id == group_id)
    )
    if after_id is not None:
        some = some.where(people.c.id > after_id)
    return [to_person(row) for row in await tx.execute(some.order_by(people.c.id).limit(limit))]


async def locks_of_group(tx: ReadSession, site_id: SiteId, group_id: GroupId) -> Sequence[SiteLock]:
    """Return the locks of a group, oldest first."""
    some = (
        select(locks)
        .join(
            group_locks,
            and_(group_locks.c.site_id == locks.c.site_id, group_locks.c.lock_id == locks.c.id),
        )
        .where(locks.c.site_id == site_id, group_locks.c.group_id == group_id)
    )
    return [to_lock(row) for row in await tx.execute(some.order_by(locks.c.created_at, locks.c.id))]


def to_state_lock(row: Row[Any]) -> Lock:
    """Return what of a row of ``locks`` decides at a door."""
    return Lock(
        id=row.id,
        hub_id=row.hub_id,
        serial=row.serial,
        public_key=row.public_key,
        pairing=row.pairing,
        capacity=row.capacity,
        door=to_door(row),
        epoch=row.epoch,
        ticket_number=row.ticket_number,
    )


def to_known(row: Row[Any]) -> Person:
    """Return what of a row of ``people`` decides at a door."""
    return Person(
        id=row.id,
        subscribed=row.subscribed_at is not None,
        subscribed_at=row.subscribed_at,
        starts_at=row.starts_at,
        ends_at=row.expires_at,
        privileges=Privilege(row.privileges),
    )


def to_credential(row: Row[Any]) -> HeldCredential:
    """Return what of a row of ``credentials`` decides at a door."""
    return HeldCredential(
        credential=Credential(
            id=row.id,
            person_id=row.person_id,
            kind=CredentialKind(row.kind),
            blocked=row.blocked_at is not None,
            ends_at=row.ends_at,
        ),
        digest=row.digest,
        offline=row.offline,
    )
