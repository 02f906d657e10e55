"""Events as they come, and what changed, as far back as plan and memory go."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert, select

from controller.activity.api import ActivityApi
from controller.activity.queries import gaps
from controller.activity.retention import ForgetEntries
from controller.audit.denials import DenialBook
from controller.audit.service import Audit
from controller.chance import RandomIds, SystemRandomness
from controller.db.tables.activity import entries
from controller.domain.catalogue import load
from controller.domain.happenings import Happening
from controller.domain.ids import LockId
from controller.notifications.activity_log import ActivityLogApi
from controller.notifications.events import KEPT, Events
from controller.notifications.events_api import EventsApi
from controller.web.api import Api
from controller.web.application import build
from controller.web.idempotency import AnswerBook
from controller.web.operation import Surroundings
from controller.web.rate_limit import RateLimiter
from gateway.protocol.messages import EntryKind
from tests.controller.people.ground import KEYS, NOW, OWN, Ground, Tokens
from vouchers.products import Plan

PATIENCE_S = 10.0
LOCK = LockId("1" * 32)


@asynccontextmanager
async def records(ground: Ground) -> AsyncIterator[tuple[TestClient[Any, Any], Events]]:
    """Serve stream, entries and log of the ground's sites."""
    events, entitlement = Events(ground.db, ground.bus), ground.services.entitlement
    ids = RandomIds(SystemRandomness())
    surroundings = Surroundings(
        db=ground.db,
        calendar=ground.calendar,
        authenticator=Tokens(),
        answers=AnswerBook(
            ground.db, key=KEYS.idempotency_key, randomness=SystemRandomness(), link=ground.link
        ),
        limiter=RateLimiter(ground.link),
        denials=DenialBook(ground.db, Audit(ids)),
    )
    apis: list[Api] = [
        EventsApi(events, entitlement=entitlement),
        ActivityLogApi(entitlement),
        ActivityApi(entitlement),
    ]
    application: web.Application = build(apis, surroundings, link=ground.link, ids=ids)
    async with TestClient(TestServer(application)) as client, asyncio.timeout(PATIENCE_S):
        yield client, events


async def happen(ground: Ground, events: Events, *ids: str) -> None:
    """Let things happen."""
    some = [Happening(site_id=OWN, id=one, kind="intrusion", at=NOW) for one in ids]
    async with ground.db.write() as tx:
        await events.note(tx, some, now=ground.calendar.now())


async def next_event(response: ClientResponse) -> dict[str, Any]:
    """Return the next event that says something."""
    found: dict[str, Any] = {}
    while True:
        line = (await response.content.readline()).decode().rstrip("\n")
        if not line and "data" in found:
            facts: dict[str, Any] = json.loads(found["data"])
            return found | facts
        name, _, value = line.partition(": ")
        if name in {"id", "event", "data"}:
            found[name] = value


def stream(client: TestClient[Any, Any], **headers: str) -> Any:
    """Listen."""
    given = {"Authorization": "Bearer ada"} | headers
    return client.get(f"/api/v1/sites/{OWN}/events", headers=given)


async def test_whoever_listens_hears_what_happens_in_order(ground: Ground) -> None:
    """Without a place to begin the stream begins with what happens next, and is numbered."""
    async with records(ground) as (client, events):
        await happen(ground, events, "before")
        async with stream(client) as response:
            await happen(ground, events, "first", "second")
            heard = [await next_event(response) for _ in range(2)]

    assert [(one["event"], one["id"]) for one in heard] == [
        ("intrusion", "first"),
        ("intrusion", "second"),
    ]


async def test_whoever_was_cut_off_misses_nothing(ground: Ground) -> None:
    """The last number that arrived is where it goes on."""
    async with records(ground) as (client, events):
        await happen(ground, events, "a", "b", "c")
        async with stream(client, **{"Last-Event-ID": "1"}) as response:
            heard = [(await next_event(response))["id"] for _ in range(2)]

    assert heard == ["b", "c"]


