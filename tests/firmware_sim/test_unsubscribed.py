"""What goes on and what rests while a hub is unsubscribed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.lock.step import MARK_KEY
from gateway.protocol import frames
from gateway.protocol.frames import FrameKind
from gateway.protocol.messages import CommandOutcome, EntryKind
from tests.firmware_sim.cloud import DAY, person
from tests.firmware_sim.scene import ANN, BEN, CAT, DAN, Scene, list_of, scene
from tests.firmware_sim.world import Hub, Lock


def edited(made: Scene) -> None:
    """Let Dan in and Ben out, everywhere."""
    for hub in made.hubs:
        plan = made.cloud.plans[hub.identity.hub_id]
        plan.people = (person("dan", made.cloud.digest(DAN), groups=("all",)),)
        plan.lists = {name: list_of(made.cloud, name, DAN) for name in plan.lists}


def kinds(sent: list[bytes]) -> set[FrameKind]:
    """Return which kinds of frames were sent."""
    return {frames.decode(data).kind for data in sent}


@pytest.mark.invariant("E3")
def test_it_takes_no_access_change() -> None:
    """A manifest that comes while unsubscribed is not even fetched; after renewal it is."""
    made = scene()
    made.expire()
    edited(made)
    asked = len(made.cloud.asked)

    made.publish()
    made.world.run(60)

    assert made.hub.now.access.revision == 1
    assert len(made.cloud.asked) == asked
    made.renew()
    assert made.hub.now.access.revision == 2
    assert made.world.tap(made.lock, DAN).kind is EntryKind.OPENED_BY_HUB


@pytest.mark.invariant("E3")
def test_a_half_fetched_state_is_given_up() -> None:
    """Sections on their way at the end do not complete the state afterwards."""
    made = scene()
    edited(made)
    manifest = made.cloud.manifest(made.hub.identity.hub_id)
    made.cloud.sections_until_silent = 0
    made.world.deliver(made.hub, manifest)
    assert made.hub.now.pull is not None

    made.expire()
    made.cloud.sections_until_silent = 1000
    made.world.run(60)

    assert made.hub.now.pull is None
    assert made.hub.now.access.revision == 1
    made.renew()
    assert made.hub.now.access.revision == 2


@pytest.mark.invariant("E3", "E4")
def test_it_forwards_no_configuration() -> None:
    """A lock that missed an edit before the end gets it after renewal, and not in between."""
    made = scene()
    made.lock.has_radio = False
    edited(made)
    made.publish()
    before = made.lock.list_bytes
    made.expire()
    made.lock.has_radio = True
    made.world.run(60)
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)
    made.world.run(60)

    during = made.lock.list_bytes
    made.renew()

    assert during == before
    assert made.lock.list_bytes != before


@pytest.mark.invariant("E3")
def test_what_still_works() -> None:
    """Time reaches the locks, entries the cloud, FREE the locks; no command opens."""
    made = scene()
    made.world.run(15)
    made.expire()
    made.hub.frames.clear()
    for _ in range(5):
        made.world.tap(made.lock, BEN)
    openings = made.lock.opened

    command_id, command = made.cloud.command(
        made.hub.identity.hub_id,
        made.lock.name,
        issued_ms=made.world.utc_ms,
        until_ms=made.world.order_until_ms,
    )
    made.world.deliver(made.hub, command)
    made.world.run(60)

    assert kinds(made.hub.frames) == {FrameKind.TIME, FrameKind.FREE}
    assert made.lock.now.log.entries == ()
    assert len(made.cloud.entries) == 5
    assert made.cloud.replies[-1].outcome is CommandOutcome.REFUSED
    assert made.cloud.replies[-1].command_id == command_id
    assert made.lock.opened == openings


@pytest.mark.invariant("E4", "E5")
@given(data=st.data())
def test_what_locks_hold_stays_byte_identical_and_opens(data: st.DataObject) -> None:
    """Through expiry, edits, days, power cuts and renewal, up to the first edit that arrives."""
    made = scene(locks=2)
    for lock in made.world.locks:
        made.world.tap(lock, ANN)
    held = [lock.list_bytes for lock in made.world.locks]
    memories = [dict(lock.now.memory) for lock in made.world.locks]
    made.expire()
    edited(made)

    for _ in range(data.draw(st.integers(1, 6))):
        lock = data.draw(st.sampled_from(made.world.locks))
        match data.draw(st.sampled_from(["tap", "publish", "power", "radio", "hub", "wait"])):
            case "tap":
                tag = data.draw(st.sampled_from([ANN, BEN, CAT, DAN]))
                kind = made.world.tap(lock, tag).kind
                assert (kind is EntryKind.OPENED_BY_LIST) is (tag in (BEN, CAT))
            case "publish":
                made.publish()
            case "power":
                made.world.power_off(lock)
                made.world.power_on(lock)
                made.world.run(30)
            case "radio":
                lock.has_radio = not lock.has_radio
                made.world.run(30)
                lock.has_radio = True
            case "hub":
                made.world.power_off(made.hub)
                made.world.power_on(made.hub)
            case _:
                made.world.run(60)

    assert [lock.list_bytes for lock in made.world.locks] == held
    assert [dict(lock.now.memory) for lock in made.world.locks] == memories
    for lock in made.world.locks:
        assert made.world.tap(lock, BEN).kind is EntryKind.OPENED_BY_LIST


@pytest.mark.invariant("E4")
def test_a_renewal_without_an_edit_leaves_the_bytes_alone() -> None:
    """Before the end, after it and after renewal: the same list, not written anew."""
    made = scene()
    before = made.lock.list_bytes
    made.expire()
    made.world.run(DAY / 24)
    log_before = made.lock.flash.log

    made.renew()
    made.world.run(10)

    assert made.lock.list_bytes == before
    written = made.lock.flash.log[len(log_before) :]
    assert written.count(b"configuration") == 0
    assert MARK_KEY.encode() not in written or len(written) < 64


@pytest.mark.invariant("E6")
def test_other_sites_do_not_notice() -> None:
    """All hubs of the site are silent, one that was away as soon as it returns; others answer."""
    made = scene(hubs=3)
    other = scene(hubs=3, world=made.world, site="b")
    away = made.hubs[1]
    made.world.cut_uplink(away)

    made.expire()

    assert [hub.now.subscribed for hub in made.hubs] == [False, True, False]
    made.world.restore_uplink(away)
    assert not any(hub.now.subscribed for hub in made.hubs)
    assert all(hub.now.subscribed for hub in other.hubs)
    assert made.world.tap(other.lock, ANN).kind is EntryKind.OPENED_BY_HUB


@pytest.mark.invariant("E12")
def test_nothing_but_a_decision_moves_a_motor() -> None:
    """Expiry, renewal, power, line and radio coming and going: no door opens by itself."""
    made = scene(locks=2)
    for lock in made.world.locks:
        made.world.tap(lock, ANN)

    made.expire()
    made.world.run(30)
    made.world.cut_uplink(made.hub)
    everything: list[Hub | Lock] = [made.hub, *made.world.locks]
    for device in everything:
        made.world.power_off(device)
        made.world.run(10)
        made.world.power_on(device)
    made.world.restore_uplink(made.hub)
    made.renew()
    edited(made)
    made.publish()
    made.world.run(400)

    assert [lock.opened for lock in made.world.locks] == [1, 1]
