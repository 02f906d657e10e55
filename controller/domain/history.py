"""The append-only history of what a site holds; folding it gives the present."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, assert_never

from pydantic import TypeAdapter

from controller.domain.entitlements import (
    AddOnRedeemed,
    Holdings,
    SeatsRedeemed,
    with_add_on,
    with_seats,
)
from controller.domain.subscription import (
    Cancelled,
    Expired,
    FreeWeekStarted,
    PlanRedeemed,
    begun,
    ended,
)

HistoryEntry = FreeWeekStarted | PlanRedeemed | AddOnRedeemed | SeatsRedeemed | Expired | Cancelled

_ADAPTERS: Final[dict[str, TypeAdapter[HistoryEntry]]] = {
    FreeWeekStarted.kind: TypeAdapter(FreeWeekStarted),
    PlanRedeemed.kind: TypeAdapter(PlanRedeemed),
    AddOnRedeemed.kind: TypeAdapter(AddOnRedeemed),
    SeatsRedeemed.kind: TypeAdapter(SeatsRedeemed),
    Expired.kind: TypeAdapter(Expired),
    Cancelled.kind: TypeAdapter(Cancelled),
}


def fold(entries: Iterable[HistoryEntry]) -> Holdings:
    """Return what a site holds after its whole history, oldest entry first.

    Raises:
        ValueError: The history does not begin with the free week.
    """
    holdings: Holdings | None = None
    for entry in entries:
        if holdings is None:
            if not isinstance(entry, FreeWeekStarted):
                raise ValueError(f"a history begins with the free week, not with {entry.kind}")
            holdings = Holdings(subscription=begun(entry))
        else:
            holdings = _after(holdings, entry)
    if holdings is None:
        raise ValueError("a site without a history holds nothing")
    return holdings


def to_record(entry: HistoryEntry) -> dict[str, object]:
    """Return an entry's facts as JSON values, without its ``kind``."""
    record: dict[str, object] = _ADAPTERS[entry.kind].dump_python(entry, mode="json")
    return record


def from_record(kind: str, record: Mapping[str, object]) -> HistoryEntry:
    """Return the entry that ``to_record`` wrote."""
    return _ADAPTERS[kind].validate_python(record)


def _after(holdings: Holdings, entry: HistoryEntry) -> Holdings:
    match entry:
        case FreeWeekStarted() | PlanRedeemed():
            return replace(holdings, subscription=begun(entry))
        case Expired() | Cancelled():
            return replace(holdings, subscription=ended(holdings.subscription, entry))
        case AddOnRedeemed():
            return with_add_on(holdings, entry)
        case SeatsRedeemed():
            return with_seats(holdings, entry)
        case _:
            assert_never(entry)
