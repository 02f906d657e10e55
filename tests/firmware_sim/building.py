"""A simulated building: devices with files, and the words that move them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware_sim import fleet, runner
from firmware_sim.chance import SystemChance
from firmware_sim.console import Console
from firmware_sim.inputs import Connected, Press, Received
from firmware_sim.lock.state import LockIdentity
from firmware_sim.provision import Provisioned
from firmware_sim.runner import SimHub, SimLock
from gateway.protocol import claim, phone
from gateway.protocol.sections import OfflineGrant
from gateway.protocol.topics import DownKind
from gateway.protocol.wire import INT_MAX
from tests.firmware_sim.cloud import DOOR, Cloud, ident, offline_list, person
from tests.firmware_sim.pki import authority, pem_of, signed
from tests.firmware_sim.scene import ANN, BEN

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
        self.console = Console([self.hub], self.fleet, chance=SystemChance())

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

    def document_for(self, public_key: bytes) -> bytes:
        """Return the access document of a phone that the site does not know."""
        document = phone.AccessDocument(
            site_id=self.cloud.site_id,
            credential_id=ident("phone"),
            public_key=public_key,
            issued_at_s=0,
            expires_at_s=INT_MAX,
        )
        return phone.issue(document, self.cloud.signing_key)

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
        plan.doors = {name: replace(DOOR, keypad=True, privacy=True) for name in names}
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
