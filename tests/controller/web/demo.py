"""A feature that is not there: one route of each kind, over a table of the tests' own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, TypedDict

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import Field
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

from controller.chance import RandomIds, SystemRandomness
from controller.db.engine import Database
from controller.db.tables.idempotency import idempotency_keys
from controller.domain.errors import Conflict, Refused, Stale
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import Action, Actor, ActorKind, HeldRole, SiteRole
from controller.web.api import Call, delete, get, page, patch, post
from controller.web.application import build
from controller.web.auth import PUBLIC, SIGNED_IN
from controller.web.idempotency import AnswerBook
from controller.web.models import WHOLE, In, Out, Versioned
from controller.web.operation import Surroundings
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of
from controller.web.rate_limit import RateLimiter

OWN = SiteId("a" * 32)
FOREIGN = SiteId("f" * 32)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))

own = MetaData()
doors = Table(
    "test_doors",
    own,
    Column("name", String(50), primary_key=True),
    Column("version", Integer, nullable=False),
)


class Hours(In):
    """When a door is open."""

    start_min: Annotated[int, Field(ge=0, lt=1440), WHOLE]
    end_min: Annotated[int, Field(ge=0, lt=1440), WHOLE]


class DoorIn(In):
    """A door to be."""

    name: Annotated[str, Field(min_length=1, max_length=50)]
    hours: Hours | None = None


class DoorOut(Versioned):
    """A door."""

    name: str


class Greeting(Out):
    """What the greeting says."""

    name: str
    at: datetime


@dataclass
class DemoApi:
    """Doors that know only their name."""

    tag = "doors"
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    done: int = 0

    @post("/sites/{site_id}/doors", requires=Action.MANAGE_HARDWARE, status=201, idempotent=True)
    async def add(self, call: Call, site_id: SiteId, body: DoorIn) -> DoorOut:
        """Add a door.

        The name "taken" is refused after the door was written, "busy" is a conflict, "bug" fails
        and "slow" waits for the gate.
        """
        assert site_id == OWN
        async with call.db.write() as tx:
            await tx.execute(insert(doors), {"name": body.name, "version": 1})
        self.done += 1
        match body.name:
            case "taken":
                raise Refused("name: taken; choose another.", name=body.name)
            case "busy":
                raise Conflict("Somebody else was first; try again.")
            case "bug":
                raise LookupError("a secret detail")
            case "slow":
                self.entered.set()
                await self.gate.wait()
            case _:
                pass
        return DoorOut(name=body.name, version=1)

    @patch("/sites/{site_id}/doors/{name}", requires=Action.MANAGE_HARDWARE)
    async def rename(
        self, call: Call, site_id: SiteId, name: str, if_match: int, body: DoorIn
    ) -> DoorOut:
        """Rename a door."""
        assert site_id == OWN
        async with call.db.write() as tx:
            one = update(doors).filter_by(name=name, version=if_match)
            changed = await tx.execute(one.values(name=body.name, version=if_match + 1))
            if changed.rowcount == 0:
                raise Stale("The door was changed meanwhile; read it again.")
        return DoorOut(name=body.name, version=if_match + 1)

    @get("/sites/{site_id}/doors", requires=Action.READ_HARDWARE)
    async def listed(
        self,
        call: Call,
        site_id: SiteId,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
        prefix: str | None = None,
    ) -> Page[DoorOut]:
        """List doors."""
        assert site_id == OWN
        query = select(doors).order_by(doors.c.name).limit(limit + 1)
        if after := decoded(cursor, str):
            query = query.where(doors.c.name > after[0])
        if prefix:
            query = query.where(doors.c.name.startswith(prefix))
        async with call.db.read() as tx:
            found = [DoorOut.model_validate(row) for row in (await tx.execute(query)).mappings()]
        return page_of(found, limit, lambda door: (door.name,))

    @delete("/doors/{name}", requires=SIGNED_IN)
    async def remove(self, call: Call, name: str) -> None:
        """Wait for the gate."""
        assert call.actor.name == name
        self.entered.set()
        await self.gate.wait()

    @get("/greeting", requires=PUBLIC)
    async def greeting(self, call: Call, name: str) -> Greeting:
        """Greet."""
        return Greeting(name=name, at=call.now)

    @page("/", requires=PUBLIC)
    async def start(self, call: Call) -> web.Response:
        """Show the start page."""
        return web.Response(text=f"hello from {call.address}", content_type="text/html")


class Tokens:
    """Knows two people: Ada runs OWN, Bob has no site."""

    async def actor_of(self, token: str) -> Actor | None:
        """Return who a token stands for."""
        roles = {"ada": {OWN: HeldRole.of(SiteRole.ADMIN)}, "bob": {}}
        if token not in roles:
            return None
        return Actor(
            kind=ActorKind.USER,
            account_id=AccountId(token.encode().hex().ljust(32, "0")),
            name=token,
            site_roles=roles[token],
        )


@dataclass
class ListedDenials:
    """Keeps refused changes in a list."""

    listed: list[tuple[str, str, str]] = field(default_factory=list)

    async def denied(
        self, actor: Actor, route: str, site_id: SiteId | None, code: str, *, now: datetime
    ) -> None:
        """Note who was refused what, and why."""
        assert now.tzinfo is not None
        assert site_id in {OWN, None}
        self.listed.append((actor.name, route, code))


@dataclass
class HandClock:
    """A link clock that is moved by hand."""

    now_s: float = 1000.0
    utc_now: datetime = NOW

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.now_s

    def utc(self) -> datetime:
        """Return UTC."""
        return self.utc_now


class StillCalendar:
    """A calendar that stands."""

    speed = 1

    def now(self) -> datetime:
        """Return the one instant there is."""
        return NOW


@dataclass(kw_only=True)
class Site:
    """The demo, served."""

    client: TestClient[web.Request, web.Application]
    api: DemoApi
    link: HandClock
    answers: AnswerBook
    db: Database

    async def add(
        self, name: str, *, key: str = "key-1", by: str = "ada"
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Add a door and return status, body and headers."""
        async with self.client.post(
            f"/api/v1/sites/{OWN}/doors",
            json={"name": name},
            headers={"Authorization": f"Bearer {by}", "Idempotency-Key": key},
        ) as response:
            return response.status, await response.read(), response.headers

    async def names(self) -> list[str]:
        """Return the names of all doors."""
        async with self.db.read() as tx:
            return list((await tx.execute(select(doors.c.name).order_by(doors.c.name))).scalars())


class Ground(TypedDict):
    """What ``build`` wants besides the features."""

    surroundings: Surroundings
    link: HandClock
    ids: RandomIds


def surroundings_of(db: Database) -> Ground:
    """Return what the demo stands on."""
    link, randomness = HandClock(), SystemRandomness()
    surroundings = Surroundings(
        db=db,
        calendar=StillCalendar(),
        authenticator=Tokens(),
        answers=AnswerBook(db, key=KEY, randomness=randomness, link=link),
        limiter=RateLimiter(link),
        denials=ListedDenials(),
    )
    return Ground(surroundings=surroundings, link=link, ids=RandomIds(randomness))


@asynccontextmanager
async def served(db: Database, *, deadline_s: float = 10) -> AsyncIterator[Site]:
    """Serve the demo on a free port of this machine."""
    async with db.write() as tx:
        await tx._connection.run_sync(own.create_all)
        await tx._connection.run_sync(idempotency_keys.create, checkfirst=True)
    api, ground = DemoApi(), surroundings_of(db)
    application = build([api], **ground, deadline_s=deadline_s)
    answers = ground["surroundings"].answers
    async with TestClient(TestServer(application)) as client:
        yield Site(client=client, api=api, link=ground["link"], answers=answers, db=db)
