"""The offline lists that locks are to hold, and those that they may hold still.

A list goes when a later one has been confirmed. Of those that were wanted since, and may have
reached the lock without our hearing of it, the first eight stay: a hub sends nothing more to a lock
that it does not hear.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, bindparam, case, delete, func, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import hubs, locks, offline_lists
from controller.domain.ids import HubId, LockId, SiteId
from controller.sync.changes import in_batches

KEPT_MAX: Final = 8  # of a lock, besides the one that it is to hold


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedList:
    """A list that a lock is to hold as of a revision of its hub."""

    lock_id: LockId
    hub_id: HubId
    revision: int
    hash: bytes
    data: bytes


async def wanted(tx: ReadSession, site_id: SiteId, hub_ids: Collection[str]) -> dict[LockId, bytes]:
    """Return the hashes of the lists that locks of some hubs are to hold, of those kept here."""
    kept = and_(
        offline_lists.c.site_id == locks.c.site_id,
        offline_lists.c.lock_id == locks.c.id,
        offline_lists.c.hash == locks.c.list_wanted,
    )
    some = select(locks.c.id, locks.c.list_wanted).join(offline_lists, kept)
    found: dict[LockId, bytes] = {}
    for batch in in_batches(hub_ids):
        rows = await tx.execute(some.where(locks.c.site_id == site_id, locks.c.hub_id.in_(batch)))
        found |= {row.id: row.list_wanted for row in rows}
    return found


async def want(tx: Session, site_id: SiteId, lists: Sequence[WantedList], *, now: datetime) -> None:
    """Note lists of revisions; where a newer revision is wanted by now, that keeps its own."""
    is_current = select(hubs.c.id).where(
        hubs.c.site_id == site_id,
        hubs.c.id == bindparam("its_hub"),
        hubs.c.revision_wanted == bindparam("its_revision"),
    )
    rows = [
        {
            "its_lock": each.lock_id,
            "its_hub": each.hub_id,
            "its_revision": each.revision,
            "its_hash": each.hash,
        }
        for each in lists
    ]
    await tx.execute(
        update(locks)
        .where(
            locks.c.site_id == site_id,
            locks.c.id == bindparam("its_lock"),
            locks.c.hub_id == bindparam("its_hub"),
            is_current.exists(),
        )
        .values(list_wanted=bindparam("its_hash"), list_confirmed=_still_confirmed()),
        rows,
    )
    present = await _present(tx, site_id, [each.lock_id for each in lists])
    kept = [each for each in lists if present.get(each.lock_id) == each.hash]
    if not kept:
        return
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect_insert(offline_lists)
    await tx.execute(
        row.on_conflict_do_update(
            index_elements=["site_id", "lock_id", "hash"],
            set_={"compiled_at": row.excluded.compiled_at},
        ),
        [
            {
                "site_id": site_id,
                "lock_id": each.lock_id,
                "hash": each.hash,
                "data": each.data,
                "compiled_at": now,
            }
            for each in kept
        ],
    )
    await tidy(tx, site_id, [each.lock_id for each in kept])


async def tidy(tx: Session, site_id: SiteId, lock_ids: Collection[str]) -> None:
    """Let go of the lists that some locks hold no longer."""
    for batch in in_batches(lock_ids):
        oldest_first = [offline_lists.c.compiled_at, offline_lists.c.hash]
        place = func.row_number().over(partition_by=offline_lists.c.lock_id, order_by=oldest_first)
        confirmed = offline_lists.alias()
        since = (
            select(confirmed.c.compiled_at)
            .where(
                confirmed.c.site_id == locks.c.site_id,
                confirmed.c.lock_id == locks.c.id,
                confirmed.c.hash == locks.c.list_confirmed,
            )
            .scalar_subquery()
        )
        is_lock = and_(
            locks.c.site_id == offline_lists.c.site_id, locks.c.id == offline_lists.c.lock_id
        )
        placed = (
            select(
                offline_lists.c.lock_id,
                offline_lists.c.hash,
                offline_lists.c.compiled_at,
                locks.c.list_wanted,
                locks.c.list_confirmed,
                since.label("since"),
                place.label("place"),
            )
            .join(locks, is_lock)
            .where(offline_lists.c.site_id == site_id, offline_lists.c.lock_id.in_(batch))
            .subquery()
        )
        rows = await tx.execute(
            select(placed.c.lock_id, placed.c.hash).where(
                placed.c.hash.is_distinct_from(placed.c.list_wanted),
                placed.c.hash.is_distinct_from(placed.c.list_confirmed),
                or_(placed.c.compiled_at < placed.c.since, placed.c.place > KEPT_MAX),
            )
        )
        gone = [{"its_lock": row.lock_id, "its_hash": row.hash} for row in rows]
        if gone:
            await tx.execute(
                delete(offline_lists).where(
                    offline_lists.c.site_id == site_id,
                    offline_lists.c.lock_id == bindparam("its_lock"),
                    offline_lists.c.hash == bindparam("its_hash"),
                ),
                gone,
            )


def _still_confirmed() -> Any:
    """Return what a lock has confirmed when it is to hold ``its_hash``.

    If that is what it confirmed once and another was wanted since, nobody knows whether it has got
    the other. Its hub tells.
    """
    its_hash = bindparam("its_hash", type_=locks.c.list_wanted.type)
    is_doubtful = and_(
        locks.c.list_confirmed == its_hash, locks.c.list_wanted.is_distinct_from(its_hash)
    )
    return case((is_doubtful, null()), else_=locks.c.list_confirmed)


async def _present(tx: Session, site_id: SiteId, lock_ids: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for batch in in_batches(lock_ids):
        some = select(locks.c.id, locks.c.list_wanted).where(
            locks.c.site_id == site_id, locks.c.id.in_(batch)
        )
        found |= {row.id: row.list_wanted for row in await tx.execute(some)}
    return found
