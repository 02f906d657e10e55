"""Entries on their way from the locks to the controller. Only its acknowledgement frees them."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from firmware_sim.hub import locks, uplink
from firmware_sim.hub.state import HubState, Journal, LockLink, Log, LogKey, Shipment
from firmware_sim.outputs import FlashDelete, FlashWrite
from firmware_sim.turn import Turn
from gateway.protocol import wire
from gateway.protocol.frames import Entries, Free
from gateway.protocol.messages import ENTRIES_PER_BATCH_MAX, Ack, Batch, Entry, EntryKind
from gateway.protocol.topics import UpKind

CAPACITY: Final = 10_000  # entries; when full the locks keep theirs
SHIPMENTS_MAX: Final = 4
AGAIN_S_MIN: Final = 30.0
AGAIN_S_MAX: Final = 300.0


def hear(turn: Turn[HubState], link: LockLink, message: Entries) -> None:
    """Journal what continues a lock's log, and tell the lock again what it may forget."""
    lock_id = link.settings.lock_id
    for entry in message.entries:
        if entry.lock_id == lock_id:
            _journal(turn, entry)
    key = (lock_id, message.entries[0].log_epoch)
    log = turn.state.journal.logs.get(key)
    if log is not None and message.entries[0].sequence <= log.committed:
        locks.send(turn, lock_id, Free(log_epoch=key[1], up_to=log.committed))
    ship(turn)


def ship(turn: Turn[HubState]) -> None:
    """Put what waits into batches, as far as batches may be on their way."""
    if not turn.state.uplink.connected:
        return
    while len(turn.state.journal.shipments) < SHIPMENTS_MAX:
        chosen = list(_unshipped(turn.state.journal))
        if not chosen:
            return
        entries = tuple(entry for _, entry in chosen)
        publish = uplink.signed(turn.state, UpKind.BATCH, Batch(entries=entries))
        shipment = Shipment(
            batch_hash=hashlib.sha256(publish.payload).digest(),
            message=publish.payload,
            sequences=tuple((key, entry.sequence) for key, entry in chosen),
            again_s=turn.instant.mono_s + AGAIN_S_MIN,
            pause_s=AGAIN_S_MIN,
        )
        turn.emit(publish)
        journal = turn.state.journal
        _set(turn, replace(journal, shipments=(*journal.shipments, shipment)))


def ship_again(turn: Turn[HubState], *, all_now: bool = False) -> None:
    """Send batches again whose time has come, or all of them."""
    if not turn.state.uplink.connected:
        return
    shipments = []
    for shipment in turn.state.journal.shipments:
        if all_now or turn.instant.mono_s >= shipment.again_s:
            turn.emit(uplink.again(UpKind.BATCH, shipment.message))
            pause_s = AGAIN_S_MIN if all_now else min(AGAIN_S_MAX, 2 * shipment.pause_s)
            again_s = turn.instant.mono_s + pause_s
            shipments.append(replace(shipment, again_s=again_s, pause_s=pause_s))
        else:
            shipments.append(shipment)
    _set(turn, replace(turn.state.journal, shipments=tuple(shipments)))


def acknowledge(turn: Turn[HubState], ack: Ack) -> bool:
    """Free what the controller has committed; return whether it answers a batch on its way."""
    journal = turn.state.journal
    acked = [each for each in journal.shipments if each.batch_hash == ack.batch_hash]
    if not acked:
        return False
    rest = tuple(each for each in journal.shipments if each.batch_hash != ack.batch_hash)
    _set(turn, replace(journal, shipments=rest))
    by_log: dict[LogKey, set[int]] = {}
    for key, sequence in acked[0].sequences:
        by_log.setdefault(key, set()).add(sequence)
    for key, sequences in by_log.items():
        _commit(turn, key, sequences)
    ship(turn)
    return True


def leftovers(flash: Mapping[str, bytes], journal: Journal) -> Iterator[str]:
    """Yield the keys of entries that were committed and not deleted before the power went."""
    for name in flash:
        match name.split("/"):
            case ["entry", lock, log_epoch, sequence]:
                log = journal.logs[(bytes.fromhex(lock), int(log_epoch))]
                if int(sequence) <= log.committed:
                    yield name
            case _:
                continue


