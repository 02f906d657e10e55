"""Who and what is in access groups, in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import ReadSession, Session
from controller.db.tables.access import group_locks, group_people
from controller.db.tables.hardware import locks
from controller.db.tables.people import people
from controller.domain.groups import SiteGroup
from controller.domain.ids import SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What can be in a group, and where that is written."""

    name: str
    table: Table
    column: str
    known: Table


PEOPLE: Final = Kind(name="person", table=group_people, column="person_id", known=people)
LOCKS: Final = Kind(name="lock", table=group_locks, column="lock_id", known=locks)


async def known(tx: ReadSession, site_id: SiteId, kind: Kind, ids: Sequence[str]) -> set[str]:
    """Return those of some ids that the site has."""
    some = select(kind.known.c.id).where(kind.known.c.site_id == site_id, kind.known.c.id.in_(ids))
    return set((await tx.execute(some)).scalars())


async def ids_in(tx: ReadSession, one: SiteGroup, kind: Kind) -> list[str]:
    """Return all people or locks of a group."""
    some = select(kind.table.c[kind.column]).where(
        kind.table.c.site_id == one.site_id, kind.table.c.group_id == one.id
    )
    return list((await tx.execute(some)).scalars())


async def put_in(tx: Session, one: SiteGroup, kind: Kind, ids: Sequence[str]) -> list[str]:
    """Put people or locks into a group, and return those that were not there."""
    if not ids:
        return []
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    rows = [{"site_id": one.site_id, "group_id": one.id, kind.column: each} for each in ids]
    new = dialect_insert(kind.table).values(rows).on_conflict_do_nothing()
    found = await tx.execute(new.returning(kind.table.c[kind.column]))
    return _in_order(ids, found.scalars())


async def take_out(tx: Session, one: SiteGroup, kind: Kind, ids: Sequence[str]) -> list[str]:
    """Take people or locks out of a group, and return those that were there."""
    column = kind.table.c[kind.column]
    gone = delete(kind.table).where(
        kind.table.c.site_id == one.site_id, kind.table.c.group_id == one.id, column.in_(ids)
    )
    return _in_order(ids, (await tx.execute(gone.returning(column))).scalars())


async def in_more_groups_than(
    tx: ReadSession, site_id: SiteId, ids: Sequence[str], *, limit: int
) -> dict[str, int]:
    """Return in how many groups those people are who are in more than a limit."""
    count = func.count()
    some = (
        select(group_people.c.person_id, count.label("groups"))
        .where(group_people.c.site_id == site_id, group_people.c.person_id.in_(ids))
        .group_by(group_people.c.person_id)
        .having(count > limit)
    )
    return {row.person_id: row.groups for row in await tx.execute(some)}


def _in_order(ids: Sequence[str], found: Iterable[str]) -> list[str]:
    some = set(found)
    return [each for each in ids if each in some]
