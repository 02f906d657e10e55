"""Incidents: what devices report that is no entry at a door.

Most are read from the logs of locks. A lock numbers what it writes down, so what an incident's end
is follows from the numbers alone, in whatever order the lines arrive.

Source: docs/algorithms/incidents.md.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from controller.domain.ids import AccountId, HubId, IncidentId, LockId, SiteId

GUESSES_MAX: Final = 20  # wrong PINs at a site within GUESSES_WITHIN are somebody who tries them
GUESSES_WITHIN: Final = timedelta(hours=1)


class IncidentKind(StrEnum):
    """What has happened."""

    LEFT_OPEN = "left_open"  # a door stands open for longer than its lock's settings allow
    INTRUSION = "intrusion"  # a door was opened without a credential or the inside handle
    TAMPER = "tamper"  # the case of a lock was opened
    BATTERY_LOW = "battery_low"
    KEYPAD_WAITS = "keypad_waits"  # too many wrong codes in a row
    KEYPAD_OFF = "keypad_off"  # far too many
    OVERFLOW = "overflow"  # a lock's log was full, and its oldest entries are lost
    PIN_GUESSING = "pin_guessing"  # too many wrong codes at the whole site
    LOCK_OFFLINE = "lock_offline"  # its hub does not reach it
    HUB_OFFLINE = "hub_offline"  # the cloud does not reach it
    REVOCATION_UNCONFIRMED = "revocation_unconfirmed"  # somebody may still get in at this lock


LASTING: Final = frozenset(IncidentKind) - {IncidentKind.OVERFLOW, IncidentKind.PIN_GUESSING}
"""What goes on until it is over; the others are over at once."""

ENDED_BY: Final[Mapping[IncidentKind, frozenset[str]]] = {
    IncidentKind.LEFT_OPEN: frozenset({"closed"}),
    IncidentKind.INTRUSION: frozenset({"closed"}),
    IncidentKind.TAMPER: frozenset({"tamper_ended"}),
    IncidentKind.BATTERY_LOW: frozenset(),  # a new battery is seen in what the lock tells of it
    IncidentKind.KEYPAD_WAITS: frozenset({"keypad_cleared", "keypad_off"}),
    IncidentKind.KEYPAD_OFF: frozenset({"keypad_cleared"}),
    IncidentKind.OVERFLOW: frozenset(),
}
"""The incidents in a lock's log, each with the lines that end it. So does the next of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as it is kept."""

    site_id: SiteId
    id: IncidentId
    kind: IncidentKind
    lock_id: LockId | None
    hub_id: HubId | None
    at: datetime  # by the clock of who noticed
    received_at: datetime
    over_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: AccountId | None
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a lock's log."""

    sequence: int
    kind: str  # as the device link names it, in small letters
    at: datetime
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An incident that a lock's log tells of."""

    line: Line
    over_at: datetime | None


def told(kind: IncidentKind, lines: Iterable[Line]) -> list[Told]:
    """Return the incidents of a kind that a part of a lock's log tells of, by sequence.

    The same lines give the same incidents in whatever order they come, and a line that was missing
    changes the end of the one before it, never its identity.

    Args:
        kind: One of ``ENDED_BY``.
        lines: Of one log; all lines of this kind, and all that end it, from some sequence on.
    """
    over_at: datetime | None = None
    found: list[Told] = []
    for line in sorted(lines, key=lambda line: line.sequence, reverse=True):
        if line.kind == kind:
            ends_at = over_at if kind in LASTING else line.at
            found.append(Told(line=line, over_at=ends_at))
        if line.kind == kind or line.kind in ENDED_BY[kind]:
            over_at = line.at
    return found[::-1]


def guessed_at(tries: Collection[datetime]) -> Sequence[datetime]:
    """Return the instants at which wrong PINs became too many: 20 within an hour.

    While they go on it is one incident: the next one takes an hour without.
    """
    ordered = sorted(tries)
    found: list[datetime] = []
    for first, last in zip(ordered, ordered[GUESSES_MAX - 1 :], strict=False):
        is_new = not found or last - found[-1] >= GUESSES_WITHIN
        if last - first < GUESSES_WITHIN and is_new:
            found.append(last)
    return found
