"""Remote openings: once, at one lock, now."""

import pytest

from gateway.protocol.frames import FrameKind, decode
from gateway.protocol.messages import CommandOutcome, EntryKind
from tests.firmware_sim.scene import Scene, prepare, scene


def order(made: Scene, *, age_s: float = 0.0, number: int | None = None) -> bytes:
    """Order the lock open and return the command's id."""
    age_ms = int(age_s * 1000)
    command_id, command = made.cloud.command(
        made.hub.identity.hub_id,
        made.lock.name,
        issued_ms=made.world.utc_ms - age_ms,
        until_ms=made.world.order_until_ms - age_ms * made.world.speed,
        number=number,
    )
    made.world.deliver(made.hub, command)
    return command_id


def outcomes(made: Scene) -> list[CommandOutcome]:
    """Return the replies so far."""
    return [reply.outcome for reply in made.cloud.replies]


def open_frames(made: Scene) -> list[bytes]:
    """Return what somebody with a radio has recorded of orders."""
    recorded = [data for data in made.hub.frames if decode(data).kind is FrameKind.ORDER]
    assert recorded
    return recorded


@pytest.mark.invariant("A10")
def test_it_opens_and_says_so() -> None:
    """The motor moves once, the entry names the command, the cloud hears OPENED."""
    made = scene()

    command_id = order(made)

    (entry,) = made.cloud.entries.values()
    assert made.lock.opened == 1
    assert entry.kind is EntryKind.OPENED_REMOTELY
    assert entry.command_id == command_id
    assert outcomes(made) == [CommandOutcome.OPENED]


@pytest.mark.invariant("A10")
@pytest.mark.parametrize(
    ("age_s", "outcome"),
    [
        (9.9, CommandOutcome.OPENED),
        (10, CommandOutcome.EXPIRED),
        (3600, CommandOutcome.EXPIRED),
        (-5, CommandOutcome.EXPIRED),
    ],
)
def test_it_dies_after_ten_seconds(age_s: float, outcome: CommandOutcome) -> None:
    """Late, and just as well early, orders open nothing."""
    made = scene()
    made.world.run(1)

    order(made, age_s=age_s)

    assert outcomes(made) == [outcome]
    assert made.lock.opened == (outcome is CommandOutcome.OPENED)


@pytest.mark.invariant("A10")
def test_a_slow_answer_does_not_lengthen_its_life() -> None:
    """A hub whose last Welcome took long on its way assumes the worst of its UTC."""
    made = scene()
    said = len(made.hub.said)
    made.hub.has_uplink = False
    made.world.run(30)
    late = made.hub.said[said]
    made.world.skip(2.5)
    answers = made.cloud.hear(
        made.hub.identity,
        late,
        calendar_ms=int((made.world.calendar_s - 2.5) * 1000),
        utc_ms=made.world.utc_ms - 2500,
    )
    made.hub.has_uplink = True
    made.world.deliver(made.hub, answers[0])

    order(made, age_s=9.9)

    assert made.lock.opened == 1
    order(made, age_s=10)
    assert made.lock.opened == 1


@pytest.mark.invariant("A10")
def test_a_repeated_command_opens_once() -> None:
    """Delivered again at once, later, and after the hub's restart: one opening."""
    made = scene()
    order(made)
    again = made.hub.heard[-2]
    assert made.cloud.replies[-1].outcome is CommandOutcome.OPENED

    for message in [each for each in made.hub.heard if each.kind == "command"] * 3:
        made.world.deliver(made.hub, message)
    made.world.power_off(made.hub)
    made.world.power_on(made.hub)
    made.world.deliver(made.hub, again)
    for message in [each for each in made.hub.heard if each.kind == "command"]:
        made.world.deliver(made.hub, message)
    made.world.run(10)

    assert made.lock.opened == 1


@pytest.mark.invariant("A10")
def test_a_recorded_open_frame_opens_nothing() -> None:
    """Neither now nor after the lock has had a new battery."""
    made = scene()
    order(made)
    recorded = open_frames(made)

    made.replay(made.lock, recorded)
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)
    made.replay(made.lock, recorded)
    order(made, number=1)

    assert made.lock.opened == 1


@pytest.mark.invariant("A10")
@pytest.mark.parametrize("speed", [1, 3600])
@pytest.mark.parametrize(("kept_s", "opened"), [(9, 1), (10.5, 0)])
def test_an_open_frame_kept_back_dies_with_its_order(
    speed: int, kept_s: float, opened: int
) -> None:
    """Jammed, recorded, and played when no later order has come: ten seconds of the link clock."""
    made = prepare()
    made.world.speed = made.cloud.speed = speed
    made.world.start()
    made.lock.has_radio = False
    order(made)
    made.world.skip(kept_s)

    made.replay(made.lock, open_frames(made))

    assert made.lock.opened == opened


@pytest.mark.invariant("A10")
def test_an_open_frame_dies_though_the_lock_forgets_its_number() -> None:
    """After a factory reset and the same pairing the frame can be read again, but is too old."""
    made = scene()
    order(made)
    made.world.run(15)
    made.reset(made.lock)
    made.world.run(60)
    assert made.lock.now.order_number == 0
    assert made.lock.now.link is not None

    made.replay(made.lock, open_frames(made))

    assert made.lock.opened == 1


@pytest.mark.invariant("A10")
def test_a_lock_that_does_not_know_the_time_does_not_obey() -> None:
    """After a power cut, until it hears the time: REFUSED; then the next order opens."""
    made = scene()
    made.lock.has_radio = False
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)
    made.lock.has_radio = True

    order(made)

    assert outcomes(made) == [CommandOutcome.REFUSED]
    assert made.lock.opened == 0
    made.world.run(60)
    order(made)
    assert outcomes(made)[1:] == [CommandOutcome.OPENED]


@pytest.mark.invariant("A10")
def test_the_hub_passes_on_that_it_was_too_late_for_the_lock() -> None:
    """The hub thinks that the command lives, the lock's calendar says no: EXPIRED."""
    made = scene()
    _, command = made.cloud.command(
        made.hub.identity.hub_id,
        made.lock.name,
        issued_ms=made.world.utc_ms,
        until_ms=int(made.world.calendar_s * 1000),
    )

    made.world.deliver(made.hub, command)

    assert outcomes(made) == [CommandOutcome.EXPIRED]
    assert made.lock.opened == 0


@pytest.mark.invariant("A10")
def test_an_order_is_for_one_lock_only() -> None:
    """What is sealed for one lock opens no other, though the hub were told to try."""
    made = scene(locks=2)
    first, second = made.world.locks
    _, command = made.cloud.command(
        made.hub.identity.hub_id,
        first.name,
        issued_ms=made.world.utc_ms,
        until_ms=made.world.order_until_ms,
    )
    made.world.deliver(made.hub, command)

    made.replay(second, open_frames(made))

    assert [first.opened, second.opened] == [1, 0]


def test_a_lock_out_of_reach_is_said_to_be() -> None:
    """After three seconds of trying, and what the radio lost once it tries again."""
    made = scene()
    made.lock.has_radio = False

    order(made)
    made.world.run(4)

    assert outcomes(made) == [CommandOutcome.UNREACHABLE]
    made.lock.has_radio = True
    made.world.run(10)
    assert made.lock.opened == 0


def test_a_hub_that_does_not_know_utc_opens_nothing() -> None:
    """Before the first answer since boot nobody can tell how old a command is."""
    made = scene()
    made.world.power_off(made.hub)
    made.hub.has_uplink = False
    made.world.power_on(made.hub)
    made.hub.has_uplink = True

    order(made)

    assert made.lock.opened == 0
