"""How many entries a second are durable, from a hub that signs to the acknowledgement it checks."""

import asyncio
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiomqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bench import bare
from bench.installation import Hub, Installation
from bench.load import beside, together
from bench.process import doorward, free_port
from bench.report import Line, percentile
from controller.chance import SystemRandomness
from controller.clock import SystemLinkClock
from controller.pki import GATEWAY_NAME, Authority
from firmware_sim.link import Address, HubLink, tls_context
from gateway.broker import BrokerSettings, EmbeddedBroker, Secrets, choose_binary
from gateway.callout import Callout
from gateway.protocol import cose, topics, wire
from gateway.protocol.messages import Ack, Batch, Entry, EntryKind
from gateway.protocol.topics import DownKind, Topic, UpKind

PER_BATCH: Final = 50
UNACKNOWLEDGED_MAX: Final = 4  # a hub's rule
PER_SECOND_MIN: Final = 2_000.0
PATIENCE_S: Final = 30.0
FULL_GROUP: Final = 500  # entries in the largest transaction of the intake
VERIFIES: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done."""

    hubs: int = 8
    batches: int = 75  # by each hub in each round
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class _Signed:
    """A batch as it goes out."""

    payload: bytes
    hash: bytes


@dataclass
class _Sender:
    """A hub that empties its journal."""

    link: HubLink
    controller: Ed25519PublicKey
    hub_id: str
    took_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._waiting: dict[bytes, asyncio.Event] = {}

    async def send(self, batch: _Signed) -> None:
        """Send a batch and wait for the controller's own acknowledgement."""
        acknowledged = self._waiting[batch.hash] = asyncio.Event()
        started = time.perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            if not await self.link.send(UpKind.BATCH, batch.payload):
                raise RuntimeError("the broker did not take a batch")
            await acknowledged.wait()
        self.took_ms.append((time.perf_counter() - started) * 1000)

    def take_times(self) -> list[float]:
        """Return the milliseconds of each batch since the last call."""
        taken, self.took_ms = self.took_ms, []
        return taken

    async def hear(self) -> None:
        """Check acknowledgements until cancelled."""
        external = cose.external_data(Topic(hub_id=self.hub_id, kind=DownKind.ACK))
        while True:  # until cancelled
            heard = await self.link.receive()
            if heard.kind is DownKind.ACK:
                ack = wire.decode(Ack, cose.verify(heard.payload, [self.controller], external))
                self._waiting.pop(ack.batch_hash).set()


async def measure(folder: Path, size: Size) -> list[Line]:
    """Return entries a second beside what sets their limit."""
    made = await Installation.make(folder)
    (site,) = await made.add_sites(1)
    hubs = await made.add_hubs(site, size.hubs)
    await made.db.close()
    limits = [
        _sqlite_limit(made, site.id, batch=FULL_GROUP, size=size),
        _sqlite_limit(made, site.id, batch=PER_BATCH, size=size),
        _verify_limit(_signed(hubs[0], 1)),
        await _mqtt_limit(made, hubs, size=size),
    ]
    entries = size.hubs * size.batches * PER_BATCH  # in each round
    rates, took_ms = [], []
    async with doorward(folder) as program, _senders(made, hubs, program.mqtt_port) as senders:
        for number in range(size.rounds):
            journals = [_journal(hub, number, size.batches) for hub in hubs]
            started = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                for sender, journal in zip(senders, journals, strict=True):
                    tasks.create_task(_empty(sender, journal))
            rates.append(entries / (time.perf_counter() - started))
            took_ms.append([took for sender in senders for took in sender.take_times()])
    _require_stored(made.file, size.rounds * entries)
    return [
        Line(
            what=f"durable and acknowledged, {size.hubs} hubs, {PER_BATCH} a batch",
            rounds=rates,
            unit="entries/s",
            limit=_one_after_the_other(*limits),
            limit_is="SQLite, verify and MQTT below, one after the other",
            bar=PER_SECOND_MIN,
        ),
        *(
            Line(
                what=f"a batch until its acknowledgement, p{share * 100:.0f}",
                rounds=[percentile(each, share) for each in took_ms],
                unit="ms",
            )
            for share in (0.5, 0.99)
        ),
        *limits,
    ]


def _one_after_the_other(stored: Line, _: Line, verified: Line, carried: Line) -> float:
    """Return how many entries a second there could be if nothing else took time."""
    by_batch = (verified.figure * PER_BATCH, carried.figure * PER_BATCH)
    return 1 / sum(1 / rate for rate in (stored.figure, *by_batch))


async def _empty(sender: _Sender, journal: Sequence[_Signed]) -> None:
    """Send a journal as a hub does, with few batches under way."""
    jobs = (partial(sender.send, batch) for batch in journal)
    await together(jobs, at_once=UNACKNOWLEDGED_MAX)


def _journal(hub: Hub, number: int, batches: int) -> list[_Signed]:
    """Return a round's batches; signing takes time that is a hub's, not the cloud's."""
    first = number * batches * PER_BATCH + 1
    return [_signed(hub, first + each * PER_BATCH) for each in range(batches)]


