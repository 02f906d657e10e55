"""From an edit over HTTP until 50 simulated hubs have confirmed it: the whole way, all real.

``doorward up`` and ``doorward sim`` run as processes of their own, on the same machine, which the
fifty simulated hubs share with the cloud.
"""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp
from sqlalchemy import select, update

from bench.installation import Installation, Site
from bench.process import Doorward, doorward
from bench.report import Line, percentile
from bench.sync import furnish_people
from controller.db.engine import Database
from controller.db.tables.hardware import hubs, locks
from controller.domain.ids import SiteId

HUBS: Final = 50
LOCKS_PER_HUB: Final = 4
EDIT_MS_MAX: Final = 1_000.0
LOOK_S: Final = 0.005
SYNC_PATIENCE_S: Final = 300.0
EDIT_PATIENCE_S: Final = 30.0
STOP_PATIENCE_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done."""

    people: Sequence[int] = (200, 10_000)
    edits: int = 40
    hubs: int = HUBS


async def measure(folder: Path, size: Size) -> list[Line]:
    """Return how long edits take until every hub has confirmed them."""
    lines: list[Line] = []
    for count in size.people:
        home = folder / f"{count}"
        home.mkdir()
        lines += await _at(home, count, size)
    return lines


async def _at(folder: Path, count: int, size: Size) -> list[Line]:
    made = await Installation.make(folder)
    (site,) = await made.add_sites(1)
    await made.db.close()
    async with doorward(folder) as program, _hardware(program, site, folder, size.hubs):
        await _until(lambda: _behind(made.file, site.id) == (size.hubs, 0), SYNC_PATIENCE_S)
    await _furnish(made, site.id, count)
    async with doorward(folder) as program:
        started = time.perf_counter()
        async with _hardware(program, site, folder, size.hubs):
            await _until(lambda: _behind(made.file, site.id) == (size.hubs, 0), SYNC_PATIENCE_S)
            whole_ms = (time.perf_counter() - started) * 1000
            took_ms = [
                took async for took in _edits(program, made.file, site, min(count, size.edits))
            ]
    return [
        Line(
            what=f"{count:,} people: {size.hubs} hubs start and take all",
            rounds=[whole_ms],
            unit="ms",
        ),
        *(
            Line(
                what=f"{count:,} people: edit until all confirmed, p{share * 100:.0f}",
                rounds=[percentile(took_ms, share)],
                unit="ms",
                limit=whole_ms,
                limit_is="all anew",
                bar=EDIT_MS_MAX if share > 0.5 else None,
            )
            for share in (0.5, 0.95)
        ),
    ]


async def _edits(program: Doorward, file: Path, site: Site, count: int) -> AsyncIterator[float]:
    """Edit one person after another, and give the milliseconds from sending until confirmed."""
    ends_at = datetime.now(UTC) + timedelta(days=5)
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as view:
        some = view.execute(
            "SELECT id, version FROM people WHERE site_id = ? ORDER BY id LIMIT ?", (site.id, count)
        ).fetchall()
    headers = {"Authorization": f"Bearer {site.tokens[0]}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for person_id, version in some:
            started = time.perf_counter()
            url = f"{program.api}/sites/{site.id}/people/{person_id}"
            body = {"expires_at": ends_at.isoformat()}
            async with http.patch(url, json=body, headers={"If-Match": f'"{version}"'}) as answer:
                assert answer.status == 200, await answer.text()
            await _until(lambda: _behind(file, site.id)[1] == 0, EDIT_PATIENCE_S)
            yield (time.perf_counter() - started) * 1000


def _behind(file: Path, site_id: SiteId) -> tuple[int, int]:
    """Return how many hubs are online, and how many of them lack something."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as view:
        row = view.execute(
            "SELECT count(*), coalesce(sum(revision_confirmed < revision_wanted), 0) FROM hubs"
            " WHERE site_id = ? AND online",
            (site_id,),
        ).fetchone()
    return row[0], row[1]


async def _furnish(made: Installation, site_id: SiteId, count: int) -> None:
    """Write people with tags, who may open all locks, and ask for all hubs."""
    again = Installation(
        made.folder, made.keys, made.authority, Database.open(f"sqlite:///{made.file}")
    )
    async with again.db.read() as tx:
        lock_ids = list((await tx.execute(select(locks.c.id))).scalars())
    await furnish_people(again, site_id, count, lock_ids)
    async with again.db.write() as tx:
        await tx.execute(update(hubs).values(revision_wanted=hubs.c.revision_wanted + 1))
    await again.db.close()


@asynccontextmanager
async def _hardware(program: Doorward, site: Site, folder: Path, count: int) -> AsyncIterator[None]:
    """Run simulated hubs for as long as the block is."""
    with (folder / "sim.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "firmware_sim", "--url", program.api.removesuffix("/api/v1")),
            *("--token", site.tokens[0], "--site", site.id, "--hubs", str(count)),
            *("--locks", str(LOCKS_PER_HUB), "--state", str(folder / "sim")),
            *("--broker-port", str(program.mqtt_port)),
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(STOP_PATIENCE_S):
            await process.wait()


async def _until(is_so: Callable[[], bool], patience_s: float) -> None:
    async with asyncio.timeout(patience_s):
        while not is_so():  # noqa: ASYNC110 - another process writes, which wakes nobody
            await asyncio.sleep(LOOK_S)
