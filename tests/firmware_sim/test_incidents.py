"""What a lock reports beside who opened: door, case, battery. And that its counters add up."""

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from firmware_sim.inputs import BatteryAt, CaseOpened, DoorMoved, InsideHandle
from firmware_sim.lock.log import CAPACITY
from firmware_sim.lock.sensors import HANDLE_S
from gateway.protocol.messages import FIRST_INCIDENT, EntryKind
from gateway.protocol.sealing import OrderKind
from tests.firmware_sim.scene import BEN, DAN, Scene, prepare, scene

INTRUSION, CLOSED, LEFT_OPEN = EntryKind.INTRUSION, EntryKind.CLOSED, EntryKind.LEFT_OPEN
TAMPER, TAMPER_ENDED = EntryKind.TAMPER, EntryKind.TAMPER_ENDED
LOW = EntryKind.BATTERY_LOW


def restart(made: Scene) -> None:
    """Change the battery of the first lock."""
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)


def incidents(made: Scene) -> list[EntryKind]:
    """Return the kinds of what is no entry, oldest first."""
    return [kind for kind in made.kinds() if kind >= FIRST_INCIDENT]


def move(made: Scene, *, is_open: bool, from_within: bool = False) -> None:
    """Move the first lock's door."""
    made.world.move_door(made.lock, is_open=is_open, from_within=from_within)


# Who opened


def test_a_door_that_nobody_was_let_through_is_forced() -> None:
    """Intrusion at once, and closed when it is shut again."""
    made = scene()

    move(made, is_open=True)
    move(made, is_open=False)

    assert incidents(made) == [INTRUSION, CLOSED]


@pytest.mark.parametrize(("after_s", "expected"), [(0, []), (5, []), (5.5, [INTRUSION])])
def test_an_opening_allows_the_door_to_move(after_s: float, expected: list[EntryKind]) -> None:
    """For as long as the lock is let open, and no longer."""
    made = scene()
    made.world.tap(made.lock, BEN)
    made.world.skip(after_s)

    move(made, is_open=True)

    assert incidents(made) == expected


def test_a_refusal_allows_nothing() -> None:
    """Refused and opened all the same: an intrusion."""
    made = scene()
    made.world.tap(made.lock, DAN)

    move(made, is_open=True)

    assert incidents(made) == [INTRUSION]


def test_a_remote_opening_and_a_lock_that_stays_open_allow_it() -> None:
    """Whoever opened is in the log already."""
    made = scene()
    made.order(OrderKind.OPEN)
    move(made, is_open=True)
    move(made, is_open=False)
    made.order(OrderKind.START_OFFICE)
    made.world.run(30)
    move(made, is_open=True)
    move(made, is_open=False)

    assert incidents(made) == []


@pytest.mark.parametrize(
    ("after_s", "expected"), [(0, []), (HANDLE_S - 1, []), (HANDLE_S, [INTRUSION])]
)
def test_the_handle_inside_announces_one_opening(after_s: float, expected: list[EntryKind]) -> None:
    """Within 10 s, and the opening after it is another."""
    made = scene()
    made.world.tell(made.lock, InsideHandle())
    made.world.skip(after_s)

    move(made, is_open=True)
    assert incidents(made) == expected

    move(made, is_open=False)
    move(made, is_open=True)
    assert incidents(made)[-1] is INTRUSION


def test_how_the_door_stands_after_a_start_is_no_intrusion() -> None:
    """Somebody may have gone through while there was no power."""
    made = scene()
    made.world.power_off(made.lock)
    made.lock.is_door_open = True

    made.world.power_on(made.lock)

    assert incidents(made) == []


# Left open


def test_a_door_that_is_left_open() -> None:
    """After the seconds of the settings, once, and closed when it is shut."""
    made = scene()
    made.world.tap(made.lock, BEN)
    move(made, is_open=True)
    made.world.run(59)
    assert incidents(made) == []

    made.world.run(300)
    assert incidents(made) == [LEFT_OPEN]
    move(made, is_open=False)

    assert incidents(made) == [LEFT_OPEN, CLOSED]


def test_closed_is_not_told_of_every_door() -> None:
    """Only of one that was reported before."""
    made = scene()
    made.world.tap(made.lock, BEN)
    move(made, is_open=True)
    move(made, is_open=False)

    assert incidents(made) == []


