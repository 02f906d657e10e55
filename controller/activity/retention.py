"""Delete entries that no plan shows any more.

A plan shows entries as far back as it keeps them, and a larger one shows more of the same again. So
only what is older than any plan keeps is deleted, oldest first within each log: what is removed is
noted, so that it does not look like a loss.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import Session
from controller.db.tables.activity import entries, entry_logs


@dataclass(frozen=True, slots=True)
class ForgetEntries:
    """Deletes what is older than any plan keeps."""

    days: int

    async def __call__(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Delete the oldest entries of some logs, and return how many logs that were.

        Args:
            tx: The transaction.
            now: The instant.
            limit: Logs at most; of each at most as many entries again.
        """
        old = entries.c.received_at < now - timedelta(days=self.days)
        logs = (
            select(entries.c.site_id, entries.c.lock_id, entries.c.log_epoch)
            .where(old)
            .distinct()
            .limit(limit)
        )
        done = 0
        for log in (await tx.execute(logs)).all():
            this = and_(
                entries.c.site_id == log.site_id,
                entries.c.lock_id == log.lock_id,
                entries.c.log_epoch == log.log_epoch,
            )
            kept = select(func.min(entries.c.sequence)).where(this, ~old)
            first_kept = (await tx.execute(kept)).scalar()
            some = select(entries.c.sequence).where(this, old).order_by(entries.c.sequence)
            if first_kept is not None:
                some = some.where(entries.c.sequence < first_kept)
            sequences = list((await tx.execute(some.limit(limit))).scalars())
            if sequences:
                await tx.execute(delete(entries).where(this, entries.c.sequence.in_(sequences)))
                await _note(tx, log.site_id, log.lock_id, log.log_epoch, up_to=sequences[-1])
                done += 1
        return done


async def _note(tx: Session, site_id: str, lock_id: str, log_epoch: int, *, up_to: int) -> None:
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = insert(entry_logs).values(
        site_id=site_id, lock_id=lock_id, log_epoch=log_epoch, removed_up_to=up_to
    )
    await tx.execute(
        row.on_conflict_do_update(
            index_elements=[column.name for column in entry_logs.primary_key],
            set_={"removed_up_to": row.excluded.removed_up_to},
        )
    )
