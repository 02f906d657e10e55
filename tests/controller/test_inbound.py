"""The cloud's end of the device link, without the gateway: what is recorded, what is answered."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError

from controller.activity.service import LAST_S
from controller.db.tables.access import group_locks
from controller.db.tables.activity import entries
from controller.db.tables.hardware import hubs, locks
from controller.domain.instants import to_seconds
from gateway.port import Unavailable
from gateway.protocol.messages import (
    Ack,
    EntryKind,
    Welcome,
)
from gateway.protocol.topics import DownKind, UpKind
from tests.controller import ground as grounds
from tests.controller.ground import NOW, Ground


async def sequences(ground: Ground) -> list[int]:
    """The sequences of all stored entries."""
    return sorted(row.sequence for row in await ground.rows(entries))


# ------------------------------------------------------------------- entries


@pytest.mark.invariant("L1")
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_each_entry_is_stored_exactly_once(ground: Ground, order: tuple[int, ...]) -> None:
    """Overlapping batches in any order, each twice, some together: every entry once."""
    hub = ground.hub()
    batches = [hub.batch(1, 2, 3), hub.batch(3, 4), hub.batch(2, 5, 6)]

    for number in order:
        uplink = hub.uplink(UpKind.BATCH, batches[number])
        await ground.inbound.hand_in([uplink, uplink])
    answers = await ground.inbound.hand_in([hub.uplink(UpKind.BATCH, batch) for batch in batches])

    assert await sequences(ground) == [1, 2, 3, 4, 5, 6]
    assert {hub.read(answer, Ack).batch_hash for answer in answers} == {
        sha256(hub.signed(UpKind.BATCH, batch)).digest() for batch in batches
    }


@pytest.mark.invariant("L1")
async def test_a_batch_handed_in_twice_at_once_is_stored_once(ground: Ground) -> None:
    """Two gateways, or one that asked again: both get their answer, the entries are there once."""
    hub = ground.hub()
    forwards = hub.uplink(UpKind.BATCH, hub.batch(*range(1, 101)))
    backwards = hub.uplink(UpKind.BATCH, hub.batch(*range(100, 0, -1)))

    answers = await asyncio.gather(
        *(ground.inbound.hand_in([uplink]) for uplink in [forwards, backwards] * 5)
    )

    assert await sequences(ground) == list(range(1, 101))
    assert all(len(each) == 1 for each in answers)


@pytest.mark.invariant("L1")
async def test_an_entry_that_is_stored_never_changes(ground: Ground) -> None:
    """Whoever says something else about the same entry later is not heard."""
    hub = ground.hub()
    await ground.tell(hub, UpKind.BATCH, hub.batch(1))

    await ground.tell(hub, UpKind.BATCH, hub.batch(1, kind=EntryKind.DENIED_BY_HUB, at_s=0))

    row = await ground.row(entries)
    assert (row.kind, row.at) == (EntryKind.OPENED_BY_HUB, NOW + timedelta(seconds=1))


@pytest.mark.invariant("L3")
async def test_a_commit_that_fails_gives_no_answer_and_leaves_nothing(ground: Ground) -> None:
    """No acknowledgement exists before the transaction is durable."""
    hub = ground.hub()
    await ground.fail_commits()

    with pytest.raises((Unavailable, DBAPIError)):
        await ground.tell(hub, UpKind.BATCH, hub.batch(1))
    assert await sequences(ground) == []

    await ground.heal_commits()
    (answer,) = await ground.tell(hub, UpKind.BATCH, hub.batch(1))
    assert answer.kind is DownKind.ACK
    assert await sequences(ground) == [1]


@pytest.mark.invariant("L5")
async def test_an_entry_carries_three_times_and_a_flag(ground: Ground) -> None:
    """The lock's, the hub's and the controller's instant, and whether the lock's was trusted."""
    hub = ground.hub()

    await ground.tell(
        hub, UpKind.BATCH, hub.batch(1, at_s=86_400, hub_at_s=to_seconds(NOW), clock_trusted=False)
    )

    row = await ground.row(entries)
    assert (row.at, row.hub_at, row.received_at, row.clock_trusted) == (
        datetime(1970, 1, 2, tzinfo=UTC),
        NOW,
        ground.clocks.calendar,
        False,
    )
    assert (row.credential_id, row.person_id) == (
        grounds.name("tag", 0, 0),
        grounds.name("person", 0, 0),
    )


@pytest.mark.invariant("L1", "L5")
async def test_a_clock_beyond_every_calendar_loses_no_entry(ground: Ground) -> None:
    """An instant that no database can hold is capped and not trusted."""
    hub = ground.hub()

    await ground.tell(hub, UpKind.BATCH, hub.batch(1, at_s=2**53 - 1, hub_at_s=2**53 - 1))

    row = await ground.row(entries)
    assert (to_seconds(row.at), row.clock_trusted) == (LAST_S, False)


@pytest.mark.invariant("T1", "T2")
async def test_an_entry_about_a_foreign_lock_is_dropped(ground: Ground) -> None:
    """A hub tells of its own site's locks only; the rest of its batch counts."""
    hub, other = ground.hub(site=0), ground.hub(site=1)
    batch = hub.batch(1)
    mixed = type(batch)(entries=(*batch.entries, *other.batch(2).entries))

    answers = await ground.tell(hub, UpKind.BATCH, mixed)

    (row,) = await ground.rows(entries)
    assert (row.site_id, row.sequence) == (grounds.name("site", 0), 1)
    assert [answer.kind for answer in answers] == [DownKind.ACK]


