"""Office mode, toggle, privacy and the opening times of a lock."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.inputs import Present, PrivacyButton
from firmware_sim.lock import step as lock_firmware
from firmware_sim.lock.state import Hold, Mode
from firmware_sim.outputs import MotorClose, MotorOpen, MotorStayOpen
from gateway.protocol import wire
from gateway.protocol.messages import (
    CommandOutcome,
    CredentialKind,
    DenyReason,
    EntryKind,
    LockMode,
)
from gateway.protocol.sealing import OrderKind
from gateway.protocol.sections import HOLIDAY, Holiday, OfficeMode, Privilege, Times, Window
from tests.firmware_sim.cloud import DAY, NOON
from tests.firmware_sim.scene import BEN, DAN, Scene, scene

KAY = bytes.fromhex("04e5000005")  # may everything at doors
OLE = bytes.fromhex("04f6000006")  # may start and end office mode
SLO = bytes.fromhex("0407000007")  # needs longer to get through
HOUR = 3600
LUNCH = Times(
    windows=tuple(Window(weekday=day, start_min=13 * 60, end_min=14 * 60) for day in range(7)),
    observes_holidays=True,
)
STARTED, ENDED = EntryKind.OFFICE_STARTED, EntryKind.OFFICE_ENDED
OPENED = EntryKind.OPENED_BY_LIST


def cut_off(**door: object) -> Scene:
    """Return a site with three more people, whose lock has these settings and then no hub."""
    made = with_door(**door)
    made.lock.has_radio = False
    return made


def with_door(**door: object) -> Scene:
    """Return a site with three more people, whose lock has these settings."""
    made = scene()
    made.set_door(**door)
    every = Privilege.OFFICE | Privilege.OVERRIDE_PRIVACY | Privilege.EXTENDED_OPENING
    made.add_person("kay", made.cloud.digest(KAY), privileges=every)
    made.add_person("ole", made.cloud.digest(OLE), privileges=Privilege.OFFICE)
    made.add_person("slo", made.cloud.digest(SLO), privileges=Privilege.EXTENDED_OPENING)
    return made


def until(made: Scene, at_s: int) -> None:
    """Let time pass until an instant of the calendar, and the lock notice it."""
    made.world.skip(at_s - made.world.calendar_s)
    made.world.run(2)


def restart(made: Scene) -> None:
    """Change the lock's battery."""
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)


def mode(made: Scene) -> LockMode:
    """Return how the first lock stands."""
    return made.lock.now.mode.mode


# By hand


def test_held_by_somebody_with_the_privilege_it_stays_open_and_ends() -> None:
    """The first long presentation opens for good, the next one shuts; the log says who."""
    made = cut_off(office=OfficeMode.BY_HAND)

    started = made.world.tap(made.lock, OLE, held=True)
    stands = mode(made)
    ended = made.world.tap(made.lock, OLE, held=True)

    assert (started.kind, stands, ended.kind) == (STARTED, LockMode.OFFICE, ENDED)
    assert made.lock.motor == [MotorStayOpen(), MotorClose()]
    for entry in made.log():
        assert entry.credential_digest == made.cloud.digest(OLE)
        assert entry.credential_kind is CredentialKind.TAG


@pytest.mark.parametrize(
    ("office", "tag", "held"),
    [
        (OfficeMode.BY_HAND, OLE, False),
        (OfficeMode.BY_HAND, BEN, True),
        (OfficeMode.NONE, OLE, True),
        (OfficeMode.SCHEDULED, OLE, True),
    ],
)
def test_anything_else_only_opens(office: OfficeMode, tag: bytes, *, held: bool) -> None:
    """A short presentation, one without the privilege, and a door without the mode."""
    made = cut_off(office=office)

    assert made.world.tap(made.lock, tag, held=held).kind is OPENED
    assert made.lock.motor == [MotorOpen(seconds=5)]


def test_who_may_not_open_starts_nothing() -> None:
    """Held by nobody the lock knows: refused."""
    made = cut_off(office=OfficeMode.BY_HAND, toggle=True)

    made.world.tap(made.lock, DAN, held=True)

    assert made.lock.motor == []


