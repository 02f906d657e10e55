"""Schedules and access groups in the database."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from controller.db.engine import ReadSession, Session
from controller.db.tables.access import access_groups, group_locks, group_people, schedules
from controller.db.tables.hardware import locks
from controller.db.tables.notifications import notification_rules
from controller.db.tables.people import credentials
from controller.domain.errors import NotFound, Stale
from controller.domain.groups import NamedSchedule, NameTaken, SiteGroup
from controller.domain.ids import GroupId, ScheduleId, SiteId
from controller.domain.schedule import Schedule, Window
from controller.sync.revocations import revoke


async def schedule(tx: ReadSession, site_id: SiteId, schedule_id: ScheduleId) -> NamedSchedule:
    """Return a schedule of a site.

    Raises:
        NotFound: The site has none of this id.
    """
    row = (await tx.execute(_one(select(schedules), schedules, site_id, schedule_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such schedule at this site.", object="schedule")
    return to_named_schedule(row)


async def add_schedule(tx: Session, new: NamedSchedule) -> None:
    """Write a new schedule.

    Raises:
        NameTaken: The site has another of this name.
    """
    await named(tx, insert(schedules).values(**_schedule_row(new)))


async def save_schedule(tx: Session, edited: NamedSchedule, *, if_match: int) -> NamedSchedule:
    """Write a schedule over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
        NameTaken: The site has another of this name.
    """
    saved = replace(edited, version=if_match + 1)
    one = _one(update(schedules), schedules, edited.site_id, edited.id)
    one = one.where(schedules.c.version == if_match)
    if await named(tx, one.values(**_schedule_row(saved))) == 0:
        raise Stale.of("schedule")
    return saved


async def delete_schedule(tx: Session, gone: NamedSchedule, *, if_match: int) -> None:
    """Delete a schedule that no group follows.

    Raises:
        Stale: Somebody else wrote in between.
    """
    one = _one(delete(schedules), schedules, gone.site_id, gone.id)
    if (await tx.execute(one.where(schedules.c.version == if_match))).rowcount == 0:
        raise Stale.of("schedule")


async def schedules_at(tx: ReadSession, site_id: SiteId) -> int:
    """Return how many schedules a site has."""
    count = select(func.count()).select_from(schedules).where(schedules.c.site_id == site_id)
    return int((await tx.execute(count)).scalar_one())


async def followers_of(tx: ReadSession, one: NamedSchedule) -> dict[str, int]:
    """Return how many access groups, locks and notification rules follow a schedule."""
    followers = {
        "groups": access_groups.c.schedule_id,
        "locks": locks.c.office_schedule_id,
        "rules": notification_rules.c.schedule_id,
    }
    counts = {}
    for kind, schedule_id in followers.items():
        count = select(func.count()).where(
            schedule_id.table.c.site_id == one.site_id, schedule_id == one.id
        )
        counts[kind] = int((await tx.execute(count)).scalar_one())
    return counts


async def revoke_followers(tx: Session, one: NamedSchedule, *, now: datetime) -> None:
    """Note that all members of groups that follow a schedule lost a right at the groups' locks."""
    some = access_groups.c.schedule_id == one.id
    doors = select(group_locks.c.lock_id).join(access_groups, _in_group(group_locks)).distinct()
    found = await tx.execute(doors.where(group_locks.c.site_id == one.site_id, some))
    lock_ids = list(found.scalars())
    await revoke(tx, _held_in(one.site_id, some), now=now, lock_ids=lock_ids)


async def group(tx: ReadSession, site_id: SiteId, group_id: GroupId) -> SiteGroup:
    """Return an access group of a site.

    Raises:
        NotFound: The site has none of this id.
    """
    some = _one(select(access_groups), access_groups, site_id, group_id)
    row = (await tx.execute(some)).one_or_none()
    if row is None:
        raise NotFound("There is no such access group at this site.", object="access_group")
    return to_group(row)


async def add_group(tx: Session, new: SiteGroup) -> None:
    """Write a new access group.

    Raises:
        NameTaken: The site has another of this name.
    """
    await named(tx, insert(access_groups).values(**asdict(new)))


