"""The access state of one hub, and how it goes from one revision to the next.

Pure. A state is never changed: what has been touched at the site is compiled anew, and everything
else is shared with the state before. The empty state and everything touched make a state from
scratch, which has the same bytes as one that came about edit by edit.

Source: docs/algorithms/delivery.md.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from controller.delivery.buckets import Bucket, Trie, differences
from controller.delivery.items import (
    Holder,
    HubIdentity,
    Secrets,
    group_item,
    holiday_item,
    lock_item,
    offline_list,
    person_item,
    schedule_item,
)
from controller.domain.ids import GroupId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.offline import OfflineRules
from controller.domain.schedule import Holiday, Schedule
from controller.domain.site_state import Group, Lock, SiteState
from gateway.protocol import cbor, sections, wire
from gateway.protocol.messages import ROOTS_MAX, Root, SectionKind
from gateway.protocol.sections import Section

PLACE_BYTES: Final = 16  # about what a leaf's place in a bucket takes

_NOWHERE: Final[frozenset[LockId]] = frozenset()
_NO_GROUPS: Final[frozenset[GroupId]] = frozenset()
_DIVIDED: Final = (
    SectionKind.SCHEDULES,
    SectionKind.HOLIDAYS,
    SectionKind.GROUPS,
    SectionKind.PEOPLE,
    SectionKind.LOCKS,
)

_Items = dict[bytes, bytes | None]  # as they stand in a section, by id; None: gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What of a site is to be compiled anew for a hub, as the rows say it. None: it is gone."""

    site_id: SiteId
    time_zone: str
    locks: Mapping[LockId, Lock | None]  # None also: it is no longer this hub's
    groups: Mapping[GroupId, Group | None]  # with all locks of the site; nobody is in them
    people: Mapping[PersonId, Holder | None]
    schedules: Mapping[ScheduleId, Schedule]  # those touched and those that the above follow
    holidays: tuple[Holiday, ...] | None  # None: as they were
    lists: SiteState | None  # with those of the hub's locks whose lists are compiled anew
    told: dict[tuple[PersonId, frozenset[GroupId]], bytes | None] = field(default_factory=dict)
    """What hubs that are compiled together have been told of people already, by their groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubState:
    """The access state of one hub."""

    hub: HubIdentity
    time_zone: str = ""
    locks: Mapping[LockId, Lock] = field(default_factory=dict)
    groups: Mapping[GroupId, Group] = field(default_factory=dict)  # with the locks of the hub only
    schedules: Mapping[ScheduleId, Schedule] = field(default_factory=dict)
    tries: Mapping[SectionKind, Trie] = field(
        default_factory=lambda: {kind: Trie(kind) for kind in _DIVIDED}
    )
    lists: Mapping[LockId, Section] = field(default_factory=dict)
    named: Mapping[bytes, Bucket | Section] = field(default_factory=dict)  # all but the index
    index: Trie | None = None

    @property
    def roots(self) -> tuple[Root, ...]:
        """Return what the manifest names."""
        if self.index is not None:
            return tuple(bucket.root for bucket in self.index.buckets())
        divided = (bucket.root for trie in self.tries.values() for bucket in trie.buckets())
        return (*divided, *(self.lists[lock_id].root for lock_id in sorted(self.lists)))

    @property
    def size(self) -> int:
        """Return about how many bytes of memory it takes beside the leaves that hubs share."""
        places = sum(trie.count for trie in self.tries.values()) * PLACE_BYTES
        return places + sum(len(each.data) for each in self.lists.values())

    @property
    def followed(self) -> set[ScheduleId]:
        """Return the schedules that groups at the hub follow."""
        ids = (group.schedule_id for group in self.groups.values())
        return {schedule_id for schedule_id in ids if schedule_id is not None}

    @property
    def in_office(self) -> set[ScheduleId]:
        """Return the schedules that locks of the hub follow."""
        ids = (lock.door.office_schedule_id for lock in self.locks.values())
        return {schedule_id for schedule_id in ids if schedule_id is not None}

    def office(self, lock: Lock) -> Schedule | None:
        """Return the schedule that a lock of the hub follows."""
        schedule_id = lock.door.office_schedule_id
        return None if schedule_id is None else self.schedules[schedule_id]

    def section(self, name: bytes) -> bytes | None:
        """Return the bytes of the section with this hash; None if nothing leads to it."""
        found = self.named.get(name)
        if found is None and self.index is not None:
            found = next((each for each in self.index.buckets() if each.hash == name), None)
        return None if found is None else found.data

    def person(self, person_id: PersonId) -> sections.Person | None:
        """Return what the hub is told of a person."""
        data = self.tries[SectionKind.PEOPLE].find(bytes.fromhex(person_id))
        return None if data is None else wire.from_map(sections.Person, cbor.decode(data))

    def members(self, group_ids: Collection[GroupId]) -> set[PersonId]:
        """Return the people of some groups."""
        names = [bytes.fromhex(group_id) for group_id in group_ids]
        some = (
            wire.from_map(sections.Person, cbor.decode(leaf.data))
            for leaf in self.tries[SectionKind.PEOPLE].leaves()
            if any(name in leaf.data for name in names)
        )
        return {PersonId(person.person_id.hex()) for person in some}

    def doors(self, group_ids: Collection[GroupId]) -> set[LockId]:
        """Return which locks of the hub some groups have."""
        here = (self.groups[group_id] for group_id in group_ids if group_id in self.groups)
        return {lock_id for group in here for lock_id in group.lock_ids}

    def with_doors(self, part: Part) -> Self:
        """Return the state with locks and groups as they are in a part, and nothing else of it."""
        locks = {**self.locks, **part.locks}
        if part.lists is not None:  # they are read anew, since what they must forget has changed
            locks |= {lock.id: lock for lock in part.lists.locks if locks.get(lock.id)}
        present = {lock_id: lock for lock_id, lock in locks.items() if lock is not None}
        groups = {}
        for group_id, group in {**self.groups, **part.groups}.items():
            here = group.lock_ids.intersection(present) if group is not None else _NOWHERE
            if group is not None and here:
                is_same = here == group.lock_ids
                groups[group_id] = group if is_same else replace(group, lock_ids=here)
        return replace(self, locks=present, groups=groups)

    def updated(self, part: Part, secrets: Secrets) -> "HubState":
        """Return the state after a part of it has been compiled anew.

        Raises:
            ProtocolError: The key of hub or lock agrees on nothing secret.
        """
        after = replace(self.with_doors(part), time_zone=part.time_zone)
        schedules = {
            schedule_id: part.schedules.get(schedule_id) or self.schedules[schedule_id]
            for schedule_id in after.followed | after.in_office
        }
        after = replace(after, schedules=schedules)
        after = replace(after, lists=_lists(after, part))
        edits: dict[SectionKind, _Items] = {
            SectionKind.SCHEDULES: _schedules(self, after),
            SectionKind.GROUPS: _groups(self, after),
            SectionKind.PEOPLE: _people(after, part),
            SectionKind.LOCKS: _locks(self, after, part, secrets),
        }
        tries = {kind: self.tries[kind].edited(edits.get(kind, {})) for kind in _DIVIDED}
        if part.holidays is not None:
            told: _Items = {_key_of(day): wire.encode(holiday_item(day)) for day in part.holidays}
            tries[SectionKind.HOLIDAYS] = Trie(SectionKind.HOLIDAYS).edited(told)
        return _named(self, replace(after, tries=tries))


def _lists(state: HubState, part: Part) -> dict[LockId, Section]:
    """Return the offline lists, those of the part anew; the state has yet those of before."""
    lists = {lock_id: each for lock_id, each in state.lists.items() if lock_id in state.locks}
    if part.lists is not None:
        rules = OfflineRules(part.lists)
        for lock in part.lists.locks:
            if lock.id in state.locks:
                lists[lock.id] = offline_list(part.lists, rules, lock, state.office(lock))
    return lists


def _schedules(before: HubState, after: HubState) -> _Items:
    told, tell = before.followed, after.followed
    items: _Items = {bytes.fromhex(each): None for each in told - tell}
    for schedule_id in tell:
        schedule = after.schedules[schedule_id]
        if schedule_id not in told or before.schedules[schedule_id] != schedule:
            items[bytes.fromhex(schedule_id)] = wire.encode(schedule_item(schedule_id, schedule))
    return items


def _groups(before: HubState, after: HubState) -> _Items:
    items: _Items = {bytes.fromhex(each): None for each in before.groups.keys() - after.groups}
    for group_id, group in after.groups.items():
        if before.groups.get(group_id) != group:
            items[bytes.fromhex(group_id)] = wire.encode(group_item(group))
    return items


def _people(after: HubState, part: Part) -> _Items:
    here = frozenset(after.groups)
    items: _Items = {}
    for person_id, holder in part.people.items():
        key = bytes.fromhex(person_id)
        group_ids = _NO_GROUPS if holder is None else holder.group_ids & here
        if holder is None or not group_ids:
            items[key] = None
            continue
        if (person_id, group_ids) not in part.told:
            item = person_item(holder, group_ids)
            part.told[person_id, group_ids] = None if item is None else wire.encode(item)
        items[key] = part.told[person_id, group_ids]
    return items


def _locks(before: HubState, after: HubState, part: Part, secrets: Secrets) -> _Items:
    items: _Items = {bytes.fromhex(each): None for each in before.locks.keys() - after.locks}
    for lock_id, lock in after.locks.items():
        office, office_id = after.office(lock), lock.door.office_schedule_id
        if lock_id in part.locks or (office_id and before.schedules.get(office_id) != office):
            item = lock_item(part.site_id, lock, office, after.hub, secrets)
            items[bytes.fromhex(lock_id)] = wire.encode(item)
    return items


def _key_of(holiday: Holiday) -> bytes:
    return holiday_item(holiday).day.to_bytes(4)


def _named(before: HubState, after: HubState) -> HubState:
    """Return a state with all its sections by name, and with an index if there are too many."""
    gone: set[bytes] = {each.hash for each in before.lists.values()}
    come: dict[bytes, Bucket | Section] = {each.hash: each for each in after.lists.values()}
    for kind in _DIVIDED:
        went, came = differences(before.tries[kind].node, after.tries[kind].node)
        gone.update(bucket.hash for bucket in went)
        come |= {bucket.hash: bucket for bucket in came}
    named = {name: each for name, each in before.named.items() if name not in gone} | come
    if len(named) <= ROOTS_MAX:
        return replace(after, named=named, index=None)
    if before.index is None:
        roots: _Items = {name: wire.encode(each.root) for name, each in named.items()}
        index = Trie(SectionKind.INDEX).edited(roots)
    else:
        moved: _Items = dict.fromkeys(gone)
        moved |= {name: wire.encode(each.root) for name, each in come.items()}
        index = before.index.edited(moved)
    return replace(after, named=named, index=index)
