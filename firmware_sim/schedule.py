"""Weekly windows in a site's wall time.

An instant is turned into wall time and never the other way round: an hour that the clocks skip
cannot be met, an hour that they repeat is met twice, and a day without midnight begins at its
first instant.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.protocol.sections import HOLIDAY, Holiday, Times

DAY_ZERO: Final = date(1970, 1, 1).toordinal()
LAST_S: Final = 253_370_764_800  # 9999-01-01: the last year that can be written with four digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """What calendar and clock on the wall show at an instant."""

    day: int  # since 1970-01-01
    minute: int  # of the day
    weekday: int  # Monday is 0
    is_holiday: bool


def zone_named(name: str) -> ZoneInfo | None:
    """Return the zone, or None where this device's time zone data does not know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a folder
        return None


def wall(at_s: int, zone: ZoneInfo, holidays: Iterable[Holiday]) -> Wall:
    """Return what the wall shows at an instant, seconds UTC."""
    local = datetime.fromtimestamp(min(at_s, LAST_S), UTC).astimezone(zone)
    day = local.toordinal() - DAY_ZERO
    return Wall(
        day=day,
        minute=local.hour * 60 + local.minute,
        weekday=local.weekday(),
        is_holiday=any(one.day <= day < one.day + one.days for one in holidays),
    )


def is_inside(times: Times, now: Wall) -> bool:
    """Return whether a window is open at what the wall shows."""
    if times.from_day is not None and now.day < times.from_day:
        return False
    if times.until_day is not None and now.day >= times.until_day:
        return False
    weekday = HOLIDAY if times.observes_holidays and now.is_holiday else now.weekday
    return any(
        window.weekday == weekday and window.start_min <= now.minute < window.end_min
        for window in times.windows
    )


def contains(times: Times, *, at_s: int, zone: ZoneInfo, holidays: tuple[Holiday, ...]) -> bool:
    """Return whether the instant lies in a window."""
    return is_inside(times, wall(at_s, zone, holidays))
