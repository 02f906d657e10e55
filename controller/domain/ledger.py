"""The value that flows through a site's subscription: what came in, was used, was given up.

For every site and at every instant: paid = consumed + forfeited + the value of the balance, in
exact value units.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, assert_never

from controller.domain.entitlements import AddOnRedeemed, SeatsRedeemed
from controller.domain.history import HistoryEntry
from controller.domain.subscription import (
    Cancelled,
    Expired,
    FreeWeekStarted,
    PlanRedeemed,
    Subscription,
    begun,
    ended,
)
from vouchers.carry_over import Balance


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """The value that one history entry moved, in value units."""

    paid: int = 0
    consumed: int = 0  # used by the subscription that the entry ended
    forfeited: int = 0  # left of it, and given up by expiry or cancelling


NONE: Final = Posting()


def postings(current: Subscription, entries: Iterable[HistoryEntry]) -> tuple[Posting, ...]:
    """Return the posting of each entry.

    Args:
        current: The subscription before the first entry.
        entries: In their order.
    """
    posted = []
    for entry in entries:
        posting, current = _posted(current, entry)
        posted.append(posting)
    return tuple(posted)


def _posted(current: Subscription, entry: HistoryEntry) -> tuple[Posting, Subscription]:
    whole = current.left(current.started_at)
    match entry:
        case FreeWeekStarted():
            return NONE, begun(entry)
        case PlanRedeemed():
            paid = entry.term_s * entry.rate
            return Posting(paid=paid, consumed=whole.value - entry.left_value), begun(entry)
        case Expired():
            return _ended(whole, left=whole.rest), ended(current, entry)
        case Cancelled():
            return _ended(whole, left=current.left(entry.at).value), ended(current, entry)
        case AddOnRedeemed() | SeatsRedeemed():
            return NONE, current
        case _:
            assert_never(entry)


def _ended(whole: Balance, *, left: int) -> Posting:
    return Posting(consumed=whole.value - left, forfeited=left)
