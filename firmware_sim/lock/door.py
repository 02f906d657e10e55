"""A hand at the door: ask the hub, and decide alone when it does not answer in time."""

from dataclasses import replace
from typing import Final

from firmware_sim.lock import configuration, log, radio
from firmware_sim.lock.offline import Opens, Refuses, decide_offline
from firmware_sim.lock.state import OPEN_S, LockState, Pin, Request, Silence
from firmware_sim.outputs import Decided, FlashWrite, MotorOpen
from firmware_sim.turn import Turn
from gateway.protocol import frames, sealing
from gateway.protocol.messages import CommandOutcome, DenyReason, EntryKind
from gateway.protocol.sealing import LockOrder

PATIENCE_S: Final = 2.0  # a person waits for no longer
ASK_AGAIN_S: Final = 0.6  # a frame may be lost; three tries fit into the patience
QUIET_S_MIN: Final = 2.0
QUIET_S_MAX: Final = 16.0  # well below the time within which a renewed hub must be asked again


def present(turn: Turn[LockState], tag_number: bytes) -> None:
    """Begin with a tag. While the hub is quiet, what the lock may open by itself opens at once.

    Raises:
        ProtocolError: It is no tag number.
    """
    state, link = turn.state, turn.state.link
    if link is None:  # not commissioned: there is nobody it could belong to
        turn.emit(Decided(kind=EntryKind.DENIED_OFFLINE, reason=DenyReason.UNKNOWN_CREDENTIAL))
        return
    if state.request is not None:
        return
    digest = sealing.tag_digest(tag_number, link.ticket.tag_key)
    if turn.instant.mono_s < state.silence.until_s:
        verdict = _alone(turn, digest)
        if isinstance(verdict, Opens):
            _open(turn, verdict.kind, digest)
            return
    request = Request(
        challenge=turn.instant.fresh_id("challenge"),
        credential_digest=digest,
        until_s=turn.instant.mono_s + PATIENCE_S,
        again_s=turn.instant.mono_s,
    )
    turn.state = replace(state, request=request)
    wait(turn)


def wait(turn: Turn[LockState]) -> None:
    """Ask (again), or stop waiting and decide alone."""
    request = turn.state.request
    if request is None:
        return
    if turn.instant.mono_s >= request.until_s:
        _give_up(turn, request)
    elif turn.instant.mono_s >= request.again_s:
        again = replace(request, again_s=turn.instant.mono_s + ASK_AGAIN_S)
        turn.state = replace(turn.state, request=again)
        radio.send(
            turn,
            frames.Ask(challenge=request.challenge, credential_digest=request.credential_digest),
        )


def hear_answer(turn: Turn[LockState], answer: frames.Answer) -> None:
    """Do what the hub decided, if it is the answer to what was asked and not late."""
    request = turn.state.request
    if request is None or answer.challenge != request.challenge:
        return
    if turn.instant.mono_s >= request.until_s:
        return
    digest = request.credential_digest
    turn.state = replace(turn.state, request=None, silence=Silence())
    if answer.granted:
        _open(turn, EntryKind.OPENED_BY_HUB, digest)
        configuration.remember(turn, digest, ends_at_s=answer.ends_at_s)
    else:
        _refuse(turn, EntryKind.DENIED_BY_HUB, digest, answer.reason)


def open_remotely(turn: Turn[LockState], pin: Pin, order: frames.Order) -> None:
    """Open once for a fresh order of the controller; to a repeated one only answer again.

    Raises:
        ProtocolError: The controller did not seal it for this lock.
    """
    sealed = sealing.unseal(pin.seal_key, LockOrder, order.sealed, purpose=sealing.LOCK_ORDER)
    if sealed.command_id != order.command_id:
        return
    if sealed.number > turn.state.order_number:
        outcome = _judge(turn, sealed)
        if outcome is CommandOutcome.OPENED:
            _obey(turn, sealed)
    elif sealed.command_id == turn.state.opened_command:
        outcome = CommandOutcome.OPENED
    else:
        return
    radio.send(turn, frames.Obeyed(command_id=sealed.command_id, outcome=outcome))


def forget_silence(turn: Turn[LockState]) -> None:
    """The hub serves: ask it at the next tag."""
    turn.state = replace(turn.state, silence=Silence())


def ask_anew(turn: Turn[LockState]) -> None:
    """Take no answer any more that the hub gave before what it has just sent; it may be late."""
    request = turn.state.request
    if request is None:
        return
    challenge = turn.instant.fresh_id("challenge")
    anew = replace(request, challenge=challenge, again_s=turn.instant.mono_s)
    turn.state = replace(turn.state, request=anew)
    wait(turn)


def _judge(turn: Turn[LockState], order: LockOrder) -> CommandOutcome:
    """Return what a new order comes to; somebody may have kept it back."""
    calendar = turn.state.calendar
    if not calendar.trusted:
        return CommandOutcome.REFUSED
    if calendar.at_ms(turn.instant) >= order.until_ms:
        return CommandOutcome.EXPIRED
    return CommandOutcome.OPENED


def _obey(turn: Turn[LockState], order: LockOrder) -> None:
    key = turn.state.flash_key("order")
    turn.emit(FlashWrite(key=key, data=order.number.to_bytes(8)))
    turn.state = replace(turn.state, order_number=order.number, opened_command=order.command_id)
    _open(turn, EntryKind.OPENED_REMOTELY, None, command_id=order.command_id)


def _give_up(turn: Turn[LockState], request: Request) -> None:
    count = turn.state.silence.count + 1
    quiet_s = min(QUIET_S_MAX, QUIET_S_MIN * 2.0 ** min(count - 1, 10))
    turn.state = replace(
        turn.state,
        request=None,
        silence=Silence(count=count, until_s=turn.instant.mono_s + quiet_s),
    )
    verdict = _alone(turn, request.credential_digest)
    if isinstance(verdict, Opens):
        _open(turn, verdict.kind, request.credential_digest)
    else:
        _refuse(turn, EntryKind.DENIED_OFFLINE, request.credential_digest, verdict.reason)


def _alone(turn: Turn[LockState], digest: bytes) -> Opens | Refuses:
    state = turn.state
    held = state.configuration
    return decide_offline(
        held.offline_list if held else None,
        state.memory,
        digest,
        memory_days=held.settings.door.memory_days if held else 0,
        at_s=state.calendar.at_s(turn.instant),
        clock_trusted=state.calendar.trusted,
    )


def _open(
    turn: Turn[LockState], kind: EntryKind, digest: bytes | None, *, command_id: bytes | None = None
) -> None:
    """The only place that moves the motor, after its entry is in flash."""
    log.append(turn, kind, credential_digest=digest, command_id=command_id)
    held = turn.state.configuration
    turn.emit(MotorOpen(seconds=held.settings.door.open_s if held else OPEN_S), Decided(kind=kind))


def _refuse(
    turn: Turn[LockState], kind: EntryKind, digest: bytes, reason: DenyReason | None
) -> None:
    log.append(turn, kind, credential_digest=digest, reason=reason)
    turn.emit(Decided(kind=kind, reason=reason))
