"""Weekly schedules by the clock on the site's wall."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from controller.domain.errors import Invalid

DAY_MIN: Final = 1440
DAYS: Final = 7
WINDOWS_MAX: Final = 28  # four a day, as many as a section has room for


class InvalidSchedule(Invalid):
    """A window that cannot be; ``field`` names it."""

    code = "invalid_schedule"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Window:
    """Minutes of one weekday, from ``start_min`` to before ``end_min``."""

    weekday: int  # Monday is 0
    start_min: int  # minutes since midnight, 0 to 1439
    end_min: int  # first minute outside, 1 to 1440

    def __post_init__(self) -> None:
        if not 0 <= self.weekday < DAYS:
            raise InvalidSchedule(
                f"weekday: {self.weekday} is no weekday; Monday is 0, Sunday is 6.",
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
class Schedule:
    """When a group may open; the windows are sorted and each is there once."""

    windows: tuple[Window, ...]

    @classmethod
    def of(cls, windows: Iterable[Window]) -> Self:
        """Return the schedule of some windows.

        Raises:
            InvalidSchedule: There is none, or there are more than 28.
        """
        unique = tuple(sorted(set(windows)))
        if not 1 <= len(unique) <= WINDOWS_MAX:
            raise InvalidSchedule(
                f"windows: a schedule has 1 to {WINDOWS_MAX} windows, not {len(unique)}.",
                field="windows",
            )
        return cls(windows=unique)

    @classmethod
    def always(cls) -> Self:
        """Return the schedule that is open all week."""
        return cls.of(Window(weekday=day, start_min=0, end_min=DAY_MIN) for day in range(DAYS))

    def contains(self, local: datetime) -> bool:
        """Return whether a window is open at an instant given in the site's zone.

        Only what the wall clock shows counts: an hour that is skipped grants nothing, one that
        is repeated counts both times.
        """
        minute = local.hour * 60 + local.minute
        return any(
            window.weekday == local.weekday() and window.start_min <= minute < window.end_min
            for window in self.windows
        )
