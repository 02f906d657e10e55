"""Entries as rows. Written once, never changed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import Session
from controller.db.tables.activity import entries, entry_logs
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials
from controller.domain.ids import CredentialId, LockId, PersonId, SiteId

ROWS_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose credential it is."""

    credential_id: CredentialId
    person_id: PersonId


async def locks_of(
    tx: Session, site_ids: Collection[SiteId], lock_ids: Collection[str]
) -> set[tuple[SiteId, LockId]]:
    """Return which of these locks belong to which of these sites.

    A lock that is gone still belongs to the site that keeps its log: its last entries may come
    late.
    """
    found: set[tuple[SiteId, LockId]] = set()
    for table, column in (
        (locks, locks.c.id),
        (entry_logs, entry_logs.c.lock_id),
        (entries, entries.c.lock_id),
    ):
        missing = set(lock_ids) - {lock_id for _, lock_id in found}
        if missing:
            rows = await tx.execute(
                select(table.c.site_id, column.label("lock_id"))
                .distinct()
                .where(table.c.site_id.in_(site_ids), column.in_(missing))
            )
            found |= {(SiteId(row.site_id), LockId(row.lock_id)) for row in rows}
    return found


async def holders(
    tx: Session, site_ids: Collection[SiteId], digests: Collection[bytes]
) -> dict[tuple[SiteId, bytes], Holder]:
    """Return whose these credential digests are at these sites."""
    if not digests:
        return {}
    rows = await tx.execute(
        select(
            credentials.c.site_id,
            credentials.c.digest,
            credentials.c.id,
            credentials.c.person_id,
        ).where(credentials.c.site_id.in_(site_ids), credentials.c.digest.in_(digests))
    )
    return {
        (SiteId(row.site_id), row.digest): Holder(
            credential_id=CredentialId(row.id), person_id=PersonId(row.person_id)
        )
        for row in rows
    }


async def add(tx: Session, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write entries and return those that are new; the others stay as they are.

    The primary key (site, lock, log epoch, sequence) decides, whoever else is writing. The rows
    go in its order, so that two writers of the same entries wait for each other and never in a
    ring.
    """
    assert len(rows) <= ROWS_MAX, "a write batch has its bound"
    if not rows:
        return []
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    key = [column.name for column in entries.primary_key]
    by_key = {tuple(row[name] for name in key): row for row in rows}
    written = await tx.execute(
        insert(entries).on_conflict_do_nothing().returning(*entries.primary_key),
        [row for _, row in sorted(by_key.items())],
    )
    return [by_key[tuple(each)] for each in written]
