"""Write down what was refused."""

from datetime import datetime
from typing import Final

from controller.audit.service import Audit
from controller.db.engine import Database
from controller.domain.ids import SiteId
from controller.domain.roles import Actor

ROUTE_LENGTH_MAX: Final = 64  # of an audit record's object


class DenialBook:
    """Records refused changes, each in a small transaction: their own was rolled back."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self._db = db
        self._audit = audit

    async def denied(
        self, actor: Actor, route: str, site_id: SiteId | None, code: str, *, now: datetime
    ) -> None:
        """Record who was refused what, and why."""
        async with self._db.write() as tx:
            await self._audit.record(
                tx,
                actor,
                "request_refused",
                site_id=site_id,
                object_kind="route",
                object_id=route[:ROUTE_LENGTH_MAX],
                now=now,
                refused=code,
            )
