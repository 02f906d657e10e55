"""Entries: written by the lock, carried by the hub, kept until the cloud has them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.lock import log as lock_log
from gateway.protocol import frames
from gateway.protocol.frames import FrameKind
from gateway.protocol.messages import EntryKind
from gateway.protocol.topics import UpKind
from tests.firmware_sim.scene import ANN, BEN, CAT, DAN, Scene, scene

TAGS = [ANN, BEN, CAT, DAN]


def sequences(made: Scene, lock: int = 0, log_epoch: int = 0) -> list[int]:
    """Return what the cloud has of a lock's log."""
    lock_id = made.cloud.lock_id(made.world.locks[lock].name)
    return sorted(key[2] for key in made.cloud.entries if key[:2] == (lock_id, log_epoch))


def check_nothing_is_lost(made: Scene) -> None:
    """Whatever a lock has forgotten, the cloud has."""
    for index, lock in enumerate(made.world.locks):
        if lock.state is not None:
            freed = lock.state.log.freed.up_to
            assert set(range(1, freed + 1)) <= set(sequences(made, index))


@pytest.mark.invariant("L3")
def test_nothing_is_freed_before_the_cloud_has_it() -> None:
    """A broker that takes everything and a cloud that commits nothing: lock and hub keep it."""
    made = scene()
    made.cloud.is_acking = False

    for tag in TAGS:
        made.world.tap(made.lock, tag)
    made.world.run(120)

    assert len(made.lock.now.log.entries) == 4
    assert made.hub.now.journal.waiting == 4
    made.cloud.is_acking = True
    made.world.run(300)
    assert not made.lock.now.log.entries
    assert made.hub.now.journal.waiting == 0
    assert sequences(made) == [1, 2, 3, 4]


@pytest.mark.invariant("L1", "L3")
@given(data=st.data())
def test_every_entry_arrives_once_whatever_fails(data: st.DataObject) -> None:
    """Line, radio, power and acknowledgements fail in any order; then they heal."""
    made = scene(locks=2)
    taps = [0, 0]
    for _ in range(data.draw(st.integers(1, 12))):
        number = data.draw(st.integers(0, 1))
        lock = made.world.locks[number]
        match data.draw(st.sampled_from(["tap", "tap", "radio", "line", "lock", "hub", "acks"])):
            case "tap":
                made.world.tap(lock, data.draw(st.sampled_from(TAGS)))
                taps[number] += 1
            case "radio":
                lock.has_radio = not lock.has_radio
            case "line" if made.hub.has_uplink:
                made.world.cut_uplink(made.hub)
            case "line":
                made.world.restore_uplink(made.hub)
            case "lock":
                made.world.power_off(lock)
                made.world.power_on(lock)
            case "hub":
                made.world.power_off(made.hub)
                made.world.power_on(made.hub)
            case _:
                made.cloud.is_acking = not made.cloud.is_acking
        made.world.run(data.draw(st.sampled_from([0, 5, 40])))
        check_nothing_is_lost(made)

    heal(made)

    assert sequences(made, 0) == list(range(1, taps[0] + 1))
    assert sequences(made, 1) == list(range(1, taps[1] + 1))
    assert all(lock.now.log.entries == () for lock in made.world.locks)


def heal(made: Scene) -> None:
    """Let everything work again, and wait until nothing waits; no pause is longer than 300 s."""
    made.cloud.is_acking = True
    for lock in made.world.locks:
        lock.has_radio = True
    if not made.hub.has_uplink:
        made.world.restore_uplink(made.hub)
    for _ in range(70):
        waiting = sum(len(lock.now.log.entries) for lock in made.world.locks)
        if waiting + made.hub.now.journal.waiting == 0:
            return
        made.world.run(20)


@pytest.mark.invariant("L1")
@pytest.mark.parametrize("log_epoch", [0, 1])
def test_a_hub_that_never_saw_a_log_learns_where_it_begins(log_epoch: int) -> None:
    """The radio loses the first entry of a log: the second does not pass for the first."""
    made = scene()
    if log_epoch:
        made.world.tap(made.lock, ANN)
        made.reset(made.lock)
        made.world.run(200)
    made.lock.has_radio = False
    made.world.tap(made.lock, BEN)
    made.lock.has_radio = True

    made.world.tap(made.lock, BEN)

    assert sequences(made, log_epoch=log_epoch) == [1, 2]


@pytest.mark.invariant("L1")
def test_a_long_log_of_an_unknown_lock_goes_out_without_waiting() -> None:
    """A lock that was alone from its first day tells everything within one exchange."""
    made = scene()
    made.lock.has_radio = False
    for _ in range(40):
        made.world.tap(made.lock, BEN)
    made.lock.has_radio = True

    made.world.tap(made.lock, BEN)

    assert sequences(made) == list(range(1, 42))


@pytest.mark.invariant("L2")
def test_a_hole_is_never_shipped() -> None:
    """A frame that is lost holds back what follows it; freed is only what is whole."""
    made = scene()
    made.world.tap(made.lock, ANN)  # so that the hub knows the log
    made.lock.frames.clear()
    made.lock.has_radio = False
    for _ in range(20):
        made.world.tap(made.lock, BEN)
    entries = [data for data in made.lock.frames if frames.decode(data).kind is FrameKind.ENTRIES]
    made.lock.has_radio = True

    made.replay(made.hub, entries[10:])

    assert sequences(made) == [1]
    made.replay(made.hub, entries)
    assert sequences(made) == list(range(1, 22))


