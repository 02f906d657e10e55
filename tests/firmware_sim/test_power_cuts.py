"""Power cuts at every flash operation: in the middle of it, and right after it."""

import hashlib
from collections.abc import Callable, Sequence

import pytest
from typing_extensions import override

from firmware_sim.flash import MemoryFlash, PowerCutError, record
from firmware_sim.hub import step as hub_firmware
from firmware_sim.inputs import FactoryReset, Press
from firmware_sim.lock import step as lock_firmware
from firmware_sim.outputs import FlashDelete, FlashOperation, FlashWrite
from tests.firmware_sim.scene import ANN, BEN, CAT, DAN, OPENINGS, Scene, list_of, prepare, scene
from tests.firmware_sim.world import Hub, Lock

CUTS = ("torn", "after")


class Counting(MemoryFlash):
    """Flash that notes how long each operation's record is."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    @override
    def apply(self, operations: Sequence[FlashOperation]) -> None:
        """Note the lengths, then append."""
        self.lengths.extend(len(record(operation)) for operation in operations)
        super().apply(operations)


def edit(made: Scene) -> None:
    """Let Dan in, also offline."""
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.people = (*plan.people, plan.people[0])
    plan.lists = {name: list_of(made.cloud, name, DAN) for name in plan.lists}
    made.publish()


def cut_line(made: Scene) -> None:
    """Let two taps wait for a line."""
    made.hub.has_uplink = False
    for tag in (ANN, CAT):
        made.world.tap_if_on(made.lock, tag)
    made.hub.has_uplink = True
    made.world.run(35)


def order(made: Scene) -> None:
    """Open remotely."""
    _, command = made.cloud.command(
        made.hub.identity.hub_id,
        made.lock.name,
        issued_ms=made.world.utc_ms,
        until_ms=made.world.order_until_ms,
    )
    made.world.deliver(made.hub, command)


def renew(made: Scene) -> None:
    """Expire by contact, tap, and renew."""
    made.renew(ends_at_s=int(made.world.calendar_s) + 5)
    made.world.run(10)
    made.world.tap_if_on(made.lock, BEN)
    made.renew()


LIFE: list[Callable[[Scene], None]] = [
    lambda made: made.world.start(),
    lambda made: made.world.tap_if_on(made.lock, ANN),
    lambda made: made.world.tap_if_on(made.lock, DAN),
    edit,
    cut_line,
    order,
    renew,
    lambda made: made.world.run(620),
]


def lived(*, which: str, cut_at: int | None = None) -> tuple[Scene, list[int]]:
    """Return the site after its life, in which one device may lose power once."""
    made = prepare()
    flash = Counting()
    device: Hub | Lock = made.hub if which == "hub" else made.lock
    device.flash = flash
    flash.bytes_until_cut = cut_at
    for chapter in LIFE:
        chapter(made)
        check_always(made)
        if device.state is None and flash.bytes_until_cut is None:
            check_boots_with_what_was_confirmed(made)
            made.world.power_on(device)
            made.world.tell(made.lock, Press())
            made.world.run(45)
            check_always(made)
    return made, flash.lengths


def check_boots_with_what_was_confirmed(made: Scene) -> None:
    """Before anybody can help it, the hub serves what it said that it serves."""
    hub = made.hub
    booted, _ = hub_firmware.boot(hub.identity, hub.flash.read(), made.world.instant())
    assert booted.access.revision >= made.cloud.confirmed.get(hub.identity.hub_id, 0)


def check_always(made: Scene) -> None:
    """What must hold at every moment, power or not."""
    check_states_are_whole(made)
    lock_id = made.cloud.lock_id(made.lock.name)
    committed = {key[2] for key in made.cloud.entries if key[0] == lock_id}
    held = {key for key in made.lock.flash.read() if key.startswith("0/entry/")}
    sequences = committed | {int(key.rsplit("/", 1)[1]) for key in held}
    assert sequences == set(range(1, len(sequences) + 1)), "no entry is lost, none is left out"
    if made.lock.state is not None:
        assert made.lock.state.log.newest == len(sequences)
    opening = [entry for entry in made.cloud.entries.values() if entry.kind in OPENINGS]
    waiting = len(held - {f"0/entry/{sequence}" for sequence in committed})
    assert made.lock.opened <= len(opening) + waiting, "no motor moves before its entry"


def check_states_are_whole(made: Scene) -> None:
    """The hub serves one revision whole, the lock a list, and neither less than was confirmed."""
    confirmed = made.cloud.statuses.get(made.hub.identity.hub_id)
    if made.hub.state is not None:
        access = made.hub.state.access
        assert len(access.tables.holders) == (0 if access.revision == 0 else 3)
        assert len(access.pieces) in (0, 6)
    if made.lock.state is not None and made.lock.state.configuration is not None:
        held = made.lock.state.configuration
        assert held.offline_list is not None
        assert len(held.offline_list.grants) == (2 if held.settings.revision == 1 else 3)
        list_hash = confirmed.locks[0].list_hash if confirmed and confirmed.locks else None
        is_confirmed = list_hash == hashlib.sha256(held.settings.offline_list).digest()
        assert is_confirmed or list_hash is None or held.settings.revision == 2


def check_healed(made: Scene) -> None:
    """In the end everything is as if nothing had happened."""
    for _ in range(80):
        if not made.lock.now.log.entries and not made.hub.now.journal.waiting:
            break
        made.world.run(10)
    plan = made.cloud.plans[made.hub.identity.hub_id]
    assert made.hub.now.subscribed
    assert made.hub.now.access.revision == 2
    assert made.lock.now.configuration is not None
    assert made.lock.now.configuration.offline_list == plan.lists[made.lock.name]
    assert made.world.tap(made.lock, ANN).kind in OPENINGS
    assert not made.lock.now.log.entries


def offsets(lengths: list[int]) -> list[tuple[int, str, int]]:
    """Return where to cut, for each operation."""
    places, begin = [], 0
    for index, length in enumerate(lengths):
        by_name = {"torn": begin + length // 2, "after": begin + length}
        places += [(index, name, by_name[name]) for name in CUTS]
        begin += length
    return places


@pytest.mark.invariant("A2", "L1", "L3", "E12")
@pytest.mark.parametrize("which", ["lock", "hub"])
def test_a_cut_anywhere_leaves_old_or_new(which: str) -> None:
    """Boot after the cut and live on: nothing lost, nothing mixed, nothing opened unrecorded."""
    _, lengths = lived(which=which)

    for index, name, cut_at in offsets(lengths):
        try:
            made, _ = lived(which=which, cut_at=cut_at)
            check_healed(made)
        except AssertionError as error:
            error.add_note(f"power cut {name} operation {index}")
            raise


def test_a_cut_anywhere_in_a_factory_reset_resets_or_does_not() -> None:
    """The number of the log goes up and everything else is forgotten at one stroke."""
    whole = scene()
    flash = Counting()
    flash.log = whole.lock.flash.log
    old = whole.lock.now
    _, outputs = lock_firmware.step(old, FactoryReset(), whole.world.instant())
    operations = [each for each in outputs if isinstance(each, FlashWrite | FlashDelete)]
    flash.apply(operations)

    for index, name, cut_at in offsets(flash.lengths):
        torn = MemoryFlash(whole.lock.flash.log)
        torn.bytes_until_cut = cut_at
        with pytest.raises(PowerCutError):
            torn.apply(operations)
        booted, _ = lock_firmware.boot(old.identity, torn.read(), whole.world.instant())

        is_reset = booted.log.log_epoch == 1
        assert is_reset is (index > 0 or name == "after")
        held = (booted.pin, booted.link, booted.configuration, booted.order_number)
        wanted = (old.pin, old.link, old.configuration, old.order_number)
        assert held == ((None, None, None, 0) if is_reset else wanted)
