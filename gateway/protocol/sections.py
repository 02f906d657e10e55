"""Sections: the pieces of a hub's access state, each named by the hash of its bytes.

A section's bytes are one CBOR map with one key, the kind. The hub pulls those it lacks and
switches to the new state only when all of them are there.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Annotated, Final

from gateway.protocol import cbor, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import ROOTS_MAX, Root, SectionKind
from gateway.protocol.wire import Bits, Id, Key, Range, Size, Uint

SECTION_BYTES_MAX: Final = 12 * 1024
LIST_BYTES_MAX: Final = 31 * 512  # of an offline list: the fullest fits, and into a frame with it
ITEMS_MAX: Final = 2_000  # more do not fit into a section anyway
WINDOWS_MAX: Final = 28  # four a day
GRANTS_MAX: Final = 360  # the largest lock's capacity

PURGE_MAX: Final = 20
SCHEDULES_PER_LIST_MAX: Final = 6  # with 360 grants the fullest list still fits
HOLIDAYS_MAX: Final = 40  # of a site, at one time
DAY_MINUTES: Final = 1440
HOLIDAY: Final = 7  # the weekday of a holiday, where a schedule observes them


class Privilege(IntFlag):
    """What a person may do at a door beyond opening it."""

    OFFICE = 1  # start and end office mode
    OVERRIDE_PRIVACY = 2
    EXTENDED_OPENING = 4  # the door stays open for longer


PRIVILEGES_MAX: Final = 7


class OfficeMode(IntEnum):
    """How a lock comes to stay open."""

    NONE = 0
    BY_HAND = 1  # a credential with the privilege, held to it, starts and ends it
    EASY = 2  # within its times any presentation of one with the privilege starts or ends it
    SCHEDULED = 3  # it starts and ends with its times


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A weekly time in the site's zone, in minutes of the day; the end is outside."""

    weekday: Annotated[int, Range(0, HOLIDAY), Key(1)]  # Monday is 0
    start_min: Annotated[int, Range(0, DAY_MINUTES - 1), Key(2)]
    end_min: Annotated[int, Range(1, DAY_MINUTES), Key(3)]


