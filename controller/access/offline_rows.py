"""The rows behind the offline lists of some locks, and no others.

What is read grows with the credentials that may be on these lists and with the site's explicit
ones, not with its people.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, select

from controller.access.queries import holidays_of, to_credential, to_known, to_state_lock
from controller.access.repository import to_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import access_groups, group_locks, group_people, schedules
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials, people
from controller.db.tables.sites import sites
from controller.domain.access import CredentialKind
from controller.domain.ids import LockId, SiteId
from controller.domain.site_state import Group, Lock, SiteState

_ON_PERSON = and_(people.c.site_id == credentials.c.site_id, people.c.id == credentials.c.person_id)
_LIVE = and_(credentials.c.blocked_at.is_(None), credentials.c.usable)


async def state_of_locks(
    tx: ReadSession,
    site_id: SiteId,
    lock_ids: Collection[LockId] | None = None,
    *,
    pins: bool = True,
    and_also: Sequence[Row[Any]] = (),
) -> SiteState:
    """Return the part of a site's access state that decides the offline lists of some locks.

    Args:
        tx: The view or transaction to read in.
        site_id: The site.
        lock_ids: The locks; None means all of the site.
        pins: Read the PINs that stand in line too; without them only explicit credentials count.
        and_also: Rows of ``credentials`` that the state has to contain, candidates or not.
    """
    here = [
        to_state_lock(row)
        for row in await tx.execute(
            select(locks)
            .where(locks.c.site_id == site_id, _one_of(locks.c.id, lock_ids))
            .order_by(locks.c.id)
        )
    ]
    held = {row.id: row for row in and_also}
    held |= {row.id: row for row in await tx.execute(_explicit(site_id, lock_ids))}
    for lock in here if pins else ():
        if lock.door.keypad:
            held |= {row.id: row for row in await tx.execute(_first_pins(site_id, lock))}
    person_ids = {row.person_id for row in held.values()}
    zone = select(sites.c.time_zone).where(sites.c.id == site_id)
    known = select(people).where(people.c.site_id == site_id, people.c.id.in_(person_ids))
    return SiteState(
        site_id=site_id,
        time_zone=(await tx.execute(zone)).scalar_one(),
        people={row.id: to_known(row) for row in await tx.execute(known.order_by(people.c.id))},
        credentials=tuple(to_credential(row) for _, row in sorted(held.items())),
        groups=await _groups(tx, site_id, lock_ids, person_ids),
        schedules={
            row.id: to_schedule(row)
            for row in await tx.execute(select(schedules).where(schedules.c.site_id == site_id))
        },
        locks=tuple(here),
        revoked=(),
        holidays=await holidays_of(tx, site_id),
    )


def reaches(lock_id: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that the holder of a row of ``credentials`` is in a group with a lock.

    Args:
        lock_id: A condition on ``group_locks``.
    """
    return (
        select(group_people.c.group_id)
        .join(
            group_locks,
            and_(
                group_locks.c.site_id == group_people.c.site_id,
                group_locks.c.group_id == group_people.c.group_id,
            ),
        )
        .where(
            group_people.c.site_id == credentials.c.site_id,
            group_people.c.person_id == credentials.c.person_id,
            lock_id,
        )
        .exists()
    )


def _explicit(site_id: SiteId, lock_ids: Collection[LockId] | None) -> Select[Any]:
    """Select the live explicit credentials at some locks."""
    return (
        select(credentials)
        .join(people, _ON_PERSON)
        .where(
            credentials.c.site_id == site_id,
            credentials.c.offline,
            credentials.c.kind != CredentialKind.PIN,
            _LIVE,
            people.c.subscribed_at.is_not(None),
            reaches(_one_of(group_locks.c.lock_id, lock_ids)),
        )
    )


def _first_pins(site_id: SiteId, lock: Lock) -> Select[Any]:
    """Select the PINs that stand in line at a lock: as many as it has slots."""
    return (
        select(credentials)
        .join(people, _ON_PERSON)
        .where(
            credentials.c.site_id == site_id,
            credentials.c.kind == CredentialKind.PIN,
            _LIVE,
            people.c.subscribed_at.is_not(None),
            reaches(group_locks.c.lock_id == lock.id),
        )
        .order_by(people.c.subscribed_at, people.c.id, credentials.c.id)
        .limit(lock.capacity)
    )


async def _groups(
    tx: ReadSession,
    site_id: SiteId,
    lock_ids: Collection[LockId] | None,
    person_ids: Collection[str],
) -> tuple[Group, ...]:
    """Return the groups with these locks, with those of their people who count."""
    doors: defaultdict[str, set[LockId]] = defaultdict(set)
    for row in await tx.execute(
        select(group_locks).where(
            group_locks.c.site_id == site_id, _one_of(group_locks.c.lock_id, lock_ids)
        )
    ):
        doors[row.group_id].add(row.lock_id)
    members: defaultdict[str, set[Any]] = defaultdict(set)
    for row in await tx.execute(
        select(group_people).where(
            group_people.c.site_id == site_id,
            group_people.c.person_id.in_(person_ids),
            group_people.c.group_id.in_(doors),
        )
    ):
        members[row.group_id].add(row.person_id)
    rows = await tx.execute(
        select(access_groups)
        .where(access_groups.c.site_id == site_id, access_groups.c.id.in_(doors))
        .order_by(access_groups.c.id)
    )
    return tuple(
        Group(
            id=row.id,
            schedule_id=row.schedule_id,
            person_ids=frozenset(members[row.id]),
            lock_ids=frozenset(doors[row.id]),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )
        for row in rows
    )


def _one_of(column: ColumnElement[str], lock_ids: Collection[LockId] | None) -> ColumnElement[bool]:
    return column.is_not(None) if lock_ids is None else column.in_(lock_ids)
