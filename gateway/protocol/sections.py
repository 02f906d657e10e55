"""Sections: the pieces of a hub's access state, each named by the hash of its bytes.

A section's bytes are one CBOR map with one key, the kind. The hub pulls those it lacks and
switches to the new state only when all of them are there.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final

from gateway.protocol import cbor, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import ROOTS_MAX, Root, SectionKind
from gateway.protocol.wire import Id, Key, Range, Size, Uint

SECTION_BYTES_MAX: Final = 12 * 1024
ITEMS_MAX: Final = 2_000  # more do not fit into a section anyway
WINDOWS_MAX: Final = 28  # four a day
GRANTS_MAX: Final = 360  # the largest lock's capacity

PURGE_MAX: Final = 20
SCHEDULES_PER_LIST_MAX: Final = 6  # with 360 grants the fullest list still fits into a section
DAY_MINUTES: Final = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A weekly time in the site's zone, in minutes of the day; the end is outside."""

    weekday: Annotated[int, Range(0, 6), Key(1)]  # Monday is 0
    start_min: Annotated[int, Range(0, DAY_MINUTES - 1), Key(2)]
    end_min: Annotated[int, Range(1, DAY_MINUTES), Key(3)]


Windows = Annotated[tuple[Window, ...], Size(0, WINDOWS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a group may open. No window means never."""

    schedule_id: Annotated[Id, Key(1)]
    windows: Annotated[Windows, Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Which locks of this hub a group opens; without a schedule at all times."""

    group_id: Annotated[Id, Key(1)]
    lock_ids: Annotated[tuple[Id, ...], Size(0, 16), Key(2)]
    schedule_id: Annotated[Id | None, Key(3)] = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSettings:
    """What a hub must know to serve a lock, and what it hands on to it."""

    lock_id: Annotated[Id, Key(1)]
    serial: Annotated[str, Size(1, 40), Key(2)]  # the lock's radio address until it is paired
    open_s: Annotated[int, Range(1, 240), Key(3)]
    memory_days: Annotated[int, Range(0, 255), Key(4)]  # 0 switches the audit-trail memory off
    pairing: Annotated[bytes, Size(1, 400), Key(5)]  # sealing.Pairing with its MAC, for the lock
    lock_ticket: Annotated[bytes, Size(1, 400), Key(6)]  # sealed for the lock
    hub_ticket: Annotated[bytes, Size(1, 400), Key(7)]  # sealed for the hub


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineGrant:
    """A credential that the lock may open to by itself."""

    credential_digest: Annotated[Id, Key(1)]
    schedule: Annotated[int | None, Range(0, SCHEDULES_PER_LIST_MAX - 1), Key(2)] = None
    """Place in the list's schedules; None means at all times."""
    ends_at_s: Annotated[Uint | None, Key(3)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineList:
    """What one lock holds for offline use. The lock stores the section's very bytes.

    The same grants give the same bytes whenever they are compiled: nothing here depends on the
    present instant.
    """

    lock_id: Annotated[Id, Key(1)]
    time_zone: Annotated[str, Size(1, 64), Key(2)]
    schedules: Annotated[tuple[Windows, ...], Size(0, SCHEDULES_PER_LIST_MAX), Key(3)]
    grants: Annotated[tuple[OfflineGrant, ...], Size(0, GRANTS_MAX), Key(4)]
    purge: Annotated[tuple[Id, ...], Size(0, PURGE_MAX), Key(5)]
    """Credential digests that the audit-trail memory must forget."""
    purge_before_s: Annotated[Uint | None, Key(6)] = None
    """Openings before this instant must be forgotten too: what was revoked did not fit above.

    A lock forgets its whole memory at a new list that has this and takes back other openings than
    the list before: a hub that was behind may have granted one after this instant.
    """


Item = Root | Schedule | Group | Person | LockSettings | OfflineList

ITEM_TYPES: Final[dict[SectionKind, type[Item]]] = {
    SectionKind.INDEX: Root,
    SectionKind.SCHEDULES: Schedule,
    SectionKind.GROUPS: Group,
    SectionKind.PEOPLE: Person,
    SectionKind.LOCKS: LockSettings,
    SectionKind.OFFLINE_LIST: OfflineList,
}
_ITEMS: Final = {SectionKind.INDEX: Size(0, ROOTS_MAX), SectionKind.OFFLINE_LIST: Size(1, 1)}


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


def read(kind: SectionKind, data: bytes) -> tuple[Item, ...]:
    """Return the items of a section.

    Raises:
        ProtocolError: It is not a section of this kind.
    """
    value = cbor.decode(data, bytes_max=SECTION_BYTES_MAX)
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
