"""Hubs, locks and commands of a site, as the cloud keeps them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from controller.domain.errors import Forbidden, Invalid, Refused, TooMany
from controller.domain.ids import (
    AccountId,
    CommandId,
    HubId,
    LockId,
    RepeaterId,
    ScheduleId,
    SiteId,
)

FIRST_HUB_EPOCH: Final = 0  # a claim raises it to 1
FIRST_LOCK_EPOCH: Final = 1
COMMAND_LIFE: Final = timedelta(seconds=10)  # after it no hub obeys; link clock
ANSWER_PATIENCE: Final = timedelta(seconds=30)  # likewise; then nobody will tell any more
ORDERS_OPEN_MAX: Final = 10  # of one lock, that may still be carried out or answered
ORDER_SECONDS_MAX: Final = 86_400
BATTERY_FRESH_ABOVE: Final = 60  # per cent
BATTERY_GOOD_ABOVE: Final = 35
BATTERY_LOW_ABOVE: Final = 20


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

    open_s: int = 5  # 1 to 240
    extended_open_s: int = 15  # 1 to 240, for people with the privilege
    memory_days: int = 7  # 0 to 255; 0 switches the audit-trail memory off
    left_open_s: int = 30  # 0 to 3600; 0: no alarm
    office: OfficeMode = OfficeMode.BY_HAND
    office_schedule_id: ScheduleId | None = None  # of easy and scheduled office mode
    toggle: bool = False  # a presentation opens it for good, the next one ends that
    privacy: bool = True  # the button inside works
    keypad: bool = False

    def require_sense(self) -> None:
        """Refuse settings that contradict one another.

        Raises:
            InvalidDoorSettings: It names the field and what to set.
        """
        follows = self.office in FOLLOWS_A_SCHEDULE
        if follows and self.office_schedule_id is None:
            raise InvalidDoorSettings(
                f"office_schedule_id: office mode {self.office} follows a schedule; name one.",
                field="office_schedule_id",
            )
        if not follows and self.office_schedule_id is not None:
            raise InvalidDoorSettings(
                f"office_schedule_id: office mode {self.office} follows no schedule; set it to "
                "null, or office to easy or scheduled.",
                field="office_schedule_id",
            )
        if self.toggle and follows:
            raise InvalidDoorSettings(
                f"toggle: a door that stays open by each presentation cannot follow office mode "
                f"{self.office} too; switch toggle off, or set office to none or by_hand.",
                field="toggle",
            )


FOLLOWS_A_SCHEDULE: Final = frozenset({OfficeMode.EASY, OfficeMode.SCHEDULED})

LEAVING: Final = DoorSettings(memory_days=0, office=OfficeMode.NONE, left_open_s=0)
"""How a lock behaves that leaves its site: it stays open for nobody and remembers nobody."""


class BatteryLevel(StrEnum):
    """What people are told of a battery."""

    FRESH = "fresh"
    GOOD = "good"
    LOW = "low"
    REPLACE = "replace"

    @classmethod
    def of(cls, percent: int) -> "BatteryLevel":
        """Return the level: more than 60 per cent is fresh, than 35 good, than 20 low."""
        if percent > BATTERY_FRESH_ABOVE:
            return cls.FRESH
        if percent > BATTERY_GOOD_ABOVE:
            return cls.GOOD
        return cls.LOW if percent > BATTERY_LOW_ABOVE else cls.REPLACE


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLock:
    """A lock with its settings, and what it has confirmed."""

    site_id: SiteId
    id: LockId
    hub_id: HubId
    repeater_id: RepeaterId | None  # None: the hub reaches it directly
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
    released_at: datetime | None  # it leaves the site as soon as it holds nothing of it
    version: int

    @property
    def pending(self) -> bool:
        """Return whether the lock has yet to confirm its offline list."""
        return self.list_wanted != self.list_confirmed

    def require_staying(self) -> None:
        """Refuse to change a lock that is leaving the site.

        Raises:
            LockLeaves: It is.
        """
        if self.released_at is not None:
            raise LockLeaves(
                f"{self.name} is leaving the site. It is gone as soon as it has confirmed that it "
                "holds nothing any more; delete it with force=true if it never will.",
                remedy="force",
            )


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


class SerialInService(Refused):
    """The device is in service already, here or elsewhere."""

    code = "serial_in_service"


class InvalidDoorSettings(Invalid):
    """Settings of a lock contradict one another."""

    code = "invalid_door_settings"


class LockLeaves(Refused):
    """The lock is leaving the site; nothing of it is changed any more."""

    code = "lock_leaves"


class InvalidStickerCode(Invalid):
    """No sticker has such a code."""

    code = "invalid_sticker_code"


class InvalidDeviceKey(Invalid):
    """The key cannot be a device's."""

    code = "invalid_device_key"


class ClaimRefused(Forbidden):
    """The claim is refused; a stranger is not told why."""

    code = "claim_refused"
