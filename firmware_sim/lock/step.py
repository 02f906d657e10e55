"""The lock's firmware: one step for whatever happens."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar, assert_never

from firmware_sim import calendar
from firmware_sim.inputs import (
    BatteryAt,
    CaseOpened,
    DoorMoved,
    EnterPin,
    FactoryReset,
    InsideHandle,
    LockInput,
    PhoneSays,
    Present,
    Press,
    PrivacyButton,
    RadioHeard,
    Tick,
)
from firmware_sim.instant import Instant
from firmware_sim.lock import (
    configuration,
    digital_key,
    door,
    keypad,
    locker,
    log,
    modes,
    orders,
    pairing,
    radio,
    sensors,
)
from firmware_sim.lock.state import (
    Alarms,
    Freed,
    Guard,
    LockIdentity,
    LockState,
    Mode,
    Occupant,
    Opening,
    Pin,
)
from firmware_sim.outputs import FlashDelete, FlashWrite, Noted, Output
from firmware_sim.turn import Turn
from gateway.protocol import frames, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.frames import Configure, Frame, FrameKind
from gateway.protocol.messages import Entry
from gateway.protocol.sealing import LockTicket, Pairing

M = TypeVar("M")

ANSWER_PAUSE_S: Final = 1.0
MARK_KEY: Final = "mark"  # outside every shelf: a factory reset does not set the calendar back


def boot(
    identity: LockIdentity, flash: Mapping[str, bytes], instant: Instant
) -> tuple[LockState, tuple[Output, ...]]:
    """Return the lock that has just got power, and its first words."""
    log_epoch = int(flash.get(pairing.LOG_EPOCH_KEY, b"0"))
    shelf = f"{log_epoch}/"
    held = {key.removeprefix(shelf): data for key, data in flash.items() if key.startswith(shelf)}
    mark = wire.decode(calendar.Mark, flash[MARK_KEY]) if MARK_KEY in flash else None
    state = LockState(
        identity=identity,
        calendar=calendar.booted(mark, instant),
        told_ms=mark.calendar_ms - 1 if mark else 0,  # a hub may tell the mark's own instant
        log=log.restored(
            log_epoch,
            wire.decode(Freed, held["freed"]) if "freed" in held else Freed(),
            [wire.decode(Entry, data) for key, data in held.items() if key.startswith("entry/")],
        ),
        memory={
            bytes.fromhex(key.removeprefix("memory/")): wire.decode(Opening, data)
            for key, data in held.items()
            if key.startswith("memory/")
        },
        order_number=int.from_bytes(held.get("order", b"")),
        mode=_record(Mode, held.get(modes.KEY)) or Mode(),
        guard=_record(Guard, held.get(keypad.KEY)) or Guard(),
        alarms=_record(Alarms, held.get(sensors.KEY)) or Alarms(),
        occupant=_record(Occupant, held.get(locker.KEY)),
        answered_s=instant.mono_s,  # by its first words
    )
    turn = Turn(_attached(state, held), instant)
    for key in flash:  # what a factory reset had no power left to delete
        if key not in (MARK_KEY, pairing.LOG_EPOCH_KEY) and not key.startswith(shelf):
            turn.emit(FlashDelete(key=key))
    configuration.tidy_memory(turn)
    keypad.start(turn)
    modes.start(turn)
    radio.tell_state(turn)
    log.send(turn)
    return turn.finish()


def step(
    state: LockState, event: LockInput, instant: Instant
) -> tuple[LockState, tuple[Output, ...]]:
    """Return the lock after something has happened, and what it does. Garbage changes nothing."""
    turn = Turn(state, instant)
    try:
        _take(turn, event)
    except ProtocolError as error:
        return state, (Noted(text=f"refused: {error}"),)
    return turn.finish()


def _take(turn: Turn[LockState], event: LockInput) -> None:
    match event:
        case Tick():
            _pass_time(turn)
        case RadioHeard():
            _hear(turn, frames.decode(event.data))
        case Present():
            door.present(turn, event.tag_number, held=event.held)
        case EnterPin():
            door.enter(turn, event.pin)
        case PhoneSays():
            digital_key.hear(turn, event.message)
        case Press():
            until_s = turn.instant.mono_s + pairing.PRESS_LASTS_S
            turn.state = replace(turn.state, pressed_until_s=until_s)
        case FactoryReset():
            pairing.reset(turn)
        case _:
            _sense(turn, event)


def _sense(
    turn: Turn[LockState],
    event: DoorMoved | InsideHandle | PrivacyButton | CaseOpened | BatteryAt,
) -> None:
    match event:
        case DoorMoved():
            sensors.move_door(turn, is_open=event.is_open)
        case InsideHandle():
            sensors.press_handle(turn)
        case PrivacyButton():
            modes.press_privacy(turn)
        case CaseOpened():
            sensors.move_case(turn, is_open=event.is_open)
        case BatteryAt():
            sensors.read_battery(turn, event.percent)
        case _:
            assert_never(event)


def _pass_time(turn: Turn[LockState]) -> None:
    _keep_time(turn)
    door.wait(turn)
    modes.keep(turn)
    locker.keep(turn)
    sensors.keep(turn)
    log.send_again_if_due(turn)


def _hear(turn: Turn[LockState], frame: Frame) -> None:
    """Take a frame, if it is for this lock and from whom it should be."""
    state = turn.state
    if frame.kind is FrameKind.PAIR:
        if frame.address == state.identity.serial.encode():
            pairing.pair(turn, frame.body)
        return
    pin = state.pin
    if pin is None or frame.address != pin.pairing.lock_id:
        return
    if frame.kind is FrameKind.TICKET:
        if pairing.take_ticket(turn, pin, frame.body):
            radio.tell_state(turn)
    elif state.link is not None:
        _obey(turn, pin, frames.unprotect(frame, link_key=state.link.key))


def _obey(turn: Turn[LockState], pin: Pin, message: frames.Message) -> None:
    match message:
        case frames.Time():
            _take_time(turn, message)
        case Configure():
            if configuration.take(turn, pin, message):
                door.ask_anew(turn)
            door.forget_silence(turn)
            radio.tell_state(turn)
        case frames.Answer():
            door.hear_answer(turn, message)
        case frames.Free():
            log.free(turn, message)
        case frames.Order():
            orders.obey(turn, pin, message)
        case _:
            return  # a lock's own words, back from the air


def _take_time(turn: Turn[LockState], time: frames.Time) -> None:
    """Set the calendar by a time that was never told before; answer the heartbeat.

    A time that is not taken is answered once a second at most: a hub repeats it to a lock that does
    not know the time, and so may anybody who has recorded it.
    """
    state, now_s = turn.state, turn.instant.mono_s
    is_newer = time.calendar_ms > state.told_ms
    if is_newer:
        told = state.calendar.told(time.calendar_ms, time.speed, turn.instant)
        turn.state = replace(state, calendar=told, told_ms=time.calendar_ms)
        _keep_time(turn)
    if is_newer or now_s >= state.answered_s + ANSWER_PAUSE_S:
        turn.state = replace(turn.state, answered_s=now_s)
        radio.tell_state(turn)


def _keep_time(turn: Turn[LockState]) -> None:
    kept = turn.state.calendar
    if kept.trusted and kept.is_mark_due(turn.instant):
        kept = kept.marked(turn.instant)
        turn.emit(FlashWrite(key=MARK_KEY, data=wire.encode(kept.mark)))
        turn.state = replace(turn.state, calendar=kept)


def _record(kind: type[M], data: bytes | None) -> M | None:
    return wire.decode(kind, data) if data is not None else None


def _attached(state: LockState, held: Mapping[str, bytes]) -> LockState:
    """Return the lock with its site, hub and configuration as far as flash has them."""
    if "pin" not in held:
        return state
    pin = pairing.pin_of(state.identity, wire.decode(Pairing, held["pin"]))
    state = replace(state, pin=pin)
    if "ticket" in held:
        link = pairing.link_of(pin, wire.decode(LockTicket, held["ticket"]))
        state = replace(state, link=link)
    if "configuration" in held:
        settings = wire.decode(Configure, held["configuration"])
        read = configuration.read(settings, identity=state.identity, pin=pin)
        state = replace(state, configuration=read)
    return state
