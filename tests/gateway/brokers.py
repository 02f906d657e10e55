"""Real brokers for the tests of the device link, and people who connect to them."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from controller.pki import GATEWAY_NAME, Authority
from firmware_sim import link
from firmware_sim.link import HubLink
from gateway import session
from gateway.broker import (
    ACK_WAIT_S,
    BrokerSettings,
    EmbeddedBroker,
    Endpoint,
    Secrets,
    choose_binary,
)
from gateway.callout import Callout
from gateway.session import Session

MOSQUITTO = Path("/usr/sbin/mosquitto")
DEPLOYED = Path(__file__).parents[2] / "deploy" / "mosquitto"
CONNECT, KEEPALIVE = 0x10, b"\0\x3c"
CONNACK = b"\x20\2\0\0"  # accepted
PATIENCE_S = 15.0


class Chance:
    """The system's randomness, but pauses are always short: tests do not wait for jitter."""

    def token_bytes(self, count: int, /) -> bytes:
        """Bytes nobody can guess, or for jitter a small number."""
        if count == link.CHANCE_BYTES:
            return b"\x08".ljust(count, b"\0")
        return secrets.token_bytes(count)


class SystemClock:
    """The link clock of this machine."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def utc(self) -> datetime:
        """The present instant."""
        return datetime.now(UTC)


@dataclass
class GuestList:
    """Admits every hub but those struck off."""

    struck_off: set[str] = field(default_factory=set)

    async def admit(self, hub_id: str) -> bool:
        """Whether the hub was not struck off."""
        return hub_id not in self.struck_off


class Keys:
    """An authority in a folder, and identities signed by it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = Authority(folder, public_host="127.0.0.1", now=datetime.now(UTC))

    def hub_identity(self, hub_id: str, *, now: datetime | None = None) -> Path:
        """The PEM file with a hub's key and the certificate that it got for a request."""
        path = self._folder / f"{hub_id}.pem"
        if not path.exists() or now is not None:
            key = ec.generate_private_key(ec.SECP256R1())
            request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
            certificate = x509.load_der_x509_certificate(
                self.authority.sign_hub(
                    request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER),
                    hub_id=hub_id,
                    now=now or datetime.now(UTC),
                )
            )
            path.write_bytes(
                certificate.public_bytes(serialization.Encoding.PEM)
                + key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return path

    def hub_tls(self, hub_id: str) -> ssl.SSLContext:
        """TLS as a hub does it."""
        return link.tls_context(
            authority_pem=self.authority.certificate_pem.decode(),
            identity=self.hub_identity(hub_id),
        )


class Broker(Protocol):
    """What a test needs of a broker, whichever it is."""

    kind: str
    port: int
    keys: Keys

    async def kill(self) -> None:
        """End it as kill -9 does, and see that it comes back."""


@dataclass
class RunningNats:
    """The embedded broker as the gateway runs it."""

    broker: EmbeddedBroker
    callout: Callout
    guests: GuestList
    port: int
    keys: Keys
    kind: str = "nats"

    async def kill(self) -> None:
        """Kill -9; the gateway itself starts the next."""
        await kill(self.broker)


@dataclass
class RunningMosquitto:
    """Mosquitto with the configuration of deploy/."""

    configuration: Path
    port: int
    keys: Keys
    process: asyncio.subprocess.Process | None = None
    kind: str = "mosquitto"

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self.process = await asyncio.create_subprocess_exec(
            str(MOSQUITTO),
            *("-c", str(self.configuration)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await until(lambda: listens(self.port))

    async def stop(self) -> None:
        """Kill -9: it has nothing to lose."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def kill(self) -> None:
        """Kill -9 and start again."""
        await self.stop()
        await self.start()


async def kill(broker: EmbeddedBroker) -> tuple[Endpoint, Endpoint]:
    """Kill -9 and wait for the successor; return both."""
    killed = await broker.endpoint()
    os.kill(killed.pid, signal.SIGKILL)
    await until(lambda: broker._endpoint not in (killed, None))
    return killed, await broker.endpoint()


@contextlib.asynccontextmanager
async def nats(folder: Path, *, ack_wait_s: int = ACK_WAIT_S) -> AsyncIterator[RunningNats]:
    """The embedded broker with its callout, ready for logins."""
    keys, port, guests = Keys(folder / "keys"), free_port(), GuestList()
    settings = BrokerSettings(
        folder=folder / "nats",
        host="127.0.0.1",
        port=port,
        authority=keys.authority.certificate_path,
        identity=keys.authority.server_path,
        ack_wait_s=ack_wait_s,
    )
    chance = Chance()
    broker = EmbeddedBroker(
        settings, binary=choose_binary(), secrets=Secrets.generate(chance), randomness=chance
    )
    callout = Callout(broker, admission=guests, clock=SystemClock(), randomness=chance)
    async with running(broker.run(), callout.run()):
        await callout.ready()
        yield RunningNats(broker=broker, callout=callout, guests=guests, port=port, keys=keys)


@contextlib.asynccontextmanager
async def mosquitto(folder: Path) -> AsyncIterator[RunningMosquitto]:
    """Mosquitto, or a skip with one clear line."""
    if not is_mosquitto_here():
        pytest.skip("no Mosquitto here: apt-get install mosquitto")
    keys, port = Keys(folder / "keys"), free_port()
    authority = keys.authority
    text = (DEPLOYED / "mosquitto.conf").read_text()
    for deployed, here in {
        "listener 8883": f"listener {port} 127.0.0.1",
        "/etc/doorward/ca.crt": str(authority.certificate_path),
        "/etc/doorward/server.pem": str(authority.server_path),
        "/etc/doorward/acl": str(DEPLOYED / "acl"),
    }.items():
        assert deployed in text
        text = text.replace(deployed, here)
    configuration = folder / "mosquitto.conf"
    configuration.write_text(f"{text}\nuser root\n")  # as root it would lose sight of our files
    broker = RunningMosquitto(configuration=configuration, port=port, keys=keys)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def gateway(broker: Broker) -> AsyncIterator[Session]:
    """The gateway's session, hearing hubs."""
    connected = asyncio.Event()
    tls = broker.keys.authority.gateway_context()
    address = session.Address(host="localhost", port=broker.port, tls=tls)
    gateway_session = Session(address, client_id=GATEWAY_NAME, randomness=Chance())
    async with running(gateway_session.run(on_connected=connected.set)):
        await connected.wait()
        yield gateway_session


@contextlib.asynccontextmanager
async def hub(broker: Broker, hub_id: str) -> AsyncIterator[HubLink]:
    """A hub's link, hearing the cloud."""
    connected = asyncio.Event()
    address = link.Address(host="localhost", port=broker.port, tls=broker.keys.hub_tls(hub_id))
    hub_link = HubLink(address, hub_id=hub_id, randomness=Chance())
    async with running(hub_link.run(on_connected=connected.set)):
        await connected.wait()
        yield hub_link


def client(broker: Broker, tls: ssl.SSLContext | None, **options: Any) -> aiomqtt.Client:
    """A client that may do as it likes."""
    return aiomqtt.Client(
        "localhost",
        broker.port,
        tls_context=tls,
        protocol=aiomqtt.ProtocolVersion.V311,
        timeout=5,
        **options,
    )


async def connect_answer(broker: Broker, tls: ssl.SSLContext | None, *, hub_id: str) -> bytes:
    """Return what the broker answers to the hub's wish to connect, byte for byte."""
    name = len(hub_id).to_bytes(2) + hub_id.encode()
    body = b"\0\4MQTT\4\x82" + KEEPALIVE + name + name  # 3.1.1, clean session, with a user
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", broker.port, ssl=tls, server_hostname="localhost" if tls else None
        )
        try:
            writer.write(bytes([CONNECT, len(body)]) + body)
            return await reader.read(4)
        finally:
            writer.close()
    except OSError:  # what ssl raises is one
        return b""


@contextlib.asynccontextmanager
async def running(*work: Awaitable[Any]) -> AsyncIterator[None]:
    """Keep tasks running meanwhile; raise what ended one of them early."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in reversed(tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], object], *, within_s: float = PATIENCE_S) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - processes and brokers offer no event
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def is_mosquitto_here() -> bool:
    """Whether the Debian package is installed."""
    return MOSQUITTO.exists()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def new_id() -> str:
    """A fresh hub id."""
    return secrets.token_hex(16)
