"""Hubs over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from pydantic import Field

from controller.domain.ids import HubId, LockId, SiteId
from controller.domain.roles import Action
from controller.hardware import queries
from controller.hardware.fields import Presence, Serial, StickerCode
from controller.hardware.queries import HubStatus, SyncState
from controller.hardware.service import DeviceAddresses, Hubs
from controller.subscriptions.entitlement import Entitlement
from controller.web.api import Call, delete, get, patch, post
from controller.web.fields import Name
from controller.web.models import In, Out, Versioned

HUBS = "/sites/{site_id}/hubs"
HUB = HUBS + "/{hub_id}"


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


class HardwareApi:
    """The hubs of a site."""

    tag = "hardware"

    def __init__(
        self,
        *,
        hubs: Hubs,
        entitlement: Entitlement,
        addresses: DeviceAddresses,
    ) -> None:
        self._hubs = hubs
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
