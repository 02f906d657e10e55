"""The world behind a real HTTP server, and a client that signs in."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from controller.accounts.api import AccountsApi
from controller.accounts.passwords import Passwords
from controller.accounts.service import Accounts, TokenAuthenticator
from controller.audit.denials import DenialBook
from controller.chance import SystemRandomness
from controller.domain.roles import CloudRole
from controller.sites.api import SitesApi
from controller.sites.roles_api import RolesApi
from controller.subscriptions.api import SubscriptionsApi
from controller.subscriptions.voucher_api import VouchersApi
from controller.threads import PoolThreads
from controller.web.api import Api
from controller.web.application import build
from controller.web.idempotency import AnswerBook
from controller.web.operation import Surroundings
from controller.web.rate_limit import RateLimiter
from tests.controller.subscriptions.world import CATALOGUE, World

PASSWORD = "correct horse battery staple"
STORED: list[str] = []  # the one password's hash: it takes long, and all share it
GRACE = timedelta(hours=24)


class Calendar:
    """The calendar of a world."""

    speed = 1

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> Any:
        """Return the world's instant."""
        return self._world.now


@dataclass(kw_only=True)
class Served:
    """The world, and its front door."""

    world: World
    client: TestClient[web.Request, web.Application]
    accounts: Accounts
    passwords: Passwords

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        key: str | None = None,
        etag: str | None = None,
    ) -> tuple[int, Any]:
        """Send a request and return status and body."""
        status, answer, _ = await self.ask_all(method, path, body, token=token, key=key, etag=etag)
        return status, answer

    async def ask_all(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        key: str | None = None,
        etag: str | None = None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Send a request and return status, body and headers."""
        headers = {
            name: value
            for name, value in {
                "Authorization": f"Bearer {token}" if token else None,
                "Idempotency-Key": key,
                "If-Match": etag,
            }.items()
            if value
        }
        async with self.client.request(
            method, f"/api/v1{path}", json=body, headers=headers
        ) as response:
            is_json = response.content_type.endswith("json")
            answer = await response.json() if is_json else await response.text()
            return response.status, answer, response.headers

    async def enrol(self, name: str, cloud_role: CloudRole | None = None) -> str:
        """Create an account with a password and sign in; return the token."""
        if not STORED:
            STORED.append(await self.passwords.hash(PASSWORD))
        await self.world.account(name, cloud_role, STORED[0])
        return await self.sign_in(name)

    async def sign_in(self, name: str) -> str:
        """Sign in and return the token."""
        status, answer = await self.ask(
            "POST", "/sessions", {"email": f"{name}@example.org", "password": PASSWORD}
        )
        assert status == 201, answer
        return str(answer["token"])


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Served]:
    """Serve a world on a free port of this machine."""
    randomness, threads = SystemRandomness(), PoolThreads()
    passwords = Passwords(threads, randomness)
    accounts = Accounts(
        ids=world.ids,
        randomness=randomness,
        link=world.link,
        passwords=passwords,
        audit=world.audit,
        guesses=world.guesses,
    )
    surroundings = Surroundings(
        db=world.db,
        calendar=Calendar(world),
        authenticator=TokenAuthenticator(world.db, world.link),
        answers=AnswerBook(world.db, key=bytes(32), randomness=randomness, link=world.link),
        limiter=RateLimiter(world.link),
        denials=DenialBook(world.db, world.audit),
    )
    apis: list[Api] = [
        AccountsApi(accounts),
        SitesApi(world.sites),
        RolesApi(world.roles, world.custom_roles),
        SubscriptionsApi(world.subscriptions, catalogue=CATALOGUE, offline_grace=GRACE),
        VouchersApi(world.batches),
    ]
    application = build(apis, surroundings, link=world.link, ids=world.ids)
    try:
        async with TestClient(TestServer(application)) as client:
            yield Served(world=world, client=client, accounts=accounts, passwords=passwords)
    finally:
        threads.close()
