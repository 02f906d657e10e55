"""Hubs, locks and commands of a site, as the cloud keeps them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from controller.domain.errors import Forbidden, Invalid, Refused, TooMany
from controller.domain.ids import AccountId, CommandId, HubId, LockId, ScheduleId, SiteId

LOCKS_PER_HUB_MAX: Final = 16
FIRST_HUB_EPOCH: Final = 0  # a claim raises it to 1
FIRST_LOCK_EPOCH: Final = 1
COMMAND_LIFE: Final = timedelta(seconds=10)  # after it no hub obeys; link clock
ANSWER_PATIENCE: Final = timedelta(seconds=30)  # likewise; then nobody will tell any more
ORDERS_OPEN_MAX: Final = 10  # of one lock, that may still be carried out or answered
ORDER_SECONDS_MAX: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A hub: who it is, what is wanted of it and what it has confirmed."""

    site_id: SiteId
    id: HubId
    serial: str
    name: str
    created_at: datetime
    claimed_at: datetime | None
    epoch: int
    lease_wanted: int
    lease_confirmed: int
    revision_wanted: int
    revision_confirmed: int
    subscribed_confirmed: bool | None
    confirmed_at: datetime | None
    online: bool | None  # None: nobody knows
    online_since: datetime | None
    firmware: str | None
    version: int


class OfficeMode(StrEnum):
    """How a lock comes to stay open."""

    NONE = "none"
    BY_HAND = "by_hand"  # a credential with the privilege, held to it, starts and ends it
    EASY = "easy"  # within its schedule any presentation of one with the privilege does
    SCHEDULED = "scheduled"  # it starts and ends with its schedule


class LockMode(StrEnum):
    """How a lock stands, as it last told."""

    NORMAL = "normal"
    OFFICE = "office"  # it stays open
    PRIVACY = "privacy"  # it opens to those only who may override privacy


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """How a lock behaves."""

    open_s: int = 3  # 1 to 240
    extended_open_s: int = 15  # 1 to 240, for people with the privilege
    memory_days: int = 7  # 0 to 255; 0 switches the audit-trail memory off
    left_open_s: int = 30  # 0 to 3600; 0: no alarm
    office: OfficeMode = OfficeMode.BY_HAND
    office_schedule_id: ScheduleId | None = None  # of easy and scheduled office mode
    toggle: bool = False  # a presentation opens it for good, the next one ends that
    privacy: bool = True  # the button inside works
    keypad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLock:
    """A lock with its settings, and what it has confirmed."""

    site_id: SiteId
    id: LockId
    hub_id: HubId
    serial: str
    name: str
    capacity: int
    door: DoorSettings
    created_at: datetime
    list_wanted: bytes | None
    list_confirmed: bytes | None
    list_confirmed_at: datetime | None
    paired: bool
    online: bool | None
    online_since: datetime | None
    battery: int | None  # per cent
    mode: LockMode | None
    version: int

    @property
    def pending(self) -> bool:
        """Return whether the lock has yet to confirm its offline list."""
        return self.list_wanted != self.list_confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLock:
    """A lock as it is on its sticker, and how it shall behave."""

    serial: str
    name: str
    public_key: bytes  # X25519
    capacity: int
    door: DoorSettings


class OrderKind(StrEnum):
    """What a lock is told to do now. The device link has the same names."""

    OPEN = "open"
    START_OFFICE = "start_office"
    END_OFFICE = "end_office"
    ENROL_TAG = "enrol_tag"
    CLEAR_KEYPAD = "clear_keypad"
    FREE_LOCKER = "free_locker"


class CommandState(StrEnum):
    """What is known of a command."""

    QUEUED = "queued"
    SENT = "sent"
    OPENED = "opened"
    DONE = "done"  # what it ordered is not an opening
    REFUSED = "refused"
    EXPIRED = "expired"  # nobody carried it out, and nobody will
    UNREACHABLE = "unreachable"  # the lock did not answer its hub
    UNKNOWN = "unknown"  # it was sent, and nobody told what became of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An order to a lock to do something once, now."""

    site_id: SiteId
    id: CommandId
    hub_id: HubId
    lock_id: LockId
    kind: OrderKind
    seconds: int | None  # calendar; how long it lasts
    number: int  # of the lock's orders; it only grows
    actor_id: AccountId | None
    actor_name: str
    state: CommandState
    created_at: datetime  # calendar
    issued_at: datetime  # link clock
    finished_at: datetime | None

    def state_at(self, utc: datetime) -> CommandState:
        """Return what is known at an instant of the link clock."""
        age = utc - self.issued_at
        if self.state is CommandState.QUEUED and age >= COMMAND_LIFE:
            return CommandState.EXPIRED
        if self.state is CommandState.SENT and age >= ANSWER_PATIENCE:
            return CommandState.UNKNOWN
        return self.state


class TooManyOrders(TooMany):
    """The lock has as many orders before it as one may have."""

    code = "too_many_orders"


class OrderImpossible(Refused):
    """The lock has not what the order is about."""

    code = "order_impossible"


class HubFull(Refused):
    """The hub serves as many locks as it can."""

    code = "hub_full"


class HubHasLocks(Refused):
    """The hub still serves locks."""

    code = "hub_has_locks"


class SerialInService(Refused):
    """The device is in service already, here or elsewhere."""

    code = "serial_in_service"


class InvalidStickerCode(Invalid):
    """No sticker has such a code."""

    code = "invalid_sticker_code"


class InvalidDeviceKey(Invalid):
    """The key cannot be a device's."""

    code = "invalid_device_key"


class ClaimRefused(Forbidden):
    """The claim is refused; a stranger is not told why."""

    code = "claim_refused"
