"""Orders other than opening: enrolment at a lock, and what an order may not do."""

import pytest

from firmware_sim.outputs import Decided
from gateway.protocol.messages import CommandOutcome, CredentialKind, EntryKind
from gateway.protocol.sealing import OrderKind
from tests.firmware_sim.scene import BEN, DAN, Scene, scene

NEW = bytes.fromhex("04112233445566")
ENROLLED = EntryKind.TAG_ENROLLED


def enrolling(*, seconds: int | None = 60) -> tuple[Scene, bytes]:
    """Return a site whose lock waits for a tag, and the order's id."""
    made = scene()
    return made, made.order(OrderKind.ENROL_TAG, seconds=seconds)


def test_the_next_tag_is_reported_and_opens_nothing() -> None:
    """Its digest travels with the id of the order; the tag after it is judged again."""
    made, order = enrolling()

    first = made.world.tap(made.lock, NEW)
    second = made.world.tap(made.lock, NEW)

    assert made.outcome(order) is CommandOutcome.DONE
    assert first == Decided(kind=ENROLLED)
    assert second.kind is EntryKind.DENIED_BY_HUB
    assert made.lock.motor == []
    entry = made.log()[0]
    assert (entry.kind, entry.command_id) == (ENROLLED, order)
    assert entry.credential_digest == made.cloud.digest(NEW)
    assert entry.credential_kind is CredentialKind.TAG


@pytest.mark.parametrize("has_radio", [True, False])
def test_a_tag_that_may_open_is_reported_too(*, has_radio: bool) -> None:
    """Somebody's tag held to it by mistake opens nothing, and the cloud can say whose it is."""
    made, _ = enrolling()
    made.lock.has_radio = has_radio

    assert made.world.tap(made.lock, BEN).kind is ENROLLED
    assert made.lock.motor == []


def test_enrolment_ends_with_its_time() -> None:
    """By the lock's own clock, to the second."""
    for after_s, kind in ((59, ENROLLED), (60, EntryKind.DENIED_BY_HUB)):
        made, _ = enrolling(seconds=60)
        made.world.skip(after_s)

        assert made.world.tap(made.lock, DAN).kind is kind


def test_only_a_tag_is_enrolled() -> None:
    """Codes and phones are judged as always, and the order goes on waiting for its tag."""
    made, order = enrolling()
    phone = made.cloud.phone("phoebe")
    made.add_person("phoebe", made.cloud.phone_digest(phone))
    made.set_door(keypad=True)

    opened = made.world.show(made.lock, phone)
    made.world.enter(made.lock, "123456")
    made.world.tap(made.lock, NEW)

    assert opened.kind is EntryKind.OPENED_BY_HUB
    assert made.log()[-1].command_id == order


def test_a_newer_order_takes_the_place_of_the_one_before() -> None:
    """One tag an order, the newest one's."""
    made, _ = enrolling()
    newer = made.order(OrderKind.ENROL_TAG, seconds=60)

    made.world.tap(made.lock, NEW)
    made.world.tap(made.lock, NEW)

    assert [each.command_id for each in made.log() if each.kind is ENROLLED] == [newer]


def test_an_enrolment_without_a_time_is_refused() -> None:
    """A lock that would wait for ever would enrol somebody by chance."""
    made, order = enrolling(seconds=None)

    assert made.outcome(order) is CommandOutcome.REFUSED
    assert made.world.tap(made.lock, BEN).kind is EntryKind.OPENED_BY_HUB


def test_a_power_cut_ends_enrolment() -> None:
    """The order worked at once or not at all; its frame again does not bring it back."""
    made, _ = enrolling()
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)
    made.world.run(1)

    made.replay(made.lock, made.hub.frames)

    assert made.world.tap(made.lock, BEN).kind is EntryKind.OPENED_BY_HUB


@pytest.mark.invariant("A10")
@pytest.mark.parametrize("kind", list(OrderKind))
def test_an_order_of_any_kind_works_once(kind: OrderKind) -> None:
    """Heard again from the air it is only answered again, with the same outcome."""
    made = scene()
    order = made.order(kind, seconds=60)
    before = (made.kinds(), len(made.lock.motor), made.lock.now.mode, made.lock.now.order_number)
    told = made.lock.frames[-1:]

    for _ in range(3):
        made.replay(made.lock, made.hub.frames)

    assert made.outcome(order) in (CommandOutcome.OPENED, CommandOutcome.DONE)
    after = (made.kinds(), len(made.lock.motor), made.lock.now.mode, made.lock.now.order_number)
    assert after == before
    assert told


@pytest.mark.invariant("A10")
@pytest.mark.parametrize("kind", list(OrderKind))
def test_an_order_of_any_kind_dies(kind: OrderKind) -> None:
    """Ten seconds late it is expired and nothing has happened."""
    made = scene()
    made.lock.has_radio = False  # the frame is kept back
    made.order(kind, seconds=60)
    made.world.skip(10)

    made.replay(made.lock, made.hub.frames[-1:])

    assert made.kinds() == []
    assert made.lock.motor == []
    assert made.lock.now.order_number == 0
    assert made.lock.now.enrolment is None
