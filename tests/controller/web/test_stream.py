"""Streams of events."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from controller.db.engine import Database
from controller.web import stream
from controller.web.api import Call, get
from controller.web.application import build
from controller.web.auth import SIGNED_IN
from controller.web.stream import Event, EventStream, Streams
from tests.controller.web.demo import surroundings_of

PATIENCE_S = 10.0
Client = TestClient[web.Request, web.Application]


@dataclass
class NumbersApi:
    """Counts on from the last number that arrived, one at each beat."""

    tag = "numbers"
    beat_s: float = 0.01
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @get("/numbers", requires=SIGNED_IN)
    async def numbers(self, call: Call, last_event_id: str | None = None) -> EventStream:
        """Count."""
        del call
        return EventStream(self._batches(int(last_event_id or 0)))

    async def _batches(self, after: int) -> AsyncIterator[Sequence[Event]]:
        try:
            while True:
                after += 1
                yield [Event(id=str(after), kind="number", data=f'{{"is":{after}}}')]
                yield []
                await asyncio.sleep(self.beat_s)
        finally:
            self.gone.set()


@asynccontextmanager
async def counting(
    database: Database, api: NumbersApi, *, life_s: float = stream.LIFE_S
) -> AsyncIterator[Client]:
    """Serve the numbers with a deadline that no stream could keep."""
    under = surroundings_of(database)
    under["surroundings"] = replace(under["surroundings"], streams=Streams(life_s=life_s))
    application = build([api], **under, deadline_s=0.05)
    async with TestClient(TestServer(application)) as client, asyncio.timeout(PATIENCE_S):
        yield client


async def lines_of(response: ClientResponse, count: int) -> list[str]:
    """Return the next lines that say something."""
    lines: list[str] = []
    while len(lines) < count:
        line = (await response.content.readline()).decode().strip()
        if line:
            lines.append(line)
    return lines


def headers(by: str = "ada", **more: str) -> Mapping[str, str]:
    """Return what signs in."""
    return {"Authorization": f"Bearer {by}"} | more


async def test_events_come_with_ids_kinds_and_heartbeats(database: Database) -> None:
    """What is sent is as the standard says, past any deadline of other answers."""
    async with counting(database, NumbersApi()) as client:
        async with client.get("/api/v1/numbers", headers=headers()) as response:
            lines = await lines_of(response, 60)

        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
    assert lines[:9] == [
        "retry: 2000",
        "id: 1",
        "event: number",
        'data: {"is":1}',
        ": beat",
        "id: 2",
        "event: number",
        'data: {"is":2}',
        ": beat",
    ]


async def test_who_was_cut_off_goes_on_where_it_was(database: Database) -> None:
    """Last-Event-ID says what has arrived; the next one comes first."""
    async with counting(database, NumbersApi()) as client:
        given = headers(**{"Last-Event-ID": "41"})
        async with client.get("/api/v1/numbers", headers=given) as response:
            assert (await lines_of(response, 2))[1] == "id: 42"


async def test_a_client_that_goes_frees_its_place(database: Database) -> None:
    """A closed connection ends the stream at the next write, and its source with it."""
    api = NumbersApi()
    async with counting(database, api) as client:
        async with client.get("/api/v1/numbers", headers=headers()) as response:
            await lines_of(response, 2)
            response.close()
        await api.gone.wait()


async def test_a_stream_ends_so_that_its_reader_shows_who_he_is(database: Database) -> None:
    """After its life a stream is over, and nothing is cut in the middle."""
    async with (
        counting(database, NumbersApi(), life_s=0.1) as client,
        client.get("/api/v1/numbers", headers=headers()) as response,
    ):
        text = await response.text()

    assert text.endswith("\n\n")


async def test_an_account_holds_so_many_streams_and_no_more(database: Database) -> None:
    """The eleventh is 429 while another account still gets one; closing one makes room."""
    async with counting(database, NumbersApi()) as client, AsyncExitStack() as stack:
        for _ in range(stream.PER_ACCOUNT_MAX):
            response = await stack.enter_async_context(
                client.get("/api/v1/numbers", headers=headers())
            )
            assert response.status == 200
        async with client.get("/api/v1/numbers", headers=headers()) as one_more:
            assert one_more.status == 429
            assert (await one_more.json())["code"] == "too_many_streams"
        async with client.get("/api/v1/numbers", headers=headers("bob")) as other:
            assert other.status == 200


async def test_nobody_listens_without_signing_in(database: Database) -> None:
    """A stream is judged like any route, before it begins."""
    async with (
        counting(database, NumbersApi()) as client,
        client.get("/api/v1/numbers") as response,
    ):
        assert response.status == 401
