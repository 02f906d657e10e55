"""What the gateway needs from outside, as structural types: any object of that shape will do."""

from datetime import datetime
from typing import Protocol


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
