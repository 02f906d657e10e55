"""What the rows of a site say about who may open what."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, Select, select

from controller.access.repository import to_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import access_groups, group_locks, group_people, schedules
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials, people, revoked_digests
from controller.db.tables.sites import sites
from controller.domain.access import Credential, CredentialKind, Person
from controller.domain.errors import NotFound
from controller.domain.ids import ScheduleId, SiteId
from controller.domain.schedule import Schedule
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked, SiteState


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
    held = select(credentials).where(credentials.c.site_id == site_id)
    known = select(people).where(people.c.site_id == site_id)
    members = select(group_people).where(group_people.c.site_id == site_id)
    if offline_only:
        held = held.where(credentials.c.offline)
        some = select(credentials.c.person_id).where(
            credentials.c.site_id == site_id, credentials.c.offline
        )
        known = known.where(people.c.id.in_(some))
        members = members.where(group_people.c.person_id.in_(some))
    return SiteState(
        site_id=site_id,
        time_zone=zone,
        people={row.id: _person(row) for row in await tx.execute(known.order_by(people.c.id))},
        credentials=tuple(
            _credential(row) for row in await tx.execute(held.order_by(credentials.c.id))
        ),
        groups=await _groups(tx, site_id, members),
        schedules=await _schedules(tx, site_id),
        locks=await _locks(tx, site_id),
        revoked=await _revoked(tx, site_id),
    )


async def _groups(tx: ReadSession, site_id: SiteId, members: Select[Any]) -> tuple[Group, ...]:
    doors = select(group_locks).where(group_locks.c.site_id == site_id)
    person_ids = _gathered((row.group_id, row.person_id) for row in await tx.execute(members))
    lock_ids = _gathered((row.group_id, row.lock_id) for row in await tx.execute(doors))
    rows = await tx.execute(
        select(access_groups).where(access_groups.c.site_id == site_id).order_by(access_groups.c.id)
    )
    return tuple(
        Group(
            id=row.id,
            schedule_id=row.schedule_id,
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


async def _locks(tx: ReadSession, site_id: SiteId) -> tuple[Lock, ...]:
    rows = await tx.execute(select(locks).where(locks.c.site_id == site_id).order_by(locks.c.id))
    return tuple(
        Lock(
            id=row.id,
            hub_id=row.hub_id,
            serial=row.serial,
            public_key=row.public_key,
            pairing=row.pairing,
            capacity=row.capacity,
            open_s=row.open_s,
            memory_days=row.memory_days,
            epoch=row.epoch,
        )
        for row in rows
    )


async def _revoked(tx: ReadSession, site_id: SiteId) -> tuple[Revoked, ...]:
    rows = await tx.execute(
        select(revoked_digests)
        .where(revoked_digests.c.site_id == site_id)
        .order_by(revoked_digests.c.digest)
    )
    return tuple(Revoked(digest=row.digest, revoked_at=row.revoked_at) for row in rows)


def _person(row: Row[Any]) -> Person:
    return Person(id=row.id, subscribed=row.subscribed_at is not None, ends_at=row.expires_at)


def _credential(row: Row[Any]) -> HeldCredential:
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
