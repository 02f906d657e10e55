"""Why may she open: the reference decision at a door.

The hub decides with code of its own, from its own copy; a test compares the two.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from controller.domain.ids import CredentialId, GroupId, LockId, PersonId
from controller.domain.schedule import Schedule


class CredentialKind(StrEnum):
    """What a person presents."""

    TAG = "tag"
    DIGITAL_KEY = "digital_key"
    PIN = "pin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """A half-open interval; an end that is missing is open."""

    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What of a person counts at a door."""

    id: PersonId
    subscribed: bool  # has one of the plan's user seats
    blocked: bool = False
    validity: Validity = Validity()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What of a credential counts at a door."""

    id: CredentialId
    person_id: PersonId
    kind: CredentialKind
    blocked: bool = False
    validity: Validity = Validity()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGroup:
    """People who may open locks while a schedule is open."""

    id: GroupId
    person_ids: frozenset[PersonId]
    lock_ids: frozenset[LockId]
    schedule: Schedule


class DenyReason(StrEnum):
    """Why a door stays shut, in the order of the checks."""

    NO_VALID_SUBSCRIPTION = "no_valid_subscription"
    UNKNOWN_CREDENTIAL = "unknown_credential"
    CREDENTIAL_BLOCKED = "credential_blocked"
    CREDENTIAL_NOT_YET_VALID = "credential_not_yet_valid"
    CREDENTIAL_EXPIRED = "credential_expired"
    PERSON_BLOCKED = "person_blocked"
    PERSON_NOT_YET_VALID = "person_not_yet_valid"
    PERSON_EXPIRED = "person_expired"
    NO_SEAT = "no_seat"
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
) -> Decision:
    """Decide whether a credential opens a lock. The first check that fails names the reason.

    Args:
        subscribed: The site's subscription runs.
        holder: The credential that was presented and its person; None when the site has none.
        groups: The site's access groups.
        lock_id: The lock.
        zone: The site's time zone.
        now: The instant.
    """
    raise NotImplementedError
