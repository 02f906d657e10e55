"""The SQLite driver under SQLAlchemy: as few trips as there are statements, and nothing lost."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from typing_extensions import override

from controller.db.sqlite_driver import Connection


class Counted(Connection):
    """A connection that counts the trips to its thread."""

    trips = 0

    @override
    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self.trips += 1
        return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]


@pytest.fixture
def connection(tmp_path: Path) -> Counted:
    """A connection to a file of its own."""
    path = tmp_path / "any.sqlite"
    return Counted(lambda: sqlite3.connect(path, isolation_level=None), iter_chunk_size=1)


@pytest.fixture
async def engine(connection: Counted) -> AsyncIterator[AsyncEngine]:
    """An engine with this one connection and a table in it."""
    made = create_async_engine("sqlite+aiosqlite://", async_creator=lambda: connection)
    async with made.connect() as tx:
        await tx.execute(text("CREATE TABLE one (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"))
    yield made
    await made.dispose()


async def test_a_statement_is_one_trip(engine: AsyncEngine, connection: Counted) -> None:
    """Reading, writing and writing many rows go to the thread once each."""
    rows = [{"name": "a"}, {"name": "b"}]
    async with engine.connect() as tx:
        before = connection.trips
        await tx.execute(text("INSERT INTO one (name) VALUES (:name)"), rows)
        changed = await tx.execute(text("UPDATE one SET name = name || '!'"))
        found = await tx.execute(text("SELECT id, name FROM one ORDER BY id"))

        assert connection.trips == before + 3
        assert changed.rowcount == 2
        assert [tuple(row) for row in found] == [(1, "a!"), (2, "b!")]


async def test_a_refused_statement_tells_why_and_leaves_nothing(engine: AsyncEngine) -> None:
    """SQLite's own error with its code arrives, and the connection goes on working."""
    async with engine.connect() as tx:
        with pytest.raises(IntegrityError) as caught:
            await tx.execute(text("INSERT INTO one (name) VALUES (NULL)"))
        assert isinstance(caught.value.orig, sqlite3.Error)
        assert caught.value.orig.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_NOTNULL

        returned = await tx.execute(text("INSERT INTO one (name) VALUES ('c') RETURNING id, name"))
        assert [tuple(row) for row in returned] == [(1, "c")]
