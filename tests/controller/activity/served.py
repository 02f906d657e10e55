"""Serves what has happened at the ground, to its admins."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from controller.activity.api import ActivityApi
from controller.activity.incidents_api import IncidentsApi
from controller.audit.service import Audit
from controller.chance import RandomIds, SystemRandomness
from controller.domain.catalogue import load
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import Actor, ActorKind, HeldRole, SiteRole
from controller.subscriptions.entitlement import Entitlement
from controller.web.application import build
from tests.controller.ground import Ground, name
from tests.controller.web.demo import surroundings_of

Client = TestClient[web.Request, web.Application]
OWN = name("site", 0)


class Tokens:
    """Knows the admin of the first site, and somebody of the second."""

    async def actor_of(self, token: str) -> Actor | None:
        """Return who a token stands for."""
        site = {"ada": 0, "bob": 1}[token]
        return Actor(
            kind=ActorKind.USER,
            account_id=AccountId(token.encode().hex().ljust(32, "0")),
            name=token,
            site_roles={SiteId(name("site", site)): HeldRole.of(SiteRole.ADMIN)},
        )


@contextlib.asynccontextmanager
async def served(ground: Ground) -> AsyncIterator[Client]:
    """Serve entries and incidents of the ground."""
    under = surroundings_of(ground.db)
    under["surroundings"] = replace(under["surroundings"], authenticator=Tokens())
    seen = IncidentsApi(Audit(RandomIds(SystemRandomness())))
    async with TestClient(
        TestServer(build([ActivityApi(Entitlement(load())), seen], **under))
    ) as client:
        yield client


async def ask(
    client: Client, path: str, *, by: str = "ada", method: str = "GET", **query: Any
) -> tuple[int, Any]:
    """Return status and body of an answer."""
    query = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in query.items()
    }
    async with client.request(
        method,
        f"/api/v1/sites/{OWN}/{path}",
        params=query,
        headers={"Authorization": f"Bearer {by}"},
    ) as response:
        return response.status, await response.json()
