"""`doorward sim`: hubs and locks that are not there, commissioned and running."""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import aiohttp
import click
import structlog

from firmware_sim import commission, control, fleet, runner, scenario
from firmware_sim.chance import SystemChance
from firmware_sim.commission import CommissionRefusedError, Installer
from firmware_sim.console import Console, Quit, WordError
from firmware_sim.control import SocketPathError
from firmware_sim.fleet import Fleet, FleetError
from firmware_sim.inputs import Press
from firmware_sim.provision import ClaimRefusedError
from firmware_sim.runner import SimHub
from firmware_sim.scenario import Scenario, ScenarioError

PRESS_EVERY_S: Final = 30.0
LOCK_FILE: Final = "in-use"
PROMPT: Final = "sim> "
LINES_MAX: Final = 16
LINE_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for."""

    url: str
    token: str
    site: str
    hubs: int
    locks: int
    state: Path
    broker_port: int | None
    script: TextIO | None
    scenario: Scenario | None


@click.command(name="sim")
@click.option("--url", required=True, help="The cloud's address, as in http://127.0.0.1:8480.")
@click.option("--token", required=True, envvar="DOORWARD_SIM_TOKEN", help="An installer's token.")
@click.option("--site", required=True, help="The site's id.")
@click.option("--hubs", type=click.IntRange(1, 50), default=2, show_default=True)
@click.option("--locks", type=click.IntRange(0, 16), default=4, show_default=True, help="Per hub.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data/sim"),
    show_default=True,
    help="Where the hardware is kept; the same directory brings back the same hardware.",
)
@click.option(
    "--broker-port",
    type=click.IntRange(1, 65_535),
    help="Where the broker listens now, if it has moved since the hubs were claimed.",
)
@click.option(
    "--script",
    type=click.File(),
    help="Do these lines and end; see `help` at the prompt.",
)
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play this scenario (YAML) and end; docs/scenarios.md tells how to write one.",
)
def main(**given: Any) -> None:
    """Simulate hubs and locks of a site over real MQTT."""
    file = given.pop("scenario")
    try:
        options = Options(**given, scenario=scenario.read(file.read_text()) if file else None)
    except ScenarioError as error:
        raise click.ClickException(f"{file}: {error}") from error
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    refusals = (
        CommissionRefusedError,
        ClaimRefusedError,
        FleetError,
        ScenarioError,
        SocketPathError,
        WordError,
    )
    with _owned(options.state):
        try:
            asyncio.run(_simulate(options))
        except* refusals as group:
            raise click.ClickException(_told(group)) from group


async def _simulate(options: Options) -> None:
    """Commission what is new, switch everything on, and do what is said until the end."""
    async with aiohttp.ClientSession() as session:
        hardware = await _commissioned(options, session)
        hubs = await fleet.switched_off(
            hardware,
            folder=options.state,
            session=session,
            chance=SystemChance(),
            broker_port=options.broker_port,
        )
    console = Console(hubs, hardware, chance=SystemChance())
    async with control.listening(console, options.state), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(runner.run(hubs))
        pressing = tasks.create_task(_press(hubs))
        count = sum(len(hub.locks) for hub in hubs)
        click.echo(f"{len(hubs)} hubs and {count} locks are running; Ctrl-C ends it.")
        try:
            await _follow(console, options)
        finally:
            running.cancel()
            pressing.cancel()


async def _commissioned(options: Options, session: aiohttp.ClientSession) -> Fleet:
    """Return the site's hardware, made at the first start, registered as far as it was not."""
    hardware = fleet.load(options.state)
    if hardware is None:
        hardware = fleet.made(
            options.site, hubs=options.hubs, locks=options.locks, chance=SystemChance()
        )
        fleet.save(options.state, hardware)
    if hardware.site_id != options.site:
        raise FleetError(
            f"{options.state} holds the hardware of site {hardware.site_id};"
            " choose another --state for another site"
        )
    installer = Installer(url=options.url, token=options.token, session=session)
    return await commission.commission(hardware, installer, folder=options.state)


async def _press(hubs: list[SimHub]) -> None:
    """Be the installer who walks from lock to lock until each is paired."""
    unpaired = [lock for hub in hubs for lock in hub.locks]
    while unpaired:
        for lock in unpaired:
            lock.feed(Press())
        await asyncio.sleep(PRESS_EVERY_S)
        unpaired = [lock for lock in unpaired if lock.state is None or lock.state.pin is None]


async def _follow(console: Console, options: Options) -> None:
    """Do the scenario, the script's lines or the prompt's, or wait for the signal to end."""
    if options.scenario is not None:
        await scenario.play(console, options.scenario, show=_show)
        return
    if options.script is not None:
        await _play(console, list(options.script))
        return
    is_prompt = sys.stdin.isatty()
    with _typed(is_prompt=is_prompt) as lines:
        _show(PROMPT if is_prompt else "")
        while (line := await lines.get()) is not None:
            try:
                answer = await console.do(line)
            except WordError as error:
                _show(f"{error}\n")
            except Quit:
                return
            else:
                _show(f"{answer.text}\n" if answer.text else "")
            _show(PROMPT)


async def _play(console: Console, lines: list[str]) -> None:
    for number, line in enumerate(lines, 1):
        try:
            answer = await console.do(line)
        except WordError as error:
            raise WordError(f"line {number}: {error}") from error
        except Quit:
            return
        _show(f"{answer.text}\n" if answer.text else "")


@contextlib.contextmanager
def _typed(*, is_prompt: bool) -> Iterator[asyncio.Queue[str | None]]:
    """Yield the lines that are typed, and None when the process is told to end."""
    lines: asyncio.Queue[str | None] = asyncio.Queue(LINES_MAX)
    loop = asyncio.get_running_loop()

    def read() -> None:  # a terminal hands over whole lines
        if not lines.full():
            lines.put_nowait(sys.stdin.readline() or None)

    def watch() -> None:  # whoever started us holds the other end; when they are gone, we go
        if not os.read(sys.stdin.fileno(), LINE_BYTES_MAX):
            loop.remove_reader(sys.stdin.fileno())
            lines.put_nowait(None)

    is_pipe = not is_prompt and _is_pipe()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lines.put_nowait, None)
    if is_prompt or is_pipe:
        loop.add_reader(sys.stdin.fileno(), read if is_prompt else watch)
    try:
        yield lines
    finally:
        if is_prompt or is_pipe:
            loop.remove_reader(sys.stdin.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _is_pipe() -> bool:
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):  # closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)  # asyncio's pipes are pairs of sockets


def _show(text: str) -> None:
    click.echo(text, nl=False)


@contextlib.contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Keep a second simulation out of a state directory: one piece of hardware runs once."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise click.ClickException(f"{folder} is in use by another simulation") from error
        yield


def _told(group: BaseExceptionGroup[Exception]) -> str:
    """Return what the refusals of a group say."""
    return "; ".join(
        _told(error) if isinstance(error, BaseExceptionGroup) else str(error)
        for error in group.exceptions
    )
