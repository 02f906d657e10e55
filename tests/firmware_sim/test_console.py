"""The running simulation: devices with files, the words that move them, the socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware_sim import control
from firmware_sim.console import HELP, Quit, WordError
from tests.firmware_sim.building import Building, running
from tests.firmware_sim.scene import ANN, BEN, DAN


@pytest.fixture
async def building(tmp_path: Path) -> AsyncIterator[Building]:
    """A commissioned building."""
    async with running(tmp_path) as made:
        await made.commission()
        yield made


async def said(building: Building, *lines: str) -> list[str]:
    """Say lines and return the answers."""
    return [(await building.console.do(line)).text for line in lines]


async def test_a_tap_says_what_happened_and_why(building: Building) -> None:
    """By the hub, by the list, by the memory, or not."""
    answers = await said(
        building,
        f"tap 1.1 {ANN.hex()}",
        "expect opened",
        f"tap 1.1 {DAN.hex()}",
        "expect denied",
        "cut radio 1.1",
        f"tap 1.1 {BEN.hex(':')}",
        f"tap 1.1 {ANN.hex()}",
        f"tap 1.1 {DAN.hex()}",
    )

    assert answers == [
        "lock 1.1: opened by the hub",
        "as expected",
        "lock 1.1: denied by the hub: unknown credential",
        "as expected",
        "lock 1.1: radio cut",
        "lock 1.1: opened by the lock's offline list",
        "lock 1.1: opened by the lock's memory",
        "lock 1.1: denied by the lock, the hub did not answer: unknown credential",
    ]


async def test_the_same_directory_brings_back_the_same_hardware(tmp_path: Path) -> None:
    """After a restart hub and locks have their site, state, memory and entries."""
    async with running(tmp_path) as first:
        await first.commission()
        await first.console.do(f"tap 1.2 {ANN.hex()}")

    async with running(tmp_path) as again:
        answers = await said(again, f"tap 1.2 {ANN.hex()}", "status")

    assert again.fleet == first.fleet
    assert answers[0] == "lock 1.2: opened by the hub"
    assert "2 entries waiting" in answers[1]
    assert "lock 1.2: paired, 1 offline, 1 in memory, 2 entries" in answers[1]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("tap 9.9 04a1b2c3", "there is no lock 9.9; there are 1.1, 1.2"),
        ("tap 1.1 04a1b2", "tag number has 3 bytes, 4 to 10 are read"),
        ("tap 1.1 04a1b2c3d4e5f6a7b8c9d0", "tag number has 11 bytes"),
        ("tap 1.1 hello", "a tag is written in hex digits"),
        ("tap 1.1", "'tap 1.1' is no line of this program; say help"),
        ("cut uplink 7", "there is no hub 7; there are 1"),
        ("power off 7", "there is no lock 7"),
        ("expect opened", "nobody stood at a door yet"),
        ("wait rich 1", "say subscribed, unsubscribed, connected, ready"),
        ("say 'hello", "No closing quotation"),
    ],
)
async def test_a_line_that_cannot_be_done_says_why(
    building: Building, line: str, error: str
) -> None:
    """The answer names what is wrong and what would be right."""
    with pytest.raises(WordError, match=error):
        await building.console.do(line)


async def test_a_lock_without_power_decides_nothing(building: Building) -> None:
    """A tap at a dead lock comes back at once."""
    await building.console.do("power off 1.1")

    with pytest.raises(WordError, match=r"lock 1\.1 has no power"):
        await building.console.do(f"tap 1.1 {ANN.hex()}")


async def test_two_people_at_one_reader_come_one_after_the_other(building: Building) -> None:
    """Each gets the answer to the own tag."""
    lines = [f"tap 1.1 {tag.hex()}" for tag in (ANN, DAN, BEN, DAN)]

    answers = await asyncio.gather(*(building.console.do(line) for line in lines))

    assert [answer.facts["opened"] for answer in answers] == [True, False, True, False]


async def test_help_names_every_word(building: Building) -> None:
    """Each line that help shows can be said."""
    lines = [line for line in HELP.splitlines()[:-1] if not line.startswith(" ")]
    words = {line.split()[0].strip(",") for line in lines}

    assert words == {
        *("tap", "pin", "phone", "expect", "door", "case", "battery", "repeater"),
        *("cut", "power", "wait", "pause", "press", "status", "help"),
    }
    assert (await building.console.do("help")).text == HELP
    with pytest.raises(Quit):
        await building.console.do("quit")


async def test_another_program_says_lines_over_the_socket(building: Building) -> None:
    """One line in, one JSON object out; a wrong line is answered, and the next one too."""
    async with control.listening(building.console, building.folder) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(f"tap 1.1 {ANN.hex()}\nnonsense\n\xff\nquit\n".encode("latin-1"))
        answers = [json.loads(await reader.readline()) for _ in range(4)]
        writer.close()

    assert answers[0] == {
        "ok": True,
        "text": "lock 1.1: opened by the hub",
        "facts": {"lock": "1.1", "opened": True, "kind": "opened_by_hub", "reason": None},
    }
    assert [answer["ok"] for answer in answers] == [True, False, False, False]
    assert not path.exists()
