"""Nobody on the device link speaks, hears or is thrown off under another's name.

Every test runs against the embedded broker and against Mosquitto as deployed.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import pytest

from firmware_sim.link import Heard, HubLink
from gateway.protocol import topics
from gateway.protocol.topics import DownKind, UpKind
from gateway.session import Session
from tests.gateway.brokers import (
    CONNACK,
    PATIENCE_S,
    Broker,
    Keys,
    client,
    connect_answer,
    gateway,
    hub,
    new_id,
    until,
)

MALLORY, VICTIM = "5ee0" * 8, "ca11" * 8
TlsOf = Callable[[Keys], ssl.SSLContext | None]
FOREIGN_TOPICS = (
    topics.up(VICTIM, UpKind.BATCH),
    topics.down(VICTIM, DownKind.COMMAND),
    "iq/1/0/nobody/up/batch",
)
FOREIGN_FILTERS = (
    topics.down_filter(VICTIM),
    topics.GATEWAY_UP_FILTER,
    "#",
    "+/#",
    "+/+/+/+/+/+",
    f"$share/group/{topics.down_filter(VICTIM)}",
    "$share/group/#",
    "$SYS/#",
    "$MQTT/#",
    "$JS/#",
)


@dataclass
class Scene:
    """The gateway and an honest hub at work, and Mallory: a hub with a good certificate."""

    broker: Broker
    cloud: Session
    victim: HubLink

    def mallory(self, **options: object) -> aiomqtt.Client:
        """A connection with Mallory's certificate, telling the truth unless told otherwise."""
        honest = {"identifier": MALLORY, "username": MALLORY}
        return client(self.broker, self.broker.keys.hub_tls(MALLORY), **(honest | options))

    async def victim_hears_only(self, payload: bytes) -> bool:
        """Say something to the victim, and see that this is the first it hears."""
        assert await self.cloud.publish(VICTIM, DownKind.ACK, payload)
        async with asyncio.timeout(PATIENCE_S):
            return await self.victim.receive() == Heard(kind=DownKind.ACK, payload=payload)

    async def cloud_hears_only(self, hub_id: str, payload: bytes) -> bool:
        """Wait for the next message from any hub, and see that it is this one."""
        async with asyncio.timeout(PATIENCE_S):
            (received,) = await self.cloud.receive(limit=1)
        return (received.hub_id, received.payload) == (hub_id, payload) and not self.cloud.dropped


@pytest.fixture
async def scene(broker: Broker) -> AsyncIterator[Scene]:
    """The gateway and the victim, connected."""
    async with gateway(broker) as cloud, hub(broker, VICTIM) as victim:
        yield Scene(broker=broker, cloud=cloud, victim=victim)


@pytest.mark.parametrize(
    ("user", "client_id"), [(VICTIM, VICTIM), (VICTIM, MALLORY), (MALLORY, VICTIM)]
)
async def test_a_borrowed_name_gives_nothing(scene: Scene, user: str, client_id: str) -> None:
    """With its own certificate and another's user or client id a hub is refused or only itself."""
    was_refused = False
    try:
        async with scene.mallory(username=user, identifier=client_id) as mallory:
            await mallory.subscribe(topics.down_filter(VICTIM))
            await mallory.publish(topics.up(VICTIM, UpKind.BATCH), b"forged", qos=1)
            await mallory.publish(topics.up(MALLORY, UpKind.BEAT), b"marker", qos=1)
            assert await scene.cloud_hears_only(MALLORY, b"marker")
            assert await scene.victim_hears_only(b"to the victim")
            assert len(mallory.messages) == 0
    except aiomqtt.exceptions.MqttConnectError:
        was_refused = True

    assert was_refused or scene.broker.kind == "mosquitto"
    assert scene.victim.is_connected
    assert await scene.victim_hears_only(b"still here")


@pytest.mark.parametrize("topic", FOREIGN_TOPICS)
async def test_a_foreign_publication_reaches_nobody(scene: Scene, topic: str) -> None:
    """What a hub publishes elsewhere than on its own up topics is neither heard nor kept."""
    with contextlib.suppress(aiomqtt.MqttError):  # being cut off is a fine answer too
        async with scene.mallory() as mallory:
            await mallory.publish(topic, b"forged", qos=0)
            await mallory.publish(topic, b"forged", qos=1, timeout=1)
    async with scene.mallory() as mallory:
        await mallory.publish(topics.up(MALLORY, UpKind.BEAT), b"marker", qos=1)

    assert await scene.cloud_hears_only(MALLORY, b"marker")
    assert await scene.victim_hears_only(b"to the victim")


@pytest.mark.parametrize("topic", FOREIGN_FILTERS)
async def test_a_foreign_subscription_hears_nothing(scene: Scene, topic: str) -> None:
    """Whatever a hub subscribes, it hears only what is said to it."""
    async with scene.mallory() as mallory:
        await mallory.subscribe(topics.down_filter(MALLORY))
        with contextlib.suppress(aiomqtt.MqttError):
            await mallory.subscribe(topic, qos=1)
        await scene.victim.send(UpKind.BEAT, b"from the victim")
        assert await scene.cloud_hears_only(VICTIM, b"from the victim")
        assert await scene.victim_hears_only(b"to the victim")
        await scene.cloud.publish(MALLORY, DownKind.ACK, b"marker")
        first = await anext(mallory.messages)

    assert (str(first.topic), first.payload) == (topics.down(MALLORY, DownKind.ACK), b"marker")


