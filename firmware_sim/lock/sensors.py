"""What contacts and battery say, and the incidents that follow from it.

Source: docs/algorithms/door-modes.md. A lock without a site reports nothing. Which incidents stand
is in flash, so that a power cut neither repeats one nor forgets to end it.
"""

from dataclasses import replace
from typing import Final

from firmware_sim.lock import log, modes
from firmware_sim.lock.state import Alarms, LockState
from firmware_sim.outputs import FlashWrite
from firmware_sim.turn import Turn
from gateway.protocol import wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import EntryKind

HANDLE_S: Final = 10.0  # from pressing the handle to the door's moving
BATTERY_STEPS: Final = (5, 10, 20)  # per cent; each is told once
BATTERY_FRESH: Final = 50  # above it there must be another battery
KEY: Final = "alarms"


def move_door(turn: Turn[LockState], *, is_open: bool) -> None:
    """Take what the door's contact says."""
    state, now_s = turn.state, turn.instant.mono_s
    watch = state.door
    if is_open == watch.is_open:
        return
    is_from_within = is_open and now_s < watch.handle_until_s
    is_expected = (
        watch.is_open is None  # how it stood while there was no power is nobody's fault
        or is_from_within
        or state.stays_open
        or now_s <= watch.may_open_until_s
    )
    handle_until_s = 0.0 if is_open else watch.handle_until_s
    moved = replace(watch, is_open=is_open, since_s=now_s, handle_until_s=handle_until_s)
    turn.state = replace(state, door=moved)
    if is_from_within:
        modes.end_privacy(turn)
    if is_open and not is_expected:
        _report(turn, EntryKind.INTRUSION, replace(state.alarms, forced=True))
    if not is_open and (state.alarms.left_open or state.alarms.forced):
        _report(turn, EntryKind.CLOSED, replace(state.alarms, left_open=False, forced=False))


def press_handle(turn: Turn[LockState]) -> None:
    """Expect the door to be opened from within."""
    until_s = turn.instant.mono_s + HANDLE_S
    turn.state = replace(turn.state, door=replace(turn.state.door, handle_until_s=until_s))


def move_case(turn: Turn[LockState], *, is_open: bool) -> None:
    """Take what the contact of the lock's case says."""
    if is_open != turn.state.alarms.tampered:
        kind = EntryKind.TAMPER if is_open else EntryKind.TAMPER_ENDED
        _report(turn, kind, replace(turn.state.alarms, tampered=is_open))


def read_battery(turn: Turn[LockState], percent: int) -> None:
    """Take what is left in the battery; report each step downwards once.

    Raises:
        ProtocolError: It is no percentage.
    """
    if not 0 <= percent <= 100:  # noqa: PLR2004  # per cent
        raise ProtocolError(f"battery: {percent} is not within 0 to 100")
    alarms = replace(turn.state.alarms, battery=percent)
    if percent > BATTERY_FRESH:
        alarms = replace(alarms, battery_told=100)
    step = next((step for step in BATTERY_STEPS if percent <= step), 100)
    if step < alarms.battery_told and turn.state.pin is not None:
        _report(turn, EntryKind.BATTERY_LOW, replace(alarms, battery_told=step), count=percent)
    elif alarms != turn.state.alarms:
        _write(turn, alarms)


def keep(turn: Turn[LockState]) -> None:
    """Report a door that has been open for too long while nothing allowed it."""
    state, watch, door = turn.state, turn.state.door, turn.state.settings
    if door is None or not door.left_open_s or not watch.is_open:
        return
    if state.stays_open or state.alarms.left_open:
        return
    due_s = max(watch.since_s + door.left_open_s, watch.may_open_until_s)
    if turn.instant.mono_s >= due_s:
        _report(turn, EntryKind.LEFT_OPEN, replace(state.alarms, left_open=True))


def _report(
    turn: Turn[LockState], kind: EntryKind, alarms: Alarms, *, count: int | None = None
) -> None:
    if turn.state.pin is not None:
        log.append(turn, kind, count=count)
        _write(turn, alarms)


def _write(turn: Turn[LockState], alarms: Alarms) -> None:
    turn.emit(FlashWrite(key=turn.state.flash_key(KEY), data=wire.encode(alarms)))
    turn.state = replace(turn.state, alarms=alarms)
