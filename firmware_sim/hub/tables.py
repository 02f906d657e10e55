"""A hub's access state, turned so that a decision looks up and does not search."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.protocol.sections import Group, Holiday, Item, Person, Schedule, Times

AT_ALL_TIMES: Final = None
NEVER: Final = Times(windows=(), observes_holidays=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A credential with all that counts of whom it belongs to."""

    blocked: bool
    credential_ends_at_s: int | None
    person_ends_at_s: int | None
    person_starts_at_s: int | None
    person_subscribed: bool
    privileges: int
    group_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """That a group may open a lock, and when."""

    times: Times | None  # None: at all times
    starts_at_s: int | None = None
    ends_at_s: int | None = None


Holders = Mapping[bytes, Holder]  # by credential digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Everything that a decision reads."""

    holders: Holders
    rights: Mapping[bytes, Mapping[bytes, Right]]  # by lock id, then by group id
    holidays: tuple[Holiday, ...] = ()


EMPTY: Final = Tables(holders={}, rights={})


def build(items: Iterable[Item]) -> Tables:
    """Return the tables of an access state."""
    everything = tuple(items)
    return join([holders_of(everything)], everything)


def join(holders: Iterable[Holders], items: Iterable[Item]) -> Tables:
    """Return the tables of an access state. A schedule that is not there never opens.

    Args:
        holders: All people's, as many pieces as there are. Joining them is quick.
        items: All else; people among them do not count.
    """
    joined: dict[bytes, Holder] = {}
    for some in holders:
        joined.update(some)
    schedules: dict[bytes, Times] = {}
    holidays: list[Holiday] = []
    groups: list[Group] = []
    for item in items:
        match item:
            case Schedule():
                schedules[item.schedule_id] = item.times
            case Holiday():
                holidays.append(item)
            case Group():
                groups.append(item)
            case _:
                continue
    rights: dict[bytes, dict[bytes, Right]] = {}
    for group in groups:
        for lock_id in group.lock_ids:
            rights.setdefault(lock_id, {})[group.group_id] = _right(group, schedules)
    return Tables(holders=joined, rights=rights, holidays=tuple(holidays))


def holders_of(items: Iterable[Item]) -> Holders:
    """Return the credentials of the people among these items."""
    return {
        credential.credential_digest: Holder(
            blocked=credential.blocked,
            credential_ends_at_s=credential.ends_at_s,
            person_ends_at_s=person.ends_at_s,
            person_starts_at_s=person.starts_at_s,
            person_subscribed=person.subscribed,
            privileges=person.privileges or 0,
            group_ids=person.group_ids,
        )
        for person in items
        if isinstance(person, Person)
        for credential in person.credentials
    }


def _right(group: Group, schedules: Mapping[bytes, Times]) -> Right:
    times = AT_ALL_TIMES if group.schedule_id is None else schedules.get(group.schedule_id, NEVER)
    return Right(times=times, starts_at_s=group.starts_at_s, ends_at_s=group.ends_at_s)
