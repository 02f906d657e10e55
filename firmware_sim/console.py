"""The words by which people and programs move a running simulation. One line, one answer."""

import asyncio
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from firmware_sim.fleet import Fleet
from firmware_sim.inputs import FactoryReset, Press
from firmware_sim.outputs import Decided
from firmware_sim.runner import NoDecisionError, SimHub, SimLock
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import EntryKind

LOOK_EVERY_S: Final = 0.1
LOOKS: Final = 1_200
OPENINGS: Final = (
    EntryKind.OPENED_BY_HUB,
    EntryKind.OPENED_BY_LIST,
    EntryKind.OPENED_BY_MEMORY,
    EntryKind.OPENED_REMOTELY,
)
HELP: Final = """\
tap LOCK TAG                 hold a tag (4 to 10 bytes, hex) to a lock
expect opened|denied         check what the last tap came to
cut uplink HUB               pull the network cable;        restore uplink HUB
cut radio LOCK               shield a lock from its hub;    restore radio LOCK
power off HUB|LOCK           pull the plug;                 power on HUB|LOCK
wait unsubscribed HUB        until it says so; also: subscribed, connected
wait ready LOCK              until it is paired and configured
press LOCK                   press its button;              reset LOCK: to factory state
status                       how everything stands
help, quit
Hubs are 1, 2, ...; locks 1.1, 1.2, ...; serial and id do as well."""


class Quit(Exception):
    """Somebody wants to leave."""


class WordError(Exception):
    """A line that cannot be done; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a line came to: for people, and for programs."""

    text: str
    facts: dict[str, object] = field(default_factory=dict)


class Console:
    """Does lines to devices."""

    def __init__(self, hubs: list[SimHub], fleet: Fleet) -> None:
        self._hubs: dict[str, SimHub] = {}
        self._locks: dict[str, SimLock] = {}
        self._ordered = hubs
        self._last: Decided | None = None
        for hub, unit in zip(hubs, fleet.hubs, strict=True):
            for name in (unit.name, unit.serial.lower(), unit.hub_id or ""):
                self._hubs[name] = hub
            for lock, lock_unit in zip(hub.locks, unit.locks, strict=True):
                for name in (lock_unit.name, lock_unit.serial.lower(), lock_unit.lock_id or ""):
                    self._locks[name] = lock

    async def do(self, line: str) -> Answer:
        """Do one line.

        Raises:
            WordError: It cannot be done.
            Quit: It says so.
        """
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise WordError(f"{error}; say help") from error
        match [words[0].lower(), *words[1:]] if words else []:
            case ["tap", lock, tag]:
                return await self._tap(self._lock(lock), tag)
            case ["wait", what, device]:
                return await self._wait(what, device)
            case short:
                return self._say(short)

    def _say(self, words: list[str]) -> Answer:
        match words:
            case []:
                return Answer(text="")
            case ["expect", "opened" | "denied" as wanted]:
                return self._expect(is_opened=wanted == "opened")
            case ["status"]:
                return self._status()
            case ["help"]:
                return Answer(text=HELP)
            case ["quit" | "exit"]:
                raise Quit
            case _:
                return Answer(text=self._switch(words))

    def _switch(self, words: list[str]) -> str:
        match words:
            case ["cut" | "restore" as verb, "uplink", name]:
                hub = self._hub(name)
                (hub.cut_uplink if verb == "cut" else hub.restore_uplink)()
                return f"hub {hub.name}: uplink {'cut' if verb == 'cut' else 'restored'}"
            case ["cut" | "restore" as verb, "radio", name]:
                lock = self._lock(name)
                lock.has_radio = verb == "restore"
                return f"lock {lock.name}: radio {'restored' if lock.has_radio else 'cut'}"
            case ["power", "off" | "on" as which, name]:
                device = self._device(name)
                (device.power_on if which == "on" else device.power_off)()
                return f"{name}: power {which}"
            case ["press" | "reset" as verb, name]:
                lock = self._lock(name)
                lock.feed(Press() if verb == "press" else FactoryReset())
                return f"lock {lock.name}: {'pressed' if verb == 'press' else 'reset'}"
            case _:
                raise WordError(f"{' '.join(words)!r} is no line of this program; say help")

    async def _tap(self, lock: SimLock, tag: str) -> Answer:
        try:
            decided = await lock.tap(bytes.fromhex(tag.replace(":", "")))
        except ValueError as error:
            told = error if isinstance(error, ProtocolError) else "a tag is written in hex digits"
            raise WordError(f"tag {tag}: {told}") from error
        except NoDecisionError as error:
            raise WordError(str(error)) from error
        self._last = decided
        return Answer(
            text=f"lock {lock.name}: {_words(decided)}",
            facts={
                "lock": lock.name,
                "opened": decided.kind in OPENINGS,
                "kind": decided.kind.name.lower(),
                "reason": decided.reason.name.lower() if decided.reason else None,
            },
        )

    def _expect(self, *, is_opened: bool) -> Answer:
        if self._last is None:
            raise WordError("expect: nothing was tapped yet")
        if (self._last.kind in OPENINGS) is not is_opened:
            raise WordError(f"expected {'opened' if is_opened else 'denied'}: {_words(self._last)}")
        return Answer(text="as expected")

    async def _wait(self, what: str, name: str) -> Answer:
        is_there = self._condition(what, name)
        for _ in range(LOOKS):
            if is_there():
                return Answer(text=f"{name} is {what}")
            await asyncio.sleep(LOOK_EVERY_S)
        raise WordError(f"{name} is not {what} after {LOOKS * LOOK_EVERY_S:.0f} s")

    def _condition(self, what: str, name: str) -> Callable[[], bool]:
        match what:
            case "subscribed":
                hub = self._hub(name)
                return lambda: hub.state is not None and hub.state.subscribed
            case "unsubscribed":
                hub = self._hub(name)
                return lambda: hub.state is not None and not hub.state.subscribed
            case "connected":
                hub = self._hub(name)
                return lambda: hub.is_connected
            case "ready":
                lock = self._lock(name)
                return lambda: lock.state is not None and lock.state.configuration is not None
            case _:
                raise WordError(f"wait {what}: say subscribed, unsubscribed, connected or ready")

    def _status(self) -> Answer:
        lines, facts = [], []
        for hub in self._ordered:
            lines.append(_hub_line(hub))
            lines.extend(f"  {_lock_line(lock)}" for lock in hub.locks)
            facts.append(_hub_facts(hub))
        return Answer(text="\n".join(lines), facts={"hubs": facts})

    def _hub(self, name: str) -> SimHub:
        hub = self._hubs.get(name.lower())
        if hub is None:
            raise WordError(f"there is no hub {name}; there are {_names(self._ordered)}")
        return hub

    def _lock(self, name: str) -> SimLock:
        lock = self._locks.get(name.lower())
        if lock is None:
            known = [lock for hub in self._ordered for lock in hub.locks]
            raise WordError(f"there is no lock {name}; there are {_names(known)}")
        return lock

    def _device(self, name: str) -> SimHub | SimLock:
        return self._hubs[name.lower()] if name.lower() in self._hubs else self._lock(name)


