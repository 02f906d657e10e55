"""What can happen to a device."""

from dataclasses import dataclass

from gateway.protocol import phone
from gateway.protocol.topics import DownKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Some time has passed. Ticks come at least every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioHeard:
    """A frame is on the air; nobody says from whom."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """Hub: the broker can be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """Hub: the broker cannot be reached any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Hub: something came on one of its topics. Who sent it is not known yet."""

    kind: DownKind
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Lock: a tag is held to the reader."""

    tag_number: bytes
    held: bool = False  # for more than 5 s


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterPin:
    """Lock: a code is typed on the keypad and confirmed."""

    pin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSays:
    """Lock: a phone in reach says something. Whose it is is not known yet."""

    message: phone.Hello | phone.Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorMoved:
    """Lock: what the door's contact says. Told after each start and at each change."""

    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InsideHandle:
    """Lock: the handle inside is pressed, which opens always; the door may move now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyButton:
    """Lock: the button inside is pressed by somebody who wants to be alone, or no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened:
    """Lock: what the contact of its case says. Told after each start and at each change."""

    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryAt:
    """Lock: what is left in the battery. Told after each start and at each change."""

    percent: int  # 0 to 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Lock: the installer presses the button; a factory-fresh lock may be paired for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryReset:
    """Lock: the button is held for long; everything but the number of the log goes."""


HubInput = Tick | RadioHeard | Connected | Disconnected | Received
LockInput = (
    Tick
    | RadioHeard
    | Present
    | EnterPin
    | PhoneSays
    | DoorMoved
    | InsideHandle
    | PrivacyButton
    | CaseOpened
    | BatteryAt
    | Press
    | FactoryReset
)
