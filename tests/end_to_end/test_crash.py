"""Kill -9 between any two steps of redeem and of expire leaves the old or the new, never half."""

import asyncio
import re
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from tests.end_to_end import mortal
from tests.end_to_end.cloud import Answer, Client, Cloud, ports
from tests.end_to_end.conftest import Measured
from tests.end_to_end.mortal import Fuse
from tests.end_to_end.programs import environment, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SITES: Final = 20
STEPS_MAX: Final = 30
STEPS_MIN: Final = 8  # five tables, a hub, the commit and what comes after it, at the least
FAST: Final = 100_000  # a free week takes six seconds
REDEEM: Final = "INSERT INTO idempotency_keys"
EXPIRE: Final = "UPDATE subscriptions SET expired"

# Everything that a redemption or an expiry of a site writes; each column is one of its steps.
WITNESS: Final = """
SELECT
    (SELECT count(*) FROM vouchers WHERE redeemed_site_id = sites.id),
    (SELECT version FROM subscriptions WHERE site_id = sites.id),
    (SELECT max(number) FROM subscription_history WHERE site_id = sites.id),
    (SELECT count(*) FROM subscription_history WHERE site_id = sites.id),
    (SELECT count(*) FROM value_ledger WHERE site_id = sites.id),
    (SELECT count(*) FROM audit_records WHERE site_id = sites.id),
    (SELECT count(*) FROM outbox WHERE site_id = sites.id AND kind != 'subscription.ending'),
    (SELECT lease_wanted FROM hubs WHERE site_id = sites.id),
    (SELECT expired FROM subscriptions WHERE site_id = sites.id)
FROM sites ORDER BY id
"""
OLD: Final = (0,) * 9
REDEEMED: Final = (1, 1, 1, 1, 1, 1, 1, 1, 0)
EXPIRED: Final = (0, 1, 1, 1, 1, 1, 1, 1, 1)
RENEWED: Final = (1, 2, 2, 2, 2, 2, 2, 2, 0)

