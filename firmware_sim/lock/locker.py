"""A free locker: whoever takes it keeps it until they or an order free it.

Source: docs/algorithms/door-modes.md. The entry is written before the record: after a power cut
between the two, the same person presents again and gets what they wanted.
"""

from dataclasses import replace
from typing import Final

from firmware_sim.lock import log
from firmware_sim.lock.state import LockState, Occupant, Presentation
from firmware_sim.outputs import FlashDelete, FlashWrite
from firmware_sim.turn import Turn
from gateway.protocol import wire
from gateway.protocol.messages import EntryKind

KEY: Final = "locker"


def is_anothers(state: LockState, presented: Presentation) -> bool:
    """Return whether the locker is somebody else's."""
    occupant = state.occupant
    is_free_use = state.settings is not None and state.settings.free_locker
    return is_free_use and occupant is not None and occupant.digest != presented.digest


def use(turn: Turn[LockState], presented: Presentation) -> EntryKind:
    """Take the locker or give it back; return which, as it stands in the log."""
    if turn.state.occupant is not None:
        log.append(turn, EntryKind.LOCKER_FREED, shown=presented.shown)
        _forget(turn)
        return EntryKind.LOCKER_FREED
    log.append(turn, EntryKind.LOCKER_TAKEN, shown=presented.shown)
    occupant = Occupant(digest=presented.digest)
    turn.emit(FlashWrite(key=turn.state.flash_key(KEY), data=wire.encode(occupant)))
    turn.state = replace(turn.state, occupant=occupant)
    return EntryKind.LOCKER_TAKEN


def free(turn: Turn[LockState], *, command_id: bytes | None = None) -> None:
    """Make it nobody's; a free one stays as it is."""
    if turn.state.occupant is not None:
        log.append(turn, EntryKind.LOCKER_FREED, command_id=command_id)
        _forget(turn)


def keep(turn: Turn[LockState]) -> None:
    """Free what is no free locker any more."""
    door = turn.state.settings
    if door is not None and not door.free_locker:
        free(turn)


def _forget(turn: Turn[LockState]) -> None:
    turn.emit(FlashDelete(key=turn.state.flash_key(KEY)))
    turn.state = replace(turn.state, occupant=None)
