"""Who keeps a seat when there are fewer seats than holders."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

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
    """Who keeps a seat and who loses it, each in the order of the rule."""

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
    raise NotImplementedError
