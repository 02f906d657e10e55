"""Hubs and locks in real time: steps with flash in files, the uplink over MQTT, the radio here."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from firmware_sim.door import Door, DriftingClock
from firmware_sim.flash import FileFlash
from firmware_sim.hub import step as hub_firmware
from firmware_sim.hub.state import HubState
from firmware_sim.inputs import (
    Connected,
    Disconnected,
    EnterPin,
    HubInput,
    LockInput,
    PhoneSays,
    Present,
    RadioHeard,
    Received,
    Tick,
)
from firmware_sim.instant import Instant
from firmware_sim.link import Address, HubLink, tls_context
from firmware_sim.lock import step as lock_firmware
from firmware_sim.lock.state import LockIdentity, LockState
from firmware_sim.outputs import (
    Colour,
    Decided,
    FlashDelete,
    FlashWrite,
    Led,
    MotorClose,
    MotorOpen,
    MotorStayOpen,
    Noted,
    Output,
    Publish,
    RadioSend,
    TellPhone,
)
from firmware_sim.phone import Phone
from firmware_sim.provision import Provisioned
from gateway.protocol import sealing
from gateway.protocol.phone import Challenge
from gateway.protocol.topics import UpKind

log = structlog.get_logger()

TICK_S: Final = 0.25
OUTBOX_MAX: Final = 256  # more is dropped; the hub says again what matters
SENDERS: Final = 4
ENTROPY_BYTES: Final = 32
DECISION_S: Final = 6.0  # well above a lock's patience


class Chance(Protocol):
    """Unpredictable bytes."""

    def token_bytes(self, count: int, /) -> bytes:
        """Return ``count`` bytes that nobody can guess."""
        ...


class NoDecisionError(Exception):
    """A tap came to nothing; the text says why."""


class SimRepeater:
    """Hands the radio on, as long as it has power and whatever it stands behind has."""

    def __init__(self, name: str, behind: "SimRepeater | None" = None) -> None:
        self.name = name
        self.has_power = True
        self.behind = behind

    @property
    def hands_on(self) -> bool:
        """Whether frames get through, from here to the hub and back."""
        return self.has_power and (self.behind is None or self.behind.hands_on)


class SimLock:
    """A lock in its door, whoever stands before it, and the air between it and its hub."""

    def __init__(self, name: str, identity: LockIdentity, *, flash: Path, chance: Chance) -> None:
        self.name = name
        self.identity = identity
        self.hub: SimHub | None = None
        self.has_radio = True
        self.behind: SimRepeater | None = None
        self.openings = 0
        self.stays_open = False
        self.door = Door()
        self.state: LockState | None = None
        self._flash_path = flash
        self._chance = chance
        self._clock = DriftingClock()
        self._reader = asyncio.Lock()  # holds one credential at a time
        self._decisions: asyncio.Queue[Decided] = asyncio.Queue(1)
        self._challenges: asyncio.Queue[Challenge] = asyncio.Queue(1)

    @property
    def is_in_reach(self) -> bool:
        """Whether the hub and this lock hear each other."""
        return self.has_radio and (self.behind is None or self.behind.hands_on)

    def power_on(self) -> None:
        """Boot from flash; its contacts tell how the door stands."""
        if self.state is None:
            self._flash = FileFlash(self._flash_path)
            booted = lock_firmware.boot(self.identity, self._flash.read(), self._instant())
            self._do(*booted)
            for told in self.door.told():
                self.feed(told)

    def power_off(self) -> None:
        """Pull the plug."""
        if self.state is not None:
            self.state = None
            self._flash.close()

    def feed(self, event: LockInput) -> None:
        """Let something happen to the lock."""
        if self.state is not None:
            self._do(*lock_firmware.step(self.state, event, self._instant()))

    def move(self, door: Door) -> None:
        """Let door, case or battery be as given, and their contacts tell."""
        before, self.door = set(self.door.told()), door
        for told in door.told():
            if told not in before:
                self.feed(told)

    def drift(self, ppm: int) -> None:
        """Let the lock's clock run so many millionths too fast from now on."""
        self._clock.drift(ppm)

    async def tap(self, tag_number: bytes, *, held: bool = False) -> Decided:
        """Hold a tag to the reader, after whoever stands there, and wait for what comes of it.

        Raises:
            ProtocolError: It is no tag number.
            NoDecisionError: The lock has no power, or loses it over this.
        """
        sealing.tag_digest(tag_number, b"")  # says what is wrong with it
        return await self._ask(Present(tag_number=tag_number, held=held))

    async def enter(self, pin: str) -> Decided:
        """Type a code, after whoever stands there, and wait for what comes of it.

        Raises:
            ProtocolError: No PIN is like that.
            NoDecisionError: The lock has no power, or loses it over this.
        """
        sealing.pin_digest(pin, b"")  # says what is wrong with it
        return await self._ask(EnterPin(pin=pin))

    async def use(self, held: Phone) -> Decided:
        """Hold a phone to the lock, which makes it prove itself, and wait for what comes of it.

        Raises:
            NoDecisionError: The lock does not want to know it, or has no power.
        """
        _drain(self._challenges)
        self.feed(PhoneSays(message=held.hello()))
        if self._challenges.empty():
            raise NoDecisionError(f"lock {self.name} does not answer this phone")
        return await self._ask(PhoneSays(message=held.prove(self._challenges.get_nowait())))

    async def _ask(self, event: LockInput) -> Decided:
        async with self._reader:
            _drain(self._decisions)
            self.feed(event)
            try:
                async with asyncio.timeout(DECISION_S if self.state else 0):
                    return await self._decisions.get()
            except TimeoutError as error:
                why = "decided nothing" if self.state else "has no power"
                raise NoDecisionError(f"lock {self.name} {why}") from error

    def _instant(self) -> Instant:
        entropy = self._chance.token_bytes(ENTROPY_BYTES)
        return Instant(mono_s=self._clock.now(), entropy=entropy)

    def _do(self, state: LockState, outputs: tuple[Output, ...]) -> None:
        self._flash.apply(_flash_operations(outputs))
        self.state = state
        for output in outputs:
            match output:
                case RadioSend() if self.hub is not None and self.is_in_reach:
                    _soon(self.hub.feed, RadioHeard(data=output.data))
                case MotorOpen():
                    self.openings += 1
                case MotorStayOpen() | MotorClose():
                    self.stays_open = isinstance(output, MotorStayOpen)
                case TellPhone():
                    _drain(self._challenges)
                    self._challenges.put_nowait(output.challenge)
                case Decided():
                    if not self._decisions.full():
                        self._decisions.put_nowait(output)
                case Noted():
                    log.info("lock_noted", lock=self.name, text=output.text)
                case _:
                    continue


