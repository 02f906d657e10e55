"""`doorward up` and what may be wrong around it: a few words on what to do, and no harm done."""

import signal
import socket
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from shutil import which
from typing import Final

import pytest

from tests.end_to_end.cloud import Cloud, ports
from tests.end_to_end.programs import DOORWARD, descendants, is_alive, run

WORDS_MAX: Final = 60  # of an error
NO_ROOM: Final = ("Read-only file system", "No space left on device", "disk is full")
IN_A_SMALL_ROOM: Final = (
    *("unshare", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o "$0" none "$1" && shift && exec "$@"',
)


def is_helpful(said: str, *parts: str) -> bool:
    """Whether an error is short and says these things."""
    return len(said.split()) < WORDS_MAX and all(part in said for part in parts)


@pytest.mark.parametrize(
    ("speed", "remedy"),
    [
        ("0", "greater than or equal to 1"),
        ("-1", "greater than or equal to 1"),
        ("1000000000", "less than or equal to 100000"),
        ("1e9", "not a valid integer"),
    ],
)
async def test_a_speed_that_no_calendar_has_is_refused(
    tmp_path: Path, speed: str, remedy: str
) -> None:
    """The error names the setting and its limits, and no directory is made."""
    data = tmp_path / "data"

    code, said = await run(
        tmp_path, DOORWARD, "up", "--data-dir", str(data), "--speed", speed, settings={}
    )

    assert code != 0
    assert is_helpful(said.lower(), "speed", remedy), said
    assert not data.exists()


async def test_a_misspelt_setting_is_refused(tmp_path: Path) -> None:
    """The error names the setting that was meant."""
    data = tmp_path / "data"

    code, said = await run(tmp_path, DOORWARD, "up", settings={"data_dir": data, "web_prot": 8480})

    assert code == 1
    assert is_helpful(said, "DOORWARD_WEB_PROT", "did you mean DOORWARD_WEB_PORT?"), said
    assert not data.exists()


async def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    """The error names it and the setting, and the file stays."""
    data = tmp_path / "data"
    data.write_text("a letter")

    code, said = await run(tmp_path, DOORWARD, "up", settings={"data_dir": data})

    assert code == 1
    assert is_helpful(said, str(data), "DOORWARD_DATA_DIR"), said
    assert data.read_text() == "a letter"


@pytest.mark.parametrize(
    ("room", "words"),
    [
        ("ro", ("up",)),
        ("size=4k", ("up", "--demo")),
        ("size=64k", ("up",)),
        ("size=600k", ("up", "--demo")),
    ],
)
async def test_a_directory_without_room_is_refused(
    tmp_path: Path, room: str, words: tuple[str, ...]
) -> None:
    """Read-only, full at once or full while the database is made: a few words and no traceback.

    Where nobody may mount, `/dev/full` stands in for the disk.
    """
    data = tmp_path / "data"
    data.mkdir()
    inside: tuple[str, ...] = (*IN_A_SMALL_ROOM, room, str(data))
    may_mount = which(inside[0]) and (await run(tmp_path, *inside, "true", settings={}))[0] == 0
    if not may_mount:
        inside = ()
        (data / "lock").symlink_to("/dev/full")

    code, said = await run(
        tmp_path, *inside, DOORWARD, *words, settings=ports() | {"data_dir": data}
    )

    assert code == 1
    assert "Traceback" not in said, said
    error = said[said.index("Error: ") :]
    assert is_helpful(error, "cannot be", "free"), said
    assert any(reason in error for reason in NO_ROOM), said


async def test_a_directory_in_use_or_from_a_newer_version_is_refused(tmp_path: Path) -> None:
    """The error names process or version; what is there stays as it is and works again."""
    async with Cloud(tmp_path) as cloud:
        settings = cloud.settings | ports()
        in_use = await run(tmp_path / "second", DOORWARD, "up", settings=settings)
        assert await cloud.stop(signal.SIGTERM) == 0
        present = move_schema(cloud, "from_the_future")
        before = (cloud.data / "doorward.sqlite").read_bytes()

        newer = await run(tmp_path / "second", DOORWARD, "up", settings=settings)

        assert (cloud.data / "doorward.sqlite").read_bytes() == before
        assert in_use[0] == newer[0] == 1
        assert is_helpful(in_use[1], f"in use by process {cloud.program.pid}", "stop"), in_use
        assert is_helpful(newer[1], "newer version", "from_the_future", "install"), newer
        move_schema(cloud, present)
        await cloud.start()
        assert (await cloud.operator.get("/me"))["cloud_role"] == "operator"


def move_schema(cloud: Cloud, revision: str) -> str:
    """Have the database say that it stands at another schema; return where it stood."""
    with closing(sqlite3.connect(cloud.data / "doorward.sqlite")) as database, database:
        ((present,),) = database.execute("SELECT version_num FROM alembic_version").fetchall()
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        return str(present)


async def test_a_taken_port_is_replaced_by_the_next_and_printed(tmp_path: Path) -> None:
    """Of web, claim and broker alike."""
    with ExitStack() as taken:
        cloud = Cloud(tmp_path)
        wanted = {
            name: int(str(cloud.settings[f"{name}_port"])) for name in ("web", "device", "mqtt")
        }
        for port in wanted.values():
            other = taken.enter_context(socket.socket())
            other.bind(("0.0.0.0", port))  # noqa: S104 - as the cloud would
            other.listen()

        async with cloud:
            start_page = await cloud.http.get(cloud.url)
            said = await start_page.text()

    assert cloud.url != f"http://127.0.0.1:{wanted['web']}"
    assert f":{wanted['device']}/" not in cloud.program.said + said
    assert "mqtts://" in said
    assert f"mqtts://localhost:{wanted['mqtt']}" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, no error, no child left, and the port is free for the next."""
    async with Cloud(tmp_path) as cloud:
        children = descendants(cloud.program.pid)
        assert children, "there is a broker"

        assert await cloud.stop(number) == 0

        assert not [pid for pid in children if is_alive(pid)]
        assert '"level": "error"' not in cloud.program.log.read_text()
        await cloud.start()
        assert cloud.url.endswith(f":{cloud.settings['web_port']}")