async def save_group(tx: Session, edited: SiteGroup, *, if_match: int) -> SiteGroup:
    """Write an access group over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
        NameTaken: The site has another of this name.
    """
    saved = replace(edited, version=if_match + 1)
    one = _one(update(access_groups), access_groups, edited.site_id, edited.id)
    one = one.where(access_groups.c.version == if_match)
    if await named(tx, one.values(**asdict(saved))) == 0:
        raise Stale.of("access_group")
    return saved


async def delete_group(tx: Session, gone: SiteGroup, *, if_match: int) -> None:
    """Delete an access group with its memberships; people and locks stay.

    Raises:
        Stale: Somebody else wrote in between.
    """
    for table in (group_people, group_locks):
        await tx.execute(
            delete(table).where(table.c.site_id == gone.site_id, table.c.group_id == gone.id)
        )
    one = _one(delete(access_groups), access_groups, gone.site_id, gone.id)
    if (await tx.execute(one.where(access_groups.c.version == if_match))).rowcount == 0:
        raise Stale.of("access_group")


async def revoke_members(
    tx: Session, one: SiteGroup, *, lock_ids: Sequence[str], now: datetime
) -> None:
    """Note that all members of a group lost a right at some locks now."""
    held = _held_in(one.site_id, access_groups.c.id == one.id)
    await revoke(tx, held, now=now, lock_ids=lock_ids)


def to_named_schedule(row: Row[Any]) -> NamedSchedule:
    """Return the schedule of a row with its name."""
    return NamedSchedule(
        site_id=row.site_id,
        id=row.id,
        name=row.name,
        schedule=to_schedule(row),
        version=row.version,
    )


def to_schedule(row: Row[Any]) -> Schedule:
    """Return the schedule of a row of ``schedules``."""
    return Schedule(
        windows=tuple(
            Window(weekday=weekday, start_min=start_min, end_min=end_min)
            for weekday, start_min, end_min in row.windows
        ),
        observes_holidays=row.observes_holidays,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
    )


def to_group(row: Row[Any]) -> SiteGroup:
    """Return the group of a row of ``access_groups``."""
    return SiteGroup(
        site_id=row.site_id,
        id=row.id,
        name=row.name,
        schedule_id=row.schedule_id,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        created_at=row.created_at,
        version=row.version,
    )


def _schedule_row(one: NamedSchedule) -> dict[str, object]:
    windows = [[w.weekday, w.start_min, w.end_min] for w in one.schedule.windows]
    return {
        "site_id": one.site_id,
        "id": one.id,
        "name": one.name,
        "windows": windows,
        "observes_holidays": one.schedule.observes_holidays,
        "starts_on": one.schedule.starts_on,
        "ends_on": one.schedule.ends_on,
        "version": one.version,
    }


async def named(tx: Session, statement: Any) -> int:
    """Run a write that may clash with another name, and return the rows written.

    Raises:
        NameTaken: The site has another of this name.
    """
    try:
        async with tx.savepoint():
            return (await tx.execute(statement)).rowcount
    except IntegrityError as error:
        raise NameTaken(
            "name: the site has another of this name; choose a different one.", field="name"
        ) from error


def _one(statement: Any, table: Table, site_id: SiteId, row_id: str) -> Any:
    return statement.where(table.c.site_id == site_id, table.c.id == row_id)


def _held_in(site_id: SiteId, some: ColumnElement[bool]) -> Select[Any]:
    """Return site and digest of the credentials whose holders are in some access groups."""
    members = (
        select(group_people.c.person_id)
        .join(access_groups, _in_group(group_people))
        .where(group_people.c.site_id == site_id, some)
    )
    return select(credentials.c.site_id, credentials.c.digest).where(
        credentials.c.site_id == site_id, credentials.c.person_id.in_(members)
    )


def _in_group(table: Table) -> ColumnElement[bool]:
    return and_(access_groups.c.site_id == table.c.site_id, access_groups.c.id == table.c.group_id)
