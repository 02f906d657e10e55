"""The gateway's MQTT session. The only file of the gateway that knows aiomqtt.

MQTT 3.1.1 with a clean session: what is under way when a connection ends is sent again by the hubs,
whose journal is the queue. Messages from hubs come at QoS 1 and are acknowledged by hand, which
serves back-pressure alone: the broker stops pushing at its in-flight limit. Messages to hubs go at
QoS 0, because hubs answer and we send again.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn

import aiomqtt
import structlog
from typing_extensions import override

from gateway.backoff import full_jitter_s
from gateway.ports import Randomness
from gateway.protocol import topics
from gateway.protocol.cbor import MESSAGE_BYTES_MAX
from gateway.protocol.errors import ProtocolError
from gateway.protocol.topics import DownKind, UpKind

log = structlog.get_logger()

INBOX_MAX: Final = 256  # received and waiting for the intake; beyond it the broker holds them
PUBLISHES_AT_ONCE: Final = 200
PATIENCE_S: Final = 10.0
GOODBYE_S: Final = 1.0
KEEPALIVE_S: Final = 30
RECONNECT_BASE_S: Final = 0.5
RECONNECT_CAP_S: Final = 30.0
QOS_FAILED: Final = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A broker, and how to prove to it who we are."""

    host: str
    port: int
    tls: ssl.SSLContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message from a hub, as far as its topic tells; nothing in the payload is checked yet."""

    hub_id: str
    kind: UpKind
    payload: bytes  # at most MESSAGE_BYTES_MAX
    acknowledge: Callable[[], None]  # after the commit; does nothing once the connection is gone


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which the MQTT library forgets."""

    @override
    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class Session:
    """A connection to the broker that comes back by itself for as long as ``run`` is."""

    def __init__(self, address: Address, *, client_id: str, randomness: Randomness) -> None:
        self.dropped: Final[Counter[str]] = Counter()  # by reason
        self._address = address
        self._client_id = client_id
        self._randomness = randomness
        self._inbox: asyncio.Queue[Received] = asyncio.Queue(INBOX_MAX)
        self._client: aiomqtt.Client | None = None

    @property
    def is_connected(self) -> bool:
        """Whether hubs can be heard right now."""
        return self._client is not None

    async def run(self, *, on_connected: Callable[[], None]) -> NoReturn:
        """Stay connected until cancelled.

        Args:
            on_connected: Called after each (re)connection, once hubs are heard. What was published
                before may be lost: compare and publish again.
        """
        attempt = 0
        while True:  # for as long as the process lives
            try:
                async with connection(self._address, client_id=self._client_id) as client:
                    await self._subscribe(client)
                    log.info("broker_connected", client_id=self._client_id)
                    attempt = 0
                    self._client = client
                    on_connected()
                    await self._pump(client)
            except aiomqtt.MqttError as error:
                if attempt == 0:
                    log.warning("broker_lost", client_id=self._client_id, error=str(error))
            finally:
                self._client = None
            pause_s = full_jitter_s(
                attempt, base_s=RECONNECT_BASE_S, cap_s=RECONNECT_CAP_S, randomness=self._randomness
            )
            attempt += 1
            await asyncio.sleep(pause_s)

    async def receive(self, *, limit: int) -> list[Received]:
        """Wait for a message and return it with those that wait behind it, ``limit`` at most."""
        batch = [await self._inbox.get()]
        while len(batch) < limit and not self._inbox.empty():
            batch.append(self._inbox.get_nowait())
        return batch

    async def publish(self, hub_id: str, kind: DownKind, payload: bytes) -> bool:
        """Send to a hub once; return False if it certainly went nowhere.

        True promises nothing: only the hub's own answer does.
        """
        assert len(payload) <= MESSAGE_BYTES_MAX
        client = self._client
        if client is None:
            return False
        try:
            await client.publish(topics.down(hub_id, kind), payload, qos=0)
            _obey_cancellation()
        except aiomqtt.MqttError:
            return False
        return True

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        granted = await client.subscribe(topics.GATEWAY_UP_FILTER, qos=1)
        _obey_cancellation()
        if any(code == QOS_FAILED for code in granted):
            raise aiomqtt.MqttError("the broker refuses the subscription: not a gateway's rights")

    async def _pump(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            received = self._read(client, message)
            if received is not None:
                await self._inbox.put(received)

    def _read(self, client: aiomqtt.Client, message: aiomqtt.Message) -> Received | None:
        """Return the message, or drop, count and acknowledge it so that it never comes again."""
        acknowledge_message = partial(acknowledge, client, message)
        if len(message.payload) > MESSAGE_BYTES_MAX:
            reason = "too_large"
        elif message.retain:
            reason = "retained"  # nobody of ours retains; it may be from a hub long gone
        else:
            try:
                topic = topics.parse(message.topic.value)
                assert isinstance(topic.kind, UpKind)
                return Received(
                    hub_id=topic.hub_id,
                    kind=topic.kind,
                    payload=message.payload,
                    acknowledge=acknowledge_message,
                )
            except ProtocolError:
                reason = "unknown_topic"
        self.dropped[reason] += 1
        acknowledge_message()
        return None


@contextlib.asynccontextmanager
async def connection(
    address: Address, *, client_id: str, clean_session: bool = True
) -> AsyncIterator[aiomqtt.Client]:
    """Connect, acknowledging by hand; close the socket whatever happens."""
    address.tls.sslsocket_class = _TidySocket
    client = aiomqtt.Client(
        address.host,
        address.port,
        identifier=client_id,
        username=client_id,
        clean_session=clean_session,
        protocol=aiomqtt.ProtocolVersion.V311,
        keepalive=KEEPALIVE_S,
        timeout=PATIENCE_S,
        tls_context=address.tls,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # 88 ms become 1 ms
        max_queued_incoming_messages=None,  # a limit loses messages; the broker's in-flight bounds
        max_concurrent_outgoing_calls=PUBLISHES_AT_ONCE,
    )
    client.pending_calls_threshold = PUBLISHES_AT_ONCE  # or it logs a line for each above ten
    _acknowledge_by_hand(client)
    # aiomqtt connects in a thread, and cancelling does not stop that: see it out, then close.
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            with contextlib.suppress(aiomqtt.MqttError):
                await entering
            raise
        try:
            yield client
        finally:
            client.timeout = GOODBYE_S
            with contextlib.suppress(aiomqtt.MqttError):  # or it would hide a cancellation
                await client.__aexit__(None, None, None)
    finally:
        _close(client)


def acknowledge(client: aiomqtt.Client, message: aiomqtt.Message) -> None:
    """Send the PUBACK that the broker waits for; on a lost connection do nothing."""
    # aiomqtt 2.5 offers no public way; test_session.py fails when this one stops working.
    client._client.ack(message.mid, message.qos)  # noqa: SLF001


def _obey_cancellation() -> None:
    """Raise the cancellation that a call of aiomqtt may have swallowed.

    It waits with ``asyncio.wait_for``, which on Python 3.11 loses a cancellation that arrives
    together with the result; the loop around the call would then never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _acknowledge_by_hand(client: aiomqtt.Client) -> None:
    client._client.manual_ack_set(True)  # noqa: SLF001, FBT003 - as above


def _close(client: aiomqtt.Client) -> None:
    """Close the socket, which aiomqtt leaves open when a connection fails half-way."""
    client._client._sock_close()  # noqa: SLF001 - as above
