"""The hub's firmware: one step for whatever happens."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from firmware_sim import calendar
from firmware_sim.hub import access, clock, commands, expiry, journal, locks, uplink
from firmware_sim.hub.expiry import Latch
from firmware_sim.hub.state import HubIdentity, HubState, Uplink
from firmware_sim.inputs import Connected, Disconnected, HubInput, RadioHeard, Received, Tick
from firmware_sim.instant import Instant
from firmware_sim.outputs import FlashDelete, Noted, Output
from firmware_sim.turn import Turn
from gateway.protocol import frames, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.frames import Frame
from gateway.protocol.messages import Ack, Greeting, Lease, Manifest, Welcome
from gateway.protocol.topics import DownKind, UpKind


def boot(
    identity: HubIdentity, flash: Mapping[str, bytes], instant: Instant
) -> tuple[HubState, tuple[Output, ...]]:
    """Return the hub that has just got power, and what it does first."""
    mark = wire.decode(calendar.Mark, flash[clock.MARK_KEY]) if clock.MARK_KEY in flash else None
    lease = wire.decode(Lease, flash[expiry.LEASE_KEY]) if expiry.LEASE_KEY in flash else None
    held = journal.restored(flash)
    state = HubState(
        identity=identity,
        calendar=calendar.booted(mark, instant),
        uplink=Uplink(nonces={}),
        lease=lease,
        latched=_is_latched(lease, flash),
        sections=access.restored(flash),
        access=access.NOTHING,
        locks={},
        journal=held,
        orders={},
        done={},
    )
    turn = Turn(state, instant)
    clock.start(turn)
    expiry.settle(turn)
    _restore_access(turn, flash)
    turn.emit(*(FlashDelete(key=key) for key in journal.leftovers(flash, held)))
    return turn.finish()


def step(state: HubState, event: HubInput, instant: Instant) -> tuple[HubState, tuple[Output, ...]]:
    """Return the hub after something has happened, and what it does. Garbage changes nothing."""
    turn = Turn(state, instant)
    clock.keep(turn)
    expiry.settle(turn)
    before = Turn(turn.state, instant, list(turn.outputs))
    try:
        _take(turn, event)
    except ProtocolError as error:
        turn = before
        turn.emit(Noted(text=f"refused: {error}"))
    expiry.settle(turn)
    uplink.confirm(turn)
    return turn.finish()


def _take(turn: Turn[HubState], event: HubInput) -> None:
    match event:
        case Tick():
            locks.heartbeat(turn)
            uplink.beat(turn)
            access.ask_again(turn)
            journal.ship_again(turn)
            commands.try_locks(turn)
        case RadioHeard():
            _hear(turn, frames.decode(event.data))
        case Connected():
            turn.state = replace(turn.state, uplink=replace(turn.state.uplink, connected=True))
            _greet(turn)
        case Disconnected():
            turn.state = replace(turn.state, uplink=replace(turn.state.uplink, connected=False))
        case Received(kind=DownKind.SECTION):
            access.take_section(turn, event.payload)
        case Received():
            payload = uplink.verified(turn.state, event.kind, event.payload)
            _obey(turn, event.kind, payload)
        case _:
            assert_never(event)


def _greet(turn: Turn[HubState]) -> None:
    """Say hello to a controller that may know nothing of this hub, and send all that waits."""
    uplink.say(turn, UpKind.HELLO)
    access.ask_again(turn, now=True)
    journal.ship_again(turn, all_now=True)
    journal.ship(turn)


def _obey(turn: Turn[HubState], kind: DownKind, payload: bytes) -> None:
    """Do what the controller says; the signature has been verified."""
    match kind:
        case DownKind.WELCOME:
            _welcome(turn, wire.decode(Welcome, payload))
        case DownKind.GREETING:
            wire.decode(Greeting, payload)
            _greet(turn)
        case DownKind.LEASE:
            expiry.take_lease(turn, payload)
        case DownKind.MANIFEST:
            access.take_manifest(turn, payload)
        case DownKind.ACK:
            if journal.acknowledge(turn, wire.decode(Ack, payload)):
                uplink.note_contact(turn)
        case DownKind.COMMAND:
            commands.take(turn, payload)
        case DownKind.SECTION:
            raise AssertionError("a section is not signed")
        case _:
            assert_never(kind)


def _welcome(turn: Turn[HubState], welcome: Welcome) -> None:
    before = turn.state.calendar
    after_s = uplink.answered_after_s(turn, welcome)
    if after_s is None:
        return
    uplink.note_contact(turn)
    clock.tell(turn, welcome, after_s=after_s)
    if not before.trusted or before.speed != welcome.speed:
        locks.tell_time_now(turn)


def _hear(turn: Turn[HubState], frame: Frame) -> None:
    heard = locks.unprotect(turn, frame)
    if heard is None:
        return
    link, message = heard
    match message:
        case frames.State():
            locks.hear_state(turn, link, message)
        case frames.Ask():
            locks.answer(turn, link, message)
        case frames.Entries():
            journal.hear(turn, link, message)
        case frames.Obeyed():
            commands.hear(turn, link, message)
        case _:
            return  # a hub's own words, back from the air


def _is_latched(lease: Lease | None, flash: Mapping[str, bytes]) -> bool:
    if lease is None or expiry.LATCH_KEY not in flash:
        return False
    latch = wire.decode(Latch, flash[expiry.LATCH_KEY])
    return (latch.epoch, latch.number) == (lease.epoch, lease.number)


def _restore_access(turn: Turn[HubState], flash: Mapping[str, bytes]) -> None:
    """Serve the state that flash holds; where a section has rotted, fetch it first."""
    payload = flash.get(access.MANIFEST_KEY)
    if payload is None:
        return
    state = turn.state
    manifest = wire.decode(Manifest, payload)
    held = access.read(manifest, state.sections, {})
    if held is None:
        if state.subscribed:
            access.begin(turn, manifest, payload)
        return
    log_epochs = {
        bytes.fromhex(key.removeprefix("lock/")): int(data)
        for key, data in flash.items()
        if key.startswith("lock/")
    }
    links = locks.links_of(state.identity, held, {}, log_epochs)
    turn.state = replace(state, access=held, locks=links)