@pytest.mark.parametrize(
    "topic", [topics.up(VICTIM, UpKind.BATCH), topics.down(VICTIM, DownKind.COMMAND)]
)
async def test_a_last_will_reaches_only_ones_own_topics(scene: Scene, topic: str) -> None:
    """A will on a foreign topic is not executed; one on an own topic is, so the test can tell."""
    foreign, own = aiomqtt.Will(topic, b"forged"), topics.up(MALLORY, UpKind.BEAT)
    for will in (foreign, aiomqtt.Will(own, b"marker")):
        with contextlib.suppress(aiomqtt.MqttError):
            async with scene.mallory(will=will) as mallory:
                line = mallory._client.socket()
                assert isinstance(line, ssl.SSLSocket)
                line.shutdown(socket.SHUT_RDWR)
                await mallory._disconnected

    assert await scene.cloud_hears_only(MALLORY, b"marker")
    assert await scene.victim_hears_only(b"to the victim")


async def test_a_retained_message_never_comes_back(broker: Broker) -> None:
    """A gateway that connects later does not take a hub's old retained message for news."""
    async with gateway(broker):
        with contextlib.suppress(aiomqtt.MqttError):
            async with client(
                broker, broker.keys.hub_tls(MALLORY), identifier=MALLORY, username=MALLORY
            ) as mallory:
                topic = topics.up(MALLORY, UpKind.BATCH)
                await mallory.publish(topic, b"old", qos=1, retain=True, timeout=1)

    async with gateway(broker) as cloud, hub(broker, VICTIM) as victim:
        await victim.send(UpKind.BEAT, b"marker")
        (first,) = await cloud.receive(limit=1)

    assert first.payload == b"marker"


def _no_certificate(keys: Keys) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=keys.authority.certificate_path)


def _foreign_authority(keys: Keys) -> ssl.SSLContext:
    foreign = Keys(keys.authority.certificate_path.parent / "foreign")
    tls = _no_certificate(keys)
    tls.load_cert_chain(foreign.hub_identity(VICTIM))
    return tls


def _expired(keys: Keys) -> ssl.SSLContext:
    tls = _no_certificate(keys)
    tls.load_cert_chain(
        keys.hub_identity(new_id(), now=datetime.now(UTC) - timedelta(days=91)),
    )
    return tls


def _server_certificate(keys: Keys) -> ssl.SSLContext:
    tls = _no_certificate(keys)
    tls.load_cert_chain(keys.authority.server_path)
    return tls


def _plain(_: Keys) -> None:
    return None


def _old_tls(keys: Keys) -> ssl.SSLContext:
    tls = keys.hub_tls(VICTIM)
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_2
    return tls


@pytest.mark.parametrize(
    "tls_of",
    [_no_certificate, _foreign_authority, _expired, _server_certificate, _old_tls, _plain],
)
async def test_a_bad_certificate_is_refused(broker: Broker, tls_of: TlsOf) -> None:
    """No certificate, a foreign or an ended one, one made for another use, and no TLS 1.3 fail."""
    answer = await connect_answer(broker, tls_of(broker.keys), hub_id=VICTIM)

    assert answer != CONNACK


async def test_a_good_certificate_is_accepted(broker: Broker) -> None:
    """The answer that the test above must not see is the one that a good hub gets."""
    answer = await connect_answer(broker, broker.keys.hub_tls(VICTIM), hub_id=VICTIM)

    assert answer == CONNACK


async def test_a_hub_does_not_pass_for_the_broker(tmp_path: Path) -> None:
    """A hub that runs a server with its own certificate finds no other hub to talk to."""
    keys = Keys(tmp_path)
    impostor = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    impostor.load_cert_chain(keys.hub_identity(MALLORY))
    trusting = keys.hub_tls(VICTIM)
    trusting.check_hostname = False  # only the use of the certificate is left to stop it
    server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=impostor)

    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            await asyncio.open_connection("127.0.0.1", port, ssl=trusting)


async def test_a_mebibyte_harms_nobody_else(scene: Scene) -> None:
    """A hub that sends 1 MiB is not heard, and the others go on at once."""
    with contextlib.suppress(aiomqtt.MqttError):
        async with scene.mallory() as mallory:
            topic = topics.up(MALLORY, UpKind.BATCH)
            await mallory.publish(topic, bytes(1024 * 1024), qos=1, timeout=1)
    await scene.victim.send(UpKind.BEAT, b"marker")

    assert await scene.cloud_hears_only(VICTIM, b"marker")
    assert await scene.victim_hears_only(b"to the victim")


async def test_more_than_a_message_may_have_is_dropped_once(scene: Scene) -> None:
    """What the broker lets through beyond 16 KiB is counted, acknowledged and never seen."""
    async with scene.mallory() as mallory:
        topic = topics.up(MALLORY, UpKind.BATCH)
        await mallory.publish(topic, bytes(16 * 1024 + 1), qos=1)
        await mallory.publish(topic, bytes(16 * 1024), qos=1)
        (received,) = await scene.cloud.receive(limit=1)

    assert len(received.payload) == 16 * 1024
    assert scene.cloud.dropped == {"too_large": 1}
    await until(lambda: scene.cloud.is_connected)
