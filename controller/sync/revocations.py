"""Note that credentials lost a right, so that the locks' own memories are told to forget them.

That it happened, and when last, is noted for the site; and for each lock that may remember the
credential, that it must be forgotten there. Which of them has a right again by now follows from
the rights as they are (``controller.domain.offline.to_forget``).

A lock is told of the newest 20 by name. Of the others it is told the instant: it forgets all
openings before that. More than 20 that lose a right at once are all of those others.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, delete, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import Session
from controller.db.tables.hardware import locks, purges
from controller.db.tables.people import credentials, revoked_digests
from controller.db.types import UtcDateTime
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.sync import revoked_places
from controller.sync.changes import in_batches
from controller.sync.rights import WAYS
from gateway.protocol.sections import PURGE_MAX


async def revoke_people(
    tx: Session,
    site_id: SiteId,
    person_ids: Sequence[PersonId],
    *,
    now: datetime,
    lock_ids: Collection[str] | None = None,
) -> None:
    """Note that all credentials of people lost a right now; see ``revoke``."""
    held = _held(site_id).where(credentials.c.person_id.in_(person_ids))
    await revoke(tx, held, now=now, lock_ids=lock_ids)


async def revoke_credential(
    tx: Session, site_id: SiteId, credential_id: CredentialId, *, now: datetime
) -> None:
    """Note that a credential lost a right now; see ``revoke``."""
    await revoke(tx, _held(site_id).where(credentials.c.id == credential_id), now=now)


async def revoke(
    tx: Session,
    held: Select[Any],
    *,
    now: datetime,
    lock_ids: Collection[str] | None = None,
) -> None:
    """Note that credentials lost a right now. Call it while the rows are as before.

    Args:
        tx: The change's transaction.
        held: Selects site_id and digest of the credentials, with a WHERE clause; of one site.
        now: The instant; a note from before is moved up to it.
        lock_ids: Where; None: at all locks at which their holders have a right.
    """
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    noted = dialect_insert(revoked_digests).from_select(
        ["site_id", "digest", "revoked_at"], held.add_columns(literal(now, UtcDateTime))
    )
    await tx.execute(
        noted.on_conflict_do_update(
            index_elements=["site_id", "digest"], set_={"revoked_at": noted.excluded.revoked_at}
        )
    )
    rows = (await tx.execute(held.limit(PURGE_MAX + 1))).all()
    if not rows:
        return
    site_id = rows[0].site_id
    if lock_ids is None:
        lock_ids = await _doors(tx, site_id, held)
    await revoked_places.note(tx, site_id, held, lock_ids, now=now)
    for some in in_batches(lock_ids):
        if len(rows) > PURGE_MAX:
            await _purge_all(tx, site_id, some, now=now)
        else:
            await _purge(tx, site_id, some, [row.digest for row in rows], now=now)


def _held(site_id: SiteId) -> Select[Any]:
    columns = select(credentials.c.site_id, credentials.c.digest)
    return columns.where(credentials.c.site_id == site_id)


async def _doors(tx: Session, site_id: SiteId, held: Select[Any]) -> set[str]:
    """Return the locks at which the holders of some credentials have a right."""
    these = held.subquery()
    holders = select(credentials.c.person_id).where(
        credentials.c.site_id == site_id, credentials.c.digest.in_(select(these.c.digest))
    )
    found: set[str] = set()
    for way in WAYS:
        joined = and_(way.people.c.site_id == site_id, way.people_group == way.doors_group)
        doors = select(way.doors.c.lock_id).join(way.people, joined).distinct()
        rows = await tx.execute(
            doors.where(way.doors.c.site_id == site_id, way.people.c.person_id.in_(holders))
        )
        found.update(rows.scalars())
    return found


async def _purge_all(
    tx: Session, site_id: SiteId, lock_ids: Sequence[str], *, now: datetime
) -> None:
    """Let locks forget every opening before now."""
    await tx.execute(
        update(locks)
        .where(locks.c.site_id == site_id, locks.c.id.in_(lock_ids), _is_older(now))
        .values(purged_at=now)
    )


async def _purge(
    tx: Session,
    site_id: SiteId,
    lock_ids: Sequence[str],
    digests: Sequence[bytes],
    *,
    now: datetime,
) -> None:
    """Let locks forget credentials by name; of the oldest beyond 20 each forgets by time."""
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect_insert(purges)
    await tx.execute(
        row.on_conflict_do_update(
            index_elements=["site_id", "lock_id", "digest"],
            set_={"revoked_at": row.excluded.revoked_at},
        ),
        [
            {"site_id": site_id, "lock_id": lock_id, "digest": digest, "revoked_at": now}
            for lock_id in lock_ids
            for digest in digests
        ],
    )
    await _fold(tx, site_id, lock_ids)


async def _fold(tx: Session, site_id: SiteId, lock_ids: Sequence[str]) -> None:
    """Turn the names beyond the newest 20 of each lock into the instant of the newest of them."""
    newest_first = [purges.c.revoked_at.desc(), purges.c.digest]
    place = func.row_number().over(partition_by=purges.c.lock_id, order_by=newest_first)
    here = and_(purges.c.site_id == site_id, purges.c.lock_id.in_(lock_ids))
    placed = select(purges, place.label("place")).where(here).subquery()
    rows = await tx.execute(
        select(placed).where(placed.c.place > PURGE_MAX).order_by(placed.c.revoked_at)
    )
    gone = [
        {"its_lock": row.lock_id, "its_digest": row.digest, "at": row.revoked_at} for row in rows
    ]
    if not gone:
        return
    is_lock = and_(locks.c.site_id == site_id, locks.c.id == bindparam("its_lock"))
    at = bindparam("at", type_=UtcDateTime)
    await tx.execute(update(locks).where(is_lock, _is_older(at)).values(purged_at=at), gone)
    is_purge = and_(
        purges.c.site_id == site_id,
        purges.c.lock_id == bindparam("its_lock"),
        purges.c.digest == bindparam("its_digest"),
    )
    await tx.execute(delete(purges).where(is_purge), gone)


def _is_older(instant: Any) -> Any:
    return or_(locks.c.purged_at.is_(None), locks.c.purged_at < instant)
