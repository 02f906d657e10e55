"""The embedded broker dies by kill -9 while tags are held to locks."""

import asyncio
import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.cloud import BEN, LOCKS, STRANGER, Cloud
from tests.end_to_end.conftest import Measured, Town
from tests.end_to_end.programs import descendants, is_alive, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLS = 3
TAPPED = LOCKS[::2]  # one lock of each hub


def broker_pid(cloud: Cloud) -> int:
    """Return the process id of the broker that this cloud runs now, or 0."""
    brokers = (pid for pid in descendants(cloud.program.pid) if "nats-server" in command(pid))
    return next(brokers, 0)


def command(pid: int) -> str:
    """Return what a process runs."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


async def connected(town: Town) -> bool:
    """Whether all hubs of both sites are."""
    sites = [await site.hardware.hubs() for site in (town.site, town.other)]
    return all(hub["connected"] for hubs in sites for hub in hubs.values())


async def kill_broker(town: Town) -> None:
    """Kill -9, and wait until another one serves all hubs."""
    killed = broker_pid(town.cloud)
    os.kill(killed, signal.SIGKILL)
    await until(lambda: not is_alive(killed), "it is dead")
    await until(lambda: broker_pid(town.cloud) not in (0, killed), "another one runs")
    await until(lambda: connected(town), "all hubs are connected again")


@pytest.mark.invariant("L1", "L3")
async def test_no_entry_is_lost_and_none_doubled(town: Town, record_property: Measured) -> None:
    """Every tap before, between and after three deaths is in the cloud once, in order."""
    hardware = town.site.hardware
    tapped = Counter[str]()
    is_over = asyncio.Event()

    async def go_on_tapping(lock: str) -> None:
        while not is_over.is_set():
            for tag, came in ((BEN, "opened_by_hub"), (STRANGER, "denied_by_hub")):
                assert (await hardware.tap(lock, tag)).startswith(came)
                tapped[lock] += 1

    async with asyncio.TaskGroup() as tasks:
        for lock in TAPPED:
            tasks.create_task(go_on_tapping(lock))
        for _ in range(KILLS):
            before = tapped.total()
            await kill_broker(town)
            assert tapped.total() > before, "doors opened meanwhile"
        is_over.set()

    def arrived() -> dict[str, list[int]]:
        return {lock: [sequence for sequence, _ in town.site.entries(lock)] for lock in TAPPED}

    await until(
        lambda: all(len(arrived()[lock]) >= tapped[lock] for lock in TAPPED), "all have arrived"
    )
    assert arrived() == {lock: list(range(1, tapped[lock] + 1)) for lock in TAPPED}
    started = re.findall("broker_started", town.cloud.program.log.read_text())
    assert len(started) == 1 + KILLS
    record_property("taps", tapped.total())