async def test_whoever_is_too_far_behind_is_told_what_is_gone(ground: Ground) -> None:
    """After a week events are gone; the stream says which, and goes on with what there is."""
    async with records(ground) as (client, events):
        await happen(ground, events, "a", "b")
        ground.calendar.at = NOW + KEPT + timedelta(seconds=1)
        async with ground.db.write() as tx:
            assert await events.forget(tx, now=ground.calendar.now(), limit=10) == 2
        await happen(ground, events, "c")
        async with stream(client, **{"Last-Event-ID": "0"}) as response:
            heard = [await next_event(response) for _ in range(2)]

    assert (heard[0]["event"], heard[0]["first_missed"], heard[0]["last_missed"]) == (
        "missed",
        1,
        2,
    )
    assert heard[1]["id"] == "c"


@pytest.mark.invariant("V11")
async def test_the_stream_is_pros(ground: Ground) -> None:
    """On Lite there is no stream; a number that is none is refused by its name."""
    async with records(ground) as (client, _):
        async with stream(client, **{"Last-Event-ID": "x"}) as response:
            assert (response.status, (await response.json())["code"]) == (422, "invalid")
        await ground.sell(Plan.LITE)
        async with stream(client) as response:
            assert (response.status, (await response.json())["code"]) == (
                403,
                "feature_not_entitled",
            )


async def test_numbers_have_no_holes_whoever_writes(ground: Ground) -> None:
    """Many writers at once get numbers one after another."""
    events = Events(ground.db, ground.bus)

    await asyncio.gather(*(happen(ground, events, f"{n}", f"{n}b") for n in range(20)))

    async with ground.db.read() as tx:
        assert await events.newest(tx, OWN) == 40


async def listed(client: TestClient[Any, Any], what: str) -> list[Any]:
    """Return the items of a list of the site."""
    headers = {"Authorization": "Bearer ada"}
    async with client.get(f"/api/v1/sites/{OWN}/{what}", headers=headers) as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["items"])


@pytest.mark.invariant("V11")
async def test_the_log_goes_as_far_back_as_the_plan(ground: Ground) -> None:
    """Pro shows a month, Lite three days of the same; nothing is deleted."""
    await ground.person("Old")
    async with records(ground) as (client, _):
        for days, plan, count in ((29, Plan.PRO, 1), (29, Plan.LITE, 0), (29, Plan.PRO, 1)):
            ground.calendar.at = NOW + timedelta(days=days)
            await ground.sell(plan)
            shown = await listed(client, "activity-log")
            assert len([one for one in shown if one["action"] == "person_added"]) == count


async def write_entries(ground: Ground, *ages_days: int) -> None:
    """Write the entries of one lock, of these ages, numbered from 1."""
    async with ground.db.write() as tx:
        await tx.execute(
            insert(entries),
            [
                {
                    "site_id": OWN,
                    "lock_id": LOCK,
                    "log_epoch": 0,
                    "sequence": sequence,
                    "hub_id": LOCK,
                    "kind": int(EntryKind.OPENED_BY_HUB),
                    "at": NOW,
                    "clock_trusted": True,
                    "received_at": NOW - timedelta(days=days),
                }
                for sequence, days in enumerate(ages_days, 1)
            ],
        )


@pytest.mark.invariant("V11")
async def test_entries_are_shown_as_long_as_the_plan_keeps_them(ground: Ground) -> None:
    """Lite shows a month of them, Pro three; what Lite hides is there again with Pro."""
    await write_entries(ground, 100, 60, 1)
    async with records(ground) as (client, _):
        for plan, count in ((Plan.PRO, 2), (Plan.LITE, 1), (Plan.PRO, 2)):
            await ground.sell(plan)
            assert len(await listed(client, "entries")) == count


@pytest.mark.invariant("L2")
async def test_what_no_plan_shows_is_deleted_and_is_no_gap(ground: Ground) -> None:
    """The oldest go, up to the first that is still shown; a real hole behind it stays one."""
    await write_entries(ground, 100, 95, 10, 100, 5)
    forget = ForgetEntries(load().event_retention_days_max)

    async with ground.db.write() as tx:
        assert await forget(tx, now=NOW, limit=10) == 1

    async with ground.db.write() as tx:
        kept = list((await tx.execute(select(entries.c.sequence).order_by("sequence"))).scalars())
        assert kept == [3, 4, 5]
        assert await gaps(tx, OWN, lock_id=LOCK, limit=10) == []
        await tx.execute(entries.delete().where(entries.c.sequence == 4))
        (hole,) = await gaps(tx, OWN, lock_id=LOCK, limit=10)
    assert (hole.first, hole.last) == (4, 4)
