"""A hub's connection to the cloud. The only file of the simulator that knows aiomqtt.

Up goes at QoS 1, down comes at QoS 0, the session is clean: the hub's journal is the queue, and it
sends again what the controller has not acknowledged itself. The broker's PUBACK is no promise.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Protocol

import aiomqtt
import structlog
from typing_extensions import override

from gateway.protocol import topics
from gateway.protocol.errors import ProtocolError
from gateway.protocol.topics import DownKind, UpKind

log = structlog.get_logger()

INBOX_MAX: Final = 256  # QoS 0: what comes too fast is lost and asked for again
SENDS_AT_ONCE: Final = 20
PATIENCE_S: Final = 10.0
GOODBYE_S: Final = 1.0
KEEPALIVE_S: Final = 60
RECONNECT_BASE_S: Final = 1.0
RECONNECT_CAP_S: Final = 300.0
CHANCE_BYTES: Final = 6


class Randomness(Protocol):
    """Unpredictable bytes."""

    def token_bytes(self, count: int, /) -> bytes:
        """Return ``count`` bytes that nobody can guess."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The cloud's broker, and how the hub proves to it who it is."""

    host: str
    port: int
    tls: ssl.SSLContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message from the cloud, as far as its topic tells; the signature is not checked yet."""

    kind: DownKind
    payload: bytes


def tls_context(*, authority_pem: str, identity: Path) -> ssl.SSLContext:
    """Return how the hub shows its certificate and knows the cloud's.

    Args:
        authority_pem: The certificate that the cloud's broker must be signed by.
        identity: PEM file with the hub's certificate and key.
    """
    context = ssl.create_default_context(cadata=authority_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(identity)
    context.sslsocket_class = _TidySocket
    return context


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which the MQTT library forgets."""

    @override
    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class HubLink:
    """A connection that comes back by itself for as long as ``run`` is, unless it is cut."""

    def __init__(self, address: Address, *, hub_id: str, randomness: Randomness) -> None:
        self._address = address
        self._hub_id = hub_id
        self._randomness = randomness
        self._inbox: asyncio.Queue[Heard] = asyncio.Queue(INBOX_MAX)
        self._client: aiomqtt.Client | None = None
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self._sends: set[asyncio.Timeout] = set()

    @property
    def is_connected(self) -> bool:
        """Whether the cloud can be heard right now."""
        return self._client is not None

    async def run(self, *, on_connected: Callable[[], None]) -> NoReturn:
        """Stay connected until cancelled.

        Args:
            on_connected: Called after each (re)connection, once the cloud can be heard.
        """
        attempt = 0
        while True:  # for as long as the hub has power
            await self._is_whole.wait()
            try:
                async with self._connection() as client:
                    await client.subscribe(topics.down_filter(self._hub_id), qos=0)
                    _obey_cancellation()
                    attempt = 0
                    if self._is_whole.is_set():  # it may have been cut meanwhile
                        self._client = client
                        log.info("uplink_connected", hub_id=self._hub_id)
                        on_connected()
                        await self._pump(client)
            except aiomqtt.MqttError as error:
                if attempt == 0:
                    log.info("uplink_lost", hub_id=self._hub_id, error=str(error))
            finally:
                self._client = None
                self._give_up_sending()
            pause_s = self._pause_s(attempt)
            attempt += 1
            await asyncio.sleep(pause_s)

    async def receive(self) -> Heard:
        """Wait for the next message from the cloud."""
        return await self._inbox.get()

    async def send(self, kind: UpKind, payload: bytes) -> bool:
        """Send to the cloud; return whether the broker took it, which promises nothing more."""
        client = self._client
        if client is None:
            return False
        patience = asyncio.timeout(PATIENCE_S)
        self._sends.add(patience)
        try:
            async with patience:
                await client.publish(topics.up(self._hub_id, kind), payload, qos=1)
                _obey_cancellation()
        except (aiomqtt.MqttError, TimeoutError):
            return False
        finally:
            self._sends.discard(patience)
        return True

    def cut(self) -> None:
        """Pull the cable: nothing goes or comes, and nobody says goodbye."""
        self._is_whole.clear()
        client = self._client
        if client is not None:
            line = client._client.socket()  # noqa: SLF001 - aiomqtt has no word for it
            if isinstance(line, socket.socket):
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        """Plug the cable in again."""
        self._is_whole.set()

    async def _pump(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            try:
                topic = topics.parse(message.topic.value)
            except ProtocolError:
                continue
            if topic.hub_id == self._hub_id and isinstance(topic.kind, DownKind):
                assert isinstance(message.payload, bytes)
                await self._inbox.put(Heard(kind=topic.kind, payload=message.payload))

    def _give_up_sending(self) -> None:
        """Nobody will answer on a lost connection: end the waiting for PUBACKs at once."""
        now = asyncio.get_running_loop().time()
        for patience in self._sends:
            patience.reschedule(now)

    def _pause_s(self, attempt: int) -> float:
        """Anywhere from 0 to the doubled base, so that a site's hubs do not come back as one."""
        chance = int.from_bytes(self._randomness.token_bytes(CHANCE_BYTES)) / 256**CHANCE_BYTES
        return chance * min(RECONNECT_CAP_S, RECONNECT_BASE_S * 2.0 ** min(attempt, 20))

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiomqtt.Client]:
        """Connect; close the socket whatever happens."""
        client = aiomqtt.Client(
            self._address.host,
            self._address.port,
            identifier=self._hub_id,
            username=self._hub_id,
            clean_session=True,
            protocol=aiomqtt.ProtocolVersion.V311,
            keepalive=KEEPALIVE_S,
            timeout=PATIENCE_S,
            tls_context=self._address.tls,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # 88 ms become 1 ms
            max_queued_incoming_messages=INBOX_MAX,
            max_concurrent_outgoing_calls=SENDS_AT_ONCE,
        )
        client.pending_calls_threshold = SENDS_AT_ONCE  # or it logs a line for each above ten
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
            client._client._sock_close()  # noqa: SLF001 - aiomqtt leaves it open on a failed start


def _obey_cancellation() -> None:
    """Raise the cancellation that a call of aiomqtt may have swallowed.

    It waits with ``asyncio.wait_for``, which on Python 3.11 loses a cancellation that arrives
    together with the result; the loop around the call would then never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
