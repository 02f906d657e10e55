"""Register locks on hubs, set them and move them between hubs."""

from collections.abc import Collection
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, Final, TypedDict

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from controller.db.engine import Session
from controller.domain.hardware import (
    FIRST_LOCK_EPOCH,
    DoorSettings,
    Hub,
    InvalidDeviceKey,
    NewLock,
    OfficeMode,
    SiteLock,
)
from controller.domain.ids import HubId, LockId, RepeaterId, ScheduleId, SiteId
from controller.domain.roles import Action, Actor
from controller.domain.topology import require_parent, require_room_for_lock
from controller.hardware import repository
from controller.hardware.service import sticker_secret
from controller.keys import Keys
from controller.people.changes import Changes
from controller.ports import Ids
from controller.sync.changes import Touched
from gateway.protocol import sealing
from gateway.protocol.errors import ProtocolError

DOOR_FIELDS: Final = frozenset(field.name for field in fields(DoorSettings))


class LockEdit(TypedDict, total=False):
    """What is to become of a lock; what is left out stays."""

    name: str
    hub_id: HubId
    repeater_id: RepeaterId | None
    open_s: int
    extended_open_s: int
    memory_days: int
    left_open_s: int
    office: OfficeMode
    office_schedule_id: ScheduleId | None
    toggle: bool
    privacy: bool
    keypad: bool


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
            InvalidDoorSettings: The settings contradict one another.
            SerialInService: The lock is in service already.
        """
        secret = sticker_secret(secret_code, field="secret_code")
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        hub = await repository.hub(tx, site_id, hub_id)
        await _require_room(tx, hub)
        await _require_door(tx, site_id, new.door)
        lock_id = LockId(self._ids.new())
        self._require_key(new.public_key, site_id=site_id, lock_id=lock_id)
        pairing = self._pairing(site_id, lock_id, secret)
        lock = await repository.add_lock(tx, hub, lock_id, new, pairing=pairing, now=now)
        touched = Touched.locks(lock_id)
        await self._end(tx, actor, "lock_registered", lock, now=now, touched=touched)
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
        """Rename a lock, set how its door behaves, or have another hub or repeater reach it.

        Settings of the door take the right to manage doors, everything else the one to manage
        hardware. A lock that moves to another hub hangs on none of its repeaters unless one is
        named; the hub before stops serving it.

        Raises:
            Forbidden: The actor lacks one of the rights.
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such lock, hub or schedule, or the hub no such repeater.
            Stale: ``if_match`` is not the present version.
            LockLeaves: The lock is leaving the site.
            InvalidDoorSettings: The settings contradict one another.
            HubFull: The other hub serves 16 locks.
        """
        for right in _rights(edit):
            await self._changes.begin(tx, actor, right, site_id, now=now)
        before = await repository.lock(tx, site_id, lock_id)
        before.require_staying()
        after = await _edited(tx, before, edit)
        moves = after.hub_id != before.hub_id
        if moves:
            saved = await repository.move_lock(tx, after, if_match=if_match, now=now)
        else:
            saved = await repository.save_lock(tx, after, if_match=if_match)
        reaches = moves or before.door != after.door
        action = "lock_moved" if moves else "lock_edited"
        touched = [*Touched.locks(lock_id), *Touched.hubs(before.hub_id)] if reaches else None
        await self._end(tx, actor, action, saved, now=now, touched=touched)
        return saved

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
        touched: Collection[Touched] | None,
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
                "repeater_id": lock.repeater_id,
                "door": asdict(lock.door),
            },
            reaches_doors=touched is not None,
            touched=touched or (),
        )


async def _edited(tx: Session, before: SiteLock, edit: LockEdit) -> SiteLock:
    """Return what becomes of a lock, or refuse what cannot be; see ``Locks.edit``."""
    after = replace(
        before,
        name=edit.get("name", before.name),
        door=replace(before.door, **_of_door(edit)),
        hub_id=edit.get("hub_id", before.hub_id),
    )
    await _require_door(tx, after.site_id, after.door)
    moves = after.hub_id != before.hub_id
    hub = await repository.hub(tx, after.site_id, after.hub_id)
    if moves:
        await _require_room(tx, hub)
    repeater_id = edit.get("repeater_id", None if moves else before.repeater_id)
    require_parent(await _parents(tx, hub), repeater_id)
    return replace(after, repeater_id=repeater_id)


def _rights(edit: LockEdit) -> list[Action]:
    """Return what an edit takes; one of nothing takes what renaming does."""
    rights = []
    if not edit or edit.keys() - DOOR_FIELDS:
        rights.append(Action.MANAGE_HARDWARE)
    if edit.keys() & DOOR_FIELDS:
        rights.append(Action.MANAGE_DOORS)
    return rights


def _of_door(edit: LockEdit) -> dict[str, Any]:
    return {name: value for name, value in edit.items() if name in DOOR_FIELDS}


async def _require_door(tx: Session, site_id: SiteId, door: DoorSettings) -> None:
    """Refuse settings that contradict one another, or name a schedule that is not there."""
    door.require_sense()
    if door.office_schedule_id is not None:
        await repository.require_schedule(tx, site_id, door.office_schedule_id)


async def _require_room(tx: Session, hub: Hub) -> None:
    used = await repository.count_locks(tx, hub.site_id, hub.id)
    require_room_for_lock(used, hub_name=hub.name)


async def _parents(tx: Session, hub: Hub) -> dict[RepeaterId, RepeaterId | None]:
    return {each.id: each.parent_id for each in await repository.repeaters_of(tx, hub)}
