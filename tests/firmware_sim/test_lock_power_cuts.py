"""Power cuts at every flash operation of a lock that does everything but open by the hub."""

from collections.abc import Callable
from functools import partial

import pytest

from firmware_sim.inputs import BatteryAt, CaseOpened, EnterPin, PrivacyButton
from firmware_sim.lock.state import Guard
from firmware_sim.outputs import MotorClose, MotorOpen, MotorStayOpen
from gateway.protocol.messages import EntryKind, LockMode
from gateway.protocol.sections import OfficeMode, Privilege
from tests.firmware_sim.scene import BEN, OPENINGS, Scene, scene
from tests.firmware_sim.test_power_cuts import Counting, offsets

OLE = bytes.fromhex("04f6000006")
RIGHT, WRONG = "274105", "111111"
TRIES_MAX = 12
DOOR: dict[str, object] = {"keypad": True, "privacy": True, "office": OfficeMode.BY_HAND}
LOCKER: dict[str, object] = {"free_locker": True, "keypad": True}


def until(goal: Callable[[Scene], bool], act: Callable[[Scene], None], made: Scene) -> None:
    """Do it until the goal is reached, as people do, or the power goes."""
    for _ in range(TRIES_MAX):
        if made.lock.state is None or goal(made):
            return
        act(made)
        made.world.run(3)
        check_always(made)
    raise AssertionError("the goal is never reached")


def enter(pin: str, made: Scene) -> None:
    """Enter a code as soon as the keypad takes one."""
    made.world.skip(max(0.0, made.lock.now.keypad_until_s - made.world.mono_s))
    if made.lock.state is not None:
        made.world.tell(made.lock, EnterPin(pin=pin))


def hold(made: Scene) -> None:
    """Hold a tag with every privilege to it."""
    made.world.tap_if_on(made.lock, OLE, held=True)


def tap(made: Scene) -> None:
    """Present a tag for a moment."""
    made.world.tap_if_on(made.lock, BEN)


def press(made: Scene) -> None:
    """Press the privacy button."""
    made.world.tell(made.lock, PrivacyButton())


def force(made: Scene) -> None:
    """Open the door without asking, and leave it open."""
    made.world.move_door(made.lock, is_open=True)
    made.world.run(70)


def shut(made: Scene) -> None:
    """Shut the door."""
    made.world.move_door(made.lock, is_open=False)


def tamper(is_open: bool, made: Scene) -> None:  # noqa: FBT001  # of partial
    """Open or close the case."""
    made.lock.is_case_open = is_open
    made.world.tell(made.lock, CaseOpened(is_open=is_open))


def drain(made: Scene) -> None:
    """Let the battery run low."""
    made.lock.battery = 9
    made.world.tell(made.lock, BatteryAt(percent=9))


def stands(mode: LockMode, made: Scene) -> bool:
    """Whether the lock is in a mode."""
    return made.lock.now.mode.mode is mode


OFFICE, PRIVACY, NORMAL = (
    partial(stands, mode) for mode in (LockMode.OFFICE, LockMode.PRIVACY, LockMode.NORMAL)
)
AT_DOOR: list[Callable[[Scene], None]] = [
    partial(until, lambda made: made.lock.now.guard.failures >= 6, partial(enter, WRONG)),
    partial(until, lambda made: made.lock.now.guard == Guard(), partial(enter, RIGHT)),
    partial(until, OFFICE, hold),
    partial(until, lambda made: made.lock.motor[-1:] == [MotorStayOpen()], tap),
    partial(until, NORMAL, hold),
    partial(until, PRIVACY, press),
    partial(until, NORMAL, press),
    partial(until, lambda made: made.lock.now.alarms.left_open, force),
    partial(until, lambda made: not made.lock.now.alarms.left_open, shut),
    partial(until, lambda made: made.lock.now.alarms.tampered, partial(tamper, True)),  # noqa: FBT003
    partial(until, lambda made: not made.lock.now.alarms.tampered, partial(tamper, False)),  # noqa: FBT003
    partial(until, lambda made: made.lock.now.alarms.battery_told == 10, drain),
]
AT_LOCKER: list[Callable[[Scene], None]] = [
    partial(until, lambda made: made.lock.now.occupant is not None, tap),
    partial(until, lambda made: EntryKind.DENIED_OFFLINE in made.kinds(), hold),
    partial(until, lambda made: made.lock.now.occupant is None, tap),
]


