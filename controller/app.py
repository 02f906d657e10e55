"""The composition root: makes every part, hands each what it needs, and runs them together.

``up`` is the role of this version: web, device HTTPS, timers, gateway and the embedded broker in
one process. Nothing else in the cloud knows which implementation stands behind a port.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from controller import keys as controller_keys
from controller.accounts.queries import is_empty
from controller.bus import ProcessBus
from controller.chance import RandomIds, SystemRandomness
from controller.clock import ScaledCalendar, SystemLinkClock
from controller.cloud import Cloud, Ports
from controller.db import calendar_mark
from controller.db.engine import Database
from controller.db.lock import DataDirectoryError, data_directory
from controller.db.migrate import BrokenReferences, SchemaTooNew, upgrade
from controller.domain.roles import SYSTEM, CloudRole
from controller.hardware.service import Cut, DeviceAddresses
from controller.inbound import Inbound
from controller.keys import Keys, KeysError
from controller.listen import NoFreePortError, bind, free_port
from controller.pki import Authority, KeyFileDamagedError
from controller.ports import Calendar
from controller.settings import Settings
from controller.sync.service import WAKE_COMMANDS, WAKE_HUBS
from controller.threads import PoolThreads
from gateway import runtime
from gateway.broker import BrokerError, BrokerSettings, EmbeddedBroker, Secrets, choose_binary
from gateway.callout import Callout
from gateway.session import Address, Session

GATEWAY: Final = "gw-all"  # one machine: one gateway owns every partition
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - hubs come from other machines, with certificates
LOOPBACK: Final = "127.0.0.1"
STOP_PATIENCE_S: Final = 5.0  # for requests under way when the program ends

START_ERRORS: Final = (
    BrokenReferences,
    BrokerError,
    DataDirectoryError,
    KeyFileDamagedError,
    KeysError,
    NoFreePortError,
    SchemaTooNew,
)
"""What can be wrong outside the program; the text says what to do, so no traceback is needed."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where everything can be reached, to be told to whoever started it."""

    web_url: str
    claim_url: str
    broker_host: str
    broker_port: int
    calendar: Calendar
    operator: "FirstOperator | None"  # made at this start


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOperator:
    """The account that an empty installation begins with."""

    email: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What every part stands on."""

    db: Database
    ports: Ports
    keys: Keys
    authority: Authority
    is_first_start: bool  # nobody can sign in yet


async def up(
    settings: Settings,
    *,
    first_operator: FirstOperator,
    beside: Callable[[Running], Coroutine[Any, Any, None]],
) -> None:
    """Run everything until cancelled.

    Args:
        settings: As loaded from environment and command line.
        first_operator: Made if the installation has no account yet.
        beside: Runs beside everything, from the moment it answers.
    """
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(_foundation(settings))
        web_socket = bind(settings.web_host, settings.web_port)
        device_socket = bind(EVERYWHERE, settings.device_port)
        addresses = _addresses(settings, base.authority, device_socket)
        cloud = Cloud(
            settings,
            base.db,
            base.ports,
            keys=base.keys,
            authority=base.authority,
            addresses=addresses,
        )
        if base.is_first_start:
            await _create_operator(cloud, base, first_operator)
        running = Running(
            web_url=f"http://{settings.web_host}:{_port(web_socket)}",
            claim_url=addresses.claim_url,
            broker_host=addresses.broker_host,
            broker_port=addresses.broker_port,
            calendar=base.ports.calendar,
            operator=first_operator if base.is_first_start else None,
        )
        async with asyncio.TaskGroup() as tasks:
            cut = await _start_gateway(
                tasks, settings, base, cloud, broker_port=addresses.broker_port
            )
            tasks.create_task(cloud.timers().run(), name="timers")
            if settings.smtp:
                mail_room = cloud.mail_room(running.web_url)
                tasks.create_task(mail_room.run(), name="mail")
            pages = cloud.pages(lambda: _facts(running), cut=cut)
            await stack.enter_async_context(_serving(pages, web_socket))
            await stack.enter_async_context(
                _serving(cloud.claims(), device_socket, authority=base.authority)
            )
            tasks.create_task(beside(running), name="beside")


@asynccontextmanager
async def _foundation(settings: Settings) -> AsyncIterator[Foundation]:
    """Hold the data directory, with the database in it brought up to date."""
    folder = settings.data_dir / "keys"
    async with AsyncExitStack() as stack:
        stack.enter_context(data_directory(settings.data_dir))
        await upgrade(settings.database)
        db = Database.open(settings.database)
        stack.push_async_callback(db.close)
        async with db.read() as tx:
            is_first_start = await is_empty(tx)
        ports = await stack.enter_async_context(_ports(settings, db))
        yield Foundation(
            db=db,
            ports=ports,
            keys=controller_keys.load(folder, ports.randomness, first_start=is_first_start),
            authority=Authority(folder, public_host=settings.public_host, now=ports.link.utc()),
            is_first_start=is_first_start,
        )


async def _create_operator(cloud: Cloud, base: Foundation, operator: FirstOperator) -> None:
    await cloud.accounts.create(
        base.db,
        SYSTEM,
        email=operator.email,
        name="Operator",
        password=operator.password,
        cloud_role=CloudRole.OPERATOR,
        now=base.ports.calendar.now(),
    )


@asynccontextmanager
async def _ports(settings: Settings, db: Database) -> AsyncIterator[Ports]:
    link, randomness = SystemLinkClock(), SystemRandomness()
    calendar = await ScaledCalendar.start(
        link,
        speed=settings.speed,
        load=lambda: calendar_mark.load(db),
        save=lambda mark: calendar_mark.save(db, mark),
    )
    threads = PoolThreads()
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(calendar.run(), name="calendar")
        try:
            yield Ports(
                link=link,
                randomness=randomness,
                ids=RandomIds(randomness),
                bus=ProcessBus(),
                threads=threads,
                calendar=calendar,
            )
        finally:
            keeping.cancel()
            threads.close()
            await calendar.stop()


async def _start_gateway(
    tasks: asyncio.TaskGroup,
    settings: Settings,
    base: Foundation,
    cloud: Cloud,
    *,
    broker_port: int,
) -> Cut:
    """Start the broker, unless it is somebody else's, and the gateway; return when both answer.

    Returns:
        What cuts hubs off. Somebody else's broker offers nothing to do it with.
    """
    ports, inbound = base.ports, cloud.inbound()
    host = LOOPBACK
    cut: Cut = _leave
    if settings.broker:
        host, broker_port = _broker_address(settings)
    else:
        broker = _embedded_broker(settings, base, broker_port)
        tasks.create_task(broker.run(), name="broker")
        callout = Callout(broker, admission=inbound, clock=ports.link, randomness=ports.randomness)
        tasks.create_task(callout.run(), name="callout")
        await callout.ready()
        cut = callout.cut
    session = Session(
        Address(host=host, port=broker_port, tls=base.authority.gateway_context()),
        client_id=GATEWAY,
        randomness=ports.randomness,
    )
    tasks.create_task(_gateway(session, inbound, ports), name="gateway")
    return cut


def _leave(hub_id: str) -> None:
    _log.info("hub_not_cut_off", hub_id=hub_id)


async def _gateway(session: Session, inbound: Inbound, ports: Ports) -> None:
    with ports.bus.subscribe(WAKE_HUBS) as hubs, ports.bus.subscribe(WAKE_COMMANDS) as commands:
        await runtime.run(session, inbound, clock=ports.link, hubs=hubs, commands=commands)


def _embedded_broker(settings: Settings, base: Foundation, port: int) -> EmbeddedBroker:
    binary = choose_binary()
    _log.info("broker_chosen", version=binary.version, origin=binary.origin, path=str(binary.path))
    return EmbeddedBroker(
        BrokerSettings(
            folder=settings.data_dir.absolute() / "broker",
            host=EVERYWHERE,
            port=port,
            authority=base.authority.certificate_path.absolute(),
            identity=base.authority.server_path.absolute(),
        ),
        binary=binary,
        secrets=Secrets.generate(base.ports.randomness),
        randomness=base.ports.randomness,
    )


@asynccontextmanager
async def _serving(
    application: web.Application, listening: socket.socket, *, authority: Authority | None = None
) -> AsyncIterator[None]:
    """Serve an application on a socket until the block ends; over TLS with an authority."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_PATIENCE_S)
    await runner.setup()
    try:
        context = authority.server_context() if authority else None
        await web.SockSite(runner, listening, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()


def _addresses(
    settings: Settings, authority: Authority, device_socket: socket.socket
) -> DeviceAddresses:
    broker_host, broker_port = _broker_address(settings)
    return DeviceAddresses(
        public_host=settings.public_host,
        claim_port=_port(device_socket),
        broker_host=broker_host,
        broker_port=broker_port,
        ca_fingerprint=authority.fingerprint,
    )


def _broker_address(settings: Settings) -> tuple[str, int]:
    """Return where hubs reach the broker."""
    if not settings.broker:
        return settings.public_host, free_port(EVERYWHERE, settings.mqtt_port)
    parts = urlsplit(settings.broker)
    assert parts.hostname is not None, "settings check the broker's address"
    assert parts.port is not None, "settings check the broker's address"
    return parts.hostname, parts.port


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def _facts(running: Running) -> dict[str, str]:
    """Return what the start page says."""
    return {
        "Calendar": running.calendar.now().isoformat(timespec="seconds"),
        "The calendar's speed": f"{running.calendar.speed} times real time",
        "Hubs claim at": running.claim_url,
        "Hubs connect to": f"mqtts://{running.broker_host}:{running.broker_port}",
    }
