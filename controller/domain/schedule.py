"""Weekly schedules by the clock on the site's wall."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from controller.domain.errors import Invalid

DAY_MIN: Final = 1440
WINDOWS_MAX: Final = 70  # ten a day


class InvalidSchedule(Invalid):
    """A window that cannot be; ``field`` names it."""

    code = "invalid_schedule"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Window:
    """Minutes of one weekday, from ``start_min`` to before ``end_min``."""

    weekday: int  # Monday is 0
    start_min: int  # minutes since midnight, 0 to 1439
    end_min: int  # first minute outside, 1 to 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a group may open; the windows are sorted and each is there once."""

    windows: tuple[Window, ...]

    @classmethod
    def of(cls, windows: Iterable[Window]) -> Self:
        """Return the schedule of some windows.

        Raises:
            InvalidSchedule: There is none, or there are more than 70.
        """
        raise NotImplementedError

    @classmethod
    def always(cls) -> Self:
        """Return the schedule that is open all week."""
        raise NotImplementedError

    def contains(self, local: datetime) -> bool:
        """Return whether a window is open at an instant given in the site's zone.

        Only what the wall clock shows counts: an hour that is skipped grants nothing, one that
        is repeated counts both times.
        """
        raise NotImplementedError
