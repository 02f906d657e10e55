"""A hand at the door: ask the hub, and decide alone when it does not answer in time."""

from dataclasses import replace
from typing import Final

from firmware_sim.lock import configuration, grant, keypad, log, radio
from firmware_sim.lock.offline import Opens, Refuses, decide_offline
from firmware_sim.lock.state import LockState, Presentation, Request, Shown, Silence
from firmware_sim.outputs import Decided
from firmware_sim.turn import Turn
from gateway.protocol import frames, sealing
from gateway.protocol.messages import CredentialKind, DenyReason, EntryKind

PATIENCE_S: Final = 2.0  # a person waits for no longer
ASK_AGAIN_S: Final = 0.6  # a frame may be lost; three tries fit into the patience
QUIET_S_MIN: Final = 2.0
QUIET_S_MAX: Final = 16.0  # well below the time within which a renewed hub must be asked again


def present(turn: Turn[LockState], tag_number: bytes, *, held: bool) -> None:
    """Begin with a tag.

    Raises:
        ProtocolError: It is no tag number.
    """
    state, link = turn.state, turn.state.link
    if link is None:
        refuse_as_nobodys(turn)
        return
    if state.request is not None:
        return
    digest = sealing.tag_digest(tag_number, link.ticket.tag_key)
    presented = Presentation(kind=CredentialKind.TAG, digest=digest, held=held)
    enrolment = state.enrolment
    if enrolment is not None and turn.instant.mono_s < enrolment.until_s:
        turn.state = replace(state, enrolment=None)
        command_id = enrolment.command_id
        log.append(turn, EntryKind.TAG_ENROLLED, shown=presented.shown, command_id=command_id)
        turn.emit(Decided(kind=EntryKind.TAG_ENROLLED))
    else:
        judge(turn, presented)


def enter(turn: Turn[LockState], pin: str) -> None:
    """Begin with a code, unless the keypad tries none now. It counts as wrong until it opened.

    Raises:
        ProtocolError: It has another length than a PIN.
    """
    link = turn.state.link
    if link is None:
        refuse_as_nobodys(turn)
        return
    if turn.state.request is not None:
        return
    digest = sealing.pin_digest(pin, link.ticket.tag_key)
    if reason := keypad.refusal(turn):
        refuse_alone(turn, Shown(kind=CredentialKind.PIN), reason)
        return
    keypad.count(turn)
    judge(turn, Presentation(kind=CredentialKind.PIN, digest=digest))


def judge(turn: Turn[LockState], presented: Presentation) -> None:
    """Ask the hub. While it is quiet, what the lock may open by itself opens at once."""
    state = turn.state
    if state.request is not None:
        return
    if turn.instant.mono_s < state.silence.until_s:
        verdict = _alone(turn, presented.digest)
        if isinstance(verdict, Opens):
            _let_in(turn, verdict.kind, presented, privileges=verdict.privileges)
            return
    request = Request(
        challenge=turn.instant.fresh_id("challenge"),
        presentation=presented,
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
        digest = request.presentation.digest
        radio.send(turn, frames.Ask(challenge=request.challenge, credential_digest=digest))


def hear_answer(turn: Turn[LockState], answer: frames.Answer) -> None:
    """Do what the hub decided, if it is the answer to what was asked and not late."""
    request = turn.state.request
    if request is None or answer.challenge != request.challenge:
        return
    if turn.instant.mono_s >= request.until_s:
        return
    presented = request.presentation
    turn.state = replace(turn.state, request=None, silence=Silence())
    if not answer.granted:
        # A hub says why; one that does not is taken to know nobody.
        reason = answer.reason or DenyReason.UNKNOWN_CREDENTIAL
        _turn_away(turn, EntryKind.DENIED_BY_HUB, presented, reason)
    elif _let_in(turn, EntryKind.OPENED_BY_HUB, presented, privileges=answer.privileges or 0):
        configuration.remember(turn, presented.digest, ends_at_s=answer.ends_at_s)


def refuse_alone(turn: Turn[LockState], shown: Shown, reason: DenyReason) -> None:
    """Stay shut without having asked anybody."""
    _refuse(turn, EntryKind.DENIED_OFFLINE, shown, reason)


def refuse_as_nobodys(turn: Turn[LockState]) -> None:
    """A lock without a hub knows nobody, and has no site to tell of it."""
    turn.emit(Decided(kind=EntryKind.DENIED_OFFLINE, reason=DenyReason.UNKNOWN_CREDENTIAL))


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


def _give_up(turn: Turn[LockState], request: Request) -> None:
    count = turn.state.silence.count + 1
    quiet_s = min(QUIET_S_MAX, QUIET_S_MIN * 2.0 ** min(count - 1, 10))
    turn.state = replace(
        turn.state,
        request=None,
        silence=Silence(count=count, until_s=turn.instant.mono_s + quiet_s),
    )
    presented = request.presentation
    verdict = _alone(turn, presented.digest)
    if isinstance(verdict, Opens):
        _let_in(turn, verdict.kind, presented, privileges=verdict.privileges)
    else:
        _turn_away(turn, EntryKind.DENIED_OFFLINE, presented, verdict.reason)


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


def _let_in(
    turn: Turn[LockState], kind: EntryKind, presented: Presentation, *, privileges: int
) -> bool:
    """Do what was granted, unless something at this lock forbids it; return whether it was done."""
    reason = grant.barrier(turn, presented, privileges)
    if reason is None:
        grant.use(turn, kind, presented, privileges=privileges)
    else:
        is_by_hub = kind is EntryKind.OPENED_BY_HUB
        denied = EntryKind.DENIED_BY_HUB if is_by_hub else EntryKind.DENIED_OFFLINE
        _refuse(turn, denied, presented.shown, reason)
    if presented.kind is CredentialKind.PIN:
        keypad.settle(turn, None)
    else:
        keypad.vouch(turn)
    return reason is None


def _turn_away(
    turn: Turn[LockState], kind: EntryKind, presented: Presentation, reason: DenyReason
) -> None:
    """Stay shut. A wrong code has no name: whoever reads the log must not learn how near it was."""
    is_pin = presented.kind is CredentialKind.PIN
    if is_pin and reason is DenyReason.UNKNOWN_CREDENTIAL:
        _refuse(turn, kind, Shown(kind=CredentialKind.PIN), reason)
    else:
        _refuse(turn, kind, presented.shown, reason)
    if is_pin:
        keypad.settle(turn, reason)


def _refuse(turn: Turn[LockState], kind: EntryKind, shown: Shown, reason: DenyReason) -> None:
    log.append(turn, kind, shown=shown, reason=reason)
    turn.emit(Decided(kind=kind, reason=reason))
