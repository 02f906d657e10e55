"""Ask for a state, do not send changes.

Whatever changes what a lock should do ends with one of these requests in its own transaction.
Any number of requests before the next publish make one message; a request that is rolled back
leaves none. The gateway's publishing loop, woken after the commit, does the rest.

Source: docs/decisions/0002-desired-state-by-revision.md.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, bindparam, select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import hubs
from controller.domain.ids import SiteId
from controller.ports import Bus
from controller.sync import revoked_places
from controller.sync.changes import EVERYTHING, Reach, Touched, in_batches, note, reach

LEASE_AGE_MAX: Final = timedelta(hours=24)
_LEASED: Final = and_(hubs.c.retired_at.is_(None), hubs.c.claimed_at.is_not(None))

WAKE_HUBS: Final = "hubs"
WAKE_COMMANDS: Final = "commands"


class Sync:
    """Raises what is wanted of hubs and wakes the gateway once that is committed."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def request_lease(self, tx: Session, site_ids: Sequence[str], *, now: datetime) -> None:
        """Ask that every hub of these sites gets its site's subscription as of this commit."""
        await tx.execute(
            update(hubs)
            .where(hubs.c.site_id.in_(site_ids), hubs.c.retired_at.is_(None))
            .values(lease_wanted=hubs.c.lease_wanted + 1, lease_signed_at=now)
        )
        tx.on_commit(lambda: self._bus.wake(WAKE_HUBS))

    async def request_revision(
        self, tx: Session, site_id: SiteId, touched: Collection[Touched] = EVERYTHING
    ) -> Reach:
        """Ask that the hubs that an edit reaches get the access state as of this commit.

        Returns:
            Where the edit leads.
        """
        reached = await reach(tx, site_id, touched)
        await note(tx, site_id, touched)
        asked = update(hubs).where(hubs.c.site_id == site_id, hubs.c.retired_at.is_(None))
        raised = asked.values(revision_wanted=hubs.c.revision_wanted + 1)
        if reached.hub_ids is None:
            await tx.execute(raised)
        else:
            for some in in_batches(reached.hub_ids):
                await tx.execute(raised.where(hubs.c.id.in_(some)))
        await revoked_places.note_revisions(tx, site_id)
        tx.on_commit(lambda: self._bus.wake(WAKE_HUBS))
        return reached

    async def request_due_leases(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Ask for a fresh lease of hubs whose last one is a day old, longest first.

        Returns:
            How many hubs, at most ``limit``.
        """
        due = (
            select(hubs.c.site_id, hubs.c.id)
            .where(_LEASED, hubs.c.lease_signed_at <= now - LEASE_AGE_MAX)
            .order_by(hubs.c.lease_signed_at)
            .limit(limit)
            .with_for_update(skip_locked=True)  # whoever holds the hub asks for a lease himself
        )
        rows = [
            {"due_site": row.site_id, "due_hub": row.id} for row in (await tx.execute(due)).all()
        ]
        if rows:
            this = (hubs.c.site_id == bindparam("due_site"), hubs.c.id == bindparam("due_hub"))
            again = {"lease_wanted": hubs.c.lease_wanted + 1, "lease_signed_at": now}
            await tx.execute(update(hubs).where(*this).values(again), rows)
            tx.on_commit(lambda: self._bus.wake(WAKE_HUBS))
        return len(rows)

    async def next_lease_at(self, tx: ReadSession) -> datetime | None:
        """Return when ``request_due_leases`` has work again."""
        oldest = (
            await tx.execute(
                select(hubs.c.lease_signed_at)
                .where(_LEASED)
                .order_by(hubs.c.lease_signed_at)
                .limit(1)
            )
        ).scalar_one_or_none()
        return oldest + LEASE_AGE_MAX if oldest else None

    def wake_commands(self, tx: Session) -> None:
        """Have waiting commands published once they are committed."""
        tx.on_commit(lambda: self._bus.wake(WAKE_COMMANDS))
