"""The hub's side of the radio."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from firmware_sim.hub.decision import Denied, Granted, decide
from firmware_sim.hub.state import Access, Configured, HubIdentity, HubState, LockLink
from firmware_sim.outputs import FlashWrite, RadioSend
from firmware_sim.turn import Turn
from gateway.protocol import cbor, frames, sealing, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.frames import Frame, FrameKind
from gateway.protocol.messages import LOCKS_PER_HUB_MAX, LockStatus
from gateway.protocol.sealing import HubTicket
from gateway.protocol.sections import LockSettings, OfflineList

HEARTBEAT_S: Final = 20.0
MISSED_MAX: Final = 5  # heartbeats; then the lock is offline
CONFIGURE_AGAIN_S: Final = 10.0


def links_of(
    identity: HubIdentity,
    access: Access,
    known: Mapping[bytes, LockLink],
    log_epochs: Mapping[bytes, int],
) -> Mapping[bytes, LockLink]:
    """Return the locks of an access state; what was known of one stays known."""
    lists: dict[bytes, bytes] = {}
    settings: list[LockSettings] = []
    for piece in access.pieces.values():
        for item in piece.items:
            if isinstance(item, OfflineList):
                lists[item.lock_id] = piece.data
            elif isinstance(item, LockSettings):
                settings.append(item)
    links = (
        _link(identity, lock, lists.get(lock.lock_id, b""), known.get(lock.lock_id), log_epochs)
        for lock in settings[:LOCKS_PER_HUB_MAX]
    )
    return {link.settings.lock_id: link for link in links if link is not None}


def heartbeat(turn: Turn[HubState]) -> None:
    """Tell every lock the time when it is due; count who does not answer; pair who is new."""
    for lock_id, link in turn.state.locks.items():
        if link.beat_s is not None and turn.instant.mono_s - link.beat_s < HEARTBEAT_S:
            continue
        has_time = turn.state.calendar.trusted
        missed = link.missed + 1 if has_time else link.missed
        online = link.online if missed <= MISSED_MAX else False
        _set(turn, replace(link, beat_s=turn.instant.mono_s, missed=missed, online=online))
        if has_time:
            calendar = turn.state.calendar
            time = frames.Time(calendar_ms=calendar.at_ms(turn.instant), speed=calendar.speed)
            send(turn, lock_id, time)
        if (missed > 1 or not online) and turn.state.subscribed:
            _pair(turn, link.settings)


def tell_time_now(turn: Turn[HubState]) -> None:
    """Make every heartbeat due."""
    turn.state = replace(
        turn.state,
        locks={key: replace(link, beat_s=None) for key, link in turn.state.locks.items()},
    )
    heartbeat(turn)


def unprotect(turn: Turn[HubState], frame: Frame) -> tuple[LockLink, frames.Message] | None:
    """Return what one of this hub's locks said, and note that it is there.

    Raises:
        ProtocolError: It was not that lock.
    """
    link = turn.state.locks.get(frame.address)
    if link is None or frame.kind in (FrameKind.PAIR, FrameKind.TICKET):
        return None
    message = frames.unprotect(frame, link_key=link.link_key)
    link = replace(link, missed=0, online=True)
    _set(turn, link)
    return link, message


def answer(turn: Turn[HubState], link: LockLink, ask: frames.Ask) -> None:
    """Decide; an unsubscribed hub stays silent."""
    state = turn.state
    if not state.subscribed:
        return
    lock_id = link.settings.lock_id
    decision = decide(
        state.access.tables,
        ask.credential_digest,
        lock_id,
        at_s=state.calendar.at_s(turn.instant),
        zone=state.access.zone,
        clock_trusted=state.calendar.trusted,
    )
    match decision:
        case Granted(ends_at_s, privileges):
            told = frames.Answer(
                challenge=ask.challenge,
                granted=True,
                ends_at_s=ends_at_s,
                privileges=privileges or None,
            )
        case Denied(reason):
            told = frames.Answer(challenge=ask.challenge, granted=False, reason=reason)
        case _:
            assert_never(decision)
    send(turn, lock_id, told)


def hear_state(turn: Turn[HubState], link: LockLink, told: frames.State) -> None:
    """Note how the lock stands; give it the time and the configuration that it lacks."""
    lock_id = link.settings.lock_id
    if told.log_epoch != link.log_epoch:
        data = str(told.log_epoch).encode()
        turn.emit(FlashWrite(key=f"lock/{lock_id.hex()}", data=data))
    confirmed = _confirmed(turn.state.access, link, told)
    is_unsure = link.is_unsure and _may_be_overtaken(turn, link, told)
    link = replace(link, state=told, log_epoch=told.log_epoch)
    _set(turn, replace(link, confirmed=confirmed, is_unsure=is_unsure))
    if not told.clock_trusted and turn.state.calendar.trusted:
        calendar = turn.state.calendar
        time = frames.Time(calendar_ms=calendar.at_ms(turn.instant), speed=calendar.speed)
        send(turn, lock_id, time)
    configure(turn, lock_id)


def configure(turn: Turn[HubState], lock_id: bytes) -> None:
    """Send the configuration, if the hub may, the lock is there, and it holds another."""
    link, access = turn.state.locks[lock_id], turn.state.access
    if not (turn.state.subscribed and link.online and link.confirmed != link.content):
        return
    sent = link.configured
    if (
        sent is not None
        and (sent.revision, sent.content) == (access.revision, link.content)
        and turn.instant.mono_s - sent.at_s < CONFIGURE_AGAIN_S
    ):
        return
    configured = Configured(
        epoch=access.epoch,
        revision=access.revision,
        content=link.content,
        at_s=turn.instant.mono_s,
    )
    # Heard or not, from here on nobody knows what the lock holds, until it tells.
    _set(turn, replace(link, configured=configured, confirmed=None, is_unsure=True))
    message = frames.Configure(
        epoch=access.epoch,
        revision=access.revision,
        door=link.settings.door,
        offline_list=link.offline_list,
    )
    send(turn, lock_id, message)


def configure_all(turn: Turn[HubState]) -> None:
    """Configure every lock anew: after renewal it also tells them that the hub serves again."""
    for lock_id, link in turn.state.locks.items():
        _set(turn, replace(link, confirmed=None, configured=None))
        configure(turn, lock_id)


def status_of(link: LockLink) -> LockStatus:
    """Return what the controller is told about a lock."""
    return LockStatus(
        lock_id=link.settings.lock_id,
        online=link.online,
        paired=link.log_epoch is not None,
        log_epoch=link.log_epoch or 0,
        list_hash=link.state.list_hash if link.state and not link.is_unsure else None,
        battery=link.state.battery if link.state else None,
        mode=link.state.mode if link.state else None,
    )


def send(turn: Turn[HubState], lock_id: bytes, message: frames.Message) -> None:
    """Send to a lock of this hub, protected by its link key."""
    link_key = turn.state.locks[lock_id].link_key
    frame = frames.protect(message, lock_id=lock_id, link_key=link_key)
    turn.emit(RadioSend(data=frames.encode(frame)))


def _may_be_overtaken(turn: Turn[HubState], link: LockLink, told: frames.State) -> bool:
    """Return whether a lock may have said this before it heard what was sent to it last."""
    sent = link.configured
    return (
        sent is not None
        and (told.epoch, told.revision) < (sent.epoch, sent.revision)
        and turn.instant.mono_s - sent.at_s < CONFIGURE_AGAIN_S
    )


def _confirmed(access: Access, link: LockLink, told: frames.State) -> bytes | None:
    """Return the content that the lock is now known to hold."""
    held_hash = hashlib.sha256(link.offline_list).digest() if link.offline_list else None
    place = (told.epoch, told.revision)
    if place == (access.epoch, access.revision) and told.list_hash == held_hash:
        return link.content
    sent = link.configured
    if sent is not None and place == (sent.epoch, sent.revision):
        return sent.content
    known = link.state
    is_unchanged = (
        known is not None
        and known.log_epoch == told.log_epoch
        and (known.epoch, known.revision) == place
    )
    return link.confirmed if is_unchanged else None


def _pair(turn: Turn[HubState], settings: LockSettings) -> None:
    """Offer site and hub to a lock that is not heard; one that has them does not care."""
    pair = Frame(kind=FrameKind.PAIR, address=settings.serial.encode(), body=settings.pairing)
    ticket = Frame(kind=FrameKind.TICKET, address=settings.lock_id, body=settings.lock_ticket)
    turn.emit(RadioSend(data=frames.encode(pair)), RadioSend(data=frames.encode(ticket)))


def _link(
    identity: HubIdentity,
    settings: LockSettings,
    offline_list: bytes,
    known: LockLink | None,
    log_epochs: Mapping[bytes, int],
) -> LockLink | None:
    content = hashlib.sha256(cbor.encode([wire.to_map(settings.door), offline_list])).digest()
    if known is not None and known.settings.hub_ticket == settings.hub_ticket:
        return replace(known, settings=settings, offline_list=offline_list, content=content)
    ticket = _ticket(identity, settings)
    if ticket is None:
        return None
    return LockLink(
        settings=settings,
        offline_list=offline_list,
        link_key=ticket.link_key,
        content=content,
        log_epoch=log_epochs.get(settings.lock_id),
    )


def _ticket(identity: HubIdentity, settings: LockSettings) -> HubTicket | None:
    """Return this hub's half of a lock's ticket, or None where the controller erred."""
    key = sealing.hub_key(
        X25519PrivateKey.from_private_bytes(identity.agreement_key),
        X25519PublicKey.from_public_bytes(identity.controller_agreement_key),
        hub_id=identity.hub_id,
    )
    try:
        ticket = sealing.unseal(key, HubTicket, settings.hub_ticket, purpose=sealing.HUB_TICKET)
    except ProtocolError:
        return None
    return ticket if ticket.lock_id == settings.lock_id else None


def _set(turn: Turn[HubState], link: LockLink) -> None:
    locks = {**turn.state.locks, link.settings.lock_id: link}
    turn.state = replace(turn.state, locks=locks)
