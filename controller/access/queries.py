"""What the rows of a site say about who may open what."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, Select, and_, select

from controller.access.repository import to_group, to_named_schedule, to_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import (
    access_groups,
    group_locks,
    group_people,
    holidays,
    schedules,
)
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials, people, revoked_digests
from controller.db.tables.sites import sites
from controller.domain.access import Credential, CredentialKind, Person, Privilege
from controller.domain.errors import NotFound
from controller.domain.groups import NamedSchedule, SiteGroup
from controller.domain.hardware import SiteLock
from controller.domain.ids import GroupId, ScheduleId, SiteId
from controller.domain.people import SitePerson
from controller.domain.schedule import Holiday, Schedule
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked, SiteState
from controller.hardware.repository import to_door, to_lock
from controller.people.repository import to_person


async def site_state(tx: ReadSession, site_id: SiteId, *, offline_only: bool = False) -> SiteState:
    """Return the access state of a site.

    Args:
        tx: The view or transaction to read in.
        site_id: The site.
        offline_only: Only the people and credentials that can be on an offline list: all that
            is needed to know those lists, and much less to read.

    Raises:
        NotFound: There is no such site.
    """
    zone = (await tx.execute(select(sites.c.time_zone).where(sites.c.id == site_id))).scalar()
    if zone is None:
        raise NotFound("There is no such site, or you have no role there.", object="site")
    held = select(credentials).where(credentials.c.site_id == site_id, credentials.c.usable)
    known = select(people).where(people.c.site_id == site_id)
    joined = select(group_people).where(group_people.c.site_id == site_id)
    if offline_only:
        held = held.where(credentials.c.offline)
        some = select(credentials.c.person_id).where(
            credentials.c.site_id == site_id, credentials.c.offline
        )
        known = known.where(people.c.id.in_(some))
        joined = joined.where(group_people.c.person_id.in_(some))
    return SiteState(
        site_id=site_id,
        time_zone=zone,
        people={row.id: to_known(row) for row in await tx.execute(known.order_by(people.c.id))},
        credentials=tuple(
            to_credential(row) for row in await tx.execute(held.order_by(credentials.c.id))
        ),
        groups=await _groups(tx, site_id, joined),
        schedules=await _schedules(tx, site_id),
        locks=await _locks(tx, site_id),
        revoked=() if offline_only else await _revoked(tx, site_id),
        holidays=await holidays_of(tx, site_id),
    )


async def _groups(tx: ReadSession, site_id: SiteId, joined: Select[Any]) -> tuple[Group, ...]:
    doors = select(group_locks).where(group_locks.c.site_id == site_id)
    person_ids = _gathered((row.group_id, row.person_id) for row in await tx.execute(joined))
    lock_ids = _gathered((row.group_id, row.lock_id) for row in await tx.execute(doors))
    rows = await tx.execute(
        select(access_groups).where(access_groups.c.site_id == site_id).order_by(access_groups.c.id)
    )
    return tuple(
        Group(
            id=row.id,
            schedule_id=row.schedule_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            person_ids=frozenset(person_ids[row.id]),
            lock_ids=frozenset(lock_ids[row.id]),
        )
        for row in rows
    )


async def _schedules(tx: ReadSession, site_id: SiteId) -> dict[ScheduleId, Schedule]:
    rows = await tx.execute(
        select(schedules).where(schedules.c.site_id == site_id).order_by(schedules.c.id)
    )
    return {row.id: to_schedule(row) for row in rows}


async def holidays_of(tx: ReadSession, site_id: SiteId) -> tuple[Holiday, ...]:
    """Return the holidays of a site, in order."""
    rows = await tx.execute(
        select(holidays).where(holidays.c.site_id == site_id).order_by(holidays.c.starts_on)
    )
    return tuple(Holiday(starts_on=row.starts_on, days=row.days) for row in rows)


async def _locks(tx: ReadSession, site_id: SiteId) -> tuple[Lock, ...]:
    rows = await tx.execute(select(locks).where(locks.c.site_id == site_id).order_by(locks.c.id))
    return tuple(to_state_lock(row) for row in rows)


async def _revoked(tx: ReadSession, site_id: SiteId) -> tuple[Revoked, ...]:
    rows = await tx.execute(
        select(revoked_digests)
        .where(revoked_digests.c.site_id == site_id)
        .order_by(revoked_digests.c.digest)
    )
    return tuple(Revoked(digest=row.digest, revoked_at=row.revoked_at) for row in rows)


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


def _gathered(pairs: Iterable[tuple[str, Any]]) -> defaultdict[str, list[Any]]:
    gathered = defaultdict(list)
    for key, value in pairs:
        gathered[key].append(value)
    return gathered
