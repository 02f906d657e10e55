"""Registering hardware as an installer does: over the public REST API, sticker by sticker."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from firmware_sim import fleet
from firmware_sim.fleet import Fleet, HubUnit, LockUnit

PATIENCE: Final = aiohttp.ClientTimeout(total=30)
BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
TRIES: Final = 8
PAUSE_S: Final = 1.0


class CommissionRefusedError(Exception):
    """The cloud did not take a device; the text is the cloud's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """Somebody who may register hardware."""

    url: str
    token: str
    session: aiohttp.ClientSession

    async def register(
        self, path: str, body: Mapping[str, object], *, listed: str
    ) -> dict[str, Any]:
        """Return the device that was registered, now or before an answer was lost.

        Raises:
            CommissionRefusedError: The cloud refused or cannot be reached.
        """
        status, answer = await self._ask("POST", path, body)
        if status == HTTPStatus.CONFLICT:
            _, known = await self._ask("GET", listed, None)
            mine = [each for each in known.get("items", ()) if each["serial"] == body["serial"]]
            if mine:
                return dict(mine[0])
        if status >= HTTPStatus.BAD_REQUEST:
            detail = answer.get("detail") or answer.get("title") or answer
            raise CommissionRefusedError(f"{path}: {detail} ({status})")
        return answer

    async def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> tuple[int, dict[str, Any]]:
        """Return status and answer; wait while the cloud is busy."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = URL(self.url) / "api/v1" / path
        for _ in range(TRIES):
            try:
                async with self.session.request(
                    method, url, json=body, headers=headers, timeout=PATIENCE
                ) as response:
                    if response.status not in BUSY:
                        return response.status, dict(await response.json(content_type=None))
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise CommissionRefusedError(f"{url} does not answer: {error}") from error
            await asyncio.sleep(PAUSE_S)
        raise CommissionRefusedError(f"{url} is too busy")


async def commission(new: Fleet, installer: Installer, *, folder: Path) -> Fleet:
    """Register what is not registered yet, and write down each step before the next.

    Raises:
        CommissionRefusedError: The cloud refused a device.
    """
    done = new
    for index, hub in enumerate(new.hubs):
        registered = hub if hub.hub_id else await _register_hub(new.site_id, hub, installer)
        done = _saved(folder, done, index, registered)
        for place, lock in enumerate(registered.locks):
            if lock.lock_id is None:
                lock_id = await _register_lock(new.site_id, registered, lock, installer)
                locks = list(registered.locks)
                locks[place] = replace(lock, lock_id=lock_id)
                registered = replace(registered, locks=tuple(locks))
                done = _saved(folder, done, index, registered)
    return done


def _saved(folder: Path, whole: Fleet, index: int, hub: HubUnit) -> Fleet:
    hubs = list(whole.hubs)
    hubs[index] = hub
    whole = replace(whole, hubs=tuple(hubs))
    fleet.save(folder, whole)
    return whole


async def _register_hub(site_id: str, hub: HubUnit, installer: Installer) -> HubUnit:
    answer = await installer.register(
        f"sites/{site_id}/hubs",
        {"name": f"Hub {hub.name}", "serial": hub.serial, "activation_code": hub.code},
        listed=f"sites/{site_id}/hubs",
    )
    qr_code = answer["claim"]
    return replace(
        hub,
        hub_id=answer["id"],
        claim_url=qr_code["claim_url"],
        ca_fingerprint=qr_code["ca_fingerprint"],
    )


async def _register_lock(site_id: str, hub: HubUnit, lock: LockUnit, installer: Installer) -> str:
    answer = await installer.register(
        f"sites/{site_id}/hubs/{hub.hub_id}/locks",
        {
            "name": f"Door {lock.name}",
            "serial": lock.serial,
            "public_key": lock.public_key,
            "secret_code": lock.code,
            "capacity": lock.capacity,
        },
        listed=f"sites/{site_id}/locks",
    )
    return str(answer["id"])
