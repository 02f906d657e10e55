"""A site of 10,000 people, 200 locks and 50 hubs: an edit moves what it is about and no more.

Everybody may open the house door at hub 0; ten departments of 1,000 have 20 locks at five hubs
each. Three people of each department have offline access.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Table, insert, select, text

from controller.db.engine import Database
from controller.db.tables.access import access_groups, group_locks, group_people
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.people import credentials, people
from controller.delivery.compile import HubState
from controller.delivery.service import Delivery
from controller.threads import PoolThreads
from gateway.protocol.messages import SectionKind
from gateway.protocol.sections import SECTION_BYTES_MAX
from tests.controller.delivery.states import name
from tests.controller.people.ground import GRACE, KEYS, NOW, OWN, Ground, served

PEOPLE: Final = 10_000
HUBS: Final = 50
LOCKS: Final = 200
DEPARTMENTS: Final = 10
KEY: Final = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()

States = dict[str, HubState]


@dataclass
class Town:
    """The site, and the cloud's end of the link to its hubs."""

    ground: Ground
    delivery: Delivery

    async def told(self) -> tuple[States, dict[str, int]]:
        """What every hub is told, and the revision of it."""
        async with self.ground.db.read() as tx:
            rows = await tx.execute(
                select(hubs.c.id, hubs.c.revision_wanted).where(hubs.c.site_id == OWN)
            )
            wanted = {row.id: row.revision_wanted for row in rows}
        await self.delivery.documents(list(wanted))
        return {each: self.delivery._shelf._held[each].state for each in wanted}, wanted

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Send a request that must succeed."""
        self.ground.calendar.at += timedelta(seconds=1)
        answer = await self.ground.call(method, f"/sites/{OWN}{path}", body, **more)
        assert answer.status < 300, answer.body
        return answer.body


@pytest.fixture
async def town(database: Database) -> AsyncIterator[Town]:
    """The site with everything compiled once."""
    async with served(database, users=2 * PEOPLE) as ground:
        for table, rows in _rows().items():
            for at in range(0, len(rows), 1_000):
                async with database.write() as tx:
                    await tx.execute(insert(table), rows[at : at + 1_000])
        async with database.write() as tx:
            await tx.execute(text("ANALYZE"))  # as a database does by itself, in its own time
        threads = PoolThreads()
        delivery = Delivery(
            database, keys=KEYS, calendar=ground.calendar, threads=threads, offline_grace=GRACE
        )
        made = Town(ground, delivery)
        await made.told()
        yield made
        threads.close()


def hubs_of(department: int) -> set[str]:
    """The hubs of a department, and the one of the house door."""
    return {name("hub", department * 5 + n) for n in range(5)} | {name("hub", 0)}


def locks_of(department: int) -> set[str]:
    """The locks of a department."""
    return {name("lock", department * 20 + n) for n in range(20)}


def moved(before: HubState, after: HubState, kind: SectionKind) -> list[bytes]:
    """The sections of a kind that a hub lacks."""
    new = after.named.keys() - before.named.keys()
    return [after.named[each].data for each in new if after.named[each].kind is kind]


def relisted(before: States, after: States) -> set[str]:
    """The locks whose offline list is another."""
    return {
        lock_id
        for hub_id, state in after.items()
        for lock_id, section in state.lists.items()
        if section.data != before[hub_id].lists[lock_id].data
    }


def asked(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """The hubs of which another revision is wanted."""
    return {hub_id for hub_id in after if after[hub_id] != before[hub_id]}


def require_little(before: States, after: States) -> None:
    """At no hub more than two sections of people of at most 12 KiB, and no others but lists."""
    others = set(SectionKind) - {SectionKind.PEOPLE, SectionKind.OFFLINE_LIST}
    for hub_id, state in after.items():
        of_people = moved(before[hub_id], state, SectionKind.PEOPLE)
        assert len(of_people) <= 2
        assert all(len(data) <= SECTION_BYTES_MAX for data in of_people)
        assert not any(moved(before[hub_id], state, kind) for kind in others)


async def test_one_person_added_moves_two_sections_and_no_list(town: Town) -> None:
    """With a tag, to a department: only its hubs are asked, and no list changes."""
    states, wanted = await town.told()

    person = await town.ask("POST", "/people", {"name": "New", "subscribed": True})
    tag = {"number": "00112233445566"}
    await town.ask("POST", f"/people/{person['id']}/credentials", tag)
    for group in (name("group", 3), name("house", 0)):
        await town.ask("PUT", f"/access-groups/{group}/people/{person['id']}")
    after, now_wanted = await town.told()

    assert asked(wanted, now_wanted) == hubs_of(3)
    require_little(states, after)
    assert relisted(states, after) == set()
    for hub_id in hubs_of(3):
        assert after[hub_id].person(person["id"]) is not None


@pytest.mark.invariant("A1")
async def test_one_person_blocked_moves_the_lists_of_the_locks_that_may_know(town: Town) -> None:
    """Those at which the person had a right forget the credential, with offline access or without.

    No other list changes, and fifty hubs that ask together are told of one and the same state.
    """
    for number in (4, 9_994):
        states, wanted = await town.told()
        path = f"/people/{name('person', number)}/credentials/{name('credential', number)}"

        await town.ask("PATCH", path, {"blocked": True}, if_match=1)
        (after, now_wanted), (again, _) = await asyncio.gather(town.told(), town.told())

        assert asked(wanted, now_wanted) == hubs_of(4)
        require_little(states, after)
        assert relisted(states, after) == locks_of(4) | {name("lock", 0)}
        assert all(again[hub_id] is state for hub_id, state in after.items())


def _rows() -> dict[Table, list[dict[str, Any]]]:
    site = {"site_id": OWN, "version": 1, "created_at": NOW}
    groups = [name("group", n) for n in range(DEPARTMENTS)]
    house = name("house", 0)
    member = [(house, n) for n in range(PEOPLE)]
    member += [(groups[n % DEPARTMENTS], n) for n in range(PEOPLE)]
    doors = [(groups[n // 20], n) for n in range(LOCKS)] + [(house, 0)]
    return {
        access_groups: [site | {"id": each, "name": each} for each in (*groups, house)],
        hubs: [site | _hub(name("hub", n)) for n in range(HUBS)],
        locks: [site | _lock(name("lock", n), name("hub", n // 4)) for n in range(LOCKS)],
        people: [
            site | {"id": name("person", n), "name": "Pat", "subscribed_at": NOW}
            for n in range(PEOPLE)
        ],
        credentials: [site | _tag(n) for n in range(PEOPLE)],
        group_people: [
            {"site_id": OWN, "group_id": group, "person_id": name("person", n)}
            for group, n in member
        ],
        group_locks: [
            {"site_id": OWN, "group_id": group, "lock_id": name("lock", n)} for group, n in doors
        ],
    }


def _hub(hub_id: str) -> dict[str, Any]:
    return {
        "id": hub_id,
        "serial": hub_id,
        "name": "Hub",
        "claimed_at": NOW,
        "device_key": KEY,
        "agreement_key": KEY,
        "epoch": 1,
        "lease_wanted": 1,
        "lease_confirmed": 0,
        "lease_signed_at": NOW,
        "revision_wanted": 1,
        "revision_confirmed": 0,
    }


def _lock(lock_id: str, hub_id: str) -> dict[str, Any]:
    return {
        "id": lock_id,
        "hub_id": hub_id,
        "serial": lock_id,
        "name": "Door",
        "public_key": KEY,
        "pairing": b"pairing",
        "capacity": 39,
        "open_s": 6,
        "memory_days": 7,
        "epoch": 1,
        "order_number": 0,
        "paired": True,
        "log_epoch": 1,
    }


def _tag(number: int) -> dict[str, Any]:
    return {
        "id": name("credential", number),
        "person_id": name("person", number),
        "kind": "tag",
        "digest": bytes.fromhex(name("digest", number)),
        "label": "",
        "offline": number < 3 * DEPARTMENTS,
    }
