"""When a schedule opens, as spans of instants: what ``Schedule.contains`` says of every instant.

Source: docs/algorithms/schedules.md.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

from controller.domain.instants import from_seconds, to_seconds
from controller.domain.schedule import Holiday, Schedule

MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
_STEP: Final = DAY  # no zone changes its clocks twice in a day


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """Instants from ``starts_at`` to before ``ends_at``; at least one."""

    starts_at: datetime
    ends_at: datetime

    def part(self, starts_at: datetime | None, ends_at: datetime | None) -> Self | None:
        """Return what of it lies between two instants, None being no bound; None if nothing."""
        first = self.starts_at if starts_at is None else max(self.starts_at, starts_at)
        end = self.ends_at if ends_at is None else min(self.ends_at, ends_at)
        return type(self)(starts_at=first, ends_at=end) if first < end else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """When something that is shut opens, or something open shuts, as far as can be foreseen."""

    opens_at: datetime | None  # None: it is open, or stays shut
    open_until: datetime | None  # None: it is shut, or stays open

    @classmethod
    def of(cls, spans: Sequence[Span], within: Span) -> Self:
        """Return the outlook at the start of a span, from the openings in it."""
        if not spans:
            return cls(opens_at=None, open_until=None)
        first = spans[0]
        if first.starts_at > within.starts_at:
            return cls(opens_at=first.starts_at, open_until=None)
        stays = first.ends_at >= within.ends_at
        return cls(opens_at=None, open_until=None if stays else first.ends_at)


def openings(
    schedule: Schedule, within: Span, *, zone: ZoneInfo, holidays: Collection[Holiday]
) -> list[Span]:
    """Return when a schedule is open within a span, in order and without two that touch."""
    found = []
    for steady, offset in _steady(zone, within):
        wall = (steady.starts_at + offset).replace(tzinfo=None)
        midnight = datetime.combine(wall.date(), time(), UTC) - offset
        while midnight < steady.ends_at:
            day = (midnight + offset).date()
            for window in schedule.windows_on(day, holidays):
                opens_at = midnight + window.start_min * MINUTE
                shuts_at = midnight + window.end_min * MINUTE
                if open_then := steady.part(opens_at, shuts_at):
                    found.append(open_then)
            midnight += DAY
    return merged(found)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same instants in as few spans as can be, in order."""
    kept: list[Span] = []
    for span in sorted(spans):
        if kept and span.starts_at <= kept[-1].ends_at:
            last = kept.pop()
            ends_at = max(last.ends_at, span.ends_at)
            kept.append(Span(starts_at=last.starts_at, ends_at=ends_at))
        else:
            kept.append(span)
    return kept


def _steady(zone: ZoneInfo, within: Span) -> Iterator[tuple[Span, timedelta]]:
    """Cut a span where the zone changes its clocks; each piece comes with its offset to UTC."""
    starts_at, at = within.starts_at, within.starts_at
    offset = _offset(zone, at)
    while at < within.ends_at:
        ahead = min(at + _STEP, within.ends_at)
        if _offset(zone, ahead) != offset:
            ahead = _change(zone, at, ahead)
            if ahead < within.ends_at:
                yield Span(starts_at=starts_at, ends_at=ahead), offset
                starts_at, offset = ahead, _offset(zone, ahead)
        at = ahead
    yield Span(starts_at=starts_at, ends_at=within.ends_at), offset


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first instant with the offset of ``after``; clocks change at whole seconds."""
    low, high = to_seconds(before), to_seconds(after)
    wanted = _offset(zone, after)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, from_seconds(middle)) == wanted:
            high = middle
        else:
            low = middle
    return from_seconds(high)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None, "a zone of the tz database has an offset at every instant"
    return offset