Windows = Annotated[tuple[Window, ...], Size(0, WINDOWS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Weekly windows, by the clock on the site's wall. No window means never."""

    windows: Annotated[Windows, Key(1)]
    observes_holidays: Annotated[bool, Key(2)]
    """On a holiday the windows of ``HOLIDAY`` count instead of the weekday's. Where this is False
    a holiday is a day like any other."""
    from_day: Annotated[Uint | None, Key(3)] = None  # first day, counted from 1970-01-01
    until_day: Annotated[Uint | None, Key(4)] = None  # first day outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """Days that are holidays at the site, by the calendar on its wall."""

    day: Annotated[Uint, Key(1)]  # the first, counted from 1970-01-01
    days: Annotated[int, Range(1, 31), Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a group may open."""

    schedule_id: Annotated[Id, Key(1)]
    times: Annotated[Times, Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Which locks of this hub a group opens; without a schedule at all times."""

    group_id: Annotated[Id, Key(1)]
    lock_ids: Annotated[tuple[Id, ...], Size(0, 16), Key(2)]
    schedule_id: Annotated[Id | None, Key(3)] = None
    starts_at_s: Annotated[Uint | None, Key(4)] = None
    ends_at_s: Annotated[Uint | None, Key(5)] = None  # the first instant outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key of a person, known by its keyed digest only."""

    credential_digest: Annotated[Id, Key(1)]
    blocked: Annotated[bool, Key(2)]
    ends_at_s: Annotated[Uint | None, Key(3)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whoever may open something at this hub. The hub learns no name."""

    person_id: Annotated[Id, Key(1)]
    subscribed: Annotated[bool, Key(2)]
    group_ids: Annotated[tuple[Id, ...], Size(0, 100), Key(3)]
    credentials: Annotated[tuple[Credential, ...], Size(0, 20), Key(4)]
    ends_at_s: Annotated[Uint | None, Key(5)] = None
    starts_at_s: Annotated[Uint | None, Key(6)] = None
    privileges: Annotated[int | None, Range(0, PRIVILEGES_MAX), Key(7)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """How a lock behaves. Zone and holidays stand in its offline list."""

    open_s: Annotated[int, Range(1, 240), Key(1)]
    extended_open_s: Annotated[int, Range(1, 240), Key(2)]  # for those with the privilege
    memory_days: Annotated[int, Range(0, 255), Key(3)]  # 0 switches the audit-trail memory off
    left_open_s: Annotated[int, Range(0, 3600), Key(4)]  # 0: no alarm
    office: Annotated[OfficeMode, Key(5)]
    toggle: Annotated[bool, Key(6)]  # a presentation opens the lock for good, the next one ends it
    privacy: Annotated[bool, Key(7)]  # the button inside works
    keypad: Annotated[bool, Key(8)]
    free_locker: Annotated[bool, Key(9)]  # whoever takes it keeps it until it is freed
    office_times: Annotated[Times | None, Key(10)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSettings:
    """What a hub must know to serve a lock, and what it hands on to it."""

    lock_id: Annotated[Id, Key(1)]
    serial: Annotated[str, Size(1, 40), Key(2)]  # the lock's radio address until it is paired
    door: Annotated[DoorSettings, Key(3)]
    pairing: Annotated[bytes, Size(1, 400), Key(4)]  # sealing.Pairing with its MAC, for the lock
    lock_ticket: Annotated[bytes, Size(1, 400), Key(5)]  # sealed for the lock
    hub_ticket: Annotated[bytes, Size(1, 400), Key(6)]  # sealed for the hub


Places = Annotated[tuple[int, ...], Bits(SCHEDULES_PER_LIST_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineGrant:
    """A credential that the lock may open to by itself. It takes one of the lock's slots."""

    credential_digest: Annotated[Id, Key(1)]
    schedules: Annotated[Places | None, Key(2)] = None
    """Places in the list's schedules, ascending; any of them will do. None: at all times."""
    ends_at_s: Annotated[Uint | None, Key(3)] = None
    starts_at_s: Annotated[Uint | None, Key(4)] = None
    privileges: Annotated[int | None, Range(0, PRIVILEGES_MAX), Key(5)] = None


Holidays = Annotated[tuple[Holiday, ...], Size(1, HOLIDAYS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineList:
    """What one lock holds for offline use. The lock stores the section's very bytes.

    The same grants give the same bytes whenever they are compiled: nothing here depends on the
    present instant.
    """

    lock_id: Annotated[Id, Key(1)]
    time_zone: Annotated[str, Size(1, 64), Key(2)]
    schedules: Annotated[tuple[Times, ...], Size(0, SCHEDULES_PER_LIST_MAX), Key(3)]
    grants: Annotated[tuple[OfflineGrant, ...], Size(0, GRANTS_MAX), Key(4)]
    purge: Annotated[tuple[Id, ...], Size(0, PURGE_MAX), Key(5)]
    """Credential digests that the audit-trail memory must forget."""
    purge_before_s: Annotated[Uint | None, Key(6)] = None
    """Openings before this instant must be forgotten too: what was revoked did not fit above.

    A lock forgets its whole memory at a new list that has this and takes back other openings than
    the list before: a hub that was behind may have granted one after this instant.
    """
    holidays: Annotated[Holidays | None, Key(7)] = None  # where its times observe them


Item = Root | Schedule | Group | Person | LockSettings | OfflineList | Holiday

ITEM_TYPES: Final[dict[SectionKind, type[Item]]] = {
    SectionKind.INDEX: Root,
    SectionKind.SCHEDULES: Schedule,
    SectionKind.GROUPS: Group,
    SectionKind.PEOPLE: Person,
    SectionKind.LOCKS: LockSettings,
    SectionKind.OFFLINE_LIST: OfflineList,
    SectionKind.HOLIDAYS: Holiday,
}
_ITEMS: Final = {
    SectionKind.INDEX: Size(0, ROOTS_MAX),
    SectionKind.OFFLINE_LIST: Size(1, 1),
    SectionKind.HOLIDAYS: Size(0, HOLIDAYS_MAX),
}


@dataclass(frozen=True, slots=True)
class Section:
    """A section as bytes, with its name."""

    kind: SectionKind
    data: bytes

    @property
    def hash(self) -> bytes:
        """Return the section's name: the SHA-256 of its bytes."""
        return hashlib.sha256(self.data).digest()

    @property
    def root(self) -> Root:
        """Return the line that names this section in a manifest."""
        return Root(kind=self.kind, hash=self.hash)


def build(kind: SectionKind, items: tuple[Item, ...]) -> Section:
    """Return the section that holds these items; equal items give equal bytes."""
    return Section(kind, cbor.encode({int(kind): [wire.to_map(item) for item in items]}))


def bytes_max(kind: SectionKind) -> int:
    """Return how many bytes a section of a kind has at most."""
    return LIST_BYTES_MAX if kind is SectionKind.OFFLINE_LIST else SECTION_BYTES_MAX


def read(kind: SectionKind, data: bytes) -> tuple[Item, ...]:
    """Return the items of a section.

    Raises:
        ProtocolError: It is not a section of this kind.
    """
    value = cbor.decode(data, bytes_max=bytes_max(kind))
    if type(value) is not dict or list(value) != [int(kind)] or type(value[int(kind)]) is not list:
        raise ProtocolError(f"section is not of kind {kind.name}")
    items = value[int(kind)]
    size = _ITEMS.get(kind, Size(0, ITEMS_MAX))
    if not size.low <= len(items) <= size.high:
        raise ProtocolError(f"section has {len(items)} items, not {size.low} to {size.high}")
    item_type = ITEM_TYPES[kind]
    return tuple(
        wire.from_map(item_type, item, f"{item_type.__name__}[{index}]")
        for index, item in enumerate(items)
    )
