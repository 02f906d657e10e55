"""Which credentials the locks of a site hold for offline use, and whether they fit."""

from sqlalchemy import select

from controller.access.queries import site_state
from controller.db.engine import ReadSession
from controller.db.tables.hardware import locks
from controller.domain.ids import SiteId
from controller.domain.offline import require_room


class OfflineRoom:
    """Refuses a change after which a lock's offline list would not fit into the lock."""

    async def require(self, tx: ReadSession, site_id: SiteId) -> None:
        """Refuse the rows as they are now if a list has become too long.

        Raises:
            OfflineListFull: It names lock, limit and usage.
            OfflineSchedulesFull: Likewise.
        """
        state = await site_state(tx, site_id, offline_only=True)
        named = select(locks.c.id, locks.c.name).where(locks.c.site_id == site_id)
        names = {row.id: row.name for row in await tx.execute(named)}
        for lock in state.locks:
            require_room(state, lock, name=names[lock.id])
