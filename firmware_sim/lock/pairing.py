"""How a lock becomes one of a site, gets its hub, and forgets both."""

from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from firmware_sim.lock.state import Alarms, Freed, Link, LockIdentity, LockState, Log, Pin
from firmware_sim.outputs import FlashDelete, FlashWrite, MotorClose, Noted
from firmware_sim.turn import Turn
from gateway.protocol import sealing, wire
from gateway.protocol.sealing import LockTicket, Pairing

PRESS_LASTS_S: Final = 120.0
LOG_EPOCH_KEY: Final = "log_epoch"  # outside every shelf: it says which shelf counts


def pin_of(identity: LockIdentity, pairing: Pairing) -> Pin:
    """Return the site with the key that this lock shares with the controller."""
    key = sealing.seal_key(
        X25519PrivateKey.from_private_bytes(identity.key),
        X25519PublicKey.from_public_bytes(pairing.agreement_key),
        site_id=pairing.site_id,
        lock_id=pairing.lock_id,
        epoch=pairing.epoch,
    )
    return Pin(pairing=pairing, seal_key=key)


def link_of(pin: Pin, ticket: LockTicket) -> Link:
    """Return the hub with the key that this lock shares with it."""
    key = sealing.link_key(pin.seal_key, hub_id=ticket.hub_id, number=ticket.number)
    return Link(ticket=ticket, key=key)


def pair(turn: Turn[LockState], body: bytes) -> None:
    """Pin the site, if the lock is fresh, was pressed lately and the sender knows the sticker.

    Raises:
        ProtocolError: The pairing was not made for this lock.
    """
    state = turn.state
    if state.pin is not None or turn.instant.mono_s >= state.pressed_until_s:
        return
    pairing = sealing.read_pairing(body, state.identity.sticker_secret)
    turn.emit(FlashWrite(key=state.flash_key("pin"), data=wire.encode(pairing)))
    turn.state = replace(state, pin=pin_of(state.identity, pairing), pressed_until_s=0.0)
    turn.emit(Noted(text="paired with a site"))


def take_ticket(turn: Turn[LockState], pin: Pin, body: bytes) -> bool:
    """Take the hub that a newer ticket names; return whether it was newer.

    Raises:
        ProtocolError: The controller did not seal it for this lock.
    """
    ticket = sealing.unseal(pin.seal_key, LockTicket, body, purpose=sealing.LOCK_TICKET)
    link = turn.state.link
    if link is not None and ticket.number <= link.ticket.number:
        return False
    if link is not None and ticket.hub_id != link.ticket.hub_id:
        _begin_anew(turn)
    turn.emit(FlashWrite(key=turn.state.flash_key("ticket"), data=wire.encode(ticket)))
    log = replace(turn.state.log, sent=0)
    turn.state = replace(turn.state, link=link_of(pin, ticket), log=log)
    return True


def _begin_anew(turn: Turn[LockState]) -> None:
    """Count the configuration as older than any: another hub numbers its own from one.

    Written before the ticket: after a power cut between the two the old hub just sends it again.
    """
    held = turn.state.configuration
    if held is not None:
        settings = replace(held.settings, epoch=0, revision=0)
        key = turn.state.flash_key("configuration")
        turn.emit(FlashWrite(key=key, data=wire.encode(settings)))
        turn.state = replace(turn.state, configuration=replace(held, settings=settings))


def reset(turn: Turn[LockState]) -> None:
    """Forget everything but the number of the log, which goes up.

    The one write that raises the number is the reset; the deletions after it only tidy up.
    """
    old = turn.state
    log_epoch = old.log.log_epoch + 1
    turn.emit(FlashWrite(key=LOG_EPOCH_KEY, data=str(log_epoch).encode()))
    names = [
        "pin",
        "ticket",
        "configuration",
        "order",
        "freed",
        "mode",
        "keypad",
        "alarms",
        "locker",
    ]
    names += [f"entry/{entry.sequence}" for entry in old.log.entries]
    names += [f"memory/{digest.hex()}" for digest in old.memory]
    turn.emit(*(FlashDelete(key=old.flash_key(name)) for name in names))
    turn.state = LockState(
        identity=old.identity,
        calendar=old.calendar,
        told_ms=old.told_ms,
        log=Log(log_epoch=log_epoch, freed=Freed()),
        memory={},
        door=old.door,
        alarms=Alarms(battery=old.alarms.battery),
    )
    if old.stays_open:  # nobody could end it any more
        turn.emit(MotorClose())
    turn.emit(Noted(text="reset to factory state"))
