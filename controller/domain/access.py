"""Why may she open: the reference decision at a door.

The hub decides with code of its own, from its own copy; a test compares the two.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag, StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from controller.domain.ids import CredentialId, GroupId, LockId, PersonId
from controller.domain.openings import Span, merged, openings
from controller.domain.schedule import Holiday, Schedule


class CredentialKind(StrEnum):
    """What a person presents."""

    TAG = "tag"
    DIGITAL_KEY = "digital_key"
    PIN = "pin"


class Privilege(IntFlag):
    """What a person may do at a door beyond opening it, numbered as on the device link."""

    OFFICE = 1  # start and end office mode
    OVERRIDE_PRIVACY = 2
    EXTENDED_OPENING = 4  # the door stays open for longer


NO_PRIVILEGE: Final = Privilege(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What of a person counts at a door."""

    id: PersonId
    subscribed: bool  # has one of the plan's user seats
    subscribed_at: datetime | None = None  # who was first comes first, where not all find room
    starts_at: datetime | None = None  # opens nothing before
    ends_at: datetime | None = None  # first instant outside the person's stay
    privileges: Privilege = NO_PRIVILEGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What of a credential counts at a door."""

    id: CredentialId
    person_id: PersonId
    kind: CredentialKind
    blocked: bool = False
    ends_at: datetime | None = None  # first instant at which it is no longer valid


class ShutBy(StrEnum):
    """Why a group gives no right at an instant."""

    GROUP_NOT_YET = "group_not_yet"
    GROUP_ENDED = "group_ended"
    OUTSIDE_SCHEDULE = "outside_schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGroup:
    """People who may open locks while a schedule is open."""

    id: GroupId
    person_ids: frozenset[PersonId]
    lock_ids: frozenset[LockId]
    schedule: Schedule
    starts_at: datetime | None = None
    ends_at: datetime | None = None  # first instant outside

    def shut_by(
        self, now: datetime, *, zone: ZoneInfo, holidays: Collection[Holiday]
    ) -> ShutBy | None:
        """Return why the group gives no right at an instant; None: it gives it."""
        if self.starts_at is not None and now < self.starts_at:
            return ShutBy.GROUP_NOT_YET
        if self.ends_at is not None and now >= self.ends_at:
            return ShutBy.GROUP_ENDED
        if not self.schedule.contains(now.astimezone(zone), holidays):
            return ShutBy.OUTSIDE_SCHEDULE
        return None

    def openings(
        self, within: Span, *, zone: ZoneInfo, holidays: Collection[Holiday]
    ) -> list[Span]:
        """Return when the group gives its right within a span."""
        frame = within.part(self.starts_at, self.ends_at)
        return openings(self.schedule, frame, zone=zone, holidays=holidays) if frame else []


class DenyReason(StrEnum):
    """Why a door stays shut, in the order of the checks."""

    NO_VALID_SUBSCRIPTION = "no_valid_subscription"  # the hub does not even answer
    UNKNOWN_CREDENTIAL = "unknown_credential"
    CREDENTIAL_BLOCKED = "credential_blocked"
    CREDENTIAL_EXPIRED = "credential_expired"
    PERSON_NOT_YET = "person_not_yet"
    PERSON_EXPIRED = "person_expired"
    PERSON_UNSUBSCRIBED = "person_unsubscribed"
    NO_ACCESS_TO_LOCK = "no_access_to_lock"
    OUTSIDE_SCHEDULE = "outside_schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The door opens, by this group's right."""

    group_id: GroupId


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The door stays shut."""

    reason: DenyReason


Decision = Allowed | Denied


def decide(
    *,
    subscribed: bool,
    holder: tuple[Credential, Person] | None,
    groups: Collection[AccessGroup],
    lock_id: LockId,
    zone: ZoneInfo,
    now: datetime,
    holidays: Collection[Holiday] = (),
) -> Decision:
    """Decide whether a credential opens a lock. The first check that fails names the reason.

    Args:
        subscribed: The site's subscription runs.
        holder: The credential that was presented and its person; None when the site has none.
        groups: The site's access groups.
        lock_id: The lock.
        zone: The site's time zone.
        now: The instant.
        holidays: The site's.
    """
    if not subscribed:
        return Denied(reason=DenyReason.NO_VALID_SUBSCRIPTION)
    if holder is None:
        return Denied(reason=DenyReason.UNKNOWN_CREDENTIAL)
    credential, person = holder
    if reason := flaw(credential, person, now):
        return Denied(reason=reason)

    granting = _granting(groups, person, lock_id)
    if not granting:
        return Denied(reason=DenyReason.NO_ACCESS_TO_LOCK)
    for group in sorted(granting, key=lambda group: group.id):
        if group.shut_by(now, zone=zone, holidays=holidays) is None:
            return Allowed(group_id=group.id)
    return Denied(reason=DenyReason.OUTSIDE_SCHEDULE)


def flaw(credential: Credential, person: Person, now: datetime) -> DenyReason | None:
    """Return why a credential opens no lock at all at an instant; None: groups decide."""
    if credential.blocked:
        return DenyReason.CREDENTIAL_BLOCKED
    if credential.ends_at is not None and now >= credential.ends_at:
        return DenyReason.CREDENTIAL_EXPIRED
    if person.starts_at is not None and now < person.starts_at:
        return DenyReason.PERSON_NOT_YET
    if person.ends_at is not None and now >= person.ends_at:
        return DenyReason.PERSON_EXPIRED
    if not person.subscribed:
        return DenyReason.PERSON_UNSUBSCRIBED
    return None


def barred(
    *, subscribed: bool, person: Person, credentials: Collection[Credential], now: datetime
) -> DenyReason | None:
    """Return why a person opens no lock at all at an instant; None: her groups decide.

    Of several credentials the one that gets furthest counts.
    """
    if not subscribed:
        return DenyReason.NO_VALID_SUBSCRIPTION
    flaws = [flaw(credential, person, now) for credential in credentials]
    if None in flaws:
        return None
    order = list(DenyReason)
    return max(
        (each for each in flaws if each), key=order.index, default=DenyReason.UNKNOWN_CREDENTIAL
    )


def allowed_within(
    within: Span,
    *,
    holder: tuple[Credential, Person],
    groups: Collection[AccessGroup],
    lock_id: LockId,
    zone: ZoneInfo,
    holidays: Collection[Holiday],
) -> list[Span]:
    """Return when ``decide`` lets a credential open a lock while the site is subscribed."""
    credential, person = holder
    usable = within.part(person.starts_at, person.ends_at)
    usable = usable and usable.part(None, credential.ends_at)
    if usable is None or credential.blocked or not person.subscribed:
        return []
    return merged(
        span
        for group in _granting(groups, person, lock_id)
        for span in group.openings(usable, zone=zone, holidays=holidays)
    )


def furthest(decisions: Collection[Decision]) -> Decision:
    """Return the decision that opens, else the one that got furthest in the order of the checks.

    Raises:
        ValueError: There are none.
    """
    order = list(DenyReason)

    def rank(decision: Decision) -> int:
        return len(order) if isinstance(decision, Allowed) else order.index(decision.reason)

    return max(decisions, key=rank)


def _granting(
    groups: Collection[AccessGroup], person: Person, lock_id: LockId
) -> list[AccessGroup]:
    return [
        group for group in groups if person.id in group.person_ids and lock_id in group.lock_ids
    ]
