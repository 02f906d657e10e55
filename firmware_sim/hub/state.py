"""What a hub knows. Flash keeps all of it but the fields that say otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from firmware_sim.calendar import Calendar
from firmware_sim.hub.tables import Holders, Tables
from firmware_sim.outputs import Colour
from gateway.protocol import frames
from gateway.protocol.messages import CommandOutcome, Entry, Lease, LockStatus, Manifest, Root
from gateway.protocol.sections import Item, LockSettings
from gateway.protocol.wire import Digest, Id, Key, Size, Uint


@dataclass(frozen=True, slots=True, kw_only=True)
class HubIdentity:
    """Who the hub is, and which controller it pinned when it was claimed."""

    serial: Annotated[str, Size(1, 40), Key(1)]
    hub_id: Annotated[Id, Key(2)]
    site_id: Annotated[Id, Key(3)]
    epoch: Annotated[Uint, Key(4)]
    device_key: Annotated[Digest, Key(5)]  # Ed25519, private
    agreement_key: Annotated[Digest, Key(6)]  # X25519, private
    controller_signing_key: Annotated[Digest, Key(7)]  # Ed25519, public
    controller_agreement_key: Annotated[Digest, Key(8)]  # X25519, public


@dataclass(frozen=True, slots=True, kw_only=True)
class Utc:
    """The link clock's UTC, as the controller last said it; not in flash."""

    utc_ms: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the controller must hear at once when it changes."""

    epoch: int
    lease_number: int
    revision: int
    subscribed: bool
    locks: tuple[LockStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """How the hub stands with the controller; not in flash."""

    connected: bool = False
    nonces: Mapping[bytes, float]  # of what was said and not answered -> when
    contact_s: float | None = None  # of the last answer to something that this hub had said
    beat_s: float = 0.0
    reported: Facts | None = None
    utc: Utc | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A section as bytes and as what it says. Of people only the holders are kept."""

    root: Root
    data: bytes
    items: tuple[Item, ...]
    holders: Holders


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The access state that serves: whole, of one revision."""

    epoch: int = 0
    revision: int = 0
    zone: ZoneInfo | None = None
    pieces: Mapping[bytes, Piece]
    tables: Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A newer access state on its way; not in flash, but what arrived of it is."""

    manifest: Manifest
    payload: bytes
    missing: tuple[Root, ...]
    pieces: Mapping[bytes, Piece]  # what has come, already read: the switch must be quick
    asked: frozenset[bytes] = frozenset()
    again_s: float = 0.0
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A CONFIGURE that went out."""

    epoch: int
    revision: int
    content: bytes
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LockLink:
    """One of this hub's locks. Settings and key follow from the access state."""

    settings: LockSettings
    offline_list: bytes
    link_key: bytes
    content: bytes  # digest of what CONFIGURE would bring, revision aside
    confirmed: bytes | None = None  # content that the lock is known to hold; not in flash
    is_unsure: bool = False  # configured since it last told its state; not in flash
    configured: Configured | None = None  # as CONFIGURE was last sent; not in flash
    log_epoch: int | None = None  # None until the lock has ever been heard
    state: frames.State | None = None  # as the lock last said; not in flash
    beat_s: float | None = None  # when TIME was last sent; not in flash
    missed: int = 0  # heartbeats without a word; not in flash
    online: bool | None = None  # None: nobody can tell yet; not in flash


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the hub holds of one log of one lock: a stretch without holes after ``committed``."""

    committed: int  # the controller has everything up to here
    entries: tuple[Entry, ...] = ()
    acknowledged: frozenset[int] = frozenset()  # beyond committed; not in flash

    @property
    def newest(self) -> int:
        """The newest sequence that the hub has seen."""
        return self.entries[-1].sequence if self.entries else self.committed


LogKey = tuple[bytes, int]  # lock id, log epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A batch on its way; not in flash. It is sent again as the very same bytes."""

    batch_hash: bytes
    message: bytes
    sequences: tuple[tuple[LogKey, int], ...]
    again_s: float
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Entries of all locks that the controller has not committed."""

    logs: Mapping[LogKey, Log]
    shipments: tuple[Shipment, ...] = ()

    @property
    def waiting(self) -> int:
        """How many entries the controller has not acknowledged."""
        return sum(len(log.entries) - len(log.acknowledged) for log in self.logs.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of the controller whose lock has not answered yet."""

    lock_id: bytes
    sealed: bytes
    until_s: float
    again_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that is over, remembered for longer than it could live."""

    outcome: CommandOutcome
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HubState:
    """A hub. Never changed, only replaced."""

    identity: HubIdentity
    calendar: Calendar
    uplink: Uplink
    lease: Lease | None = None
    latched: bool = False  # this lease is over, whatever the calendar will say
    subscribed: bool = False  # follows from all of the above; not in flash
    sections: Mapping[bytes, bytes]  # everything in flash by its hash, in use or on its way
    access: Access
    pull: Pull | None = None
    locks: Mapping[bytes, LockLink]
    journal: Journal
    orders: Mapping[bytes, Order]  # by command id; not in flash
    done: Mapping[bytes, Done]  # by command id; not in flash
    led: Colour | None = None  # not in flash
