"""When a door opens next, and until when it is open."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.access import (
    AccessGroup,
    Allowed,
    Credential,
    CredentialKind,
    Person,
    allowed_within,
    decide,
)
from controller.domain.ids import CredentialId, GroupId, LockId, PersonId
from controller.domain.openings import Span, merged, openings
from controller.domain.schedule import Holiday, Schedule, Window
from tests.controller.domain.builders import NOON, SECOND

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DOOR, ADA = LockId("door"), PersonId("ada")
# An instant near which the clocks of a zone change.
CHANGES = {
    "Europe/Amsterdam": [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
    ],
    "America/New_York": [datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)],
    "Africa/Cairo": [datetime(2026, 4, 23, 22, tzinfo=UTC), datetime(2026, 10, 29, 21, tzinfo=UTC)],
    "America/Sao_Paulo": [
        datetime(2018, 11, 4, 3, tzinfo=UTC),
        datetime(2019, 2, 17, 2, tzinfo=UTC),
    ],
    "Pacific/Apia": [datetime(2011, 12, 30, 10, tzinfo=UTC)],
    "Australia/Lord_Howe": [
        datetime(2026, 4, 4, 15, tzinfo=UTC),
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ],
    "UTC": [NOON],
}
CHANGE_LIST = [(zone, at) for zone, instants in CHANGES.items() for at in instants]


# A day's windows in half hours: shut, open, office hours, a lunch break, and about the hours
# that clocks skip and repeat.
DAYS = [(), ((0, 48),), ((16, 36),), ((0, 24), (26, 48)), ((2, 4), (4, 5)), ((5, 7), (46, 48))]


@st.composite
def schedules(draw: st.DrawFn, around: date) -> Schedule:
    """A schedule of windows that begin and end on half hours, bounded near a day or not."""
    days = draw(st.lists(st.sampled_from(DAYS), min_size=8, max_size=8))
    near = st.sampled_from([None, None, None, *(around + days * DAY for days in range(-2, 3))])
    return Schedule(
        windows=tuple(
            Window(weekday=weekday, start_min=30 * start, end_min=30 * end)
            for weekday, windows in enumerate(days)
            for start, end in windows
        ),
        observes_holidays=draw(st.booleans()),
        starts_on=draw(near),
        ends_on=draw(near),
    )


@st.composite
def holidays(draw: st.DrawFn, around: date) -> tuple[Holiday, ...]:
    """Up to two holidays near a day."""
    return tuple(
        Holiday(starts_on=around + draw(st.integers(-3, 3)) * DAY, days=draw(st.integers(1, 3)))
        for _ in range(draw(st.integers(0, 2)))
    )


def spans_of(is_open: Callable[[datetime], bool], within: Span) -> list[Span]:
    """Ask each minute of a span, and return the spans in which the answer is yes."""
    found: list[Span] = []
    at = within.starts_at
    while at < within.ends_at:
        if is_open(at):
            found.append(Span(starts_at=at, ends_at=min(at + MINUTE, within.ends_at)))
        at += MINUTE
    return merged(found)


@pytest.mark.invariant("A6")
@pytest.mark.parametrize(
    ("zone", "change"), CHANGE_LIST, ids=[f"{z}-{a:%m%d}" for z, a in CHANGE_LIST]
)
@given(data=st.data())
def test_openings_are_what_each_minute_says(
    zone: str, change: datetime, data: st.DataObject
) -> None:
    """Around every change of clocks the spans are exactly the minutes at which it is open."""
    schedule = data.draw(schedules(change.date()))
    kept = data.draw(holidays(change.date()))
    start = change - data.draw(st.integers(0, 48)) * HOUR
    within = Span(starts_at=start, ends_at=start + data.draw(st.integers(1, 72)) * HOUR)
    tz = ZoneInfo(zone)

    found = openings(schedule, within, zone=tz, holidays=kept)

    assert found == spans_of(lambda at: schedule.contains(at.astimezone(tz), kept), within)


@given(st.integers(0, 59), st.integers(0, 999_999))
def test_a_span_begins_and_ends_at_any_instant(second: int, microsecond: int) -> None:
    """What is asked for in the middle of a minute is cut there, and windows are not."""
    start = NOON.replace(second=second, microsecond=microsecond)  # a Sunday
    schedule = Schedule.of([Window(weekday=6, start_min=0, end_min=721)])

    found = openings(
        schedule,
        Span(starts_at=start, ends_at=start + 7 * DAY),
        zone=ZoneInfo("UTC"),
        holidays=(),
    )

    assert found == [
        Span(starts_at=start, ends_at=NOON + MINUTE),
        Span(starts_at=NOON + 7 * DAY - 12 * HOUR, ends_at=start + 7 * DAY),
    ]


def test_windows_that_meet_are_one_opening() -> None:
    """A night of two windows, and a week of seven days, has no moment in between."""
    night = Schedule.of(
        [
            Window(weekday=6, start_min=1320, end_min=1440),
            Window(weekday=0, start_min=0, end_min=360),
        ]
    )
    within = Span(starts_at=NOON, ends_at=NOON + 2 * DAY)
    utc = ZoneInfo("UTC")

    (found,) = openings(night, within, zone=utc, holidays=())
    (always,) = openings(Schedule.always(), within, zone=utc, holidays=())

    assert found == Span(starts_at=NOON + 10 * HOUR, ends_at=NOON + 18 * HOUR)
    assert always == within


@pytest.mark.parametrize("what", ["group", "person", "credential"])
def test_an_opening_is_cut_where_a_right_starts_or_ends(what: str) -> None:
    """A frame, a stay and a credential's end bound what a schedule alone would give."""
    starts_at, ends_at = NOON + HOUR, NOON + 2 * HOUR
    bounds: dict[str, Any] = {"starts_at": starts_at, "ends_at": ends_at}
    group = AccessGroup(
        id=GroupId("g"),
        person_ids=frozenset({ADA}),
        lock_ids=frozenset({DOOR}),
        schedule=Schedule.always(),
        **(bounds if what == "group" else {}),
    )
    person = Person(id=ADA, subscribed=True, **(bounds if what == "person" else {}))
    credential = Credential(
        id=CredentialId("tag"),
        person_id=ADA,
        kind=CredentialKind.TAG,
        ends_at=ends_at if what == "credential" else None,
    )

    found = allowed_within(
        Span(starts_at=NOON, ends_at=NOON + DAY),
        holder=(credential, person),
        groups=[group],
        lock_id=DOOR,
        zone=ZoneInfo("UTC"),
        holidays=(),
    )

    start = NOON if what == "credential" else starts_at
    assert found == [Span(starts_at=start, ends_at=ends_at)]


