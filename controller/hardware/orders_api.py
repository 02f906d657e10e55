"""Orders to locks over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from controller.domain.hardware import ORDER_SECONDS_MAX, Command, CommandState, OrderKind
from controller.domain.ids import CommandId, LockId, SiteId
from controller.domain.roles import Action
from controller.hardware.commands import Orders
from controller.web.api import Call, get, post
from controller.web.auth import SIGNED_IN
from controller.web.models import WHOLE, In, Out

LOCK = "/sites/{site_id}/locks/{lock_id}"

OrderSeconds = Annotated[int, Field(ge=1, le=ORDER_SECONDS_MAX), WHOLE]


class OfficeIn(In):
    """How long a lock shall stay open."""

    seconds: Annotated[
        OrderSeconds | None, Field(description="Without it, until somebody ends it.")
    ] = None


class CommandOut(Out):
    """An order to a lock, and what became of it."""

    id: CommandId
    lock_id: LockId
    kind: OrderKind
    seconds: int | None
    state: CommandState
    actor_name: str
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, command: Command, state: CommandState) -> Self:
        """Return a command as it is shown."""
        return cls(**(asdict(command) | {"state": state}))


class OrdersApi:
    """What locks of a site are told to do now."""

    tag = "orders"

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    @post(LOCK + "/open", requires=Action.OPEN_REMOTELY, status=202, idempotent=True)
    async def open(self, call: Call, site_id: SiteId, lock_id: LockId) -> CommandOut:
        """Order a lock to open now. Ask the command for what became of it."""
        return await self._given(call, site_id, lock_id, OrderKind.OPEN)

    @post(LOCK + "/start-office", requires=Action.USE_OFFICE_MODE, status=202, idempotent=True)
    async def start_office(
        self, call: Call, site_id: SiteId, lock_id: LockId, body: OfficeIn
    ) -> CommandOut:
        """Order a lock to stay open, for some time or until it is told otherwise."""
        return await self._given(
            call, site_id, lock_id, OrderKind.START_OFFICE, seconds=body.seconds
        )

    @post(LOCK + "/end-office", requires=Action.USE_OFFICE_MODE, status=202, idempotent=True)
    async def end_office(self, call: Call, site_id: SiteId, lock_id: LockId) -> CommandOut:
        """Order a lock that stays open to open by credential again."""
        return await self._given(call, site_id, lock_id, OrderKind.END_OFFICE)

    @post(LOCK + "/clear-keypad", requires=Action.MANAGE_DOORS, status=202, idempotent=True)
    async def clear_keypad(self, call: Call, site_id: SiteId, lock_id: LockId) -> CommandOut:
        """Order a lock to forget the wrong codes that were typed at it."""
        return await self._given(call, site_id, lock_id, OrderKind.CLEAR_KEYPAD)

    @post(LOCK + "/free-locker", requires=Action.MANAGE_ACCESS, status=202, idempotent=True)
    async def free_locker(self, call: Call, site_id: SiteId, lock_id: LockId) -> CommandOut:
        """Order a locker of free use to be nobody's again."""
        return await self._given(call, site_id, lock_id, OrderKind.FREE_LOCKER)

    @get("/sites/{site_id}/commands/{command_id}", requires=SIGNED_IN)
    async def command(self, call: Call, site_id: SiteId, command_id: CommandId) -> CommandOut:
        """Show what became of an order."""
        async with call.db.read() as tx:
            command, state = await self._orders.command(tx, call.actor, site_id, command_id)
        return CommandOut.of(command, state)

    async def _given(
        self,
        call: Call,
        site_id: SiteId,
        lock_id: LockId,
        kind: OrderKind,
        *,
        seconds: int | None = None,
    ) -> CommandOut:
        async with call.db.write() as tx:
            command = await self._orders.give(
                tx, call.actor, site_id, lock_id, kind=kind, seconds=seconds, now=call.now
            )
        return CommandOut.of(command, command.state)
