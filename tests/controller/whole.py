"""The whole cloud as app.py puts it together, in this process and on a clock moved by hand.

Everybody is here: an operator, a supplier, an installer, the owner of a site and those who can get
a role there, and the owner of another one.
"""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from controller import keys as key_file
from controller.bus import ProcessBus
from controller.chance import RandomIds, SystemRandomness
from controller.cloud import Cloud, Ports
from controller.db.engine import Database
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import SYSTEM, CloudRole
from controller.hardware.service import DeviceAddresses
from controller.pki import Authority
from controller.settings import Settings
from controller.sites.role_rows import give
from controller.threads import PoolThreads

NOW: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
PASSWORD: Final = "correct horse battery staple"
STICKER: Final = "ABCD-EFGH-JKMN-PQRS"
ABSENT: Final = "0" * 32
PLAN: Final = {"kind": "plan", "plan": "pro", "users": 10, "term_days": 30}
CLOUD_ROLES: Final = {
    "operator": CloudRole.OPERATOR,
    "supplier": CloudRole.SUPPLIER,
    "rival": CloudRole.SUPPLIER,
    "installer": CloudRole.INSTALLER,
    "owner": None,
    "admin": None,
    "super_user": None,
    "user": None,
    "keeper": None,
    "helper": CloudRole.INSTALLER,
    "former_helper": CloudRole.INSTALLER,
    "neighbour": None,
    "stranger": None,
}


@dataclass
class Clocks:
    """Calendar and link clock in one; they stand until they are moved."""

    at: datetime = NOW
    real: datetime = NOW
    monotonic_s: float = 1_000.0
    speed: int = 1

    def pass_by(self, seconds: float) -> None:
        """Let real time pass."""
        self.real += timedelta(seconds=seconds)
        self.monotonic_s += seconds


@dataclass(frozen=True)
class HandCalendar:
    """The calendar."""

    clocks: Clocks
    speed: int = 1

    def now(self) -> datetime:
        """Return its instant."""
        return self.clocks.at


@dataclass(frozen=True)
class HandClock:
    """The link clock."""

    clocks: Clocks

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.clocks.monotonic_s

    def utc(self) -> datetime:
        """Return UTC."""
        return self.clocks.real


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API said."""

    status: int
    raw: bytes
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        """Return the code of a refusal."""
        return str(self.body["code"])

    @property
    def field(self) -> str:
        """Return the field that a refusal names."""
        if self.body.get("errors"):
            return str(self.body["errors"][0]["field"])
        return str(self.body["facts"]["field"])


@dataclass(kw_only=True)
class Whole:
    """The cloud, served."""

    db: Database
    client: TestClient[web.Request, web.Application]
    clocks: Clocks
    tokens: dict[str, str] = field(default_factory=dict)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        by: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """Send one request below /api/v1; POST gets a fresh Idempotency-Key unless given one."""
        self.clocks.pass_by(1)  # nobody here is in a hurry: rate limits are another test's
        sent = {"Idempotency-Key": f"key-{next(self.numbers)}"} if method == "POST" else {}
        if by is not None:
            sent["Authorization"] = f"Bearer {self.tokens.get(by, by)}"
        sent |= headers or {}
        extra: dict[str, Any] = {"json": body} if data is None else {"data": data}
        async with self.client.request(method, f"/api/v1{path}", headers=sent, **extra) as response:
            is_stream = response.content_type == "text/event-stream"  # which has no end
            raw = await (response.content.readany() if is_stream else response.read())
            shown = await response.json(content_type=None) if raw[:1] in {b"{", b"["} else None
            return Answer(status=response.status, raw=raw, headers=response.headers, body=shown)

    async def make(self, method: str, path: str, body: object = None, *, by: str) -> Any:
        """Send a request that must succeed and return the body."""
        answer = await self.ask(method, path, body, by=by)
        assert answer.status < 300, (method, path, answer.body)
        return answer.body

    async def sign_in(self, name: str) -> None:
        """Sign in as ``name``."""
        body = {"email": f"{name}@example.org", "password": PASSWORD}
        self.tokens[name] = (await self.make("POST", "/sessions", body, by=""))["token"]

    async def site(self, *, owner: str | None = "owner") -> str:
        """Create a site, handed over unless ``owner`` is None, and return its id."""
        body = {"name": "House", "time_zone": "Europe/Madrid", "buy_from": "the shop"}
        site_id = str((await self.make("POST", "/sites", body, by="installer"))["id"])
        if owner is not None:
            path = f"/sites/{site_id}/hand-over"
            owner_email = f"{owner}@example.org"
            await self.make("POST", path, {"owner_email": owner_email}, by="installer")
        return site_id

    async def join(self, site_id: str, name: str, role: str) -> None:
        """Give somebody a role at a site, as an invitation and an owner would."""
        account_id = AccountId((await self.make("GET", "/me", by=name))["account_id"])
        async with self.db.write() as tx:
            await give(tx, SiteId(site_id), account_id, role, granted_by=None)

    async def code(
        self,
        product: Mapping[str, object] = PLAN,
        *,
        days: float = 365,
        by: str = "supplier",
    ) -> str:
        """Mint a voucher and return its code."""
        until = (self.clocks.at + timedelta(days=days)).isoformat()
        body = {"product": product, "count": 1, "redeem_until": until}
        minted = await self.make("POST", "/voucher-batches", body, by=by)
        return str(minted["codes"][0]["code"])

    async def redeem(self, site_id: str, code: str, *, by: str = "owner") -> Answer:
        """Redeem a voucher."""
        return await self.ask("POST", f"/sites/{site_id}/redemptions", {"code": code}, by=by)


@asynccontextmanager
async def whole(url: str, folder: Path) -> AsyncIterator[Whole]:
    """Serve the whole cloud on a free port of this machine, with everybody signed in.

    Args:
        url: An empty database with the present schema.
        folder: Where its files may be.
    """
    db = Database.open(url)
    try:
        async with _serving(db, folder) as served:
            yield served
    finally:
        await db.close()


def sqlite_url(image: Path, folder: Path) -> str:
    """Return the URL of a copy of a SQLite file."""
    copy = folder / "doorward.sqlite"
    shutil.copyfile(image, copy)
    return f"sqlite:///{copy}"


@asynccontextmanager
async def _serving(db: Database, folder: Path) -> AsyncIterator[Whole]:
    clocks, threads, randomness = Clocks(), PoolThreads(), SystemRandomness()
    authority = Authority(folder / "keys", public_host="localhost", now=NOW)
    ports = Ports(
        link=HandClock(clocks),
        randomness=randomness,
        ids=RandomIds(randomness),
        bus=ProcessBus(),
        threads=threads,
        calendar=HandCalendar(clocks),
    )
    addresses = DeviceAddresses(
        public_host="localhost",
        claim_port=8443,
        broker_host="localhost",
        broker_port=8883,
        ca_fingerprint=authority.fingerprint,
    )
    cloud = Cloud(
        Settings(data_dir=folder),
        db,
        ports,
        keys=key_file.load(folder / "keys", randomness, first_start=True),
        authority=authority,
        addresses=addresses,
    )
    for name, cloud_role in CLOUD_ROLES.items():
        await cloud.accounts.create(
            db,
            SYSTEM,
            email=f"{name}@example.org",
            name=name.capitalize(),
            password=PASSWORD,
            cloud_role=cloud_role,
            now=NOW,
        )
    async with TestClient(TestServer(cloud.pages(dict, cut=lambda _: None))) as client:
        served = Whole(db=db, client=client, clocks=clocks)
        for name in CLOUD_ROLES:
            await served.sign_in(name)
        yield served
    threads.close()