def test_while_it_stays_open_a_presentation_shuts_nothing() -> None:
    """An opening is logged, and the lock goes on staying open instead of timing out."""
    made = cut_off(office=OfficeMode.BY_HAND)
    made.world.tap(made.lock, OLE, held=True)

    made.world.tap(made.lock, BEN)
    made.world.tap(made.lock, BEN, held=True)

    assert made.kinds() == [STARTED, OPENED, OPENED]
    assert made.lock.motor == [MotorStayOpen()] * 3


def test_an_opening_by_memory_has_no_privilege() -> None:
    """The lock remembers who opened, not what else they may do."""
    made = with_door(office=OfficeMode.BY_HAND)
    plan = made.cloud.plans[made.hub.identity.hub_id]
    held = plan.lists[made.lock.name]
    plan.lists[made.lock.name] = replace(held, grants=held.grants[:2])
    made.publish()
    made.world.tap(made.lock, OLE)
    made.lock.has_radio = False

    assert made.world.tap(made.lock, OLE, held=True).kind is EntryKind.OPENED_BY_MEMORY


@pytest.mark.invariant("E12")
def test_office_mode_by_hand_survives_a_power_cut_and_nothing_moves() -> None:
    """It stays open over a change of battery, and can still be ended."""
    made = cut_off(office=OfficeMode.BY_HAND)
    made.world.tap(made.lock, OLE, held=True)
    restart(made)
    made.world.run(60)

    assert mode(made) is LockMode.OFFICE
    assert made.lock.motor == [MotorStayOpen()]
    assert made.world.tap(made.lock, OLE, held=True).kind is ENDED
    restart(made)
    assert mode(made) is LockMode.NORMAL


@pytest.mark.invariant("E12")
def test_no_link_and_no_subscription_ends_office_mode() -> None:
    """Expiry, renewal, a dead hub and its return move nothing and change nothing."""
    made = with_door(office=OfficeMode.BY_HAND, privacy=True)
    made.world.tap(made.lock, OLE)
    made.lock.has_radio = False
    made.world.tap(made.lock, OLE, held=True)
    made.lock.has_radio = True
    moved = len(made.lock.motor)

    made.expire()
    made.world.run(60)
    made.renew()
    made.world.power_off(made.hub)
    made.world.run(200)
    made.world.power_on(made.hub)
    made.world.run(60)

    assert mode(made) is LockMode.OFFICE
    assert len(made.lock.motor) == moved


def test_the_hub_hears_how_the_lock_stands() -> None:
    """At once, not with the next heartbeat."""
    made = with_door(toggle=True)

    made.world.tap(made.lock, BEN)
    link = made.hub.now.locks[made.cloud.lock_id(made.lock.name)]

    assert link.state is not None
    assert link.state.mode is LockMode.OFFICE


# Easy


def test_easy_office_mode_within_its_times() -> None:
    """Any presentation with the privilege starts or ends it; outside the times it only opens."""
    made = cut_off(office=OfficeMode.EASY, office_times=LUNCH)
    kinds = [made.world.tap(made.lock, OLE).kind]
    until(made, NOON + HOUR)
    kinds += [made.world.tap(made.lock, OLE).kind for _ in range(3)]
    kinds += [made.world.tap(made.lock, BEN).kind]

    assert kinds == [OPENED, STARTED, ENDED, STARTED, OPENED]


def test_easy_office_mode_ends_with_its_times() -> None:
    """At the end of the window, by itself and with an entry."""
    made = cut_off(office=OfficeMode.EASY, office_times=LUNCH)
    until(made, NOON + 2 * HOUR - 60)
    made.world.tap(made.lock, OLE)
    assert mode(made) is LockMode.OFFICE

    until(made, NOON + 2 * HOUR)

    assert made.kinds() == [STARTED, ENDED]
    assert made.log()[-1].credential_digest is None
    assert made.lock.motor == [MotorStayOpen(), MotorClose()]


# Scheduled


