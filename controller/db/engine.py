"""Transactions: the one place that begins, commits and rolls back.

``Database.write()`` is one writing transaction, ``Database.read()`` one unchanging view. On
SQLite all writers take turns on one connection with BEGIN IMMEDIATE, in the order in which they
asked, so that none ever meets a lock; readers have a few connections of their own. On
PostgreSQL both have connections of one pool.

A statement that was sent is always waited for, also when the request behind it is cancelled:
the transaction is then rolled back on a connection in a known state, and none stays open.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

import asyncpg
from sqlalchemy import CursorResult, Executable, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from controller.db import sqlite_driver

SQLITE_READERS: Final = 4
SQLITE_BUSY_MS: Final = 5_000  # only another program (backup, a shell) can make a writer wait
POSTGRES_WRITERS: Final = 8
POSTGRES_READERS: Final = 8
POSTGRES_STATEMENT_MS: Final = 8_000  # below the 10 s of a request
POSTGRES_LOCK_MS: Final = 5_000
SQLITE_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
POSTGRES_PASSING: Final = ("08", "40", "53", "55P03", "57", "58")
"""Connection, rollback (deadlock), resources, lock time-out, operator, system: SQLSTATE classes."""


class DatabaseAway(Exception):
    """No connection to the database could be made."""


Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Result = TypeVar("Result")


class ReadSession:
    """A view of the database as of one instant."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``, for the statements the two spell differently."""
        return self._connection.dialect.name

    async def execute(
        self, statement: Executable, parameters: Parameters | None = None
    ) -> CursorResult[Any]:
        """Run one statement; a list of parameters runs it once for each."""
        return await _finish(self._connection.execute(statement, parameters))


class Session(ReadSession):
    """A writing transaction. It is committed when its block ends without an exception."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self._callbacks: list[Callable[[], None]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the transaction is durable; never if it is rolled back."""
        self._callbacks.append(callback)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the block did if it raises, and keep the transaction."""
        registered = len(self._callbacks)
        nested = await _finish(_begin_nested(self._connection))
        try:
            yield
        except BaseException:
            del self._callbacks[registered:]
            await _finish(nested.rollback())
            raise
        await _finish(nested.commit())


@dataclass(frozen=True, slots=True)
class _Lane:
    """Connections for one purpose and the fair queue in front of them."""

    engine: AsyncEngine
    places: asyncio.Semaphore  # first come, first served


class Database:
    """An open database; close it, or its threads keep the process alive."""

    def __init__(self, writers: _Lane, readers: _Lane) -> None:
        self._writers = writers
        self._readers = readers

    @classmethod
    def open(cls, url: str) -> Self:
        """Return the database behind an SQLAlchemy URL; connections follow when needed."""
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return cls(
                _Lane(sqlite_engine(parsed), asyncio.Semaphore(1)),
                _Lane(
                    sqlite_engine(parsed, read_only=True, connections=SQLITE_READERS),
                    asyncio.Semaphore(SQLITE_READERS),
                ),
            )
        engine = _postgres_engine(parsed)
        snapshot = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        return cls(
            _Lane(engine, asyncio.Semaphore(POSTGRES_WRITERS)),
            _Lane(snapshot, asyncio.Semaphore(POSTGRES_READERS)),
        )

    async def close(self) -> None:
        """Give all connections back."""
        await self._writers.engine.dispose()
        await self._readers.engine.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Session]:
        """Open a writing transaction; take it before the first read of a use case."""
        async with self._writers.places:
            unit = _Unit(self._writers.engine)
            try:
                await _finish(unit.begin())
                session = Session(unit.connection)
                yield session
            except BaseException:
                await _finish(unit.abandon())
                raise
            await _finish(unit.commit(session))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """Open a view that no writer changes while it is looked at."""
        async with self._readers.places:
            unit = _Unit(self._readers.engine)
            try:
                await _finish(unit.begin())
                yield ReadSession(unit.connection)
            finally:
                await _finish(unit.abandon())


class _Unit:
    """One transaction on one connection, from begin to the return of the connection."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.connection = engine.connect()
        self._started = False

    async def begin(self) -> None:
        try:
            _ = await self.connection.start()
        except (OSError, asyncpg.PostgresError) as error:
            raise DatabaseAway("the database cannot be reached") from error
        self._started = True
        _ = await self.connection.begin()

    async def commit(self, session: Session) -> None:
        try:
            await self.connection.commit()
        except BaseException:
            await self.connection.invalidate()  # SQLite may be in the transaction still
            raise
        finally:
            await self.connection.close()
        for callback in session._callbacks:  # noqa: SLF001 - a session's other half
            callback()

    async def abandon(self) -> None:
        if self._started:
            await self.connection.close()  # rolls back


def is_passing(error: Exception) -> bool:
    """Whether the database, not the statement, is at fault: away, busy, full, read-only."""
    if isinstance(error, DatabaseAway):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return error.orig.sqlite_errorcode & 0xFF in SQLITE_PASSING  # the rest is detail
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(POSTGRES_PASSING)


def sqlite_engine(
    url: URL, *, read_only: bool = False, foreign_keys: bool = True, connections: int = 1
) -> AsyncEngine:
    """Return an engine on a SQLite file with the pragmas that the cloud relies on."""
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # they hold codes and names; errors are logged
        async_creator=lambda: sqlite_driver.connect(str(url.database)),
    )
    pragmas = [
        f"busy_timeout = {SQLITE_BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
        f"query_only = {'ON' if read_only else 'OFF'}",
    ]

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: URL) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=POSTGRES_WRITERS + POSTGRES_READERS,
        max_overflow=0,
        hide_parameters=True,  # they hold codes and names; errors are logged
        connect_args={
            "server_settings": {
                "application_name": "doorward",
                "statement_timeout": str(POSTGRES_STATEMENT_MS),
                "lock_timeout": str(POSTGRES_LOCK_MS),
                "timezone": "UTC",
            }
        },
    )


async def _begin_nested(connection: AsyncConnection) -> Any:
    return await connection.begin_nested()


async def _finish(work: Coroutine[Any, Any, Result]) -> Result:
    """Await ``work`` to its end; a cancellation meanwhile is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen; the cancellation matters more
        raise cancelled
    return task.result()
