"""A building in memory: hubs, locks, radio and uplink on virtual time, with every fault at hand."""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from firmware_sim.flash import MemoryFlash, PowerCutError
from firmware_sim.hub import step as hub_firmware
from firmware_sim.hub.state import HubIdentity, HubState
from firmware_sim.inputs import (
    BatteryAt,
    CaseOpened,
    Connected,
    Disconnected,
    DoorMoved,
    EnterPin,
    HubInput,
    InsideHandle,
    LockInput,
    PhoneSays,
    Present,
    Press,
    RadioHeard,
    Received,
    Tick,
)
from firmware_sim.instant import Instant
from firmware_sim.lock import step as lock_firmware
from firmware_sim.lock.state import LockIdentity, LockState
from firmware_sim.outputs import (
    Decided,
    FlashDelete,
    FlashWrite,
    Motor,
    MotorClose,
    MotorOpen,
    MotorStayOpen,
    Output,
    Publish,
    RadioSend,
    TellPhone,
)
from firmware_sim.phone import Phone
from tests.firmware_sim.cloud import NOON, Cloud, secret

TICK_S = 0.5
LONG_S = 60
UTC_MS = 1_799_999_000_000


@dataclass
class Hub:
    """A hub with its flash and its line."""

    identity: HubIdentity
    cloud: Cloud
    flash: MemoryFlash = field(default_factory=MemoryFlash)
    state: HubState | None = None
    has_uplink: bool = True
    locks: list["Lock"] = field(default_factory=list)
    said: list[Publish] = field(default_factory=list)
    heard: list[Received] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)  # that it sent

    @property
    def now(self) -> HubState:
        """The state; the hub has power."""
        assert self.state is not None
        return self.state


@dataclass
class Lock:
    """A lock with its flash and whoever stands before it."""

    name: str
    identity: LockIdentity
    hub: Hub
    flash: MemoryFlash = field(default_factory=MemoryFlash)
    state: LockState | None = None
    has_radio: bool = True
    decided: list[Decided] = field(default_factory=list)
    opened: int = 0  # how often it was let open for a while
    motor: list[Motor] = field(default_factory=list)
    challenges: list[TellPhone] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)  # that it sent
    is_door_open: bool = False
    is_case_open: bool = False
    battery: int = 100

    @property
    def now(self) -> LockState:
        """The state; the lock has power."""
        assert self.state is not None
        return self.state

    @property
    def list_bytes(self) -> bytes | None:
        """What the lock holds for offline use, byte by byte."""
        held = self.now.configuration
        return held.settings.offline_list if held else None


