"""What a revocation cannot take back at once: which lock may still open, how, and until when.

A hub and a lock go by what they have last heard. So until both have confirmed, this is what may
happen at worst. It is judged by their own clocks: a lock whose battery was out lags behind by that.

Source: docs/algorithms/offline-lists.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

_EVER: Final = datetime.max.replace(tzinfo=UTC)


class Way(StrEnum):
    """How a lock may still open."""

    HUB = "hub_unconfirmed"  # its hub has not heard, and lets in by what it knows
    LIST = "offline_list"  # the lock is out of reach and holds a list that names the credential
    MEMORY = "memory"  # likewise; it remembers an opening that is known
    UNTOLD = "memory_untold"  # likewise, if there was an opening that the cloud was not told of


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One way in which a lock may still open; ``until`` is the first instant at which not."""

    way: Way
    until: datetime | None  # None: until the lock is reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A lock that has not confirmed a revocation, and what it goes by."""

    hub_confirmed_at: datetime | None  # when its hub did
    serve_until: datetime  # a hub that hears nothing more is silent from then on
    memory_days: int
    lists: tuple[frozenset[datetime | None], ...] | None
    """Of each list that the lock may hold, the ends of the grants that name the credential; empty
    if none does. None: nobody knows what the lock holds."""
    opened_at: datetime | None  # the last opening by the hub that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """How long the credential was good for, as hub and lock may still believe."""

    ends_at: datetime | None  # the latest that any of them may have been told
    document_until: datetime | None = None
    """End of a digital key's last access document; None while it gets new ones, and for others."""


def openings(place: Place, before: Before, *, now: datetime) -> tuple[Opening, ...]:
    """Return how a lock may still open to a credential at ``now`` or later; empty: it cannot."""
    found = (*_by_hub(place, before), *_by_list(place, before), *_by_memory(place, before))
    return tuple(one for one in found if one.until is None or now < one.until)


def over_at(place: Place, before: Before, *, revoked_at: datetime) -> datetime:
    """Return since when a lock cannot open any more, where ``openings`` says that it cannot."""
    found = (*_by_hub(place, before), *_by_list(place, before), *_by_memory(place, before))
    ends = [one.until for one in found if one.until is not None]
    return max([revoked_at, *ends, *([place.hub_confirmed_at] if place.hub_confirmed_at else [])])


def latest(several: tuple[Opening, ...]) -> datetime | None:
    """Return when the last of some openings is over; None: not before the lock is reached."""
    untils = [one.until for one in several]
    return None if None in untils else max(filter(None, untils), default=None)


def _by_hub(place: Place, before: Before) -> list[Opening]:
    if place.hub_confirmed_at is not None:
        return []
    return [Opening(way=Way.HUB, until=_earliest(place.serve_until, *_ends(before)))]


def _by_list(place: Place, before: Before) -> list[Opening]:
    """A list says itself when it ends; an access document that is over ends it before."""
    if place.lists is None:
        return [Opening(way=Way.LIST, until=before.document_until)]
    ends = frozenset().union(*place.lists)
    if not ends:
        return []
    last = max(end or _EVER for end in ends)
    until = _earliest(last, before.document_until)
    return [Opening(way=Way.LIST, until=None if until == _EVER else until)]


def _by_memory(place: Place, before: Before) -> list[Opening]:
    """Whom the list names is not remembered. A hub that has not heard may let in to the last."""
    if place.memory_days == 0 or (place.lists and all(place.lists)):
        return []
    kept = timedelta(days=place.memory_days)
    last = place.hub_confirmed_at or place.serve_until
    found = [Opening(way=Way.UNTOLD, until=_earliest(last + kept, *_ends(before)))]
    if place.opened_at is not None:
        until = _earliest(place.opened_at + kept, *_ends(before))
        found.insert(0, Opening(way=Way.MEMORY, until=until))
    return found


def _ends(before: Before) -> tuple[datetime | None, datetime | None]:
    return before.ends_at, before.document_until


def _earliest(instant: datetime, *others: datetime | None) -> datetime:
    return min([instant, *(other for other in others if other is not None)])
