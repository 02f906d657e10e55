"""The two clocks of the running program."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import structlog

from controller.ports import LinkClock

SPEED_MAX: Final = 100_000
SAVE_EVERY_S: Final = 1.0
LEAD_S: Final = 2.0  # real seconds that the saved mark stands ahead: two turns of the saving loop
REST_S: Final = 60.0  # how often the mark follows while the calendar is not ahead of UTC
LAST_INSTANT: Final = datetime(9000, 1, 1, tzinfo=UTC)  # a month at full speed passes year 9999

LoadMark = Callable[[], Awaitable[datetime | None]]
SaveMark = Callable[[datetime], Awaitable[None]]

_log = structlog.get_logger(__name__)


class SystemLinkClock:
    """Real time, as the operating system gives it."""

    def now(self) -> float:
        """Return monotonic seconds; on Linux they also count while the machine sleeps."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the system's UTC."""
        return datetime.now(UTC)


def checked_speed(speed: int) -> int:
    """Return ``speed`` if a calendar can run that fast.

    Raises:
        ValueError: It is not from 1 to 100,000.
    """
    if not 1 <= speed <= SPEED_MAX:
        raise ValueError(f"speed must be a whole number from 1 to {SPEED_MAX}, not {speed}")
    return speed


class ScaledCalendar:
    """A calendar that runs ``speed`` times real time and never goes back.

    It starts at the saved mark or at UTC, whichever is later, and then follows the monotonic
    clock only, so a change of the system clock does not move it. While it is ahead of UTC it
    never passes the saved mark: after kill -9 it starts at that mark, so no instant comes twice.
    If saving falls behind, it stands at the mark and catches up afterwards.
    """

    def __init__(
        self, link: LinkClock, *, speed: int, mark: datetime | None, save: SaveMark
    ) -> None:
        self._link = link
        self._speed = checked_speed(speed)
        self._save = save
        self._started_at = max(mark, link.utc()) if mark else link.utc()
        self._started_link_s = link.now()
        self._mark = mark or self._started_at
        self._marked_link_s = link.now() - REST_S
        self._latest = self._started_at

    @classmethod
    async def start(cls, link: LinkClock, *, speed: int, load: LoadMark, save: SaveMark) -> Self:
        """Return a calendar that goes on where the last one stood at most."""
        calendar = cls(link, speed=speed, mark=await load(), save=save)
        await calendar.save_mark()
        return calendar

    @property
    def speed(self) -> int:
        """How many calendar seconds pass in a real one."""
        return self._speed

    def now(self) -> datetime:
        """Return the calendar's instant; never less than it returned before."""
        reached = min(self._reached(), max(self._mark, self._link.utc()))
        self._latest = max(self._latest, reached)
        return self._latest

    async def save_mark(self) -> None:
        """Save the mark that the next seconds may run up to, if one is due."""
        reached = self._reached()
        lead = timedelta(seconds=LEAD_S * self._speed)
        ahead = reached + lead > self._link.utc() + timedelta(seconds=LEAD_S + SAVE_EVERY_S)
        link_s = self._link.now()
        if not ahead and link_s - self._marked_link_s < REST_S:
            return
        mark = max(self._mark, min(reached + lead, LAST_INSTANT) if ahead else self.now())
        await self._save(mark)
        self._mark, self._marked_link_s = mark, link_s

    async def run(self, *, every_s: float = SAVE_EVERY_S) -> None:
        """Keep the mark ahead until cancelled."""
        while True:  # for the life of the process
            await asyncio.sleep(every_s)
            try:
                await self.save_mark()
            except Exception:  # noqa: BLE001 - the calendar stands still meanwhile, and goes on
                _log.exception("calendar_mark_save_failed")

    async def stop(self) -> None:
        """Save where the calendar stands, so that the next start goes on from there."""
        await self._save(self.now())

    def _reached(self) -> datetime:
        """Return how far the monotonic clock would have it."""
        passed_s = (self._link.now() - self._started_link_s) * self._speed
        left_s = (LAST_INSTANT - self._started_at).total_seconds()
        return self._started_at + timedelta(seconds=min(passed_s, left_s))
