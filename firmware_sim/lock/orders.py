"""What the controller orders: at once or never, and each order once."""

from dataclasses import replace

from firmware_sim.lock import grant, keypad, locker, log, modes, radio
from firmware_sim.lock.state import Enrolment, Hold, LockState, Pin
from firmware_sim.outputs import FlashWrite
from firmware_sim.turn import Turn
from gateway.protocol import frames, sealing
from gateway.protocol.messages import CommandOutcome, EntryKind, LockMode
from gateway.protocol.sealing import LockOrder, OrderKind


def obey(turn: Turn[LockState], pin: Pin, order: frames.Order) -> None:
    """Carry a fresh order out once; to a repeated one only answer again.

    Raises:
        ProtocolError: The controller did not seal it for this lock.
    """
    sealed = sealing.unseal(pin.seal_key, LockOrder, order.sealed, purpose=sealing.LOCK_ORDER)
    if sealed.command_id != order.command_id:
        return
    done = turn.state.obeyed
    if sealed.number > turn.state.order_number:
        outcome = _flaw(turn, sealed)
        if outcome is None:
            outcome = _carry_out(turn, sealed)
        radio.send(turn, frames.Obeyed(command_id=sealed.command_id, outcome=outcome))
    elif done is not None and done.command_id == sealed.command_id:
        radio.send(turn, done)


def _flaw(turn: Turn[LockState], order: LockOrder) -> CommandOutcome | None:
    """Return why an order is not obeyed; somebody may have kept it back."""
    calendar, mode = turn.state.calendar, turn.state.mode.mode
    if not calendar.trusted:
        return CommandOutcome.REFUSED
    if calendar.at_ms(turn.instant) >= order.until_ms:
        return CommandOutcome.EXPIRED
    opens = order.kind in (OrderKind.OPEN, OrderKind.START_OFFICE)
    if opens and mode is LockMode.PRIVACY:
        return CommandOutcome.REFUSED
    if order.kind is OrderKind.ENROL_TAG and order.seconds is None:
        return CommandOutcome.REFUSED
    return None


def _carry_out(turn: Turn[LockState], order: LockOrder) -> CommandOutcome:
    is_opening = order.kind is OrderKind.OPEN
    outcome = CommandOutcome.OPENED if is_opening else CommandOutcome.DONE
    done = frames.Obeyed(command_id=order.command_id, outcome=outcome)
    key = turn.state.flash_key("order")
    turn.emit(FlashWrite(key=key, data=order.number.to_bytes(8)))
    turn.state = replace(turn.state, order_number=order.number, obeyed=done)
    command_id, seconds = order.command_id, order.seconds
    match order.kind:
        case OrderKind.OPEN:
            log.append(turn, EntryKind.OPENED_REMOTELY, command_id=command_id)
            grant.release(turn, EntryKind.OPENED_REMOTELY)
        case OrderKind.START_OFFICE:
            at_s = turn.state.calendar.at_s(turn.instant)
            until_s = at_s + seconds if seconds else None
            modes.start_office(turn, Hold.ORDER, command_id=command_id, until_s=until_s)
        case OrderKind.END_OFFICE:
            if turn.state.stays_open:
                modes.end_office(turn, command_id=command_id)
        case OrderKind.ENROL_TAG:
            now_s = turn.instant.mono_s
            enrolment = Enrolment(command_id=command_id, until_s=now_s + (seconds or 0))
            turn.state = replace(turn.state, enrolment=enrolment)
        case OrderKind.CLEAR_KEYPAD:
            keypad.clear(turn, command_id=command_id)
        case OrderKind.FREE_LOCKER:
            locker.free(turn, command_id=command_id)
    return outcome