def _names(devices: list[SimHub] | list[SimLock]) -> str:
    return ", ".join(device.name for device in devices)


def _words(decided: Decided) -> str:
    """Say in words what a tap came to."""
    said = {
        EntryKind.OPENED_BY_HUB: "opened by the hub",
        EntryKind.OPENED_BY_LIST: "opened by the lock's offline list",
        EntryKind.OPENED_BY_MEMORY: "opened by the lock's memory",
        EntryKind.DENIED_BY_HUB: "denied by the hub",
        EntryKind.DENIED_OFFLINE: "denied by the lock, the hub did not answer",
        EntryKind.OPENED_REMOTELY: "opened remotely",
        EntryKind.OVERFLOW: "the log is full",
    }[decided.kind]
    why = f": {decided.reason.name.lower().replace('_', ' ')}" if decided.reason else ""
    return said + why


def _hub_facts(hub: SimHub) -> dict[str, object]:
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
        "locks": [_lock_facts(lock) for lock in hub.locks],
    }


def _lock_facts(lock: SimLock) -> dict[str, object]:
    state = lock.state
    held = state.configuration if state else None
    return {
        "name": lock.name,
        "power": state is not None,
        "radio": lock.has_radio,
        "paired": state is not None and state.link is not None,
        "offline_list": held.settings.offline_list.hex() if held else None,
        "grants": len(held.offline_list.grants) if held and held.offline_list else 0,
        "memory": len(state.memory) if state else None,
        "entries_waiting": len(state.log.entries) if state else None,
        "openings": lock.openings,
    }


def _hub_line(hub: SimHub) -> str:
    state = hub.state
    if state is None:
        return f"hub {hub.name}: no power"
    line = "connected" if hub.is_connected else "not connected"
    subscribed = "subscribed" if state.subscribed else "UNSUBSCRIBED"
    return (
        f"hub {hub.name}: {subscribed} ({hub.colour}), {line}, revision {state.access.revision},"
        f" {state.journal.waiting} entries waiting"
    )


def _lock_line(lock: SimLock) -> str:
    facts = _lock_facts(lock)
    if not facts["power"]:
        return f"lock {lock.name}: no power"
    paired = "paired" if facts["paired"] else "not paired"
    radio = "" if lock.has_radio else ", radio cut"
    return (
        f"lock {lock.name}: {paired}{radio}, {facts['grants']} offline, {facts['memory']} in"
        f" memory, {facts['entries_waiting']} entries, opened {lock.openings} times"
    )
