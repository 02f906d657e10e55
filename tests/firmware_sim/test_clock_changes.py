"""Schedules at every clock change of every zone from 2000 to 2050, by three codes.

The hub's ``contains``, the cloud's ``Schedule.contains`` and plain arithmetic on seconds are asked
about instants around each change, with windows that are as long as what the change skips or
repeats. What the C library says of the same instants checks the time zone data itself.
"""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest

from controller.domain import schedule as cloud
from firmware_sim import schedule as hub
from gateway.protocol.sections import HOLIDAY, Holiday, Times, Window

FIRST_S = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
END_S = int(datetime(2051, 1, 1, tzinfo=UTC).timestamp())
DAY_S = 86_400
SEARCH_S = 5 * DAY_S  # no zone has changed its clocks twice within that time
DAY_MIN = 1440
ZONES = sorted(available_timezones())
SYSTEM_ZONES = Path("/usr/share/zoneinfo")


class Change(NamedTuple):
    """The clocks of a zone go from one offset to another."""

    at_s: int  # the first instant with the new offset
    before_s: int  # offset to UTC, seconds
    after_s: int

    @property
    def skips(self) -> bool:
        """Whether wall time is left out; otherwise some comes twice."""
        return self.after_s > self.before_s

    @property
    def length_s(self) -> int:
        """How much wall time is skipped or repeated."""
        return abs(self.after_s - self.before_s)

    @property
    def wall_s(self) -> tuple[int, int]:
        """First and end of it, as seconds since 1970 on the wall."""
        first, end = sorted((self.at_s + self.before_s, self.at_s + self.after_s))
        return first, end


class Rule(NamedTuple):
    """A schedule in everybody's words."""

    windows: tuple[tuple[int, int, int], ...]  # weekday, start, end
    observes_holidays: bool = False
    first_day: int | None = None
    last_day: int | None = None


def offset_s(zone: ZoneInfo, at_s: int) -> int:
    """Return by how much the clocks are ahead of UTC."""
    ahead = datetime.fromtimestamp(at_s, zone).utcoffset()
    assert ahead is not None
    return int(ahead.total_seconds())


@cache
def changes(name: str) -> tuple[Change, ...]:
    """Return all changes of a zone from 2000 to 2050."""
    zone = ZoneInfo(name)
    found = []
    before_s = offset_s(zone, FIRST_S)
    for at_s in range(FIRST_S, END_S, SEARCH_S):
        after_s = offset_s(zone, at_s + SEARCH_S)
        if after_s != before_s:
            low, high = at_s, at_s + SEARCH_S
            while high - low > 1:
                middle = (low + high) // 2
                if offset_s(zone, middle) == before_s:
                    low = middle
                else:
                    high = middle
            found.append(Change(high, before_s, after_s))
        before_s = after_s
    return tuple(found)


def instants(change: Change) -> Iterator[tuple[int, int]]:
    """Yield instants around a change, each with the offset that holds then."""
    length_s = change.length_s
    steps = {0, 1, length_s - 1, length_s, length_s + 1, 1800, 3600, 3 * 3600}
    for step in sorted(steps):
        yield change.at_s - step - 1, change.before_s
        yield change.at_s + step, change.after_s


def by_arithmetic(rule: Rule, at_s: int, ahead_s: int, holidays: set[int]) -> bool:
    """Judge by seconds on the wall alone, without a calendar."""
    day, second = divmod(at_s + ahead_s, DAY_S)
    if rule.first_day is not None and day < rule.first_day:
        return False
    if rule.last_day is not None and day > rule.last_day:
        return False
    weekday = (day + 3) % 7  # day 0 was a Thursday
    if rule.observes_holidays and day in holidays:
        weekday = 7
    return any(weekday == on and start * 60 <= second < end * 60 for on, start, end in rule.windows)