@pytest.mark.invariant("L2")
def test_a_full_ring_says_how_much_is_lost() -> None:
    """The oldest go first, openings go on, and one entry stands for all that are lost."""
    made = scene()
    made.lock.has_radio = False
    total = lock_log.CAPACITY + 25
    for _ in range(total):
        made.world.tap(made.lock, BEN)

    made.lock.has_radio = True
    heal(made)

    lost = made.cloud.entries[(made.cloud.lock_id(made.lock.name), 0, 26)]
    assert made.lock.opened == total
    assert lost.kind is EntryKind.OVERFLOW
    assert lost.count == 26
    assert sequences(made) == list(range(26, total + 1))


@pytest.mark.invariant("L2")
def test_a_full_ring_loses_nothing_that_the_hub_has() -> None:
    """The cloud is away for long: the lock's ring turns over, the hub's journal holds all."""
    made = scene()
    made.world.tap(made.lock, BEN)
    made.cloud.is_acking = False
    total = lock_log.CAPACITY + 25
    for _ in range(total):
        made.world.tap(made.lock, BEN)

    heal(made)

    assert sequences(made) == list(range(1, total + 2))
    assert not any(entry.kind is EntryKind.OVERFLOW for entry in made.cloud.entries.values())


def check_the_sum(made: Scene) -> int:
    """Account for every number that the lock ever gave; return how many entries are lost.

    A number is stored in the cloud, still on its way at lock or hub, or declared lost by an
    OVERFLOW. What is declared and stored as well was not lost: the cloud had it already.
    """
    on_its_way = [*made.lock.now.log.entries]
    on_its_way += [each for log in made.hub.now.journal.logs.values() for each in log.entries]
    everywhere = [*made.cloud.entries.values(), *on_its_way]
    there = {each.sequence for each in everywhere if each.kind is not EntryKind.OVERFLOW}
    declared = {
        sequence
        for each in everywhere
        if each.kind is EntryKind.OVERFLOW
        for sequence in range(each.sequence - (each.count or 0) + 1, each.sequence + 1)
    }
    lost = declared - there
    assert there | lost == set(range(1, made.lock.now.log.newest + 1))
    return len(lost)


@pytest.mark.invariant("L2", "L8")
@settings(max_examples=25)
@given(data=st.data())
def test_what_a_lock_counted_is_stored_on_its_way_or_declared_lost(data: st.DataObject) -> None:
    """A ring of eight that turns over again and again while radio, line and acks come and go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock_log, "CAPACITY", 8)
        made = scene()
        for _ in range(data.draw(st.integers(1, 15))):
            match data.draw(st.sampled_from(["taps", "taps", "radio", "line", "hub", "acks"])):
                case "taps":
                    for _ in range(data.draw(st.integers(1, 12))):
                        made.world.tap(made.lock, BEN)
                        check_the_sum(made)
                case "radio":
                    made.lock.has_radio = not made.lock.has_radio
                case "line" if made.hub.has_uplink:
                    made.world.cut_uplink(made.hub)
                case "line":
                    made.world.restore_uplink(made.hub)
                case "hub":
                    made.world.power_off(made.hub)
                    made.world.power_on(made.hub)
                case _:
                    made.cloud.is_acking = not made.cloud.is_acking
            made.world.run(data.draw(st.sampled_from([0, 40])))
            check_the_sum(made)

        heal(made)
        lost = check_the_sum(made)

    stored = [e for e in made.cloud.entries.values() if e.kind is not EntryKind.OVERFLOW]
    assert made.lock.now.log.newest == len(stored) + lost


@pytest.mark.invariant("L1")
def test_a_factory_reset_begins_a_new_log() -> None:
    """The number of the log goes up, everything else is forgotten, entries before it stay."""
    made = scene()
    made.world.tap(made.lock, BEN)
    made.world.tap(made.lock, ANN)
    old = made.lock.flash.read()

    made.reset(made.lock)
    made.world.run(200)
    after = made.world.tap(made.lock, BEN)

    assert after.kind is EntryKind.OPENED_BY_HUB
    assert sequences(made) == [1, 2]
    assert sequences(made, log_epoch=1) == [1]
    assert not set(old) & {key for key in made.lock.flash.read() if key.startswith("0/")}


@pytest.mark.invariant("L5")
def test_an_entry_carries_both_clocks() -> None:
    """The lock's time and whether it was told, and the hub's time of journaling."""
    made = scene()
    made.world.power_off(made.lock)
    made.hub.state, held = None, made.hub.state
    made.world.power_on(made.lock)
    made.world.tap(made.lock, BEN)
    made.hub.state = held
    made.world.run(60)

    (entry,) = made.cloud.entries.values()

    assert not entry.clock_trusted
    assert entry.at_s < entry.hub_at_s if entry.hub_at_s else False


def test_few_batches_are_on_their_way_at_once() -> None:
    """A cloud that does not acknowledge gets four batches, the same bytes, ever more slowly."""
    made = scene()
    made.cloud.is_acking = False
    made.hub.said.clear()
    for _ in range(20):
        made.world.tap(made.lock, ANN)
    made.world.run(1000)

    batches = [each.payload for each in made.hub.said if each.kind is UpKind.BATCH]

    assert len(set(batches)) == 4
    assert len(batches) == 4 * 6  # at 0, 30, 90, 210, 450 and 750 s


def test_a_greeting_brings_what_waits_at_once() -> None:
    """A gateway that has just started need not wait for the hub's pause to end."""
    made = scene()
    made.cloud.is_acking = False
    made.world.tap(made.lock, ANN)
    made.world.run(100)
    made.cloud.is_acking = True

    made.world.deliver(
        made.hub, made.cloud.greeting(made.hub.identity.hub_id, utc_ms=made.world.utc_ms)
    )

    assert sequences(made) == [1]
    assert made.lock.now.log.entries == ()
