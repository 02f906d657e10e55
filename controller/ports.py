"""What the cloud needs from outside itself, as structural types.

Everything that touches time, chance, threads or the network is handed in through one of these,
so the whole controller also runs in a seeded simulation. The real ones: ``clock.py``,
``chance.py``, ``bus.py``, ``threads.py``.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from typing_extensions import TypeVarTuple, Unpack

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class Calendar(Protocol):
    """The clock of subscriptions, leases and schedules; it may run fast, never back."""

    @property
    def speed(self) -> int:
        """How many calendar seconds pass in a real one."""
        ...

    def now(self) -> datetime:
        """Return the calendar's instant, aware UTC."""
        ...


class LinkClock(Protocol):
    """Real time: for durations, certificates, sign-in sessions and rate limits."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean something."""
        ...

    def utc(self) -> datetime:
        """Return the system's idea of UTC, which may be set back at any time."""
        ...


class Randomness(Protocol):
    """Unpredictable bytes."""

    def token_bytes(self, count: int, /) -> bytes:
        """Return ``count`` bytes that nobody can guess."""
        ...


class Ids(Protocol):
    """Names for new things."""

    def new(self) -> str:
        """Return a fresh 128-bit id as 32 lower-case hex characters."""
        ...


class Waiter(Protocol):
    """One subscriber's end of the bus."""

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until woken since the last return; ``False`` when the time ran out first."""
        ...


class Bus(Protocol):
    """Wakes loops. A wake carries no facts: whoever wakes looks into the database."""

    def wake(self, topic: str) -> None:
        """Wake everybody who waits for ``topic``; call it from ``Session.on_commit``."""
        ...

    def subscribe(self, topic: str) -> AbstractContextManager[Waiter]:
        """Listen to ``topic``; wakes from here on are kept for the waiter, many as one."""
        ...


class Overloaded(Exception):
    """Too much work is waiting already; the caller may come again in a moment."""


class Threads(Protocol):
    """A bounded place for work that would hold up the event loop (hashing above all)."""

    async def run(
        self, work: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments
    ) -> Result:
        """Return ``work(*arguments)``, done in a thread.

        Raises:
            Overloaded: The queue is full.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a foreign server said."""

    status: int
    body: bytes


class HttpOut(Protocol):
    """The one way out to other people's HTTP servers."""

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Send ``body`` and return the answer, whatever its status."""
        ...