class World:
    """Everything happens in one queue; time passes only in ``run``."""

    def __init__(self) -> None:
        self.mono_s = 1000.0
        self.calendar_s = float(NOON)
        self.speed = 1
        self.hubs: list[Hub] = []
        self.locks: list[Lock] = []
        self._is_settling = False
        self._drawn = 0
        self._queue: deque[Callable[[], None]] = deque()

    def add_hub(self, cloud: Cloud) -> Hub:
        """Hang up a hub that was claimed."""
        hub = Hub(identity=cloud.hub_identity(str(len(self.hubs))), cloud=cloud)
        self.hubs.append(hub)
        return hub

    def add_lock(self, hub: Hub, *, capacity: int = 39) -> Lock:
        """Mount a factory-fresh lock within radio range of a hub."""
        name = str(len(self.locks))
        identity = LockIdentity(
            serial=f"LOCK-{name}",
            key=secret(f"lock {name}"),
            sticker_secret=secret(f"sticker {name}"),
            capacity=capacity,
        )
        lock = Lock(name=name, identity=identity, hub=hub)
        hub.locks.append(lock)
        hub.cloud.lock_names[hub.identity.hub_id][name] = identity
        self.locks.append(lock)
        return lock

    def start(self) -> None:
        """Give everything new power, lease and access state; press every lock."""
        for lock in (each for each in self.locks if each.state is None):
            self.power_on(lock)
            self.tell(lock, Press())
        for hub in (each for each in self.hubs if each.state is None):
            self.power_on(hub)
            self.deliver(hub, hub.cloud.lease(hub.identity.hub_id))
            self.deliver(hub, hub.cloud.manifest(hub.identity.hub_id))
        self.settle()

    def power_on(self, device: Hub | Lock) -> None:
        """Boot from flash."""
        instant = self.instant()
        if isinstance(device, Hub):
            hub_state, outputs = hub_firmware.boot(device.identity, device.flash.read(), instant)
            self._do(device, hub_state, outputs)
            if device.has_uplink:
                self.tell(device, Connected())
        else:
            state, outputs = lock_firmware.boot(device.identity, device.flash.read(), instant)
            self._do(device, state, outputs)
            self.tell(device, DoorMoved(is_open=device.is_door_open))
            self.tell(device, CaseOpened(is_open=device.is_case_open))
            self.tell(device, BatteryAt(percent=device.battery))

    def power_off(self, device: Hub | Lock) -> None:
        """Pull the plug. The flash stays."""
        device.state = None
        device.flash.bytes_until_cut = None

    def cut_uplink(self, hub: Hub) -> None:
        """Pull the network cable."""
        hub.has_uplink = False
        self.tell(hub, Disconnected())

    def restore_uplink(self, hub: Hub) -> None:
        """Plug the network cable in."""
        hub.has_uplink = True
        self.tell(hub, Connected())

    def tap(self, lock: Lock, tag: bytes, *, held: bool = False) -> Decided:
        """Hold a tag to a lock and wait for what comes of it."""
        return self._decision(lock, Present(tag_number=tag, held=held))

    def enter(self, lock: Lock, pin: str) -> Decided:
        """Type a code and wait for what comes of it."""
        return self._decision(lock, EnterPin(pin=pin))

    def show(self, lock: Lock, phone: Phone) -> Decided:
        """Hold a phone to a lock, let it answer the challenge, and wait for what comes of it."""
        lock.challenges.clear()
        self.tell(lock, PhoneSays(message=phone.hello()))
        (asked,) = lock.challenges
        return self._decision(lock, PhoneSays(message=phone.prove(asked.challenge)))

    def tap_if_on(self, lock: Lock, tag: bytes, *, held: bool = False) -> None:
        """Hold a tag to a lock that may have lost its power, or lose it over this."""
        self.tell(lock, Present(tag_number=tag, held=held))
        self.run(3)

    def move_door(self, lock: Lock, *, is_open: bool, from_within: bool = False) -> None:
        """Open or close a door."""
        if from_within:
            self.tell(lock, InsideHandle())
        lock.is_door_open = is_open
        self.tell(lock, DoorMoved(is_open=is_open))

    def _decision(self, lock: Lock, event: LockInput) -> Decided:
        before = len(lock.decided)
        self.tell(lock, event)
        for _ in range(10):
            if len(lock.decided) > before:
                return lock.decided[-1]
            self.run(TICK_S)
        raise AssertionError("the lock decided nothing")

    def run(self, seconds: float) -> None:
        """Let time pass, tick by tick; as coarsely as a device must bear if it is much."""
        tick_s = TICK_S if seconds <= LONG_S else 1.0
        for _ in range(int(seconds / tick_s)):
            self.skip(tick_s)
            everything: list[Hub | Lock] = [*self.hubs, *self.locks]
            for device in everything:
                if device.state is not None:
                    self.tell(device, Tick())

    def skip(self, seconds: float) -> None:
        """Let time pass without anybody noticing."""
        self.mono_s += seconds
        self.calendar_s += seconds * self.speed

    def deliver(self, hub: Hub, message: Received) -> None:
        """Bring a message to a hub, if its line is whole."""
        if hub.has_uplink:
            hub.heard.append(message)
            self.tell(hub, message)

    def tell(self, device: Hub | Lock, event: HubInput | LockInput) -> None:
        """Let something happen to a device, and everything that follows from it."""
        self._queue.append(lambda: self._step(device, event))
        self.settle()

    def settle(self) -> None:
        """Do what is in the queue; nested calls leave it to the outermost."""
        if self._is_settling:
            return
        self._is_settling = True
        try:
            while self._queue:
                self._queue.popleft()()
        finally:
            self._is_settling = False

    def instant(self) -> Instant:
        """Return the present instant with chance of its own."""
        self._drawn += 1
        entropy = hashlib.sha256(str(self._drawn).encode()).digest()
        return Instant(mono_s=self.mono_s, entropy=entropy)

    @property
    def utc_ms(self) -> int:
        """The link clock's UTC."""
        return UTC_MS + int(self.mono_s * 1000)

    @property
    def order_until_ms(self) -> int:
        """The calendar's instant at which an order ends that is given now."""
        return int((self.calendar_s + 10 * self.speed) * 1000)

    def _step(self, device: Hub | Lock, event: HubInput | LockInput) -> None:
        if device.state is None:
            return
        if isinstance(device, Hub):
            assert not isinstance(event, Present | Press)
            state, outputs = hub_firmware.step(device.now, event, self.instant())  # type: ignore[arg-type]  # a test that mixes up inputs fails at once
            self._do(device, state, outputs)
        else:
            lock_state, outputs = lock_firmware.step(device.now, event, self.instant())  # type: ignore[arg-type]  # as above
            self._do(device, lock_state, outputs)

    def _do(
        self, device: Hub | Lock, state: HubState | LockState, outputs: tuple[Output, ...]
    ) -> None:
        flash = [each for each in outputs if isinstance(each, FlashWrite | FlashDelete)]
        assert list(outputs[: len(flash)]) == flash, "flash comes first"
        try:
            device.flash.apply(flash)
        except PowerCutError:
            self.power_off(device)
            return
        device.state = state
        for output in outputs[len(flash) :]:
            if isinstance(device, Hub):
                self._do_hub(device, output)
            else:
                self._do_lock(device, output)

    def _do_hub(self, hub: Hub, output: Output) -> None:
        match output:
            case Publish():
                hub.said.append(output)
                if hub.has_uplink:
                    self._queue.append(lambda: self._to_cloud(hub, output))
            case RadioSend():
                hub.frames.append(output.data)
                for lock in hub.locks:
                    self._on_air(lock, lock, output)
            case MotorOpen():
                raise AssertionError("a hub has no motor")
            case _:
                return

    def _do_lock(self, lock: Lock, output: Output) -> None:
        match output:
            case RadioSend():
                lock.frames.append(output.data)
                self._on_air(lock, lock.hub, output)
            case MotorOpen() | MotorStayOpen() | MotorClose():
                lock.motor.append(output)
                lock.opened += isinstance(output, MotorOpen)
            case TellPhone():
                lock.challenges.append(output)
            case Decided():
                lock.decided.append(output)
            case _:
                return

    def _on_air(self, lock: Lock, to: Hub | Lock, frame: RadioSend) -> None:
        if lock.has_radio:
            self._queue.append(lambda: self._step(to, RadioHeard(data=frame.data)))

    def _to_cloud(self, hub: Hub, publish: Publish) -> None:
        answers = hub.cloud.hear(
            hub.identity, publish, calendar_ms=int(self.calendar_s * 1000), utc_ms=self.utc_ms
        )
        for answer in answers:
            self.deliver(hub, answer)
