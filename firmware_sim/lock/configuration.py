"""What the controller lets the lock know, and what makes room for it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from firmware_sim.lock.offline import is_purged
from firmware_sim.lock.state import Configuration, LockIdentity, LockState, Opening, Pin
from firmware_sim.outputs import FlashDelete, FlashWrite
from firmware_sim.turn import Turn
from gateway.protocol import sections, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.frames import Configure
from gateway.protocol.messages import SectionKind
from gateway.protocol.sections import OfflineList


def read(settings: Configure, *, identity: LockIdentity, pin: Pin) -> Configuration:
    """Return a configuration whose list this lock can hold and obey.

    Raises:
        ProtocolError: The list is for another lock, too long, or names a schedule it lacks.
    """
    if not settings.offline_list:
        return Configuration(settings=settings, offline_list=None)
    items = sections.read(SectionKind.OFFLINE_LIST, settings.offline_list)
    offline_list = items[0] if items else None
    if not isinstance(offline_list, OfflineList) or offline_list.lock_id != pin.pairing.lock_id:
        raise ProtocolError("offline list: not for this lock")
    if len(offline_list.grants) > identity.capacity:
        raise ProtocolError(
            f"offline list: {len(offline_list.grants)} grants, this lock holds {identity.capacity}"
        )
    known = range(len(offline_list.schedules))
    if any(place not in known for grant in offline_list.grants for place in grant.schedules or ()):
        raise ProtocolError("offline list: a grant names a schedule that is not there")
    return Configuration(settings=settings, offline_list=offline_list)


def take(turn: Turn[LockState], pin: Pin, settings: Configure) -> bool:
    """Apply a configuration that is not older than the present one, in one flash write.

    Returns:
        Whether it is another one.

    Raises:
        ProtocolError: The lock cannot obey it; the present one stays.
    """
    state = turn.state
    if state.configuration is not None:
        present = state.configuration.settings
        if settings == present:
            return False
        if (settings.epoch, settings.revision) < (present.epoch, present.revision):
            return False
    configuration = read(settings, identity=state.identity, pin=pin)
    if _takes_back_more(_list_of(state), configuration.offline_list):
        _keep_memory(turn, {})  # first: a power cut must not leave the new list beside it
    turn.emit(FlashWrite(key=state.flash_key("configuration"), data=wire.encode(settings)))
    turn.state = replace(turn.state, configuration=configuration)
    tidy_memory(turn)
    return True


def tidy_memory(turn: Turn[LockState], *, room_for: int = 0) -> None:
    """Forget what the list purges, what it names itself, and the oldest that find no slot."""
    offline_list = _list_of(turn.state)
    listed = {grant.credential_digest for grant in (offline_list.grants if offline_list else ())}
    slots = turn.state.identity.capacity - len(offline_list.grants if offline_list else ())
    kept = [
        (opening.opened_s, digest)
        for digest, opening in turn.state.memory.items()
        if digest not in listed and not is_purged(offline_list, digest, opening)
    ]
    newest = sorted(kept, reverse=True)[: max(0, slots - room_for)]
    _keep_memory(turn, {digest: turn.state.memory[digest] for _, digest in reversed(newest)})


def remember(turn: Turn[LockState], digest: bytes, *, ends_at_s: int | None) -> None:
    """Note an opening that the hub granted, if the memory is on and the list leaves a slot."""
    state = turn.state
    configuration = state.configuration
    if configuration is None or configuration.settings.door.memory_days == 0:
        return
    grants = configuration.offline_list.grants if configuration.offline_list else ()
    is_listed = any(grant.credential_digest == digest for grant in grants)
    if is_listed or len(grants) >= state.identity.capacity:
        return
    tidy_memory(turn, room_for=0 if digest in state.memory else 1)
    opening = Opening(opened_s=turn.state.calendar.at_s(turn.instant), ends_at_s=ends_at_s)
    turn.emit(FlashWrite(key=memory_key(turn.state, digest), data=wire.encode(opening)))
    turn.state = replace(turn.state, memory={**turn.state.memory, digest: opening})


def list_hash(state: LockState) -> bytes | None:
    """Return the name of the list that the lock holds."""
    held = state.configuration and state.configuration.settings.offline_list
    return hashlib.sha256(held).digest() if held else None


def memory_key(state: LockState, digest: bytes) -> str:
    """Return where the opening of a credential lies in flash."""
    return state.flash_key(f"memory/{digest.hex()}")


def _list_of(state: LockState) -> OfflineList | None:
    return state.configuration.offline_list if state.configuration else None


def _takes_back_more(before: OfflineList | None, after: OfflineList | None) -> bool:
    """Return whether a list takes back openings by their time, other ones than the list before.

    By then a hub that was behind may have granted one that is younger than that time.
    """
    if after is None or after.purge_before_s is None:
        return False
    taken_back = before and (before.purge_before_s, before.purge)
    return taken_back != (after.purge_before_s, after.purge)


def _keep_memory(turn: Turn[LockState], memory: Mapping[bytes, Opening]) -> None:
    """Forget everything else."""
    for digest in turn.state.memory.keys() - memory.keys():
        turn.emit(FlashDelete(key=memory_key(turn.state, digest)))
    turn.state = replace(turn.state, memory=memory)
