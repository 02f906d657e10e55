"""Our programs as their users start them: processes with a command line, settings and an end."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

DOORWARD: Final = str(Path(sys.executable).parent / "doorward")
PATIENCE_S: Final = 40.0  # for what has no bar of its own, on a busy machine
LOOK_EVERY_S: Final = 0.05

Condition = Callable[[], bool] | Callable[[], Awaitable[bool]]


async def until(condition: Condition, what: str, *, within_s: float = PATIENCE_S) -> float:
    """Wait until the condition holds; return how many seconds that took."""
    clock = asyncio.get_running_loop().time
    started_s = clock()
    while True:  # until the deadline: processes and sockets offer no event
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return clock() - started_s
        assert clock() - started_s < within_s, f"not within {within_s:.0f} s: {what}"
        await asyncio.sleep(LOOK_EVERY_S)


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Return this process's environment with exactly these settings of Doorward."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DOORWARD_")}
    return ours | {f"DOORWARD_{name.upper()}": str(value) for name, value in settings.items()}


@dataclass(frozen=True)
class Program:
    """A process, and the files that it writes its lines to."""

    process: asyncio.subprocess.Process
    output: Path
    log: Path

    @classmethod
    async def start(cls, folder: Path, *words: str, settings: Mapping[str, object]) -> Self:
        """Start it; what it says goes to files of that folder."""
        output, log = _files(folder, Path(words[0]).name)
        with output.open("wb") as out, log.open("ab") as err:
            process = await asyncio.create_subprocess_exec(
                *words,
                env=environment(settings),
                stdin=subprocess.PIPE,  # a simulator ends with whoever holds the other end
                stdout=out,
                stderr=err,
            )
        return cls(process=process, output=output, log=log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def said(self) -> str:
        """What it has written to its standard output."""
        return self.output.read_text()

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until it has said that."""
        await until(
            lambda: bool(re.search(pattern, self.said)) or self.process.returncode is not None,
            f"{self.output.name} says {pattern}",
        )
        found = re.search(pattern, self.said)
        assert found, f"it ended with {self.process.returncode}: {self.log.read_text()[-2000:]}"
        return found

    async def ends(self, *, within_s: float = PATIENCE_S) -> int:
        """Wait for its end and return its exit code."""
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end; return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await self.ends()

    async def kill(self) -> None:
        """Kill -9."""
        await self.stop(signal.SIGKILL)


async def run(folder: Path, *words: str, settings: Mapping[str, object]) -> tuple[int, str]:
    """Run a program to its end; return exit code and everything that it said."""
    program = await Program.start(folder, *words, settings=settings)
    code = await program.ends()
    return code, program.said + program.log.read_text()


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.out", folder / f"{name}.log"


def descendants(pid: int) -> set[int]:
    """Return the processes that a process started, and those that they started."""
    children: dict[int, set[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, set()).add(child)
    found: set[int] = set()
    wanted = [pid]
    while wanted:
        new = children.get(wanted.pop(), set()) - found
        found |= new
        wanted += new
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    return any(child == pid for child, _ in _parents())


def _parents() -> Iterator[tuple[int, int]]:
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone meanwhile
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(status.parent.name), int(parent)
