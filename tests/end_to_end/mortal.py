"""A cloud that kills itself, as kill -9 does, before a chosen step of a chosen transaction.

It is forked from a server that has imported the program already: a start takes half a second. Only
the database's own events are listened to; the program does not know.
"""

import multiprocessing
import os
import signal
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from controller import cli

WRITES: Final = ("INSERT", "UPDATE", "DELETE")

_forks: Final = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["controller.cli"])


def start(
    words: Sequence[str], environ: dict[str, str], *, output: Path, fuse: "Fuse"
) -> BaseProcess:
    """Start `doorward` with a fuse; what it says goes to a file."""
    process = _forks.Process(target=_live, args=(words, environ, output, fuse))
    process.start()
    return process


def _live(words: Sequence[str], environ: dict[str, str], output: Path, fuse: "Fuse") -> None:
    os.environ.clear()
    os.environ.update(environ)
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    fuse.light()
    cli.main(list(words))


class Fuse:
    """Ends the process before step ``step`` of the first transaction that begins with a write.

    The steps are its writes, its commit, and the return of its connection after the commit.

    Args:
        first: How that first write begins.
        step: From 0, which is the first write.
    """

    def __init__(self, first: str, step: int) -> None:
        self._first = first
        self._left = step
        self._connection: Any = None  # of the driver

    def light(self) -> None:
        """Listen to every engine of this process."""
        event.listen(Engine, "before_cursor_execute", self._before_statement)
        event.listen(Engine, "commit", self._before_commit)
        event.listen(Pool, "checkin", self._after_commit)

    def _before_statement(self, connection: Any, _: object, statement: str, *__: object) -> None:
        driver = connection.connection.dbapi_connection
        if self._connection is None and statement.startswith(self._first):
            self._connection = driver
        if driver is self._connection and statement.startswith(WRITES):
            self._burn()

    def _before_commit(self, connection: Any) -> None:
        if self._connection is connection.connection.dbapi_connection:
            self._burn()

    def _after_commit(self, driver: object, _: object) -> None:
        if self._connection is driver:
            self._burn()
            self._left = -1  # that transaction is over, and the fuse was too long

    def _burn(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
