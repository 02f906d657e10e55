"""The session's promises: it comes back, it holds back, and an acknowledgement is what it says."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiomqtt
import pytest

from controller.pki import GATEWAY_NAME
from gateway import session
from gateway.broker import MAX_ACK_PENDING
from gateway.protocol import topics
from gateway.protocol.topics import DownKind, UpKind
from gateway.session import Received, Session, acknowledge, connection
from tests.gateway import brokers
from tests.gateway.brokers import Broker, RunningNats, client, gateway, hub, until

HUB = "0b0e" * 8
Start = Callable[[Path], contextlib.AbstractAsyncContextManager[Broker]]


async def test_everybody_comes_back_after_a_kill(broker: Broker) -> None:
    """After kill -9 and a restart of the broker hub and gateway hear each other again.

    Acknowledging what came before does no harm to what comes after.
    """
    async with gateway(broker) as cloud, hub(broker, HUB) as device:
        await device.send(UpKind.HELLO, b"hello")
        (before,) = await receive(cloud, 1)
        await broker.kill()
        await until(lambda: not cloud.is_connected)
        await until(lambda: cloud.is_connected and device.is_connected)
        before.acknowledge()
        assert await device.send(UpKind.HELLO, b"hello again")
        (after,) = await receive(cloud, 1)
        after.acknowledge()
        assert await cloud.publish(HUB, DownKind.WELCOME, b"welcome again")
        heard = await device.receive()

    assert after.payload == b"hello again"
    assert heard.payload == b"welcome again"


@pytest.mark.parametrize("start", [partial(brokers.nats, ack_wait_s=1), brokers.mosquitto])
async def test_what_is_not_acknowledged_comes_again(start: Start, tmp_path: Path) -> None:
    """Of five messages one is acknowledged by hand; the next connection gets the other four."""
    async with start(tmp_path) as broker:
        again = await five_of_which_one_is_acknowledged(broker)

    assert again == {b"1", b"2", b"3", b"4"}


async def five_of_which_one_is_acknowledged(broker: Broker) -> set[bytes]:
    """Return what the connection after that gets."""
    async with gateway_connection(broker) as first:
        await first.subscribe(topics.GATEWAY_UP_FILTER, qos=1)
        await say(broker, [b"%d" % n for n in range(5)])
        messages = [await next_message(first) for _ in range(5)]
        acknowledge(first, messages[0])
        await first.publish(topics.down(HUB, DownKind.ACK), b"", qos=1)  # the PUBACK is out before

    async with gateway_connection(broker) as second:
        return {(await next_message(second)).payload for _ in range(4)}


async def test_what_nobody_acknowledges_is_held_back(broker: Broker) -> None:
    """The broker stops at its in-flight limit, and goes on by one for each acknowledgement."""
    async with gateway(broker) as cloud, hub(broker, HUB) as device:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(MAX_ACK_PENDING + 1):
                tasks.create_task(device.send(UpKind.BATCH, b"entries"))
        held = await receive(cloud, MAX_ACK_PENDING)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cloud.receive(limit=1), 0.2)
        held[0].acknowledge()
        (last,) = await receive(cloud, 1)

    assert last.payload == b"entries"


async def test_a_clean_session_leaves_nothing(broker: Broker) -> None:
    """What was subscribed by a client that left is not waiting for it when it comes back."""
    async with gateway(broker) as cloud:
        tls = broker.keys.hub_tls(HUB)
        who = {"identifier": HUB, "username": HUB}
        async with client(broker, tls, **who) as before:
            await before.subscribe(topics.down_filter(HUB), qos=1)
        await cloud.publish(HUB, DownKind.COMMAND, b"open the door")
        async with client(broker, tls, clean_session=False, **who) as after:
            await after.subscribe(topics.down_filter(HUB), qos=1)
            await cloud.publish(HUB, DownKind.ACK, b"marker")
            first = await next_message(after)

    assert first.payload == b"marker"


async def test_the_line_can_be_cut_and_restored(broker: Broker) -> None:
    """A cut uplink sends nothing and connects nowhere; restored, it works as before."""
    async with gateway(broker) as cloud, hub(broker, HUB) as device:
        device.cut()
        await until(lambda: not device.is_connected)
        was_taken = await device.send(UpKind.HELLO, b"into the void")
        device.restore()
        await until(lambda: device.is_connected)
        await device.send(UpKind.HELLO, b"back")
        (received,) = await receive(cloud, 1)

    assert not was_taken
    assert received.payload == b"back"


async def test_without_rights_a_session_is_not_connected(nats: RunningNats) -> None:
    """A session whose subscription is refused never says that it is connected."""
    address = session.Address(host="localhost", port=nats.port, tls=nats.keys.hub_tls(HUB))
    hub_as_gateway = Session(address, client_id=HUB, randomness=brokers.Chance())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hub_as_gateway.run(on_connected=pytest.fail), 0.5)


def gateway_connection(broker: Broker) -> contextlib.AbstractAsyncContextManager[aiomqtt.Client]:
    """The gateway's connection, but with a session that the broker keeps."""
    address = session.Address(
        host="localhost", port=broker.port, tls=broker.keys.authority.gateway_context()
    )
    return connection(address, client_id=GATEWAY_NAME, clean_session=False)


async def receive(cloud: Session, count: int) -> list[Received]:
    """Receive exactly so many messages."""
    received: list[Received] = []
    async with asyncio.timeout(brokers.PATIENCE_S):
        while len(received) < count:
            received += await cloud.receive(limit=count - len(received))
    return received


async def say(broker: Broker, payloads: list[bytes]) -> None:
    """Let a hub say this."""
    async with hub(broker, HUB) as device:
        for payload in payloads:
            assert await device.send(UpKind.BATCH, payload)


async def next_message(listener: aiomqtt.Client) -> aiomqtt.Message:
    """Wait for the next message."""
    async with asyncio.timeout(brokers.PATIENCE_S):
        return await anext(listener.messages)


async def test_a_publisher_that_is_cancelled_ends(nats: RunningNats) -> None:
    """A cancellation is obeyed at whatever turn of the loop it comes, also amid a publish."""

    async def publish_for_ever(cloud: Session) -> None:
        while True:
            await cloud.publish(HUB, DownKind.GREETING, b"hello")

    async with gateway(nats) as cloud:
        for turns in range(40):
            publishing = asyncio.ensure_future(publish_for_ever(cloud))
            for _ in range(turns):
                await asyncio.sleep(0)
            publishing.cancel()
            await asyncio.wait({publishing}, timeout=1)

            assert publishing.cancelled(), turns
