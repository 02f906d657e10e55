"""Wrong codes: counted before they are tried, answered with ever longer waits, then with silence.

Source: docs/algorithms/keypad.md.
"""

from dataclasses import replace
from typing import Final

from firmware_sim.lock import log
from firmware_sim.lock.state import Guard, LockState
from firmware_sim.outputs import FlashWrite
from firmware_sim.turn import Turn
from gateway.protocol import wire
from gateway.protocol.messages import DenyReason, EntryKind

FREE_TRIES: Final = 5
OFF_AFTER: Final = 50
WAIT_S_MIN: Final = 30.0
WAIT_S_MAX: Final = 3600.0
KEY: Final = "keypad"


def wait_s(failures: int) -> float:
    """Return how long no code is tried after so many failures in a row."""
    if failures < FREE_TRIES:
        return 0.0
    return min(WAIT_S_MAX, WAIT_S_MIN * 2.0 ** min(failures - FREE_TRIES, 10))


def refusal(turn: Turn[LockState]) -> DenyReason | None:
    """Return why no code is tried now."""
    state = turn.state
    if state.settings is None or not state.settings.keypad or state.guard.failures >= OFF_AFTER:
        return DenyReason.KEYPAD_OFF
    if turn.instant.mono_s < state.keypad_until_s:
        return DenyReason.KEYPAD_WAITS
    return None


def count(turn: Turn[LockState]) -> None:
    """Take a code for a wrong one until it has opened: pulling the battery undoes no failure."""
    guard = turn.state.guard
    _keep(turn, replace(guard, failures=guard.failures + 1))


def settle(turn: Turn[LockState], reason: DenyReason | None) -> None:
    """Judge the code that was counted last: None has been granted."""
    guard = turn.state.guard
    if reason is None:
        clear(turn)
    elif reason is DenyReason.UNKNOWN_CREDENTIAL:
        tell(turn)
    else:  # somebody's code, but not here or not now: neither a guess nor a proof
        _keep(turn, replace(guard, failures=guard.failures - 1))
        turn.state = replace(turn.state, keypad_until_s=0.0)


def vouch(turn: Turn[LockState]) -> None:
    """Let a tag or digital key that was granted switch the keypad on again.

    It does not shorten a wait: at a busy door there would be none.
    """
    if turn.state.guard.failures >= OFF_AFTER:
        clear(turn)


def clear(turn: Turn[LockState], *, command_id: bytes | None = None) -> None:
    """Forget the wrong codes."""
    guard = turn.state.guard
    if guard.told:
        log.append(turn, EntryKind.KEYPAD_CLEARED, command_id=command_id)
    if guard.failures:
        _keep(turn, Guard())


def tell(turn: Turn[LockState]) -> None:
    """Report a keypad that has just begun to wait, or was switched off."""
    guard = turn.state.guard
    for least, kind in (
        (OFF_AFTER, EntryKind.KEYPAD_OFF),
        (FREE_TRIES, EntryKind.KEYPAD_WAITS),
    ):
        if guard.failures >= least > guard.told:
            log.append(turn, kind, count=guard.failures)
            _write(turn, replace(guard, told=least))
            return


def start(turn: Turn[LockState]) -> None:
    """After a power cut: wait anew, and report what the cut kept from being reported."""
    _begin_wait(turn)
    tell(turn)


def _keep(turn: Turn[LockState], guard: Guard) -> None:
    _write(turn, guard)
    _begin_wait(turn)


def _write(turn: Turn[LockState], guard: Guard) -> None:
    turn.emit(FlashWrite(key=turn.state.flash_key(KEY), data=wire.encode(guard)))
    turn.state = replace(turn.state, guard=guard)


def _begin_wait(turn: Turn[LockState]) -> None:
    until_s = turn.instant.mono_s + wait_s(turn.state.guard.failures)
    turn.state = replace(turn.state, keypad_until_s=until_s)
