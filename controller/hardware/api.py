"""Hubs and locks over REST."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from controller.domain.hardware import DoorSettings, NewLock, SiteLock
from controller.domain.ids import HubId, LockId, SiteId
from controller.domain.roles import Action
from controller.hardware import queries, repository
from controller.hardware.locks import Locks
from controller.hardware.queries import HubStatus, SyncState
from controller.hardware.service import DeviceAddresses, Hubs
from controller.subscriptions.entitlement import Entitlement
from controller.web.api import Call, delete, get, patch, post
from controller.web.fields import Name
from controller.web.models import WHOLE, In, Out, Versioned

HUBS = "/sites/{site_id}/hubs"
HUB = HUBS + "/{hub_id}"
LOCKS = "/sites/{site_id}/locks"
LOCK = LOCKS + "/{lock_id}"

Serial = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\x21-\x7e]{1,40}$")]
StickerCode = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        description="From the device's sticker: 12 to 32 letters and digits. It is not kept.",
    ),
]
PublicKey = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$", description="X25519, hexadecimal.")]
OpenSeconds = Annotated[int, Field(ge=1, le=240), WHOLE]
MemoryDays = Annotated[
    int,
    Field(ge=0, le=255, description="How long a lock opens on its own memory; 0 is off."),
    WHOLE,
]


class Presence(StrEnum):
    """Whether a device is reached."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, online: bool | None) -> Self:  # noqa: FBT001 - a column of three values
        """Return the word for a column that may be NULL."""
        return cls("unknown" if online is None else "online" if online else "offline")


class HubIn(In):
    """A hub to be."""

    name: Name
    serial: Serial
    activation_code: StickerCode


class HubPatch(In):
    """What is to become of a hub."""

    name: Name


class ReplacementIn(In):
    """The device that takes a hub's place."""

    serial: Serial
    activation_code: StickerCode


class ClaimOut(Out):
    """What the installer shows the hub, as a QR code or typed."""

    claim_url: str
    ca_fingerprint: Annotated[str, Field(description="SHA-256 of the CA's certificate.")]
    qr_text: str


class SyncOut(Out):
    """What is wanted of a hub and what it has confirmed."""

    state: SyncState
    in_sync_since: datetime | None
    lease_wanted: int
    lease_confirmed: int
    revision_wanted: int
    revision_confirmed: int
    subscribed_confirmed: bool | None
    confirmed_at: datetime | None
    pending_locks: list[LockId]


class HubOut(Versioned):
    """A hub."""

    id: HubId
    name: str
    serial: str
    created_at: datetime
    claimed_at: datetime | None
    claim: Annotated[ClaimOut | None, Field(description="Until the hub has claimed.")]
    presence: Presence
    online_since: datetime | None
    firmware: str | None
    sync: SyncOut


class HubsOut(Out):
    """All hubs in service at a site."""

    items: list[HubOut]


class LockIn(In):
    """A lock to be."""

    name: Name
    serial: Serial
    public_key: PublicKey
    secret_code: StickerCode
    capacity: Annotated[
        Literal[39, 360], Field(description="Credentials that it can hold for offline use.")
    ]
    open_s: OpenSeconds = 5
    memory_days: MemoryDays = 7


@with_config(ConfigDict(extra="forbid", strict=True))
class LockPatch(TypedDict, total=False):
    """What is to become of a lock; what is left out stays."""

    name: Name
    open_s: OpenSeconds
    memory_days: MemoryDays


class LockOut(Versioned):
    """A lock."""

    id: LockId
    hub_id: HubId
    name: str
    serial: str
    capacity: int
    open_s: int
    memory_days: int
    created_at: datetime
    paired: bool
    presence: Presence
    offline_list_pending: bool
    offline_list_confirmed_at: datetime | None

    @classmethod
    def of(cls, lock: SiteLock) -> Self:
        """Return a lock as it is shown."""
        return cls(
            **asdict(lock),
            open_s=lock.door.open_s,
            memory_days=lock.door.memory_days,
            presence=Presence.of(lock.online),
            offline_list_pending=lock.pending,
            offline_list_confirmed_at=lock.list_confirmed_at,
        )


class LocksOut(Out):
    """All locks of a site."""

    items: list[LockOut]


