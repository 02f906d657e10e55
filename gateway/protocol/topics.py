"""Topics of the device link: who speaks, in which direction, about what.

A topic is ``iq/1/{part}/{hub}/up/{kind}`` or ``iq/1/{part}/{hub}/down/{kind}``. The partition
follows from the hub id for ever, so gateways can share the hubs without asking anybody.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from typing_extensions import override

from gateway.protocol.errors import ProtocolError

PARTITIONS: Final = 64
ROOT: Final = "iq/1"
HUB_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)  # 128 bits
TOPIC_CHARACTERS_MAX: Final = 80  # the longest topic has 55; no error message repeats a book

GATEWAY_UP_FILTER: Final = f"{ROOT}/+/+/up/+"
"""What a gateway that owns every partition subscribes."""


class UpKind(StrEnum):
    """What a hub may say."""

    HELLO = "hello"
    BEAT = "beat"
    BATCH = "batch"
    ASK = "ask"
    CONFIRM = "confirm"
    REPLY = "reply"


class DownKind(StrEnum):
    """What a hub may hear."""

    WELCOME = "welcome"
    GREETING = "greeting"
    LEASE = "lease"
    MANIFEST = "manifest"
    SECTION = "section"
    ACK = "ack"
    COMMAND = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic, taken apart. The kind tells the direction."""

    hub_id: str  # 32 lower-case hex characters
    kind: UpKind | DownKind

    @override
    def __str__(self) -> str:
        direction = "up" if isinstance(self.kind, UpKind) else "down"
        return f"{_hub_root(self.hub_id)}/{direction}/{self.kind}"


def is_hub_id(text: str) -> bool:
    """Return whether ``text`` has the shape of a hub id: 32 lower-case hex characters."""
    return HUB_ID.fullmatch(text) is not None


def partition_of(hub_id: str) -> int:
    """Return the hub's partition, 0 to 63: the same on every machine and in every version.

    Raises:
        ProtocolError: ``hub_id`` is not 32 lower-case hex characters.
    """
    if not is_hub_id(hub_id):
        raise ProtocolError(f"a hub id is 32 lower-case hex characters, not {hub_id[:40]!r}")
    return hashlib.sha256(bytes.fromhex(hub_id)).digest()[0] % PARTITIONS


def up(hub_id: str, kind: UpKind) -> str:
    """Return the topic on which the hub says ``kind``."""
    return str(Topic(hub_id=hub_id, kind=kind))


def down(hub_id: str, kind: DownKind) -> str:
    """Return the topic on which the hub hears ``kind``."""
    return str(Topic(hub_id=hub_id, kind=kind))


def down_filter(hub_id: str) -> str:
    """Return the filter that a hub subscribes: everything said to it and nothing else."""
    return f"{_hub_root(hub_id)}/down/+"


def parse(text: str) -> Topic:
    """Return the topic that ``text`` spells.

    Raises:
        ProtocolError: It is not, partition included, what ``up`` or ``down`` would build.
    """
    if len(text) > TOPIC_CHARACTERS_MAX:
        raise ProtocolError(f"topic has {len(text)} characters")
    levels = text.split("/")
    if len(levels) != len(("iq", "1", "part", "hub", "direction", "kind")):
        raise ProtocolError(f"topic has {len(levels)} levels: {text!r}")
    *_, hub_id, direction, kind = levels
    kinds: dict[str, type[UpKind | DownKind]] = {"up": UpKind, "down": DownKind}
    try:
        topic = Topic(hub_id=hub_id, kind=kinds[direction](kind))
    except (KeyError, ValueError) as error:
        raise ProtocolError(f"topic names no known direction, kind or hub: {text!r}") from error
    if str(topic) != text:
        raise ProtocolError(f"topic is not the hub's own: {text!r}")
    return topic


def publish_subjects(hub_id: str) -> tuple[str, ...]:
    """Return the NATS subjects that a hub may publish on: its own ``up`` topics, kind by kind."""
    return tuple(_subject(up(hub_id, kind)) for kind in UpKind)


def subscribe_subjects(hub_id: str) -> tuple[str, ...]:
    """Return the NATS subjects that a hub may subscribe: its own ``down`` topics."""
    return (_subject(down_filter(hub_id)),)


GATEWAY_SUBSCRIBE_SUBJECTS: Final = ("iq.1.*.*.up.>",)
GATEWAY_PUBLISH_SUBJECTS: Final = ("iq.1.*.*.down.>",)


def _hub_root(hub_id: str) -> str:
    return f"{ROOT}/{partition_of(hub_id)}/{hub_id}"


def _subject(topic: str) -> str:
    """NATS writes MQTT's levels with dots and its single-level wildcard as a star."""
    return topic.replace("/", ".").replace("+", "*")
