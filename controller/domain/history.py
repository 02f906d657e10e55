"""The append-only history of what a site holds; folding it gives the present."""

from collections.abc import Iterable, Mapping

from controller.domain.entitlements import AddOnRedeemed, Holdings, SeatsRedeemed
from controller.domain.subscription import Cancelled, Expired, FreeWeekStarted, PlanRedeemed

HistoryEntry = FreeWeekStarted | PlanRedeemed | AddOnRedeemed | SeatsRedeemed | Expired | Cancelled


def fold(entries: Iterable[HistoryEntry]) -> Holdings:
    """Return what a site holds after its whole history, oldest entry first.

    Raises:
        ValueError: The history does not begin with the free week.
    """
    raise NotImplementedError


def to_record(entry: HistoryEntry) -> dict[str, object]:
    """Return an entry's facts as JSON values, without its ``kind``; instants are whole seconds."""
    raise NotImplementedError


def from_record(kind: str, record: Mapping[str, object]) -> HistoryEntry:
    """Return the entry that ``to_record`` wrote."""
    raise NotImplementedError
