"""All that decides who may open what at one site, as one value.

Delivery compiles documents and sections from it, the cloud explains decisions with it. It holds
no name, no tag number and nothing that depends on the present instant; every tuple is sorted by
id, so that equal rows give equal bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.domain.access import AccessGroup, Credential, Person
from controller.domain.hardware import DoorSettings
from controller.domain.ids import GroupId, HubId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.schedule import Holiday, Schedule

_ALWAYS: Final = Schedule.always()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCredential:
    """A credential with what the device link must know of it."""

    credential: Credential
    digest: bytes  # 16 bytes, keyed: what it is called on the link
    offline: bool  # explicit offline access is granted


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Who may open which locks; without a schedule at all times."""

    id: GroupId
    schedule_id: ScheduleId | None
    person_ids: frozenset[PersonId]
    lock_ids: frozenset[LockId]
    starts_at: datetime | None = None
    ends_at: datetime | None = None  # first instant outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """A credential whose rights were reduced, and when last."""

    digest: bytes
    revoked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock with its settings and keys."""

    id: LockId
    hub_id: HubId
    serial: str
    public_key: bytes  # X25519, 32 bytes
    pairing: bytes  # sealing.SignedPairing, made once
    capacity: int  # offline credentials that it can hold
    door: DoorSettings
    epoch: int
    ticket_number: int = 1  # raised when another device becomes its hub
    free_locker: bool = False  # whoever takes it keeps it until it is freed
    purges: tuple[Revoked, ...] = ()  # those that lost a right at this lock, the newest of them
    purged_at: datetime | None = None  # of the newest revocation here that ``purges`` lacks


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """The access state of a site. ``people`` are all of them, subscribed or not."""

    site_id: SiteId
    time_zone: str  # IANA name
    people: Mapping[PersonId, Person]
    credentials: tuple[HeldCredential, ...]
    groups: tuple[Group, ...]
    schedules: Mapping[ScheduleId, Schedule]
    locks: tuple[Lock, ...]
    revoked: tuple[Revoked, ...]
    holidays: tuple[Holiday, ...] = ()

    def schedule_of(self, group: Group) -> Schedule:
        """Return when a group may open."""
        if group.schedule_id is None:
            return _ALWAYS
        return self.schedules[group.schedule_id]

    def access_groups(self) -> tuple[AccessGroup, ...]:
        """Return the groups as the reference decision takes them."""
        return tuple(
            AccessGroup(
                id=group.id,
                person_ids=group.person_ids,
                lock_ids=group.lock_ids,
                schedule=self.schedule_of(group),
                starts_at=group.starts_at,
                ends_at=group.ends_at,
            )
            for group in self.groups
        )
