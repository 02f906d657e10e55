"""Two measured facts about nats-server on which the design of the device link rests.

When one of these fails, the broker has learned something and the decision may be looked at again:
clean sessions only, and an ``ack_wait`` of a minute.
"""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiomqtt
import nats as nats_client

from controller.pki import GATEWAY_NAME
from gateway import session
from gateway.protocol import topics
from gateway.protocol.topics import UpKind
from gateway.session import connection
from tests.gateway import brokers
from tests.gateway.brokers import RunningNats, hub

HUB = "0b0e" * 8
MESSAGES = 50


async def test_only_an_abandoned_persistent_session_keeps_messages(nats: RunningNats) -> None:
    """Left alone, a persistent session keeps all that comes; a clean one keeps nothing."""
    kept = {}
    for is_clean in (True, False):
        async with gateway_connection(nats, clean_session=is_clean) as listener:
            await listener.subscribe(topics.GATEWAY_UP_FILTER, qos=1)
        await say(nats)
        kept[is_clean] = await stored_messages(nats)

    assert kept == {True: 0, False: MESSAGES}


async def test_a_short_ack_wait_multiplies_messages(tmp_path: Path) -> None:
    """What is not acknowledged within ``ack_wait`` comes again on the same connection."""
    received = []
    async with (
        brokers.nats(tmp_path, ack_wait_s=1) as nats,
        gateway_connection(nats, clean_session=True) as listener,
    ):
        await listener.subscribe(topics.GATEWAY_UP_FILTER, qos=1)
        await say(nats)
        async with asyncio.timeout(brokers.PATIENCE_S):
            received = [(await anext(listener.messages)).payload for _ in range(2 * MESSAGES)]

    assert len(set(received)) == MESSAGES


def gateway_connection(
    nats: RunningNats, *, clean_session: bool
) -> AbstractAsyncContextManager[aiomqtt.Client]:
    """The gateway's connection, before anything reads from it."""
    tls = nats.keys.authority.gateway_context()
    address = session.Address(host="localhost", port=nats.port, tls=tls)
    return connection(address, client_id=GATEWAY_NAME, clean_session=clean_session)


async def say(nats: RunningNats) -> None:
    """Let a hub send some messages, each taken by the broker."""
    async with hub(nats, HUB) as device:
        for number in range(MESSAGES):
            assert await device.send(UpKind.BATCH, b"%d" % number)


async def stored_messages(nats: RunningNats) -> int:
    """Return how many messages of MQTT clients the broker holds."""
    endpoint = await nats.broker.endpoint()
    system = await nats_client.connect(
        endpoint.url, user="system", password=nats.broker.secrets.system_password
    )
    try:
        wish = json.dumps({"accounts": True, "streams": True}).encode()
        answer = await system.request("$SYS.REQ.SERVER.PING.JSZ", wish, timeout=5)
    finally:
        await system.close()
    (account,) = json.loads(answer.data)["data"]["account_details"]
    counts = {each["name"]: each["state"]["messages"] for each in account["stream_detail"]}
    return int(counts["$MQTT_msgs"])
