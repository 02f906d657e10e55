"""A lock that moves from one site to another takes nothing along."""

import pytest

from firmware_sim.flash import MemoryFlash, PowerCutError, record
from firmware_sim.inputs import BatteryAt, CaseOpened, FactoryReset, PhoneSays, PrivacyButton
from firmware_sim.lock import step as lock_firmware
from firmware_sim.lock.state import Alarms, Guard, LockState, Mode
from firmware_sim.outputs import FlashDelete, FlashWrite, MotorClose
from gateway.protocol.messages import DenyReason, EntryKind
from gateway.protocol.sealing import OrderKind
from gateway.protocol.sections import Privilege
from tests.firmware_sim.cloud import Cloud
from tests.firmware_sim.scene import ANN, BEN, CAT, OPENINGS, Scene, list_of, scene
from tests.firmware_sim.world import Lock, World

OLE = bytes.fromhex("04f6000006")
RIGHT, WRONG = "274105", "111111"


def lived(world: World | None = None) -> Scene:
    """Return a site whose lock has something of everything in its flash, and nobody to take it."""
    made = scene(world=world)
    made.set_door(free_locker=True, keypad=True, privacy=True)
    made.add_person("pia", made.cloud.pin_digest(RIGHT))
    made.add_person("ole", made.cloud.digest(OLE), privileges=Privilege.OFFICE)
    made.world.run(30)
    made.world.tap(made.lock, ANN)
    made.order(OrderKind.CLEAR_KEYPAD)
    made.world.run(30)
    made.lock.has_radio = False
    for _ in range(6):
        made.world.enter(made.lock, WRONG)
    made.world.tell(made.lock, CaseOpened(is_open=True))
    made.world.tell(made.lock, BatteryAt(percent=9))
    made.world.tell(made.lock, PrivacyButton())
    made.world.run(1)
    return made


def canaries(cloud: Cloud, lock: Lock) -> list[bytes]:
    """Return what nobody may find in the lock any more."""
    tags = [cloud.digest(tag) for tag in (ANN, BEN, CAT, OLE)]
    return [
        *tags,
        cloud.pin_digest(RIGHT),
        cloud.site_id,
        cloud.lock_id(lock.name),
        cloud.tag_key,
        cloud.signing_key.public_key().public_bytes_raw(),
        cloud.agreement_key.public_key().public_bytes_raw(),
        *(digest.hex().encode() for digest in tags),
    ]


def found(cloud: Cloud, lock: Lock, flash: dict[str, bytes]) -> list[bytes]:
    """Return which canaries are among the records."""
    everything = b"\n".join([*(key.encode() for key in flash), *flash.values()])
    return [each for each in canaries(cloud, lock) if each in everything]


def is_blank(state: LockState) -> bool:
    """Return whether a lock knows nothing of any site."""
    nothing = (state.pin, state.link, state.configuration, state.occupant, state.obeyed)
    waits = (state.request, state.greeting, state.enrolment)
    empty = (state.memory, state.log.entries, state.order_number)
    return (
        not any((*nothing, *waits, *empty))
        and (state.guard, state.mode) == (Guard(), Mode())
        and state.alarms == Alarms(battery=state.alarms.battery)
    )


@pytest.mark.invariant("A12")
def test_a_factory_reset_leaves_nothing_of_the_site() -> None:
    """Neither in flash nor in the lock that runs on: list, memory, keys, wrong codes, locker."""
    made = lived()
    before = made.lock.flash.read()
    shelf = {key.split("/")[1] for key in before if key.startswith("0/")}
    kinds = {"pin", "ticket", "configuration", "order", "freed", "entry", "memory"}
    assert kinds | {"mode", "keypad", "alarms", "locker"} <= shelf
    assert found(made.cloud, made.lock, before)

    made.world.tell(made.lock, FactoryReset())

    assert is_blank(made.lock.now)
    assert set(made.lock.flash.read()) == {"log_epoch", "mark"}
    assert found(made.cloud, made.lock, made.lock.flash.read()) == []


