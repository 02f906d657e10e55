"""The lock's log: it alone writes entries, and keeps each until the controller has committed it.

A full ring gives up its oldest entries. The youngest of those given up is replaced by an OVERFLOW
under the same sequence that says how many there were: should the hub know that sequence already,
nothing was lost and it passes the OVERFLOW over.
"""

from dataclasses import replace
from typing import Final

from firmware_sim.lock import radio
from firmware_sim.lock.state import Freed, LockState, Log, Shown
from firmware_sim.outputs import FlashDelete, FlashWrite, Noted
from firmware_sim.turn import Turn
from gateway.protocol import wire
from gateway.protocol.frames import ENTRIES_PER_FRAME_MAX, Entries, Free
from gateway.protocol.messages import DenyReason, Entry, EntryKind

CAPACITY: Final = 1_000
RESEND_S_MIN: Final = 30.0
RESEND_S_MAX: Final = 300.0


def append(
    turn: Turn[LockState],
    kind: EntryKind,
    *,
    shown: Shown | None = None,
    reason: DenyReason | None = None,
    command_id: bytes | None = None,
    count: int | None = None,
) -> None:
    """Write the next entry (or incident) to flash and send what has not been sent."""
    _make_room(turn)
    state = turn.state
    assert state.pin is not None, "a lock without a site decides nothing"
    entry = Entry(
        lock_id=state.pin.pairing.lock_id,
        log_epoch=state.log.log_epoch,
        sequence=state.log.newest + 1,
        kind=kind,
        at_s=state.calendar.at_s(turn.instant),
        clock_trusted=state.calendar.trusted,
        reason=reason,
        credential_digest=shown.digest if shown else None,
        command_id=command_id,
        count=count,
        credential_kind=shown.kind if shown else None,
    )
    turn.emit(FlashWrite(key=_key(state, entry.sequence), data=wire.encode(entry)))
    turn.state = replace(state, log=replace(state.log, entries=(*state.log.entries, entry)))
    send(turn)


def send(turn: Turn[LockState]) -> None:
    """Send what has not been sent since boot.

    A hub that has never freed anything of this log cannot know where it begins, so it gets the
    oldest entries, again with each new one: every frame it sees then starts at the bottom.
    """
    log, link = turn.state.log, turn.state.link
    if link is None or not log.entries or log.newest <= log.sent:
        return
    if log.freed.up_to > 0 and log.freed.ticket == link.ticket.number:
        fresh = [entry for entry in log.entries if entry.sequence > log.sent]
    else:
        fresh = list(log.entries[:ENTRIES_PER_FRAME_MAX])
    for first in range(0, len(fresh), ENTRIES_PER_FRAME_MAX):
        radio.send(turn, Entries(entries=tuple(fresh[first : first + ENTRIES_PER_FRAME_MAX])))
    now_s, pause_s = turn.instant.mono_s, log.pause_s or RESEND_S_MIN
    resend_s = log.resend_s if log.resend_s > now_s else now_s + pause_s
    _set(turn, replace(log, sent=fresh[-1].sequence, resend_s=resend_s, pause_s=pause_s))


def send_again_if_due(turn: Turn[LockState]) -> None:
    """Send everything from the oldest on when nobody has freed it for long."""
    log = turn.state.log
    if log.entries and turn.instant.mono_s >= log.resend_s:
        _set(turn, replace(log, sent=0, pause_s=min(RESEND_S_MAX, 2 * log.pause_s)))
        send(turn)


def free(turn: Turn[LockState], order: Free) -> None:
    """Let go of what the controller has committed."""
    state, log, link = turn.state, turn.state.log, turn.state.link
    assert link is not None, "only a hub with a link is heard"
    if order.log_epoch != log.log_epoch or not log.freed.up_to < order.up_to <= log.newest:
        return
    freed = Freed(up_to=order.up_to, ticket=link.ticket.number)
    turn.emit(FlashWrite(key=state.flash_key("freed"), data=wire.encode(freed)))
    gone = [entry for entry in log.entries if entry.sequence <= order.up_to]
    turn.emit(*(FlashDelete(key=_key(state, entry.sequence)) for entry in gone))
    kept = log.entries[len(gone) :]
    _set(turn, replace(log, freed=freed, entries=kept, pause_s=RESEND_S_MIN))
    send(turn)


def restored(log_epoch: int, freed: Freed, entries: list[Entry]) -> Log:
    """Return the log that flash holds, without what a power cut left behind."""
    overflow = max((e.sequence for e in entries if e.kind is EntryKind.OVERFLOW), default=0)
    bottom = max(overflow, freed.up_to + 1)
    kept = sorted((e for e in entries if e.sequence >= bottom), key=lambda e: e.sequence)
    return Log(log_epoch=log_epoch, freed=freed, entries=tuple(kept))


def _make_room(turn: Turn[LockState]) -> None:
    state, log = turn.state, turn.state.log
    if len(log.entries) < CAPACITY:
        return
    first, last = log.entries[0], log.entries[1]
    lost = 1 + (first.count or 0 if first.kind is EntryKind.OVERFLOW else 1)
    overflow = Entry(
        lock_id=last.lock_id,
        log_epoch=log.log_epoch,
        sequence=last.sequence,
        kind=EntryKind.OVERFLOW,
        at_s=state.calendar.at_s(turn.instant),
        clock_trusted=state.calendar.trusted,
        count=lost,
    )
    turn.emit(
        FlashWrite(key=_key(state, last.sequence), data=wire.encode(overflow)),
        FlashDelete(key=_key(state, first.sequence)),
        Noted(text=f"the log is full: {lost} entries are lost"),
    )
    _set(turn, replace(log, entries=(overflow, *log.entries[2:])))


def _set(turn: Turn[LockState], log: Log) -> None:
    turn.state = replace(turn.state, log=log)


def _key(state: LockState, sequence: int) -> str:
    return state.flash_key(f"entry/{sequence}")
