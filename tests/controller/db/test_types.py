"""Column types mean the same on both backends."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError

from controller.db.engine import Database
from controller.db.types import BigIntKey, Json, UtcDateTime

own = MetaData()
things = Table(
    "test_things",
    own,
    Column("id", BigIntKey, primary_key=True),
    Column("number", Integer),
    Column("at", UtcDateTime),
    Column("facts", Json),
)
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def ground(database: Database) -> Database:
    """A database with one table of all types."""
    async with database.write() as tx:
        await tx._connection.run_sync(own.create_all)
    return database


async def test_an_instant_comes_back_aware_and_exact(ground: Database) -> None:
    """Any zone goes in, UTC comes out, to the microsecond."""
    madrid = NOON.astimezone(timezone(timedelta(hours=1)))
    async with ground.write() as tx:
        await tx.execute(insert(things), {"at": madrid})
        (kept,) = (await tx.execute(select(things.c.at))).one()

    assert kept == NOON
    assert kept.tzinfo is UTC


async def test_instants_compare_in_time_not_as_text(ground: Database) -> None:
    """A condition written in another zone finds the right rows."""
    tokyo = timezone(timedelta(hours=9))
    async with ground.write() as tx:
        await tx.execute(insert(things), [{"number": 1, "at": NOON}, {"number": 2, "at": None}])
        before = things.c.at < (NOON + timedelta(microseconds=1)).astimezone(tokyo)
        found = (await tx.execute(select(things.c.number).where(before))).scalars().all()

    assert found == [1]


async def test_an_instant_without_zone_is_refused(ground: Database) -> None:
    """A naive datetime is a mistake, not UTC."""
    with pytest.raises(StatementError, match="needs its time zone"):
        async with ground.write() as tx:
            await tx.execute(insert(things), {"at": NOON.replace(tzinfo=None)})


async def test_documents_and_counted_keys(ground: Database) -> None:
    """A document comes back as it was; None is NULL; the database counts the keys."""
    document = {"a": [1, 2.5, None, "ü"], "b": {}}
    async with ground.write() as tx:
        await tx.execute(insert(things), [{"facts": document}, {"facts": None}])
        rows = (await tx.execute(select(things.c.id, things.c.facts).order_by("id"))).all()
        nulls = select(things.c.id).where(things.c.facts.is_(None))
        empty = (await tx.execute(nulls)).scalars().all()

    assert rows[0].facts == document
    assert [rows[1].id] == empty
    assert rows[1].id == rows[0].id + 1
