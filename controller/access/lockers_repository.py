"""Lockers in the database."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Row, delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.access.repository import named
from controller.db.engine import ReadSession, Session
from controller.db.tables.access import group_locks, locker_people, lockers, pod_locks
from controller.db.tables.people import people
from controller.domain.errors import NotFound, Stale
from controller.domain.ids import LockerId, LockId, PersonId, SiteId
from controller.domain.lockers import Locker, LockerKind, LockIsLocker
from controller.domain.people import SitePerson
from controller.people.repository import to_person


async def locker(tx: ReadSession, site_id: SiteId, locker_id: LockerId) -> Locker:
    """Return a locker of a site.

    Raises:
        NotFound: The site has none of this id.
    """
    one = select(lockers).where(lockers.c.site_id == site_id, lockers.c.id == locker_id)
    row = (await tx.execute(one)).one_or_none()
    if row is None:
        raise NotFound("There is no such locker at this site.", object="locker")
    return _to_locker(row)


async def lockers_of(
    tx: ReadSession, site_id: SiteId, *, after_id: str | None, limit: int
) -> Sequence[Locker]:
    """Return lockers of a site after an id, by id, at most ``limit``."""
    some = select(lockers).where(lockers.c.site_id == site_id)
    if after_id is not None:
        some = some.where(lockers.c.id > after_id)
    return [_to_locker(row) for row in await tx.execute(some.order_by(lockers.c.id).limit(limit))]


async def count_usable(tx: ReadSession, site_id: SiteId) -> int:
    """Return how many lockers count against the limit."""
    some = select(func.count()).where(lockers.c.site_id == site_id, lockers.c.usable)
    return int((await tx.execute(some)).scalar_one())


async def require_no_personal_lockers(
    tx: ReadSession, site_id: SiteId, lock_ids: Sequence[str]
) -> None:
    """Refuse to let others open a personal locker by way of a group or a pod.

    Raises:
        LockIsLocker: One of the locks is such a locker's.
    """
    some = select(lockers.c.lock_id).where(
        lockers.c.site_id == site_id,
        lockers.c.lock_id.in_(lock_ids),
        lockers.c.kind == LockerKind.PERSONAL,
    )
    found = (await tx.execute(some.order_by(lockers.c.lock_id).limit(1))).scalar()
    if found is not None:
        raise LockIsLocker(
            "lock_id: this lock is a personal locker, which opens to its own people only. "
            "Assign the locker instead.",
            field="lock_id",
            lock_id=found,
            remedy="assign_locker",
        )


async def is_shared_out(tx: ReadSession, site_id: SiteId, lock_id: LockId) -> bool:
    """Return whether a lock is in an access group or a pod."""
    in_group = exists().where(group_locks.c.site_id == site_id, group_locks.c.lock_id == lock_id)
    in_pod = exists().where(pod_locks.c.site_id == site_id, pod_locks.c.lock_id == lock_id)
    return bool((await tx.execute(select(in_group | in_pod))).scalar_one())


async def add(tx: Session, new: Locker) -> None:
    """Write a new locker.

    Raises:
        LockIsLocker: The lock is another locker's.
        NameTaken: The site has another of this name.
    """
    taken = select(lockers.c.id).where(
        lockers.c.site_id == new.site_id, lockers.c.lock_id == new.lock_id
    )
    if (await tx.execute(taken)).first() is not None:
        raise LockIsLocker("lock_id: this lock is a locker already.", field="lock_id")
    await named(tx, insert(lockers).values(**asdict(new)))


async def save(tx: Session, edited: Locker, *, if_match: int) -> Locker:
    """Write a locker over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
        NameTaken: The site has another of this name.
    """
    saved = replace(edited, version=if_match + 1)
    one = update(lockers).where(*_this(edited), lockers.c.version == if_match)
    if await named(tx, one.values(**asdict(saved))) == 0:
        raise Stale.of("locker")
    return saved


async def remove(tx: Session, gone: Locker, *, if_match: int) -> None:
    """Delete a locker; its lock stays, and opens to nobody until it is in a group.

    Raises:
        Stale: Somebody else wrote in between.
    """
    await tx.execute(delete(locker_people).where(*_people(gone)))
    one = delete(lockers).where(*_this(gone), lockers.c.version == if_match)
    if (await tx.execute(one)).rowcount == 0:
        raise Stale.of("locker")


async def people_of(tx: ReadSession, one: Locker) -> Sequence[SitePerson]:
    """Return whose a personal locker is, by id."""
    some = (
        select(people)
        .join(locker_people, locker_people.c.person_id == people.c.id)
        .where(people.c.site_id == one.site_id, *_people(one))
        .order_by(people.c.id)
    )
    return [to_person(row) for row in await tx.execute(some)]


async def assign(tx: Session, one: Locker, person_id: PersonId) -> bool:
    """Give a locker to a person; false when it was the person's already."""
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect_insert(locker_people).values(
        site_id=one.site_id, locker_id=one.id, person_id=person_id
    )
    return (await tx.execute(row.on_conflict_do_nothing())).rowcount == 1


async def unassign(tx: Session, one: Locker, person_id: PersonId) -> bool:
    """Take a locker from a person; false when it was not the person's."""
    gone = delete(locker_people).where(*_people(one), locker_people.c.person_id == person_id)
    return (await tx.execute(gone)).rowcount == 1


def _to_locker(row: Row[Any]) -> Locker:
    return Locker(
        site_id=row.site_id,
        id=row.id,
        lock_id=row.lock_id,
        name=row.name,
        kind=LockerKind(row.kind),
        usable=row.usable,
        created_at=row.created_at,
        version=row.version,
    )


def _this(one: Locker) -> tuple[Any, ...]:
    return lockers.c.site_id == one.site_id, lockers.c.id == one.id


def _people(one: Locker) -> tuple[Any, ...]:
    return locker_people.c.site_id == one.site_id, locker_people.c.locker_id == one.id
