"""A hub's access state, turned so that a decision looks up and does not search."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.protocol.sections import Group, Holiday, Item, Person, Schedule, Times

AT_ALL_TIMES: Final = None
NEVER: Final = Times(windows=(), observes_holidays=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A credential with whom it belongs to."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Everything that a decision reads."""

    holders: Mapping[bytes, Holder]  # by credential digest
    rights: Mapping[tuple[bytes, bytes], Right]  # by (group id, lock id)
    holidays: tuple[Holiday, ...] = ()


EMPTY: Final = Tables(holders={}, rights={})


def build(items: Iterable[Item]) -> Tables:
    """Return the tables of an access state. A schedule that is not there never opens."""
    schedules: dict[bytes, Times] = {}
    holidays: list[Holiday] = []
    groups: list[Group] = []
    holders: dict[bytes, Holder] = {}
    for item in items:
        match item:
            case Schedule():
                schedules[item.schedule_id] = item.times
            case Holiday():
                holidays.append(item)
            case Group():
                groups.append(item)
            case Person():
                holders.update(_holders(item))
            case _:
                continue
    rights = {
        (group.group_id, lock_id): _right(group, schedules)
        for group in groups
        for lock_id in group.lock_ids
    }
    return Tables(holders=holders, rights=rights, holidays=tuple(holidays))


def _right(group: Group, schedules: Mapping[bytes, Times]) -> Right:
    times = AT_ALL_TIMES if group.schedule_id is None else schedules.get(group.schedule_id, NEVER)
    return Right(times=times, starts_at_s=group.starts_at_s, ends_at_s=group.ends_at_s)


def _holders(person: Person) -> Iterable[tuple[bytes, Holder]]:
    for credential in person.credentials:
        yield (
            credential.credential_digest,
            Holder(
                blocked=credential.blocked,
                credential_ends_at_s=credential.ends_at_s,
                person_ends_at_s=person.ends_at_s,
                person_starts_at_s=person.starts_at_s,
                person_subscribed=person.subscribed,
                privileges=person.privileges or 0,
                group_ids=person.group_ids,
            ),
        )