class HardwareApi:
    """The hubs and locks of a site."""

    tag = "hardware"

    def __init__(
        self,
        *,
        hubs: Hubs,
        locks: Locks,
        entitlement: Entitlement,
        addresses: DeviceAddresses,
    ) -> None:
        self._hubs = hubs
        self._locks = locks
        self._entitlement = entitlement
        self._addresses = addresses

    @get(HUBS, requires=Action.READ_HARDWARE)
    async def hubs(self, call: Call, site_id: SiteId) -> HubsOut:
        """List the hubs in service."""
        async with call.db.read() as tx:
            site = await self._entitlement.entitled(tx, site_id, now=call.now)
            found = await queries.hub_statuses(tx, site_id, subscribed=site.active)
        return HubsOut(items=[self._shown(status) for status in found])

    @post(HUBS, requires=Action.MANAGE_HARDWARE, status=201)
    async def register_hub(self, call: Call, site_id: SiteId, body: HubIn) -> HubOut:
        """Register a hub, so that it can claim its place."""
        async with call.db.write() as tx:
            hub = await self._hubs.register(
                tx,
                call.actor,
                site_id,
                name=body.name,
                serial=body.serial,
                activation_code=body.activation_code,
                now=call.now,
            )
            status = await queries.hub_status(tx, site_id, hub.id, subscribed=True)
        return self._shown(status)

    @get(HUB, requires=Action.READ_HARDWARE)
    async def hub(self, call: Call, site_id: SiteId, hub_id: HubId) -> HubOut:
        """Show a hub and how far it is with what is wanted of it."""
        async with call.db.read() as tx:
            site = await self._entitlement.entitled(tx, site_id, now=call.now)
            status = await queries.hub_status(tx, site_id, hub_id, subscribed=site.active)
        return self._shown(status)

    @patch(HUB, requires=Action.MANAGE_HARDWARE)
    async def rename_hub(
        self, call: Call, site_id: SiteId, hub_id: HubId, if_match: int, body: HubPatch
    ) -> HubOut:
        """Rename a hub."""
        async with call.db.write() as tx:
            await self._hubs.rename(
                tx,
                call.actor,
                site_id,
                hub_id,
                name=body.name,
                if_match=if_match,
                now=call.now,
            )
            status = await queries.hub_status(tx, site_id, hub_id, subscribed=True)
        return self._shown(status)

    @post(HUB + "/replacement", requires=Action.MANAGE_HARDWARE)
    async def replace_hub(
        self, call: Call, site_id: SiteId, hub_id: HubId, if_match: int, body: ReplacementIn
    ) -> HubOut:
        """Let another device, or the same one after a reset, claim this hub's place.

        The locks stay. Works without a valid subscription too.
        """
        async with call.db.write() as tx:
            await self._hubs.replace(
                tx,
                call.actor,
                site_id,
                hub_id,
                serial=body.serial,
                activation_code=body.activation_code,
                if_match=if_match,
                now=call.now,
            )
            status = await queries.hub_status(tx, site_id, hub_id, subscribed=True)
        return self._shown(status)

    @delete(HUB, requires=Action.MANAGE_HARDWARE)
    async def retire_hub(self, call: Call, site_id: SiteId, hub_id: HubId, if_match: int) -> None:
        """Take a hub without locks out of service. Works without a valid subscription too."""
        async with call.db.write() as tx:
            await self._hubs.retire(
                tx, call.actor, site_id, hub_id, if_match=if_match, now=call.now
            )

    @get(LOCKS, requires=Action.READ_HARDWARE)
    async def locks(self, call: Call, site_id: SiteId) -> LocksOut:
        """List the locks."""
        async with call.db.read() as tx:
            found = await repository.locks_of(tx, site_id)
        return LocksOut(items=[LockOut.of(lock) for lock in found])

    @post(HUB + "/locks", requires=Action.MANAGE_HARDWARE, status=201)
    async def register_lock(
        self, call: Call, site_id: SiteId, hub_id: HubId, body: LockIn
    ) -> LockOut:
        """Put a lock on a hub. A hub serves 16."""
        new = NewLock(
            serial=body.serial,
            name=body.name,
            public_key=bytes.fromhex(body.public_key),
            capacity=body.capacity,
            door=DoorSettings(open_s=body.open_s, memory_days=body.memory_days),
        )
        async with call.db.write() as tx:
            lock = await self._locks.register(
                tx,
                call.actor,
                site_id,
                hub_id,
                new=new,
                secret_code=body.secret_code,
                now=call.now,
            )
        return LockOut.of(lock)

    @get(LOCK, requires=Action.READ_HARDWARE)
    async def lock(self, call: Call, site_id: SiteId, lock_id: LockId) -> LockOut:
        """Show a lock."""
        async with call.db.read() as tx:
            return LockOut.of(await repository.lock(tx, site_id, lock_id))

    @patch(LOCK, requires=Action.MANAGE_HARDWARE)
    async def edit_lock(
        self, call: Call, site_id: SiteId, lock_id: LockId, if_match: int, body: LockPatch
    ) -> LockOut:
        """Rename a lock, or set how long it opens and remembers."""
        async with call.db.write() as tx:
            lock = await self._locks.edit(
                tx, call.actor, site_id, lock_id, edit=body, if_match=if_match, now=call.now
            )
        return LockOut.of(lock)

    @delete(LOCK, requires=Action.MANAGE_HARDWARE)
    async def delete_lock(
        self, call: Call, site_id: SiteId, lock_id: LockId, if_match: int
    ) -> None:
        """Delete a lock."""
        async with call.db.write() as tx:
            await self._locks.delete(
                tx, call.actor, site_id, lock_id, if_match=if_match, now=call.now
            )

    def _shown(self, status: HubStatus) -> HubOut:
        hub = status.hub
        claim = None
        if hub.claimed_at is None:
            claim = ClaimOut(
                claim_url=self._addresses.claim_url,
                ca_fingerprint=self._addresses.ca_fingerprint.hex(),
                qr_text=self._addresses.qr_text,
            )
        facts = asdict(hub)
        return HubOut(
            **facts,
            claim=claim,
            presence=Presence.of(hub.online),
            sync=SyncOut(
                **facts,
                state=status.state,
                in_sync_since=status.in_sync_since,
                pending_locks=list(status.pending_locks),
            ),
        )
