"""How devices stand, in words for people and in facts for programs."""

from collections.abc import Mapping
from typing import Final

from firmware_sim.outputs import Decided
from firmware_sim.runner import SimHub, SimLock
from gateway.protocol.messages import EntryKind

OPENINGS: Final = (
    EntryKind.OPENED_BY_HUB,
    EntryKind.OPENED_BY_LIST,
    EntryKind.OPENED_BY_MEMORY,
    EntryKind.OPENED_REMOTELY,
)
_SAID: Final[Mapping[EntryKind, str]] = {
    EntryKind.OPENED_BY_HUB: "opened by the hub",
    EntryKind.OPENED_BY_LIST: "opened by the lock's offline list",
    EntryKind.OPENED_BY_MEMORY: "opened by the lock's memory",
    EntryKind.DENIED_BY_HUB: "denied by the hub",
    EntryKind.DENIED_OFFLINE: "denied by the lock, the hub did not answer",
    EntryKind.OPENED_REMOTELY: "opened remotely",
    EntryKind.OVERFLOW: "the log is full",
}


def words(decided: Decided) -> str:
    """Say in words what somebody at a door met with."""
    said = _SAID.get(decided.kind, decided.kind.name.lower().replace("_", " "))
    why = f": {decided.reason.name.lower().replace('_', ' ')}" if decided.reason else ""
    return said + why


def hub_facts(hub: SimHub) -> dict[str, object]:
    """Return how a hub and its locks stand."""
    state = hub.state
    return {
        "name": hub.name,
        "power": state is not None,
        "connected": hub.is_connected,
        "subscribed": state.subscribed if state else None,
        "led": str(hub.colour) if hub.colour else None,
        "revision": state.access.revision if state else None,
        "lease_number": state.lease.number if state and state.lease else None,
        "entries_waiting": state.journal.waiting if state else None,
        "locks": [lock_facts(lock) for lock in hub.locks],
    }


def lock_facts(lock: SimLock) -> dict[str, object]:
    """Return how a lock stands."""
    state = lock.state
    held = state.configuration if state else None
    return {
        "name": lock.name,
        "power": state is not None,
        "radio": lock.is_in_reach,
        "paired": state is not None and state.link is not None,
        "offline_list": held.settings.offline_list.hex() if held else None,
        "grants": len(held.offline_list.grants) if held and held.offline_list else 0,
        "memory": len(state.memory) if state else None,
        "entries_waiting": len(state.log.entries) if state else None,
        "openings": lock.openings,
        "mode": state.mode.mode.name.lower() if state else None,
        "stays_open": lock.stays_open,
        "door_open": lock.door.is_open,
        "case_open": lock.door.case_is_open,
        "battery": lock.door.battery,
    }


def hub_line(hub: SimHub) -> str:
    """Return a line about a hub."""
    state = hub.state
    if state is None:
        return f"hub {hub.name}: no power"
    line = "connected" if hub.is_connected else "not connected"
    subscribed = "subscribed" if state.subscribed else "UNSUBSCRIBED"
    return (
        f"hub {hub.name}: {subscribed} ({hub.colour}), {line}, revision {state.access.revision},"
        f" {state.journal.waiting} entries waiting"
    )


def lock_line(lock: SimLock) -> str:
    """Return a line about a lock."""
    facts = lock_facts(lock)
    if not facts["power"]:
        return f"lock {lock.name}: no power"
    paired = "paired" if facts["paired"] else "not paired"
    radio = "" if lock.is_in_reach else ", radio cut"
    stays = ", stays open" if lock.stays_open else ""
    return (
        f"lock {lock.name}: {paired}{radio}{stays}, {facts['grants']} offline, {facts['memory']} in"
        f" memory, {facts['entries_waiting']} entries, opened {lock.openings} times"
    )