class SimHub:
    """A hub, its line to the cloud and its locks."""

    def __init__(
        self,
        name: str,
        provisioned: Provisioned,
        locks: list[SimLock],
        *,
        flash: Path,
        chance: Chance,
    ) -> None:
        self.name = name
        self.locks = locks
        self.has_uplink = True
        self.colour: Colour | None = None
        self.state: HubState | None = None
        self._identity = provisioned.identity
        self._flash_path = flash
        self._chance = chance
        self._outbox: asyncio.Queue[tuple[UpKind, bytes]] = asyncio.Queue(OUTBOX_MAX)
        self._link = HubLink(
            Address(
                host=provisioned.broker_host,
                port=provisioned.broker_port,
                tls=tls_context(
                    authority_pem=provisioned.authority_pem, identity=provisioned.tls_file
                ),
            ),
            hub_id=provisioned.identity.hub_id.hex(),
            randomness=chance,
        )
        for lock in locks:
            lock.hub = self

    @property
    def is_connected(self) -> bool:
        """Whether the broker can be reached right now."""
        return self.state is not None and self._link.is_connected

    def power_on(self) -> None:
        """Boot from flash, and connect."""
        if self.state is None:
            self._flash = FileFlash(self._flash_path)
            booted = hub_firmware.boot(self._identity, self._flash.read(), _instant(self._chance))
            self._do(*booted)
            if self.has_uplink:
                self._link.restore()

    def power_off(self) -> None:
        """Pull the plug."""
        if self.state is not None:
            self.state = None
            self.colour = None
            self._flash.close()
            self._link.cut()

    def cut_uplink(self) -> None:
        """Pull the network cable."""
        self.has_uplink = False
        self._link.cut()

    def restore_uplink(self) -> None:
        """Plug the network cable in."""
        self.has_uplink = True
        if self.state is not None:
            self._link.restore()

    def feed(self, event: HubInput) -> None:
        """Let something happen to the hub."""
        if self.state is not None:
            self._do(*hub_firmware.step(self.state, event, _instant(self._chance)))

    def tick(self) -> None:
        """Let time pass, and notice a lost connection."""
        if self.state is not None and self.state.uplink.connected and not self._link.is_connected:
            self.feed(Disconnected())
        self.feed(Tick())

    async def run(self) -> None:
        """Stay connected until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run(on_connected=lambda: self.feed(Connected())))
            tasks.create_task(self._receive())
            for _ in range(SENDERS):
                tasks.create_task(self._send())

    async def _receive(self) -> None:
        while True:  # for as long as the hub runs
            heard = await self._link.receive()
            self.feed(Received(kind=heard.kind, payload=heard.payload))

    async def _send(self) -> None:
        while True:  # for as long as the hub runs
            kind, payload = await self._outbox.get()
            await self._link.send(kind, payload)

    def _do(self, state: HubState, outputs: tuple[Output, ...]) -> None:
        self._flash.apply(_flash_operations(outputs))
        self.state = state
        for output in outputs:
            match output:
                case Publish():
                    if not self._outbox.full():
                        self._outbox.put_nowait((output.kind, output.payload))
                case RadioSend():
                    for lock in self.locks:
                        if lock.is_in_reach:
                            _soon(lock.feed, RadioHeard(data=output.data))
                case Led():
                    self.colour = output.colour
                    log.info("hub_led_changed", hub=self.name, colour=str(output.colour))
                case Noted():
                    log.info("hub_noted", hub=self.name, text=output.text)
                case _:
                    continue


async def run(hubs: list[SimHub]) -> None:
    """Give everything power and let it live until cancelled."""
    for hub in hubs:
        for lock in hub.locks:
            lock.power_on()
        hub.power_on()
    async with asyncio.TaskGroup() as tasks:
        for hub in hubs:
            tasks.create_task(hub.run(), name=f"hub {hub.name}")
        tasks.create_task(_tick(hubs), name="tick")


async def _tick(hubs: list[SimHub]) -> None:
    while True:  # for as long as the simulation runs
        await asyncio.sleep(TICK_S)
        for hub in hubs:
            hub.tick()
            for lock in hub.locks:
                lock.feed(Tick())


def _instant(chance: Chance) -> Instant:
    mono_s = asyncio.get_running_loop().time()
    return Instant(mono_s=mono_s, entropy=chance.token_bytes(ENTROPY_BYTES))


def _flash_operations(outputs: tuple[Output, ...]) -> list[FlashWrite | FlashDelete]:
    return [each for each in outputs if isinstance(each, FlashWrite | FlashDelete)]


def _drain(queue: "asyncio.Queue[Any]") -> None:
    while not queue.empty():
        queue.get_nowait()


def _soon(feed: Callable[[RadioHeard], None], frame: RadioHeard) -> None:
    """Bring a frame over the air, after this step."""
    asyncio.get_running_loop().call_soon(feed, frame)
