"""What a lock knows. Flash keeps all of it but the fields that say otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from firmware_sim.calendar import Calendar
from gateway.protocol.frames import Configure
from gateway.protocol.messages import Entry
from gateway.protocol.sealing import LockTicket, Pairing
from gateway.protocol.sections import OfflineList
from gateway.protocol.wire import Key, Uint

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
class Request:
    """A question to the hub that waits for its answer."""

    challenge: bytes
    credential_digest: bytes
    until_s: float
    again_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long the hub has not answered. While it is quiet the lock spares its battery."""

    count: int = 0
    until_s: float = 0.0


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
    order_number: int = 0  # of the newest remote opening
    opened_command: bytes | None = None  # the newest remote opening since boot; not in flash
    pressed_until_s: float = 0.0  # not in flash
    request: Request | None = None  # not in flash
    silence: Silence = Silence()  # not in flash

    def flash_key(self, name: str) -> str:
        """Return where a record lies. A factory reset moves on to another shelf at one stroke."""
        return f"{self.log.log_epoch}/{name}"
