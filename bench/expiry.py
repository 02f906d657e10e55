"""Ten thousand sites end at one instant, while people redeem at others."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Final

import aiohttp

from bench import bare
from bench.installation import BOUGHT_DAYS, Installation, Site
from bench.process import doorward
from bench.report import Line, percentile
from controller.domain.instants import whole_second
from controller.timers import BATCH

EVERY_S: Final = 0.1  # somebody redeems, whether or not those before have their answers
CALM_S: Final = 2.0
LEAD: Final = timedelta(seconds=3)  # ends are set that long before; timers look once a second
LOOK_S: Final = 0.01
PATIENCE_S: Final = 20.0
P99_MS_MAX: Final = 500.0
TEXT: Final = "%Y-%m-%d %H:%M:%S.%f"  # as SQLAlchemy keeps an instant in SQLite
SET_END: Final = "UPDATE subscriptions SET started_at = ?, ends_at = ? WHERE site_id = ?"
LEFT: Final = "SELECT count(*) FROM subscriptions WHERE NOT expired AND ends_at <= ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done."""

    ending: int = 10_000  # sites with a hub each, in each round
    redeeming: int = 200
    rounds: int = 3


async def measure(folder: Path, size: Size) -> list[Line]:
    """Return how long the ends take and how long a redeem takes meanwhile."""
    made = await Installation.make(folder)
    ending = [await made.add_sites(size.ending, owners=0) for _ in range(size.rounds)]
    people = await made.add_sites(size.redeeming)
    codes = iter(await made.mint(size.rounds * int((CALM_S + PATIENCE_S) / EVERY_S)))
    limit_s = bare.ends(made.file, [site.id for site in ending[0]], batch=BATCH)
    await made.db.close()
    calm_ms: list[list[float]] = []
    meanwhile_ms: list[list[float]] = []
    ended_s = []
    async with doorward(folder) as program, aiohttp.ClientSession() as http:
        redeemers = _Redeemers(http=http, api=program.api, sites=cycle(people), codes=codes)
        for sites in ending:
            _, calm = await redeemers.during(asyncio.sleep(CALM_S))
            calm_ms.append(calm)
            ends_at = _end_soon(made.file, sites)
            await asyncio.sleep((ends_at - datetime.now(UTC)).total_seconds())
            took_s, meanwhile = await redeemers.during(_all_ended(made.file, ends_at))
            ended_s.append(took_s)
            meanwhile_ms.append(meanwhile)
    lines = [
        Line(
            what=f"{size.ending:,} sites ended, {BATCH} a transaction",
            rounds=ended_s,
            unit="s",
            limit=limit_s,
            limit_is="the same rows by sqlite3 alone, FULL sync",
        )
    ]
    for when, samples in (("before", calm_ms), ("meanwhile", meanwhile_ms)):
        bar = P99_MS_MAX if samples is meanwhile_ms else None
        lines += [_line(when, 0.5, samples), _line(when, 0.99, samples, bar=bar)]
    return lines


def _line(when: str, share: float, samples: list[list[float]], bar: float | None = None) -> Line:
    return Line(
        what=f"redeem over HTTP {when}, p{share * 100:.0f} of {sum(map(len, samples))}",
        rounds=[percentile(each, share) for each in samples],
        unit="ms",
        bar=bar,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redeemers:
    """People who redeem at a steady rate, each at his own site."""

    http: aiohttp.ClientSession
    api: str
    sites: Iterator[Site]
    codes: Iterator[str]

    async def during(self, work: Awaitable[None]) -> tuple[float, list[float]]:
        """Redeem while the work goes on; return the seconds it took and the milliseconds of each.

        A redeem's time counts from the instant at which it was due, so that waiting behind others
        is not left out.
        """
        took_ms: list[float] = []
        working = asyncio.ensure_future(work)
        started = due = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            while not working.done():
                tasks.create_task(self._redeem(due, took_ms))
                due += EVERY_S
                await asyncio.wait({working}, timeout=max(0.0, due - time.perf_counter()))
            await working
            took_s = time.perf_counter() - started
        return took_s, took_ms

    async def _redeem(self, due: float, took_ms: list[float]) -> None:
        site, code = next(self.sites), next(self.codes)
        headers = {"Authorization": f"Bearer {site.tokens[0]}", "Idempotency-Key": code}
        url = f"{self.api}/sites/{site.id}/redemptions"
        async with self.http.post(url, json={"code": code}, headers=headers) as response:
            if response.status != 201:
                raise RuntimeError(f"redeeming went wrong: {await response.text()}")
            await response.read()
        took_ms.append((time.perf_counter() - due) * 1000)


def _end_soon(file: Path, sites: Sequence[Site]) -> datetime:
    """Let all these sites end at one instant, and return it; the program runs meanwhile."""
    ends_at = whole_second(datetime.now(UTC)) + LEAD
    started = (ends_at - timedelta(days=BOUGHT_DAYS)).strftime(TEXT)
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(SET_END, [(started, ends_at.strftime(TEXT), site.id) for site in sites])
        db.execute("COMMIT")
    return ends_at


async def _all_ended(file: Path, ends_at: datetime) -> None:
    """Wait until no site is left that should have ended."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        async with asyncio.timeout(PATIENCE_S):
            while db.execute(LEFT, (ends_at.strftime(TEXT),)).fetchone() != (0,):  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_S)