@pytest.mark.invariant("T1")
async def test_a_foreign_credential_is_nobody(ground: Ground) -> None:
    """A tag of another site is kept as what was presented, without a name to it."""
    hub = ground.hub(site=0)

    await ground.tell(hub, UpKind.BATCH, hub.batch(1, credential_digest=grounds.tag(1, 0)))

    row = await ground.row(entries)
    assert (row.digest, row.credential_id, row.person_id) == (grounds.tag(1, 0), None, None)


@pytest.mark.invariant("L1")
async def test_a_deleted_locks_last_entries_still_count(ground: Ground) -> None:
    """A lock that was the site's own may have been deleted before its hub came round to tell."""
    hub = ground.hub()
    await ground.tell(hub, UpKind.BATCH, hub.batch(1))
    async with ground.db.write() as tx:
        await tx.execute(delete(group_locks).where(group_locks.c.lock_id == hub.lock_id().hex()))
        await tx.execute(delete(locks).where(locks.c.id == hub.lock_id().hex()))

    await ground.tell(hub, UpKind.BATCH, hub.batch(2))

    assert await sequences(ground) == [1, 2]


# ------------------------------------------------------------- confirmations


async def test_a_report_is_answered_with_time_and_newest_numbers(ground: Ground) -> None:
    """The answer repeats the nonce, sets the calendar and names what is newest."""
    hub = ground.hub()
    ground.clocks.speed = 3_600

    (answer,) = await ground.tell(hub, UpKind.HELLO, hub.status(nonce=b"n" * 16))

    welcome = hub.read(answer, Welcome)
    assert welcome == Welcome(
        nonce=b"n" * 16,
        epoch=1,
        lease_number=1,
        revision=1,
        calendar_ms=to_seconds(NOW) * 1000,
        speed=3_600,
        utc_ms=to_seconds(ground.clocks.real) * 1000,
    )


@pytest.mark.invariant("A3")
async def test_confirmations_only_grow(ground: Ground) -> None:
    """An old report that comes late changes nothing; neither does one from before an epoch."""
    hub = ground.hub()
    await ground.change(hubs, {"id": hub.id}, lease_wanted=5, revision_wanted=5)
    await ground.tell(hub, UpKind.CONFIRM, hub.status(lease=3, revision=4))

    for late in [
        hub.status(lease=2, revision=4, subscribed=False),
        hub.status(lease=3, revision=3, subscribed=False),
        hub.status(lease=5, revision=5, epoch=0),
        hub.status(lease=6, revision=5),
        hub.status(lease=5, revision=6),
    ]:
        await ground.tell(hub, UpKind.CONFIRM, late)

    row = await ground.row(hubs, id=hub.id)
    assert (row.lease_confirmed, row.revision_confirmed, row.subscribed_confirmed) == (3, 4, True)


async def test_a_report_without_news_writes_nothing(ground: Ground) -> None:
    """A beat that says what is known leaves the row alone."""
    hub = ground.hub()
    status = hub.status(lease=1, revision=1, locks=(hub.lock_status(list_hash=bytes(32)),))
    await ground.tell(hub, UpKind.CONFIRM, status)
    before = await ground.row(hubs, id=hub.id), await ground.row(locks, id=hub.lock_id().hex())
    ground.clocks.calendar += timedelta(hours=1)

    await ground.tell(hub, UpKind.BEAT, status)

    after = await ground.row(hubs, id=hub.id), await ground.row(locks, id=hub.lock_id().hex())
    assert after == before
    assert before[0].confirmed_at == before[1].list_confirmed_at == NOW


async def test_a_report_tells_of_the_hubs_own_locks_only(ground: Ground) -> None:
    """Online, paired, log epoch and list of its locks are noted; another hub's lock is not its."""
    hub, other = ground.hub(number=0), ground.hub(number=1)
    told = (
        hub.lock_status(log_epoch=7, list_hash=b"h" * 32),
        other.lock_status(log_epoch=9, list_hash=b"h" * 32),
    )

    await ground.tell(hub, UpKind.CONFIRM, hub.status(locks=told))
    await ground.tell(hub, UpKind.BEAT, hub.status(locks=(hub.lock_status(log_epoch=6),)))

    mine = await ground.row(locks, id=hub.lock_id().hex())
    foreign = await ground.row(locks, id=other.lock_id().hex())
    assert (mine.online, mine.paired, mine.log_epoch, mine.list_confirmed) == (True, True, 7, None)
    assert (foreign.online, foreign.paired, foreign.log_epoch) == (None, False, 0)


async def test_a_hub_out_of_service_is_not_answered(ground: Ground) -> None:
    """Retired or not yet claimed: it has no key here, may not come in, and changes nothing."""
    hub = ground.hub()
    await ground.change(hubs, {"id": hub.id}, retired_at=NOW)

    assert await ground.tell(hub, UpKind.HELLO, hub.status(lease=1)) == []
    assert await ground.inbound.device_key(hub.id) is None
    assert not await ground.inbound.admit(hub.id)
    assert await ground.inbound.admit(ground.hub(number=1).id)
    assert not await ground.inbound.admit("f" * 32)


async def test_a_retired_hubs_key_is_forgotten_in_seconds(ground: Ground) -> None:
    """The key is remembered for a few seconds of the link clock and no longer."""
    hub = ground.hub()
    known = await ground.inbound.device_key(hub.id)
    await ground.change(hubs, {"id": hub.id}, retired_at=NOW)

    ground.clocks.pass_by(11)

    assert known == hub.key.public_key()
    assert await ground.inbound.device_key(hub.id) is None
