"""Whether the locks of a site have room for their explicit offline credentials."""

from collections.abc import Collection

from sqlalchemy import select

from controller.access.offline_rows import state_of_locks
from controller.db.engine import ReadSession
from controller.db.tables.hardware import locks
from controller.domain.ids import LockId, SiteId
from controller.domain.offline import OfflineRules


class OfflineRoom:
    """Refuses a change after which a lock has no room for an explicit offline credential."""

    async def require(
        self, tx: ReadSession, site_id: SiteId, lock_ids: Collection[LockId] | None = None
    ) -> None:
        """Refuse the rows as they are now if a list would not fit into its lock.

        Args:
            tx: The change's transaction.
            site_id: The site.
            lock_ids: The locks whose lists may have changed; None means all of the site.

        Raises:
            OfflineListFull: It names lock, limit and usage.
            OfflineSchedulesFull: Likewise.
        """
        state = await state_of_locks(tx, site_id, lock_ids, pins=False)
        rules = OfflineRules(state)
        named = select(locks.c.id, locks.c.name).where(locks.c.site_id == site_id)
        if lock_ids is not None:
            named = named.where(locks.c.id.in_(lock_ids))
        names = {row.id: row.name for row in await tx.execute(named)}
        for lock in state.locks:
            rules.require_room(lock, name=names[lock.id])
