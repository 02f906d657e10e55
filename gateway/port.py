"""What the gateway needs of the cloud: one Protocol, implemented by ``controller/inbound.py``.

The gateway knows no table: it hands in what arrived and pulls what must go out. Every call may
fail or be repeated without harm, since hubs are compared by revision and entries by identity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.protocol.messages import Ask, Batch, Reply, Status
from gateway.protocol.topics import DownKind, UpKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """A message from a hub whose signature has been verified."""

    hub_id: str
    kind: UpKind
    raw: bytes  # as it was sent; its hash names a batch
    message: Status | Batch | Ask | Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Downlink:
    """A message to a hub, signed already where it has to be."""

    hub_id: str
    kind: DownKind
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A hub that is online and has not confirmed what is wanted of it."""

    hub_id: str
    lease_number: int  # wanted
    revision: int  # wanted, if it may be sent at all while the site is as it is


class Unavailable(Exception):
    """The cloud cannot take or give anything now; the same call works later."""


class Controller(Protocol):
    """The cloud, as the gateway sees it. Every call may raise ``Unavailable``."""

    async def device_key(self, hub_id: str) -> Ed25519PublicKey | None:
        """Return the key that signs what this hub says; None if it is nobody's hub now."""
        ...

    async def hand_in(self, uplinks: Sequence[Uplink]) -> Sequence[Downlink]:
        """Take messages in one transaction and return the answers; they exist after the commit.

        Args:
            uplinks: With 500 entries altogether at most.
        """
        ...

    async def behind(self, *, after: str, limit: int) -> Sequence[Behind]:
        """Return online hubs that lack a lease or a revision, by id.

        Args:
            after: A hub id, or nothing: only hubs behind it in the order of ids.
            limit: Hubs at most.
        """
        ...

    async def documents(self, hub_ids: Sequence[str]) -> Sequence[Downlink]:
        """Return the newest lease of each hub, then its manifest where one may be sent."""
        ...

    async def commands(self) -> Sequence[Downlink]:
        """Return the commands that wait for online hubs, each exactly once."""
        ...

    async def greetings(self) -> Sequence[Downlink]:
        """Return one greeting for every hub in service."""
        ...

    async def presence(self, *, online: Sequence[str], offline: Sequence[str]) -> None:
        """Note who came and who went."""
        ...

    async def presence_unknown(self) -> None:
        """Note that nobody knows who is online: the broker is out of reach."""
        ...
