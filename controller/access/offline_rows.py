"""The rows behind the offline lists of some locks, and no others.

What is read grows with the credentials that may be on these lists and with the site's explicit
ones, not with its people.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, literal_column, or_, select

from controller.access import part_rows
from controller.access.queries import holidays_of, to_credential
from controller.db.engine import ReadSession
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials, people
from controller.db.tables.sites import sites
from controller.domain.access import CredentialKind
from controller.domain.ids import GroupId, LockId, PersonId, SiteId
from controller.domain.site_state import Group, Lock, SiteState
from controller.sync.changes import in_batches
from controller.sync.rights import WAYS

_LIVE: Final = (credentials.c.usable, credentials.c.blocked_at.is_(None))
_IS_PIN: Final = credentials.c.kind == literal_column("'pin'")  # as the index says it


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
    held |= {row.id: row for row in await tx.execute(_explicit(site_id, group_ids))}
    if pins:
        held |= {row.id: row for row in await _first_pins(tx, site_id, here.values(), groups)}
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


def _explicit(site_id: SiteId, group_ids: Collection[str]) -> Select[Any]:
    """Select the live explicit credentials of the people of some groups."""
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
            credentials.c.offline,
            credentials.c.kind != CredentialKind.PIN,
            *_LIVE,
            people.c.subscribed_at.is_not(None),
            _in_one_of(group_ids),
        )
    )


async def _first_pins(
    tx: ReadSession, site_id: SiteId, here: Iterable[Lock], groups: Mapping[GroupId, Group]
) -> list[Row[Any]]:
    """Return the PINs that stand in line at some locks: at each as many as it has slots.

    Locks of the same groups have the same line.
    """
    slots: defaultdict[frozenset[str], int] = defaultdict(int)
    for lock in here:
        if lock.door.keypad:
            of = frozenset(group.id for group in groups.values() if lock.id in group.lock_ids)
            slots[of] = max(slots[of], lock.capacity)
    person_ids: set[str] = set()
    for group_ids, count in slots.items():
        person_ids.update((await tx.execute(_first_people(site_id, group_ids, count))).scalars())
    pins = select(credentials).where(credentials.c.site_id == site_id, _IS_PIN, *_LIVE)
    found: list[Row[Any]] = []
    for some in in_batches(person_ids):
        found += await tx.execute(pins.where(credentials.c.person_id.in_(some)))
    return found


def _first_people(site_id: SiteId, group_ids: Collection[str], count: int) -> Select[Any]:
    """Select the first people of some groups who have a PIN; the index on ``people`` leads."""
    has_pin = select(credentials.c.id).where(
        credentials.c.site_id == people.c.site_id,
        credentials.c.person_id == people.c.id,
        _IS_PIN,
        *_LIVE,
    )
    return (
        select(people.c.id)
        .where(
            people.c.site_id == site_id,
            people.c.subscribed_at.is_not(None),
            has_pin.exists(),
            _in_one_of(group_ids),
        )
        .order_by(people.c.subscribed_at, people.c.id)
        .limit(count)
    )


def _in_one_of(group_ids: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a row of ``people`` is in one of some groups."""
    return or_(
        *(
            select(way.people.c.person_id)
            .where(
                way.people.c.site_id == people.c.site_id,
                way.people.c.person_id == people.c.id,
                way.people_group.in_(group_ids),
            )
            .exists()
            for way in WAYS
        )
    )
