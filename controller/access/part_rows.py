"""Some of the rows that decide who may open what, by id, in statements of bounded size.

Access groups, lockers and pods are groups alike. A lock that leaves its site is in none of them,
nor is one whose locker cannot be used; one that is somebody's locker is in that locker's only.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, and_, null, or_, select, tuple_

from controller.access.queries import to_credential, to_known, to_state_lock
from controller.access.repository import to_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import access_groups, group_locks, lockers, pod_locks, pods
from controller.db.tables.access import schedules as schedule_rows
from controller.db.tables.hardware import locks, purges
from controller.db.tables.people import credentials, people
from controller.domain.access import Person
from controller.domain.ids import GroupId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.schedule import Schedule
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked
from controller.sync.changes import in_batches
from controller.sync.rights import WAYS

ROWS_AT_ONCE: Final = 2_000

_PERSONAL: Final = lockers.c.kind == "personal"


async def locks_by(tx: ReadSession, site_id: SiteId, ids: Collection[str]) -> dict[LockId, Lock]:
    """Return those of some locks that there are."""
    some = select(locks).where(locks.c.site_id == site_id)
    rows = await _rows(tx, some, locks.c.id, ids)
    free = select(lockers.c.lock_id).where(
        lockers.c.site_id == site_id, ~_PERSONAL, lockers.c.usable
    )
    free_ids = {row.lock_id for row in await _rows(tx, free, lockers.c.lock_id, ids)}
    revoked = await purges_at(tx, site_id, ids)
    found = {}
    for row in rows:
        lock = replace(to_state_lock(row), free_locker=row.id in free_ids)
        instants = [at for at in (row.purged_at, row.released_at) if at is not None]
        is_here = row.released_at is None
        found[lock.id] = replace(
            lock,
            purges=revoked.get(lock.id, ()) if is_here else (),
            purged_at=max(instants, default=None),
        )
    return found


async def locks_of_hubs(tx: ReadSession, site_id: SiteId, hub_ids: Collection[str]) -> set[LockId]:
    """Return the locks that some hubs serve."""
    some = select(locks.c.id).where(locks.c.site_id == site_id)
    return {row.id for row in await _rows(tx, some, locks.c.hub_id, hub_ids)}


async def purges_at(
    tx: ReadSession, site_id: SiteId, lock_ids: Collection[str]
) -> dict[LockId, tuple[Revoked, ...]]:
    """Return what some locks must forget by name, each by digest; a lock may have nothing."""
    some = select(purges).where(purges.c.site_id == site_id)
    found: defaultdict[LockId, list[Revoked]] = defaultdict(list)
    for row in await _rows(tx, some, purges.c.lock_id, lock_ids):
        found[row.lock_id].append(Revoked(digest=row.digest, revoked_at=row.revoked_at))
    by_digest = {
        lock_id: sorted(each, key=lambda one: one.digest) for lock_id, each in found.items()
    }
    return {lock_id: tuple(each) for lock_id, each in by_digest.items()}


async def groups_with(tx: ReadSession, site_id: SiteId, lock_ids: Collection[str]) -> set[GroupId]:
    """Return the groups that have some locks."""
    found: set[GroupId] = set()
    for way in WAYS:
        some = select(way.doors_group.label("id")).where(way.doors.c.site_id == site_id)
        found.update(row.id for row in await _rows(tx, some, way.doors.c.lock_id, lock_ids))
    return found


async def groups_by(tx: ReadSession, site_id: SiteId, ids: Collection[str]) -> dict[GroupId, Group]:
    """Return those of some groups that there are, with their locks and nobody in them."""
    doors: defaultdict[str, set[LockId]] = defaultdict(set)
    for some, column in _doors(site_id):
        for row in await _rows(tx, some, column, ids):
            doors[row.group_id].add(row.lock_id)
    found = {}
    for some, column in _frames(site_id):
        for row in await _rows(tx, some, column, ids):
            found[row.id] = Group(
                id=row.id,
                schedule_id=row.schedule_id,
                person_ids=frozenset(),
                lock_ids=frozenset(doors[row.id]),
                starts_at=row.starts_at,
                ends_at=row.ends_at,
            )
    return found


async def members_of(
    tx: ReadSession, site_id: SiteId, group_ids: Collection[str]
) -> dict[GroupId, set[PersonId]]:
    """Return who is in some groups, read a page at a time."""
    found: defaultdict[GroupId, set[PersonId]] = defaultdict(set)
    for way in WAYS:
        columns = way.people_group, way.people.c.person_id
        some = select(way.people_group.label("group_id"), way.people.c.person_id)
        some = some.where(way.people.c.site_id == site_id).order_by(*columns).limit(ROWS_AT_ONCE)
        for batch in in_batches(group_ids):
            page = list(await tx.execute(some.where(way.people_group.in_(batch))))
            while page:
                for row in page:
                    found[row.group_id].add(row.person_id)
                after = tuple_(*columns) > tuple_(page[-1].group_id, page[-1].person_id)
                is_last = len(page) < ROWS_AT_ONCE
                more = some.where(way.people_group.in_(batch), after)
                page = [] if is_last else list(await tx.execute(more))
    return found


async def groups_of(
    tx: ReadSession, site_id: SiteId, person_ids: Collection[str]
) -> dict[PersonId, set[GroupId]]:
    """Return in which groups some people are."""
    found: defaultdict[PersonId, set[GroupId]] = defaultdict(set)
    for way in WAYS:
        some = select(way.people_group.label("group_id"), way.people.c.person_id).where(
            way.people.c.site_id == site_id
        )
        for row in await _rows(tx, some, way.people.c.person_id, person_ids):
            found[row.person_id].add(row.group_id)
    return found


async def people_by(
    tx: ReadSession, site_id: SiteId, ids: Collection[str]
) -> dict[PersonId, Person]:
    """Return those of some people that there are."""
    some = select(people).where(people.c.site_id == site_id)
    return {row.id: to_known(row) for row in await _rows(tx, some, people.c.id, ids)}


async def credentials_of(
    tx: ReadSession, site_id: SiteId, person_ids: Collection[str]
) -> dict[PersonId, list[HeldCredential]]:
    """Return what some people hold; not what they cannot use."""
    some = select(credentials).where(credentials.c.site_id == site_id, credentials.c.usable)
    found: defaultdict[PersonId, list[HeldCredential]] = defaultdict(list)
    for row in await _rows(tx, some, credentials.c.person_id, person_ids):
        found[row.person_id].append(to_credential(row))
    return found


async def schedules_by(
    tx: ReadSession, site_id: SiteId, ids: Collection[str]
) -> dict[ScheduleId, Schedule]:
    """Return those of some schedules that there are."""
    some = select(schedule_rows).where(schedule_rows.c.site_id == site_id)
    return {row.id: to_schedule(row) for row in await _rows(tx, some, schedule_rows.c.id, ids)}


def _frames(site_id: SiteId) -> list[tuple[Select[Any], Column[Any]]]:
    """Select the groups of all three ways, each with the column of its id."""
    nothing = [null().label(name) for name in ("schedule_id", "starts_at", "ends_at")]
    return [
        (select(access_groups).where(access_groups.c.site_id == site_id), access_groups.c.id),
        (
            select(lockers.c.id, *nothing).where(
                lockers.c.site_id == site_id, _PERSONAL, lockers.c.usable
            ),
            lockers.c.id,
        ),
        (
            select(pods.c.id, nothing[0], pods.c.starts_at, pods.c.ends_at).where(
                pods.c.site_id == site_id, pods.c.usable
            ),
            pods.c.id,
        ),
    ]


def _doors(site_id: SiteId) -> list[tuple[Select[Any], Column[Any]]]:
    """Select the locks of the groups of all three ways, each with the column of the group."""
    own = lockers.alias()
    shut = select(own.c.id).where(
        own.c.site_id == site_id, or_(own.c.kind == "personal", ~own.c.usable)
    )
    here = select(locks.c.id).where(locks.c.site_id == site_id, locks.c.released_at.is_(None))

    def opens(lock_id: Column[Any]) -> ColumnElement[bool]:
        return and_(
            here.where(locks.c.id == lock_id).exists(),
            ~shut.where(own.c.lock_id == lock_id).exists(),
        )

    return [
        (
            select(group_locks).where(
                group_locks.c.site_id == site_id, opens(group_locks.c.lock_id)
            ),
            group_locks.c.group_id,
        ),
        (
            select(lockers.c.id.label("group_id"), lockers.c.lock_id).where(
                lockers.c.site_id == site_id,
                _PERSONAL,
                lockers.c.usable,
                here.where(locks.c.id == lockers.c.lock_id).exists(),
            ),
            lockers.c.id,
        ),
        (
            select(pod_locks.c.pod_id.label("group_id"), pod_locks.c.lock_id).where(
                pod_locks.c.site_id == site_id, opens(pod_locks.c.lock_id)
            ),
            pod_locks.c.pod_id,
        ),
    ]


async def _rows(
    tx: ReadSession, statement: Select[Any], column: Any, ids: Collection[str]
) -> list[Any]:
    """Return all rows where a column is one of some ids."""
    found: list[Any] = []
    for some in in_batches(ids):
        found += await tx.execute(statement.where(column.in_(some)))
    return found
