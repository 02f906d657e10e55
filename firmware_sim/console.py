"""The words by which people and programs move a running simulation. One line, one answer."""

import asyncio
import shlex
from base64 import b64decode
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from firmware_sim.fleet import Fleet
from firmware_sim.inputs import FactoryReset, InsideHandle, LockInput, Press, PrivacyButton
from firmware_sim.outputs import Decided
from firmware_sim.phone import Phone
from firmware_sim.runner import Chance, NoDecisionError, SimHub, SimLock, SimRepeater
from firmware_sim.telling import OPENINGS, hub_facts, hub_line, lock_line, words
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import LockMode

LOOK_EVERY_S: Final = 0.1
LOOKS: Final = 1_200
PAUSE_S_MAX: Final = 3600.0
PPM_MAX: Final = 1_000
KEY_BYTES: Final = 32
HELP: Final = """\
tap LOCK TAG                 hold a tag (4 to 10 bytes, hex) to a lock; hold LOCK TAG: for 6 s
pin LOCK CODE                type a code;  use LOCK PHONE: hold a phone to it
phone PHONE                  show a phone's public key, made at first;  phone PHONE DOCUMENT: give
                             it the access document (base64) that the cloud issued
expect opened|denied [WHY]   check what the last of these came to
door open|shut LOCK          move the door;                 handle LOCK: from within
case open|shut LOCK          tamper with it;                privacy LOCK: press the button inside
battery LOCK PERCENT         what is left;                  drift LOCK PPM: let its clock run wrong
repeater NAME                put one up;  place LOCK|REPEATER behind REPEATER: who reaches whom
cut uplink HUB               pull the network cable;        restore uplink HUB
cut radio LOCK               shield a lock from its hub;    restore radio LOCK
power off HUB|LOCK|REPEATER  pull the plug;                 power on HUB|LOCK|REPEATER
wait unsubscribed HUB        until it says so; also: subscribed, connected
wait ready LOCK              until it is paired and configured; also: office, privacy, normal
pause SECONDS                let time pass
press LOCK                   press its button;              reset LOCK: to factory state
status                       how everything stands
help, quit
Hubs are 1, 2, ...; locks 1.1, 1.2, ...; serial and id do as well."""

