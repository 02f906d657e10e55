"""A key covers one effect and one answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from controller.db.engine import Database
from controller.db.tables.idempotency import idempotency_keys
from tests.controller.web.demo import Site, served

RACERS = 20


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    """The demo on both backends."""
    async with served(database) as site:
        yield site


@pytest.mark.invariant("V3")
async def test_a_retry_gets_the_same_bytes_and_no_second_effect(site: Site) -> None:
    """Same actor, key and body: same status and body, one door."""
    first = await site.add("lobby")
    again = await site.add("lobby")

    assert first[0] == again[0] == 201
    assert first[1] == again[1]
    assert again[2]["ETag"] == '"1"'
    assert again[2]["Content-Type"] == first[2]["Content-Type"]
    assert again[2]["Idempotent-Replayed"] == "true"
    assert site.api.done == 1
    assert await site.names() == ["lobby"]


@pytest.mark.invariant("V3")
async def test_another_body_under_the_same_key_is_refused(site: Site) -> None:
    """A key that was used for something else is 422 and does nothing."""
    await site.add("lobby")
    status, body, _ = await site.add("roof")

    assert status == 422
    assert b'"idempotency_key_reused"' in body
    assert await site.names() == ["lobby"]


@pytest.mark.invariant("V3")
async def test_a_key_in_flight_is_refused(site: Site) -> None:
    """While the first request runs, the second under its key is 409."""
    first = asyncio.ensure_future(site.add("slow"))
    await asyncio.wait_for(site.api.entered.wait(), 5)
    status, body, headers = await site.add("slow")
    site.api.gate.set()

    assert status == 409
    assert b'"idempotency_key_in_flight"' in body
    assert headers["Retry-After"] == "1"
    assert (await first)[0] == 201


@pytest.mark.invariant("V3")
async def test_racers_under_one_key_have_one_effect(site: Site) -> None:
    """Many at once: every answer is the same 201 or 409, and the door is added once."""
    answers = await asyncio.gather(*(site.add("lobby") for _ in range(RACERS)))

    assert {status for status, _, _ in answers} <= {201, 409}
    assert len({body for status, body, _ in answers if status == 201}) == 1
    assert site.api.done == 1


async def test_another_process_sees_a_key_in_flight(site: Site, database_url: str) -> None:
    """Two processes on one PostgreSQL answer 409 as one does."""
    if database_url.startswith("sqlite"):
        return  # one process only, by the lock on its data directory
    other_database = Database.open(database_url)
    async with served(other_database) as other:
        first = asyncio.ensure_future(site.add("slow"))
        await asyncio.wait_for(site.api.entered.wait(), 5)
        status, _, _ = await other.add("slow")
        site.api.gate.set()
        assert (await first)[0] == 201
        assert status == 409
        assert (await other.add("slow"))[0] == 201
        assert other.api.done == 0
    await other_database.close()


@pytest.mark.invariant("V3")
async def test_a_refusal_is_remembered_and_undone(site: Site) -> None:
    """A refused request leaves no row and is refused again with the same bytes."""
    first = await site.add("taken")
    again = await site.add("taken")

    assert first[0] == again[0] == 409
    assert first[1] == again[1]
    assert site.api.done == 1
    assert await site.names() == []


@pytest.mark.parametrize(("name", "status"), [("busy", 409), ("bug", 500)])
async def test_a_failure_that_may_pass_is_not_remembered(
    site: Site, name: str, status: int
) -> None:
    """After a conflict or a failure nothing is kept, and the same key tries anew."""
    await site.add(name)
    again = await site.add(name)

    assert again[0] == status
    assert site.api.done == 2
    assert await site.names() == []


async def test_keys_of_two_actors_never_meet(site: Site) -> None:
    """Bob with Ada's key is judged on his own."""
    await site.add("lobby", by="ada")
    status, body, _ = await site.add("lobby", by="bob")

    assert status == 404
    assert b"lobby" not in body


@pytest.mark.parametrize("key", ["", "two words", "k" * 201])
async def test_a_key_has_a_form(site: Site, key: str) -> None:
    """A missing or odd key is 400 before anything is done."""
    status, body, _ = await site.add("lobby", key=key)

    assert status == 400
    assert b'"idempotency_key_' in body
    assert site.api.done == 0


@pytest.mark.invariant("V3")
async def test_a_key_is_kept_for_thirty_days_and_stays_taken(site: Site) -> None:
    """The answer goes after 30 days; the key is refused for ever."""
    await site.add("lobby")
    site.link.utc_now += timedelta(days=30)
    async with site.db.write() as tx:
        assert await site.answers.forget(tx, limit=500) == 0
    kept = await site.add("lobby")

    site.link.utc_now += timedelta(seconds=1)
    async with site.db.write() as tx:
        assert await site.answers.forget(tx, limit=500) == 1
    gone = await site.add("lobby")

    assert kept[0] == 201
    assert gone[0] == 422
    assert b'"idempotency_key_expired"' in gone[1]
    assert site.api.done == 1


async def test_a_remembered_answer_is_sealed(site: Site) -> None:
    """Neither the answer nor the request can be read in the database."""
    await site.add("winter garden")

    async with site.db.read() as tx:
        row = (await tx.execute(select(idempotency_keys))).one()
    assert b"winter" not in row.body_sealed
    assert b"winter" not in row.request_digest
