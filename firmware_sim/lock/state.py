"""What a lock knows. Flash keeps all of it but the fields that say otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from firmware_sim.calendar import Calendar
from gateway.protocol.frames import Configure, Obeyed
from gateway.protocol.messages import CredentialKind, Entry, LockMode
from gateway.protocol.phone import AccessDocument
from gateway.protocol.sealing import LockTicket, Pairing
from gateway.protocol.sections import DoorSettings, OfflineList
from gateway.protocol.wire import Id, Key, Range, Uint

OPEN_S: Final = 3  # until a configuration says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class LockIdentity:
    """What the factory burns in and prints on the sticker."""

    serial: str
    key: bytes  # X25519, private
    sticker_secret: bytes  # claim.code_secret of the code on the sticker
    capacity: int  # slots for credentials, list and memory together


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The site that this lock belongs to."""

    pairing: Pairing
    seal_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The hub that may answer this lock."""

    ticket: LockTicket
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What CONFIGURE brought, as received and as read."""

    settings: Configure
    offline_list: OfflineList | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The last time that a hub opened to a credential: the audit-trail memory."""

    opened_s: Annotated[Uint, Key(1)]
    ends_at_s: Annotated[Uint | None, Key(2)] = None  # of the credential or its person


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """How far the controller has committed this log."""

    up_to: Annotated[Uint, Key(1)] = 0
    ticket: Annotated[Uint, Key(2)] = 0  # of the hub that said so: it knows where the log stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The ring of entries. What has been freed is gone."""

    log_epoch: int
    freed: Freed
    entries: tuple[Entry, ...] = ()  # oldest first
    sent: int = 0  # newest sequence sent since boot; not in flash
    resend_s: float = 0.0  # when to send all of it again; not in flash
    pause_s: float = 0.0  # between two such times; not in flash

    @property
    def newest(self) -> int:
        """The newest sequence ever given."""
        return self.entries[-1].sequence if self.entries else self.freed.up_to


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What an entry says of what was presented."""

    kind: CredentialKind
    digest: bytes | None = None  # None: it is nobody's, or was not even tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """What somebody at the door presents."""

    kind: CredentialKind
    digest: bytes
    held: bool = False  # for more than 5 s

    @property
    def shown(self) -> Shown:
        """With its name."""
        return Shown(kind=self.kind, digest=self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question to the hub that waits for its answer."""

    challenge: bytes
    presentation: Presentation
    until_s: float
    again_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long the hub has not answered. While it is quiet the lock spares its battery."""

    count: int = 0
    until_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """A phone that was asked to prove itself."""

    document: bytes
    read: AccessDocument
    challenge: bytes
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """The next tag is to be reported, not judged."""

    command_id: bytes
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Codes that did not open since the last one that did."""

    failures: Annotated[Uint, Key(1)] = 0  # a code counts before it is tried
    told: Annotated[Uint, Key(2)] = 0  # how many the newest incident spoke of


class Hold(IntEnum):
    """Why a lock stays open."""

    BY_HAND = 1
    EASY = 2
    SCHEDULED = 3
    ORDER = 4
    TOGGLE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """How the lock stands."""

    mode: Annotated[LockMode, Key(1)] = LockMode.NORMAL
    hold: Annotated[Hold | None, Key(2)] = None  # of office mode
    until_s: Annotated[Uint | None, Key(3)] = None  # calendar, of an order that said how long
    served: Annotated[bool, Key(4)] = False  # the scheduled time that runs had its office mode
    closing: Annotated[bool, Key(5)] = False  # the motor was told to close just now


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """Which incidents stand, so that each is told once, and the battery."""

    left_open: Annotated[bool, Key(1)] = False
    forced: Annotated[bool, Key(2)] = False
    tampered: Annotated[bool, Key(3)] = False
    battery: Annotated[int, Range(0, 100), Key(4)] = 100  # per cent
    battery_told: Annotated[int, Range(0, 100), Key(5)] = 100  # the lowest step that was told


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """Whose a free locker is."""

    digest: Annotated[Id, Key(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorWatch:
    """What the lock has seen of its door since boot, by the link clock."""

    is_open: bool | None = None  # None: the contact has not said yet
    since_s: float = 0.0  # when it moved, or the lock stopped staying open
    may_open_until_s: float = 0.0
    handle_until_s: float = 0.0  # an opening until then comes from within


@dataclass(frozen=True, slots=True, kw_only=True)
class LockState:
    """A lock. Never changed, only replaced."""

    identity: LockIdentity
    calendar: Calendar
    log: Log
    told_ms: int = 0  # the greatest instant a hub has told; an older one is a replay
    pin: Pin | None = None
    link: Link | None = None
    configuration: Configuration | None = None
    memory: Mapping[bytes, Opening]  # by credential digest
    order_number: int = 0  # of the newest order that was obeyed
    mode: Mode = Mode()
    guard: Guard = Guard()
    alarms: Alarms = Alarms()
    occupant: Occupant | None = None
    # Not in flash:
    obeyed: Obeyed | None = None  # the newest order since boot
    pressed_until_s: float = 0.0
    request: Request | None = None
    silence: Silence = Silence()
    greeting: Greeting | None = None
    enrolment: Enrolment | None = None
    answered_s: float = 0.0  # when it last answered a TIME
    keypad_until_s: float = 0.0  # no code is tried before
    door: DoorWatch = DoorWatch()

    @property
    def settings(self) -> DoorSettings | None:
        """How the door is to behave, once somebody has said it."""
        return self.configuration.settings.door if self.configuration else None

    @property
    def stays_open(self) -> bool:
        """Whether the lock is in office mode."""
        return self.mode.mode is LockMode.OFFICE

    def flash_key(self, name: str) -> str:
        """Return where a record lies. A factory reset moves on to another shelf at one stroke."""
        return f"{self.log.log_epoch}/{name}"
