"""When a hub stops and starts to answer."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.hub import step as hub_firmware
from firmware_sim.inputs import RadioHeard
from firmware_sim.outputs import Colour, RadioSend
from gateway.protocol import frames
from gateway.protocol.messages import DenyReason, EntryKind
from gateway.protocol.topics import DownKind
from tests.firmware_sim.cloud import DAY, NOON
from tests.firmware_sim.scene import ANN, BEN, CAT, Scene, scene

HOUR = 3600


def asked(made: Scene, tag: bytes = ANN) -> bool:
    """Return whether the hub would answer the lock at this instant."""
    link = made.lock.now.link
    assert link is not None
    ask = frames.Ask(challenge=bytes(16), credential_digest=made.cloud.digest(tag))
    lock_id = made.cloud.lock_id(made.lock.name)
    frame = frames.protect(ask, lock_id=lock_id, link_key=link.key)
    heard = RadioHeard(data=frames.encode(frame))
    _, outputs = hub_firmware.step(made.hub.now, heard, made.world.instant())
    return any(isinstance(output, RadioSend) for output in outputs)


@pytest.mark.invariant("E1", "E2")
def test_with_contact_it_ends_at_the_very_second() -> None:
    """A connected hub answers up to the last second and not from the end on, told or not."""
    made = scene()
    made.renew(ends_at_s=NOON + 600)
    made.world.run(595)

    assert asked(made)
    made.world.run(600 - (made.world.calendar_s - NOON))
    assert not asked(made)
    assert made.hub.now.led is Colour.PURPLE


@pytest.mark.invariant("E1", "E2")
def test_without_contact_it_serves_through_the_grace() -> None:
    """A hub whose line is down goes on until serve_until, and not longer."""
    made = scene()
    made.renew(ends_at_s=NOON + HOUR, grace_s=2 * HOUR)
    made.world.cut_uplink(made.hub)

    made.world.run(HOUR)
    assert asked(made)
    made.world.run(2 * HOUR - 10)
    assert asked(made)
    made.world.run(10)
    assert not asked(made)


@pytest.mark.invariant("E1")
def test_contact_after_the_end_latches_for_good() -> None:
    """One answer after the end ends the grace, over a reboot without a line too."""
    made = scene()
    made.renew(ends_at_s=NOON + HOUR, grace_s=10 * DAY)
    made.world.cut_uplink(made.hub)
    made.world.run(HOUR + 60)
    assert asked(made)

    made.world.restore_uplink(made.hub)
    assert not asked(made)
    made.world.power_off(made.hub)
    made.hub.has_uplink = False
    made.world.power_on(made.hub)
    assert not asked(made)


@pytest.mark.invariant("E1")
def test_contact_just_before_the_end_counts_too() -> None:
    """A hub that loses its line less than 5 minutes before the end gets no grace."""
    made = scene()
    made.renew(ends_at_s=NOON + 380, grace_s=10 * DAY)
    made.world.run(110)
    made.world.cut_uplink(made.hub)

    made.world.run(260)
    assert asked(made)
    made.world.run(20)
    assert not asked(made)


@pytest.mark.invariant("E2", "E7")
def test_a_newer_lease_brings_it_back_without_a_restart() -> None:
    """An unsubscribed hub answers again at the next tap after the lease has come."""
    made = scene()
    made.renew(ends_at_s=NOON + 60)
    made.world.run(90)
    assert not asked(made)

    made.renew(ends_at_s=NOON + DAY)

    assert asked(made)
    assert made.hub.now.led is Colour.GREEN


@pytest.mark.invariant("E1", "E10")
def test_a_recorded_answer_is_no_contact() -> None:
    """Every Welcome and Ack of yesterday, played again, neither tells the time nor latches."""
    made = scene()
    made.world.tap(made.lock, ANN)
    made.renew(ends_at_s=NOON + HOUR, grace_s=DAY)
    made.world.run(100)
    made.world.cut_uplink(made.hub)
    made.world.run(HOUR)
    before = made.hub.now

    for message in [each for each in made.hub.heard if each.kind in ("welcome", "ack")]:
        made.world.tell(made.hub, message)

    assert made.hub.now.uplink.contact_s == before.uplink.contact_s
    assert made.hub.now.calendar == before.calendar
    assert asked(made)


@pytest.mark.invariant("E1")
def test_told_to_be_unsubscribed_it_stops_at_once() -> None:
    """A lease that says unsubscribed needs no calendar."""
    made = scene()

    made.expire()

    assert not asked(made)
    assert not made.hub.now.subscribed


@pytest.mark.invariant("E8")
def test_only_a_newer_lease_of_its_own_counts() -> None:
    """Older, equal, foreign, forged and misdirected leases change nothing."""
    made = scene(hubs=2)
    stranger = scene(world=made.world, site="b")
    hub, other = made.hubs
    first = made.cloud.lease(hub.identity.hub_id, ends_at_s=NOON + HOUR)
    second = made.cloud.lease(hub.identity.hub_id, ends_at_s=NOON + 2 * HOUR)
    foreign = stranger.cloud.lease(hub_id=stranger.hub.identity.hub_id)
    misdirected = made.cloud.signed(
        hub.identity.hub_id, DownKind.LEASE, made.cloud.leases[other.identity.hub_id]
    )
    wrong_site = made.cloud.signed(
        hub.identity.hub_id,
        DownKind.LEASE,
        replace(made.cloud.leases[hub.identity.hub_id], number=99, site_id=bytes(16)),
    )
    made.world.deliver(hub, second)
    held = hub.now.lease

    for lease in (first, second, foreign, misdirected, wrong_site):
        after, _ = hub_firmware.step(hub.now, lease, made.world.instant())
        assert after.lease == held
    assert held is not None
    assert held.ends_at_s == NOON + 2 * HOUR


SCENE = scene()


@pytest.mark.invariant("E8", "E11")
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_garbled_lease_neither_extends_nor_cuts_short(place: int, bit: int) -> None:
    """Any bit of a lease flipped: the hub keeps the last valid one."""
    lease = SCENE.cloud.lease(SCENE.hub.identity.hub_id, ends_at_s=NOON + DAY)
    data = bytearray(lease.payload)
    data[place % len(data)] ^= 1 << bit
    held = SCENE.hub.now.lease

    garbled = replace(lease, payload=bytes(data))
    after, _ = hub_firmware.step(SCENE.hub.now, garbled, SCENE.world.instant())

    assert after.lease == held
    assert after.subscribed


@pytest.mark.invariant("E10")
def test_the_calendar_never_goes_back() -> None:
    """Neither a reboot nor a controller that names an earlier instant sets it back."""
    made = scene()
    made.world.run(2 * HOUR)
    before_ms = made.hub.now.calendar.at_ms(made.world.instant())
    made.world.calendar_s -= HOUR

    made.world.run(60)
    told_ms = made.hub.now.calendar.at_ms(made.world.instant())
    made.world.power_off(made.hub)
    made.hub.has_uplink = False
    made.world.power_on(made.hub)
    booted_ms = made.hub.now.calendar.at_ms(made.world.instant())

    assert told_ms >= before_ms
    assert booted_ms >= before_ms - 10 * 60 * 1000


@pytest.mark.invariant("E10")
@pytest.mark.parametrize("uptime_s", [120, 9 * 60, 50 * 60, 7 * HOUR])
def test_pulling_the_plug_prolongs_nothing(uptime_s: int) -> None:
    """Without the time since boot a hub serves for 24 h of uptime, however they are cut up."""
    made = scene()
    made.renew(ends_at_s=NOON + HOUR, grace_s=30 * DAY)
    made.hub.has_uplink = False
    served_s = 0

    for _ in range(24 * HOUR // uptime_s + 2):
        made.world.power_off(made.hub)
        made.world.power_on(made.hub)
        for _ in range(uptime_s // 60):
            made.world.skip(59.5)
            made.world.run(0.5)
            served_s += 60 * made.hub.now.subscribed

    assert not made.hub.now.subscribed
    assert served_s <= 24 * HOUR


@pytest.mark.invariant("E10")
def test_without_the_time_no_schedule_opens() -> None:
    """A hub that has not heard the time since boot grants what needs no wall time, only."""
    made = scene()
    assert made.world.tap(made.lock, CAT).kind is EntryKind.OPENED_BY_HUB
    made.world.power_off(made.hub)
    made.hub.has_uplink = False
    made.world.power_on(made.hub)

    scheduled = made.world.tap(made.lock, CAT)

    assert scheduled.kind is EntryKind.DENIED_BY_HUB
    assert scheduled.reason is DenyReason.CLOCK_UNCERTAIN
    assert made.world.tap(made.lock, ANN).kind is EntryKind.OPENED_BY_HUB
    made.world.restore_uplink(made.hub)
    assert made.world.tap(made.lock, CAT).kind is EntryKind.OPENED_BY_HUB


@pytest.mark.invariant("E1", "E2")
@given(data=st.data())
def test_at_every_moment_it_serves_as_the_rule_says(data: st.DataObject) -> None:
    """Lines that come and go: being subscribed follows from end, grace and last contact."""
    made = scene()
    ends, grace = data.draw(st.integers(100, 3000)), data.draw(st.integers(0, 3000))
    made.renew(ends_at_s=NOON + ends, grace_s=grace)
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            up = data.draw(st.booleans())
            (made.world.restore_uplink if up else made.world.cut_uplink)(made.hub)
        made.world.run(data.draw(st.sampled_from([1, 30, 200, 700])))
        contact_s = made.hub.now.uplink.contact_s
        assert contact_s is not None
        now = made.world.calendar_s - NOON
        contact_at = contact_s - made.world.mono_s + now
        over = now >= ends + grace or (now >= ends and contact_at >= ends - 300)

        assert made.hub.now.subscribed is not over


def test_the_offline_list_still_opens_while_the_hub_is_silent() -> None:
    """What the lock may open by itself it opens although nobody answers."""
    made = scene()
    made.expire()

    assert made.world.tap(made.lock, BEN).kind is EntryKind.OPENED_BY_LIST
