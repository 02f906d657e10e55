"""What hangs on what: hubs reach their locks directly or through repeaters.

A hub serves 16 locks whatever way it reaches them, and 6 repeaters, of which at most 3 stand in a
row between it and a lock. Source: the vendor's figures for its hubs (LOCKS_PER_HUB_MAX of the
device link likewise).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.domain.errors import NotFound, Refused
from controller.domain.ids import HubId, RepeaterId, SiteId

LOCKS_PER_HUB_MAX: Final = 16
REPEATERS_PER_HUB_MAX: Final = 6
REPEATERS_IN_A_ROW_MAX: Final = 3

Parents = Mapping[RepeaterId, RepeaterId | None]
"""The repeaters of one hub, each with the one between it and the hub; None: the hub itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeater:
    """Carries the radio between a hub and locks that it does not reach."""

    site_id: SiteId
    id: RepeaterId
    hub_id: HubId
    parent_id: RepeaterId | None
    serial: str
    name: str
    created_at: datetime
    version: int


class HubFull(Refused):
    """The hub serves as many locks as it can."""

    code = "hub_full"


class HubHasLocks(Refused):
    """The hub still serves locks."""

    code = "hub_has_locks"


class HubHasRepeaters(Refused):
    """Repeaters still hang on the hub."""

    code = "hub_has_repeaters"


class RepeatersFull(Refused):
    """The hub has as many repeaters as it can."""

    code = "repeaters_full"


class RepeaterChainTooLong(Refused):
    """Too many repeaters would stand in a row."""

    code = "repeater_chain_too_long"


class RepeaterCycle(Refused):
    """A repeater would hang on itself."""

    code = "repeater_cycle"


class RepeaterInUse(Refused):
    """Locks or other repeaters still hang on it."""

    code = "repeater_in_use"


def require_room_for_lock(used: int, *, hub_name: str) -> None:
    """Refuse one more lock on a hub than it can serve.

    Args:
        used: How many it serves.
        hub_name: What people call it.

    Raises:
        HubFull: It serves 16.
    """
    if used >= LOCKS_PER_HUB_MAX:
        raise HubFull(
            f"{hub_name} serves {used} locks, which is the most. Add another hub.",
            limit=LOCKS_PER_HUB_MAX,
            used=used,
            remedy="add_hub",
        )


def require_parent(parents: Parents, parent_id: RepeaterId | None) -> None:
    """Refuse to hang something on a repeater that is not of the same hub.

    Raises:
        NotFound: The hub has no such repeater.
    """
    if parent_id is not None and parent_id not in parents:
        raise NotFound("There is no such repeater at this hub.", object="repeater")


def require_new_place(parents: Parents, parent_id: RepeaterId | None, *, hub_name: str) -> None:
    """Refuse one more repeater where it cannot be.

    Raises:
        NotFound: The hub has no such parent.
        RepeatersFull: The hub has 6.
        RepeaterChainTooLong: It would be the fourth in a row.
    """
    require_parent(parents, parent_id)
    if len(parents) >= REPEATERS_PER_HUB_MAX:
        raise RepeatersFull(
            f"{hub_name} has {len(parents)} repeaters, which is the most. Add another hub.",
            limit=REPEATERS_PER_HUB_MAX,
            used=len(parents),
            remedy="add_hub",
        )
    _require_short(len(chain(parents, parent_id)) + 1)


def require_place(parents: Parents, repeater_id: RepeaterId, parent_id: RepeaterId | None) -> None:
    """Refuse to hang a repeater, with all that hangs on it, where it cannot be.

    Raises:
        NotFound: The hub has no such parent.
        RepeaterCycle: The parent hangs on this repeater, or is it.
        RepeaterChainTooLong: More than 3 would stand in a row.
    """
    require_parent(parents, parent_id)
    above = chain(parents, parent_id)
    if repeater_id in above:
        raise RepeaterCycle(
            "parent_id: that repeater hangs on this one. Choose one that does not.",
            field="parent_id",
        )
    below = max(
        (
            len(line) - line.index(repeater_id)
            for each in parents
            if repeater_id in (line := chain(parents, each)[::-1])
        ),
        default=1,
    )
    _require_short(len(above) + below)


def chain(parents: Parents, repeater_id: RepeaterId | None) -> list[RepeaterId]:
    """Return a repeater and those between it and the hub, in this order."""
    line: list[RepeaterId] = []
    while repeater_id is not None:
        assert repeater_id not in line, "no cycle is ever written"
        line.append(repeater_id)
        repeater_id = parents[repeater_id]
    return line


def _require_short(in_a_row: int) -> None:
    if in_a_row > REPEATERS_IN_A_ROW_MAX:
        raise RepeaterChainTooLong(
            f"parent_id: {in_a_row} repeaters would stand in a row, and {REPEATERS_IN_A_ROW_MAX} "
            "are the most. Hang it nearer to the hub.",
            field="parent_id",
            limit=REPEATERS_IN_A_ROW_MAX,
            used=in_a_row,
        )
