"""Orders to locks on their way to a hub.

A command lives for ten seconds of the link clock. It is claimed by one guarded UPDATE before it is
sent, so it is sent once at most; a hub that hears it too late refuses it as well. So does the lock,
which knows the calendar only: its order ends after what is left of that life, at the calendar's
speed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import ColumnElement, exists, select, tuple_, update

from controller.db.engine import Database, ReadSession, Session
from controller.db.tables.hardware import commands, hubs, locks
from controller.delivery.seals import lock_seal_key
from controller.domain.hardware import ANSWER_PATIENCE, COMMAND_LIFE, CommandState, OrderKind
from controller.domain.ids import HubId, LockId, SiteId
from gateway.protocol import sealing
from gateway.protocol.messages import Command, CommandOutcome, Reply

AT_ONCE_MAX: Final = 100

_OPEN: Final = (CommandState.QUEUED, CommandState.SENT)
_STATES: Final = {
    CommandOutcome.OPENED: CommandState.OPENED,
    CommandOutcome.DONE: CommandState.DONE,
    CommandOutcome.REFUSED: CommandState.REFUSED,
    CommandOutcome.EXPIRED: CommandState.EXPIRED,
    CommandOutcome.UNREACHABLE: CommandState.UNREACHABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A command that nobody else will send."""

    id: str
    site_id: SiteId
    hub_id: HubId
    lock_id: LockId
    kind: OrderKind
    seconds: int | None
    number: int
    issued_at: datetime
    public_key: bytes
    epoch: int
    until: datetime  # of the calendar

    def message(self, agreement: X25519PrivateKey) -> Command:
        """Return what the hub hears; the order in it is for the lock alone."""
        seal_key = lock_seal_key(
            agreement,
            site_id=self.site_id,
            lock_id=self.lock_id,
            public_key=self.public_key,
            epoch=self.epoch,
        )
        order = sealing.LockOrder(
            kind=sealing.OrderKind[self.kind.name],
            seconds=self.seconds,
            command_id=bytes.fromhex(self.id),
            number=self.number,
            until_ms=int(self.until.timestamp() * 1000),
        )
        return Command(
            command_id=order.command_id,
            lock_id=bytes.fromhex(self.lock_id),
            issued_ms=int(self.issued_at.timestamp() * 1000),
            ttl_s=int(COMMAND_LIFE.total_seconds()),
            sealed=sealing.seal(seal_key, order, purpose=sealing.LOCK_ORDER),
        )


async def claim(database: Database, *, now: datetime, speed: int, utc: datetime) -> list[Claimed]:
    """Return the commands that wait for online hubs, each to one caller only.

    Those that nobody could send in time expire, and those without an answer become unknown.

    Args:
        now: The calendar's instant.
        speed: The calendar's speed.
        utc: The link clock's instant.
    """
    async with database.read() as view:
        if not await _is_any_open(view):
            return []
    async with database.write() as tx:
        claimed = await _claim(tx, now=now, speed=speed, utc=utc)
        too_late = ~_is_alive(utc)
        await _end(tx, CommandState.QUEUED, CommandState.EXPIRED, too_late, now=now)
        forgotten = commands.c.issued_at <= utc - ANSWER_PATIENCE
        await _end(tx, CommandState.SENT, CommandState.UNKNOWN, forgotten, now=now)
    return claimed


async def finish(
    tx: Session, site_id: SiteId, hub_id: HubId, reply: Reply, *, now: datetime
) -> None:
    """Note what became of a command, as the hub says; the first answer stands."""
    await tx.execute(
        update(commands)
        .where(
            commands.c.site_id == site_id,
            commands.c.id == reply.command_id.hex(),
            commands.c.hub_id == hub_id,
            commands.c.state.in_((CommandState.SENT, CommandState.UNKNOWN)),
        )
        .values(state=_STATES[reply.outcome], finished_at=now)
    )


async def _is_any_open(tx: ReadSession) -> bool:
    found = await tx.execute(select(commands.c.id).where(commands.c.state.in_(_OPEN)).limit(1))
    return found.first() is not None


async def _claim(tx: Session, *, now: datetime, speed: int, utc: datetime) -> list[Claimed]:
    names = await _take(tx, utc=utc)
    rows = await tx.execute(
        select(commands, locks.c.public_key, locks.c.epoch)
        .join(
            locks,
            (locks.c.site_id == commands.c.site_id)
            & (locks.c.id == commands.c.lock_id)
            & (locks.c.hub_id == commands.c.hub_id),
        )
        .where(tuple_(commands.c.site_id, commands.c.id).in_(names))
        .order_by(commands.c.issued_at)
    )
    return [
        Claimed(
            id=row.id,
            site_id=SiteId(row.site_id),
            hub_id=HubId(row.hub_id),
            lock_id=LockId(row.lock_id),
            kind=OrderKind(row.kind),
            seconds=row.seconds,
            number=row.number,
            issued_at=row.issued_at,
            public_key=row.public_key,
            epoch=row.epoch,
            until=now + _left(row.issued_at, utc=utc) * speed,
        )
        for row in rows
    ]


async def _take(tx: Session, *, utc: datetime) -> list[tuple[str, str]]:
    """Mark as sent what waits for online hubs, and return (site id, command id) of each."""
    is_online = exists().where(
        hubs.c.site_id == commands.c.site_id,
        hubs.c.id == commands.c.hub_id,
        hubs.c.online,
        hubs.c.retired_at.is_(None),
    )
    waiting = (
        select(commands.c.site_id, commands.c.id)
        .where(
            commands.c.state == CommandState.QUEUED,
            _is_alive(utc),
            is_online,
        )
        .order_by(commands.c.issued_at)
        .limit(AT_ONCE_MAX)
    )
    taken = await tx.execute(
        update(commands)
        .where(
            tuple_(commands.c.site_id, commands.c.id).in_(waiting),
            commands.c.state == CommandState.QUEUED,
        )
        .values(state=CommandState.SENT)
        .returning(commands.c.site_id, commands.c.id)
    )
    return [(row.site_id, row.id) for row in taken]


def _left(issued_at: datetime, *, utc: datetime) -> timedelta:
    """Return what is left of a living command's life, by the link clock."""
    return min(COMMAND_LIFE, issued_at + COMMAND_LIFE - utc)


def _is_alive(utc: datetime) -> ColumnElement[bool]:
    """A command from the future was issued before the clock was set back: nobody knows its age."""
    issued_at = commands.c.issued_at
    return (issued_at > utc - COMMAND_LIFE) & (issued_at < utc + COMMAND_LIFE)


async def _end(
    tx: Session,
    state: CommandState,
    end: CommandState,
    condition: ColumnElement[bool],
    *,
    now: datetime,
) -> None:
    await tx.execute(
        update(commands)
        .where(commands.c.state == state, condition)
        .values(state=end, finished_at=now)
    )