def test_scheduled_office_mode_starts_and_ends_by_itself() -> None:
    """Every day of the schedule, and not on a holiday that it observes."""
    made = with_door(office=OfficeMode.SCHEDULED, office_times=LUNCH)
    plan = made.cloud.plans[made.hub.identity.hub_id]
    holidays = (Holiday(day=NOON // DAY + 1, days=1),)
    held = plan.lists[made.lock.name]
    plan.lists[made.lock.name] = replace(held, holidays=holidays)
    made.publish()
    made.lock.has_radio = False

    for at_s in range(NOON, NOON + 3 * DAY, HOUR // 2):
        until(made, at_s + 5)
        local = (at_s - NOON) % DAY
        is_open = HOUR <= local < 2 * HOUR and (at_s - NOON) // DAY != 1
        assert (mode(made) is LockMode.OFFICE) is is_open, at_s

    assert made.kinds() == [STARTED, ENDED] * 2
    assert made.lock.motor == [MotorStayOpen(), MotorClose()] * 2


def test_a_window_of_holidays_counts_on_a_holiday() -> None:
    """The same times, with a window for holidays: then it starts."""
    windows = (Window(weekday=HOLIDAY, start_min=13 * 60, end_min=14 * 60),)
    made = with_door(office=OfficeMode.SCHEDULED, office_times=replace(LUNCH, windows=windows))
    plan = made.cloud.plans[made.hub.identity.hub_id]
    held = plan.lists[made.lock.name]
    plan.lists[made.lock.name] = replace(held, holidays=(Holiday(day=NOON // DAY, days=1),))
    made.publish()

    until(made, NOON + HOUR)

    assert mode(made) is LockMode.OFFICE


def test_whoever_ends_scheduled_office_mode_ends_it_for_this_time() -> None:
    """By hand or by order, also over a power cut; the next day it starts again."""
    for is_by_hand in (True, False):
        made = with_door(office=OfficeMode.SCHEDULED, office_times=LUNCH)
        until(made, NOON + HOUR + 60)
        if is_by_hand:
            made.world.tap(made.lock, OLE, held=True)
        else:
            made.order(OrderKind.END_OFFICE)
        restart(made)
        made.world.run(60)
        assert mode(made) is LockMode.NORMAL

        until(made, NOON + 2 * HOUR)
        until(made, NOON + DAY + HOUR)
        assert mode(made) is LockMode.OFFICE


@pytest.mark.invariant("E12")
def test_without_the_time_nothing_starts_and_nothing_ends() -> None:
    """A lock that lost its power waits until somebody tells the time."""
    made = cut_off(office=OfficeMode.SCHEDULED, office_times=LUNCH)
    restart(made)
    until(made, NOON + HOUR)
    assert mode(made) is LockMode.NORMAL  # it may be any time

    made.lock.has_radio = True
    made.world.run(25)
    assert mode(made) is LockMode.OFFICE

    made.lock.has_radio = False
    restart(made)
    until(made, NOON + 5 * HOUR)
    assert mode(made) is LockMode.OFFICE
    made.lock.has_radio = True
    made.world.run(25)
    assert made.kinds() == [STARTED, ENDED]


def test_office_times_follow_the_wall() -> None:
    """In Madrid the clocks go forward in March: the window too."""
    made = with_door(office=OfficeMode.SCHEDULED, office_times=LUNCH)
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.lists[made.lock.name] = replace(plan.lists[made.lock.name], time_zone="Europe/Madrid")
    made.publish()
    hours = []
    for day_s in (NOON + DAY, NOON + 76 * DAY):  # in January, and in April
        for hour in range(-3, 3):
            until(made, day_s + hour * HOUR + 5)
            if mode(made) is LockMode.OFFICE:
                hours.append(hour)

    assert hours == [0, -1]  # 13:00 is 12:00 UTC, then 11:00 UTC


# By order


def test_an_order_starts_and_ends_office_mode() -> None:
    """Outcome DONE, the entry names the command; ending what does not run is done as well."""
    made = with_door()

    first = made.order(OrderKind.START_OFFICE)
    stands = mode(made)
    second = made.order(OrderKind.END_OFFICE)
    third = made.order(OrderKind.END_OFFICE)

    assert stands is LockMode.OFFICE
    assert {made.outcome(each) for each in (first, second, third)} == {CommandOutcome.DONE}
    assert [(each.kind, each.command_id) for each in made.log()] == [
        (STARTED, first),
        (ENDED, second),
    ]


def test_an_order_may_say_how_long() -> None:
    """Seconds of the calendar, over a power cut too: a lower bound that is past it is certain."""
    made = with_door()
    made.world.run(30)  # a mark of the time is in flash
    made.order(OrderKind.START_OFFICE, seconds=600)
    made.lock.has_radio = False
    restart(made)

    until(made, NOON + 590)
    assert mode(made) is LockMode.OFFICE
    until(made, NOON + 700)

    assert mode(made) is LockMode.NORMAL
    assert made.lock.motor == [MotorStayOpen(), MotorClose()]


# Toggle


def test_toggle() -> None:
    """Whoever may open opens for good, and the next one shuts."""
    made = cut_off(toggle=True)

    kinds = [made.world.tap(made.lock, BEN).kind for _ in range(3)]

    assert kinds == [STARTED, ENDED, STARTED]


def test_what_the_settings_no_longer_allow_ends() -> None:
    """Else nobody could end it: toggle, by hand, easy, scheduled, privacy."""
    at_all_times = Times(
        windows=tuple(Window(weekday=day, start_min=0, end_min=1440) for day in range(7)),
        observes_holidays=False,
    )
    off = {"toggle": False, "office": OfficeMode.NONE, "privacy": False}
    for door in (
        {"toggle": True},
        {"office": OfficeMode.BY_HAND},
        {"office": OfficeMode.EASY, "office_times": at_all_times},
        {"office": OfficeMode.SCHEDULED, "office_times": at_all_times},
        {"privacy": True},
    ):
        made = with_door(**door)
        made.lock.has_radio = False
        if "privacy" in door:
            made.world.tell(made.lock, PrivacyButton())
        elif door.get("office") is not OfficeMode.SCHEDULED:
            made.world.tap(made.lock, OLE, held=True)
        made.world.run(5)
        assert mode(made) is not LockMode.NORMAL

        made.lock.has_radio = True
        made.set_door(**off)
        made.world.run(30)

        assert mode(made) is LockMode.NORMAL


# Privacy


def test_privacy_keeps_out_who_may_not_override_it() -> None:
    """The hub's grant counts as little as the list's; who may override comes in."""
    for has_radio in (True, False):
        made = with_door(privacy=True)
        made.lock.has_radio = has_radio
        made.world.tell(made.lock, PrivacyButton())

        ben, kay = made.world.tap(made.lock, BEN), made.world.tap(made.lock, KAY)

        by_hub = (EntryKind.DENIED_BY_HUB, EntryKind.OPENED_BY_HUB)
        assert (ben.kind, kay.kind) == (by_hub if has_radio else (EntryKind.DENIED_OFFLINE, OPENED))
        assert ben.reason is DenyReason.PRIVACY
        assert made.cloud.digest(BEN) not in made.lock.now.memory


def test_privacy_refuses_orders_to_open() -> None:
    """Somebody in the cloud does not know who is inside."""
    made = with_door(privacy=True)
    made.world.tell(made.lock, PrivacyButton())

    outcomes = {made.outcome(made.order(kind)) for kind in (OrderKind.OPEN, OrderKind.START_OFFICE)}

    assert outcomes == {CommandOutcome.REFUSED}
    assert made.lock.motor == []


def test_privacy_ends_by_the_button_and_by_leaving() -> None:
    """Opening from outside does not end it, opening from within does."""
    made = cut_off(privacy=True)
    made.world.tell(made.lock, PrivacyButton())
    made.world.tell(made.lock, PrivacyButton())
    assert mode(made) is LockMode.NORMAL

    made.world.tell(made.lock, PrivacyButton())
    made.world.tap(made.lock, KAY)
    made.world.move_door(made.lock, is_open=True)
    made.world.move_door(made.lock, is_open=False)
    assert mode(made) is LockMode.PRIVACY
    made.world.move_door(made.lock, is_open=True, from_within=True)

    assert mode(made) is LockMode.NORMAL
    assert made.kinds() == [
        EntryKind.PRIVACY_STARTED,
        EntryKind.PRIVACY_ENDED,
        EntryKind.PRIVACY_STARTED,
        OPENED,
        EntryKind.PRIVACY_ENDED,
    ]


def test_privacy_survives_a_power_cut() -> None:
    """Nobody walks in on whoever is inside because a battery was changed."""
    made = cut_off(privacy=True)
    made.world.tell(made.lock, PrivacyButton())
    restart(made)

    assert made.world.tap(made.lock, BEN).reason is DenyReason.PRIVACY


def test_office_mode_and_privacy_exclude_one_another() -> None:
    """The button does nothing at an open door; in privacy no window, order or hand stays open."""
    made = with_door(privacy=True, office=OfficeMode.BY_HAND)
    made.order(OrderKind.START_OFFICE)
    made.world.tell(made.lock, PrivacyButton())
    assert mode(made) is LockMode.OFFICE
    made.order(OrderKind.END_OFFICE)

    made.world.tell(made.lock, PrivacyButton())
    made.lock.has_radio = False
    verdict = made.world.tap(made.lock, KAY, held=True)

    assert verdict.kind is OPENED
    assert mode(made) is LockMode.PRIVACY


def test_a_scheduled_office_mode_waits_for_the_end_of_privacy() -> None:
    """It starts when whoever is inside comes out, if its time still runs."""
    made = cut_off(privacy=True, office=OfficeMode.SCHEDULED, office_times=LUNCH)
    made.world.tell(made.lock, PrivacyButton())
    until(made, NOON + HOUR)
    assert mode(made) is LockMode.PRIVACY

    made.world.tell(made.lock, PrivacyButton())
    made.world.run(2)

    assert mode(made) is LockMode.OFFICE


def test_the_button_does_nothing_where_privacy_is_not_wanted() -> None:
    """Nor at a lock without a site."""
    made = cut_off()
    made.world.tell(made.lock, PrivacyButton())
    made.reset(made.lock)
    made.world.tell(made.lock, PrivacyButton())

    assert mode(made) is LockMode.NORMAL


# Opening times


def test_who_needs_longer_gets_longer() -> None:
    """The extended time for those with the privilege, online and offline."""
    made = with_door(open_s=4, extended_open_s=33)
    for tag in (BEN, SLO):
        made.world.tap(made.lock, tag)
    made.lock.has_radio = False
    for tag in (BEN, SLO):
        made.world.tap(made.lock, tag)

    assert [move.seconds for move in made.lock.motor if isinstance(move, MotorOpen)] == [4, 33] * 2


STAYING = cut_off(office=OfficeMode.BY_HAND)


@pytest.mark.invariant("E12")
@given(
    stood=st.builds(
        Mode,
        mode=st.sampled_from(LockMode),
        hold=st.none() | st.sampled_from(Hold),
        until_s=st.none() | st.integers(0, NOON * 2),
        served=st.booleans(),
        closing=st.booleans(),
    )
)
def test_no_start_opens(stood: Mode) -> None:
    """However the lock stood, getting power lets nobody in; at most it finishes closing."""
    lock = STAYING.lock
    flash = lock.flash.read() | {lock.now.flash_key("mode"): wire.encode(stood)}

    state, outputs = lock_firmware.boot(lock.identity, flash, STAYING.world.instant())

    assert state.mode == stood
    moved = [each for each in outputs if isinstance(each, MotorOpen | MotorStayOpen | MotorClose)]
    assert moved == [MotorClose()] * stood.closing


def test_a_power_cut_leaves_no_door_open_that_looks_shut() -> None:
    """Power goes after the end is in flash and before the motor has moved: the start closes."""
    made = cut_off(toggle=True)
    made.world.tap(made.lock, BEN)
    made.world.tell(made.lock, Present(tag_number=BEN))
    if made.lock.now.stays_open:
        made.world.run(2)
    assert made.lock.now.mode.closing
    made.lock.motor.clear()  # as if it had not got that far

    restart(made)
    made.world.run(2)
    restart(made)

    assert made.lock.motor == [MotorClose()]