_PRESSED: Final[Mapping[str, LockInput]] = {
    "press": Press(),
    "reset": FactoryReset(),
    "handle": InsideHandle(),
    "privacy": PrivacyButton(),
}


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

    def __init__(self, hubs: list[SimHub], fleet: Fleet, *, chance: Chance) -> None:
        self._chance = chance
        self._phones: dict[str, Phone] = {}
        self._repeaters: dict[str, SimRepeater] = {}
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
            case ["tap" | "hold" as verb, lock, tag]:
                return await self._tap(self._lock(lock), tag, held=verb == "hold")
            case ["pin", lock, code]:
                at = self._lock(lock)
                return await self._decided(at, at.enter(code))
            case ["use", lock, phone]:
                at = self._lock(lock)
                return await self._decided(at, at.use(self._phone(phone)))
            case ["wait", what, device]:
                return await self._wait(what, device)
            case ["pause", seconds]:
                await asyncio.sleep(_number(seconds, 0, PAUSE_S_MAX))
                return Answer(text="")
            case short:
                return self._say(short)

    def _say(self, words: list[str]) -> Answer:
        match words:
            case []:
                return Answer(text="")
            case ["expect", "opened" | "denied" as wanted, *why]:
                return self._expect(is_opened=wanted == "opened", why=" ".join(why))
            case ["phone", name, *document]:
                return self._register(name, *document)
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
                self._power(name, is_on=which == "on")
                return f"{name}: power {which}"
            case ["repeater", name]:
                return f"repeater {self._repeater(name).name} is there"
            case ["place", name, "behind", repeater]:
                self._place(name, self._repeater(repeater))
                return f"{name} is behind {repeater}"
            case _:
                return self._at_a_door(words)

    def _at_a_door(self, words: list[str]) -> str:
        match words:
            case ["press" | "reset" | "handle" | "privacy" as verb, name]:
                self._lock(name).feed(_PRESSED[verb])
                return f"lock {name}: {verb}"
            case ["door" | "case" as what, "open" | "shut" as how, name]:
                lock, is_open = self._lock(name), how == "open"
                field = {"door": "is_open", "case": "case_is_open"}[what]
                lock.move(replace(lock.door, **{field: is_open}))
                return f"lock {lock.name}: {what} {how}"
            case ["battery", name, percent]:
                lock = self._lock(name)
                lock.move(replace(lock.door, battery=int(_number(percent, 0, 100))))
                return f"lock {lock.name}: battery {lock.door.battery} %"
            case ["drift", name, ppm]:
                lock = self._lock(name)
                lock.drift(int(_number(ppm, -PPM_MAX, PPM_MAX)))
                return f"lock {lock.name}: drifts by {ppm} ppm"
            case _:
                raise WordError(f"{' '.join(words)!r} is no line of this program; say help")

    async def _tap(self, lock: SimLock, tag: str, *, held: bool) -> Answer:
        try:
            number = bytes.fromhex(tag.replace(":", ""))
        except ValueError as error:
            raise WordError(f"tag {tag}: a tag is written in hex digits") from error
        return await self._decided(lock, lock.tap(number, held=held))

    async def _decided(self, lock: SimLock, asking: Coroutine[Any, Any, Decided]) -> Answer:
        """Wait for what somebody at a door meets with, and keep it for ``expect``."""
        try:
            decided = await asking
        except (ProtocolError, NoDecisionError) as error:
            raise WordError(str(error)) from error
        self._last = decided
        return Answer(
            text=f"lock {lock.name}: {words(decided)}",
            facts={
                "lock": lock.name,
                "opened": decided.kind in OPENINGS,
                "kind": decided.kind.name.lower(),
                "reason": decided.reason.name.lower() if decided.reason else None,
            },
        )

    def _expect(self, *, is_opened: bool, why: str) -> Answer:
        if self._last is None:
            raise WordError("expect: nobody stood at a door yet")
        told = words(self._last)
        if (self._last.kind in OPENINGS) is not is_opened or why.lower() not in told:
            wanted = f"{'opened' if is_opened else 'denied'} {why}".rstrip()
            raise WordError(f"expected {wanted}: {told}")
        return Answer(text="as expected")

    def _register(self, name: str, *document: str) -> Answer:
        """Show a phone's public key, or give it its document."""
        held = self._phone(name)
        if document:
            try:
                self._phones[name] = replace(held, document=b64decode(document[0], validate=True))
            except ValueError as error:
                raise WordError("the access document is written in base64") from error
            return Answer(text=f"phone {name} has its access document")
        key = held.public_key.hex()
        return Answer(text=f"phone {name}: {key}", facts={"phone": name, "public_key": key})

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
            case "office" | "privacy" | "normal":
                lock = self._lock(name)
                mode = LockMode[what.upper()]
                return lambda: lock.state is not None and lock.state.mode.mode is mode
            case _:
                raise WordError(
                    f"wait {what}: say subscribed, unsubscribed, connected, ready, office, privacy"
                    " or normal"
                )

    def _status(self) -> Answer:
        lines, facts = [], []
        for hub in self._ordered:
            lines.append(hub_line(hub))
            lines.extend(f"  {lock_line(lock)}" for lock in hub.locks)
            facts.append(hub_facts(hub))
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

    def _power(self, name: str, *, is_on: bool) -> None:
        if name in self._repeaters:
            self._repeaters[name].has_power = is_on
            return
        known = self._hubs.get(name.lower())
        device = known if known is not None else self._lock(name)
        (device.power_on if is_on else device.power_off)()

    def _place(self, name: str, behind: SimRepeater) -> None:
        """Put a lock, or a repeater, behind a repeater."""
        if name not in self._repeaters:
            self._lock(name).behind = behind
            return
        before: SimRepeater | None = behind
        while before is not None:
            if before is self._repeaters[name]:
                raise WordError(f"repeater {name} would stand behind itself")
            before = before.behind
        self._repeaters[name].behind = behind

    def _repeater(self, name: str) -> SimRepeater:
        if name.lower() in self._locks or name.lower() in self._hubs:
            raise WordError(f"{name} is a hub or a lock and no repeater")
        return self._repeaters.setdefault(name, SimRepeater(name))

    def _phone(self, name: str) -> Phone:
        return self._phones.setdefault(name, Phone(key=self._chance.token_bytes(KEY_BYTES)))


def _names(devices: list[SimHub] | list[SimLock]) -> str:
    return ", ".join(device.name for device in devices)


def _number(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise WordError(f"{text!r} is no number") from error
    if not low <= number <= high:
        raise WordError(f"{text} is not within {low:g} to {high:g}")
    return number
