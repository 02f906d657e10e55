"""How many vouchers a second can be redeemed, and that fifty who race for one have one winner."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from bench import bare
from bench.installation import CATALOGUE, Installation, Site, at
from bench.load import together
from bench.process import doorward
from bench.report import Line
from controller.access.gates import Gates
from controller.access.offline import OfflineRoom
from controller.accounts.guessing import GuessLimit
from controller.audit.service import Audit
from controller.bus import ProcessBus
from controller.clock import SystemLinkClock
from controller.domain.voucher import VoucherAlreadyRedeemed
from controller.people.changes import Changes
from controller.people.custom_pins import CustomPins
from controller.subscriptions.entitlement import Entitlement
from controller.subscriptions.service import Subscriptions
from controller.sync.service import Sync

RACERS: Final = 50
AT_ONCE: Final = 50
REDEEMED: Final = "redeemed"
OWNERS: Final = 20  # who take turns: one alone would meet his rate limit

Redeem = Callable[[Site, int, str], Awaitable[str]]
"""Redeem a code at a site as its n-th owner and return how it went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done."""

    redeems: int = 150  # in each round
    sites: int = 100
    rounds: int = 3


async def measure(folder: Path, size: Size) -> list[Line]:
    """Return redeems a second beside bare transactions a second."""
    made = await Installation.make(folder)
    ground = _Ground(
        places={
            "one site": await made.add_sites(1, owners=OWNERS),
            "many sites": await made.add_sites(size.sites),
        },
        codes=iter(await made.mint(size.redeems * size.rounds * 4 + 2)),
        size=size,
    )
    limits = {
        name: bare.redeems(made.file, [site.id for site in sites], count=size.redeems)
        for name, sites in ground.places.items()
    }
    lines = await ground.lines("service", _by_service(made), limits)
    await made.db.close()
    async with doorward(folder) as program, aiohttp.ClientSession() as http:
        by_http = partial(_by_http, http, program.api)
        return lines + await ground.lines("HTTP", by_http, limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    places: Mapping[str, Sequence[Site]]
    codes: Iterator[str]
    size: Size

    async def lines(self, way: str, redeem: Redeem, limits: Mapping[str, float]) -> list[Line]:
        """Measure one way to redeem."""
        lines = [
            Line(
                what=f"{name}, {way}, {AT_ONCE} at once",
                rounds=[await self._rate(redeem, sites) for _ in range(self.size.rounds)],
                unit="redeems/s",
                limit=limits[name],
                limit_is="the same rows by sqlite3 alone, FULL sync",
            )
            for name, sites in self.places.items()
        ]
        winners = await self._race(redeem)
        return [*lines, Line(what=f"{RACERS} racers, {way}", rounds=[winners], unit="winner")]

    async def _rate(self, redeem: Redeem, sites: Sequence[Site]) -> float:
        """Return redeems a second; every one of them must count."""
        count = self.size.redeems
        jobs = [
            partial(redeem, sites[number % len(sites)], number, next(self.codes))
            for number in range(count)
        ]
        results, took_s = await together(jobs, at_once=AT_ONCE)
        _require(Counter(results), {REDEEMED: count})
        return count / took_s

    async def _race(self, redeem: Redeem) -> int:
        """Return how many of those who redeem one voucher at the same moment get it."""
        (site,), code = self.places["one site"], next(self.codes)
        results = await asyncio.gather(*(redeem(site, racer, code) for racer in range(RACERS)))
        counts = Counter(results)
        _require(counts, {REDEEMED: 1, VoucherAlreadyRedeemed.code: RACERS - 1})
        return counts[REDEEMED]


def _by_service(made: Installation) -> Redeem:
    audit, sync, entitlement = Audit(made.ids), Sync(ProcessBus()), Entitlement(CATALOGUE)
    changes = Changes(entitlement=entitlement, room=OfflineRoom(), sync=sync, audit=audit)
    custom_pins = CustomPins(changes=changes, entitlement=entitlement)
    subscriptions = Subscriptions(
        CATALOGUE,
        pepper=made.keys.voucher_pepper,
        audit=audit,
        sync=sync,
        guesses=GuessLimit(SystemLinkClock()),
        gates=Gates(changes=changes, entitlement=entitlement, custom_pins=custom_pins),
    )

    async def redeem(site: Site, owner: int, code: str) -> str:
        actor = at(site.owners[owner % len(site.owners)], site)
        try:
            async with made.db.write() as tx:
                await subscriptions.redeem(tx, actor, site.id, code, now=datetime.now(UTC))
        except VoucherAlreadyRedeemed as refusal:
            return refusal.code
        return REDEEMED

    return redeem


async def _by_http(http: aiohttp.ClientSession, api: str, site: Site, owner: int, code: str) -> str:
    headers = {
        "Authorization": f"Bearer {site.tokens[owner % len(site.tokens)]}",
        "Idempotency-Key": f"{code}-{owner}",
    }
    url = f"{api}/sites/{site.id}/redemptions"
    async with http.post(url, json={"code": code}, headers=headers) as response:
        answer = await response.json()
        return REDEEMED if response.status == 201 else str(answer["code"])


def _require(counts: Counter[str], expected: dict[str, int]) -> None:
    if counts != expected:
        raise RuntimeError(f"redeeming went wrong: {counts} instead of {expected}")
