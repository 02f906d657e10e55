"""Migrating happens as a whole or not at all, and never from a newer version."""

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, String, make_url, text

from controller.db.engine import Database
from controller.db.metadata import metadata
from controller.db.migrate import BrokenReferences, SchemaTooNew, back_up, migrating_engine, upgrade


async def test_migrations_lead_to_the_tables(database: Database) -> None:
    """A migrated database differs from the tables in nothing."""

    def differences(connection: Connection) -> list[object]:
        options = {"compare_server_default": True, "compare_type": True}
        found: list[object] = compare_metadata(
            MigrationContext.configure(connection, opts=options), metadata
        )
        return found

    async with database.write() as tx:
        found = await tx._connection.run_sync(differences)

    assert found == []


def test_migrating_twice_changes_nothing(migrated_sqlite: Path, tmp_path: Path) -> None:
    """A database of this version is left alone, and not backed up either."""
    path = tmp_path / "present.sqlite"
    shutil.copyfile(migrated_sqlite, path)

    asyncio.run(upgrade(f"sqlite:///{path}"))

    assert path.read_bytes() == migrated_sqlite.read_bytes()
    assert not path.with_name("present.sqlite.before-migration").exists()


async def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    """An unknown revision is named, with the remedy, and nothing is touched."""
    database = Database.open(database_url)
    async with database.write() as tx:
        (present,) = (await tx.execute(text("SELECT version_num FROM alembic_version"))).one()
        await tx.execute(text("UPDATE alembic_version SET version_num = 'f00000000000'"))

    with pytest.raises(SchemaTooNew, match=r"newer version .*f00000000000.*install that version"):
        await upgrade(database_url)

    async with database.write() as tx:
        back = text("UPDATE alembic_version SET version_num = :present")
        await tx.execute(back, {"present": present})
    await database.close()


async def test_rows_that_lost_what_they_refer_to_stop_a_migration(tmp_path: Path) -> None:
    """Dangling references are found before the commit; the file stays as it was."""
    path = tmp_path / "old.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
            "CREATE TABLE child (parent_id INTEGER REFERENCES parent (id));"
            "INSERT INTO child VALUES (7);"
        )

    with pytest.raises(BrokenReferences, match="child"):
        await upgrade(f"sqlite:///{path}")

    assert _tables(path) == {"parent", "child"}


async def test_a_failing_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """DDL is part of the transaction, on SQLite too."""
    path = tmp_path / "old.sqlite"
    last = max(metadata.tables)
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.execute(f"CREATE TABLE {last} (x)")  # in the way of a later statement

    with pytest.raises(Exception, match="already exists"):
        await upgrade(f"sqlite:///{path}")

    assert _tables(path) == {last}


async def test_rebuilding_a_parent_keeps_its_children(tmp_path: Path) -> None:
    """Migrations run without foreign keys: the rebuilt table is dropped, its children are not."""

    def rebuild(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("parent", recreate="always") as parent:
            parent.add_column(Column("name", String(10)))

    path = tmp_path / "family.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as family:
        family.executescript(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
            "CREATE TABLE child (parent_id INTEGER REFERENCES parent (id) ON DELETE CASCADE);"
            "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);"
        )
    engine = migrating_engine(make_url(f"sqlite:///{path}"))
    async with engine.begin() as connection:
        await connection.run_sync(rebuild)
        children = (await connection.exec_driver_sql("SELECT parent_id FROM child")).all()
    await engine.dispose()

    assert children == [(1,)]


def test_a_backup_holds_what_was_committed(tmp_path: Path) -> None:
    """The copy is whole also while the file is open and its log is not yet merged."""
    source, target = tmp_path / "a.sqlite", tmp_path / "a.sqlite.before-migration"
    target.write_text("an older backup")
    with contextlib.closing(sqlite3.connect(source)) as live:
        live.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (5)"
        )
        back_up(source, target)

    with contextlib.closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT x FROM t").fetchall() == [(5,)]
    assert {path.name for path in tmp_path.iterdir()} >= {source.name, target.name}
    assert not target.with_name(f"{target.name}.partial").exists()


def _tables(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}
