"""Bring a database to the schema of this version.

``python -m controller.db.migrate "add lockers"`` writes the next migration from the difference
between the tables and the migrations so far; read it before you commit it.
"""

import asyncio
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from controller.db.engine import sqlite_engine

MIGRATIONS: Final = Path(__file__).parent / "migrations"
ONE_AT_A_TIME: Final = 0x646F6F72  # any number of ours: migrating processes queue up behind it


class SchemaTooNew(Exception):
    """A newer version has migrated the database; this one would damage it."""


class BrokenReferences(Exception):
    """After migrating, rows refer to rows that are not there; nothing was changed."""


async def upgrade(url: str) -> None:
    """Migrate a database to this version, as a whole or not at all.

    A SQLite file that holds data is copied to ``<file>.before-migration`` first.

    Raises:
        SchemaTooNew: A newer version of the program was here.
        BrokenReferences: A migration lost rows that others refer to.
    """
    parsed = make_url(url)
    engine = migrating_engine(parsed)
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})")
            await connection.run_sync(_upgrade, parsed)
    finally:
        await engine.dispose()


def migrating_engine(url: URL) -> AsyncEngine:
    """Return an engine for changing the schema and nothing else."""
    if url.get_backend_name() == "sqlite":
        # A rebuilt parent table is dropped on the way: with foreign keys on, its children go too.
        return sqlite_engine(url, foreign_keys=False)
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        poolclass=NullPool,
        connect_args={"server_settings": {"lock_timeout": "30s"}},
    )


def _upgrade(connection: Connection, url: URL) -> None:
    config = _config(connection)
    script = ScriptDirectory.from_config(config)
    current = set(MigrationContext.configure(connection).get_current_heads())
    known = {revision.revision for revision in script.walk_revisions()}
    if current - known:
        raise SchemaTooNew(
            f"the database {url.render_as_string()} is from a newer version of Doorward "
            f"(it stands at {', '.join(sorted(current - known))}); install that version, "
            "or restore a backup made before it"
        )
    if current == set(script.get_heads()):
        return
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite and current and url.database:
        back_up(Path(url.database), Path(f"{url.database}.before-migration"))
    command.upgrade(config, "heads")
    if on_sqlite:
        _check_references(connection)


def _check_references(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = sorted({str(row[0]) for row in broken})
        raise BrokenReferences(f"migrating left dangling references in {', '.join(tables)}")


def back_up(source: Path, target: Path) -> None:
    """Copy a SQLite file that may be in use; the copy appears whole or not at all."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(source)) as from_file,
        closing(sqlite3.connect(partial)) as to_file,
    ):
        from_file.backup(to_file)
    partial.replace(target)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option(
        "file_template", "%%(year)d-%%(month).2d-%%(day).2d-%%(hour).2d%%(minute).2d_%%(slug)s"
    )
    config.attributes["connection"] = connection
    return config


async def write_revision(message: str) -> None:
    """Write the migration that leads from the last one to the tables as they are."""

    def autogenerate(connection: Connection) -> None:
        command.revision(_config(connection), message, autogenerate=True)

    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/scratch.sqlite"
        await upgrade(url)
        engine = migrating_engine(make_url(url))
        try:
            async with engine.begin() as connection:
                await connection.run_sync(autogenerate)
        finally:
            await engine.dispose()


if __name__ == "__main__":
    asyncio.run(write_revision(sys.argv[1]))
