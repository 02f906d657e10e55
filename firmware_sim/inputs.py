"""What can happen to a device."""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Lock: the installer presses the button; a factory-fresh lock may be paired for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryReset:
    """Lock: the button is held for long; everything but the number of the log goes."""


HubInput = Tick | RadioHeard | Connected | Disconnected | Received
LockInput = Tick | RadioHeard | Present | Press | FactoryReset
