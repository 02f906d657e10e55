"""What is due: ends of subscriptions, reminders, leases, tags to enrol, answers to forget.

Every piece of work is claimed in the database, in batches of one transaction each, so any number of
processes may run this loop, and one that dies leaves nothing half done. Between two batches the
writer is free, and whoever waited for it (a redeem) comes first.

A person or a credential that runs out needs no timer: its end is compared with the present instant
wherever it is used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import structlog

from controller.db.engine import Database, Session
from controller.ports import Calendar
from controller.subscriptions.due import Due, next_due_at
from controller.sync.service import Sync
from controller.web.idempotency import AnswerBook

BATCH: Final = 100  # sites; 10 to 40 ms on SQLite, so whoever redeems waits for little
PAUSE_S_MAX: Final = 1.0  # new ends are noticed by then, without anybody having to say so
PAUSE_S_MIN: Final = 0.02

Job = Callable[[Session, datetime], Awaitable[int]]


class Work(Protocol):
    """What a feature above the subscriptions has to do by itself."""

    async def __call__(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Do what is due at ``now``, at most ``limit`` things, and return how many it were."""
        ...


_log = structlog.get_logger(__name__)


class Timers:
    """Does what is due, until cancelled."""

    def __init__(
        self,
        db: Database,
        calendar: Calendar,
        *,
        due: Due,
        sync: Sync,
        answers: AnswerBook,
        others: Mapping[str, Work],
    ) -> None:
        self._db = db
        self._calendar = calendar
        self._sync = sync
        self._jobs: dict[str, Job] = {
            "expire": lambda tx, now: due.expire(tx, now=now, limit=BATCH),
            "remind": lambda tx, now: due.remind(tx, now=now, limit=BATCH),
            "lease": lambda tx, now: sync.request_due_leases(tx, now=now, limit=BATCH),
            "forget": lambda tx, _: answers.forget(tx, limit=BATCH),
        }
        for name, work in others.items():
            self._jobs[name] = partial(_batch_of, work)

    async def run(self) -> None:
        """Work and sleep. What fails is logged and tried again, and holds up nothing else."""
        while True:  # for the life of the process
            await self.turn()
            await asyncio.sleep(await self._pause_s())

    async def turn(self) -> int:
        """Do everything that is due and return how much it was."""
        done = 0
        for name, job in self._jobs.items():
            try:
                done += await self._finish(job)
            except Exception:  # noqa: BLE001 - the other jobs go on, this one is tried again
                _log.exception("timer_failed", job=name)
        return done

    async def _finish(self, job: Job) -> int:
        """Run a job, a batch a transaction, until it finds less than a whole batch."""
        done = 0
        while True:  # ends with the work that is there
            async with self._db.write() as tx:
                count = await job(tx, self._calendar.now())
            done += count
            if count < BATCH:
                return done

    async def _pause_s(self) -> float:
        """Return how long nothing is due, in real seconds."""
        try:
            async with self._db.read() as tx:
                instants = [await next_due_at(tx), await self._sync.next_lease_at(tx)]
        except Exception:  # noqa: BLE001 - the database is away; look again in a moment
            _log.exception("timer_failed", job="pause")
            return PAUSE_S_MAX
        next_at = min((instant for instant in instants if instant is not None), default=None)
        if next_at is None:
            return PAUSE_S_MAX
        left_s = (next_at - self._calendar.now()).total_seconds() / self._calendar.speed
        return min(PAUSE_S_MAX, max(PAUSE_S_MIN, left_s))


async def _batch_of(work: Work, tx: Session, now: datetime) -> int:
    return await work(tx, now=now, limit=BATCH)
