"""Who is on a lock's offline list, for how long and when; and what its memory must forget.

The rule is a function of the rows only, never of the present instant: ends are written into the
list instead of being judged here. So a list changes with edits and by nothing else.

Source: docs/algorithms/offline-lists.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Final

from controller.domain.access import CredentialKind, Privilege
from controller.domain.errors import Refused
from controller.domain.ids import CredentialId, GroupId, LockId, PersonId
from controller.domain.instants import EPOCH
from controller.domain.schedule import Schedule
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked, SiteState

SCHEDULES_MAX: Final = 6  # different ones in one list

_EVER: Final = datetime.max.replace(tzinfo=UTC)
_ALWAYS: Final = Schedule.always()


class Unlisted(StrEnum):
    """Why a credential is not on a lock's list, in the order of the checks."""

    NOT_GRANTED = "offline_not_granted"  # a tag or digital key that nobody granted it
    NO_KEYPAD = "no_keypad"  # a PIN at a lock without one
    CREDENTIAL_UNUSABLE = "credential_unusable"  # a custom PIN while these are switched off
    CREDENTIAL_BLOCKED = "credential_blocked"
    PERSON_UNSUBSCRIBED = "person_unsubscribed"
    NO_ACCESS_TO_LOCK = "no_access_to_lock"
    NEVER_VALID = "never_valid"  # credential, person and groups have no time in common
    NO_SLOT = "no_slot"
    SCHEDULE_LIMIT = "schedule_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineGrant:
    """A credential that a lock may open to by itself. It takes one of the lock's slots."""

    holder: HeldCredential
    schedules: frozenset[Schedule] | None  # any of them will do; None: at all times
    starts_at: datetime | None  # the latest start of person and groups
    ends_at: datetime | None  # the earliest end of credential, person and groups
    privileges: Privilege
    group_ids: tuple[GroupId, ...]  # whose rights it stands for

    def covers(self, other: "OfflineGrant") -> bool:
        """Return whether the other grant of the same credential opens nothing more."""
        return (
            (self.starts_at or EPOCH) <= (other.starts_at or EPOCH)
            and (other.ends_at or _EVER) <= (self.ends_at or _EVER)
            and (
                self.schedules is None
                or (other.schedules is not None and other.schedules <= self.schedules)
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineList:
    """What a lock holds for offline use, and who of the candidates is left out and why."""

    grants: tuple[OfflineGrant, ...]  # by digest, then by frame
    left_out: Mapping[CredentialId, Unlisted]

    @property
    def schedules(self) -> frozenset[Schedule]:
        """Return the different schedules that the grants follow."""
        return frozenset().union(*(grant.schedules or () for grant in self.grants))

    @property
    def credential_ids(self) -> frozenset[CredentialId]:
        """Return whom the list names."""
        return frozenset(grant.holder.credential.id for grant in self.grants)


class OfflineListFull(Refused):
    """A lock has no room for all who would be on its list."""

    code = "offline_list_full"


class OfflineSchedulesFull(Refused):
    """A lock's list would need more different schedules than it can hold."""

    code = "offline_schedules_full"


class OfflineRules:
    """The offline lists of a site's locks.

    The state may be a part of the site: of a lock whose list is asked for, it must have the
    groups, the explicit credentials of their people and as many of the first PINs as the lock has
    slots (``first_in_line`` says which).
    """

    def __init__(self, state: SiteState) -> None:
        self._state = state
        self._lines: dict[_Groups, _Line] = {}

    def list_of(self, lock: Lock) -> OfflineList:
        """Return a lock's list.

        Explicit credentials come first, then PINs, each in the order of ``first_in_line``. Of the
        PINs as many as the lock has slots stand in line. Whoever fits is listed.
        """
        line = self._line_at(lock.id)
        room = _Room(lock)
        for held, grants in line.explicit:
            room.take(held, grants)
        if not lock.door.keypad:
            return room.filled({held.credential.id: Unlisted.NO_KEYPAD for held in line.pins})
        for held in line.pins[: lock.capacity]:
            room.take(held, self.grants_of(held, line.groups))
        late = line.pins[lock.capacity :]
        return room.filled({held.credential.id: Unlisted.NO_SLOT for held in late})

    def require_room(self, lock: Lock, *, name: str) -> None:
        """Refuse a state in which a lock has no room for all its explicit credentials.

        Raises:
            OfflineListFull: It names lock, limit and usage.
            OfflineSchedulesFull: Likewise.
        """
        line = self._line_at(lock.id)
        if line.slots > lock.capacity:
            raise OfflineListFull(
                f"The lock {name} holds {lock.capacity} credentials for offline use, and this "
                f"would make {line.slots}. Take offline access from a credential that opens this "
                "lock, or the lock out of a group.",
                lock_id=lock.id,
                limit=lock.capacity,
                used=line.slots,
                remedy="revoke_offline_access",
            )
        used = len(line.schedules)
        if used > SCHEDULES_MAX:
            raise OfflineSchedulesFull(
                f"The lock {name} can keep {SCHEDULES_MAX} different schedules for offline use, "
                f"and this would make {used}. Use the same schedule for more of its groups.",
                lock_id=lock.id,
                limit=SCHEDULES_MAX,
                used=used,
                remedy="use_fewer_schedules",
            )

    def why_not(self, held: HeldCredential, lock: Lock) -> Unlisted | None:
        """Return why a credential is no candidate for a lock's list; None: it is one."""
        if held.credential.kind is CredentialKind.PIN:
            if not lock.door.keypad:
                return Unlisted.NO_KEYPAD
        elif not held.offline:
            return Unlisted.NOT_GRANTED
        if held.credential.blocked:
            return Unlisted.CREDENTIAL_BLOCKED
        person_id = held.credential.person_id
        if not self._state.people[person_id].subscribed:
            return Unlisted.PERSON_UNSUBSCRIBED
        here = self._groups.get(lock.id, ())
        if not any(person_id in group.person_ids for group in here):
            return Unlisted.NO_ACCESS_TO_LOCK
        return None if self.grants_of(held, here) else Unlisted.NEVER_VALID

    def grants_of(self, held: HeldCredential, here: Iterable[Group]) -> tuple[OfflineGrant, ...]:
        """Return what a credential may open where these groups are, a grant for each frame.

        Rights with the same frame share a grant, and one that another covers needs none.
        """
        person = self._state.people[held.credential.person_id]
        if held.credential.blocked or not person.subscribed:
            return ()
        by_frame: defaultdict[tuple[datetime, datetime], list[Group]] = defaultdict(list)
        for group in here:
            if person.id in group.person_ids:
                starts = max(person.starts_at or EPOCH, group.starts_at or EPOCH)
                ends = (held.credential.ends_at, person.ends_at, group.ends_at)
                by_frame[starts, min(end or _EVER for end in ends)].append(group)
        grants = [
            OfflineGrant(
                holder=held,
                schedules=self._schedules(groups),
                starts_at=None if starts == EPOCH else starts,
                ends_at=None if ends == _EVER else ends,
                privileges=person.privileges,
                group_ids=tuple(sorted(group.id for group in groups)),
            )
            for (starts, ends), groups in sorted(by_frame.items(), key=lambda item: item[0])
            if starts < ends
        ]
        return tuple(
            grant
            for grant in grants
            if not any(other is not grant and other.covers(grant) for other in grants)
        )

    def _schedules(self, groups: Iterable[Group]) -> frozenset[Schedule] | None:
        schedules = frozenset(self._state.schedule_of(group) for group in groups)
        return None if _ALWAYS in schedules else schedules

    def _line_at(self, lock_id: LockId) -> "_Line":
        """Return who stands in line at a lock; locks of the same groups have the same line."""
        groups = self._groups.get(lock_id, ())
        if groups not in self._lines:
            self._lines[groups] = self._line(groups)
        return self._lines[groups]

    def _line(self, groups: "_Groups") -> "_Line":
        held = [
            held
            for person_id in frozenset().union(*(group.person_ids for group in groups))
            if self._state.people[person_id].subscribed
            for held in self._held.get(person_id, ())
        ]
        held.sort(key=self.first_in_line)
        pins = [each for each in held if each.credential.kind is CredentialKind.PIN]
        explicit = [
            (each, self.grants_of(each, groups))
            for each in held
            if each.credential.kind is not CredentialKind.PIN
        ]
        return _Line(
            groups=groups,
            explicit=explicit,
            pins=pins,
            slots=sum(len(grants) for _, grants in explicit),
            schedules=frozenset().union(
                *(grant.schedules or () for _, grants in explicit for grant in grants)
            ),
        )

    def first_in_line(self, held: HeldCredential) -> tuple[datetime, PersonId, CredentialId]:
        """Return what orders candidates: the earliest subscribed person, then ids."""
        person = self._state.people[held.credential.person_id]
        return person.subscribed_at or EPOCH, person.id, held.credential.id

    @cached_property
    def _groups(self) -> Mapping[LockId, "_Groups"]:
        groups: defaultdict[LockId, list[Group]] = defaultdict(list)
        for group in self._state.groups:
            for lock_id in group.lock_ids:
                groups[lock_id].append(group)
        return {lock_id: tuple(several) for lock_id, several in groups.items()}

    @cached_property
    def _held(self) -> Mapping[PersonId, list[HeldCredential]]:
        """Return who holds what could be on a list."""
        held_by: defaultdict[PersonId, list[HeldCredential]] = defaultdict(list)
        for held in {each.credential.id: each for each in self._state.credentials}.values():
            is_pin = held.credential.kind is CredentialKind.PIN
            if (held.offline or is_pin) and not held.credential.blocked:
                held_by[held.credential.person_id].append(held)
        return held_by


_Groups = tuple[Group, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """Who could be on the lists of the locks of some groups; nobody here is without a right."""

    groups: _Groups
    explicit: list[tuple[HeldCredential, tuple[OfflineGrant, ...]]]
    pins: list[HeldCredential]
    slots: int  # that the explicit ones take
    schedules: frozenset[Schedule]  # likewise


class _Room:
    """What is left of a lock while its list is being filled."""

    def __init__(self, lock: Lock) -> None:
        self._slots = lock.capacity
        self._schedules: frozenset[Schedule] = frozenset()
        self._grants: list[OfflineGrant] = []
        self._left_out: dict[CredentialId, Unlisted] = {}

    def take(self, held: HeldCredential, grants: tuple[OfflineGrant, ...]) -> None:
        """Put a credential onto the list with all its grants, or leave it out."""
        schedules = self._schedules.union(*(grant.schedules or () for grant in grants))
        if not grants:
            self._left_out[held.credential.id] = Unlisted.NEVER_VALID
        elif len(grants) > self._slots:
            self._left_out[held.credential.id] = Unlisted.NO_SLOT
        elif len(schedules) > SCHEDULES_MAX:
            self._left_out[held.credential.id] = Unlisted.SCHEDULE_LIMIT
        else:
            self._slots -= len(grants)
            self._schedules = schedules
            self._grants += grants

    def filled(self, left_out: Mapping[CredentialId, Unlisted]) -> OfflineList:
        """Return the list; besides who found no room, some more are left out."""
        grants = sorted(self._grants, key=lambda grant: grant.holder.digest)  # keeps their frames
        return OfflineList(grants=tuple(grants), left_out={**self._left_out, **left_out})


def to_forget(state: SiteState, lock_id: LockId) -> tuple[Revoked, ...]:
    """Return the revoked credentials without a right at a lock, newest first, ties by digest.

    The lock's own memory may still hold an opening of theirs. A right that a date limits counts as
    none: the memory knows no start and no schedule, and may hold the later end of before, or none.
    """
    noted = {revoked.digest for revoked in state.revoked}
    entitled = {
        held.digest
        for held in state.credentials
        if held.digest in noted and is_entitled_for_good(state, held, lock_id)
    }
    left = (revoked for revoked in state.revoked if revoked.digest not in entitled)
    return tuple(sorted(left, key=lambda revoked: revoked.revoked_at, reverse=True))


def is_entitled_for_good(state: SiteState, held: HeldCredential, lock_id: LockId) -> bool:
    """Return whether a credential has a right at a lock that no date limits."""
    person = state.people[held.credential.person_id]
    limits = (held.credential.ends_at, person.starts_at, person.ends_at)
    return (
        not held.credential.blocked
        and person.subscribed
        and not any(limits)
        and any(
            person.id in group.person_ids
            and lock_id in group.lock_ids
            and _is_for_good(group, state.schedule_of(group))
            for group in state.groups
        )
    )


def _is_for_good(group: Group, schedule: Schedule) -> bool:
    return not any((group.starts_at, group.ends_at, schedule.starts_on, schedule.ends_on))
