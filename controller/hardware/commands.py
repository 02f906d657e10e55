"""Open a lock from afar: an order with a life of ten seconds and an honest outcome."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import commands, locks
from controller.domain.errors import NotFound
from controller.domain.hardware import Command, CommandState, OrderKind
from controller.domain.ids import CommandId, LockId, SiteId
from controller.domain.roles import Action, Actor
from controller.hardware import repository
from controller.ports import Ids, LinkClock
from controller.subscriptions.entitlement import Entitlement
from controller.sync.service import Sync


class RemoteOpening:
    """Orders to open, and what became of them."""

    def __init__(
        self, *, entitlement: Entitlement, sync: Sync, audit: Audit, ids: Ids, link: LinkClock
    ) -> None:
        self._entitlement = entitlement
        self._sync = sync
        self._audit = audit
        self._ids = ids
        self._link = link

    async def open(
        self, tx: Session, actor: Actor, site_id: SiteId, lock_id: LockId, *, now: datetime
    ) -> Command:
        """Order a lock to open once, now.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such lock.
        """
        actor.require(Action.OPEN_REMOTELY, site_id)
        await self._entitlement.require_active(tx, site_id, now=now)
        lock = await repository.lock(tx, site_id, lock_id)
        command = Command(
            site_id=site_id,
            id=CommandId(self._ids.new()),
            hub_id=lock.hub_id,
            lock_id=lock_id,
            kind=OrderKind.OPEN,
            seconds=None,
            number=await _next_number(tx, site_id, lock_id),
            actor_id=actor.account_id,
            actor_name=actor.name,
            state=CommandState.QUEUED,
            created_at=now,
            issued_at=self._link.utc(),
            finished_at=None,
        )
        await tx.execute(insert(commands).values(_row(command)))
        self._sync.wake_commands(tx)
        await self._audit.record(
            tx,
            actor,
            "lock_open_ordered",
            site_id=site_id,
            object_kind="lock",
            object_id=lock_id,
            now=now,
            facts={"command_id": command.id, "number": command.number},
        )
        return command

    async def command(
        self, tx: ReadSession, site_id: SiteId, command_id: CommandId
    ) -> tuple[Command, CommandState]:
        """Return an order and what is known of it now.

        Raises:
            NotFound: The site has none of this id.
        """
        found = select(commands).where(commands.c.site_id == site_id, commands.c.id == command_id)
        row = (await tx.execute(found)).one_or_none()
        if row is None:
            raise NotFound("There is no such command at this site.", object="command")
        command = _command(row)
        return command, command.state_at(self._link.utc())


async def _next_number(tx: Session, site_id: SiteId, lock_id: LockId) -> int:
    """Return the number of a lock's next order; the row counts, so no two orders share one."""
    counted = await tx.execute(
        update(locks)
        .where(locks.c.site_id == site_id, locks.c.id == lock_id)
        .values(order_number=locks.c.order_number + 1)
        .returning(locks.c.order_number)
    )
    return int(counted.scalar_one())


def _row(command: Command) -> dict[str, object]:
    return {name: getattr(command, name) for name in command.__slots__}


def _command(row: Row[Any]) -> Command:
    return Command(
        site_id=row.site_id,
        id=row.id,
        hub_id=row.hub_id,
        lock_id=row.lock_id,
        kind=OrderKind(row.kind),
        seconds=row.seconds,
        number=row.number,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        state=CommandState(row.state),
        created_at=row.created_at,
        issued_at=row.issued_at,
        finished_at=row.finished_at,
    )
