"""Why may she open."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.access import (
    AccessGroup,
    Allowed,
    Credential,
    CredentialKind,
    Decision,
    Denied,
    DenyReason,
    Person,
    ShutBy,
    decide,
)
from controller.domain.ids import CredentialId, GroupId, LockId, PersonId
from controller.domain.schedule import Holiday, Schedule, Window
from tests.controller.domain.builders import NOON, SECOND

MADRID = ZoneInfo("Europe/Madrid")
DOOR = LockId("door")
ADA = Person(id=PersonId("ada"), subscribed=True)
TAG = Credential(id=CredentialId("tag"), person_id=ADA.id, kind=CredentialKind.TAG)
STAFF = AccessGroup(
    id=GroupId("staff"),
    person_ids=frozenset({ADA.id}),
    lock_ids=frozenset({DOOR}),
    schedule=Schedule.of([Window(weekday=6, start_min=480, end_min=1080)]),  # NOON is a Sunday
)


def ask(**changes: Any) -> Decision:
    """Ada presents her tag at the door at noon, with some values changed."""
    values: dict[str, Any] = {
        "subscribed": True,
        "holder": (TAG, ADA),
        "groups": [STAFF],
        "lock_id": DOOR,
        "zone": MADRID,
        "now": NOON,
    }
    return decide(**values | changes)


# In the order of the checks: each makes one thing wrong.
FLAWS: dict[DenyReason, dict[str, Any]] = {
    DenyReason.NO_VALID_SUBSCRIPTION: {"subscribed": False},
    DenyReason.UNKNOWN_CREDENTIAL: {"holder": None},
    DenyReason.CREDENTIAL_BLOCKED: {"holder": (replace(TAG, blocked=True), ADA)},
    DenyReason.CREDENTIAL_EXPIRED: {"holder": (replace(TAG, ends_at=NOON), ADA)},
    DenyReason.PERSON_NOT_YET: {"holder": (TAG, replace(ADA, starts_at=NOON + SECOND))},
    DenyReason.PERSON_EXPIRED: {"holder": (TAG, replace(ADA, ends_at=NOON))},
    DenyReason.PERSON_UNSUBSCRIBED: {"holder": (TAG, replace(ADA, subscribed=False))},
    DenyReason.NO_ACCESS_TO_LOCK: {"lock_id": LockId("vault")},
    DenyReason.OUTSIDE_SCHEDULE: {"now": NOON.replace(hour=5)},
}


def test_a_good_credential_opens() -> None:
    """The decision names the group that gave the right."""
    assert ask() == Allowed(group_id=STAFF.id)


@pytest.mark.parametrize("reason", DenyReason)
def test_every_reason_is_given(reason: DenyReason) -> None:
    """One thing wrong gives the one reason that names it."""
    assert ask(**FLAWS[reason]) == Denied(reason=reason)


def test_the_first_flaw_in_order_is_named() -> None:
    """Several things wrong give the reason that is checked first."""
    credential = replace(TAG, blocked=True, ends_at=NOON)
    person = replace(ADA, subscribed=False, ends_at=NOON)
    early = replace(person, starts_at=NOON + SECOND)
    everything = {"groups": [], "subscribed": False}
    steps: list[tuple[dict[str, Any], DenyReason]] = [
        (everything | {"holder": None}, DenyReason.NO_VALID_SUBSCRIPTION),
        ({"holder": None, "groups": []}, DenyReason.UNKNOWN_CREDENTIAL),
        ({"holder": (credential, early), "groups": []}, DenyReason.CREDENTIAL_BLOCKED),
        (
            {"holder": (replace(credential, blocked=False), early), "groups": []},
            DenyReason.CREDENTIAL_EXPIRED,
        ),
        ({"holder": (TAG, early), "groups": []}, DenyReason.PERSON_NOT_YET),
        ({"holder": (TAG, person), "groups": []}, DenyReason.PERSON_EXPIRED),
        (
            {"holder": (TAG, replace(person, ends_at=None)), "groups": []},
            DenyReason.PERSON_UNSUBSCRIBED,
        ),
        ({"groups": [], "now": NOON.replace(hour=5)}, DenyReason.NO_ACCESS_TO_LOCK),
    ]

    for changes, reason in steps:
        assert ask(**changes) == Denied(reason=reason)


def test_a_stay_ends_at_its_end() -> None:
    """A second before, credential and person are good."""
    later = NOON + SECOND

    assert isinstance(ask(holder=(replace(TAG, ends_at=later), ADA)), Allowed)
    assert isinstance(ask(holder=(TAG, replace(ADA, ends_at=later))), Allowed)


def test_a_group_gives_its_right_from_check_in_to_before_check_out() -> None:
    """Before and from the end on it is as if the schedule were shut; each bound may be missing."""
    frames = {
        (None, None): True,
        (NOON, NOON + SECOND): True,
        (NOON + SECOND, None): False,
        (None, NOON): False,
        (NOON - SECOND, NOON): False,
    }

    for (starts_at, ends_at), opens in frames.items():
        decision = ask(groups=[replace(STAFF, starts_at=starts_at, ends_at=ends_at)])
        shut = Denied(reason=DenyReason.OUTSIDE_SCHEDULE)
        assert decision == (Allowed(group_id=STAFF.id) if opens else shut)


def test_a_group_tells_why_it_is_shut() -> None:
    """Not yet, ended or outside its schedule; the frame is told before the schedule."""
    early, late = NOON - SECOND, NOON + SECOND
    night = Schedule.of([Window(weekday=6, start_min=0, end_min=1)])

    told = [
        replace(STAFF, **changes).shut_by(NOON, zone=MADRID, holidays=())
        for changes in (
            {},
            {"schedule": night},
            {"schedule": night, "starts_at": late},
            {"schedule": night, "ends_at": early},
        )
    ]

    assert told == [None, ShutBy.OUTSIDE_SCHEDULE, ShutBy.GROUP_NOT_YET, ShutBy.GROUP_ENDED]


def test_on_a_holiday_the_decision_knows_it() -> None:
    """A group whose schedule observes holidays is shut on one."""
    observing = replace(STAFF.schedule, observes_holidays=True)
    today = Holiday(starts_on=NOON.date(), days=1)

    shut = ask(groups=[replace(STAFF, schedule=observing)], holidays=[today])

    assert shut == Denied(reason=DenyReason.OUTSIDE_SCHEDULE)
    assert isinstance(ask(holidays=[today]), Allowed)


def test_the_schedule_is_read_on_the_sites_wall() -> None:
    """At 17:30 UTC it is 18:30 in Madrid, and too late."""
    at = NOON + timedelta(hours=5, minutes=30)

    assert ask(now=at) == Denied(reason=DenyReason.OUTSIDE_SCHEDULE)
    assert ask(now=at, zone=ZoneInfo("UTC")) == Allowed(group_id=STAFF.id)


def test_leaving_a_group_takes_its_rights_only() -> None:
    """Another group with the same lock still opens it."""
    left = replace(STAFF, person_ids=frozenset())
    other = replace(STAFF, id=GroupId("night"), schedule=Schedule.always())

    assert ask(groups=[left]) == Denied(reason=DenyReason.NO_ACCESS_TO_LOCK)
    assert ask(groups=[left, other]) == Allowed(group_id=other.id)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ada", "bob"]), st.sampled_from(["door", "vault"])), max_size=6
    ),
    st.integers(0, 23),
)
def test_a_door_opens_exactly_by_a_group_with_person_lock_and_time(
    memberships: list[tuple[str, str]], hour: int
) -> None:
    """The decision is the plain reading of the groups, whatever their order."""
    groups = [
        AccessGroup(
            id=GroupId(f"g{number}"),
            person_ids=frozenset({PersonId(person)}),
            lock_ids=frozenset({LockId(lock)}),
            schedule=Schedule.of([Window(weekday=6, start_min=number * 240, end_min=1440)]),
        )
        for number, (person, lock) in enumerate(memberships)
    ]
    now = NOON.replace(hour=hour)
    expected = any(
        membership == ("ada", "door") and hour * 60 >= number * 240
        for number, membership in enumerate(memberships)
    )

    decision = ask(groups=groups, now=now, zone=ZoneInfo("UTC"))

    assert isinstance(decision, Allowed) is expected
    assert ask(groups=groups[::-1], now=now, zone=ZoneInfo("UTC")) == decision
