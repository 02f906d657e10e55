"""How a lock speaks."""

from firmware_sim.lock import configuration
from firmware_sim.lock.state import LockState
from firmware_sim.outputs import RadioSend
from firmware_sim.turn import Turn
from gateway.protocol import frames


def send(turn: Turn[LockState], message: frames.Message) -> None:
    """Send to the hub, protected by the link key; a lock without one stays silent."""
    pin, link = turn.state.pin, turn.state.link
    if pin is not None and link is not None:
        frame = frames.protect(message, lock_id=pin.pairing.lock_id, link_key=link.key)
        turn.emit(RadioSend(data=frames.encode(frame)))


def tell_state(turn: Turn[LockState]) -> None:
    """Tell the hub how the lock stands."""
    state = turn.state
    settings = state.configuration.settings if state.configuration else None
    message = frames.State(
        log_epoch=state.log.log_epoch,
        epoch=settings.epoch if settings else 0,
        revision=settings.revision if settings else 0,
        clock_trusted=state.calendar.trusted,
        entries_waiting=len(state.log.entries),
        list_hash=configuration.list_hash(state),
        battery=state.alarms.battery,
        mode=state.mode.mode,
    )
    send(turn, message)
