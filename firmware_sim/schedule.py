"""Weekly windows in a site's wall time.

An instant is turned into wall time and never the other way round: an hour that the clocks skip
cannot be met, an hour that they repeat is met twice, and a day without midnight begins at its
first instant.
"""

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.protocol.sections import HOLIDAY, Holiday, Times
from gateway.protocol.wire import INT_MAX

DAY_ZERO: Final = date(1970, 1, 1).toordinal()
LAST_S: Final = 253_370_764_800  # 9999-01-01: the last year that can be written with four digits


def zone_named(name: str) -> ZoneInfo | None:
    """Return the zone, or None where this device's time zone data does not know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a folder
        return None


def contains(times: Times, *, at_s: int, zone: ZoneInfo, holidays: tuple[Holiday, ...]) -> bool:
    """Return whether the instant lies in a window."""
    local = datetime.fromtimestamp(min(at_s, LAST_S), UTC).astimezone(zone)
    day, minute = local.toordinal() - DAY_ZERO, local.hour * 60 + local.minute
    if not (times.from_day or 0) <= day < (times.until_day or INT_MAX):
        return False
    weekday = local.weekday()
    if times.observes_holidays and any(one.day <= day < one.day + one.days for one in holidays):
        weekday = HOLIDAY
    return any(
        window.weekday == weekday and window.start_min <= minute < window.end_min
        for window in times.windows
    )
