"""Weekly schedules, and what daylight saving does to them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.schedule import InvalidSchedule, Schedule, Window

MINUTE = timedelta(minutes=1)
WINDOWS = st.builds(
    lambda weekday, start_min, length: Window(
        weekday=weekday, start_min=start_min, end_min=min(1440, start_min + length)
    ),
    st.integers(0, 6),
    st.integers(0, 1439),
    st.integers(1, 1440),
)


@st.composite
def windows_apart(draw: st.DrawFn) -> list[Window]:
    """1 to 28 windows of which no two overlap, in any order."""
    kept: list[Window] = []
    for one in draw(st.lists(WINDOWS, min_size=1, max_size=28)):
        if not any(
            one.weekday == other.weekday
            and one.start_min < other.end_min
            and other.start_min < one.end_min
            for other in kept
        ):
            kept.append(one)
    return kept


def minutes_open(schedule: Schedule, zone: str, day: datetime) -> list[str]:
    """What the wall shows in each real minute of two days in which the schedule is open."""
    instants = (day.replace(tzinfo=UTC) - timedelta(hours=14) + n * MINUTE for n in range(2880))
    walls = (instant.astimezone(ZoneInfo(zone)) for instant in instants)
    return [
        wall.strftime("%H:%M")
        for wall in walls
        if wall.date() == day.date() and schedule.contains(wall, ())
    ]


def test_a_window_is_open_from_its_start_to_before_its_end() -> None:
    """Monday 08:00 to 18:00 contains 08:00 and 17:59:59, not 18:00, and no Tuesday."""
    schedule = Schedule.of([Window(weekday=0, start_min=480, end_min=1080)])
    monday = datetime(2026, 3, 2, tzinfo=UTC)

    answers = [
        schedule.contains(monday + timedelta(hours=hours), ())
        for hours in (7.999, 8, 17.999, 18, 24 + 8)
    ]

    assert answers == [False, True, True, False, False]


@pytest.mark.invariant("A6")
def test_an_hour_that_is_skipped_grants_nothing() -> None:
    """In Madrid on 29 March the wall goes from 01:59 to 03:00."""
    inside = Schedule.of([Window(weekday=6, start_min=120, end_min=180)])
    around = Schedule.of([Window(weekday=6, start_min=60, end_min=240)])
    day = datetime(2026, 3, 29)  # noqa: DTZ001 - a date on the wall, in no zone yet

    assert minutes_open(inside, "Europe/Madrid", day) == []
    assert len(minutes_open(around, "Europe/Madrid", day)) == 120


@pytest.mark.invariant("A6")
def test_an_hour_that_is_repeated_counts_both_times() -> None:
    """In Madrid on 25 October the wall shows 02:00 to 02:59 twice."""
    schedule = Schedule.of([Window(weekday=6, start_min=120, end_min=180)])
    day = datetime(2026, 10, 25)  # noqa: DTZ001 - a date on the wall, in no zone yet

    minutes = minutes_open(schedule, "Europe/Madrid", day)

    assert len(minutes) == 120
    assert set(minutes) == {f"02:{minute:02}" for minute in range(60)}


@pytest.mark.invariant("A6")
def test_a_day_without_midnight_starts_at_its_first_instant() -> None:
    """In Beirut on 29 March the wall goes from 23:59 to 01:00."""
    schedule = Schedule.of([Window(weekday=6, start_min=0, end_min=90)])
    day = datetime(2026, 3, 29)  # noqa: DTZ001 - a date on the wall, in no zone yet

    minutes = minutes_open(schedule, "Asia/Beirut", day)

    assert minutes == [f"01:{minute:02}" for minute in range(30)]


@given(st.timedeltas(timedelta(0), timedelta(days=400)))
def test_always_is_always(passed: timedelta) -> None:
    """No minute of any week is outside."""
    assert Schedule.always().contains(datetime(2026, 1, 1, tzinfo=UTC) + passed, ())


@given(windows_apart(), st.integers(0, 10_079))
def test_a_schedule_is_the_union_of_its_windows(windows: list[Window], minute: int) -> None:
    """The order of the windows makes no difference."""
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    expected = any(
        window.weekday * 1440 + window.start_min <= minute < window.weekday * 1440 + window.end_min
        for window in windows
    )

    schedule = Schedule.of(windows)

    assert schedule.contains(monday + minute * MINUTE, ()) is expected
    assert Schedule.of(windows[::-1]) == schedule


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ((8, 0, 60), "weekday"),
        ((-1, 0, 60), "weekday"),
        ((0, -1, 60), "start_min"),
        ((0, 1440, 1440), "start_min"),
        ((0, 600, 600), "end_min"),
        ((0, 600, 599), "end_min"),
        ((0, 600, 1441), "end_min"),
    ],
)
def test_an_impossible_window_is_refused(values: tuple[int, int, int], field: str) -> None:
    """One that ends before or when it starts, or lies outside a day; the field is named."""
    weekday, start_min, end_min = values

    with pytest.raises(InvalidSchedule) as refusal:
        Window(weekday=weekday, start_min=start_min, end_min=end_min)

    assert refusal.value.code == "invalid_schedule"
    assert refusal.value.facts == {"field": field}
    assert refusal.value.message.startswith(f"{field}:")


@pytest.mark.parametrize("count", [0, 29])
def test_a_schedule_has_1_to_28_windows(count: int) -> None:
    """None would open nothing without saying so, and more do not fit into a section."""
    windows = [Window(weekday=0, start_min=n, end_min=n + 1) for n in range(count)]

    with pytest.raises(InvalidSchedule) as refusal:
        Schedule.of(windows)

    assert refusal.value.facts == {"field": "windows"}
