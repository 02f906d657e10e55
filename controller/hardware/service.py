"""Register, rename, replace and retire hubs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from controller.db.engine import Session
from controller.domain.hardware import FIRST_HUB_EPOCH, Hub, InvalidStickerCode
from controller.domain.ids import HubId, SiteId
from controller.domain.roles import Action, Actor
from controller.domain.topology import HubHasLocks, HubHasRepeaters
from controller.hardware import repository
from controller.keys import Keys
from controller.people.changes import Changes
from controller.ports import Ids
from controller.subscriptions.entitlement import Entitlement
from gateway.protocol.claim import PATH, code_secret
from gateway.protocol.errors import ProtocolError

Cut: TypeAlias = Callable[[HubId], None]
"""Ends the live connection of a hub that is no longer admitted, if it has one. Does not wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAddresses:
    """Where devices find this cloud, and by what they know it."""

    public_host: str
    claim_port: int
    broker_host: str
    broker_port: int
    ca_fingerprint: bytes

    @property
    def claim_url(self) -> str:
        """Return where a hub claims."""
        return f"https://{self.public_host}:{self.claim_port}{PATH}"

    @property
    def qr_text(self) -> str:
        """Return what the installer's QR code says to a hub."""
        return f"{self.claim_url}#{self.ca_fingerprint.hex()}"


def sticker_secret(code: str, *, field: str) -> bytes:
    """Return the secret behind the code on a sticker, however it was typed.

    Raises:
        InvalidStickerCode: No sticker has such a code; ``field`` names where it was typed.
    """
    try:
        return code_secret(code)
    except ProtocolError as error:
        raise InvalidStickerCode(f"{field}: {error}.", field=field) from error


class Hubs:
    """The hubs of sites."""

    def __init__(
        self, *, changes: Changes, entitlement: Entitlement, keys: Keys, ids: Ids, cut: Cut
    ) -> None:
        self._changes = changes
        self._entitlement = entitlement
        self._keys = keys
        self._ids = ids
        self._cut = cut

    async def register(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        *,
        name: str,
        serial: str,
        activation_code: str,
        now: datetime,
    ) -> Hub:
        """Expect a hub to claim, and return it.

        Whose serial it is, and whether it brings a free week, is decided when it claims: what is
        known already is refused here, so that nobody mounts a hub in vain.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            InvalidStickerCode: No sticker has such an activation code.
            HubHadFreeWeek: The hub would bring a second free week.
            SerialInService: The hub is in service already.
        """
        secret = sticker_secret(activation_code, field="activation_code")
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        await self._entitlement.check_hub_serial(tx, site_id, serial, now=now)
        await repository.require_not_in_service(tx, serial)
        hub = Hub(
            site_id=site_id,
            id=HubId(self._ids.new()),
            serial=serial,
            name=name,
            created_at=now,
            claimed_at=None,
            epoch=FIRST_HUB_EPOCH,
            lease_wanted=1,
            lease_confirmed=0,
            revision_wanted=1,
            revision_confirmed=0,
            subscribed_confirmed=None,
            confirmed_at=None,
            online=None,
            online_since=None,
            firmware=None,
            version=1,
        )
        sealed = self._keys.seal_claim_secret(secret, serial=serial)
        await repository.add_hub(tx, hub, claim_secret=sealed)
        await self._end(tx, actor, "hub_registered", hub, now=now)
        return hub

    async def rename(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        hub_id: HubId,
        *,
        name: str,
        if_match: int,
        now: datetime,
    ) -> Hub:
        """Rename a hub.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such hub.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        hub = await repository.hub(tx, site_id, hub_id)
        saved = await repository.save_hub(tx, replace(hub, name=name), if_match=if_match)
        await self._end(tx, actor, "hub_renamed", saved, now=now)
        return saved

    async def replace(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        hub_id: HubId,
        *,
        serial: str,
        activation_code: str,
        if_match: int,
        now: datetime,
    ) -> Hub:
        """Expect another device, or the same one after a reset, to claim this hub's place.

        Its locks stay. What held the place is a stranger from now on, and cut off. Allowed while
        the site is unsubscribed too, because it changes nothing of who may open.

        Raises:
            NotFound: The site has no such hub.
            Stale: ``if_match`` is not the present version.
            InvalidStickerCode: No sticker has such an activation code.
            HubHadFreeWeek: The hub would bring a second free week.
            SerialInService: The hub is in service in another place.
        """
        secret = sticker_secret(activation_code, field="activation_code")
        actor.require(Action.MANAGE_HARDWARE, site_id)
        await self._entitlement.check_hub_serial(tx, site_id, serial, now=now)
        hub = await repository.hub(tx, site_id, hub_id)
        await repository.require_not_in_service(tx, serial, but=hub)
        sealed = self._keys.seal_claim_secret(secret, serial=serial)
        saved = await repository.save_hub(
            tx,
            replace(hub, serial=serial, claimed_at=None),
            if_match=if_match,
            claim_secret=sealed,
            claimed_at=None,
            device_key=None,
            agreement_key=None,
            online=None,
            online_since=None,
        )
        tx.on_commit(lambda: self._cut(hub_id))
        await self._end(tx, actor, "hub_replaced", saved, now=now)
        return saved

    async def retire(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        hub_id: HubId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Take a hub out of service and cut it off; its serial may be registered anew.

        Raises:
            NotFound: The site has no such hub.
            Stale: ``if_match`` is not the present version.
            HubHasLocks: It still serves locks.
            HubHasRepeaters: Repeaters still hang on it.
        """
        actor.require(Action.MANAGE_HARDWARE, site_id)
        await self._entitlement.entitled(tx, site_id, now=now)  # the site's turn
        hub = await repository.hub(tx, site_id, hub_id)
        count = await repository.count_locks(tx, site_id, hub_id)
        if count:
            raise HubHasLocks(
                f"{hub.name} serves {count} locks. Delete them, or replace the hub and keep them.",
                locks=count,
                remedy="delete_locks_or_replace_hub",
            )
        repeaters = await repository.repeaters_of(tx, hub)
        if repeaters:
            raise HubHasRepeaters(
                f"{hub.name} has {len(repeaters)} repeaters. Delete them, or replace the hub and "
                "keep them.",
                repeaters=len(repeaters),
                remedy="delete_repeaters_or_replace_hub",
            )
        await repository.save_hub(
            tx, hub, if_match=if_match, retired_at=now, claim_secret=None, device_key=None
        )
        tx.on_commit(lambda: self._cut(hub_id))
        await self._end(tx, actor, "hub_retired", hub, now=now)

    async def _end(
        self, tx: Session, actor: Actor, action: str, hub: Hub, *, now: datetime
    ) -> None:
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=hub.site_id,
            object_kind="hub",
            object_id=hub.id,
            now=now,
            facts={"name": hub.name, "serial": hub.serial},
            reaches_doors=False,
        )
