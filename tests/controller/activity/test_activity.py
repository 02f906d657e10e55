"""What people see of entries: all of their site's, none twice, and what is missing."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from controller.activity import queries
from controller.db.tables.activity import entries, entry_logs
from controller.domain.ids import LockId, SiteId
from controller.web.pagination import encoded
from gateway.protocol.messages import Batch, CredentialKind, DenyReason, Entry, EntryKind
from gateway.protocol.topics import UpKind
from tests.controller.activity.served import OWN, ask, served
from tests.controller.ground import NOW, Ground, name, tag


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
        status, page = await ask(client, "entries")
        _, gaps = await ask(client, f"locks/{hub.lock_id().hex()}/entry-gaps")

    assert status == 200
    assert [(e["sequence"], e["kind"], e["count"]) for e in page["items"]] == [
        (9, "overflow", 7),
        (1, "opened_by_hub", None),
    ]
    assert gaps == {"items": [{"log_epoch": 1, "first": 2, "last": 8, "count": 7, "lost": 6}]}


@pytest.mark.invariant("L5")
async def test_an_entry_is_shown_with_the_names_of_today(ground: Ground) -> None:
    """Door and person by name, why it stayed shut, and all three times."""
    await happen(
        ground,
        1,
        kind=EntryKind.DENIED_BY_HUB,
        reason=DenyReason.OUTSIDE_SCHEDULE,
        hub_at_s=int(NOW.timestamp()),
        clock_trusted=False,
        credential_kind=CredentialKind.DIGITAL_KEY,
    )

    async with served(ground) as client:
        _, page = await ask(client, "entries")

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
            "credential_kind": "digital_key",
            "person_id": name("person", 0, 0),
            "person_name": "Person 0",
            "command_id": None,
            "count": None,
        }
    ]


@pytest.mark.parametrize("kind", EntryKind)
async def test_every_kind_has_its_name(ground: Ground, kind: EntryKind) -> None:
    """Entries are shown by name; incidents are not among them, and leave no gap there."""
    await happen(ground, 1)
    await happen(ground, 2, kind=kind, credential_digest=None, count=3)
    await happen(ground, 3)

    async with served(ground) as client:
        _, page = await ask(client, "entries")
        _, gaps = await ask(client, f"locks/{ground.hub().lock_id().hex()}/entry-gaps")

    kinds = [each["kind"] for each in page["items"] if each["sequence"] == 2]
    assert kinds == ([] if kind >= EntryKind.LEFT_OPEN else [kind.name.lower()])
    assert gaps == {"items": []}


@pytest.mark.invariant("L2")
async def test_what_retention_has_removed_is_not_missing(ground: Ground) -> None:
    """A log that begins later, because the plan keeps no more, has no gap at its beginning."""
    await happen(ground, *range(1, 21))
    await happen(ground, 23)
    row = {"site_id": OWN, "lock_id": ground.hub().lock_id().hex(), "log_epoch": 1}
    async with ground.db.write() as tx:
        await tx.execute(delete(entries).where(entries.c.sequence <= 12))
        await tx.execute(insert(entry_logs).values(**row, removed_up_to=12))

    assert await gaps_of(ground) == [(1, 21, 22, 2)]


RINGS = st.lists(st.sampled_from(["write", "write", "write", "send", "send"]), max_size=60)


@pytest.mark.invariant("L2", "L8")
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(RINGS, st.integers(2, 5), st.data())
async def test_the_cloud_accounts_for_every_number_of_a_log(
    ground: Ground, steps: list[str], room: int, data: st.DataObject
) -> None:
    """Newest = stored + missing, whatever arrives and in whatever order, and none twice.

    Once all that the lock still has is there, what is missing is just what it declared lost.
    """
    async with ground.db.write() as tx:
        await tx.execute(delete(entries))
    ring: list[Entry] = []
    newest = 0
    said: list[Entry] = []
    for step in steps:
        if step == "write":
            newest += 1
            ring.append(ground.hub().entry(newest))
            if len(ring) > room:
                ring[:2] = [overflowed(ring[0], ring[1])]
        else:
            said += ring
            if data.draw(st.booleans()):
                ring.clear()  # the acknowledgement has come through
    for entry in data.draw(st.permutations(said)):
        await ground.tell(ground.hub(), UpKind.BATCH, Batch(entries=(entry,)))
    stored, gaps = await accounts_of(ground)
    assert stored == {entry.sequence for entry in said}
    assert len(stored) + sum(gap.count for gap in gaps) == max(stored, default=0)

    for entry in ring:
        await ground.tell(ground.hub(), UpKind.BATCH, Batch(entries=(entry,)))
    stored, gaps = await accounts_of(ground)
    assert len(stored) + sum(gap.lost for gap in gaps) == newest
    assert all(gap.lost == gap.count for gap in gaps)


async def accounts_of(ground: Ground) -> tuple[set[int], list[queries.Gap]]:
    """Return the numbers that are here of the first lock's log, and what is missing."""
    stored = {row.sequence for row in await ground.rows(entries)}
    lock_id = LockId(ground.hub().lock_id().hex())
    async with ground.db.read() as tx:
        return stored, await queries.gaps(tx, SiteId(OWN), lock_id=lock_id, limit=100)


def overflowed(first: Entry, last: Entry) -> Entry:
    """Return what a lock with a full ring puts in the place of its two oldest entries."""
    lost = 1 + (first.count or 0 if first.kind is EntryKind.OVERFLOW else 1)
    return Entry(
        lock_id=last.lock_id,
        log_epoch=last.log_epoch,
        sequence=last.sequence,
        kind=EntryKind.OVERFLOW,
        at_s=last.at_s,
        clock_trusted=True,
        count=lost,
    )


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
            _, page = await ask(client, "entries", limit=7, **after)
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
            [e["sequence"] for e in (await ask(client, "entries", **query))[1]["items"]]
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
        status, problem = await ask(client, "entries", by="bob")
        _, page = await ask(client, "entries", lock_id=foreign.lock_id().hex())
        _, gaps = await ask(client, f"locks/{foreign.lock_id().hex()}/entry-gaps")

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
        status, problem = await ask(client, "entries", cursor=encoded(key))

    assert (status, problem["code"]) == (422, "cursor_invalid")
