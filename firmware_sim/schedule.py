"""Weekly windows in a site's wall time.

An instant is turned into wall time and never the other way round: an hour that the clocks skip
cannot be met, an hour that they repeat is met twice, and a day without midnight begins at its
first instant.
"""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.protocol.sections import Window

LAST_S: Final = 253_370_764_800  # 9999-01-01: the last year that can be written with four digits


def zone_named(name: str) -> ZoneInfo | None:
    """Return the zone, or None where this device's time zone data does not know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a folder
        return None


def contains(windows: tuple[Window, ...], *, at_s: int, zone: ZoneInfo) -> bool:
    """Return whether the instant lies in a window."""
    local = datetime.fromtimestamp(min(at_s, LAST_S), UTC).astimezone(zone)
    weekday, minute = local.weekday(), local.hour * 60 + local.minute
    return any(
        window.weekday == weekday and window.start_min <= minute < window.end_min
        for window in windows
    )
