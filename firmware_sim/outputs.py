"""What a step wants done. The runner does the flash operations of a step first, in order."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.protocol import phone
from gateway.protocol.messages import DenyReason, EntryKind
from gateway.protocol.topics import UpKind


class Colour(StrEnum):
    """What a hub's LED shows."""

    BLUE = "blue"  # subscribed, not connected yet or any more
    GREEN = "green"  # subscribed and connected
    PURPLE = "purple"  # unsubscribed, whatever else


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashWrite:
    """Store a record; whole or not at all."""

    key: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashDelete:
    """Forget a record."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Hub to controller."""

    kind: UpKind
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioSend:
    """A frame, to everything in radio range."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorOpen:
    """Let the door be opened for so long, then keep it shut again."""

    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorStayOpen:
    """Let the door be opened from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorClose:
    """Keep the door shut; the handle inside opens it always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellPhone:
    """Lock to the phone that has just spoken."""

    challenge: phone.Challenge


@dataclass(frozen=True, slots=True, kw_only=True)
class Led:
    """Show a colour, steadily."""

    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the person at the door sees and hears, and why."""

    kind: EntryKind
    reason: DenyReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A line for whoever watches the device: what was refused or lost."""

    text: str


FlashOperation = FlashWrite | FlashDelete
Motor = MotorOpen | MotorStayOpen | MotorClose
Output = FlashOperation | Publish | RadioSend | Motor | TellPhone | Led | Decided | Noted