def restored(flash: Mapping[str, bytes]) -> Journal:
    """Return the journal that flash holds."""
    committed: dict[LogKey, int] = {}
    entries: dict[LogKey, list[Entry]] = {}
    for name, data in flash.items():
        match name.split("/"):
            case ["log", lock, log_epoch]:
                committed[(bytes.fromhex(lock), int(log_epoch))] = int.from_bytes(data)
            case ["entry", lock, log_epoch, _]:
                key = (bytes.fromhex(lock), int(log_epoch))
                entries.setdefault(key, []).append(wire.decode(Entry, data))
            case _:
                continue
    logs = {
        key: _restored_log(committed.get(key, 0), entries.get(key, []))
        for key in committed.keys() | entries.keys()
    }
    return Journal(logs=logs)


def _restored_log(committed: int, entries: list[Entry]) -> Log:
    waiting = sorted((e for e in entries if e.sequence > committed), key=lambda e: e.sequence)
    return Log(committed=committed, entries=tuple(waiting))


def _journal(turn: Turn[HubState], entry: Entry) -> None:
    """Write an entry to flash, unless it is known, leaves a hole, or finds no room."""
    journal = turn.state.journal
    key = (entry.lock_id, entry.log_epoch)
    log = journal.logs.get(key)
    if log is None:
        log = Log(
            committed=entry.sequence - 1
        )  # a log that is new to this hub starts at its bottom
    lost = entry.count or 0 if entry.kind is EntryKind.OVERFLOW else 1
    first = entry.sequence - lost + 1  # an overflow stands for all that are lost
    is_next = first <= log.newest + 1 and entry.sequence > log.newest
    if not is_next or journal.waiting >= CAPACITY:
        return
    if turn.state.calendar.trusted:
        entry = replace(entry, hub_at_s=turn.state.calendar.at_s(turn.instant))
    turn.emit(FlashWrite(key=_entry_key(key, entry.sequence), data=wire.encode(entry)))
    log = replace(log, entries=(*log.entries, entry))
    _set(turn, replace(journal, logs={**journal.logs, key: log}))


def _unshipped(journal: Journal) -> Iterator[tuple[LogKey, Entry]]:
    """Yield up to a batch of entries that no batch holds, oldest first for each lock."""
    shipped = {each for shipment in journal.shipments for each in shipment.sequences}
    room = ENTRIES_PER_BATCH_MAX
    for key, log in journal.logs.items():
        for entry in log.entries:
            if entry.sequence in log.acknowledged or (key, entry.sequence) in shipped:
                continue
            if room == 0:
                return
            room -= 1
            yield key, entry


def _commit(turn: Turn[HubState], key: LogKey, sequences: set[int]) -> None:
    """Note what is committed; forget it here and at the lock, up to the first that is not."""
    journal = turn.state.journal
    log = journal.logs[key]
    acknowledged = log.acknowledged | sequences
    done = []
    for entry in log.entries:
        if entry.sequence not in acknowledged:
            break
        done.append(entry.sequence)
    if done:
        committed = done[-1]
        turn.emit(FlashWrite(key=_log_key(key), data=committed.to_bytes(8)))
        turn.emit(*(FlashDelete(key=_entry_key(key, sequence)) for sequence in done))
        log = replace(log, committed=committed, entries=log.entries[len(done) :])
    log = replace(log, acknowledged=acknowledged - set(done))
    _set(turn, replace(journal, logs={**journal.logs, key: log}))
    if done and key[0] in turn.state.locks:
        locks.send(turn, key[0], Free(log_epoch=key[1], up_to=log.committed))


def _set(turn: Turn[HubState], journal: Journal) -> None:
    turn.state = replace(turn.state, journal=journal)


def _log_key(key: LogKey) -> str:
    return f"log/{key[0].hex()}/{key[1]}"


def _entry_key(key: LogKey, sequence: int) -> str:
    return f"entry/{key[0].hex()}/{key[1]}/{sequence}"
