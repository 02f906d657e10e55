"""A free locker: whoever takes it keeps it until they, or an order, free it."""

import pytest

from firmware_sim.flash import MemoryFlash
from firmware_sim.lock import step as lock_firmware
from firmware_sim.outputs import Decided, MotorOpen
from gateway.protocol.messages import CommandOutcome, DenyReason, EntryKind
from gateway.protocol.sealing import OrderKind
from tests.firmware_sim.scene import ANN, BEN, DAN, Scene, scene

TAKEN, FREED = EntryKind.LOCKER_TAKEN, EntryKind.LOCKER_FREED


def locker() -> Scene:
    """Return a site whose lock is a free locker."""
    made = scene()
    made.set_door(free_locker=True)
    return made


def test_take_it_and_give_it_back() -> None:
    """The first presentation takes and opens, the next of the same opens and frees, and again."""
    made = locker()

    kinds = [made.world.tap(made.lock, BEN).kind for _ in range(3)]

    assert kinds == [TAKEN, FREED, TAKEN]
    assert made.lock.motor == [MotorOpen(seconds=5)] * 3
    assert {each.credential_digest for each in made.log()} == {made.cloud.digest(BEN)}


@pytest.mark.parametrize("has_radio", [True, False])
def test_nobody_else_opens_it(*, has_radio: bool) -> None:
    """Whoever may open lockers may not open this one while it is another's."""
    made = locker()
    made.world.tap(made.lock, ANN)
    made.lock.has_radio = has_radio

    verdict = made.world.tap(made.lock, BEN)

    kind = EntryKind.DENIED_BY_HUB if has_radio else EntryKind.DENIED_OFFLINE
    assert verdict == Decided(kind=kind, reason=DenyReason.LOCKER_TAKEN)
    assert made.lock.opened == 1


def test_who_may_not_open_takes_nothing() -> None:
    """A stranger's tag leaves the locker free."""
    made = locker()

    made.world.tap(made.lock, DAN)

    assert made.lock.now.occupant is None


def test_it_is_still_theirs_after_a_power_cut() -> None:
    """The battery of a locker is changed with everything in it."""
    made = locker()
    made.world.tap(made.lock, ANN)
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)

    assert made.world.tap(made.lock, BEN).reason is DenyReason.LOCKER_TAKEN
    assert made.world.tap(made.lock, ANN).kind is FREED


def test_an_order_frees_it() -> None:
    """It does not open; a remote opening opens and does not free; freeing a free one is done."""
    made = locker()
    made.world.tap(made.lock, ANN)
    made.order(OrderKind.OPEN)
    assert made.world.tap(made.lock, BEN).reason is DenyReason.LOCKER_TAKEN
    opened = made.lock.opened

    first, second = made.order(OrderKind.FREE_LOCKER), made.order(OrderKind.FREE_LOCKER)

    assert {made.outcome(first), made.outcome(second)} == {CommandOutcome.DONE}
    assert [each.command_id for each in made.log() if each.kind is FREED] == [first]
    assert made.lock.opened == opened
    assert made.world.tap(made.lock, BEN).kind is TAKEN


def test_a_lock_that_is_no_free_locker_any_more_is_nobodys() -> None:
    """It opens to everybody who may, and the log says that it was freed."""
    made = locker()
    made.world.tap(made.lock, ANN)

    made.set_door(free_locker=False)
    made.world.run(2)

    assert made.kinds() == [TAKEN, FREED]
    assert made.world.tap(made.lock, BEN).kind is EntryKind.OPENED_BY_HUB


def test_a_power_cut_gives_nobody_anothers_locker() -> None:
    """Cut at any byte of taking or freeing: it is free only if the log says so, or was before."""
    made = locker()
    made.lock.has_radio = False
    marks = [made.lock.flash.log]
    for _ in range(2):
        made.world.tap(made.lock, BEN)
        marks.append(made.lock.flash.log)
    for before, after, last in ((0, 1, TAKEN), (1, 2, FREED)):
        seen = set()
        for end in range(len(marks[before]), len(marks[after]) + 1):
            flash = MemoryFlash(marks[after][:end]).read()
            state, _ = lock_firmware.boot(made.lock.identity, flash, made.world.instant())
            is_logged = bool(state.log.entries) and state.log.entries[-1].kind is last
            is_done = (state.occupant is not None) is (last is TAKEN)
            assert is_logged or not is_done
            seen.add((is_logged, is_done))
        assert {(False, False), (True, True)} <= seen
