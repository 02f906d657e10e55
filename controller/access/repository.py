"""Schedules and access groups in the database."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from controller.db.engine import ReadSession, Session
from controller.db.tables.access import access_groups, group_locks, group_people, schedules
from controller.db.tables.people import credentials
from controller.domain.errors import NotFound, Stale
from controller.domain.groups import NamedSchedule, NameTaken, SiteGroup
from controller.domain.ids import GroupId, LockId, PersonId, ScheduleId, SiteId
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
    await _named(tx, insert(schedules).values(**_schedule_row(new)))


async def save_schedule(tx: Session, edited: NamedSchedule, *, if_match: int) -> NamedSchedule:
    """Write a schedule over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
        NameTaken: The site has another of this name.
    """
    saved = replace(edited, version=if_match + 1)
    one = _one(update(schedules), schedules, edited.site_id, edited.id)
    one = one.where(schedules.c.version == if_match)
    if await _named(tx, one.values(**_schedule_row(saved))) == 0:
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


async def groups_following(tx: ReadSession, one: NamedSchedule) -> int:
    """Return how many access groups follow a schedule."""
    count = select(func.count()).where(
        access_groups.c.site_id == one.site_id, access_groups.c.schedule_id == one.id
    )
    return int((await tx.execute(count)).scalar_one())


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
    await _named(tx, insert(access_groups).values(**asdict(new)))


async def save_group(tx: Session, edited: SiteGroup, *, if_match: int) -> SiteGroup:
    """Write an access group over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
        NameTaken: The site has another of this name.
    """
    saved = replace(edited, version=if_match + 1)
    one = _one(update(access_groups), access_groups, edited.site_id, edited.id)
    one = one.where(access_groups.c.version == if_match)
    if await _named(tx, one.values(**asdict(saved))) == 0:
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


async def add_member(tx: Session, one: SiteGroup, person_id: PersonId) -> bool:
    """Put a person into a group; false when it was there already."""
    return await _add(tx, group_people, one, {"person_id": person_id})


async def remove_member(tx: Session, one: SiteGroup, person_id: PersonId) -> bool:
    """Take a person out of a group; false when it was not there."""
    return await _remove(tx, group_people, one, group_people.c.person_id == person_id)


async def add_lock(tx: Session, one: SiteGroup, lock_id: LockId) -> bool:
    """Put a lock into a group; false when it was there already."""
    return await _add(tx, group_locks, one, {"lock_id": lock_id})


async def remove_lock(tx: Session, one: SiteGroup, lock_id: LockId) -> bool:
    """Take a lock out of a group; false when it was not there."""
    return await _remove(tx, group_locks, one, group_locks.c.lock_id == lock_id)


async def groups_of(tx: ReadSession, site_id: SiteId, person_id: PersonId) -> int:
    """Return in how many groups a person is."""
    count = select(func.count()).where(
        group_people.c.site_id == site_id, group_people.c.person_id == person_id
    )
    return int((await tx.execute(count)).scalar_one())


async def revoke_members(tx: Session, one: SiteGroup, *, now: datetime) -> None:
    """Note that all credentials of a group's members lost a right now."""
    held = (
        select(credentials.c.site_id, credentials.c.digest)
        .join(
            group_people,
            and_(
                group_people.c.site_id == credentials.c.site_id,
                group_people.c.person_id == credentials.c.person_id,
            ),
        )
        .where(credentials.c.site_id == one.site_id, group_people.c.group_id == one.id)
    )
    await revoke(tx, held, now=now)


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


async def _named(tx: Session, statement: Any) -> int:
    """Run a write that may clash with another name, and return the rows written."""
    try:
        async with tx.savepoint():
            return (await tx.execute(statement)).rowcount
    except IntegrityError as error:
        raise NameTaken(
            "name: the site has another of this name; choose a different one.", field="name"
        ) from error


async def _add(tx: Session, table: Table, one: SiteGroup, member: dict[str, str]) -> bool:
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect_insert(table).values(site_id=one.site_id, group_id=one.id, **member)
    return (await tx.execute(row.on_conflict_do_nothing())).rowcount == 1


async def _remove(tx: Session, table: Table, one: SiteGroup, member: ColumnElement[bool]) -> bool:
    some = delete(table).where(table.c.site_id == one.site_id, table.c.group_id == one.id, member)
    return (await tx.execute(some)).rowcount == 1


def _one(statement: Any, table: Table, site_id: SiteId, row_id: str) -> Any:
    return statement.where(table.c.site_id == site_id, table.c.id == row_id)
