"""The hub's end of the radio, frame by frame: what a lock says and what the cloud hears of it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.hub import journal
from firmware_sim.inputs import RadioHeard, Tick
from gateway.protocol import frames
from gateway.protocol.messages import (
    FIRST_INCIDENT,
    CommandOutcome,
    CredentialKind,
    DenyReason,
    Entry,
    EntryKind,
    LockMode,
    LockStatus,
)
from gateway.protocol.sealing import OrderKind
from gateway.protocol.sections import Privilege
from gateway.protocol.topics import UpKind
from tests.firmware_sim.cloud import ident, person
from tests.firmware_sim.scene import ANN, Scene, scene

LOG_EPOCH = 7  # a log that no lock of these tests writes
INCIDENTS = [kind for kind in EntryKind if kind >= FIRST_INCIDENT]
COUNTED = (EntryKind.BATTERY_LOW, EntryKind.KEYPAD_WAITS, EntryKind.KEYPAD_OFF)
STANDS = frames.State(
    log_epoch=0,
    epoch=0,
    revision=0,
    clock_trusted=True,
    entries_waiting=0,
    battery=100,
    mode=LockMode.NORMAL,
)


def alone(*, locks: int = 1) -> Scene:
    """Return a site whose locks have gone silent; the tests speak for them."""
    made = scene(locks=locks)
    for lock in made.world.locks:
        lock.has_radio = False
    return made


def say(made: Scene, message: frames.Message, *, lock: int = 0) -> None:
    """Say something as a lock."""
    lock_id = made.cloud.lock_id(made.world.locks[lock].name)
    link_key = made.hub.now.locks[lock_id].link_key
    frame = frames.protect(message, lock_id=lock_id, link_key=link_key)
    made.world.tell(made.hub, RadioHeard(data=frames.encode(frame)))


def heard(made: Scene, kind: type[frames.Message]) -> list[frames.Message]:
    """Return what the hub has said of this kind to its first lock."""
    lock_id = made.cloud.lock_id(made.lock.name)
    link_key = made.hub.now.locks[lock_id].link_key
    on_air = [frames.decode(data) for data in made.hub.frames]
    mine = [each for each in on_air if each.address == lock_id and each.kind in frames.TYPES]
    said = [frames.unprotect(each, link_key=link_key) for each in mine]
    return [each for each in said if isinstance(each, kind)]


def told(made: Scene) -> LockStatus:
    """Return what the cloud was last told about the first lock."""
    return made.cloud.statuses[made.hub.identity.hub_id].locks[0]


def ask(made: Scene, digest: bytes) -> frames.Answer:
    """Ask as the first lock, and return the answer."""
    challenge = ident(f"challenge {len(made.hub.frames)}")
    say(made, frames.Ask(challenge=challenge, credential_digest=digest))
    answer = heard(made, frames.Answer)[-1]
    assert isinstance(answer, frames.Answer)
    assert answer.challenge == challenge
    return answer


def test_an_answer_tells_what_the_person_may_do() -> None:
    """The privileges of the person travel with a grant, and with nothing else."""
    made = alone()
    plan = made.cloud.plans[made.hub.identity.hub_id]
    may = Privilege.OFFICE | Privilege.EXTENDED_OPENING
    plan.people += (
        person("eve", ident("eve's"), groups=("all",), privileges=may),
        person("out", ident("out's"), privileges=may),
    )
    made.publish()

    assert ask(made, ident("eve's")).privileges == may
    assert ask(made, made.cloud.digest(ANN)).privileges is None
    refused = ask(made, ident("out's"))
    assert (refused.granted, refused.reason) == (False, DenyReason.NO_ACCESS_TO_LOCK)
    assert refused.privileges is None


@pytest.mark.parametrize("kind", OrderKind)
@pytest.mark.parametrize("outcome", [CommandOutcome.OPENED, CommandOutcome.DONE])
def test_an_order_of_any_kind_passes_through(kind: OrderKind, outcome: CommandOutcome) -> None:
    """The hub hands the sealed order on as it came and replies what the lock says."""
    made = alone()
    command_id, command = made.cloud.command(
        made.hub.identity.hub_id,
        made.lock.name,
        issued_ms=made.world.utc_ms,
        until_ms=made.world.order_until_ms,
        kind=kind,
        seconds=60,
    )

    made.world.deliver(made.hub, command)
    (order,) = heard(made, frames.Order)
    assert not made.cloud.replies
    say(made, frames.Obeyed(command_id=command_id, outcome=outcome))

    assert isinstance(order, frames.Order)
    assert order.command_id == command_id
    assert order.sealed in command.payload
    assert [(each.command_id, each.outcome) for each in made.cloud.replies] == [
        (command_id, outcome)
    ]


def test_another_lock_cannot_answer_for_one() -> None:
    """A reply comes from the lock that was ordered, not from its neighbour."""
    made = alone(locks=2)
    command_id, command = made.cloud.command(
        made.hub.identity.hub_id,
        made.lock.name,
        issued_ms=made.world.utc_ms,
        until_ms=made.world.order_until_ms,
    )
    made.world.deliver(made.hub, command)

    say(made, frames.Obeyed(command_id=command_id, outcome=CommandOutcome.OPENED), lock=1)

    assert not made.cloud.replies


def test_the_cloud_hears_of_battery_and_mode_at_once() -> None:
    """A lock says that its battery is low and that it stays open: no beat is waited for."""
    made = alone()
    assert (told(made).battery, told(made).mode) == (100, LockMode.NORMAL)

    say(made, replace(STANDS, battery=18, mode=LockMode.OFFICE))

    assert (told(made).battery, told(made).mode) == (18, LockMode.OFFICE)


def until_status_changes(made: Scene, *, seconds: int) -> tuple[float, LockStatus]:
    """Let ticks pass until the cloud is told something else of the lock; return when and what."""
    before, started_s = told(made), made.world.mono_s
    for _ in range(seconds):
        made.world.skip(1)
        made.world.tell(made.hub, Tick())
        if told(made) != before:
            return made.world.mono_s - started_s, told(made)
    raise AssertionError("the cloud was told nothing")


def test_the_cloud_hears_at_once_of_a_lock_that_goes_offline() -> None:
    """Five heartbeats without an answer: the same tick that finds it tells it."""
    made = alone()
    made.world.run(7)
    made.world.cut_uplink(made.hub)
    made.world.restore_uplink(made.hub)  # from here on no beat falls together with a heartbeat
    say(made, STANDS)
    made.hub.said.clear()
    beats = len(heard(made, frames.Time))

    after_s, status = until_status_changes(made, seconds=200)

    assert status.online is False
    assert 100 <= after_s <= 120
    assert len(heard(made, frames.Time)) - beats in {5, 6}
    assert [each.kind for each in made.hub.said].count(UpKind.CONFIRM) == 1


def test_one_word_within_five_heartbeats_is_enough() -> None:
    """A lock that answers every fifth heartbeat never counts as offline."""
    made = alone()
    for _ in range(10):
        say(made, STANDS)
        for _ in range(95):
            made.world.skip(1)
            made.world.tell(made.hub, Tick())
            assert told(made).online is True


def test_after_its_start_a_hub_accuses_no_lock() -> None:
    """Until five heartbeats are missed, or the lock is heard, nobody can tell: it says nothing."""
    made = alone()
    made.world.power_off(made.hub)
    made.world.power_on(made.hub)
    assert (told(made).online, told(made).paired, told(made).mode) == (None, True, None)

    after_s, status = until_status_changes(made, seconds=200)

    assert status.online is False
    assert 100 <= after_s <= 120


def test_a_lock_that_comes_back_is_online_at_once() -> None:
    """Any word of it that opens is enough."""
    made = alone()
    made.world.run(150)
    assert told(made).online is False

    say(made, frames.Ask(challenge=ident("c"), credential_digest=made.cloud.digest(ANN)))

    assert told(made).online is True


def incident(made: Scene, sequence: int, kind: EntryKind) -> Entry:
    """Return what a lock writes about something that is wrong."""
    return Entry(
        lock_id=made.cloud.lock_id(made.lock.name),
        log_epoch=LOG_EPOCH,
        sequence=sequence,
        kind=kind,
        at_s=1_000_000 + sequence,
        clock_trusted=sequence % 2 == 0,
        count=sequence if kind in COUNTED else None,
        command_id=ident("command") if kind is EntryKind.KEYPAD_CLEARED else None,
        credential_digest=ident("tag") if kind is EntryKind.KEYPAD_CLEARED else None,
        credential_kind=CredentialKind.TAG if kind is EntryKind.KEYPAD_CLEARED else None,
    )


def committed(made: Scene) -> list[Entry]:
    """Return what the cloud has of the log, by sequence, without what the hub added."""
    mine = [entry for entry in made.cloud.entries.values() if entry.log_epoch == LOG_EPOCH]
    ordered = sorted(mine, key=lambda entry: entry.sequence)
    return [replace(entry, hub_at_s=None) for entry in ordered]


@pytest.mark.invariant("L1")
def test_incidents_pass_unchanged() -> None:
    """Whatever the kind, what the lock wrote is what the cloud has, in its order."""
    made = alone()
    written = [incident(made, number, kind) for number, kind in enumerate(EntryKind, 1)]
    written = [each for each in written if each.kind is not EntryKind.OVERFLOW]
    written = [replace(each, sequence=number) for number, each in enumerate(written, 1)]
    assert {each.kind for each in written} >= {*INCIDENTS}

    for first in range(0, len(written), frames.ENTRIES_PER_FRAME_MAX):
        some = tuple(written[first : first + frames.ENTRIES_PER_FRAME_MAX])
        say(made, frames.Entries(entries=some))

    assert committed(made) == written
    assert list(made.cloud.entries) == sorted(made.cloud.entries)


@pytest.mark.invariant("L1", "L3")
@settings(max_examples=40)
@given(data=st.data())
def test_no_entry_is_lost_or_moved_by_the_hub(data: st.DataObject) -> None:
    """Frames lost, doubled and out of order, the line cut, the hub without power: all arrive.

    A lock sends everything that was not freed again, from the oldest; that alone must heal it.
    """
    made = alone()
    kinds = data.draw(st.lists(st.sampled_from(INCIDENTS), min_size=1, max_size=30))
    log = [incident(made, number, kind) for number, kind in enumerate(kinds, 1)]
    places = st.integers(0, len(log) - 1)
    for first, count, fault in data.draw(
        st.lists(st.tuples(places, st.integers(1, 16), st.integers(0, 5)), max_size=12)
    ):
        # A lock begins with its oldest entry as long as the hub has freed nothing of the log.
        start = first if any(key[1] == LOG_EPOCH for key in made.hub.now.journal.logs) else 0
        say(made, frames.Entries(entries=tuple(log[start : start + count])))
        if fault == 1:
            made.world.cut_uplink(made.hub)
        elif fault == 2:
            made.world.restore_uplink(made.hub)
        elif fault == 3:
            made.cloud.is_acking = not made.cloud.is_acking
        elif fault == 4:
            made.world.power_off(made.hub)
            made.world.power_on(made.hub)
        assert freed(made) <= len(committed(made))

    made.cloud.is_acking = True
    made.world.restore_uplink(made.hub)
    for start in range(0, len(log), 16):
        say(made, frames.Entries(entries=tuple(log[start : start + 16])))
    made.world.run(40)

    assert committed(made) == log
    assert freed(made) == len(log)


def freed(made: Scene) -> int:
    """Return how far the hub has let the lock forget the log."""
    found = [each for each in heard(made, frames.Free) if isinstance(each, frames.Free)]
    return max((each.up_to for each in found if each.log_epoch == LOG_EPOCH), default=0)


def test_a_full_journal_leaves_entries_at_the_lock() -> None:
    """What finds no room is not taken, and comes when there is room again."""
    made = alone()
    made.world.cut_uplink(made.hub)
    log = [incident(made, number, EntryKind.TAMPER) for number in range(1, journal.CAPACITY + 17)]
    for start in range(0, len(log), 16):
        say(made, frames.Entries(entries=tuple(log[start : start + 16])))
    assert made.hub.now.journal.waiting == journal.CAPACITY

    made.world.restore_uplink(made.hub)
    assert made.hub.now.journal.waiting == 0
    say(made, frames.Entries(entries=tuple(log[-16:])))

    assert committed(made) == log