def test_an_alarm_waits_for_the_end_of_an_extended_opening() -> None:
    """Who was given more time than the alarm allows is not reported within it."""
    made = scene()
    made.set_door(open_s=100, left_open_s=30)
    made.world.tap(made.lock, BEN)
    move(made, is_open=True)

    made.world.run(90)
    assert incidents(made) == []
    made.world.run(20)

    assert incidents(made) == [LEFT_OPEN]


def test_without_seconds_there_is_no_alarm() -> None:
    """0 switches it off."""
    made = scene()
    made.set_door(left_open_s=0)
    move(made, is_open=True, from_within=True)
    made.world.run(3600)

    assert incidents(made) == []


def test_in_office_mode_a_door_may_stand_open() -> None:
    """The time runs from the end of office mode on."""
    made = scene()
    made.order(OrderKind.START_OFFICE)
    move(made, is_open=True)
    made.world.run(300)
    made.order(OrderKind.END_OFFICE)
    made.world.run(50)
    assert incidents(made) == []

    made.world.run(20)

    assert incidents(made) == [LEFT_OPEN]


def test_a_power_cut_repeats_no_alarm_and_forgets_none() -> None:
    """Left open before the cut, open after it: no second report. Shut meanwhile: closed."""
    made = scene()
    move(made, is_open=True)
    made.world.run(70)
    restart(made)
    made.world.run(300)
    assert incidents(made) == [INTRUSION, LEFT_OPEN]

    made.world.power_off(made.lock)
    made.lock.is_door_open = False
    made.world.power_on(made.lock)

    assert incidents(made) == [INTRUSION, LEFT_OPEN, CLOSED]


# Case and battery


def test_an_opened_case_is_told_once() -> None:
    """Also when the battery was changed meanwhile."""
    made = scene()
    made.lock.is_case_open = True
    made.world.tell(made.lock, CaseOpened(is_open=True))
    restart(made)
    assert incidents(made) == [TAMPER]

    made.lock.is_case_open = False
    made.world.tell(made.lock, CaseOpened(is_open=False))
    restart(made)

    assert incidents(made) == [TAMPER, TAMPER_ENDED]


@pytest.mark.parametrize(
    ("readings", "told"),
    [
        ([100, 21], []),
        ([20], [20]),
        ([20, 19, 11, 10, 9, 6, 5, 4, 0], [20, 10, 5]),
        ([100, 8, 7, 5], [8, 5]),
        ([3, 2], [3]),
        ([20, 45, 20], [20]),
        ([20, 50, 20], [20]),
        ([20, 51, 20], [20, 20]),
        ([4, 100, 15], [4, 15]),
    ],
)
def test_a_low_battery_is_told_at_each_step_once(readings: list[int], told: list[int]) -> None:
    """At 20, 10 and 5 per cent; above 50 there is another battery. Restarts change nothing."""
    for has_restarts in (False, True):
        made = scene()
        for percent in readings:
            made.lock.battery = percent
            made.world.tell(made.lock, BatteryAt(percent=percent))
            if has_restarts:
                restart(made)
        made.world.run(25)

        assert [each.count for each in made.log() if each.kind is LOW] == told
        link = made.hub.now.locks[made.cloud.lock_id(made.lock.name)]
        assert link.state is not None
        assert link.state.battery == readings[-1]


@pytest.mark.parametrize("percent", [-1, 101])
def test_what_is_no_percentage_changes_nothing(percent: int) -> None:
    """A reading that no battery has is passed over."""
    made = scene()
    before = made.lock.now

    made.world.tell(made.lock, BatteryAt(percent=percent))

    assert made.lock.now == before


def test_a_lock_without_a_site_reports_nothing() -> None:
    """There is nobody to tell, and nothing of it is left when it gets a site."""
    made = prepare()
    made.world.power_on(made.lock)
    for event in (
        DoorMoved(is_open=True),
        CaseOpened(is_open=True),
        BatteryAt(percent=3),
        DoorMoved(is_open=False),
    ):
        made.world.tell(made.lock, event)

    assert made.lock.now.log.entries == ()


