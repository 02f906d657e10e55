"""Gateway and hubs over real brokers: what goes through, and that it comes back by itself."""

from firmware_sim.link import Heard
from gateway.protocol.topics import DownKind, UpKind
from tests.gateway.brokers import Broker, gateway, hub, new_id


async def test_a_hub_and_the_gateway_hear_each_other(broker: Broker) -> None:
    """What a hub says reaches the gateway under its name, and the answer reaches that hub."""
    hub_id = new_id()
    async with gateway(broker) as cloud, hub(broker, hub_id) as device:
        was_taken = await device.send(UpKind.HELLO, b"hello")
        (received,) = await cloud.receive(limit=1)
        received.acknowledge()
        was_sent = await cloud.publish(hub_id, DownKind.WELCOME, b"welcome")
        heard = await device.receive()

    assert was_taken
    assert was_sent
    assert (received.hub_id, received.kind, received.payload) == (hub_id, UpKind.HELLO, b"hello")
    assert heard == Heard(kind=DownKind.WELCOME, payload=b"welcome")
