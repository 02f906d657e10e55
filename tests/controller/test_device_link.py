"""The gateway's loops and the cloud together, with nothing but the broker replaced."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256

import pytest
from structlog.testing import capture_logs

from controller.db.tables.activity import entries
from controller.db.tables.hardware import hubs
from controller.sync.service import WAKE_COMMANDS, WAKE_HUBS
from gateway import allowance
from gateway.intake import Intake
from gateway.presence import SILENT_S, Presence
from gateway.protocol.cbor import MESSAGE_BYTES_MAX
from gateway.protocol.messages import Ack, Batch, Lease, Welcome
from gateway.protocol.topics import DownKind, UpKind
from gateway.publishing import Publishing, Resends
from tests.controller.ground import Ground, Hub, Line, LinkClock, Said, until


class Gateway:
    """The gateway's loops around a line."""

    def __init__(self, ground: Ground) -> None:
        self.line = Line()
        clock = LinkClock(ground.clocks)
        self.resends = Resends(clock)
        self.presence = Presence(ground.inbound, line=self.line, clock=clock)
        self.greet = asyncio.Event()
        self.intake = Intake(
            self.line, ground.inbound, presence=self.presence, resends=self.resends, clock=clock
        )
        self.publishing = Publishing(
            ground.inbound, line=self.line, resends=self.resends, greet=self.greet
        )

    def bring(self, hub: Hub, kind: UpKind, message: Said) -> bytes:
        """Let a message of a hub arrive, and return it as it was sent."""
        payload = hub.signed(kind, message)
        self.line.bring(hub.received(kind, payload))
        return payload

    async def acknowledged(self, hub: Hub, count: int = 1) -> None:
        """Wait until the hub has heard of that many commits."""
        await until(lambda: len(self.line.heard(hub, DownKind.ACK)) >= count)


@pytest.fixture
async def gateway(ground: Ground) -> AsyncIterator[Gateway]:
    """A gateway that takes in what arrives."""
    loops = Gateway(ground)
    async with running(loops.intake.run()):
        yield loops


@contextlib.asynccontextmanager
async def running(*work: object) -> AsyncIterator[None]:
    """Run loops meanwhile; they must not end by themselves."""
    tasks = [asyncio.ensure_future(each) for each in work]  # type: ignore[call-overload]
    try:
        yield
        assert not any(task.done() for task in tasks), tasks
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def stored(ground: Ground) -> list[int]:
    """The sequences of all entries that are there."""
    return sorted(row.sequence for row in await ground.rows(entries))


@pytest.mark.invariant("L1", "L3")
async def test_a_batch_is_stored_answered_and_acknowledged(
    ground: Ground, gateway: Gateway
) -> None:
    """The answer names the batch by its bytes; the broker is told once it is committed."""
    hub = ground.hub()

    payload = gateway.bring(hub, UpKind.BATCH, hub.batch(1, 2))
    await gateway.acknowledged(hub)

    (answer,) = gateway.line.heard(hub, DownKind.ACK)
    assert hub.read(answer, Ack).batch_hash == sha256(payload).digest()
    assert hub.acknowledged[payload] == 1
    assert await stored(ground) == [1, 2]


@pytest.mark.invariant("L3")
async def test_without_a_commit_the_hub_keeps_its_entries(ground: Ground, gateway: Gateway) -> None:
    """A commit that fails for good: nothing is stored or answered; the hub's next try counts."""
    hub = ground.hub()
    await ground.fail_commits()

    payload = gateway.bring(hub, UpKind.BATCH, hub.batch(1))
    await until(lambda: hub.acknowledged[payload])

    assert gateway.line.published == []
    assert gateway.intake.counts["quarantined"] == 1
    assert await stored(ground) == []

    await ground.heal_commits()
    gateway.bring(hub, UpKind.BATCH, hub.batch(1))
    await gateway.acknowledged(hub)
    assert await stored(ground) == [1]


@pytest.mark.invariant("L1", "L3", "C3")
async def test_a_full_disk_makes_the_gateway_wait(ground: Ground, gateway: Gateway) -> None:
    """While the database takes nothing the broker gets no acknowledgement either; then all goes on.

    Nothing is lost, nothing is quarantined, and nobody had to send anything again.
    """
    hub = ground.hub()
    await ground.fill_up()

    payload = gateway.bring(hub, UpKind.BATCH, hub.batch(*range(1, 101)))
    await until(lambda: gateway.intake.counts["unavailable"] >= 2)
    assert gateway.line.published == []
    assert not hub.acknowledged

    await ground.make_room()
    await gateway.acknowledged(hub)
    assert hub.acknowledged[payload] == 1
    assert gateway.intake.counts["quarantined"] == 0
    assert await stored(ground) == list(range(1, 101))


