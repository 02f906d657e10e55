"""The hub's two clocks: the calendar that the controller tells, and the link clock's UTC.

Without the time since boot the calendar is a lower bound. Uptime in that state is counted over all
boots, ten minutes in advance, so that pulling the plug every nine minutes gains nothing: after
24 hours the hub is as unsubscribed until it hears the time.
"""

import math
from dataclasses import replace
from typing import Final

from firmware_sim.hub.state import HubState, Utc
from firmware_sim.outputs import FlashWrite
from firmware_sim.turn import Turn
from gateway.protocol import wire
from gateway.protocol.messages import Welcome

MARK_KEY: Final = "mark"
UNTRUSTED_STEP_S: Final = 600
UNTRUSTED_S_MAX: Final = 24 * 3600
UTC_AFTER_S_MAX: Final = 3.0  # a slower answer says too little about UTC; the last one counts on


def start(turn: Turn[HubState]) -> None:
    """Charge the first stretch without the time."""
    _mark(turn, untrusted_s=turn.state.calendar.mark.untrusted_s + UNTRUSTED_STEP_S)


def keep(turn: Turn[HubState]) -> None:
    """Write the calendar's floor, and charge uptime without the time, whenever it is due."""
    kept = turn.state.calendar
    if kept.trusted:
        if kept.is_mark_due(turn.instant):
            _mark(turn, untrusted_s=0)
        return
    uptime_s = math.ceil(turn.instant.mono_s - kept.marked_s)
    if uptime_s >= UNTRUSTED_STEP_S and not is_worn_out(turn.state):
        _mark(turn, untrusted_s=kept.mark.untrusted_s + uptime_s)


def tell(turn: Turn[HubState], welcome: Welcome, *, after_s: float) -> None:
    """Set both clocks by an answer that came so long after the question.

    The calendar is set to the latest instant that has certainly begun, UTC to the latest that it
    can be: so nothing ends early, and no command lives longer than it may.
    """
    state = turn.state
    is_first = not state.calendar.trusted
    told = state.calendar.told(welcome.calendar_ms, welcome.speed, turn.instant)
    turn.state = replace(state, calendar=told)
    if after_s <= UTC_AFTER_S_MAX:
        utc = Utc(utc_ms=welcome.utc_ms + int(after_s * 1000), at_s=turn.instant.mono_s)
        turn.state = replace(turn.state, uplink=replace(state.uplink, utc=utc))
    if is_first:
        _mark(turn, untrusted_s=0)


def is_worn_out(state: HubState) -> bool:
    """Return whether the hub has run for too long without hearing the time."""
    return not state.calendar.trusted and state.calendar.mark.untrusted_s > UNTRUSTED_S_MAX


def utc_ms(turn: Turn[HubState]) -> int | None:
    """Return the latest that the link clock's UTC can be; None if nobody has told it."""
    utc = turn.state.uplink.utc
    if utc is None:
        return None
    return utc.utc_ms + int((turn.instant.mono_s - utc.at_s) * 1000)


def _mark(turn: Turn[HubState], *, untrusted_s: int) -> None:
    marked = turn.state.calendar.marked(turn.instant, untrusted_s=untrusted_s)
    turn.emit(FlashWrite(key=MARK_KEY, data=wire.encode(marked.mark)))
    turn.state = replace(turn.state, calendar=marked)
