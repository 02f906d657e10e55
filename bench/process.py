"""``doorward up`` as a process of its own: what is measured is the whole program."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

START_PATIENCE_S: Final = 30.0
STOP_PATIENCE_S: Final = 15.0
LOG_FILE: Final = "doorward.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorward:
    """Where the running program can be reached."""

    api: str
    mqtt_port: int


@asynccontextmanager
async def doorward(folder: Path) -> AsyncIterator[Doorward]:
    """Run the program on a data directory for as long as the block is."""
    ports = {name: free_port() for name in ("WEB", "DEVICE", "MQTT")}
    given = {f"DOORWARD_{name}_PORT": str(port) for name, port in ports.items()}
    with (folder / LOG_FILE).open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "controller.cli", "up", "--data-dir", str(folder)),
            env={name: value for name, value in os.environ.items() if "DOORWARD" not in name}
            | given
            | {"DOORWARD_LOG_LEVEL": "warning", "PYTHONUNBUFFERED": "1"},
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_PATIENCE_S):
            told = (await process.stdout.readline()).decode()
        found = re.search(r"runs at (\S+);", told)
        if found is None:
            raise RuntimeError(f"doorward did not start: {(folder / LOG_FILE).read_text()}")
        yield Doorward(api=f"{found[1]}/api/v1", mqtt_port=ports["MQTT"])
    finally:
        await _stop(process)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_PATIENCE_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
