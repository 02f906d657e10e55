"""What people see of entries: all of their site's, none twice, and what is missing."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from controller.activity import queries
from controller.activity.api import ActivityApi
from controller.domain.ids import AccountId, LockId, SiteId
from controller.domain.roles import Actor, ActorKind, HeldRole, SiteRole
from controller.web.application import build
from controller.web.pagination import encoded
from gateway.protocol.messages import Batch, DenyReason, EntryKind
from gateway.protocol.topics import UpKind
from tests.controller.ground import NOW, Ground, name, tag
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
    """Serve the entries of the ground."""
    under = surroundings_of(ground.db)
    under["surroundings"] = replace(under["surroundings"], authenticator=Tokens())
    async with TestClient(TestServer(build([ActivityApi()], **under))) as client:
        yield client


async def get(client: Client, path: str, *, by: str = "ada", **query: Any) -> tuple[int, Any]:
    """Return status and body of an answer."""
    query = {key: str(value) for key, value in query.items()}
    async with client.get(
        f"/api/v1/sites/{OWN}/{path}", params=query, headers={"Authorization": f"Bearer {by}"}
    ) as response:
        return response.status, await response.json()


async def happen(ground: Ground, *sequences: int, hub_number: int = 0, **changes: Any) -> None:
    """Let entries arrive."""
    hub = ground.hub(number=hub_number)
    await ground.tell(hub, UpKind.BATCH, hub.batch(*sequences, **changes))


async def gaps_of(ground: Ground) -> list[tuple[int, int, int, int]]:
    """What is missing of the first lock's entries."""
    lock_id = LockId(ground.hub().lock_id().hex())
    async with ground.db.read() as tx:
        found = await queries.gaps(tx, SiteId(OWN), lock_id=lock_id, limit=10)
    return [(gap.log_epoch, gap.first, gap.last, gap.count) for gap in found]


@pytest.mark.invariant("L2")
async def test_every_gap_is_shown_with_its_size(ground: Ground) -> None:
    """Before the first, between two, in each log epoch for itself; what comes late closes it."""
    await happen(ground, 3, 4, 8)
    await happen(ground, 1, 2, 5, log_epoch=2)
    assert await gaps_of(ground) == [(1, 1, 2, 2), (1, 5, 7, 3), (2, 3, 4, 2)]

    await happen(ground, 1, 2, 6)
    assert await gaps_of(ground) == [(1, 5, 5, 1), (1, 7, 7, 1), (2, 3, 4, 2)]


@pytest.mark.invariant("L2")
async def test_an_overflow_is_an_entry_with_its_count(ground: Ground) -> None:
    """What the lock itself declares lost is kept and shown beside the gap."""
    hub = ground.hub()
    overflow = hub.entry(9, kind=EntryKind.OVERFLOW, count=7, credential_digest=None)
    await ground.tell(hub, UpKind.BATCH, Batch(entries=(hub.entry(1), overflow)))

    async with served(ground) as client:
        status, page = await get(client, "entries")
        _, gaps = await get(client, f"locks/{hub.lock_id().hex()}/entry-gaps")

    assert status == 200
    assert [(e["sequence"], e["kind"], e["count"]) for e in page["items"]] == [
        (9, "overflow", 7),
        (1, "opened_by_hub", None),
    ]
    assert gaps == {"items": [{"log_epoch": 1, "first": 2, "last": 8, "count": 7}]}


async def test_an_entry_is_shown_with_the_names_of_today(ground: Ground) -> None:
    """Door and person by name, why it stayed shut, and all three times."""
    await happen(
        ground,
        1,
        kind=EntryKind.DENIED_BY_HUB,
        reason=DenyReason.OUTSIDE_SCHEDULE,
        hub_at_s=int(NOW.timestamp()),
        clock_trusted=False,
    )

    async with served(ground) as client:
        _, page = await get(client, "entries")

    assert page["items"] == [
        {
            "lock_id": ground.hub().lock_id().hex(),
            "lock_name": "Door 0",
            "log_epoch": 1,
            "sequence": 1,
            "kind": "denied_by_hub",
            "reason": "outside_schedule",
            "at": "2026-03-01T12:00:01Z",
            "clock_trusted": False,
            "hub_at": "2026-03-01T12:00:00Z",
            "received_at": "2026-03-01T12:00:00Z",
            "credential_id": name("tag", 0, 0),
            "person_id": name("person", 0, 0),
            "person_name": "Person 0",
            "command_id": None,
            "count": None,
        }
    ]


async def test_pages_show_everything_once_while_more_arrives(ground: Ground) -> None:
    """Newest arrivals first; what comes in meanwhile shifts no page."""
    for minute in range(5):
        ground.clocks.calendar = NOW + timedelta(minutes=minute)
        await happen(ground, *range(10 * minute + 1, 10 * minute + 11))
        await happen(ground, *range(10 * minute + 1, 10 * minute + 11), hub_number=1)

    found, cursor = [], None
    async with served(ground) as client:
        while True:
            after: dict[str, str] = {"cursor": cursor} if cursor else {}
            _, page = await get(client, "entries", limit=7, **after)
            found += [(e["received_at"], e["lock_id"], e["sequence"]) for e in page["items"]]
            ground.clocks.calendar += timedelta(hours=1)
            await happen(ground, 1_000 + len(found))
            cursor = page["next_cursor"]
            if cursor is None:
                break

    assert len(found) == len(set(found)) == 100
    assert found == sorted(found, reverse=True)


async def test_entries_are_found_by_lock_and_by_person(ground: Ground) -> None:
    """Each filter gives its own, both together what fits both, an unknown one nothing."""
    await happen(ground, 1)
    await happen(ground, 2, credential_digest=tag(0, 1))
    await happen(ground, 3, hub_number=1)
    here = ground.hub().lock_id().hex()
    somebody = name("person", 0, 0)

    async with served(ground) as client:
        found = [
            [e["sequence"] for e in (await get(client, "entries", **query))[1]["items"]]
            for query in [
                {"lock_id": here},
                {"person_id": somebody},
                {"lock_id": here, "person_id": somebody},
                {"lock_id": "f" * 32},
            ]
        ]

    assert [sorted(each) for each in found] == [[1, 2], [1, 3], [1], []]


@pytest.mark.invariant("T1")
async def test_entries_of_another_site_are_not_there(ground: Ground) -> None:
    """Whoever has no role at a site learns nothing of it, and a foreign lock filters to nothing."""
    await happen(ground, 1)
    foreign = ground.hub(site=1)
    await ground.tell(foreign, UpKind.BATCH, foreign.batch(1))

    async with served(ground) as client:
        status, problem = await get(client, "entries", by="bob")
        _, page = await get(client, "entries", lock_id=foreign.lock_id().hex())
        _, gaps = await get(client, f"locks/{foreign.lock_id().hex()}/entry-gaps")

    assert (status, problem["code"]) == (404, "not_found")
    assert (page["items"], gaps["items"]) == ([], [])


FORGED = [
    ("tomorrow", "", 1, 1),
    ("0001-01-01T00:00:00+23:00", "", 1, 1),
    ("2026-03-01T12:00:00+00:00", "", 10**30, 1),
    ("2026-03-01T12:00:00+00:00", "", 1, -1),
]


@pytest.mark.parametrize("key", FORGED)
async def test_a_forged_cursor_is_refused(ground: Ground, key: tuple[str | int, ...]) -> None:
    """A cursor that no page gave is an error of the caller, never one of ours."""
    async with served(ground) as client:
        status, problem = await get(client, "entries", cursor=encoded(key))

    assert (status, problem["code"]) == (422, "cursor_invalid")