starts = st.sampled_from([None, None, NOON - DAY, NOON + 5 * HOUR])
ends = st.sampled_from([None, None, NOON + 7 * HOUR, NOON + 30 * HOUR])
often = st.sampled_from([True, True, True, True, False])
groups_of_ada = st.builds(
    AccessGroup,
    id=st.uuids().map(lambda drawn: GroupId(drawn.hex)),
    person_ids=often.map(lambda hers: frozenset({ADA if hers else PersonId("bob")})),
    lock_ids=often.map(lambda its: frozenset({DOOR if its else LockId("vault")})),
    schedule=schedules(NOON.date()),
    starts_at=starts,
    ends_at=ends,
)


@settings(max_examples=300)  # most have something that keeps the door shut
@given(
    person=st.builds(Person, id=st.just(ADA), subscribed=often, starts_at=starts, ends_at=ends),
    credential=st.builds(
        Credential,
        id=st.just(CredentialId("tag")),
        person_id=st.just(ADA),
        kind=st.just(CredentialKind.TAG),
        blocked=often.map(lambda good: not good),
        ends_at=ends,
    ),
    groups=st.lists(groups_of_ada, min_size=1, max_size=3),
    kept=holidays(NOON.date()),
)
def test_allowed_within_is_what_the_decision_says_each_half_hour(
    person: Person,
    credential: Credential,
    groups: list[AccessGroup],
    kept: tuple[Holiday, ...],
) -> None:
    """Frames of groups, stays and ends count as they do at the door."""
    zone = ZoneInfo("Europe/Madrid")
    within = Span(starts_at=NOON, ends_at=NOON + 2 * DAY)

    found = allowed_within(
        within,
        holder=(credential, person),
        groups=groups,
        lock_id=DOOR,
        zone=zone,
        holidays=kept,
    )

    at = NOON
    while at < within.ends_at:
        for instant in (at, at + 30 * MINUTE - SECOND):
            decision = decide(
                subscribed=True,
                holder=(credential, person),
                groups=groups,
                lock_id=DOOR,
                zone=zone,
                now=instant,
                holidays=kept,
            )
            told = any(span.starts_at <= instant < span.ends_at for span in found)
            assert told == isinstance(decision, Allowed)
        at += 30 * MINUTE
