"""What the gateway needs from outside, as structural types: any object of that shape will do."""

from datetime import datetime
from typing import Protocol

from gateway.protocol.topics import DownKind


class LinkClock(Protocol):
    """Real time: certificates, time-outs and everything on the device link run on it."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean something."""
        ...

    def utc(self) -> datetime:
        """Return the present instant, aware UTC."""
        ...


class Randomness(Protocol):
    """Unpredictable bytes."""

    def token_bytes(self, count: int, /) -> bytes:
        """Return ``count`` bytes that nobody can guess."""
        ...


class Admission(Protocol):
    """Who may be on the device link at all."""

    async def admit(self, hub_id: str) -> bool:
        """Return whether the hub is one of ours and not revoked."""
        ...


class Wake(Protocol):
    """One loop's end of the bus."""

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until woken since the last return; ``False`` when the time ran out first."""
        ...


class Line(Protocol):
    """The way to the hubs."""

    @property
    def is_connected(self) -> bool:
        """Whether hubs can be heard right now."""
        ...

    async def publish(self, hub_id: str, kind: DownKind, payload: bytes) -> bool:
        """Send to a hub once; return False if it certainly went nowhere."""
        ...