Witness = list[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Installation:
    """A stopped cloud with sites in their free week, each with a hub, and a voucher for each."""

    cloud: Cloud
    sites: list[str]
    codes: list[str]
    owner: Client
    before: Witness

    def copied(self, folder: Path) -> "Installation":
        """The same again, to be crashed."""
        shutil.copytree(self.cloud.data, folder / "data")
        cloud = Cloud(folder)
        cloud.operator = self.cloud.operator
        owner = Client(cloud, self.owner.token)
        return Installation(cloud, self.sites, self.codes, owner, self.before)

    def changes(self) -> Witness:
        """What the file says that has happened to each site since, as counts."""
        return [
            tuple(now - before for now, before in zip(*both, strict=True))
            for both in zip(witness(self.cloud), self.before, strict=True)
        ]

    async def redeem(self, number: int) -> Answer:
        """Redeem a site's voucher, always with the same key."""
        path = f"/sites/{self.sites[number]}/redemptions"
        body = {"code": self.codes[number]}
        return await self.owner.ask("POST", path, body, key=f"redemption-{number}")


def witness(cloud: Cloud) -> Witness:
    """Read a copy of the file, so that the next start finds it as the crash left it."""
    autopsy = cloud.folder / "autopsy"
    shutil.rmtree(autopsy, ignore_errors=True)
    autopsy.mkdir()
    for path in cloud.data.glob("doorward.sqlite*"):
        shutil.copy(path, autopsy)
    with closing(sqlite3.connect(autopsy / "doorward.sqlite")) as database:
        return database.execute(WITNESS).fetchall()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """An installation to be copied."""
    async with Cloud(tmp_path_factory.mktemp("prepared")) as cloud:
        owner = await cloud.account("owner")
        sites = []
        for number in range(SITES):
            name = {"name": f"{number}", "time_zone": "Europe/Madrid", "buy_from": "supplier"}
            site = (await cloud.installer.post("/sites", name))["id"]
            hub = {"name": "Hub", "serial": f"IQ-{number}", "activation_code": "0123456789ABCDEF"}
            await cloud.installer.post(f"/sites/{site}/hubs", hub)
            to_owner = {"owner_email": "owner@doorward.example"}
            await cloud.installer.post(f"/sites/{site}/hand-over", to_owner)
            sites.append(site)
        codes = await cloud.codes(SITES)
        await cloud.stop()
        yield Installation(cloud, sorted(sites), codes, owner, witness(cloud))


@asynccontextmanager
async def dying(cloud: Cloud, fuse: Fuse, *, speed: int = 1) -> AsyncIterator[Any]:
    """A cloud with a fuse, for as long as it lives."""
    settings = cloud.settings | ports() | {"speed": speed}
    output = said(cloud)
    output.write_text("")
    process = mortal.start(["up"], environment(settings), output=output, fuse=fuse)
    async with aiohttp.ClientSession() as cloud.http:
        try:
            yield process
        finally:
            process.kill()
            await until(lambda: process.exitcode is not None, "it is dead")


def said(cloud: Cloud) -> Path:
    """Where a dying cloud's lines go."""
    return cloud.folder / "mortal.out"


def answers(cloud: Cloud) -> bool:
    """Whether a cloud has told where it answers."""
    found = re.search(r"runs at ([^\s;]+)", said(cloud).read_text())
    cloud.url = found[1] if found else ""
    return found is not None


@pytest.mark.invariant("V1", "V2", "V3")
async def test_a_redemption_happens_as_a_whole(
    prepared: Installation, tmp_path: Path, record_property: Measured
) -> None:
    """Whatever step was the last: nothing or all; and the retry with the same key completes."""
    crashed = prepared.copied(tmp_path)
    deaths: list[Witness] = []
    given: list[Answer] = []

    while not given:
        assert len(deaths) < STEPS_MAX
        async with dying(crashed.cloud, Fuse(REDEEM, len(deaths))) as process:
            await until(lambda: answers(crashed.cloud), "it answers")
            try:
                given = [await crashed.redeem(0), await crashed.redeem(0)]
            except aiohttp.ClientError:
                await until(lambda: process.exitcode == -signal.SIGKILL, "it killed itself")
                deaths.append(crashed.changes())

    nothing, done = [OLD] * SITES, [REDEEMED] + [OLD] * (SITES - 1)
    record_property("deaths", len(deaths))
    assert len(deaths) >= STEPS_MIN
    assert deaths == [nothing] * (len(deaths) - 1) + [done], "only the last was after the commit"
    assert [answer.status for answer in given] == [201, 201]
    assert given[0].text == given[1].text
    assert crashed.changes() == done


@pytest.mark.invariant("V2", "E9")
async def test_an_expiry_happens_as_a_whole(
    prepared: Installation, tmp_path: Path, record_property: Measured
) -> None:
    """Of many sites at once: after each death none has expired or all have, and each once."""
    crashed = prepared.copied(tmp_path)
    deaths: list[Witness] = []

    while not deaths or deaths[-1] == [OLD] * SITES:
        assert len(deaths) < STEPS_MAX
        fuse, speed = Fuse(EXPIRE, len(deaths)), 1 if deaths else FAST  # the end is over by then
        async with dying(crashed.cloud, fuse, speed=speed) as process:
            await until(lambda: process.exitcode == -signal.SIGKILL, "it killed itself")
            deaths.append(crashed.changes())

    record_property("deaths", len(deaths))
    assert len(deaths) >= STEPS_MIN
    assert deaths[-1] == [EXPIRED] * SITES
    async with crashed.cloud:
        assert (await crashed.redeem(0)).status == 201
    assert crashed.changes() == [RENEWED] + [EXPIRED] * (SITES - 1)


@pytest.mark.invariant("V1", "V2", "V3")
async def test_what_was_answered_survives(prepared: Installation, tmp_path: Path) -> None:
    """Kill -9 amid many redemptions: each whole or not at all, and what was told holds."""
    crashed = prepared.copied(tmp_path)
    heard: dict[int, Answer] = {}

    async def redeem(number: int, *, enough: int) -> None:
        heard[number] = await crashed.redeem(number)
        if len(heard) == enough:
            await crashed.cloud.program.kill()

    for enough in (1, SITES // 3, 2 * SITES // 3):
        async with crashed.cloud:
            waiting = [number for number in range(SITES) if number not in heard]
            redemptions = (redeem(number, enough=enough) for number in waiting)
            failed = await asyncio.gather(*redemptions, return_exceptions=True)
        assert any(isinstance(each, aiohttp.ClientError) for each in failed)
        changes = crashed.changes()
        assert set(changes) <= {OLD, REDEEMED}
        assert all(changes[number] == REDEEMED for number in heard)

    async with crashed.cloud:
        again = [await crashed.redeem(number) for number in range(SITES)]
    assert {answer.status for answer in again} == {201}
    assert all(again[number].text == answer.text for number, answer in heard.items())
    assert crashed.changes() == [REDEEMED] * SITES
