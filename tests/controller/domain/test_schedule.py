"""Weekly schedules, and what daylight saving, holidays and dates do to them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.schedule import (
    HOLIDAY,
    Holiday,
    InvalidHoliday,
    InvalidSchedule,
    Schedule,
    Window,
)

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


def on(day: date, start_min: int, end_min: int) -> Window:
    """A window on the weekday of a day."""
    return Window(weekday=day.weekday(), start_min=start_min, end_min=end_min)


def minutes_open(
    schedule: Schedule, zone: str, day: date, holidays: tuple[Holiday, ...] = ()
) -> list[str]:
    """What the wall shows in each real minute of a day in which the schedule is open."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    instants = (midnight - timedelta(hours=15) + n * MINUTE for n in range(60 * 48))
    walls = (instant.astimezone(ZoneInfo(zone)) for instant in instants)
    return [
        wall.strftime("%H:%M")
        for wall in walls
        if wall.date() == day and schedule.contains(wall, holidays)
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
@pytest.mark.parametrize(
    ("zone", "day", "window", "skipped"),
    [
        ("Europe/Madrid", date(2026, 3, 29), (120, 180), 60),  # 01:59 is followed by 03:00
        ("Europe/Amsterdam", date(2026, 3, 29), (120, 180), 60),
        ("America/New_York", date(2026, 3, 8), (120, 180), 60),
        ("Australia/Lord_Howe", date(2026, 10, 4), (120, 150), 30),  # half an hour only
        ("Africa/Cairo", date(2026, 4, 24), (0, 60), 60),  # midnight itself
        ("America/Sao_Paulo", date(2018, 11, 4), (0, 60), 60),
        ("Pacific/Apia", date(2011, 12, 30), (0, 1440), 1440),  # a whole day
    ],
)
def test_what_the_wall_skips_grants_nothing(
    zone: str, day: date, window: tuple[int, int], skipped: int
) -> None:
    """A window in the minutes that the wall never shows is never open, one around is shorter."""
    inside = Schedule.of([on(day, *window)])
    around = Schedule.of([on(day, 0, 1440)])

    assert minutes_open(inside, zone, day) == []
    assert len(minutes_open(around, zone, day)) == 1440 - skipped


@pytest.mark.invariant("A6")
@pytest.mark.parametrize(
    ("zone", "day", "window"),
    [
        ("Europe/Madrid", date(2026, 10, 25), (120, 180)),  # 02:59 is followed by 02:00
        ("Europe/Amsterdam", date(2026, 10, 25), (120, 180)),
        ("America/New_York", date(2026, 11, 1), (60, 120)),
        ("Australia/Lord_Howe", date(2026, 4, 5), (90, 120)),
        ("Africa/Cairo", date(2026, 10, 29), (1380, 1440)),  # the day before comes back
        ("America/Sao_Paulo", date(2019, 2, 16), (1380, 1440)),
    ],
)
def test_what_the_wall_repeats_counts_both_times(
    zone: str, day: date, window: tuple[int, int]
) -> None:
    """A window in the minutes that the wall shows twice is open twice as long."""
    start_min, end_min = window

    minutes = minutes_open(Schedule.of([on(day, *window)]), zone, day)

    assert len(minutes) == 2 * (end_min - start_min)
    assert len(set(minutes)) == end_min - start_min


@pytest.mark.invariant("A6")
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Asia/Beirut", date(2026, 3, 29)),
        ("Africa/Cairo", date(2026, 4, 24)),
        ("America/Sao_Paulo", date(2018, 11, 4)),
    ],
)
def test_a_day_without_midnight_starts_at_its_first_instant(zone: str, day: date) -> None:
    """Where the wall goes from 23:59 to 01:00, a window from midnight is open from 01:00."""
    minutes = minutes_open(Schedule.of([on(day, 0, 90)]), zone, day)

    assert minutes == [f"01:{minute:02}" for minute in range(30)]


@pytest.mark.invariant("A6")
def test_dates_and_holidays_are_those_of_the_wall() -> None:
    """In Apia 30 December 2011 was skipped: nothing begins, ends or is celebrated on it."""
    before, after = date(2011, 12, 29), date(2011, 12, 31)
    every_day = [Window(weekday=weekday, start_min=0, end_min=1440) for weekday in range(7)]
    first, last = Schedule.of(every_day, ends_on=before), Schedule.of(every_day, starts_on=after)
    both = Schedule.of(every_day, starts_on=before, ends_on=after, observes_holidays=True)
    skipped = [Holiday(starts_on=date(2011, 12, 30), days=1)]
    change = datetime(2011, 12, 30, 10, tzinfo=UTC)  # 23:59:59 on the 29th, then 00:00 on the 31st

    open_at = [
        [schedule.contains(at.astimezone(ZoneInfo("Pacific/Apia")), skipped) for at in instants]
        for schedule in (first, last, both)
        for instants in [(change - MINUTE, change, change + timedelta(days=1))]
    ]

    assert open_at == [[True, False, False], [False, True, True], [True, True, False]]


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


@pytest.mark.parametrize(
    ("start_min", "end_min"), [(480, 600), (0, 1440), (599, 601), (470, 481), (500, 510)]
)
def test_two_windows_of_a_day_do_not_overlap(start_min: int, end_min: int) -> None:
    """The later one given is named, with the one that is in its way."""
    windows = [
        Window(weekday=1, start_min=480, end_min=600),
        Window(weekday=2, start_min=480, end_min=600),
        Window(weekday=2, start_min=start_min, end_min=end_min),
    ]

    refusals = []
    for order in (windows, windows[::-1]):
        with pytest.raises(InvalidSchedule) as refusal:
            Schedule.of(order)
        refusals.append(refusal.value.facts)

    assert refusals == [
        {"field": "windows.2", "overlaps": "windows.1"},
        {"field": "windows.1", "overlaps": "windows.0"},
    ]