def _signed(hub: Hub, first: int) -> _Signed:
    """Return a batch of entries whose sequences begin with ``first``."""
    now_s = int(SystemLinkClock().utc().timestamp())
    entries = tuple(
        Entry(
            lock_id=hub.lock_ids[first // PER_BATCH % len(hub.lock_ids)],
            log_epoch=1,
            sequence=sequence,
            kind=EntryKind.OPENED_BY_HUB,
            at_s=now_s,
            clock_trusted=True,
            hub_at_s=now_s,
            credential_digest=hub.digests[sequence % len(hub.digests)],
        )
        for sequence in range(first, first + PER_BATCH)
    )
    external = cose.external_data(Topic(hub_id=hub.id, kind=UpKind.BATCH))
    payload = cose.sign(wire.encode(Batch(entries=entries)), hub.key, external)
    return _Signed(payload, sha256(payload).digest())


@asynccontextmanager
async def _senders(
    made: Installation, hubs: Sequence[Hub], port: int
) -> AsyncIterator[list[_Sender]]:
    """Connect hubs over mutual TLS for as long as the block is."""
    connected = [asyncio.Event() for _ in hubs]
    senders = [
        _Sender(
            link=HubLink(
                Address(host="localhost", port=port, tls=_tls(made.authority, hub)),
                hub_id=hub.id,
                randomness=SystemRandomness(),
            ),
            controller=made.keys.signing.public_key(),
            hub_id=hub.id,
        )
        for hub in hubs
    ]
    work: list[Coroutine[Any, Any, None]] = []
    for sender, event in zip(senders, connected, strict=True):
        work += [sender.link.run(on_connected=event.set), sender.hear()]
    async with beside(*work):
        async with asyncio.timeout(PATIENCE_S):
            for event in connected:
                await event.wait()
        yield senders


def _tls(authority: Authority, hub: Hub) -> ssl.SSLContext:
    return tls_context(authority_pem=authority.certificate_pem.decode(), identity=hub.identity)


def _require_stored(file: Path, entries: int) -> None:
    with closing(sqlite3.connect(file)) as db:
        (stored,) = db.execute("SELECT count(*) FROM entries").fetchone()
    if stored != entries:
        raise RuntimeError(f"{entries} entries were acknowledged and {stored} are stored")


def _sqlite_limit(made: Installation, site_id: str, *, batch: int, size: Size) -> Line:
    batches = max(1, size.hubs * size.batches * PER_BATCH // batch)
    rounds = [
        bare.entries(made.file, site_id, batch=batch, batches=batches) for _ in range(size.rounds)
    ]
    return Line(what=f"limit: sqlite3 alone, FULL, {batch} a commit", rounds=rounds, unit="rows/s")


def _verify_limit(batch: _Signed) -> Line:
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key(), key.sign(batch.payload)
    started = time.perf_counter()
    for _ in range(VERIFIES):
        public.verify(signature, batch.payload)
    rate = VERIFIES / (time.perf_counter() - started)
    return Line(
        what=f"limit: Ed25519 verify, {len(batch.payload):,} bytes", rounds=[rate], unit="batches/s"
    )


class _Everybody:
    """Admits every hub."""

    async def admit(self, hub_id: str) -> bool:
        """Return True."""
        return bool(hub_id)


async def _mqtt_limit(made: Installation, hubs: Sequence[Hub], *, size: Size) -> Line:
    """Measure the same broker, with none of our code between publisher and subscriber."""
    authority, port, randomness = made.authority, free_port(), SystemRandomness()
    broker = EmbeddedBroker(
        BrokerSettings(
            folder=made.folder / "limit",
            host="127.0.0.1",
            port=port,
            authority=authority.certificate_path,
            identity=authority.server_path,
        ),
        binary=choose_binary(),
        secrets=Secrets.generate(randomness),
        randomness=randomness,
    )
    callout = Callout(
        broker, admission=_Everybody(), clock=SystemLinkClock(), randomness=randomness
    )
    payload = _signed(hubs[0], 1).payload
    async with beside(broker.run(), callout.run()):
        await callout.ready()
        rate = await _mqtt_rate(authority, port, hubs, [payload] * size.batches)
    return Line(what="limit: MQTT QoS 1 through this broker", rounds=[rate], unit="batches/s")


async def _mqtt_rate(
    authority: Authority, port: int, hubs: Sequence[Hub], payloads: Sequence[bytes]
) -> float:
    """Return how many messages a second get through, publishers and subscriber in one process."""
    count = len(hubs) * len(payloads)
    gateway = _client(port, GATEWAY_NAME, authority.gateway_context())
    async with gateway:
        await gateway.subscribe(topics.GATEWAY_UP_FILTER, qos=1)

        async def publish(hub: Hub) -> None:
            async with _client(port, hub.id, _tls(authority, hub)) as client:
                topic = topics.up(hub.id, UpKind.BATCH)
                jobs = (partial(client.publish, topic, payload, qos=1) for payload in payloads)
                await together(jobs, at_once=UNACKNOWLEDGED_MAX)

        started = time.perf_counter()
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            for hub in hubs:
                tasks.create_task(publish(hub))
            received = 0
            async for _ in gateway.messages:
                received += 1
                if received == count:
                    break
        return count / (time.perf_counter() - started)


def _client(port: int, name: str, tls: ssl.SSLContext) -> aiomqtt.Client:
    return aiomqtt.Client(
        "localhost",
        port,
        identifier=name,
        username=name,
        protocol=aiomqtt.ProtocolVersion.V311,
        tls_context=tls,
    )
