"""Register locks on hubs, set them and delete them."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from controller.db.engine import Session
from controller.domain.hardware import (
    FIRST_LOCK_EPOCH,
    LOCKS_PER_HUB_MAX,
    HubFull,
    InvalidDeviceKey,
    NewLock,
    SiteLock,
)
from controller.domain.ids import HubId, LockId, SiteId
from controller.domain.roles import Action, Actor
from controller.hardware import repository
from controller.hardware.service import sticker_secret
from controller.keys import Keys
from controller.people.changes import Changes
from controller.ports import Ids
from gateway.protocol import sealing
from gateway.protocol.errors import ProtocolError


class LockEdit(TypedDict, total=False):
    """What is to become of a lock; what is left out stays."""

    name: str
    open_s: int
    memory_days: int


class Locks:
    """The locks of sites."""

    def __init__(self, *, changes: Changes, keys: Keys, ids: Ids) -> None:
        self._changes = changes
        self._keys = keys
        self._ids = ids

    async def register(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        hub_id: HubId,
        *,
        new: NewLock,
        secret_code: str,
        now: datetime,
    ) -> SiteLock:
        """Put a lock on a hub. Of the sticker's secret only the pairing document is kept.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such hub.
            InvalidStickerCode: No sticker has such a code.
            InvalidDeviceKey: The key agrees on nothing secret.
            HubFull: The hub serves 16 locks.
            SerialInService: The lock is in service already.
        """
        secret = sticker_secret(secret_code, field="secret_code")
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        hub = await repository.hub(tx, site_id, hub_id)
        count = await repository.count_locks(tx, site_id, hub_id)
        if count >= LOCKS_PER_HUB_MAX:
            raise HubFull(
                f"{hub.name} serves {count} locks, which is the most. Add another hub.",
                limit=LOCKS_PER_HUB_MAX,
                used=count,
                remedy="add_hub",
            )
        lock_id = LockId(self._ids.new())
        self._require_key(new.public_key, site_id=site_id, lock_id=lock_id)
        pairing = self._pairing(site_id, lock_id, secret)
        lock = await repository.add_lock(tx, hub, lock_id, new, pairing=pairing, now=now)
        await self._end(tx, actor, "lock_registered", lock, now=now)
        return lock

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        lock_id: LockId,
        *,
        edit: LockEdit,
        if_match: int,
        now: datetime,
    ) -> SiteLock:
        """Rename a lock, or set how long it opens and remembers.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such lock.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        before = await repository.lock(tx, site_id, lock_id)
        door = replace(
            before.door,
            open_s=edit.get("open_s", before.door.open_s),
            memory_days=edit.get("memory_days", before.door.memory_days),
        )
        after = replace(before, name=edit.get("name", before.name), door=door)
        saved = await repository.save_lock(tx, after, if_match=if_match)
        changed = replace(before, name="") != replace(after, name="")
        await self._end(tx, actor, "lock_edited", saved, now=now, reaches_doors=changed)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        lock_id: LockId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a lock; the device itself keeps what it has until it is reset.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such lock.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        lock = await repository.lock(tx, site_id, lock_id)
        await repository.delete_lock(tx, lock, if_match=if_match)
        await self._end(tx, actor, "lock_deleted", lock, now=now)

    def _require_key(self, public_key: bytes, *, site_id: SiteId, lock_id: LockId) -> None:
        try:
            sealing.seal_key(
                self._keys.agreement,
                X25519PublicKey.from_public_bytes(public_key),
                site_id=bytes.fromhex(site_id),
                lock_id=bytes.fromhex(lock_id),
                epoch=FIRST_LOCK_EPOCH,
            )
        except ProtocolError as error:
            raise InvalidDeviceKey(
                "public_key: no lock has this key; check the sticker.", field="public_key"
            ) from error

    def _pairing(self, site_id: SiteId, lock_id: LockId, secret: bytes) -> bytes:
        pairing = sealing.Pairing(
            site_id=bytes.fromhex(site_id),
            lock_id=bytes.fromhex(lock_id),
            epoch=FIRST_LOCK_EPOCH,
            agreement_key=self._keys.agreement.public_key().public_bytes_raw(),
            signing_key=self._keys.signing.public_key().public_bytes_raw(),
        )
        return sealing.sign_pairing(pairing, secret)

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        lock: SiteLock,
        *,
        now: datetime,
        reaches_doors: bool = True,
    ) -> None:
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=lock.site_id,
            object_kind="lock",
            object_id=lock.id,
            now=now,
            facts={
                "name": lock.name,
                "serial": lock.serial,
                "hub_id": lock.hub_id,
                "door": asdict(lock.door),
            },
            reaches_doors=reaches_doors,
        )