def test_incidents_travel_like_entries() -> None:
    """In order with them, kept while there is no line, sent again until they are committed."""
    made = scene()
    made.cloud.is_acking = False
    made.world.tap(made.lock, BEN)
    made.world.tell(made.lock, CaseOpened(is_open=True))
    made.lock.is_case_open = True
    restart(made)
    made.cloud.is_acking = True
    made.world.run(400)

    committed = sorted(made.cloud.entries.values(), key=lambda each: each.sequence)
    assert [each.kind for each in committed] == [EntryKind.OPENED_BY_HUB, TAMPER]
    assert not made.lock.now.log.entries


# Counters


def filled() -> bytes:
    """Return the flash of a lock without a hub that has filled most of its ring.

    The oldest is an incident with a count that is not the number of lost entries.
    """
    made = scene()
    made.lock.has_radio = False
    made.world.tell(made.lock, BatteryAt(percent=3))
    for number in range(CAPACITY - 5):
        made.world.tell(made.lock, CaseOpened(is_open=number % 2 == 0))
    return made.lock.flash.log


FULL = filled()
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking a full ring takes minutes


class Counters(RuleBasedStateMachine):
    """Anything that writes entries, frees them or takes the power, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.made = scene()

    @initialize(is_full=st.booleans())
    def begin(self, *, is_full: bool) -> None:
        """Begin with an empty ring, or with one that is nearly full and no hub to empty it."""
        if is_full:
            self.made.lock.has_radio = False
            self.made.world.power_off(self.made.lock)
            self.made.lock.flash.log = FULL
            self.made.world.power_on(self.made.lock)

    @rule(tag=st.sampled_from([BEN, DAN]))
    def tap(self, tag: bytes) -> None:
        """Somebody comes."""
        self.made.world.tap_if_on(self.made.lock, tag)

    @rule(percent=st.integers(0, 100))
    def drain(self, percent: int) -> None:
        """The battery says something; its incident has a count of its own."""
        self.made.lock.battery = percent
        self.made.world.tell(self.made.lock, BatteryAt(percent=percent))

    @rule(is_open=st.booleans())
    def move(self, *, is_open: bool) -> None:
        """Somebody forces the door, or shuts it."""
        move(self.made, is_open=is_open)

    @rule(times=st.integers(1, 6))
    def tamper(self, times: int) -> None:
        """Somebody opens and closes the case."""
        for _ in range(times):
            is_open = not self.made.lock.is_case_open
            self.made.lock.is_case_open = is_open
            self.made.world.tell(self.made.lock, CaseOpened(is_open=is_open))

    @rule(has_radio=st.booleans(), is_acking=st.booleans())
    def link(self, *, has_radio: bool, is_acking: bool) -> None:
        """The radio or the cloud comes or goes, and some time passes."""
        self.made.lock.has_radio = has_radio
        self.made.cloud.is_acking = is_acking
        self.made.world.run(40)

    @rule(after=st.integers(0, 200))
    def cut(self, after: int) -> None:
        """The power goes within or after the next operations of the flash."""
        self.made.lock.flash.bytes_until_cut = after
        self.tamper(1)
        self.made.world.power_off(self.made.lock)
        self.made.world.power_on(self.made.lock)

    @invariant()
    def adds_up(self) -> None:
        """The newest number is what is in the ring, what was freed and what is declared lost."""
        log = self.made.lock.now.log
        lost = sum(each.count or 0 for each in log.entries if each.kind is EntryKind.OVERFLOW)
        held = sum(each.kind is not EntryKind.OVERFLOW for each in log.entries)
        assert log.newest == log.freed.up_to + held + lost

    @invariant()
    def is_whole(self) -> None:
        """Cloud, hub and lock have every number, or an OVERFLOW that stands for it."""
        made = self.made
        key = (made.cloud.lock_id(made.lock.name), 0)
        journal = made.hub.now.journal.logs.get(key)
        every = [
            *made.lock.now.log.entries,
            *(journal.entries if journal else ()),
            *(each for name, each in made.cloud.entries.items() if name[:2] == key),
        ]
        covered: set[int] = set()
        for each in every:
            span = (each.count or 1) if each.kind is EntryKind.OVERFLOW else 1
            covered |= set(range(each.sequence - span + 1, each.sequence + 1))
        assert covered == set(range(1, made.lock.now.log.newest + 1))


@pytest.mark.invariant("L8")
def test_the_counters_add_up() -> None:
    """Newest = in the ring + freed + declared lost, whatever happens and whenever power goes."""
    run_state_machine_as_test(
        Counters, settings=settings(max_examples=25, stateful_step_count=25, phases=PHASES)
    )
