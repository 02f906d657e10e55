"""Add-ons and seats that have run out while the subscription goes on.

Their ends are compared with the present instant wherever they are used, so nothing needs doing for
them to be over. What was made with them does: it is shut here, in one transaction a batch.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import select, union_all, update

from controller.db.engine import Session
from controller.db.tables.subscriptions import add_ons, seat_grants
from controller.domain.ids import SiteId
from controller.subscriptions.service import Gates

AT_ONCE_MAX: Final = 10  # sites in one transaction; settling one may touch all of its hubs
_TABLES: Final = (add_ons, seat_grants)


class Lapses:
    """Sees to ends of add-ons and seats."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    async def __call__(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Shut what ended add-ons and seats had opened.

        Returns:
            How many sites, at most ten; the others' turn comes within a second.
        """
        ended = union_all(
            *(
                select(table.c.site_id).where(~table.c.lapsed, table.c.ends_at <= now)
                for table in _TABLES
            )
        ).subquery()
        sites = (
            select(ended.c.site_id)
            .distinct()
            .order_by(ended.c.site_id)
            .limit(min(limit, AT_ONCE_MAX))
        )
        site_ids = [SiteId(row.site_id) for row in await tx.execute(sites)]
        for site_id in site_ids:
            await self._gates.settle(tx, site_id, now=now)
            for table in _TABLES:
                await tx.execute(
                    update(table)
                    .where(table.c.site_id == site_id, ~table.c.lapsed, table.c.ends_at <= now)
                    .values(lapsed=True)
                )
        return len(site_ids)
