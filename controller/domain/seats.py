"""Who keeps a seat when there are fewer seats than holders."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from controller.domain.errors import Invalid
from controller.domain.ids import PersonId


class Standing(IntEnum):
    """Who comes first."""

    OWNER = 0
    ADMIN = 1
    OTHER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A subscribed person, or the person whose component (a locker) it is."""

    person_id: PersonId
    standing: Standing
    subscribed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """Who keeps a seat and who loses it; whoever has the better claim stands first."""

    kept: tuple[PersonId, ...]
    unseated: tuple[PersonId, ...]


def seat(holders: Collection[Holder], *, seats: int, chosen: Collection[PersonId] = ()) -> Seating:
    """Return who keeps a seat: owner, admins, earliest subscribed, ties by id.

    Args:
        holders: Everybody who has a seat now.
        seats: How many there are from now on.
        chosen: Whom the redeemer wants to keep; they come first, the rule fills what is left.

    Raises:
        Invalid: ``chosen`` names somebody without a seat, or more than there are seats.
    """
    favoured = set(chosen)
    if strangers := favoured - {holder.person_id for holder in holders}:
        raise Invalid(
            "keep: only people who have a seat now can be chosen to keep one.",
            field="keep",
            person_ids=sorted(strangers),
        )
    if len(favoured) > seats:
        raise Invalid(
            f"keep: {len(favoured)} people are chosen, and there are {seats} seats.",
            field="keep",
            seats=seats,
            chosen=len(favoured),
        )
    ranked = sorted(
        holders,
        key=lambda holder: (
            holder.person_id not in favoured,
            holder.standing,
            holder.subscribed_at,
            holder.person_id,
        ),
    )
    order = tuple(holder.person_id for holder in ranked)
    return Seating(kept=order[:seats], unseated=order[seats:])
