"""A phone at the door: its access document, a challenge, its proof."""

from dataclasses import replace
from typing import Final, assert_never

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware_sim.lock import door
from firmware_sim.lock.state import Greeting, LockState, Presentation
from firmware_sim.outputs import TellPhone
from firmware_sim.turn import Turn
from gateway.protocol import phone, sealing
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import CredentialKind, DenyReason

CHALLENGE_LASTS_S: Final = 10.0


def hear(turn: Turn[LockState], message: phone.Hello | phone.Proof) -> None:
    """Take what a phone says.

    Raises:
        ProtocolError: Its document is not this site's, or it did not prove to be its phone.
    """
    match message:
        case phone.Hello():
            _challenge(turn, message)
        case phone.Proof():
            _judge(turn, message)
        case _:
            assert_never(message)


def _challenge(turn: Turn[LockState], hello: phone.Hello) -> None:
    """Challenge a phone whose document the controller of this site has signed."""
    pin = turn.state.pin
    if pin is None or turn.state.link is None:
        door.refuse_as_nobodys(turn)
        return
    read = phone.read(
        hello.document,
        site_id=pin.pairing.site_id,
        signing_key=Ed25519PublicKey.from_public_bytes(pin.pairing.signing_key),
    )
    greeting = Greeting(
        document=hello.document,
        read=read,
        challenge=turn.instant.fresh_id("phone"),
        until_s=turn.instant.mono_s + CHALLENGE_LASTS_S,
    )
    turn.state = replace(turn.state, greeting=greeting)
    turn.emit(TellPhone(challenge=_asked(pin.pairing.lock_id, greeting)))


def _judge(turn: Turn[LockState], proof: phone.Proof) -> None:
    """Judge a phone that has proved to be the one that the document names.

    The document's end is judged only now: a document alone can be copied from the air, and would
    put its owner's name into the log.
    """
    pin, link, greeting = turn.state.pin, turn.state.link, turn.state.greeting
    if pin is None or link is None or greeting is None:
        raise ProtocolError("phone proof: no challenge is open")
    if turn.instant.mono_s >= greeting.until_s:
        raise ProtocolError("phone proof: too late")
    challenge = _asked(pin.pairing.lock_id, greeting)
    phone.verify(proof, challenge, greeting.document, public_key=greeting.read.public_key)
    turn.state = replace(turn.state, greeting=None)
    digest = sealing.phone_digest(greeting.read.public_key, link.ticket.tag_key)
    presented = Presentation(kind=CredentialKind.DIGITAL_KEY, digest=digest)
    if turn.state.calendar.at_s(turn.instant) >= greeting.read.expires_at_s:
        door.refuse_alone(turn, presented.shown, DenyReason.DOCUMENT_EXPIRED)
    else:
        door.judge(turn, presented)


def _asked(lock_id: bytes, greeting: Greeting) -> phone.Challenge:
    return phone.Challenge(lock_id=lock_id, challenge=greeting.challenge)
