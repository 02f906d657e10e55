"""Incidents out of the logs of locks: each once, with its end, and told to whoever listens."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from controller.db.tables.activity import entries, incidents
from controller.db.tables.records import audit_records
from gateway.protocol.messages import Batch, CredentialKind, DenyReason, EntryKind
from gateway.protocol.topics import UpKind
from tests.controller.activity.served import OWN, ask, served
from tests.controller.ground import NOW, Ground

AT = int(NOW.timestamp())


async def log(ground: Ground, *lines: tuple[int, EntryKind], **changes: Any) -> None:
    """Let lines of the first lock's log arrive, in this order."""
    hub = ground.hub()
    told = [
        hub.entry(sequence, kind=kind, credential_digest=None, **changes)
        for sequence, kind in lines
    ]
    await ground.tell(hub, UpKind.BATCH, Batch(entries=tuple(told)))


async def found(ground: Ground) -> list[tuple[str, int, int | None]]:
    """Return kind, sequence and the sequence of the end of all incidents."""

    def line(at: Any) -> int | None:
        return None if at is None else int(at.timestamp()) - AT

    rows = await ground.rows(incidents)
    return sorted((row.kind, row.facts["sequence"], line(row.over_at)) for row in rows)


async def wrong_pins(ground: Ground, count: int, *, every_s: int = 1, first: int = 1) -> None:
    """Let somebody type wrong PINs at the first lock."""
    hub = ground.hub()
    tried = tuple(
        hub.entry(
            first + number,
            kind=EntryKind.DENIED_BY_HUB,
            reason=DenyReason.UNKNOWN_CREDENTIAL,
            credential_kind=CredentialKind.PIN,
            credential_digest=bytes(16),
            at_s=AT + number * every_s,
        )
        for number in range(count)
    )
    await ground.tell(hub, UpKind.BATCH, Batch(entries=tried))


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        (EntryKind.LEFT_OPEN, EntryKind.CLOSED),
        (EntryKind.INTRUSION, EntryKind.CLOSED),
        (EntryKind.TAMPER, EntryKind.TAMPER_ENDED),
        (EntryKind.KEYPAD_WAITS, EntryKind.KEYPAD_CLEARED),
        (EntryKind.KEYPAD_WAITS, EntryKind.KEYPAD_OFF),
        (EntryKind.KEYPAD_OFF, EntryKind.KEYPAD_CLEARED),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
async def test_what_begins_is_over_when_the_log_says_so(
    ground: Ground, kind: EntryKind, end: EntryKind, *, turned: bool
) -> None:
    """In whatever order the two lines come, one incident with its end is kept."""
    lines = [(1, kind), (2, end)]
    for line in reversed(lines) if turned else lines:
        await log(ground, line)

    assert (kind.name.lower(), 1, 2) in await found(ground)


async def test_an_overflow_is_an_incident_that_is_over(ground: Ground) -> None:
    """It says how many entries are lost, and has no end to wait for."""
    await log(ground, (9, EntryKind.OVERFLOW), count=7)

    row = await ground.row(incidents)
    assert (row.kind, row.facts["count"]) == ("overflow", 7)
    assert row.over_at == row.at


