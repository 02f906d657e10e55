"""A hub's access state, turned so that a decision looks up and does not search."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.protocol.sections import Group, Item, Person, Schedule, Window

AT_ALL_TIMES: Final = None
Windows = tuple[Window, ...] | None  # None: at all times


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A credential with whom it belongs to."""

    blocked: bool
    credential_ends_at_s: int | None
    person_ends_at_s: int | None
    person_subscribed: bool
    group_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Everything that a decision reads."""

    holders: Mapping[bytes, Holder]  # by credential digest
    rights: Mapping[tuple[bytes, bytes], Windows]  # by (group id, lock id)


EMPTY: Final = Tables(holders={}, rights={})


def build(items: Iterable[Item]) -> Tables:
    """Return the tables of an access state. A schedule that is not there never opens."""
    schedules: dict[bytes, tuple[Window, ...]] = {}
    groups: list[Group] = []
    holders: dict[bytes, Holder] = {}
    for item in items:
        match item:
            case Schedule():
                schedules[item.schedule_id] = item.windows
            case Group():
                groups.append(item)
            case Person():
                holders.update(_holders(item))
            case _:
                continue
    rights = {
        (group.group_id, lock_id): _windows(group, schedules)
        for group in groups
        for lock_id in group.lock_ids
    }
    return Tables(holders=holders, rights=rights)


def _windows(group: Group, schedules: Mapping[bytes, tuple[Window, ...]]) -> Windows:
    if group.schedule_id is None:
        return AT_ALL_TIMES
    return schedules.get(group.schedule_id, ())


def _holders(person: Person) -> Iterable[tuple[bytes, Holder]]:
    for credential in person.credentials:
        yield (
            credential.credential_digest,
            Holder(
                blocked=credential.blocked,
                credential_ends_at_s=credential.ends_at_s,
                person_ends_at_s=person.ends_at_s,
                person_subscribed=person.subscribed,
                group_ids=person.group_ids,
            ),
        )
