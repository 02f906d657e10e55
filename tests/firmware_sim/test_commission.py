"""Registering hardware over the API, with a cloud that answers, and one that stops in between."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from firmware_sim import commission, fleet
from firmware_sim.chance import SystemChance
from firmware_sim.commission import CommissionRefusedError, Installer
from firmware_sim.fleet import Fleet, FleetError

SITE = "5" * 32


class Registry:
    """The cloud's side: what is registered, and how many answers it still gives."""

    def __init__(self) -> None:
        self.hubs: list[dict[str, Any]] = []
        self.locks: list[dict[str, Any]] = []
        self.answers_until_lost = 1000
        self.url = ""

    async def add_hub(self, request: web.Request) -> web.Response:
        """Register a hub."""
        claim = {"claim_url": "https://h:1/device/v1/claim", "ca_fingerprint": "ab" * 32}
        return self._add(self.hubs, {**await self._body(request), "claim": claim})

    async def add_lock(self, request: web.Request) -> web.Response:
        """Register a lock."""
        return self._add(self.locks, {**await self._body(request)})

    async def list_hubs(self, _request: web.Request) -> web.Response:
        """List the hubs."""
        return web.json_response({"items": self.hubs})

    async def list_locks(self, _request: web.Request) -> web.Response:
        """List the locks."""
        return web.json_response({"items": self.locks})

    async def _body(self, request: web.Request) -> dict[str, Any]:
        assert request.headers["Authorization"] == "Bearer secret-token"
        return dict(await request.json())

    def _add(self, known: list[dict[str, Any]], new: dict[str, Any]) -> web.Response:
        if any(each["serial"] == new["serial"] for each in known):
            return web.json_response({"detail": "in service already"}, status=409)
        new["id"] = f"{len(self.hubs) + len(self.locks):032x}"
        known.append(new)
        self.answers_until_lost -= 1
        if self.answers_until_lost < 0:
            return web.json_response({"detail": "the answer is lost"}, status=500)
        return web.json_response(new, status=201)


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    """A registry that listens."""
    made = Registry()
    app = web.Application()
    hubs = f"/api/v1/sites/{SITE}/hubs"
    app.router.add_post(hubs, made.add_hub)
    app.router.add_get(hubs, made.list_hubs)
    app.router.add_post(hubs + "/{hub}/locks", made.add_lock)
    app.router.add_get(f"/api/v1/sites/{SITE}/locks", made.list_locks)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def commissioned(registry: Registry, folder: Path) -> Fleet:
    """Register what the directory holds, or new hardware."""
    hardware = fleet.load(folder) or fleet.made(SITE, hubs=2, locks=3, chance=SystemChance())
    fleet.save(folder, hardware)
    async with aiohttp.ClientSession() as session:
        installer = Installer(url=registry.url, token="secret-token", session=session)
        return await commission.commission(hardware, installer, folder=folder)


async def test_everything_is_registered_with_what_its_sticker_says(
    registry: Registry, tmp_path: Path
) -> None:
    """Hubs and locks, each once, with ids and QR code written down."""
    done = await commissioned(registry, tmp_path)

    assert fleet.load(tmp_path) == done
    assert await commissioned(registry, tmp_path) == done
    assert [hub["serial"] for hub in registry.hubs] == [hub.serial for hub in done.hubs]
    locks = [lock for hub in done.hubs for lock in hub.locks]
    assert [lock["public_key"] for lock in registry.locks] == [lock.public_key for lock in locks]
    assert all(hub.hub_id and hub.claim_url and hub.ca_fingerprint for hub in done.hubs)
    assert len({lock.lock_id for lock in locks}) == 6


@pytest.mark.parametrize("answers", range(8))
async def test_an_answer_that_is_lost_registers_nothing_twice(
    registry: Registry, tmp_path: Path, answers: int
) -> None:
    """The next start goes on where this one stopped."""
    registry.answers_until_lost = answers
    with pytest.raises(CommissionRefusedError, match="the answer is lost"):
        await commissioned(registry, tmp_path)
    registry.answers_until_lost = 1000

    done = await commissioned(registry, tmp_path)

    assert len(registry.hubs) == 2
    assert len(registry.locks) == 6
    ids = {lock.lock_id for hub in done.hubs for lock in hub.locks}
    assert ids == {lock["id"] for lock in registry.locks}


async def test_a_cloud_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    """The error names the address."""
    registry = Registry()
    registry.url = "http://127.0.0.1:1"

    with pytest.raises(CommissionRefusedError, match=r"http://127\.0\.0\.1:1/.* does not answer"):
        await commissioned(registry, tmp_path)


def test_a_damaged_state_directory_is_said_to_be(tmp_path: Path) -> None:
    """The error names the file and what to do."""
    (tmp_path / fleet.FLEET_FILE).write_text('{"hubs": [{}]}')

    with pytest.raises(FleetError, match=r"fleet\.json is damaged .* Move it away"):
        fleet.load(tmp_path)