@pytest.mark.invariant("A12")
def test_a_power_cut_in_a_factory_reset_leaves_nothing_either() -> None:
    """Cut after any operation once the reset counts: the next start is blank and tidies up."""
    made = lived()
    old = made.lock.now
    _, outputs = lock_firmware.step(old, FactoryReset(), made.world.instant())
    operations = [each for each in outputs if isinstance(each, FlashWrite | FlashDelete)]
    written = 0
    for operation in operations:
        written += len(record(operation))
        flash = MemoryFlash(made.lock.flash.log)
        flash.bytes_until_cut = written
        with pytest.raises(PowerCutError):
            flash.apply(operations)
        flash.bytes_until_cut = None

        state, first = lock_firmware.boot(old.identity, flash.read(), made.world.instant())
        flash.apply([each for each in first if isinstance(each, FlashWrite | FlashDelete)])

        assert is_blank(state)
        assert set(flash.read()) <= {"log_epoch", "mark"}


def move(lock: Lock, to: Scene) -> None:
    """Take a lock from its hub, reset it and commission it at another site."""
    lock.hub.locks.remove(lock)
    lock.hub = to.hub
    to.hub.locks.insert(0, lock)
    hub_id = to.hub.identity.hub_id
    to.cloud.lock_names[hub_id][lock.name] = lock.identity
    plan = to.cloud.plans[hub_id]
    names = tuple(each.name for each in to.hub.locks)
    plan.groups = {"all": (names, None), "staff": (names, "office")}
    plan.lists[lock.name] = list_of(to.cloud, lock.name)
    lock.has_radio = True
    to.reset(lock)
    to.set_door(keypad=True)
    to.world.run(60)


@pytest.mark.invariant("A12")
@pytest.mark.parametrize("has_radio", [True, False])
def test_a_lock_that_moves_opens_to_nobody_of_its_former_site(*, has_radio: bool) -> None:
    """By tag, code or phone, with a hub and without; what the new site grants does open."""
    world = World()
    old = lived(world)
    phone = old.cloud.phone("phoebe")
    old.add_person("phoebe", old.cloud.phone_digest(phone))
    new = scene(world=world, site="b")
    lock = old.lock

    move(lock, new)
    lock.has_radio = has_radio
    verdicts = [world.tap(lock, OLE), world.enter(lock, RIGHT)]
    world.tell(lock, PhoneSays(message=phone.hello()))

    assert {each.reason for each in verdicts} == {DenyReason.UNKNOWN_CREDENTIAL}
    assert lock.challenges == []
    assert lock.opened == 1  # at the former site
    assert world.tap(lock, BEN).kind in OPENINGS


@pytest.mark.invariant("A12")
def test_the_new_site_sees_nothing_older_than_the_move() -> None:
    """Entries that the former site never got are gone, not the new one's."""
    world = World()
    old = lived(world)
    new = scene(world=world, site="b")
    lock = old.lock
    assert old.lock.now.log.entries

    move(lock, new)
    world.tap(lock, BEN)
    world.run(60)

    lock_id = new.cloud.lock_id(lock.name)
    seen = [each for each in new.cloud.entries.values() if each.lock_id == lock_id]
    assert [(each.log_epoch, each.sequence, each.kind) for each in seen] == [
        (1, 1, EntryKind.OPENED_BY_HUB)
    ]


def test_a_reset_shuts_a_lock_that_stays_open() -> None:
    """Nobody could end its office mode any more."""
    made = scene()
    made.order(OrderKind.START_OFFICE)

    made.world.tell(made.lock, FactoryReset())
    made.world.tell(made.lock, FactoryReset())

    assert made.lock.motor[-1] == MotorClose()
    assert made.lock.motor.count(MotorClose()) == 1