def stretches(change: Change) -> tuple[tuple[int, int], ...]:
    """Return the minutes of the day that a change skips or repeats, cut at midnight."""
    first, _ = change.wall_s
    start_min = first // 60 % DAY_MIN
    end_min = start_min + -(-change.length_s // 60)
    if end_min <= DAY_MIN:
        return ((start_min, end_min),)
    return (start_min, DAY_MIN), (0, min(end_min - DAY_MIN, start_min))


def rules(change: Change) -> Iterator[tuple[Rule, set[int]]]:
    """Yield schedules that tell the instants around a change apart, with the site's holidays."""
    touched = [each for each in stretches(change) if each[0] < each[1]]
    daily = tuple((day, *each) for day in range(7) for each in touched)
    on_holidays = tuple((HOLIDAY, *each) for each in touched)
    first_s, end_s = change.wall_s
    first, last, end = first_s // DAY_S, (end_s - 1) // DAY_S, end_s // DAY_S
    whole_week = tuple((day, 0, DAY_MIN) for day in range(7))
    yield Rule(daily, first_day=first, last_day=last), {first}
    yield Rule(on_holidays, observes_holidays=True), {first}
    yield Rule((*daily, *on_holidays), observes_holidays=True, first_day=end), {end}
    yield Rule(whole_week, first_day=first, last_day=first), set()
    yield Rule(whole_week, observes_holidays=True), {end}


def at_hub(rule: Rule) -> Times:
    """Return a rule as the hub has it."""
    return Times(
        windows=tuple(
            Window(weekday=on, start_min=start, end_min=end) for on, start, end in rule.windows
        ),
        observes_holidays=rule.observes_holidays,
        from_day=rule.first_day,
        until_day=None if rule.last_day is None else rule.last_day + 1,
    )


def in_the_cloud(rule: Rule) -> cloud.Schedule:
    """Return a rule as the cloud has it."""
    return cloud.Schedule(
        windows=tuple(
            cloud.Window(weekday=on, start_min=start, end_min=end)
            for on, start, end in rule.windows
        ),
        observes_holidays=rule.observes_holidays,
        starts_on=None if rule.first_day is None else date_of(rule.first_day),
        ends_on=None if rule.last_day is None else date_of(rule.last_day),
    )


def date_of(day: int) -> date:
    """Return a day as a date."""
    return date(1970, 1, 1) + timedelta(days=day)


@pytest.mark.invariant("A6")
@pytest.mark.parametrize("name", ZONES)
def test_hub_and_cloud_read_the_wall_alike(name: str) -> None:
    """Around each change hub, cloud and arithmetic agree on weekdays, holidays and dates."""
    zone = ZoneInfo(name)
    for change in changes(name):
        moments = [
            (at_s, ahead_s, datetime.fromtimestamp(at_s, UTC).astimezone(zone))
            for at_s, ahead_s in instants(change)
        ]
        for rule, days in rules(change):
            times, schedule = at_hub(rule), in_the_cloud(rule)
            held = tuple(Holiday(day=day, days=1) for day in days)
            site = [cloud.Holiday(starts_on=date_of(day), days=1) for day in days]
            for at_s, ahead_s, local in moments:
                verdicts = (
                    hub.contains(times, at_s=at_s, zone=zone, holidays=held),
                    schedule.contains(local, site),
                )
                expected = by_arithmetic(rule, at_s, ahead_s, days)
                assert verdicts == (expected, expected), f"{change}, {rule}, {local}"


@pytest.mark.invariant("A6")
@pytest.mark.parametrize("name", ZONES)
def test_what_is_skipped_cannot_be_met_and_what_is_repeated_is_met_twice(name: str) -> None:
    """A window as long as the change itself: shut all the time, or open through both passes."""
    zone = ZoneInfo(name)
    for change in changes(name):
        rule, _ = next(rules(change))
        times = at_hub(rule)

        def is_open(at_s: int, times: Times = times) -> bool:
            return hub.contains(times, at_s=at_s, zone=zone, holidays=())

        first, length_s = change.at_s, change.length_s
        if change.skips:
            assert not is_open(first - 1), change
            assert not is_open(first), change
        elif length_s % 60 == 0:
            assert is_open(first - length_s), change
            assert is_open(first - 1), change
            assert is_open(first), change
            assert is_open(first + length_s - 1), change
            assert not is_open(first + length_s), change


def test_there_is_something_to_test() -> None:
    """The zones of this machine change their clocks as often as the tz database says."""
    assert len(ZONES) > 400
    assert sum(len(changes(name)) for name in ZONES) > 10_000
    assert len(changes("Europe/Madrid")) == 2 * 51
    assert max(each.length_s for each in changes("Pacific/Apia")) == DAY_S


@pytest.mark.invariant("A6")
@pytest.mark.skipif(not SYSTEM_ZONES.is_dir(), reason="the C library has no zones here")
def test_the_c_library_reads_the_wall_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Date, minute and weekday of every instant around every change, as another code has them."""
    try:
        for name in ZONES:
            if not (SYSTEM_ZONES / name).is_file():
                continue
            monkeypatch.setenv("TZ", f":{SYSTEM_ZONES / name}")
            time.tzset()
            zone = ZoneInfo(name)
            for at_s, _ in (each for change in changes(name) for each in instants(change)):
                shown = time.localtime(at_s)
                wall = hub.wall(at_s, zone, ())
                assert (date_of(wall.day), wall.minute, wall.weekday) == (
                    date(*shown[:3]),
                    shown.tm_hour * 60 + shown.tm_min,
                    shown.tm_wday,
                ), f"{name} at {at_s}"
    finally:
        monkeypatch.undo()
        time.tzset()