@pytest.mark.invariant("L1")
async def test_many_batches_from_many_hubs_are_stored_exactly_once(
    ground: Ground, gateway: Gateway
) -> None:
    """Repeated, interleaved and out of order, from hubs of two sites."""
    everybody = [ground.hub(site, number) for site in (0, 1) for number in (0, 1)]
    batches = {
        hub.id: [hub.batch(*range(start, start + 15)) for start in range(1, 100, 10)]
        for hub in everybody
    }

    for turn in range(3):
        for place in range(10):
            for hub in everybody:
                shift = (place * 7 + turn) % 10
                gateway.bring(hub, UpKind.BATCH, batches[hub.id][shift])
    for hub in everybody:
        await gateway.acknowledged(hub, 30)

    found = sorted((row.hub_id, row.sequence) for row in await ground.rows(entries))
    assert found == sorted((hub.id, number) for hub in everybody for number in range(1, 106))
    assert gateway.intake.counts[UpKind.BATCH] == 120


GARBAGE = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "not signed": b"\xa1\x01\x80",
    "too large": b"x" * (MESSAGE_BYTES_MAX + 1),
    "deep": b"\x81" * 200,
}


@pytest.mark.invariant("C4")
@pytest.mark.parametrize("payload", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("kind", UpKind)
async def test_garbage_is_counted_and_delays_nobody(
    ground: Ground, gateway: Gateway, kind: UpKind, payload: bytes
) -> None:
    """On every topic: dropped, counted once, acknowledged to the broker, and the next is served."""
    hub = ground.hub()

    gateway.line.bring(hub.received(kind, payload))
    gateway.bring(hub, UpKind.BATCH, hub.batch(1))
    await gateway.acknowledged(hub)

    assert gateway.intake.counts["malformed"] == 1
    assert hub.acknowledged[payload] == 1


@pytest.mark.invariant("C4", "T2")
async def test_what_a_hub_did_not_sign_for_this_topic_is_dropped(
    ground: Ground, gateway: Gateway
) -> None:
    """Another hub's message, another kind's, one with a flipped bit, and one of nobody's hub."""
    hub, other = ground.hub(number=0), ground.hub(number=1)
    batch = hub.batch(1)
    flipped = bytearray(hub.signed(UpKind.BATCH, batch))
    flipped[-1] ^= 1
    nobody = Hub(site=7, number=7, controller=ground.keys)

    with capture_logs() as logs:
        gateway.line.bring(
            hub.received(UpKind.BATCH, other.signed(UpKind.BATCH, batch)),
            hub.received(UpKind.BATCH, hub.signed(UpKind.BEAT, batch)),
            hub.received(UpKind.HELLO, hub.signed(UpKind.BEAT, hub.status())),
            hub.received(UpKind.BATCH, bytes(flipped)),
            hub.received(UpKind.BEAT, hub.signed(UpKind.BEAT, batch)),  # signed, but no status
            nobody.received(UpKind.BATCH, nobody.signed(UpKind.BATCH, batch)),
        )
        gateway.bring(hub, UpKind.BATCH, hub.batch(2))
        await gateway.acknowledged(hub)

    assert await stored(ground) == [2]
    assert gateway.intake.counts["malformed"] == 6
    assert {line["event"] for line in logs} == {"message_dropped"}
    assert all(line["reason"] for line in logs)


@pytest.mark.invariant("C4")
async def test_a_fault_is_logged_once_a_hub(ground: Ground, gateway: Gateway) -> None:
    """A hub that has gone mad fills the counter and not the log."""
    hub = ground.hub()

    with capture_logs() as logs:
        for _ in range(50):
            gateway.line.bring(hub.received(UpKind.BATCH, b"noise"))
        await until(lambda: gateway.intake.counts["malformed"] == 50)

    assert [line["event"] for line in logs] == ["message_dropped"]


@pytest.mark.invariant("C4")
async def test_a_poisoned_batch_spoils_no_other(ground: Ground, gateway: Gateway) -> None:
    """What the database refuses is tried three times and put aside; the rest is stored."""
    hub, poisoned = ground.hub(number=0), ground.hub(number=1)
    await ground.refuse_entry(666)

    with capture_logs() as logs:
        bad = gateway.bring(poisoned, UpKind.BATCH, poisoned.batch(665, 666))
        for sequence in range(1, 6):
            gateway.bring(hub, UpKind.BATCH, hub.batch(sequence))
        await gateway.acknowledged(hub, 5)
        await until(lambda: poisoned.acknowledged[bad])

    assert await stored(ground) == [1, 2, 3, 4, 5]
    assert gateway.line.heard(poisoned, DownKind.ACK) == []
    assert gateway.intake.counts["quarantined"] == 1
    assert len([line for line in logs if line["event"] == "message_dropped"]) == 1
    assert len([line for line in logs if line["event"] == "hand_in_failed"]) == 3


@pytest.mark.invariant("C3")
async def test_a_flood_of_one_hub_costs_it_alone(ground: Ground, gateway: Gateway) -> None:
    """Beyond its allowance a hub's messages are dropped unread; another hub is served as ever."""
    mad, calm = ground.hub(number=0), ground.hub(number=1)
    flood = allowance.MESSAGES_AT_ONCE + 100

    for _ in range(flood):
        gateway.line.bring(mad.received(UpKind.BEAT, b"noise"))
    gateway.bring(calm, UpKind.BATCH, calm.batch(1))
    await gateway.acknowledged(calm)

    assert gateway.intake.counts["too_many"] == 100
    assert gateway.intake.counts["malformed"] == allowance.MESSAGES_AT_ONCE
    assert mad.acknowledged[b"noise"] == flood


async def test_a_hello_is_welcomed_and_brings_lease_and_manifest(
    ground: Ground, gateway: Gateway
) -> None:
    """A hub that comes is online at once and gets what it lacks, the lease first."""
    hub = ground.hub()
    with ground.bus.subscribe(WAKE_HUBS) as woken:
        async with running(gateway.presence.run(), gateway.publishing.documents(woken)):
            gateway.bring(hub, UpKind.HELLO, hub.status(nonce=b"n" * 16))
            await until(lambda: gateway.line.heard(hub, DownKind.MANIFEST))

    kinds = [each.kind for each in gateway.line.published]
    assert kinds == [DownKind.WELCOME, DownKind.LEASE, DownKind.MANIFEST]
    assert hub.read(gateway.line.published[0], Welcome).nonce == b"n" * 16
    assert (await ground.row(hubs, id=hub.id)).online is True


@pytest.mark.invariant("E7")
async def test_a_new_lease_reaches_a_connected_hub_by_itself(
    ground: Ground, gateway: Gateway
) -> None:
    """Whoever raises what is wanted and wakes the bus sees it go out; a confirmation ends it."""
    hub = ground.hub()
    await ground.tell(hub, UpKind.CONFIRM, hub.status(lease=1, revision=1))
    gateway.presence.saw(hub.id)
    with ground.bus.subscribe(WAKE_HUBS) as woken:
        async with running(gateway.presence.run(), gateway.publishing.documents(woken)):
            await ground.change(hubs, {"id": hub.id}, lease_wanted=2)
            ground.bus.wake(WAKE_HUBS)
            await until(lambda: gateway.line.heard(hub, DownKind.LEASE))

    (lease,) = gateway.line.heard(hub, DownKind.LEASE)
    assert hub.read(lease, Lease).number == 2


async def test_a_hub_falls_silent_after_five_missed_beats(ground: Ground, gateway: Gateway) -> None:
    """150 s of the link clock without a verified message: offline. Garbage is no sign of life."""
    hub = ground.hub()
    gateway.presence.saw(hub.id)
    await gateway.presence.turn()
    assert (await ground.row(hubs, id=hub.id)).online is True

    ground.clocks.pass_by(SILENT_S - 1)
    await gateway.presence.turn()
    assert (await ground.row(hubs, id=hub.id)).online is True

    gateway.line.bring(hub.received(UpKind.BEAT, b"noise"))
    await until(lambda: gateway.intake.counts["malformed"])
    ground.clocks.pass_by(1)
    await gateway.presence.turn()
    assert (await ground.row(hubs, id=hub.id)).online is False


async def test_without_the_broker_nobody_knows_who_is_there(
    ground: Ground, gateway: Gateway
) -> None:
    """A lost session makes presence unknown, also what a former process has left behind."""
    hub, other = ground.hub(number=0), ground.hub(number=1)
    await ground.inbound.presence(online=[other.id], offline=[])
    gateway.presence.saw(hub.id)
    await gateway.presence.turn()
    assert (await ground.row(hubs, id=hub.id)).online is True
    assert (await ground.row(hubs, id=other.id)).online is None

    gateway.line.is_connected = False
    await gateway.presence.turn()
    assert (await ground.row(hubs, id=hub.id)).online is None

    gateway.line.is_connected = True
    gateway.presence.saw(hub.id)
    await gateway.presence.turn()
    assert (await ground.row(hubs, id=hub.id)).online is True


async def test_after_each_connection_everybody_is_greeted(gateway: Gateway) -> None:
    """A new session with the broker: every hub is asked to say hello and to send again."""
    async with running(gateway.publishing.greetings()):
        gateway.greet.set()
        await until(lambda: len(gateway.line.published) == 4)
        gateway.greet.set()
        await until(lambda: len(gateway.line.published) == 8)

    assert {each.kind for each in gateway.line.published} == {DownKind.GREETING}


async def test_nothing_is_claimed_while_the_broker_is_away(
    ground: Ground, gateway: Gateway
) -> None:
    """A command is not used up by a line that leads nowhere."""
    gateway.line.is_connected = False
    with ground.bus.subscribe(WAKE_COMMANDS) as woken:
        async with running(gateway.publishing.commands(woken)):
            ground.bus.wake(WAKE_COMMANDS)
            await until(lambda: not woken._woken.is_set())

    assert gateway.line.published == []


async def test_a_batch_of_the_largest_size_is_taken(ground: Ground, gateway: Gateway) -> None:
    """100 entries with everything an entry can hold fit into a message."""
    hub = ground.hub()
    entry = hub.entry(1, at_s=2**40, hub_at_s=2**40, command_id=bytes(16), count=2**40)
    batch = Batch(entries=tuple(replace(entry, sequence=2**53 - 1 - n) for n in range(100)))

    payload = gateway.bring(hub, UpKind.BATCH, batch)
    await gateway.acknowledged(hub)

    assert len(payload) <= MESSAGE_BYTES_MAX
    assert len(await stored(ground)) == 100
