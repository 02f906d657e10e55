"""Weekly schedules by the clock and the calendar on the site's wall."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final, Self

from controller.domain.errors import Invalid

DAY_MIN: Final = 1440
DAYS: Final = 7
HOLIDAY: Final = 7  # the weekday of a holiday, where a schedule observes them
WINDOWS_MAX: Final = 28  # as many as a section has room for
HOLIDAYS_MAX: Final = 40  # of a site that are not over, as many as a lock's list has room for
HOLIDAY_DAYS_MAX: Final = 31


class InvalidSchedule(Invalid):
    """A window that cannot be; ``field`` names it."""

    code = "invalid_schedule"


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

    def includes(self, day: date) -> bool:
        """Return whether a day is one of them."""
        return self.starts_on <= day < self.starts_on + timedelta(days=self.days)


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
            InvalidSchedule: There is no window or there are more than 28, two overlap, or it
                would never open.
        """
        ordered = tuple(sorted(windows))
        if not 1 <= len(ordered) <= WINDOWS_MAX:
            raise InvalidSchedule(
                f"windows: a schedule has 1 to {WINDOWS_MAX} windows, not {len(ordered)}.",
                field="windows",
            )
        for one, next_one in pairwise(ordered):
            if one.weekday == next_one.weekday and next_one.start_min < one.end_min:
                raise InvalidSchedule(
                    f"windows: two windows of weekday {one.weekday} overlap, from "
                    f"{one.start_min} to {one.end_min} and from {next_one.start_min} to "
                    f"{next_one.end_min}. Make them one.",
                    field="windows",
                )
        schedule = cls(
            windows=ordered,
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
        day = local.date()
        if self.starts_on is not None and day < self.starts_on:
            return False
        if self.ends_on is not None and day > self.ends_on:
            return False
        is_holiday = self.observes_holidays and any(one.includes(day) for one in holidays)
        weekday = HOLIDAY if is_holiday else day.weekday()
        minute = local.hour * 60 + local.minute
        return any(
            window.weekday == weekday and window.start_min <= minute < window.end_min
            for window in self.windows
        )

    def _require_some_day(self) -> None:
        """Refuse dates between which no window opens."""
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
        if self.starts_on is None or self.ends_on is None or HOLIDAY in weekdays:
            return
        span = min((self.ends_on - self.starts_on).days + 1, DAYS)
        met = {(self.starts_on + timedelta(days=count)).weekday() for count in range(span)}
        if not met & weekdays:
            raise InvalidSchedule(
                "ends_on: no window opens between the first and the last day. It would never open.",
                field="ends_on",
            )
