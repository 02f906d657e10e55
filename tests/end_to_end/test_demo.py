"""`doorward up --demo`: what a person does first, and what it leaves behind."""

import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.end_to_end.cloud import ports
from tests.end_to_end.programs import DOORWARD, Program, descendants, is_alive, run, until

CODE = r"(?m)^  ((?:[0-9A-Z]{5}-){4}[0-9A-Z]{5})  (.+)$"
SITE = r"/sites/([0-9a-f]{32})/"
LINE = r"(?m)^  (\S+doorward demo .+)$"


@asynccontextmanager
async def demo(folder: Path, *words: str) -> AsyncIterator[Program]:
    """A demo that has said all it says at its start."""
    settings = ports() | {"data_dir": folder / "data"}
    program = await Program.start(folder, DOORWARD, "up", "--demo", *words, settings=settings)
    try:
        await program.says("Ctrl-C stops everything")
        yield program
    finally:
        await program.kill()


def site_of(program: Program) -> str:
    """The site that a demo speaks of."""
    found = re.search(SITE, program.said)
    assert found
    return found[1]


async def test_the_five_lines_do_what_they_say(tmp_path: Path) -> None:
    """Preview, redeem, tap, end, tap: opened by the hub, then by the lock's own list."""
    async with demo(tmp_path) as program:
        lines = re.findall(LINE, program.said)
        answers = [await run(tmp_path / "lines", *shlex.split(line), settings={}) for line in lines]

    assert [code for code, _ in answers] == [0] * 5
    preview, redeemed, opened, ended, alone = (said for _, said in answers)
    assert preview.startswith("200")
    assert redeemed.startswith("201")
    assert opened == "lock 1.1: opened by the hub\n"
    assert ended.startswith("204")
    assert alone == "lock 1.1: opened by the lock's offline list\n"


async def test_a_second_start_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    """Ctrl-C ends all of it; then site and hardware are there again, with three unspent codes."""
    async with demo(tmp_path) as program:
        site, codes = site_of(program), re.findall(CODE, program.said)
        redeem = shlex.split(re.findall(LINE, program.said)[1])
        assert (await run(tmp_path / "lines", *redeem, settings={}))[0] == 0
        children = descendants(program.pid)
        names = sorted(Path(command_of(pid)[0]).name for pid in children)

        assert await program.stop(signal.SIGINT) == 0

        assert names == ["nats-server", "python3"]
        assert not [pid for pid in children if is_alive(pid)]

    async with demo(tmp_path) as program:
        again = re.findall(CODE, program.said)
        tap = (DOORWARD, "demo", "--data-dir", str(tmp_path / "data"), "tap", "2.4", "04A1B2C3D4")
        tapped = await run(tmp_path / "lines", *tap, settings={})

        assert site_of(program) == site
        assert sorted(product for _, product in again) == sorted(product for _, product in codes)
        assert len(set(codes) & set(again)) == 2, "the spent one was replaced"
        assert tapped == (0, "lock 2.4: opened by the hub\n")


async def test_fresh_starts_over_and_touches_no_other_data(tmp_path: Path) -> None:
    """It forgets a demo's site, and refuses a directory that no demo made."""
    async with demo(tmp_path) as program:
        first = site_of(program)
        await program.stop()
    async with demo(tmp_path, "--fresh") as program:
        assert site_of(program) != first
    letter = tmp_path / "foreign" / "letter"
    letter.parent.mkdir()
    letter.write_text("dear all")

    settings = {"data_dir": letter.parent}
    code, said = await run(tmp_path, DOORWARD, "up", "--demo", "--fresh", settings=settings)

    assert code == 1
    assert "remove them yourself or choose another directory" in said
    assert letter.read_text() == "dear all"


async def test_kill_9_leaves_nobody_behind(tmp_path: Path) -> None:
    """Broker and hardware end with the process that started them, however it ends."""
    async with demo(tmp_path) as program:
        children = descendants(program.pid)
        assert len(children) == 2

        await program.kill()

        await until(lambda: not any(is_alive(pid) for pid in children), "all are gone")


def command_of(pid: int) -> list[str]:
    """What a process runs."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
