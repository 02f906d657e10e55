"""How a lock speaks."""

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
