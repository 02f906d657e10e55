"""What a granted presentation does. Source: docs/algorithms/door-modes.md."""

from dataclasses import replace

from firmware_sim.lock import locker, log, modes
from firmware_sim.lock.state import OPEN_S, LockState, Presentation
from firmware_sim.outputs import Decided, MotorOpen, MotorStayOpen
from firmware_sim.turn import Turn
from gateway.protocol.messages import DenyReason, EntryKind, LockMode
from gateway.protocol.sections import Privilege


def barrier(turn: Turn[LockState], presented: Presentation, privileges: int) -> DenyReason | None:
    """Return why the lock stays shut although hub, list or memory would open it."""
    is_private = turn.state.mode.mode is LockMode.PRIVACY
    if is_private and not privileges & Privilege.OVERRIDE_PRIVACY:
        return DenyReason.PRIVACY
    if locker.is_anothers(turn.state, presented):
        return DenyReason.LOCKER_TAKEN
    return None


def use(
    turn: Turn[LockState], kind: EntryKind, presented: Presentation, *, privileges: int
) -> None:
    """Open, start or end office mode, or take or free the locker."""
    door = turn.state.settings
    is_extended = bool(privileges & Privilege.EXTENDED_OPENING)
    if door is not None and door.free_locker:
        release(turn, locker.use(turn, presented), is_extended=is_extended)
    elif modes.is_ended_by(turn, presented, privileges):
        modes.end_office(turn, presented=presented)
    elif hold := modes.hold_of(turn, presented, privileges):
        modes.start_office(turn, hold, presented=presented)
    else:
        log.append(turn, kind, shown=presented.shown)
        release(turn, kind, is_extended=is_extended)


def release(turn: Turn[LockState], kind: EntryKind, *, is_extended: bool = False) -> None:
    """Let the door be opened for a while, after its entry. A lock that stays open goes on so."""
    if turn.state.stays_open:
        turn.emit(MotorStayOpen(), Decided(kind=kind))
        return
    door = turn.state.settings
    seconds = OPEN_S
    if door is not None:
        seconds = door.extended_open_s if is_extended else door.open_s
    until_s = turn.instant.mono_s + seconds
    turn.state = replace(turn.state, door=replace(turn.state.door, may_open_until_s=until_s))
    turn.emit(MotorOpen(seconds=seconds), Decided(kind=kind))
