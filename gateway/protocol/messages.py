"""What hub and controller say to each other, one type a message.

Every message but a section travels as the payload of a COSE_Sign1 (``cose.py``). The CDDL of the
same types is ``doorward.cddl``; docs/protocol/ explains them with a worked example each.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from gateway.protocol.wire import Digest, Id, Key, Range, Size, Uint

ENTRIES_PER_BATCH_MAX: Final = 100
LOCKS_PER_HUB_MAX: Final = 16
ROOTS_MAX: Final = 300  # above that the manifest names index sections
SECTIONS_IN_FLIGHT_MAX: Final = 4

Sequence = Annotated[int, Range(1, 2**53 - 1)]


class EntryKind(IntEnum):
    """What happened at the door. From ``FIRST_INCIDENT`` on it is an incident, not an entry."""

    OPENED_BY_HUB = 1
    OPENED_BY_LIST = 2  # offline, by the list that the controller compiled
    OPENED_BY_MEMORY = 3  # offline, by the lock's own audit-trail memory
    DENIED_BY_HUB = 4
    DENIED_OFFLINE = 5
    OPENED_REMOTELY = 6
    OVERFLOW = 7  # the lock's ring was full: ``count`` older entries are lost
    OFFICE_STARTED = 8  # the lock stays open
    OFFICE_ENDED = 9  # and opens by credential again
    PRIVACY_STARTED = 10  # somebody inside wants to be alone
    PRIVACY_ENDED = 11
    TAG_ENROLLED = 12  # held to the reader within the time that ``command_id`` gave
    LOCKER_TAKEN = 13  # a free locker is the presenter's until it is freed
    LOCKER_FREED = 14
    LEFT_OPEN = 32  # for longer than the lock's settings allow
    CLOSED = 33  # the door that had been left open or forced is shut
    INTRUSION = 34  # the door was opened without a credential or the inside handle
    TAMPER = 35  # the case was opened
    TAMPER_ENDED = 36
    BATTERY_LOW = 37  # ``count`` per cent are left
    KEYPAD_WAITS = 38  # too many wrong codes: ``count`` in a row
    KEYPAD_OFF = 39  # until a valid tag or digital key, or an admin, clears it
    KEYPAD_CLEARED = 40


FIRST_INCIDENT: Final = EntryKind.LEFT_OPEN


class CredentialKind(IntEnum):
    """What was presented to a lock."""

    TAG = 1
    DIGITAL_KEY = 2
    PIN = 3


class DenyReason(IntEnum):
    """Why a door stayed shut: the first check that failed, see docs/algorithms/tag-decision.md."""

    UNKNOWN_CREDENTIAL = 1
    CREDENTIAL_BLOCKED = 2
    CREDENTIAL_EXPIRED = 3
    PERSON_EXPIRED = 4
    PERSON_UNSUBSCRIBED = 5
    NO_ACCESS_TO_LOCK = 6
    OUTSIDE_SCHEDULE = 7
    CLOCK_UNCERTAIN = 8  # a schedule would have to be judged and nobody knows the time
    PERSON_NOT_YET = 9  # the person's stay has not begun
    PRIVACY = 10  # somebody inside wants to be alone
    KEYPAD_WAITS = 11  # too many wrong codes, no code is tried for a while
    KEYPAD_OFF = 12  # far too many; or the lock has no keypad in use
    DOCUMENT_EXPIRED = 13  # of the digital key
    LOCKER_TAKEN = 14  # by somebody else


class CommandOutcome(IntEnum):
    """What became of a command."""

    OPENED = 1
    REFUSED = 2
    EXPIRED = 3
    UNREACHABLE = 4  # the lock did not answer the hub
    DONE = 5  # what it ordered is not an opening


class LockMode(IntEnum):
    """How a lock stands."""

    NORMAL = 0
    OFFICE = 1  # it stays open
    PRIVACY = 2  # it opens to those only who may override privacy


@dataclass(frozen=True, slots=True, kw_only=True)
class LockStatus:
    """How a hub last saw one of its locks."""

    lock_id: Annotated[Id, Key(1)]
    online: Annotated[bool | None, Key(2)] = None  # None: the hub cannot tell yet since its start
    paired: Annotated[bool, Key(3)]
    log_epoch: Annotated[Uint, Key(4)]
    list_hash: Annotated[Digest | None, Key(5)] = None
    """SHA-256 of the offline list that the lock has confirmed to hold."""
    battery: Annotated[int | None, Range(0, 100), Key(6)] = None  # per cent
    mode: Annotated[LockMode | None, Key(7)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Hub to controller, as hello (after connecting), beat (regularly) and confirm (on change)."""

    nonce: Annotated[Id, Key(1)]
    epoch: Annotated[Uint, Key(2)]
    lease_number: Annotated[Uint, Key(3)]
    revision: Annotated[Uint, Key(4)]  # of the access state that serves now
    subscribed: Annotated[bool, Key(5)]
    firmware: Annotated[str, Size(1, 40), Key(6)]
    entries_waiting: Annotated[Uint, Key(7)]
    locks: Annotated[tuple[LockStatus, ...], Size(0, LOCKS_PER_HUB_MAX), Key(8)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event at a door. (lock, log epoch, sequence) identifies it for ever."""

    lock_id: Annotated[Id, Key(1)]
    log_epoch: Annotated[Uint, Key(2)]
    sequence: Annotated[Sequence, Key(3)]  # from 1, without gaps, by the lock
    kind: Annotated[EntryKind, Key(4)]
    at_s: Annotated[Uint, Key(5)]  # calendar, by the lock's clock
    clock_trusted: Annotated[bool, Key(6)]
    hub_at_s: Annotated[Uint | None, Key(7)] = None  # calendar, when the hub journaled it
    reason: Annotated[DenyReason | None, Key(8)] = None
    credential_digest: Annotated[Id | None, Key(9)] = None  # of what was presented
    command_id: Annotated[Id | None, Key(10)] = None
    count: Annotated[Uint | None, Key(11)] = None
    credential_kind: Annotated[CredentialKind | None, Key(12)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Hub to controller: entries, oldest first for each lock. Sent again until acknowledged."""

    entries: Annotated[tuple[Entry, ...], Size(1, ENTRIES_PER_BATCH_MAX), Key(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Hub to controller: the sections of this revision that the hub lacks."""

    revision: Annotated[Uint, Key(1)]
    hashes: Annotated[tuple[Digest, ...], Size(1, SECTIONS_IN_FLIGHT_MAX), Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Hub to controller: what became of a command."""

    command_id: Annotated[Id, Key(1)]
    outcome: Annotated[CommandOutcome, Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """Controller to hub: the answer to a Status. It counts as contact and sets the calendar."""

    nonce: Annotated[Id, Key(1)]
    epoch: Annotated[Uint, Key(2)]
    lease_number: Annotated[Uint, Key(3)]  # newest
    revision: Annotated[Uint, Key(4)]  # newest access revision
    calendar_ms: Annotated[Uint, Key(5)]
    speed: Annotated[int, Range(1, 100_000), Key(6)]
    utc_ms: Annotated[Uint, Key(7)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """Controller to hub: a gateway has started; say hello and send again what waits."""

    utc_ms: Annotated[Uint, Key(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Controller to hub: whether the site is subscribed, and until when."""

    hub_id: Annotated[Id, Key(1)]
    site_id: Annotated[Id, Key(2)]
    epoch: Annotated[Uint, Key(3)]
    number: Annotated[Uint, Key(4)]
    subscribed: Annotated[bool, Key(5)]
    ends_at_s: Annotated[Uint, Key(6)]  # calendar; at this instant it is over
    serve_until_s: Annotated[Uint, Key(7)]  # calendar; how long without contact
    revision: Annotated[Uint, Key(8)]  # newest access revision when this was signed


class SectionKind(IntEnum):
    """What a section holds."""

    INDEX = 0
    SCHEDULES = 1
    GROUPS = 2
    PEOPLE = 3
    LOCKS = 4
    OFFLINE_LIST = 5
    HOLIDAYS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One section that a manifest (or an index section) names."""

    kind: Annotated[SectionKind, Key(1)]
    hash: Annotated[Digest, Key(2)]  # SHA-256 of the section's bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Controller to hub: the whole access state of one revision, by hash."""

    hub_id: Annotated[Id, Key(1)]
    site_id: Annotated[Id, Key(2)]
    epoch: Annotated[Uint, Key(3)]
    revision: Annotated[Uint, Key(4)]
    time_zone: Annotated[str, Size(1, 64), Key(5)]  # IANA name of the site's zone
    roots: Annotated[tuple[Root, ...], Size(0, ROOTS_MAX), Key(6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Controller to hub: this batch is committed. It counts as contact."""

    batch_hash: Annotated[Digest, Key(1)]  # SHA-256 of the batch message as it was sent
    lease_number: Annotated[Uint, Key(2)]  # newest
    revision: Annotated[Uint, Key(3)]  # newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Controller to hub: have this lock obey now, once. ``sealed`` is for the lock only."""

    command_id: Annotated[Id, Key(1)]
    lock_id: Annotated[Id, Key(2)]
    issued_ms: Annotated[Uint, Key(3)]  # UTC of the link clock
    ttl_s: Annotated[int, Range(1, 10), Key(4)]
    sealed: Annotated[bytes, Size(1, 200), Key(5)]  # a sealing.LockOrder
