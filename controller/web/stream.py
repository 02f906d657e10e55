"""Events as they come: Server-Sent Events (the HTML standard, section 9.2).

A handler returns an ``EventStream``. Each event carries an id; a client that was cut off sends the
last one as Last-Event-ID and misses nothing. A stream ends after five minutes, so that a client
comes back and shows that it may still listen; a comment every 15 s keeps the line open and notices
clients that are gone.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from controller.web.problems import Refusal

LIFE_S: Final = 300.0
BEAT_S: Final = 15.0
RETRY_MS: Final = 2_000
PER_ACCOUNT_MAX: Final = 10
ALTOGETHER_MAX: Final = 1_000
LAST_EVENT_ID: Final = "Last-Event-ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event; ``data`` is JSON in one line."""

    id: str
    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class EventStream:
    """What a client is sent until it goes or its time is over; an empty batch is a heartbeat."""

    batches: AsyncIterator[Sequence[Event]]


class Streams:
    """Counts open streams and serves them."""

    def __init__(self, *, life_s: float = LIFE_S) -> None:
        self._life_s = life_s
        self._open: Counter[str] = Counter()

    async def serve(
        self, request: web.Request, stream: EventStream, *, account: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Send a stream until its time is over or the client is gone.

        Raises:
            Refusal: The account has as many streams open as it may, or the whole cloud has (429).
        """
        with self._place(account):
            response = web.StreamResponse(headers=headers)
            response.content_type = "text/event-stream"
            response.headers["X-Accel-Buffering"] = "no"  # proxies would wait for more
            await response.prepare(request)
            try:
                async with asyncio.timeout(self._life_s):
                    await response.write(f"retry: {RETRY_MS}\n\n".encode())
                    async for batch in stream.batches:
                        await response.write(_written(batch))
            except (TimeoutError, ConnectionResetError):
                pass  # its time is over, or nobody listens any more
            return response

    @contextmanager
    def _place(self, account: str) -> Iterator[None]:
        if self._open[account] >= PER_ACCOUNT_MAX or self._open.total() >= ALTOGETHER_MAX:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_streams",
                f"At most {PER_ACCOUNT_MAX} streams may be open. Close one, or come again later.",
                headers={"Retry-After": str(int(LIFE_S))},
            )
        self._open[account] += 1
        try:
            yield
        finally:
            self._open[account] -= 1
            if not self._open[account]:
                del self._open[account]


def _written(batch: Sequence[Event]) -> bytes:
    if not batch:
        return b": beat\n\n"
    return "".join(
        f"id: {event.id}\nevent: {event.kind}\ndata: {event.data}\n\n" for event in batch
    ).encode()
