"""Lockers: locks of their own that belong to people, or to whoever takes them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from controller.domain.errors import Refused
from controller.domain.ids import LockerId, LockId, SiteId

LOCKER_PEOPLE_MAX: Final = 20  # who share a personal locker


class LockerKind(StrEnum):
    """Whose a locker is."""

    PERSONAL = "personal"  # of the people it is assigned to; its lock opens to nobody else
    FREE = "free"  # of whoever takes it out of the people of its lock's access groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Locker:
    """A locker with its lock."""

    site_id: SiteId
    id: LockerId
    lock_id: LockId
    name: str
    kind: LockerKind
    usable: bool  # False: the subscription has room for fewer, or for none
    created_at: datetime
    version: int


class LockIsLocker(Refused):
    """The lock is a locker's already, or a personal one's and so in no access group."""

    code = "lock_is_locker"


class LockInGroups(Refused):
    """A personal locker opens to its own people, and its lock is in access groups or pods."""

    code = "lock_in_groups"


class NotPersonal(Refused):
    """Nobody is assigned to a free locker."""

    code = "locker_not_personal"


class LockerShared(Refused):
    """As many people share the locker as can, or it is still assigned."""

    code = "locker_shared"
