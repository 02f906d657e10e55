"""What every change of who may open begins and ends with.

Begin: the changes of a site take turns, and only a running subscription allows any. Between: the
rows. End: no lock's offline list has become too long, the hubs are asked for, the audit record
is written. All of it in the one transaction of the change.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.domain.ids import LockId, SiteId
from controller.domain.roles import Action, Actor
from controller.subscriptions.entitlement import Entitlement
from controller.sync.changes import EVERYTHING, Touched
from controller.sync.service import Sync


class OfflineRoom(Protocol):
    """Knows how much the offline lists of locks hold; the access feature provides it."""

    async def require(
        self, tx: ReadSession, site_id: SiteId, lock_ids: Collection[LockId] | None = None
    ) -> None:
        """Refuse the rows as they are now if the list of one of these locks would not fit into it.

        Args:
            tx: The change's transaction.
            site_id: The site.
            lock_ids: None means all of the site.
        """
        ...


class Changes:
    """Frames the changes of all features that decide who may open."""

    def __init__(
        self, *, entitlement: Entitlement, room: OfflineRoom, sync: Sync, audit: Audit
    ) -> None:
        self._entitlement = entitlement
        self._room = room
        self._sync = sync
        self._audit = audit

    async def begin(
        self, tx: Session, actor: Actor, right: Action, site_id: SiteId, *, now: datetime
    ) -> None:
        """Wait for the site's turn and refuse what may not be changed now.

        Until the end of the transaction nobody else changes this site, so what is counted from
        here on (seats, credentials, locks) stays counted.

        Raises:
            NotFound: There is no such site, or the actor has nothing to do with it.
            Forbidden: The actor lacks the right.
            NoValidSubscription: The site's subscription does not run.
        """
        actor.require(right, site_id)
        await self._entitlement.require_active(tx, site_id, now=now)

    async def end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        *,
        site_id: SiteId,
        object_kind: str,
        object_id: str,
        now: datetime,
        facts: Mapping[str, object] | None = None,
        reaches_doors: bool = True,
        touched: Collection[Touched] = EVERYTHING,
    ) -> None:
        """Check the offline lists, ask for the hubs and write the audit record.

        Args:
            action: Static ``noun_verb_past``.
            facts: What changed, for the audit record.
            reaches_doors: False for what no hub is told, such as a name.
            touched: What the change touched, as ``controller.sync.changes`` takes it.

        Raises:
            OfflineListFull: A lock has no room for all who would be on its list.
            OfflineSchedulesFull: Likewise.
        """
        if reaches_doors:
            await self.reach_doors(tx, site_id, touched)
        await self._audit.record(
            tx,
            actor,
            action,
            site_id=site_id,
            object_kind=object_kind,
            object_id=object_id,
            now=now,
            facts=facts,
        )

    async def reach_doors(
        self, tx: Session, site_id: SiteId, touched: Collection[Touched] = EVERYTHING
    ) -> None:
        """Ask for the hubs and check the offline lists; whoever calls this writes the audit record.

        Raises:
            OfflineListFull: A lock has no room for all who would be on its list.
            OfflineSchedulesFull: Likewise.
        """
        reached = await self._sync.request_revision(tx, site_id, touched)
        await self._room.require(tx, site_id, reached.lock_ids)
