"""The running simulation: devices with files, the words that move them, the socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware_sim import control, fleet, runner
from firmware_sim.chance import SystemChance
from firmware_sim.console import HELP, Console, Quit, WordError
from firmware_sim.inputs import Connected, Press, Received
from firmware_sim.lock.state import LockIdentity
from firmware_sim.provision import Provisioned
from firmware_sim.runner import SimHub, SimLock
from gateway.protocol import claim
from gateway.protocol.sections import OfflineGrant
from gateway.protocol.topics import DownKind
from tests.firmware_sim.cloud import Cloud, ident, offline_list, person
from tests.firmware_sim.pki import authority, pem_of, signed
from tests.firmware_sim.scene import ANN, BEN, DAN

SITE = ident("site a").hex()


class Building:
    """One hub and two locks with flash in files; its line is never connected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cloud = Cloud("a")
        ca, key = authority(), ec.generate_private_key(ec.SECP256R1())
        tls = folder / "tls.pem"
        tls.write_bytes(pem_of(key) + signed(ca, key.public_key(), "hub"))
        self.provisioned = Provisioned(
            identity=self.cloud.hub_identity("0"),
            authority_pem=signed(ca, ca.key.public_key(), "not used").decode(),
            tls_file=tls,
            broker_host="127.0.0.1",
            broker_port=1,
        )
        made = fleet.made(SITE, hubs=1, locks=2, chance=SystemChance())
        self.fleet = fleet.load(folder) or made
        fleet.save(folder, self.fleet)
        self.hub = self._hub()
        self.console = Console([self.hub], self.fleet)

    def _hub(self) -> SimHub:
        locks = []
        for unit in self.fleet.hubs[0].locks:
            identity = LockIdentity(
                serial=unit.serial,
                key=bytes.fromhex(unit.key),
                sticker_secret=claim.code_secret(unit.code),
                capacity=unit.capacity,
            )
            flash = self.folder / f"{unit.name}.flash"
            locks.append(SimLock(unit.name, identity, flash=flash, chance=SystemChance()))
            self.cloud.lock_names[self.provisioned.identity.hub_id][unit.name] = identity
        flash = self.folder / "hub.flash"
        return SimHub("1", self.provisioned, locks, flash=flash, chance=SystemChance())

    async def commission(self) -> None:
        """Let Ann open everything, Ben also offline."""
        hub_id = self.provisioned.identity.hub_id
        plan = self.cloud.plans[hub_id]
        names = tuple(self.cloud.lock_names[hub_id])
        plan.groups = {"all": (names, None)}
        plan.people = tuple(
            person(tag.hex(), self.cloud.digest(tag), groups=("all",)) for tag in (ANN, BEN)
        )
        grant = OfflineGrant(credential_digest=self.cloud.digest(BEN))
        plan.lists = {name: offline_list(self.cloud.lock_id(name), grant) for name in names}
        for lock in self.hub.locks:
            lock.feed(Press())
        self.hub.feed(Connected())
        self.hub.feed(self.cloud.lease(hub_id))
        self.hub.feed(self.cloud.manifest(hub_id))
        while self.hub.state is not None and self.hub.state.pull is not None:
            for name in self.hub.state.pull.asked:
                data = self.cloud.sections[name]
                self.hub.feed(Received(kind=DownKind.SECTION, payload=data))
        for lock_name in names:
            await self.console.do(f"wait ready {lock_name}")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Building]:
    """Switch a building on, and off in the end."""
    building = Building(folder)
    task = asyncio.create_task(runner.run([building.hub]))
    await asyncio.sleep(0)  # the first thing that the task does is to switch everything on
    yield building
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    building.hub.power_off()
    for lock in building.hub.locks:
        lock.power_off()


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
        ("expect opened", "nothing was tapped yet"),
        ("wait rich 1", "say subscribed, unsubscribed, connected or ready"),
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
    words = {line.split()[0].strip(",") for line in HELP.splitlines()[:-1]}

    assert words == {"tap", "expect", "cut", "power", "wait", "press", "status", "help"}
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
