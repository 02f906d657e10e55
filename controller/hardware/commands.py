"""Orders to locks: each with a life of ten seconds, given once, and with an honest outcome."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, and_, func, insert, or_, select, update

from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.db.tables.access import lockers
from controller.db.tables.hardware import commands, locks
from controller.domain.errors import NotFound
from controller.domain.hardware import (
    ANSWER_PATIENCE,
    COMMAND_LIFE,
    ORDERS_OPEN_MAX,
    Command,
    CommandState,
    OfficeMode,
    OrderImpossible,
    OrderKind,
    SiteLock,
    TooManyOrders,
)
from controller.domain.ids import CommandId, LockId, SiteId
from controller.domain.roles import Action, Actor
from controller.hardware import repository
from controller.ports import Ids, LinkClock
from controller.subscriptions.entitlement import Entitlement
from controller.sync.service import Sync

RIGHTS: Final[Mapping[OrderKind, Action]] = {
    OrderKind.OPEN: Action.OPEN_REMOTELY,
    OrderKind.START_OFFICE: Action.USE_OFFICE_MODE,
    OrderKind.END_OFFICE: Action.USE_OFFICE_MODE,
    OrderKind.CLEAR_KEYPAD: Action.MANAGE_DOORS,
    OrderKind.FREE_LOCKER: Action.MANAGE_ACCESS,
    OrderKind.ENROL_TAG: Action.MANAGE_ACCESS,
}
_AUDITED: Final[Mapping[OrderKind, str]] = {
    OrderKind.OPEN: "lock_open_ordered",
    OrderKind.START_OFFICE: "office_start_ordered",
    OrderKind.END_OFFICE: "office_end_ordered",
    OrderKind.CLEAR_KEYPAD: "keypad_clear_ordered",
    OrderKind.FREE_LOCKER: "locker_free_ordered",
    OrderKind.ENROL_TAG: "tag_enrolment_ordered",
}


class Orders:
    """Orders to locks, and what became of them."""

    def __init__(
        self, *, entitlement: Entitlement, sync: Sync, audit: Audit, ids: Ids, link: LinkClock
    ) -> None:
        self._entitlement = entitlement
        self._sync = sync
        self._audit = audit
        self._ids = ids
        self._link = link

    async def give(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        lock_id: LockId,
        *,
        kind: OrderKind,
        seconds: int | None = None,
        now: datetime,
        right: Action | None = None,
    ) -> Command:
        """Order a lock to do something once, now. Which right that takes, ``RIGHTS`` says.

        Args:
            seconds: Calendar; for how long, 1 to 86,400. Office mode without it ends by an order.
            right: What it takes instead, when a caller has judged that this actor may at this lock.

        Raises:
            Forbidden: The actor lacks the right.
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such lock.
            OrderImpossible: The lock has no office mode, no keypad, or is no free locker.
            TooManyOrders: Ten others are before it.
        """
        actor.require(right or RIGHTS[kind], site_id)
        await self._entitlement.require_active(tx, site_id, now=now)  # the site's turn
        lock = await repository.lock(tx, site_id, lock_id)
        await _require_possible(tx, lock, kind)
        issued_at = self._link.utc()
        await _require_few(tx, lock, utc=issued_at)
        command = Command(
            site_id=site_id,
            id=CommandId(self._ids.new()),
            hub_id=lock.hub_id,
            lock_id=lock_id,
            kind=kind,
            seconds=seconds,
            number=await _next_number(tx, site_id, lock_id),
            actor_id=actor.account_id,
            actor_name=actor.name,
            state=CommandState.QUEUED,
            created_at=now,
            issued_at=issued_at,
            finished_at=None,
        )
        await self._keep(tx, actor, command)
        return command

    async def command(
        self, tx: ReadSession, actor: Actor, site_id: SiteId, command_id: CommandId
    ) -> tuple[Command, CommandState]:
        """Return an order and what is known of it now.

        It is shown to whoever gave it, and to whoever may give one of its kind.

        Raises:
            Forbidden: The actor may give no order at all.
            NotFound: The site has none of this id, or none for the actor to see.
        """
        if not any(actor.may(right, site_id) for right in RIGHTS.values()):
            actor.require(Action.OPEN_OWN, site_id)
        found = select(commands).where(commands.c.site_id == site_id, commands.c.id == command_id)
        row = (await tx.execute(found)).one_or_none()
        command = None if row is None else to_command(row)
        if command is None or not _may_see(actor, command):
            raise NotFound("There is no such command at this site.", object="command")
        return command, command.state_at(self._link.utc())

    async def _keep(self, tx: Session, actor: Actor, command: Command) -> None:
        """Write an order with its audit record, and have it sent."""
        await tx.execute(insert(commands).values(_row(command)))
        self._sync.wake_commands(tx)
        await self._audit.record(
            tx,
            actor,
            _AUDITED[command.kind],
            site_id=command.site_id,
            object_kind="lock",
            object_id=command.lock_id,
            now=command.created_at,
            facts={
                "command_id": command.id,
                "number": command.number,
                "seconds": command.seconds,
            },
        )


def _may_see(actor: Actor, command: Command) -> bool:
    is_own = actor.account_id is not None and command.actor_id == actor.account_id
    return is_own or actor.may(RIGHTS[command.kind], command.site_id)


async def _require_possible(tx: Session, lock: SiteLock, kind: OrderKind) -> None:
    """Refuse what this lock could only answer with silence."""
    if kind is OrderKind.START_OFFICE and lock.door.office is OfficeMode.NONE:
        raise OrderImpossible(
            f"{lock.name} has no office mode. Set its field office first.",
            kind=kind,
            remedy="allow_office_mode",
        )
    if kind is OrderKind.CLEAR_KEYPAD and not lock.door.keypad:
        raise OrderImpossible(
            f"{lock.name} has no keypad in use. Set its field keypad if it has one.",
            kind=kind,
            remedy="use_keypad",
        )
    if kind is OrderKind.FREE_LOCKER and not await _is_free_locker(tx, lock):
        raise OrderImpossible(
            f"{lock.name} is no locker of the kind free. Make it one first.",
            kind=kind,
            remedy="make_free_locker",
        )


async def _is_free_locker(tx: Session, lock: SiteLock) -> bool:
    found = await tx.execute(
        select(lockers.c.id).where(
            lockers.c.site_id == lock.site_id,
            lockers.c.lock_id == lock.id,
            lockers.c.kind == "free",
        )
    )
    return found.first() is not None


async def _require_few(tx: Session, lock: SiteLock, *, utc: datetime) -> None:
    """Refuse one more order than a lock may have before it; the site's turn makes it count."""
    is_queued = and_(
        commands.c.state == CommandState.QUEUED, commands.c.issued_at > utc - COMMAND_LIFE
    )
    is_sent = and_(
        commands.c.state == CommandState.SENT, commands.c.issued_at > utc - ANSWER_PATIENCE
    )
    counted = await tx.execute(
        select(func.count()).where(
            commands.c.site_id == lock.site_id,
            commands.c.lock_id == lock.id,
            or_(is_queued, is_sent),
        )
    )
    used = counted.scalar_one()
    if used >= ORDERS_OPEN_MAX:
        wait_s = int(ANSWER_PATIENCE.total_seconds())
        raise TooManyOrders(
            f"{lock.name} has {used} orders before it that are not answered yet. "
            f"Wait for them, {wait_s} s at most.",
            limit=ORDERS_OPEN_MAX,
            used=used,
            retry_after_s=wait_s,
        )


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


def to_command(row: Row[Any]) -> Command:
    """Return the command of a row of ``commands``."""
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
