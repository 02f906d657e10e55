"""Pods in the database."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.access.repository import named
from controller.db.engine import ReadSession, Session
from controller.db.tables.access import pod_locks, pod_people, pods
from controller.domain.errors import NotFound, Stale
from controller.domain.ids import LockId, PersonId, PodId, SiteId
from controller.domain.pods import Pod, PodPerson


async def pod(tx: ReadSession, site_id: SiteId, pod_id: PodId) -> Pod:
    """Return a pod of a site.

    Raises:
        NotFound: The site has none of this id.
    """
    one = select(pods).where(pods.c.site_id == site_id, pods.c.id == pod_id)
    row = (await tx.execute(one)).one_or_none()
    if row is None:
        raise NotFound("There is no such pod at this site.", object="pod")
    return _to_pod(row)


async def pods_of(
    tx: ReadSession, site_id: SiteId, *, after_id: str | None, limit: int
) -> Sequence[Pod]:
    """Return pods of a site after an id, by id, at most ``limit``."""
    some = select(pods).where(pods.c.site_id == site_id)
    if after_id is not None:
        some = some.where(pods.c.id > after_id)
    return [_to_pod(row) for row in await tx.execute(some.order_by(pods.c.id).limit(limit))]


async def pods_of_member(tx: ReadSession, site_id: SiteId, person_id: PersonId) -> Sequence[Pod]:
    """Return the pods of which somebody is a member, by name."""
    some = (
        select(pods)
        .join(pod_people, pod_people.c.pod_id == pods.c.id)
        .where(pods.c.site_id == site_id, pod_people.c.site_id == site_id)
        .where(pod_people.c.person_id == person_id, pod_people.c.is_guest.is_(False))
    )
    return [_to_pod(row) for row in await tx.execute(some.order_by(pods.c.name))]


async def add(tx: Session, new: Pod) -> None:
    """Write a new pod.

    Raises:
        NameTaken: The site has another of this name.
    """
    await named(tx, insert(pods).values(**asdict(new)))


async def save(tx: Session, edited: Pod, *, if_match: int) -> Pod:
    """Write a pod over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
        NameTaken: The site has another of this name.
    """
    saved = replace(edited, version=if_match + 1)
    one = update(pods).where(*_this(edited), pods.c.version == if_match)
    if await named(tx, one.values(**asdict(saved))) == 0:
        raise Stale.of("pod")
    return saved


async def remove(tx: Session, gone: Pod, *, if_match: int) -> None:
    """Delete a pod; people and locks stay.

    Raises:
        Stale: Somebody else wrote in between.
    """
    for table in (pod_locks, pod_people):
        await tx.execute(
            delete(table).where(table.c.site_id == gone.site_id, table.c.pod_id == gone.id)
        )
    one = delete(pods).where(*_this(gone), pods.c.version == if_match)
    if (await tx.execute(one)).rowcount == 0:
        raise Stale.of("pod")


async def people_in(tx: ReadSession, one: Pod) -> Sequence[PodPerson]:
    """Return who is in a pod, members first, by id."""
    rows = await tx.execute(
        select(pod_people)
        .where(pod_people.c.site_id == one.site_id, pod_people.c.pod_id == one.id)
        .order_by(pod_people.c.is_guest, pod_people.c.person_id)
    )
    return [
        PodPerson(person_id=row.person_id, is_guest=row.is_guest, invited_by=row.invited_by)
        for row in rows
    ]


async def locks_in(tx: ReadSession, one: Pod) -> Sequence[LockId]:
    """Return which locks a pod has, by id."""
    some = select(pod_locks.c.lock_id).where(
        pod_locks.c.site_id == one.site_id, pod_locks.c.pod_id == one.id
    )
    return list((await tx.execute(some.order_by(pod_locks.c.lock_id))).scalars())


async def put_person(tx: Session, one: Pod, new: PodPerson) -> bool:
    """Put somebody into a pod; false when he was there already, and nothing changed."""
    return await _put(tx, pod_people, site_id=one.site_id, pod_id=one.id, **asdict(new))


async def put_lock(tx: Session, one: Pod, lock_id: LockId) -> bool:
    """Put a lock into a pod; false when it was there already."""
    return await _put(tx, pod_locks, site_id=one.site_id, pod_id=one.id, lock_id=lock_id)


async def take_people(tx: Session, one: Pod, person_ids: Sequence[PersonId]) -> int:
    """Take people out of a pod, and return how many were in it."""
    gone = delete(pod_people).where(
        pod_people.c.site_id == one.site_id,
        pod_people.c.pod_id == one.id,
        pod_people.c.person_id.in_(person_ids),
    )
    return (await tx.execute(gone)).rowcount


async def take_lock(tx: Session, one: Pod, lock_id: LockId) -> bool:
    """Take a lock out of a pod; false when it was not in it."""
    gone = delete(pod_locks).where(
        pod_locks.c.site_id == one.site_id,
        pod_locks.c.pod_id == one.id,
        pod_locks.c.lock_id == lock_id,
    )
    return (await tx.execute(gone)).rowcount == 1


async def count(tx: ReadSession, one: Pod, *, guests: bool) -> int:
    """Return how many members or guests a pod has."""
    some = select(func.count()).where(
        pod_people.c.site_id == one.site_id,
        pod_people.c.pod_id == one.id,
        pod_people.c.is_guest.is_(guests),
    )
    return int((await tx.execute(some)).scalar_one())


def _to_pod(row: Row[Any]) -> Pod:
    return Pod(
        site_id=row.site_id,
        id=row.id,
        name=row.name,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        guests_max=row.guests_max,
        usable=row.usable,
        created_at=row.created_at,
        version=row.version,
    )


async def _put(tx: Session, table: Any, **values: object) -> bool:
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect_insert(table).values(**values)
    return (await tx.execute(row.on_conflict_do_nothing())).rowcount == 1


def _this(one: Pod) -> tuple[Any, ...]:
    return pods.c.site_id == one.site_id, pods.c.id == one.id
