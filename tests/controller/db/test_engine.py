"""Transactions on both backends, with tables of the tests' own."""

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from controller.db.engine import Database, DatabaseAway, ReadSession, is_passing

WRITERS = 50

own = MetaData()
counters = Table(
    "test_counters",
    own,
    Column("id", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
)
notes = Table("test_notes", own, Column("text", String(50), primary_key=True))


@pytest.fixture
async def ground(database: Database) -> Database:
    """A database with two counters at zero and a table of notes."""
    async with database.write() as tx:
        await tx._connection.run_sync(own.create_all)
        await tx.execute(insert(counters), [{"id": 1, "count": 0}, {"id": 2, "count": 0}])
    return database


async def note(database: Database, text: str) -> None:
    """Write one note in a transaction of its own."""
    async with database.write() as tx:
        await tx.execute(insert(notes), {"text": text})


async def all_notes(database: Database) -> list[str]:
    """Read all notes."""
    async with database.read() as tx:
        return list((await tx.execute(select(notes.c.text).order_by(notes.c.text))).scalars())


async def counts(tx: ReadSession) -> list[int]:
    """Read both counters."""
    return list((await tx.execute(select(counters.c.count).order_by(counters.c.id))).scalars())


async def test_a_block_that_ends_is_committed(ground: Database) -> None:
    """What a writing block did is there for the next reader."""
    await note(ground, "kept")

    assert await all_notes(ground) == ["kept"]


async def test_a_block_that_raises_leaves_nothing(ground: Database) -> None:
    """An exception rolls the whole transaction back and goes on."""
    with pytest.raises(LookupError):
        async with ground.write() as tx:
            await tx.execute(insert(notes), {"text": "lost"})
            raise LookupError

    assert await all_notes(ground) == []


async def test_callbacks_run_after_the_commit_only(ground: Database) -> None:
    """on_commit callbacks see the commit done, and none runs after a rollback."""
    called: list[str] = []
    async with ground.write() as tx:
        tx.on_commit(lambda: called.append("committed"))
        assert called == []
    with pytest.raises(LookupError):
        async with ground.write() as tx:
            tx.on_commit(lambda: called.append("rolled back"))
            raise LookupError

    assert called == ["committed"]


async def test_a_savepoint_undoes_its_block_alone(ground: Database) -> None:
    """A savepoint that fails takes its rows and callbacks along and nothing else."""
    called: list[str] = []
    async with ground.write() as tx:
        await tx.execute(insert(notes), {"text": "before"})
        with pytest.raises(IntegrityError):
            async with tx.savepoint():
                tx.on_commit(lambda: called.append("inner"))
                await tx.execute(insert(notes), {"text": "inner"})
                await tx.execute(insert(notes), {"text": "before"})
        async with tx.savepoint():
            await tx.execute(insert(notes), {"text": "after"})

    assert await all_notes(ground) == ["after", "before"]
    assert called == []


async def test_fifty_writers_all_count(ground: Database) -> None:
    """Fifty read-modify-write transactions at once lose no update."""

    async def count_up() -> None:
        async with ground.write() as tx:
            one = update(counters).where(counters.c.id == 1)
            await tx.execute(one.values(count=counters.c.count + 1))

    await asyncio.gather(*(count_up() for _ in range(WRITERS)))

    async with ground.read() as tx:
        assert await counts(tx) == [WRITERS, 0]


async def test_one_of_fifty_claims_wins(ground: Database) -> None:
    """A unique insert raced by fifty transactions succeeds once."""
    outcomes = await asyncio.gather(
        *(note(ground, "mine") for _ in range(WRITERS)), return_exceptions=True
    )

    assert outcomes.count(None) == 1
    assert all(isinstance(outcome, IntegrityError) for outcome in outcomes if outcome)


async def test_a_reader_sees_no_half_transaction(ground: Database) -> None:
    """Two counters that always move together are equal in every view, also between queries."""

    async def move_both() -> None:
        async with ground.write() as tx:
            for counter in (1, 2):
                one = update(counters).where(counters.c.id == counter)
                await tx.execute(one.values(count=counters.c.count + 1))

    async def look() -> None:
        async with ground.read() as tx:
            first = (await tx.execute(select(counters.c.count).filter_by(id=1))).scalar_one()
            await move_both()
            second = (await tx.execute(select(counters.c.count).filter_by(id=2))).scalar_one()
            assert first == second

    await asyncio.gather(*(look() for _ in range(4)), *(move_both() for _ in range(10)))


async def test_a_reader_cannot_write(ground: Database) -> None:
    """A read session refuses to change anything."""
    with pytest.raises(DBAPIError):
        async with ground.read() as tx:
            await tx.execute(insert(notes), {"text": "forbidden"})

    assert await all_notes(ground) == []


async def test_sqlite_writers_take_turns_in_order(ground: Database) -> None:
    """On SQLite the writer who asked first writes first."""
    async with ground.read() as tx:
        if tx.dialect != "sqlite":
            return  # PostgreSQL writes side by side; nothing to order
    order: list[int] = []

    async def write(turn: int) -> None:
        async with ground.write():
            order.append(turn)

    await asyncio.gather(*(write(turn) for turn in range(WRITERS)))

    assert order == list(range(WRITERS))


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_request_is_done_or_undone(ground: Database, turns: int) -> None:
    """Wherever a cancellation strikes: callbacks run exactly if the row is there."""
    called: list[str] = []

    async def write() -> None:
        async with ground.write() as tx:
            tx.on_commit(lambda: called.append("first"))
            await tx.execute(insert(notes), {"text": "first"})

    async with ground.write() as tx:
        await tx.execute(text("CREATE TEMPORARY TABLE of_this_connection (x integer)"))
    task = asyncio.ensure_future(write())
    for _ in range(turns * 2):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    async with ground.write() as tx:  # neither the place nor the connection is lost
        await asyncio.wait_for(tx.execute(text("SELECT * FROM of_this_connection")), 5)
    assert await all_notes(ground) == called


async def test_cancelling_all_waiters_frees_the_queue(ground: Database) -> None:
    """Writers that are cancelled while they wait give their places back."""
    async with ground.write() as tx:
        waiting = [asyncio.ensure_future(note(ground, f"never {turn}")) for turn in range(20)]
        await asyncio.sleep(0)
        await tx.execute(select(func.count()).select_from(notes))
        for task in waiting[:10]:
            task.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    await note(ground, "next")

    assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert "next" in await all_notes(ground)


async def test_a_unique_clash_is_no_passing_fault(ground: Database) -> None:
    """Only faults of the database itself are worth another try."""
    await note(ground, "twice")

    with pytest.raises(IntegrityError) as caught:
        await note(ground, "twice")

    assert not is_passing(caught.value)


async def test_a_database_that_is_away_is_a_passing_fault() -> None:
    """A server that does not listen is told apart from a mistake."""
    nowhere = Database.open("postgresql://nobody@127.0.0.1:1/nothing")

    with pytest.raises(DatabaseAway) as caught:
        async with nowhere.read():
            pass

    assert is_passing(caught.value)
    await nowhere.close()


async def test_a_locked_database_is_a_passing_fault(migrated_sqlite: Path, tmp_path: Path) -> None:
    """Another program that holds the SQLite file makes a writer give up for now."""
    path = tmp_path / "held.sqlite"
    shutil.copyfile(migrated_sqlite, path)
    database = Database.open(f"sqlite:///{path}")
    async with database.write() as tx:
        await tx._connection.exec_driver_sql("PRAGMA busy_timeout = 0")

    with (
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other,
        pytest.raises(DBAPIError) as caught,
    ):
        other.execute("BEGIN IMMEDIATE")
        async with database.write():
            pass

    assert is_passing(caught.value)
    async with database.write() as tx:
        await tx.execute(select(func.count()))
    await database.close()
