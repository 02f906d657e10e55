"""Which rights people have at which locks, and by what: the effective rights of a site.

Whatever gives rights is a group here, as it is to hubs: access groups, lockers and pods.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, and_, or_, select

from controller.access.given import GIVEN
from controller.access.repository import to_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import schedules
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials, people
from controller.db.tables.sites import sites
from controller.domain.access import AccessGroup, Credential, CredentialKind, Person
from controller.domain.ids import LockId, PersonId, ScheduleId, SiteId
from controller.domain.people import SiteCredential, SitePerson
from controller.domain.schedule import Schedule
from controller.people.repository import to_person


class RightKind(StrEnum):
    """What gives a right."""

    ACCESS_GROUP = "access_group"
    LOCKER = "locker"
    POD = "pod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """That a person may open a lock, by one group: an access group, a locker or a pod."""

    kind: RightKind
    name: str  # of the group
    schedule_id: ScheduleId | None
    group: AccessGroup  # of this one person and this one lock


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRights:
    """A lock that a person may open, with the groups by which."""

    lock_id: LockId
    lock_name: str
    rights: tuple[Right, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRights:
    """Who may open a lock, with the groups by which."""

    person: SitePerson
    credentials: tuple[Credential, ...]  # those that hubs know
    rights: tuple[Right, ...]


async def zone_of(tx: ReadSession, site_id: SiteId) -> ZoneInfo:
    """Return a site's time zone."""
    named = select(sites.c.time_zone).where(sites.c.id == site_id)
    return ZoneInfo((await tx.execute(named)).scalar_one())


async def rights_at(
    tx: ReadSession, site_id: SiteId, *, person_id: PersonId, lock_id: LockId
) -> list[Right]:
    """Return by which groups a person may open a lock, by id; also those that are over."""
    some = _rights(site_id).where(GIVEN.c.person_id == person_id, GIVEN.c.lock_id == lock_id)
    return [_right(row) for row in await tx.execute(some.order_by(GIVEN.c.id))]


async def rights_of(tx: ReadSession, site_id: SiteId, person_id: PersonId) -> list[Right]:
    """Return all rights of a person, one for each lock and group, by group; also those over."""
    some = _rights(site_id).where(GIVEN.c.person_id == person_id)
    return [_right(row) for row in await tx.execute(some.order_by(GIVEN.c.id, GIVEN.c.lock_id))]


async def locks_of(
    tx: ReadSession,
    site_id: SiteId,
    person_id: PersonId,
    *,
    now: datetime,
    after_id: str | None,
    limit: int,
) -> list[LockRights]:
    """Return the locks that a person may open now or later, after an id, at most ``limit``."""
    some = await _lasting(tx, site_id, now)
    some = some.where(GIVEN.c.person_id == person_id)
    page = await _page(tx, some, GIVEN.c.lock_id, after_id, limit)
    gathered: defaultdict[LockId, list[Right]] = defaultdict(list)
    for row in await tx.execute(_of(some, GIVEN.c.lock_id, page)):
        gathered[row.lock_id].append(_right(row))
    names = await tx.execute(
        select(locks.c.id, locks.c.name)
        .where(locks.c.site_id == site_id, locks.c.id.in_(page))
        .order_by(locks.c.id)
    )
    return [
        LockRights(lock_id=row.id, lock_name=row.name, rights=tuple(gathered[row.id]))
        for row in names
    ]


async def people_of(
    tx: ReadSession,
    site_id: SiteId,
    lock_id: LockId,
    *,
    now: datetime,
    after_id: str | None,
    limit: int,
) -> list[PersonRights]:
    """Return who may open a lock now or later, after an id, at most ``limit``."""
    some = await _lasting(tx, site_id, now)
    some = some.where(GIVEN.c.lock_id == lock_id)
    page = await _page(tx, some, GIVEN.c.person_id, after_id, limit)
    gathered: defaultdict[PersonId, list[Right]] = defaultdict(list)
    for row in await tx.execute(_of(some, GIVEN.c.person_id, page)):
        gathered[row.person_id].append(_right(row))
    held: defaultdict[PersonId, list[Credential]] = defaultdict(list)
    known = select(credentials).where(
        credentials.c.site_id == site_id, credentials.c.person_id.in_(page), credentials.c.usable
    )
    for row in await tx.execute(known):
        held[row.person_id].append(presented(row))
    found = await tx.execute(
        select(people)
        .where(people.c.site_id == site_id, people.c.id.in_(page))
        .order_by(people.c.id)
    )
    return [
        PersonRights(
            person=to_person(row),
            credentials=tuple(held[row.id]),
            rights=tuple(gathered[row.id]),
        )
        for row in found
    ]


def known(person: SitePerson) -> Person:
    """Return what of a person counts at a door."""
    return Person(
        id=person.id,
        subscribed=person.subscribed_at is not None,
        starts_at=person.starts_at,
        ends_at=person.expires_at,
        privileges=person.privileges,
    )


def presented(one: SiteCredential | Row[Any]) -> Credential:
    """Return what of a credential, or of its row, counts at a door."""
    return Credential(
        id=one.id,
        person_id=one.person_id,
        kind=CredentialKind(one.kind),
        blocked=one.blocked_at is not None,
        ends_at=one.ends_at,
    )


def _rights(site_id: SiteId) -> Select[Any]:
    """Return the statement for all rights of a site, a row for each person, lock and giver."""
    followed = and_(schedules.c.site_id == GIVEN.c.site_id, schedules.c.id == GIVEN.c.schedule_id)
    return (
        select(
            *(column for column in GIVEN.c if column.name != "site_id"),
            schedules.c.windows,
            schedules.c.observes_holidays,
            schedules.c.starts_on,
            schedules.c.ends_on,
        )
        .select_from(GIVEN.outerjoin(schedules, followed))
        .where(GIVEN.c.site_id == site_id)
    )


async def _lasting(tx: ReadSession, site_id: SiteId, now: datetime) -> Select[Any]:
    """Return the statement for all rights that are not over."""
    today = now.astimezone(await zone_of(tx, site_id)).date()
    return _rights(site_id).where(
        or_(GIVEN.c.ends_at.is_(None), GIVEN.c.ends_at > now),
        or_(schedules.c.ends_on.is_(None), schedules.c.ends_on >= today),
    )


async def _page(
    tx: ReadSession, some: Select[Any], column: Any, after_id: str | None, limit: int
) -> Sequence[str]:
    """Return the ids in a column of some rights after an id, each once, at most ``limit``."""
    ids = some.with_only_columns(column).distinct().order_by(column).limit(limit)
    if after_id is not None:
        ids = ids.where(column > after_id)
    return list((await tx.execute(ids)).scalars())


def _of(some: Select[Any], column: Any, ids: Sequence[str]) -> Select[Any]:
    return some.where(column.in_(ids)).order_by(GIVEN.c.id)


def _right(row: Row[Any]) -> Right:
    return Right(
        kind=RightKind(row.kind),
        name=row.name,
        schedule_id=row.schedule_id,
        group=AccessGroup(
            id=row.id,
            person_ids=frozenset({row.person_id}),
            lock_ids=frozenset({row.lock_id}),
            schedule=Schedule.always() if row.schedule_id is None else to_schedule(row),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        ),
    )
