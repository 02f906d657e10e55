"""The whole gateway over the real broker, with the cloud behind it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from controller.db.engine import Database
from controller.db.tables.activity import entries
from controller.db.tables.hardware import hubs
from controller.pki import GATEWAY_NAME
from controller.sync.service import WAKE_COMMANDS, WAKE_HUBS
from controller.threads import PoolThreads
from firmware_sim.link import HubLink
from gateway import runtime, session
from gateway.port import Downlink
from gateway.protocol.messages import Ack, Ask, Greeting, Lease, Manifest, Welcome
from gateway.protocol.topics import DownKind, UpKind
from gateway.session import Session
from tests.controller import ground as grounds
from tests.controller.ground import Ground, Hub, LinkClock, Said, until
from tests.gateway import brokers
from tests.gateway.brokers import Chance, RunningNats, running


@dataclass
class Connected:
    """A hub on the broker, with all that it has heard."""

    hub: Hub
    link: HubLink
    heard: list[Downlink] = field(default_factory=list)

    async def listen(self) -> None:
        """Note what comes."""
        while True:
            said = await self.link.receive()
            self.heard.append(Downlink(hub_id=self.hub.id, kind=said.kind, data=said.payload))

    async def say(self, kind: UpKind, message: Said) -> bytes:
        """Send a message and return it as it was sent."""
        payload = self.hub.signed(kind, message)
        await self.link.send(kind, payload)
        return payload

    def all(self, kind: DownKind, message: type[Any]) -> list[Any]:
        """What has been heard of a kind."""
        return [self.hub.read(each, message) for each in self.heard if each.kind is kind]

    async def first(self, kind: DownKind, message: type[Any]) -> Any:
        """Wait for a message of a kind."""
        await until(lambda: self.all(kind, message))
        return self.all(kind, message)[0]


@pytest.fixture
async def ground(database: Database, tmp_path: Path) -> AsyncIterator[Ground]:
    """Two sites on a database."""
    threads = PoolThreads()
    yield await grounds.lay(database, tmp_path / "cloud", threads)
    threads.close()


@contextlib.asynccontextmanager
async def serving(ground: Ground, broker: RunningNats) -> AsyncIterator[Session]:
    """Run the gateway on a broker."""
    tls = broker.keys.authority.gateway_context()
    address = session.Address(host="localhost", port=broker.port, tls=tls)
    line = Session(address, client_id=GATEWAY_NAME, randomness=Chance())
    clock = LinkClock(ground.clocks)
    with ground.bus.subscribe(WAKE_HUBS) as woken, ground.bus.subscribe(WAKE_COMMANDS) as ordered:
        loops = runtime.run(line, ground.inbound, clock=clock, hubs=woken, commands=ordered)
        async with running(loops):
            yield line


@pytest.fixture
async def served(ground: Ground, nats: RunningNats) -> AsyncIterator[RunningNats]:
    """A broker with the gateway on it."""
    async with serving(ground, nats) as line:
        await until(lambda: line.is_connected)
        yield nats


@contextlib.asynccontextmanager
async def connected(broker: RunningNats, hub: Hub) -> AsyncIterator[Connected]:
    """A hub on the broker."""
    async with brokers.hub(broker, hub.id) as link:
        joined = Connected(hub=hub, link=link)
        async with running(joined.listen()):
            yield joined


@pytest.mark.invariant("L1", "L3", "E7")
async def test_a_hub_comes_up_to_date_and_hands_over_its_entries(
    ground: Ground, served: RunningNats
) -> None:
    """Hello, welcome, lease, manifest, every section, confirmation, entries, acknowledgement."""
    async with connected(served, ground.hub()) as joined:
        hub = joined.hub
        await joined.say(UpKind.HELLO, hub.status(nonce=b"n" * 16))
        assert (await joined.first(DownKind.WELCOME, Welcome)).nonce == b"n" * 16
        assert (await joined.first(DownKind.LEASE, Lease)).subscribed
        manifest = await joined.first(DownKind.MANIFEST, Manifest)

        for root in manifest.roots:
            await joined.say(UpKind.ASK, Ask(revision=manifest.revision, hashes=(root.hash,)))
        wanted = {root.hash for root in manifest.roots}
        await until(lambda: wanted == pulled(joined))
        await joined.say(UpKind.CONFIRM, hub.status(lease=1, revision=manifest.revision))

        sent = await joined.say(UpKind.BATCH, hub.batch(1, 2, 3))
        ack = await joined.first(DownKind.ACK, Ack)

    assert ack.batch_hash == sha256(sent).digest()
    assert sorted(row.sequence for row in await ground.rows(entries)) == [1, 2, 3]
    row = await ground.row(hubs, id=hub.id)
    assert (row.online, row.lease_confirmed, row.revision_confirmed) == (True, 1, 1)


def pulled(joined: Connected) -> set[bytes]:
    """The names of the sections that a hub has got."""
    return {sha256(each.data).digest() for each in joined.heard if each.kind is DownKind.SECTION}


@pytest.mark.invariant("L1")
async def test_a_broker_that_dies_loses_no_entry(ground: Ground, served: RunningNats) -> None:
    """After kill -9 hub and gateway come back by themselves; what is sent again is stored once."""
    async with connected(served, ground.hub()) as joined:
        hub = joined.hub
        await joined.say(UpKind.BATCH, hub.batch(1))
        await joined.first(DownKind.ACK, Ack)
        joined.heard.clear()

        await served.kill()
        while not joined.all(DownKind.ACK, Ack):  # as a hub does: again until acknowledged
            await joined.say(UpKind.BATCH, hub.batch(1, 2))
            with contextlib.suppress(TimeoutError):
                await brokers.until(lambda: joined.all(DownKind.ACK, Ack), within_s=1)

    assert sorted(row.sequence for row in await ground.rows(entries)) == [1, 2]


async def test_whoever_is_there_is_greeted_when_the_gateway_comes(
    ground: Ground, nats: RunningNats
) -> None:
    """A hub that was connected before the gateway hears of it, and then sends what waits."""
    async with connected(nats, ground.hub()) as joined, serving(ground, nats):
        greeting = await joined.first(DownKind.GREETING, Greeting)

    assert greeting.utc_ms == int(ground.clocks.real.timestamp() * 1000)
