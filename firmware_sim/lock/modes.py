"""Office mode and privacy: a lock that stays open, and one that hardly opens to anybody.

Source: docs/algorithms/door-modes.md. What nothing ends any more because the settings have changed
ends by itself. The record is written before the motor moves; where it says that the motor was
about to close, the next start closes it again, since an open door would look shut to everybody.
"""

from dataclasses import replace
from typing import Final

from firmware_sim.lock import log, radio
from firmware_sim.lock.state import Hold, LockState, Mode, Presentation
from firmware_sim.outputs import Decided, FlashWrite, MotorClose, MotorStayOpen
from firmware_sim.schedule import contains, zone_named
from firmware_sim.turn import Turn
from gateway.protocol import wire
from gateway.protocol.messages import EntryKind, LockMode
from gateway.protocol.sections import OfficeMode, Privilege

KEY: Final = "mode"


def hold_of(turn: Turn[LockState], presented: Presentation, privileges: int) -> Hold | None:
    """Return as what a granted presentation starts office mode, or None."""
    door = turn.state.settings
    if door is None or turn.state.mode.mode is not LockMode.NORMAL:
        return None
    if door.toggle:
        return Hold.TOGGLE
    if not privileges & Privilege.OFFICE:
        return None
    if door.office is OfficeMode.BY_HAND and presented.held:
        return Hold.BY_HAND
    if door.office is OfficeMode.EASY and is_office_time(turn):
        return Hold.EASY
    return None


def is_ended_by(turn: Turn[LockState], presented: Presentation, privileges: int) -> bool:
    """Return whether a granted presentation ends the office mode that runs."""
    door = turn.state.settings
    if door is None or not turn.state.stays_open:
        return False
    if door.toggle:
        return True
    is_easy = door.office is OfficeMode.EASY and is_office_time(turn)
    return bool(privileges & Privilege.OFFICE) and bool(presented.held or is_easy)


def start_office(
    turn: Turn[LockState],
    hold: Hold,
    *,
    presented: Presentation | None = None,
    command_id: bytes | None = None,
    until_s: int | None = None,
) -> None:
    """Stay open from now on."""
    shown = presented.shown if presented else None
    log.append(turn, EntryKind.OFFICE_STARTED, shown=shown, command_id=command_id)
    served = turn.state.mode.served or hold is Hold.SCHEDULED
    _write(turn, Mode(mode=LockMode.OFFICE, hold=hold, until_s=until_s, served=served))
    turn.emit(MotorStayOpen())
    _show(turn, EntryKind.OFFICE_STARTED, presented)


def end_office(
    turn: Turn[LockState],
    *,
    presented: Presentation | None = None,
    command_id: bytes | None = None,
) -> None:
    """Shut, and open by credential again."""
    shown = presented.shown if presented else None
    log.append(turn, EntryKind.OFFICE_ENDED, shown=shown, command_id=command_id)
    # Whoever ends it within its scheduled time wants it to be over for this time.
    is_wanted = presented is not None or command_id is not None
    served = turn.state.mode.served or (is_wanted and _is_scheduled_now(turn))
    _write(turn, Mode(served=served, closing=True))
    watch = replace(turn.state.door, since_s=turn.instant.mono_s)
    turn.state = replace(turn.state, door=watch)
    turn.emit(MotorClose())
    _show(turn, EntryKind.OFFICE_ENDED, presented)


def press_privacy(turn: Turn[LockState]) -> None:
    """Begin or end privacy, where the button works and the lock does not stay open."""
    door, mode = turn.state.settings, turn.state.mode.mode
    if door is None or not door.privacy or mode is LockMode.OFFICE:
        return
    if mode is LockMode.PRIVACY:
        end_privacy(turn)
    else:
        log.append(turn, EntryKind.PRIVACY_STARTED)
        _write(turn, replace(turn.state.mode, mode=LockMode.PRIVACY))
        radio.tell_state(turn)


def end_privacy(turn: Turn[LockState]) -> None:
    """Open to everybody again who may; without privacy nothing happens."""
    if turn.state.mode.mode is LockMode.PRIVACY:
        log.append(turn, EntryKind.PRIVACY_ENDED)
        _write(turn, replace(turn.state.mode, mode=LockMode.NORMAL))
        radio.tell_state(turn)


def keep(turn: Turn[LockState]) -> None:
    """Start and end by the clock, and end what the settings no longer allow."""
    mode, door = turn.state.mode, turn.state.settings
    if mode.closing:
        _write(turn, replace(mode, closing=False))
    if door is None:
        return
    if mode.mode is LockMode.PRIVACY and not door.privacy:
        end_privacy(turn)
    if turn.state.stays_open and _is_over(turn):
        end_office(turn)
    if turn.state.mode.served and is_office_time(turn) is False:
        _write(turn, replace(turn.state.mode, served=False))
    is_free = turn.state.mode.mode is LockMode.NORMAL and not turn.state.mode.served
    if is_free and _is_scheduled_now(turn):
        start_office(turn, Hold.SCHEDULED)


def start(turn: Turn[LockState]) -> None:
    """After a power cut: finish closing; nothing else moves."""
    if turn.state.mode.closing:
        turn.emit(MotorClose())


def is_office_time(turn: Turn[LockState]) -> bool | None:
    """Return whether the door's office times contain the wall time; None: nobody knows it."""
    held, calendar = turn.state.configuration, turn.state.calendar
    times = held.settings.door.office_times if held else None
    if held is None or times is None:
        return False
    offline_list = held.offline_list
    zone = zone_named(offline_list.time_zone) if offline_list else None
    if offline_list is None or zone is None or not calendar.trusted:
        return None
    holidays = offline_list.holidays or ()
    return contains(times, at_s=calendar.at_s(turn.instant), zone=zone, holidays=holidays)


def _is_scheduled_now(turn: Turn[LockState]) -> bool:
    door = turn.state.settings
    return door is not None and door.office is OfficeMode.SCHEDULED and bool(is_office_time(turn))


def _is_over(turn: Turn[LockState]) -> bool:
    """Return whether what keeps the lock open has certainly come to its end."""
    door, mode = turn.state.settings, turn.state.mode
    assert door is not None, "a lock without settings stays shut"
    match mode.hold:
        case Hold.BY_HAND:
            return door.office is not OfficeMode.BY_HAND
        case Hold.TOGGLE:
            return not door.toggle
        case Hold.EASY:
            return door.office is not OfficeMode.EASY or is_office_time(turn) is False
        case Hold.SCHEDULED:
            return door.office is not OfficeMode.SCHEDULED or is_office_time(turn) is False
        case _:  # an order; that a time has passed is certain also by a lower bound
            at_s = turn.state.calendar.at_s(turn.instant)
            return mode.until_s is not None and at_s >= mode.until_s


def _show(turn: Turn[LockState], kind: EntryKind, presented: Presentation | None) -> None:
    if presented is not None:
        turn.emit(Decided(kind=kind))
    radio.tell_state(turn)


def _write(turn: Turn[LockState], mode: Mode) -> None:
    turn.emit(FlashWrite(key=turn.state.flash_key(KEY), data=wire.encode(mode)))
    turn.state = replace(turn.state, mode=mode)
