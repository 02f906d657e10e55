"""The radio between hub and lock.

A frame is the CBOR array ``[1, kind, address, body]``. PAIR and TICKET protect themselves, since
lock and hub share no key yet; every other body is sealed under the link key for its kind, which
also fixes its direction. A replayed frame comes to nothing: an answer repeats a fresh challenge, a
configuration never goes back in revision, time never goes back, an order is numbered and dies
in seconds, and freeing what is free changes nothing. One gap is left to the trust work: a lock that
has lost its power believes a recorded TIME, and then an order as old as that.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from gateway.protocol import cbor, sealing
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import CommandOutcome, DenyReason, Entry, LockMode
from gateway.protocol.sections import LIST_BYTES_MAX, PRIVILEGES_MAX, DoorSettings
from gateway.protocol.wire import Digest, Id, Key, Range, Size, Uint

VERSION: Final = 1
ENTRIES_PER_FRAME_MAX: Final = 16
ADDRESS_BYTES_MAX: Final = 40  # of the longest serial
_PARTS: Final = 4


class FrameKind(IntEnum):
    """What a frame is. The comment says who sends it."""

    PAIR = 1  # hub, to a lock in factory state: sealing.SignedPairing
    TICKET = 2  # hub: a sealing.LockTicket, sealed by the controller
    STATE = 3  # lock: after boot, after a change, as answer to TIME
    TIME = 4  # hub: the calendar; also the radio's heartbeat
    CONFIGURE = 5  # hub
    ASK = 6  # lock
    ANSWER = 7  # hub
    ENTRIES = 8  # lock
    FREE = 9  # hub
    ORDER = 10  # hub
    OBEYED = 11  # lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame as it is on the air."""

    kind: FrameKind
    address: bytes  # lock id, or the serial in ASCII for PAIR
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How the lock stands."""

    log_epoch: Annotated[Uint, Key(1)]
    epoch: Annotated[Uint, Key(2)]
    revision: Annotated[Uint, Key(3)]  # of its configuration; 0 has none
    clock_trusted: Annotated[bool, Key(4)]
    entries_waiting: Annotated[Uint, Key(5)]
    list_hash: Annotated[Digest | None, Key(6)] = None
    battery: Annotated[int, Range(0, 100), Key(7)]  # per cent
    mode: Annotated[LockMode, Key(8)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """The calendar now and how fast it runs. Flows while unsubscribed too."""

    calendar_ms: Annotated[Uint, Key(1)]
    speed: Annotated[int, Range(1, 100_000), Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Settings and offline list of one revision, applied in one flash write."""

    epoch: Annotated[Uint, Key(1)]
    revision: Annotated[Uint, Key(2)]
    door: Annotated[DoorSettings, Key(3)]
    offline_list: Annotated[bytes, Size(0, LIST_BYTES_MAX), Key(4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """May what was presented open this lock?"""

    challenge: Annotated[Id, Key(1)]
    credential_digest: Annotated[Id, Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The hub's decision on one challenge."""

    challenge: Annotated[Id, Key(1)]
    granted: Annotated[bool, Key(2)]
    reason: Annotated[DenyReason | None, Key(3)] = None
    ends_at_s: Annotated[Uint | None, Key(4)] = None
    """First instant at which the credential, its person or the last of the groups that grant now
    has ended: the lock may remember the opening no longer than that. None: no end."""
    privileges: Annotated[int | None, Range(0, PRIVILEGES_MAX), Key(5)] = None  # of the person


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """What happened, oldest first. The lock keeps it until it is freed."""

    entries: Annotated[tuple[Entry, ...], Size(1, ENTRIES_PER_FRAME_MAX), Key(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """The controller has committed every entry of this log up to the sequence."""

    log_epoch: Annotated[Uint, Key(1)]
    up_to: Annotated[Uint, Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A sealing.LockOrder, which only the lock can read."""

    command_id: Annotated[Id, Key(1)]
    sealed: Annotated[bytes, Size(1, 200), Key(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Obeyed:
    """What became of an order."""

    command_id: Annotated[Id, Key(1)]
    outcome: Annotated[CommandOutcome, Key(2)]


Message = State | Time | Configure | Ask | Answer | Entries | Free | Order | Obeyed

TYPES: Final[dict[FrameKind, type[Message]]] = {
    FrameKind.STATE: State,
    FrameKind.TIME: Time,
    FrameKind.CONFIGURE: Configure,
    FrameKind.ASK: Ask,
    FrameKind.ANSWER: Answer,
    FrameKind.ENTRIES: Entries,
    FrameKind.FREE: Free,
    FrameKind.ORDER: Order,
    FrameKind.OBEYED: Obeyed,
}
_KINDS: Final = {message: kind for kind, message in TYPES.items()}


def protect(message: Message, *, lock_id: bytes, link_key: bytes) -> Frame:
    """Return the frame that carries a message between this lock and its hub."""
    kind = _KINDS[type(message)]
    return Frame(
        kind=kind, address=lock_id, body=sealing.seal(link_key, message, purpose=_purpose(kind))
    )


def unprotect(frame: Frame, *, link_key: bytes) -> Message:
    """Return the message of a frame.

    Raises:
        ProtocolError: It was not made with this link key for this kind.
    """
    if frame.kind not in TYPES:
        raise ProtocolError(f"{frame.kind.name} is not protected by a link key")
    return sealing.unseal(link_key, TYPES[frame.kind], frame.body, purpose=_purpose(frame.kind))


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    return cbor.encode([VERSION, int(frame.kind), frame.address, frame.body])


def decode(data: bytes) -> Frame:
    """Return the frame that ``data`` encodes.

    Raises:
        ProtocolError: It is none.
    """
    value = cbor.decode(data)
    if type(value) is not list or len(value) != _PARTS:
        raise ProtocolError("frame is not [1, kind, address, body]")
    if [type(part) for part in value] != [int, int, bytes, bytes]:
        raise ProtocolError("a part of the frame has the wrong type")
    version, kind, address, body = value
    if version != VERSION:
        raise ProtocolError(f"frame version {version} is not known")
    if not 1 <= len(address) <= ADDRESS_BYTES_MAX:
        raise ProtocolError(f"frame address has {len(address)} bytes, 1 to {ADDRESS_BYTES_MAX} do")
    try:
        return Frame(kind=FrameKind(kind), address=address, body=body)
    except ValueError as error:
        raise ProtocolError(f"frame kind {kind} is not known") from error


def _purpose(kind: FrameKind) -> str:
    return f"frame {kind.name}"
