"""Logins at the embedded broker: who is let in, and who is cut off."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiomqtt
import pytest

from controller.pki import HUB_CERTIFICATE_DAYS
from gateway.protocol import topics
from tests.gateway.brokers import CONNACK, RunningNats, client, connect_answer, hub, until

HUB, OTHER = "0b0e" * 8, "07e4" * 8
LOGINS_AT_ONCE = 3


def connection(nats: RunningNats, hub_id: str) -> aiomqtt.Client:
    """A hub's connection that does not come back by itself."""
    tls = nats.keys.hub_tls(hub_id)
    return client(nats, tls, identifier=hub_id, username=hub_id)


async def test_who_is_not_admitted_is_refused(nats: RunningNats) -> None:
    """A good certificate is not enough: a hub that was revoked does not get in."""
    nats.guests.struck_off.add(HUB)

    with pytest.raises(aiomqtt.exceptions.MqttConnectError):
        async with connection(nats, HUB):
            pass


async def test_a_kick_cuts_the_live_connection(nats: RunningNats) -> None:
    """Revoked and kicked, a connected hub is off, cannot return, and nobody else notices."""
    async with hub(nats, HUB) as revoked, hub(nats, OTHER) as other:
        nats.guests.struck_off.add(HUB)
        was_there = await nats.callout.kick(HUB)
        await until(lambda: not revoked.is_connected)
        with pytest.raises(aiomqtt.exceptions.MqttConnectError):
            async with connection(nats, HUB):
                pass
        other_stayed = other.is_connected

    assert was_there
    assert other_stayed


async def test_who_is_cut_is_kicked_without_waiting(nats: RunningNats) -> None:
    """As at a hub's retirement; an unknown hub and a broker that is away are no trouble."""
    async with hub(nats, HUB) as revoked:
        nats.guests.struck_off.add(HUB)
        nats.callout.cut(OTHER)
        nats.callout.cut(HUB)
        await until(lambda: not revoked.is_connected)
    await nats.kill()
    nats.callout.cut(HUB)

    async with hub(nats, OTHER) as other:
        assert other.is_connected


async def test_nobody_there_is_nobody_kicked(nats: RunningNats) -> None:
    """Kicking a hub that never connected says so and harms nobody."""
    assert not await nats.callout.kick(HUB)


@dataclass
class SlowGuestList:
    """Admits everybody, but only when told to go on."""

    asked: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def admit(self, hub_id: str) -> bool:
        """Look the hub up in a slow database."""
        del hub_id
        self.asked += 1
        await self.go_on.wait()
        return True


async def test_a_kick_reaches_all_who_are_just_coming_in(nats: RunningNats) -> None:
    """Revoked between the look-up and the answer, no connection of a hub slips in."""
    nats.callout._admission = guests = SlowGuestList()

    tls = nats.keys.hub_tls(HUB)
    async with asyncio.TaskGroup() as tasks:
        coming = [
            tasks.create_task(connect_answer(nats, tls, hub_id=HUB)) for _ in range(LOGINS_AT_ONCE)
        ]
        await until(lambda: guests.asked == LOGINS_AT_ONCE)
        await nats.callout.kick(HUB)
        guests.go_on.set()

    assert CONNACK not in [task.result() for task in coming]


class BrokenGuestList:
    """Cannot tell, for the database is away."""

    async def admit(self, hub_id: str) -> bool:
        """Fail."""
        raise OSError(hub_id)


async def test_an_error_refuses_and_the_next_login_is_answered(nats: RunningNats) -> None:
    """When the look-up fails nobody comes in, and logins go on as soon as it works."""
    nats.callout._admission = BrokenGuestList()
    with pytest.raises(aiomqtt.MqttError):
        async with connection(nats, HUB):
            pass
    nats.callout._admission = nats.guests

    async with connection(nats, HUB) as device:
        await device.publish(topics.up(HUB, topics.UpKind.HELLO), b"hello", qos=1)


async def test_a_connection_ends_with_its_certificate(nats: RunningNats) -> None:
    """Who connected with a good certificate is cut off when that ends."""
    a_moment = timedelta(seconds=2)
    issued_at = datetime.now(UTC) + a_moment - timedelta(days=HUB_CERTIFICATE_DAYS)
    nats.keys.hub_identity(HUB, now=issued_at)
    async with connection(nats, HUB) as device:
        with pytest.raises(aiomqtt.MqttError):
            await anext(device.messages)
