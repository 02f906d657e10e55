"""Garbage and recordings: whatever arrives that was not meant, nothing changes."""

from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.hub import step as hub_firmware
from firmware_sim.hub.state import HubState
from firmware_sim.inputs import Present, Press, RadioHeard, Received
from firmware_sim.lock import step as lock_firmware
from firmware_sim.outputs import Noted
from gateway.protocol import frames
from gateway.protocol.frames import FrameKind
from gateway.protocol.topics import DownKind
from tests.firmware_sim.scene import ANN, BEN, scene

SCENE = scene()
SCENE.world.tap(SCENE.lock, ANN)

cbor_values = st.recursive(
    st.integers(-(2**63), 2**63) | st.binary(max_size=40) | st.text(max_size=20) | st.booleans(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 12), inner),
    max_leaves=20,
)
garbage = st.binary(max_size=300) | cbor_values.map(cbor2.dumps)
bodies = st.builds(
    lambda kind, address, body: cbor2.dumps([1, int(kind), address, body], canonical=True),
    st.sampled_from(FrameKind),
    st.sampled_from([SCENE.cloud.lock_id(SCENE.lock.name), SCENE.lock.identity.serial.encode()]),
    garbage,
)


@pytest.mark.invariant("E11", "E12")
@given(kind=st.sampled_from(DownKind), payload=garbage)
def test_garbage_on_any_topic_changes_nothing(kind: DownKind, payload: bytes) -> None:
    """The hub is the same as before, and does nothing but note it."""
    before = SCENE.hub.now

    after, outputs = hub_firmware.step(
        before, Received(kind=kind, payload=payload), SCENE.world.instant()
    )

    assert after == before
    assert all(isinstance(output, Noted) for output in outputs)


@pytest.mark.invariant("E12")
@given(data=garbage | bodies)
def test_garbage_on_the_air_changes_nothing(data: bytes) -> None:
    """Neither lock nor hub takes a frame that nobody with the key has made."""
    hub, lock, instant = SCENE.hub.now, SCENE.lock.now, SCENE.world.instant()

    hub_after, hub_outputs = hub_firmware.step(hub, RadioHeard(data=data), instant)
    lock_after, lock_outputs = lock_firmware.step(lock, RadioHeard(data=data), instant)

    assert (hub_after, lock_after) == (hub, lock)
    assert all(isinstance(output, Noted) for output in (*hub_outputs, *lock_outputs))


@pytest.mark.invariant("E12")
@given(tag=st.binary(max_size=20))
def test_no_tag_number_confuses_a_lock(tag: bytes) -> None:
    """4 to 10 bytes are asked about; anything else changes nothing."""
    lock = SCENE.lock.now

    after, outputs = lock_firmware.step(lock, Present(tag_number=tag), SCENE.world.instant())

    if 4 <= len(tag) <= 10:
        assert after.request is not None
    else:
        assert after == lock
        assert all(isinstance(output, Noted) for output in outputs)


def durable(state: HubState) -> tuple[object, ...]:
    """Return what a hub does and would do, without when it last heard from whom."""
    return (state.lease, state.latched, state.subscribed, state.access, state.pull, state.journal)


@pytest.mark.invariant("E8", "E12")
def test_a_recording_played_to_another_hub_does_nothing() -> None:
    """Every message and frame of one hub, played to the other hubs and locks."""
    made = scene(hubs=2, locks=2)
    other = scene(hubs=1, locks=1, world=made.world, site="b")
    source, *rest = made.world.hubs
    for lock in source.locks:
        made.world.tap(lock, ANN)
    _, command = made.cloud.command(
        source.identity.hub_id,
        source.locks[0].name,
        issued_ms=made.world.utc_ms,
        until_ms=made.world.order_until_ms,
    )
    made.world.deliver(source, command)
    made.publish()
    before = [durable(hub.now) for hub in rest]
    strange_locks = [lock for hub in rest for lock in hub.locks]
    locks_before = [lock.now for lock in strange_locks]

    for message in list(source.heard):
        for hub in rest:
            made.world.deliver(hub, message)
    recorded = [*source.frames, *(data for lock in source.locks for data in lock.frames)]
    for device in (*rest, *strange_locks):
        made.replay(device, recorded)  # type: ignore[arg-type]  # hubs and locks both have radio

    assert other.hub in rest
    assert [durable(hub.now) for hub in rest] == before
    assert [lock.now for lock in strange_locks] == locks_before


@pytest.mark.invariant("E8", "E12")
def test_a_recording_played_to_the_same_hub_opens_nothing() -> None:
    """Everything that hub and lock ever heard, heard again: no door, no older lease or state."""
    made = scene()
    made.world.tap(made.lock, ANN)
    made.world.tap(made.lock, BEN)
    _, command = made.cloud.command(
        made.hub.identity.hub_id,
        made.lock.name,
        issued_ms=made.world.utc_ms,
        until_ms=made.world.order_until_ms,
    )
    made.world.deliver(made.hub, command)
    made.publish()
    made.expire()
    before = durable(made.hub.now)
    opened, held = made.lock.opened, made.lock.list_bytes
    down, air = list(made.hub.heard), [*made.hub.frames, *made.lock.frames]

    for message in (*down, *reversed(down)):
        made.world.deliver(made.hub, message)
    for data in (*air, *reversed(air)):
        made.replay(made.hub, [data])
        made.replay(made.lock, [data])

    assert durable(made.hub.now) == before
    assert (made.lock.opened, made.lock.list_bytes) == (opened, held)


@pytest.mark.invariant("E8")
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), which=st.integers(0, 10_000))
def test_one_bit_wrong_is_all_wrong(place: int, bit: int, which: int) -> None:
    """A frame with a flipped bit changes nothing at the lock that it was for."""
    recorded = SCENE.hub.frames[which % len(SCENE.hub.frames)]
    data = bytearray(recorded)
    data[place % len(data)] ^= 1 << bit
    lock = SCENE.lock.now

    after, _ = lock_firmware.step(lock, RadioHeard(data=bytes(data)), SCENE.world.instant())

    assert after == lock


@pytest.mark.parametrize(
    ("is_pressed_for_s", "sticker", "is_paired"),
    [(119, None, True), (120, None, False), (None, None, False), (1, b"another" * 4, False)],
)
@pytest.mark.invariant("E12")
def test_a_lock_pairs_only_fresh_pressed_and_with_its_sticker(
    is_pressed_for_s: int | None, sticker: bytes | None, *, is_paired: bool
) -> None:
    """Without a press in the last two minutes, or with another's sticker, PAIR does nothing."""
    made = scene()
    pair = next(data for data in made.hub.frames if frames.decode(data).kind is FrameKind.PAIR)
    identity = made.lock.identity
    if sticker is not None:
        identity = replace(identity, sticker_secret=sticker)
    lock, _ = lock_firmware.boot(identity, {}, made.world.instant())
    if is_pressed_for_s is not None:
        lock, _ = lock_firmware.step(lock, Press(), made.world.instant())
        made.world.skip(is_pressed_for_s)

    lock, _ = lock_firmware.step(lock, RadioHeard(data=pair), made.world.instant())

    assert (lock.pin is not None) is is_paired


def test_a_lock_in_use_keeps_its_site() -> None:
    """Another site that knows the sticker and presses the button gets nothing."""
    made, stranger = scene(), scene(site="b")
    foreign = [data for data in stranger.hub.frames if frames.decode(data).kind is FrameKind.PAIR]
    made.world.tell(made.lock, Press())
    before = made.lock.now

    made.replay(made.lock, foreign)

    assert foreign
    assert made.lock.now == before
