"""The SQLite driver, with one trip to the connection's thread a statement.

Left to itself aiosqlite makes four: for a cursor, the statement, its rows and the cursor's end. On
a busy machine each trip waits for a processor twice, and that is longer than the statement takes.
docs/performance.md has the figures.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import aiosqlite
from typing_extensions import override

ITER_CHUNK_SIZE: Final = 64  # aiosqlite asks for it; nothing here iterates


class Ran:
    """All that can be asked about a statement after it ran."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.description: Any = cursor.description
        self.rows: list[Any] = cursor.fetchall() if cursor.description else []
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid


class Connection(aiosqlite.Connection):
    """A connection whose SQLite cursors live only while a statement runs."""

    @override
    def cursor(self) -> "Cursor":  # type: ignore[override] # for SQLAlchemy, which enters either
        return Cursor(self)

    async def run(self, work: Callable[..., object], *arguments: object) -> Ran:
        """Run one statement in the connection's thread."""

        def in_thread() -> Ran:
            cursor = self._conn.cursor()
            try:
                work(cursor, *arguments)
                return Ran(cursor)
            finally:
                cursor.close()

        ran: Ran = await self._execute(in_thread)  # type: ignore[no-untyped-call] # has no types
        return ran


class Cursor:
    """The part of a cursor that SQLAlchemy uses, without a cursor of SQLite's behind it."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ran: Ran | None = None

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        """The columns of the result, if it has any."""
        return self._ran.description if self._ran else None

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return self._ran.rowcount if self._ran else -1

    @property
    def lastrowid(self) -> int | None:
        """The number of the row that was inserted last."""
        return self._ran.lastrowid if self._ran else None

    async def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """Run a statement and fetch its rows."""
        self._ran = await self._connection.run(sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each of the parameters."""
        self._ran = await self._connection.run(sqlite3.Cursor.executemany, statement, parameters)

    async def fetchall(self) -> list[Any]:
        """Return the rows."""
        return self._ran.rows if self._ran else []

    async def close(self) -> None:
        """Do nothing: what SQLite had is closed already."""


def connect(database: str) -> Connection:
    """Return a connection, to be awaited, in which BEGIN is ours and not the driver's."""
    connection = Connection(
        lambda: sqlite3.connect(database, isolation_level=None), iter_chunk_size=ITER_CHUNK_SIZE
    )
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does to its own
    return connection
