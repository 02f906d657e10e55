"""The rows behind the offline lists of some locks, and no others.

What is read grows with the credentials that may be on these lists and with the site's explicit
ones, not with its people.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select

from controller.access import part_rows
from controller.access.queries import holidays_of, to_credential
from controller.db.engine import ReadSession
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials, people
from controller.db.tables.sites import sites
from controller.domain.access import CredentialKind
from controller.domain.ids import GroupId, LockId, PersonId, SiteId
from controller.domain.site_state import Group, Lock, SiteState
from controller.sync.rights import WAYS


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
    if lock_ids is None:
        every = await tx.execute(select(locks.c.id).where(locks.c.site_id == site_id))
        lock_ids = set(every.scalars())
    here = await part_rows.locks_by(tx, site_id, lock_ids)
    group_ids = await part_rows.groups_with(tx, site_id, lock_ids)
    groups = await part_rows.groups_by(tx, site_id, group_ids)
    held = {row.id: row for row in and_also}
    held |= {row.id: row for row in await tx.execute(_explicit(site_id, groups.values()))}
    for lock in here.values() if pins else ():
        if lock.door.keypad:
            with_lock = [group for group in groups.values() if lock.id in group.lock_ids]
            first = await tx.execute(_first_pins(site_id, lock, with_lock))
            held |= {row.id: row for row in first}
    person_ids = {row.person_id for row in held.values()}
    members: defaultdict[GroupId, set[PersonId]] = defaultdict(set)
    for person_id, ids in (await part_rows.groups_of(tx, site_id, person_ids)).items():
        for group_id in ids:
            members[group_id].add(person_id)
    zone = select(sites.c.time_zone).where(sites.c.id == site_id)
    followed = {group.schedule_id for group in groups.values() if group.schedule_id is not None}
    return SiteState(
        site_id=site_id,
        time_zone=(await tx.execute(zone)).scalar_one(),
        people=await part_rows.people_by(tx, site_id, person_ids),
        credentials=tuple(to_credential(row) for _, row in sorted(held.items())),
        groups=tuple(
            replace(group, person_ids=frozenset(members[group.id]))
            for _, group in sorted(groups.items())
        ),
        schedules=await part_rows.schedules_by(tx, site_id, followed),
        locks=tuple(lock for _, lock in sorted(here.items())),
        revoked=(),
        holidays=await holidays_of(tx, site_id),
    )


def _explicit(site_id: SiteId, groups: Collection[Group]) -> Select[Any]:
    """Select the live explicit credentials of the people of some groups."""
    return _live(site_id, groups).where(
        credentials.c.offline, credentials.c.kind != CredentialKind.PIN
    )


def _first_pins(site_id: SiteId, lock: Lock, groups: Collection[Group]) -> Select[Any]:
    """Select the PINs that stand in line at a lock: as many as it has slots."""
    return (
        _live(site_id, groups)
        .where(credentials.c.kind == CredentialKind.PIN)
        .order_by(people.c.subscribed_at, people.c.id, credentials.c.id)
        .limit(lock.capacity)
    )


def _live(site_id: SiteId, groups: Iterable[Group]) -> Select[Any]:
    group_ids = [group.id for group in groups]
    return (
        select(credentials)
        .join(
            people,
            and_(
                people.c.site_id == credentials.c.site_id,
                people.c.id == credentials.c.person_id,
            ),
        )
        .where(
            credentials.c.site_id == site_id,
            credentials.c.usable,
            credentials.c.blocked_at.is_(None),
            people.c.subscribed_at.is_not(None),
            _in_one_of(group_ids),
        )
    )


def _in_one_of(group_ids: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that the holder of a row of ``credentials`` is in one of some groups."""
    return or_(
        *(
            select(way.people.c.person_id)
            .where(
                way.people.c.site_id == credentials.c.site_id,
                way.people.c.person_id == credentials.c.person_id,
                way.people_group.in_(group_ids),
            )
            .exists()
            for way in WAYS
        )
    )
