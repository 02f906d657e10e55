"""What goes out: documents to hubs that are behind, commands, greetings.

The bus only wakes these loops, and once a second they look by themselves: a lost wake costs a
second and nothing else.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import structlog

from gateway.port import Behind, Controller, Downlink, Unavailable
from gateway.ports import Line, LinkClock, Wake

log = structlog.get_logger()

LOOK_S: Final = 1.0
BEHIND_AT_ONCE: Final = 500  # looked at, a page
HUBS_AT_ONCE: Final = 50  # compiled for and held at a time
RESEND_BASE_S: Final = 5.0
RESEND_CAP_S: Final = 60.0
HUBS_MAX: Final = 10_000  # as many as may be connected


@dataclass(frozen=True, slots=True)
class _Sent:
    what: Behind
    pause_s: float
    due_s: float


class Resends:
    """When a hub that stays behind is told again: after 5 s, doubling to 60 s.

    What is wanted anew, and whoever says hello, is told at once.
    """

    def __init__(self, clock: LinkClock) -> None:
        self._clock = clock
        self._sent: OrderedDict[str, _Sent] = OrderedDict()

    def due(self, behind: Iterable[Behind]) -> list[str]:
        """Return the hubs to be told now, and count them as told."""
        now_s = self._clock.now()
        due = []
        for hub in behind:
            sent = self._sent.get(hub.hub_id)
            if sent is None or sent.what != hub:
                pause_s = RESEND_BASE_S
            elif now_s >= sent.due_s:
                pause_s = min(RESEND_CAP_S, 2 * sent.pause_s)
            else:
                continue
            self._sent[hub.hub_id] = _Sent(hub, pause_s, now_s + pause_s)
            self._sent.move_to_end(hub.hub_id)
            due.append(hub.hub_id)
        while len(self._sent) > HUBS_MAX:
            self._sent.popitem(last=False)
        return due

    def forget(self, hub_id: str) -> None:
        """Tell this hub at once if it is behind."""
        self._sent.pop(hub_id, None)


class Publishing:
    """The loops that publish, each for as long as it runs."""

    def __init__(
        self, controller: Controller, *, line: Line, resends: Resends, greet: asyncio.Event
    ) -> None:
        self._controller = controller
        self._line = line
        self._resends = resends
        self._greet = greet  # set after each connection

    async def documents(self, woken: Wake) -> NoReturn:
        """Bring hubs that are behind up to date until cancelled."""
        await self._loop("documents", self.publish_documents, woken)

    async def commands(self, woken: Wake) -> NoReturn:
        """Send commands until cancelled."""
        await self._loop("commands", self.publish_commands, woken)

    async def greetings(self) -> NoReturn:
        """Greet every hub after each connection until cancelled."""
        while True:  # for as long as the process lives
            await self._greet.wait()
            self._greet.clear()
            try:
                await self._send(await self._controller.greetings())
            except Exception:  # whoever is not greeted comes with its next beat
                log.exception("publishing_failed", loop="greetings")
                await asyncio.sleep(LOOK_S)
                self._greet.set()

    async def publish_documents(self) -> None:
        """Send lease and manifest to the hubs that are due."""
        after = ""
        while True:  # as many turns as there are pages of hubs behind
            behind = await self._controller.behind(after=after, limit=BEHIND_AT_ONCE)
            for start in range(0, len(behind), HUBS_AT_ONCE):
                if due := self._resends.due(behind[start : start + HUBS_AT_ONCE]):
                    await self._send(await self._controller.documents(due))
            if len(behind) < BEHIND_AT_ONCE:
                return
            after = behind[-1].hub_id

    async def publish_commands(self) -> None:
        """Send the commands that wait."""
        await self._send(await self._controller.commands())

    async def _send(self, downlinks: Sequence[Downlink]) -> None:
        for downlink in downlinks:
            await self._line.publish(downlink.hub_id, downlink.kind, downlink.data)

    async def _loop(self, name: str, turn: Callable[[], Awaitable[None]], woken: Wake) -> NoReturn:
        is_available = True
        while True:  # for as long as the process lives
            if self._line.is_connected:
                try:
                    await turn()
                    is_available = True
                except Unavailable as error:
                    if is_available:
                        log.warning("publishing_waits", loop=name, error=str(error))
                    is_available = False
                    await asyncio.sleep(LOOK_S)
                except Exception:  # of one turn; the next looks at everything again
                    log.exception("publishing_failed", loop=name)
                    await asyncio.sleep(LOOK_S)
            await woken.wait(timeout_s=LOOK_S)
