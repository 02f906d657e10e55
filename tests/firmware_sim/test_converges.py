"""When faults stop, everything comes to what the cloud wants."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.hub.locks import CONFIGURE_AGAIN_S, HEARTBEAT_S
from firmware_sim.hub.uplink import BEAT_S
from gateway.protocol import sections
from gateway.protocol.messages import SectionKind
from tests.firmware_sim.scene import ANN, BEN, CAT, DAN, Scene, list_of, scene

PERIODS_S = 2 * max(BEAT_S, HEARTBEAT_S) + CONFIGURE_AGAIN_S
"""Two reconcile periods, and one more try over the radio."""

Fault = Callable[[Scene], None]


def edit(*tags: bytes) -> Fault:
    """Let these tags and no others open offline."""

    def do(made: Scene) -> None:
        plan = made.cloud.plans[made.hub.identity.hub_id]
        plan.lists = {name: list_of(made.cloud, name, *tags) for name in plan.lists}
        made.publish()

    return do


def radio(number: int, *, works: bool) -> Fault:
    """Shield a lock from its hub, or no longer."""

    def do(made: Scene) -> None:
        made.world.locks[number].has_radio = works

    return do


def uplink(*, works: bool) -> Fault:
    """Pull the network cable, or plug it in."""

    def do(made: Scene) -> None:
        if made.hub.has_uplink is not works:
            (made.world.restore_uplink if works else made.world.cut_uplink)(made.hub)

    return do


def power(number: int | None, *, on: bool) -> Fault:
    """Take the power from the hub or a lock, or give it back."""

    def do(made: Scene) -> None:
        device = made.hub if number is None else made.world.locks[number]
        if (device.state is not None) is not on:
            (made.world.power_on if on else made.world.power_off)(device)

    return do


def replay(made: Scene) -> None:
    """Play all that was ever on the air once more, to everybody, newest first."""
    for lock in made.world.locks:
        made.replay(made.hub, lock.frames[-40:][::-1])
        made.replay(lock, made.hub.frames[-40:][::-1])


def again(made: Scene) -> None:
    """Bring the last messages of the cloud to the hub once more, in the wrong order."""
    for message in made.hub.heard[-20:][::-1]:
        made.world.deliver(made.hub, message)


def wait(seconds: float) -> Fault:
    """Let time pass."""
    return lambda made: made.world.run(seconds)


FAULTS = st.one_of(
    st.lists(st.sampled_from([ANN, BEN, CAT, DAN]), unique=True).map(lambda some: edit(*some)),
    st.builds(lambda n, w: radio(n, works=w), st.integers(0, 1), st.booleans()),
    st.booleans().map(lambda works: uplink(works=works)),
    st.builds(lambda n, on: power(n, on=on), st.sampled_from([None, 0, 1]), st.booleans()),
    st.sampled_from([replay, again]),
    st.sampled_from([0.5, 3.0, 15.0]).map(wait),
)


@pytest.mark.invariant("A4")
@settings(max_examples=40, deadline=None)
@given(st.lists(FAULTS, max_size=12))
def test_everything_comes_to_what_is_wanted(faults: list[Fault]) -> None:
    """Whatever was lost, doubled, reordered or without power: two periods later all is right."""
    made = scene(locks=2)
    for fault in faults:
        fault(made)

    for heal in (power(None, on=True), power(0, on=True), power(1, on=True), uplink(works=True)):
        heal(made)
    for number in (0, 1):
        radio(number, works=True)(made)
    made.world.run(PERIODS_S)

    hub_id = made.hub.identity.hub_id
    assert made.hub.now.access.revision == made.cloud.revisions[hub_id]
    for lock in made.world.locks:
        wanted = made.cloud.plans[hub_id].lists[lock.name]
        section = sections.build(SectionKind.OFFLINE_LIST, (wanted,))
        assert lock.list_bytes == section.data
