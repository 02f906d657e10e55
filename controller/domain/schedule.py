"""Weekly schedules by the clock and the calendar on the site's wall."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final, Self

from controller.domain.errors import Invalid
from controller.domain.instants import EPOCH, from_seconds
from vouchers.products import HORIZON_S

FIRST_DAY: Final = EPOCH.date()  # what a hub can be told
LAST_DAY: Final = from_seconds(HORIZON_S - 1).date()
DAY_MIN: Final = 1440
DAYS: Final = 7
HOLIDAY: Final = 7  # the weekday of a holiday, where a schedule observes them
WINDOWS_MAX: Final = 28  # as many as a section has room for
HOLIDAYS_MAX: Final = 40  # of a site, over or not; as many as a lock's list has room for
HOLIDAY_DAYS_MAX: Final = 31


class InvalidSchedule(Invalid):
    """A window or a date that cannot be; ``field`` names it."""

    code = "invalid_schedule"


class InvalidHoliday(Invalid):
    """Days that cannot be a holiday; ``field`` names what is wrong."""

    code = "invalid_holiday"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Window:
    """Minutes of one weekday, from ``start_min`` to before ``end_min``."""

    weekday: int  # Monday is 0, Sunday 6, a holiday 7
    start_min: int  # minutes since midnight, 0 to 1439
    end_min: int  # first minute outside, 1 to 1440

    def __post_init__(self) -> None:
        if not 0 <= self.weekday <= HOLIDAY:
            raise InvalidSchedule(
                f"weekday: {self.weekday} is no weekday; Monday is 0, Sunday is 6, a holiday 7.",
                field="weekday",
            )
        if not 0 <= self.start_min < DAY_MIN:
            raise InvalidSchedule(
                f"start_min: {self.start_min} is no minute of a day, 0 to 1439.", field="start_min"
            )
        if not self.start_min < self.end_min <= DAY_MIN:
            raise InvalidSchedule(
                f"end_min: a window ends after it starts and by 1440; {self.end_min} does not. "
                "For a night, make two windows that meet at midnight.",
                field="end_min",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """Days on which the site keeps other hours."""

    starts_on: date
    days: int  # 1 to 31

    def __post_init__(self) -> None:
        if problem := _day_problem(self.starts_on):
            raise InvalidHoliday(f"starts_on: {problem}", field="starts_on")
        if not 1 <= self.days <= HOLIDAY_DAYS_MAX:
            raise InvalidHoliday(
                f"days: a holiday has 1 to {HOLIDAY_DAYS_MAX} days, not {self.days}. Make a longer "
                "one of several.",
                field="days",
            )

    @property
    def over_on(self) -> date:
        """Return the first day after it."""
        return self.starts_on + timedelta(days=self.days)

    def includes(self, day: date) -> bool:
        """Return whether a day is one of them."""
        return self.starts_on <= day < self.over_on

    def overlaps(self, other: "Holiday") -> bool:
        """Return whether the two have a day in common."""
        return self.starts_on < other.over_on and other.starts_on < self.over_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a group may open; the windows are sorted and do not overlap."""

    windows: tuple[Window, ...]
    observes_holidays: bool = False
    """On a holiday the windows of HOLIDAY count instead of the weekday's; without any it is shut.
    Where this is False a holiday is a day like any other."""
    starts_on: date | None = None  # first day
    ends_on: date | None = None  # last day, inside

    @classmethod
    def of(
        cls,
        windows: Iterable[Window],
        *,
        observes_holidays: bool = False,
        starts_on: date | None = None,
        ends_on: date | None = None,
    ) -> Self:
        """Return the schedule of some windows.

        Raises:
            InvalidSchedule: There is no window or there are more than 28, two overlap, a date
                cannot be, or it would never open. ``field`` names a window by its place among
                those given, as in ``windows.3``.
        """
        given = sorted((window, place) for place, window in enumerate(windows))
        if not 1 <= len(given) <= WINDOWS_MAX:
            raise InvalidSchedule(
                f"windows: a schedule has 1 to {WINDOWS_MAX} windows, not {len(given)}.",
                field="windows",
            )
        for (one, place), (other, other_place) in pairwise(given):
            if one.weekday == other.weekday and other.start_min < one.end_min:
                first, second = sorted((place, other_place))
                raise InvalidSchedule(
                    f"windows.{second}: it overlaps windows.{first}, from {other.start_min} to "
                    f"{min(one.end_min, other.end_min)} of weekday {one.weekday}. Make them one.",
                    field=f"windows.{second}",
                    overlaps=f"windows.{first}",
                )
        schedule = cls(
            windows=tuple(window for window, _ in given),
            observes_holidays=observes_holidays,
            starts_on=starts_on,
            ends_on=ends_on,
        )
        schedule._require_some_day()
        return schedule

    @classmethod
    def always(cls) -> Self:
        """Return the schedule that is open all week."""
        return cls.of(Window(weekday=day, start_min=0, end_min=DAY_MIN) for day in range(DAYS))

    def contains(self, local: datetime, holidays: Collection[Holiday]) -> bool:
        """Return whether a window is open at an instant given in the site's zone.

        Only what clock and calendar on the wall show counts: an hour that is skipped grants
        nothing, one that is repeated counts both times.
        """
        minute = local.hour * 60 + local.minute
        return any(
            window.start_min <= minute < window.end_min
            for window in self.windows_on(local.date(), holidays)
        )

    def windows_on(self, day: date, holidays: Collection[Holiday]) -> tuple[Window, ...]:
        """Return the windows of one day of the site's calendar, in order."""
        if self.starts_on is not None and day < self.starts_on:
            return ()
        if self.ends_on is not None and day > self.ends_on:
            return ()
        is_holiday = self.observes_holidays and any(one.includes(day) for one in holidays)
        weekday = HOLIDAY if is_holiday else day.weekday()
        return tuple(window for window in self.windows if window.weekday == weekday)

    def loses_days_of(self, other: Self) -> bool:
        """Return whether it starts later or ends earlier than another."""
        starts_later = self.starts_on is not None and self.starts_on > (
            other.starts_on or FIRST_DAY
        )
        ends_earlier = self.ends_on is not None and self.ends_on < (other.ends_on or LAST_DAY)
        return starts_later or ends_earlier

    def _require_some_day(self) -> None:
        """Refuse dates that cannot be, and those between which no window opens."""
        for field, day in (("starts_on", self.starts_on), ("ends_on", self.ends_on)):
            if day is not None and (problem := _day_problem(day)):
                raise InvalidSchedule(f"{field}: {problem}", field=field)
        if (
            self.starts_on is not None
            and self.ends_on is not None
            and self.ends_on < self.starts_on
        ):
            raise InvalidSchedule(
                "ends_on: a schedule ends on the day it starts or later.", field="ends_on"
            )
        weekdays = {window.weekday for window in self.windows}
        if weekdays == {HOLIDAY} and not self.observes_holidays:
            raise InvalidSchedule(
                "windows: all of them are for holidays, which this schedule does not observe. It "
                "would never open.",
                field="windows",
            )
        holidays_count = self.observes_holidays and HOLIDAY in weekdays
        if self.starts_on is None or self.ends_on is None or holidays_count:
            return
        span = min((self.ends_on - self.starts_on).days + 1, DAYS)
        met = {(self.starts_on + timedelta(days=count)).weekday() for count in range(span)}
        if not met & weekdays:
            raise InvalidSchedule(
                "ends_on: no window opens between the first and the last day. It would never open.",
                field="ends_on",
            )


def _day_problem(day: date) -> str | None:
    """Return what is wrong with a day that no hub can be told; None: nothing."""
    if FIRST_DAY <= day <= LAST_DAY:
        return None
    return f"{day} is none of the days from {FIRST_DAY} to {LAST_DAY}."
