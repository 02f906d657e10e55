"""The ``doorward`` command."""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import click
import uvloop
from sqlalchemy.exc import DBAPIError

from controller import app, demo, logs, settings
from controller.app import FirstOperator, Running
from controller.chance import SystemRandomness
from controller.db.engine import is_passing
from controller.db.lock import DataDirectoryError, data_directory
from controller.settings import Settings, SettingsError

LOG_FILE: Final = "doorward.log"
OWNER_ONLY: Final = 0o077  # names and digests are in what is written, wherever that is
EXPECTED: Final = (*app.START_ERRORS, SettingsError, demo.DemoError)
UNWRITABLE: Final = (errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EROFS)


@click.group()
@click.version_option(package_name="doorward")
def main() -> None:
    """Doorward, an access-control cloud. Settings come from DOORWARD_… in the environment."""


@main.command()
@click.option("--data-dir", type=click.Path(path_type=Path), help="DOORWARD_DATA_DIR")
@click.option("--speed", type=int, help="DOORWARD_SPEED: 1 to 100000")
@click.option("--demo", "with_demo", is_flag=True, help="Seed a site and simulate its hardware.")
@click.option("--fresh", is_flag=True, help="With --demo: forget the demo's data first.")
def up(data_dir: Path | None, speed: int | None, *, with_demo: bool, fresh: bool) -> None:
    """Run everything in one process, with an embedded database and broker."""
    os.umask(OWNER_ONLY)
    given = {"data_dir": data_dir, "speed": speed}
    with _expected_errors():
        chosen = settings.load(
            **{name: value for name, value in given.items() if value is not None}
        )
        if not with_demo:
            if fresh:
                raise SettingsError("--fresh goes with --demo; other data are never removed here")
            logs.configure(sys.stderr, level=chosen.log_level)
            first = FirstOperator(
                email="operator@localhost", password=SystemRandomness().token_bytes(12).hex()
            )
            _run(lambda: app.up(chosen, first_operator=first, beside=_announce))
            return
        _demo(chosen, fresh=fresh)


def _demo(chosen: Settings, *, fresh: bool) -> None:
    with data_directory(chosen.data_dir) as folder:
        if fresh:
            _forget(folder)
        story = demo.Story.open(folder)
        log = (folder / LOG_FILE).open("a", encoding="utf-8", buffering=1)
    with log:
        logs.configure(log, level=chosen.log_level)
        click.echo(f"Starting; log lines go to {chosen.data_dir / LOG_FILE}")
        _run(
            lambda: app.up(
                chosen,
                first_operator=story.operator,
                beside=lambda running: demo.play(story, running, tell=click.echo),
            )
        )


async def _announce(running: Running) -> None:
    click.echo(f"Doorward runs at {running.web_url}; hubs claim at {running.claim_url}")
    if running.operator is not None:
        click.echo(
            "First operator, shown only now: "
            f"{running.operator.email} / {running.operator.password}"
        )


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sim(arguments: tuple[str, ...]) -> None:
    """Run simulated hubs and locks (--help tells the options)."""
    # Another program in this process's place: the cloud imports nothing of its simulator.
    os.execv(sys.executable, [sys.executable, "-m", "firmware_sim", *arguments])  # noqa: S606


@main.group(name="demo")
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("data"))
@click.pass_context
def demo_group(context: click.Context, data_dir: Path) -> None:
    """Use a running demo: call its API as one of its people, hold a tag to a lock."""
    context.obj = data_dir


@demo_group.command()
@click.argument("role", type=click.Choice(demo.ROLES))
@click.argument("method", type=click.Choice(["GET", "POST", "PUT", "PATCH", "DELETE"]))
@click.argument("path")
@click.argument("body", required=False)
@click.option("--if-match", "version", type=int, help="The version of what is edited.")
@click.pass_obj
def call(
    data_dir: Path, role: str, method: str, path: str, body: str | None, *, version: int | None
) -> None:
    """Call the API as ROLE, for instance: call owner GET /me."""
    with _expected_errors():
        try:
            value = json.loads(body) if body else None
        except ValueError as error:
            raise click.BadParameter(f"BODY is no JSON: {error}") from error
        click.echo(asyncio.run(demo.call_api(data_dir, role, method, path, value, version=version)))


@demo_group.command()
@click.argument("lock")
@click.argument("tag")
@click.pass_obj
def tap(data_dir: Path, lock: str, tag: str) -> None:
    """Hold TAG to LOCK, for instance: tap 1.1 04A1B2C3D4."""
    with _expected_errors():
        click.echo(asyncio.run(demo.tell_hardware(data_dir, f"tap {lock} {tag}")))


@demo_group.command()
@click.argument("line", nargs=-1, required=True)
@click.pass_obj
def say(data_dir: Path, line: tuple[str, ...]) -> None:
    """Say a line to the simulated hardware, for instance: say cut uplink 1 (help lists them)."""
    with _expected_errors():
        click.echo(asyncio.run(demo.tell_hardware(data_dir, " ".join(line))))


def _forget(folder: Path) -> None:
    """Remove a demo's data, and nobody else's."""
    if any(folder.iterdir()) and not demo.is_demo(folder):
        others = [item.name for item in folder.iterdir() if item.name != "lock"]
        if others:
            raise DataDirectoryError(
                f"{folder} holds data that are no demo's; remove them yourself or choose another "
                "directory with --data-dir"
            )
    for item in folder.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        elif item.name != "lock":
            item.unlink()


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run until done, Ctrl-C or SIGTERM; the latter two end it in order and without an error."""

    async def until_stopped() -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine that runs has a task"
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_stopped())


@contextlib.contextmanager
def _expected_errors() -> Iterator[None]:
    """Say in one line what a person can mend."""
    try:
        yield
    except Exception as error:
        told = {_told(each) for each in _leaves(error)}
        if None in told:
            raise
        raise click.ClickException("\n".join(filter(None, told))) from error


def _told(error: BaseException) -> str | None:
    """Return what to say of an error, or None if it is a fault of the program."""
    if isinstance(error, EXPECTED):
        return str(error)
    if isinstance(error, DBAPIError) and is_passing(error):
        return (
            f"the database cannot be used ({error.orig}); free its disk, or see that its server "
            "runs, and start again: what was committed is safe"
        )
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return (
            f"{error.filename or 'the data directory'} cannot be written ({error.strerror}); free "
            "or mount its disk writable, or name another data directory with DOORWARD_DATA_DIR"
        )
    return None


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


if __name__ == "__main__":
    main()
