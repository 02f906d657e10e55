"""Who may connect to the embedded broker, and what each may say and hear there.

nats-server asks this for every login (auth callout). The name in the client certificate, the user
and the MQTT client id must be one and the same hub id, so nobody can borrow another's name, throw
it off, or speak on its topics.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import nats
import structlog
from cryptography import x509
from cryptography.x509.oid import NameOID
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from gateway import nkeys
from gateway.backoff import full_jitter_s
from gateway.broker import MAX_PAYLOAD_BYTES, Endpoint, Secrets
from gateway.ports import Admission, LinkClock, Randomness
from gateway.protocol import topics

log = structlog.get_logger()

GATEWAY_NAME: Final = "gw-all"
"""Certificate name, user and client id of the gateway that owns every partition."""

LOGINS_AT_ONCE: Final = 32
KICK_PATIENCE_S: Final = 3.0
RETRY_BASE_S: Final = 0.1
RETRY_CAP_S: Final = 5.0
HUB_SUBSCRIPTIONS_MAX: Final = 16  # it needs one; the rest bounds what a hostile one costs
UNLIMITED: Final = -1


class Broker(Protocol):
    """The part of the embedded broker that the callout needs."""

    @property
    def secrets(self) -> Secrets:
        """What only this process and its broker know."""

    async def endpoint(self) -> Endpoint:
        """Wait until the broker is ready and return where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One wish to connect, taken from the broker's request."""

    certificate_name: str | None
    certificate_ends_at_s: int
    user: str
    client_id: str
    server_id: str
    connection: int
    user_key: str

    @property
    def name(self) -> str | None:
        """The name that all three agree on, if they do."""
        same = self.certificate_name == self.user == self.client_id
        return self.certificate_name if same else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A live connection, as the broker names it."""

    server_id: str
    number: int


class Callout:
    """Answers logins for as long as ``run`` is, and cuts who is no longer welcome."""

    def __init__(
        self, broker: Broker, *, admission: Admission, clock: LinkClock, randomness: Randomness
    ) -> None:
        self._broker = broker
        self._admission = admission
        self._clock = clock
        self._randomness = randomness
        self._connections: dict[str, Connection] = {}
        self._system: Client | None = None
        self._tasks: asyncio.TaskGroup | None = None  # while logins are answered
        self._is_ready = asyncio.Event()
        self._slots = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def ready(self) -> None:
        """Wait until logins are answered."""
        await self._is_ready.wait()

    async def run(self) -> None:
        """Answer logins until cancelled, through every restart of the broker."""
        attempt = 0
        while True:  # for as long as the process lives
            endpoint = await self._broker.endpoint()
            try:
                await self._serve(endpoint)
                attempt = 0
            except (NatsError, OSError) as error:
                attempt += 1
                log.warning("callout_failed", error=str(error))
            await asyncio.sleep(
                full_jitter_s(
                    attempt, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, randomness=self._randomness
                )
            )

    def cut(self, hub_id: str) -> None:
        """Kick the hub soon. Nobody waits for it: what it still says is refused elsewhere too."""
        if self._tasks is not None:
            self._tasks.create_task(self._cut(hub_id), name="cut")

    async def kick(self, hub_id: str) -> bool:
        """Cut the hub's live connection; return whether there was one.

        Refuse the hub in ``Admission`` first, or it comes straight back. A login of it that is
        still being decided is refused too.
        """
        connection = self._connections.pop(hub_id, None)
        if connection is None or self._system is None:
            return False
        subject = f"$SYS.REQ.SERVER.{connection.server_id}.KICK"
        wish = json.dumps({"cid": connection.number}).encode()
        answer = await self._system.request(subject, wish, timeout=KICK_PATIENCE_S)
        return "error" not in json.loads(answer.data)

    async def _serve(self, endpoint: Endpoint) -> None:
        """Answer logins of one broker until it goes away."""
        closed = asyncio.Event()
        secrets = self._broker.secrets
        gatekeeper = await _connect(endpoint, "auth", secrets.auth_password, closed)
        try:
            async with asyncio.TaskGroup() as tasks:

                async def on_login(message: Msg) -> None:
                    await self._slots.acquire()
                    tasks.create_task(self._answer(message), name="login")

                # First of all: who logs in before this waits for nothing, LOGIN_PATIENCE_S long.
                await gatekeeper.subscribe("$SYS.REQ.USER.AUTH", cb=on_login)
                await gatekeeper.flush()
                self._system = await _connect(endpoint, "system", secrets.system_password, closed)
                self._tasks = tasks
                self._is_ready.set()
                try:
                    await closed.wait()
                finally:
                    self._tasks = None
        finally:
            self._is_ready.clear()
            self._connections.clear()
            await gatekeeper.close()
            if self._system is not None:
                await self._system.close()
            self._system = None

    async def _cut(self, hub_id: str) -> None:
        try:
            await self.kick(hub_id)
        except Exception:  # one who stays must not end all logins
            log.exception("kick_failed", hub_id=hub_id)

    async def _answer(self, message: Msg) -> None:
        try:
            login = read_login(nkeys.read_claims(message.data))
            rights = await self._decide(login)
            await message.respond(self._signed(login, rights).encode())
        except Exception:  # one bad login must not end all logins; unanswered, it is refused
            log.exception("login_failed")
        finally:
            self._slots.release()

    async def _decide(self, login: Login) -> dict[str, Any] | None:
        """Return what the client may do, or None if it may not come in."""
        name = login.name
        if name == GATEWAY_NAME:
            return _rights(
                publish=topics.GATEWAY_PUBLISH_SUBJECTS,
                subscribe=topics.GATEWAY_SUBSCRIBE_SUBJECTS,
                subscriptions=UNLIMITED,
            )
        if name is None or not topics.is_hub_id(name):
            return None
        connection = Connection(server_id=login.server_id, number=login.connection)
        self._connections[name] = connection
        is_admitted = await self._is_admitted(name)
        if not is_admitted or self._connections.get(name) is not connection:
            return None  # the second: kicked, or come again, while it was being decided
        return _rights(
            publish=topics.publish_subjects(name),
            subscribe=topics.subscribe_subjects(name),
            subscriptions=HUB_SUBSCRIPTIONS_MAX,
        )

    async def _is_admitted(self, hub_id: str) -> bool:
        try:
            return await self._admission.admit(hub_id)
        except Exception:  # who cannot be looked up is refused; the next one may be luckier
            log.exception("admission_failed", hub_id=hub_id)
            return False

    def _signed(self, login: Login, rights: dict[str, Any] | None) -> str:
        account = self._broker.secrets.account
        issued_at_s = int(self._clock.utc().timestamp())
        answer: dict[str, Any] = {"type": "authorization_response", "version": 2}
        if rights is None:
            answer["error"] = "refused"
            log.info(
                "login_refused",
                certificate_name=login.certificate_name,
                user=login.user,
                client_id=login.client_id,
            )
        else:
            answer["jwt"] = account.sign(
                {
                    "sub": login.user_key,
                    "aud": "HUBS",
                    "name": login.user,
                    "iat": issued_at_s,
                    "exp": login.certificate_ends_at_s,  # a connection ends with its certificate
                    "nats": rights,
                }
            )
        return account.sign(
            {"sub": login.user_key, "aud": login.server_id, "iat": issued_at_s, "nats": answer}
        )


def read_login(claims: Mapping[str, Any]) -> Login:
    """Return the wish to connect that the broker's request tells of."""
    request = claims["nats"]
    client, options = request["client_info"], request["connect_opts"]
    chains = request.get("client_tls", {}).get("verified_chains") or [[]]
    name, ends_at_s = _read_leaf(chains[0])
    return Login(
        certificate_name=name,
        certificate_ends_at_s=ends_at_s,
        user=options.get("user", ""),
        client_id=client.get("mqtt_id", ""),
        server_id=request["server_id"]["id"],
        connection=client["id"],
        user_key=request["user_nkey"],
    )


def _read_leaf(chain: list[str]) -> tuple[str | None, int]:
    """Return the one common name of the chain's first certificate, and when that ends."""
    if not chain:
        return None, 0
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    ends_at_s = int(leaf.not_valid_after_utc.timestamp())
    return (str(names[0].value) if len(names) == 1 else None), ends_at_s


def _rights(
    *, publish: tuple[str, ...], subscribe: tuple[str, ...], subscriptions: int
) -> dict[str, Any]:
    return {
        "type": "user",
        "version": 2,
        "pub": {"allow": list(publish)},
        "sub": {"allow": list(subscribe)},
        "subs": subscriptions,
        "data": UNLIMITED,
        "payload": MAX_PAYLOAD_BYTES,
        "allowed_connection_types": ["MQTT"],
    }


async def _connect(endpoint: Endpoint, user: str, password: str, closed: asyncio.Event) -> Client:
    async def on_close() -> None:
        closed.set()

    async def on_error(error: Exception) -> None:
        log.info("broker_connection_failed", user=user, error=str(error))

    return await nats.connect(
        endpoint.url,
        user=user,
        password=password,
        allow_reconnect=False,  # the broker's next life has another port
        closed_cb=on_close,
        error_cb=on_error,
    )