LINES = st.lists(
    st.sampled_from(
        [
            EntryKind.OPENED_BY_HUB,
            EntryKind.LEFT_OPEN,
            EntryKind.INTRUSION,
            EntryKind.CLOSED,
            EntryKind.TAMPER,
            EntryKind.TAMPER_ENDED,
        ]
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(LINES, st.data())
async def test_the_same_log_gives_the_same_incidents(
    ground: Ground, kinds: list[EntryKind], data: st.DataObject
) -> None:
    """However it is cut, repeated and shuffled on the way."""
    lines = list(enumerate(kinds, 1))
    await forget(ground)
    await log(ground, *lines)
    in_order = await found(ground)
    await forget(ground)

    for line in data.draw(st.permutations(lines + lines)):
        await log(ground, line)

    assert await found(ground) == in_order


async def forget(ground: Ground) -> None:
    """Forget what has happened."""
    async with ground.db.write() as tx:
        for table in (entries, incidents):
            await tx.execute(delete(table))
    ground.audience.heard.clear()


async def test_everything_is_told_once(ground: Ground) -> None:
    """Whoever listens hears of an entry and of an incident when they are new, and never again."""
    hub = ground.hub()
    batch = Batch(
        entries=(
            hub.entry(1),
            hub.entry(2, kind=EntryKind.INTRUSION, credential_digest=None),
            hub.entry(3, kind=EntryKind.CLOSED, credential_digest=None),
        )
    )

    for _ in range(3):
        await ground.tell(hub, UpKind.BATCH, batch)

    told = ground.audience.heard
    assert [(each.kind, each.lock_id, each.person_id is None) for each in told] == [
        ("opened_by_hub", hub.lock_id().hex(), False),
        ("intrusion", hub.lock_id().hex(), True),
    ]
    assert len({each.id for each in told}) == 2
    assert told[1].id == (await ground.row(incidents)).id


async def test_many_tellers_at_once_write_one_incident(ground: Ground) -> None:
    """Ten gateways that hand in the same batch make one row, told of once."""
    hub = ground.hub()
    batch = hub.batch(1, kind=EntryKind.TAMPER, credential_digest=None)

    await asyncio.gather(*(ground.tell(hub, UpKind.BATCH, batch) for _ in range(10)))

    assert await found(ground) == [("tamper", 1, None)]
    assert [each.kind for each in ground.audience.heard] == ["tamper"]


@pytest.mark.parametrize(("tries", "alarms"), [(19, 0), (20, 1), (60, 1)])
async def test_somebody_who_tries_pins_is_noticed(ground: Ground, tries: int, alarms: int) -> None:
    """Twenty wrong ones within an hour, however many follow in it."""
    for start in range(0, tries, 7):
        await wrong_pins(ground, min(7, tries - start), first=1 + start)

    rows = await ground.rows(incidents, kind="pin_guessing")
    assert len(rows) == alarms
    assert [row.lock_id for row in rows] == [None] * alarms


async def test_wrong_pins_are_counted_by_when_they_were_typed(ground: Ground) -> None:
    """Those of three days that arrive together are no attack; a code that is known is none."""
    await wrong_pins(ground, 60, every_s=3600)
    await log(
        ground,
        *((100 + number, EntryKind.DENIED_BY_HUB) for number in range(40)),
        reason=DenyReason.OUTSIDE_SCHEDULE,
        credential_kind=CredentialKind.PIN,
    )

    assert await ground.rows(incidents) == []


async def test_incidents_are_listed_by_kind_lock_and_whether_they_go_on(ground: Ground) -> None:
    """Each filter gives its own; names are those of today, and pages show each once."""
    await log(ground, (1, EntryKind.LEFT_OPEN), (2, EntryKind.CLOSED), (3, EntryKind.TAMPER))
    ground.clocks.calendar += timedelta(hours=1)
    other = ground.hub(number=1)
    batch = other.batch(1, kind=EntryKind.BATTERY_LOW, credential_digest=None, count=15)
    await ground.tell(other, UpKind.BATCH, batch)

    async with served(ground) as client:
        _, page = await ask(client, "incidents")
        queries: list[dict[str, Any]] = [
            {"kind": "tamper"},
            {"lock_id": other.lock_id().hex()},
            {"going_on": True},
            {"going_on": False},
            {"kind": "tamper", "going_on": False},
        ]
        lists = [
            [each["kind"] for each in (await ask(client, "incidents", **query))[1]["items"]]
            for query in queries
        ]
        paged, cursor = [], None
        while True:
            more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
            _, part = await ask(client, "incidents", limit=1, **more)
            paged += [each["id"] for each in part["items"]]
            cursor = part["next_cursor"]
            if cursor is None:
                break
        wrong = await ask(client, "incidents", kind="earthquake")
        forged = await ask(client, "incidents", cursor="WzEsMl0")

    assert page["items"][0]["kind"] == "battery_low"
    assert paged == [each["id"] for each in page["items"]]
    assert page["items"][0]["lock_name"] == "Door 0"
    assert page["items"][0]["hub_name"] == "Hub 1"
    assert page["items"][0]["facts"]["count"] == 15
    assert [sorted(each) for each in lists] == [
        ["tamper"],
        ["battery_low"],
        ["battery_low", "tamper"],
        ["left_open"],
        [],
    ]
    assert (wrong[0], wrong[1]["code"]) == (422, "validation_failed")
    assert (forged[0], forged[1]["code"]) == (422, "cursor_invalid")


@pytest.mark.invariant("L6")
async def test_who_has_seen_an_incident_first_stays(ground: Ground) -> None:
    """Acknowledging twice changes nothing and leaves one record."""
    await log(ground, (1, EntryKind.TAMPER))
    incident = await ground.row(incidents)
    path = f"incidents/{incident.id}/acknowledge"

    async with served(ground) as client:
        status, first = await ask(client, path, method="POST")
        _, again = await ask(client, path, method="POST")
        foreign = await ask(client, path, method="POST", by="bob")
        absent = await ask(client, f"incidents/{'0' * 32}/acknowledge", method="POST")

    assert (status, first["over_at"], again) == (200, None, first)
    assert first["acknowledged_at"] is not None
    assert (foreign[0], absent[0]) == (404, 404)
    written = await ground.rows(audit_records, action="incident_acknowledged", site_id=OWN)
    assert [row.object_id for row in written] == [incident.id]
