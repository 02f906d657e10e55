"""What hubs say: checked, gathered, handed in, answered, and only then acknowledged to the broker.

Messages that are to be written down go in groups, one transaction each: while one group is being
committed the next one gathers, so groups grow with the load by themselves. Questions for sections
go beside them, so that compiling one hub's state holds up nobody's entries.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol, TypeVar

import structlog

from gateway.allowance import Allowance
from gateway.port import Controller, Unavailable, Uplink
from gateway.ports import Line, LinkClock
from gateway.presence import Presence
from gateway.protocol import cose, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import ENTRIES_PER_BATCH_MAX, Ask, Batch, Reply, Status
from gateway.protocol.topics import Topic, UpKind
from gateway.publishing import Resends
from gateway.session import Received

log = structlog.get_logger()

READ_AT_ONCE: Final = 64
WAITING_MAX: Final = 128  # checked messages of a lane; beyond it the broker holds the rest
GROUP_MESSAGES_MAX: Final = 100
GROUP_ENTRIES_MAX: Final = 500
TRIES_MAX: Final = 3
PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 5.0
REPORTED_MAX: Final = 1_000  # faults that are remembered, to log each of them once a hub

Answer = TypeVar("Answer")

_TYPES: Final[dict[UpKind, type[Status | Batch | Ask | Reply]]] = {
    UpKind.HELLO: Status,
    UpKind.BEAT: Status,
    UpKind.CONFIRM: Status,
    UpKind.BATCH: Batch,
    UpKind.ASK: Ask,
    UpKind.REPLY: Reply,
}


class Inbox(Line, Protocol):
    """The way to the hubs and from them."""

    async def receive(self, *, limit: int) -> Sequence[Received]:
        """Wait for a message and return it with those that wait behind it."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A checked message that waits to be handed in."""

    received: Received
    uplink: Uplink

    @property
    def entries(self) -> int:
        message = self.uplink.message
        return len(message.entries) if isinstance(message, Batch) else 0


class Intake:
    """Takes in what hubs say for as long as ``run`` is."""

    def __init__(
        self,
        inbox: Inbox,
        controller: Controller,
        *,
        presence: Presence,
        resends: Resends,
        clock: LinkClock,
    ) -> None:
        self.counts: Final[Counter[str]] = Counter()
        self._inbox = inbox
        self._controller = controller
        self._presence = presence
        self._resends = resends
        self._clock = clock
        self._allowance = Allowance()
        self._to_write: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_MAX)
        self._questions: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_MAX)
        self._reported: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def run(self) -> None:
        """Take in messages until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(), name="intake: read")
            tasks.create_task(self._work(self._to_write), name="intake: write")
            tasks.create_task(self._work(self._questions), name="intake: questions")

    async def _read(self) -> NoReturn:
        while True:  # for as long as the process lives
            for received in await self._inbox.receive(limit=READ_AT_ONCE):
                waiting = await self._checked(received)
                if waiting is None:
                    received.acknowledge()
                elif received.kind is not UpKind.ASK:
                    await self._to_write.put(waiting)
                elif self._questions.full():  # the hub asks again; entries do not wait for this
                    self.counts["question_dropped"] += 1
                    received.acknowledge()
                else:
                    self._questions.put_nowait(waiting)
                await asyncio.sleep(0)  # checking takes a millisecond; let others have a turn

    async def _checked(self, received: Received) -> _Waiting | None:
        """Return the message if its hub signed it and we can read it; else drop and count it."""
        if not self._allowance.take(received.hub_id, now_s=self._clock.now()):
            self.counts["too_many"] += 1
            return None
        try:
            uplink = await self._verified(received)
        except ProtocolError as error:
            self._report(received, "malformed", str(error))
            return None
        except Exception as error:
            log.exception("check_failed", hub_id=received.hub_id, kind=received.kind)
            self._report(received, "unchecked", type(error).__name__)
            return None
        self._presence.saw(received.hub_id)
        if received.kind is UpKind.HELLO:
            self._resends.forget(received.hub_id)
        return _Waiting(received, uplink)

    async def _verified(self, received: Received) -> Uplink:
        key = await self._patiently(lambda: self._controller.device_key(received.hub_id))
        if key is None:
            raise ProtocolError("the hub is not in service")
        topic = Topic(hub_id=received.hub_id, kind=received.kind)
        payload = cose.verify(received.payload, [key], cose.external_data(topic))
        return Uplink(
            hub_id=received.hub_id,
            kind=received.kind,
            raw=received.payload,
            message=wire.decode(_TYPES[received.kind], payload),
        )

    async def _work(self, queue: asyncio.Queue[_Waiting]) -> NoReturn:
        while True:  # for as long as the process lives
            group = [await queue.get()]
            entries = group[0].entries
            while (
                not queue.empty()
                and len(group) < GROUP_MESSAGES_MAX
                and entries <= GROUP_ENTRIES_MAX - ENTRIES_PER_BATCH_MAX
            ):
                group.append(queue.get_nowait())
                entries += group[-1].entries
            await self._take_in(group)

    async def _take_in(self, group: Sequence[_Waiting]) -> None:
        """Hand a group in; if that fails, each message alone, so that one spoils no other."""
        if await self._hand_in(group) is None:
            return
        for waiting in group:
            error = None
            for _ in range(TRIES_MAX - 1):
                error = await self._hand_in([waiting])
                if error is None:
                    break
            if error is not None:
                self._report(waiting.received, "quarantined", type(error).__name__)
                waiting.received.acknowledge()

    async def _hand_in(self, group: Sequence[_Waiting]) -> Exception | None:
        """Hand in, acknowledge and answer; return why it failed, if it did."""
        uplinks = [waiting.uplink for waiting in group]
        try:
            answers = await self._patiently(lambda: self._controller.hand_in(uplinks))
        except Exception as error:
            log.exception("hand_in_failed", messages=len(group))
            return error
        for waiting in group:
            self.counts[waiting.received.kind] += 1
            waiting.received.acknowledge()
        for answer in answers:
            await self._inbox.publish(answer.hub_id, answer.kind, answer.data)
        return None

    async def _patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what the call gives, however long the controller is away; meanwhile hubs keep."""
        pause_s = PAUSE_S_MIN
        while True:  # each turn is paced; nothing is lost by waiting
            try:
                return await call()
            except Unavailable as error:
                if pause_s == PAUSE_S_MIN:
                    log.warning("intake_waits", error=str(error))
                self.counts["unavailable"] += 1
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_S_MAX, 2 * pause_s)

    def _report(self, received: Received, fault: str, reason: str) -> None:
        """Count a message that is dropped, and log the fault when the hub has it first."""
        self.counts[fault] += 1
        key = (received.hub_id, reason)
        if key not in self._reported:
            log.warning(
                "message_dropped",
                hub_id=received.hub_id,
                kind=received.kind,
                fault=fault,
                reason=reason,
            )
        self._reported[key] = None
        self._reported.move_to_end(key)
        if len(self._reported) > REPORTED_MAX:
            self._reported.popitem(last=False)