@given(st.lists(WINDOWS, min_size=1, max_size=28))
def test_windows_are_taken_exactly_if_none_overlap(windows: list[Window]) -> None:
    """What is refused has a minute in two windows, what is taken has none."""
    minutes = [
        (window.weekday, minute)
        for window in windows
        for minute in range(window.start_min, window.end_min)
    ]

    try:
        Schedule.of(windows)
        taken = True
    except InvalidSchedule as refusal:
        taken = False
        second, first = (
            windows[int(str(refusal.facts[key]).removeprefix("windows."))]
            for key in ("field", "overlaps")
        )
        assert second.weekday == first.weekday
        assert max(first.start_min, second.start_min) < min(first.end_min, second.end_min)

    assert taken == (len(set(minutes)) == len(minutes))


def test_on_a_holiday_its_own_windows_count() -> None:
    """A schedule that observes holidays follows weekday 7 then; another one takes no notice."""
    monday = date(2026, 3, 2)
    windows = [on(monday, 480, 1080), Window(weekday=HOLIDAY, start_min=600, end_min=660)]
    holidays = (Holiday(starts_on=date(2026, 3, 1), days=2),)

    def open_on(day: date, *given: Window, observes: bool) -> int:
        schedule = Schedule.of(given, observes_holidays=observes)
        return len(minutes_open(schedule, "Europe/Madrid", day, holidays))

    assert open_on(monday, *windows, observes=True) == 60
    assert open_on(monday, *windows, observes=False) == 600
    assert open_on(monday, windows[0], observes=True) == 0
    assert open_on(monday + timedelta(days=7), *windows, observes=True) == 600


def test_a_holiday_has_its_days_and_no_others() -> None:
    """From its first day for as many days as it has; two that meet do not overlap."""
    holiday = Holiday(starts_on=date(2026, 12, 24), days=3)
    days = [date(2026, 12, day) for day in (23, 24, 26, 27)]

    assert [holiday.includes(day) for day in days] == [False, True, True, False]
    assert holiday.over_on == days[-1]
    assert not holiday.overlaps(Holiday(starts_on=date(2026, 12, 27), days=1))
    assert not holiday.overlaps(Holiday(starts_on=date(2026, 12, 20), days=4))
    assert holiday.overlaps(Holiday(starts_on=date(2026, 12, 26), days=1))
    assert holiday.overlaps(Holiday(starts_on=date(2026, 12, 20), days=31))


@pytest.mark.parametrize(
    ("starts_on", "days", "field"),
    [
        (date(2026, 1, 1), 0, "days"),
        (date(2026, 1, 1), 32, "days"),
        (date(1969, 12, 31), 1, "starts_on"),
        (date(2100, 1, 1), 1, "starts_on"),
    ],
)
def test_an_impossible_holiday_is_refused(starts_on: date, days: int, field: str) -> None:
    """One without days, with more than a list holds, or outside what a hub can be told."""
    with pytest.raises(InvalidHoliday) as refusal:
        Holiday(starts_on=starts_on, days=days)

    assert refusal.value.facts == {"field": field}


@given(
    st.dates(date(2026, 3, 1), date(2026, 3, 20)),
    st.integers(0, 12),
    st.integers(0, 40),
)
def test_dates_bound_a_schedule(starts_on: date, length: int, day: int) -> None:
    """From the first day on the wall to the last, both inside."""
    ends_on = starts_on + timedelta(days=length)
    asked = date(2026, 2, 20) + timedelta(days=day)
    every_day = Schedule.always().windows
    noon = datetime(asked.year, asked.month, asked.day, 12, tzinfo=UTC)

    schedule = Schedule.of(every_day, starts_on=starts_on, ends_on=ends_on)

    assert schedule.contains(noon, ()) is (starts_on <= asked <= ends_on)


MONDAY_ONLY = [Window(weekday=0, start_min=0, end_min=60)]
HOLIDAY_ONLY = [Window(weekday=HOLIDAY, start_min=0, end_min=60)]


@pytest.mark.parametrize(
    ("windows", "more", "field"),
    [
        (MONDAY_ONLY, {"starts_on": date(2026, 3, 3), "ends_on": date(2026, 3, 2)}, "ends_on"),
        (MONDAY_ONLY, {"starts_on": date(2026, 3, 3), "ends_on": date(2026, 3, 8)}, "ends_on"),
        (MONDAY_ONLY, {"starts_on": date(2026, 3, 3), "ends_on": date(2026, 3, 9)}, None),
        (MONDAY_ONLY, {"starts_on": date(2026, 3, 2), "ends_on": date(2026, 3, 2)}, None),
        (HOLIDAY_ONLY, {}, "windows"),
        (HOLIDAY_ONLY, {"observes_holidays": True}, None),
        (
            HOLIDAY_ONLY + MONDAY_ONLY,
            {"starts_on": date(2026, 3, 3), "ends_on": date(2026, 3, 8)},
            "ends_on",
        ),
        (MONDAY_ONLY, {"starts_on": date(1969, 12, 31)}, "starts_on"),
        (MONDAY_ONLY, {"ends_on": date(2100, 1, 1)}, "ends_on"),
        (MONDAY_ONLY, {"ends_on": date(2099, 12, 31)}, None),
    ],
)
def test_a_schedule_that_never_opens_is_refused(
    windows: list[Window], more: dict[str, Any], field: str | None
) -> None:
    """An end before the start, dates without any window between them, holidays not observed."""
    facts = None
    try:
        Schedule.of(windows, **more)
    except InvalidSchedule as refusal:
        facts = refusal.facts

    assert facts == (field and {"field": field})