def lived(
    life: list[Callable[[Scene], None]], door: dict[str, object], cut_at: int | None = None
) -> tuple[Scene, list[int]]:
    """Return the site after a life in which the lock may lose its power once, and has no hub."""
    made = scene()
    made.set_door(**door)
    made.add_person("pia", made.cloud.pin_digest(RIGHT))
    every = Privilege.OFFICE | Privilege.EXTENDED_OPENING
    made.add_person("ole", made.cloud.digest(OLE), privileges=every)
    made.lock.has_radio = False
    flash = Counting()
    flash.log = made.lock.flash.log
    flash.bytes_until_cut = cut_at
    made.lock.flash = flash
    for chapter in life:
        chapter(made)
        if made.lock.state is None:
            made.world.power_on(made.lock)
            made.world.run(2)
            check_always(made)
            chapter(made)
        check_always(made)
    return made, flash.lengths


def check_always(made: Scene) -> None:
    """What must hold whenever the lock has power."""
    if made.lock.state is None:
        return
    log = made.log()
    assert [each.sequence for each in log] == list(range(1, len(log) + 1))
    kinds, motor = [each.kind for each in log], made.lock.motor
    opening = (*OPENINGS, EntryKind.LOCKER_TAKEN, EntryKind.LOCKER_FREED)
    started = kinds.count(EntryKind.OFFICE_STARTED)
    opened = sum(kind in opening for kind in kinds)
    assert sum(isinstance(each, MotorOpen) for each in motor) <= opened
    assert motor.count(MotorStayOpen()) <= started + opened
    ended = kinds.count(EntryKind.OFFICE_ENDED)
    assert motor.count(MotorClose()) <= 2 * ended
    held = [each for each in motor if not isinstance(each, MotorOpen)]
    if not made.lock.now.stays_open:
        assert held[-1:] != [MotorStayOpen()], "no door stays open that looks shut"


def told(made: Scene) -> dict[EntryKind, int]:
    """Return how often the lock reported what it should report once."""
    kinds = made.kinds()
    once = (
        EntryKind.KEYPAD_WAITS,
        EntryKind.KEYPAD_CLEARED,
        EntryKind.INTRUSION,
        EntryKind.LEFT_OPEN,
        EntryKind.CLOSED,
        EntryKind.TAMPER,
        EntryKind.TAMPER_ENDED,
        EntryKind.BATTERY_LOW,
        EntryKind.LOCKER_TAKEN,
        EntryKind.LOCKER_FREED,
        EntryKind.PRIVACY_STARTED,
        EntryKind.PRIVACY_ENDED,
    )
    return {kind: kinds.count(kind) for kind in once}


@pytest.mark.invariant("A11", "E12")
@pytest.mark.parametrize(("life", "door"), [(AT_DOOR, DOOR), (AT_LOCKER, LOCKER)])
def test_a_cut_anywhere_in_the_life_of_a_lock(
    life: list[Callable[[Scene], None]], door: dict[str, object]
) -> None:
    """Nothing moves unrecorded, no door stays open, and in the end all is as without the cut.

    What was to be reported is, once more at most: the report is written before the note of it.
    """
    whole, lengths = lived(life, door)
    expected = told(whole)

    for index, name, cut_at in offsets(lengths):
        try:
            made, _ = lived(life, door, cut_at)
            now, then = made.lock.now, whole.lock.now
            assert (now.mode.mode, now.guard, now.alarms) == (
                then.mode.mode,
                then.guard,
                then.alarms,
            )
            assert now.occupant == then.occupant
            for kind, count in told(made).items():
                # A start cannot know who opened the door while the lock had no power.
                least = 0 if kind is EntryKind.INTRUSION else expected[kind]
                assert least <= count <= expected[kind] + 1, kind
        except AssertionError as error:
            error.add_note(f"power cut {name} operation {index}")
            raise
