"""What a hub says to the controller, and how it knows that an answer is one."""

from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware_sim.hub import locks
from firmware_sim.hub.state import Facts, HubState
from firmware_sim.outputs import Publish
from firmware_sim.turn import Turn
from gateway.protocol import cose, wire
from gateway.protocol.messages import Ask, Batch, Reply, Status, Welcome
from gateway.protocol.topics import DownKind, Topic, UpKind

FIRMWARE: Final = "doorward-sim 0.1"
BEAT_S: Final = 30.0
ANSWER_S: Final = 30.0  # an answer that takes longer tells no time and proves no contact


def signed(state: HubState, kind: UpKind, message: Status | Batch | Ask | Reply) -> Publish:
    """Return a message with the hub's signature."""
    topic = Topic(hub_id=state.identity.hub_id.hex(), kind=kind)
    key = Ed25519PrivateKey.from_private_bytes(state.identity.device_key)
    payload = cose.sign(wire.encode(message), key, cose.external_data(topic))
    return Publish(kind=kind, payload=payload)


def again(kind: UpKind, message: bytes) -> Publish:
    """Return a message that was signed before."""
    return Publish(kind=kind, payload=message)


def verified(state: HubState, kind: DownKind, message: bytes) -> bytes:
    """Return the payload of a message from this hub's controller to this hub.

    Raises:
        ProtocolError: It is anything else.
    """
    topic = Topic(hub_id=state.identity.hub_id.hex(), kind=kind)
    key = Ed25519PublicKey.from_public_bytes(state.identity.controller_signing_key)
    return cose.verify(message, [key], cose.external_data(topic))


def say(turn: Turn[HubState], kind: UpKind) -> None:
    """Send how the hub stands, with a nonce that its answer must repeat."""
    state, now_s = turn.state, turn.instant.mono_s
    nonce = turn.instant.fresh_id(f"nonce {kind}")
    facts = facts_of(state)
    status = Status(
        nonce=nonce,
        epoch=facts.epoch,
        lease_number=facts.lease_number,
        revision=facts.revision,
        subscribed=facts.subscribed,
        firmware=FIRMWARE,
        entries_waiting=state.journal.waiting,
        locks=facts.locks,
    )
    turn.emit(signed(state, kind, status))
    nonces = {key: at_s for key, at_s in state.uplink.nonces.items() if now_s - at_s <= ANSWER_S}
    uplink = replace(
        state.uplink, nonces={**nonces, nonce: now_s}, beat_s=now_s + BEAT_S, reported=facts
    )
    turn.state = replace(state, uplink=uplink)


def beat(turn: Turn[HubState]) -> None:
    """Say that all is well, regularly."""
    uplink = turn.state.uplink
    if uplink.connected and turn.instant.mono_s >= uplink.beat_s:
        say(turn, UpKind.BEAT)


def confirm(turn: Turn[HubState]) -> None:
    """Say at once what has changed."""
    uplink = turn.state.uplink
    if uplink.connected and uplink.reported != facts_of(turn.state):
        say(turn, UpKind.CONFIRM)


def answered_after_s(turn: Turn[HubState], welcome: Welcome) -> float | None:
    """Return how long this answer took, or None if it answers nothing. Each counts once."""
    uplink = turn.state.uplink
    said_s = uplink.nonces.get(welcome.nonce)
    if said_s is None or turn.instant.mono_s - said_s > ANSWER_S:
        return None
    nonces = {key: at_s for key, at_s in uplink.nonces.items() if key != welcome.nonce}
    turn.state = replace(turn.state, uplink=replace(uplink, nonces=nonces))
    return turn.instant.mono_s - said_s


def note_contact(turn: Turn[HubState]) -> None:
    """Note that the controller has answered this hub just now."""
    uplink = replace(turn.state.uplink, contact_s=turn.instant.mono_s)
    turn.state = replace(turn.state, uplink=uplink)


def facts_of(state: HubState) -> Facts:
    """Return what the controller must know. Numbers of an older epoch count as none."""
    lease, access = state.lease, state.access
    epoch = max(state.identity.epoch, lease.epoch if lease else 0, access.epoch)
    return Facts(
        epoch=epoch,
        lease_number=lease.number if lease and lease.epoch == epoch else 0,
        revision=access.revision if access.epoch == epoch else 0,
        subscribed=state.subscribed,
        locks=tuple(locks.status_of(link) for link in state.locks.values()),
    )
