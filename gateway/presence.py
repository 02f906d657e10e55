"""Who is there: by what hubs say, never by what the broker says of them.

A hub is online from its first verified message and offline after five beats were missed. While the
broker is out of reach nobody knows.
"""

import asyncio
import contextlib
from typing import Final, NoReturn

import structlog

from gateway.port import Controller, Unavailable
from gateway.ports import Line, LinkClock

log = structlog.get_logger()

SILENT_S: Final = 150.0  # five beats of 30 s
TURN_S: Final = 1.0


class Presence:
    """Notes who speaks and tells the controller who came and who went."""

    def __init__(self, controller: Controller, *, line: Line, clock: LinkClock) -> None:
        self._controller = controller
        self._line = line
        self._clock = clock
        # Bounded by the hubs of this installation: only verified ones get here, and all go again.
        self._heard_at_s: dict[str, float] = {}
        self._told: set[str] = set()  # the controller has them as online
        self._is_void = True  # what the controller holds is of a connection that is gone
        self._somebody_came = asyncio.Event()

    def saw(self, hub_id: str) -> None:
        """Note a verified message of a hub."""
        self._heard_at_s[hub_id] = self._clock.now()
        if hub_id not in self._told:
            self._somebody_came.set()

    async def run(self) -> NoReturn:
        """Tell the controller until cancelled."""
        while True:  # for as long as the process lives
            self._somebody_came.clear()
            try:
                await self.turn()
            except Unavailable as error:
                log.info("presence_waits", error=str(error))
                await asyncio.sleep(TURN_S)
            except Exception:  # the next turn tells the same again
                log.exception("presence_failed")
                await asyncio.sleep(TURN_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TURN_S):
                    await self._somebody_came.wait()

    async def turn(self) -> None:
        """Tell the controller what has changed since it was last told."""
        if not self._line.is_connected and self._heard_at_s:
            self._heard_at_s.clear()
            self._is_void = True
        if self._is_void:
            await self._controller.presence_unknown()
            self._told.clear()
            self._is_void = False
        limit_s = self._clock.now() - SILENT_S
        for hub_id in [hub for hub, at_s in self._heard_at_s.items() if at_s <= limit_s]:
            del self._heard_at_s[hub_id]
        gone = [hub_id for hub_id in self._told if hub_id not in self._heard_at_s]
        came = [hub_id for hub_id in self._heard_at_s if hub_id not in self._told]
        if came or gone:
            await self._controller.presence(online=came, offline=gone)
            self._told.difference_update(gone)
            self._told.update(came)
