"""Make lockers, assign them and take them away. A locker needs the feature, and room for it."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.access import lockers_repository as repository
from controller.db.engine import Session
from controller.domain.catalogue import Component, Feature
from controller.domain.ids import LockerId, LockId, PersonId, SiteId
from controller.domain.lockers import (
    LOCKER_PEOPLE_MAX,
    Locker,
    LockerKind,
    LockerShared,
    LockInGroups,
    NotPersonal,
)
from controller.domain.roles import Action, Actor
from controller.hardware.repository import lock as lock_of_site
from controller.people.changes import Changes
from controller.people.repository import person as person_of_site
from controller.ports import Ids
from controller.subscriptions.entitlement import Entitlement
from controller.sync.changes import Touched
from controller.sync.revocations import revoke_people


class LockerEdit(TypedDict, total=False):
    """What is to become of a locker; what is left out stays."""

    name: str
    kind: LockerKind


class Lockers:
    """The lockers of sites."""

    def __init__(self, *, changes: Changes, entitlement: Entitlement, ids: Ids) -> None:
        self._changes = changes
        self._entitlement = entitlement
        self._ids = ids

    async def add(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        *,
        lock_id: LockId,
        name: str,
        kind: LockerKind,
        now: datetime,
    ) -> Locker:
        """Make a lock a locker.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It has no lockers.
            LimitReached: It has as many as plan and seats allow.
            NotFound: The site has no such lock.
            LockIsLocker: The lock is a locker already.
            LockInGroups: A personal locker's lock is in an access group or a pod.
            NameTaken: The site has another of this name.
        """
        await self._begin(tx, actor, site_id, now=now)
        entitlements = await self._entitlement.entitled(tx, site_id, now=now)
        used = await repository.count_usable(tx, site_id)
        entitlements.require_room(Component.LOCKERS, used=used)
        await lock_of_site(tx, site_id, lock_id)
        locker = Locker(
            site_id=site_id,
            id=LockerId(self._ids.new()),
            lock_id=lock_id,
            name=name,
            kind=kind,
            usable=True,
            created_at=now,
            version=1,
        )
        await _require_alone(tx, locker)
        await repository.add(tx, locker)
        await self._end(tx, actor, "locker_added", locker, now=now)
        return locker

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        locker_id: LockerId,
        *,
        edit: LockerEdit,
        if_match: int,
        now: datetime,
    ) -> Locker:
        """Rename a locker, or change whose it can be.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It has no lockers.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
            LockInGroups: A personal locker's lock is in an access group or a pod.
            LockerShared: A free locker belongs to nobody, and this one is assigned.
            NameTaken: The site has another of this name.
        """
        await self._begin(tx, actor, site_id, now=now)
        before = await repository.locker(tx, site_id, locker_id)
        after = replace(before, **edit)
        if after.kind is not before.kind:
            await _require_alone(tx, after)
            if after.kind is LockerKind.FREE and await repository.people_of(tx, before):
                raise LockerShared(
                    "kind: this locker belongs to people. Take it from them first.",
                    field="kind",
                    remedy="unassign",
                )
        saved = await repository.save(tx, after, if_match=if_match)
        await self._end(tx, actor, "locker_edited", saved, now=now)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        locker_id: LockerId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a locker; its lock stays. Works without the feature too.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        locker = await repository.locker(tx, site_id, locker_id)
        holders = [person.id for person in await repository.people_of(tx, locker)]
        await revoke_people(tx, site_id, holders, now=now, lock_ids=[locker.lock_id])
        await repository.remove(tx, locker, if_match=if_match)
        await self._end(tx, actor, "locker_deleted", locker, now=now, people=holders)

    async def assign(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        locker_id: LockerId,
        *,
        person_id: PersonId,
        now: datetime,
    ) -> None:
        """Give a personal locker to a person; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It has no lockers.
            NotFound: The site has no such locker or person.
            NotPersonal: It is a free one.
            LockerShared: Twenty people have it.
        """
        await self._begin(tx, actor, site_id, now=now)
        locker = await repository.locker(tx, site_id, locker_id)
        person = await person_of_site(tx, site_id, person_id)
        if locker.kind is not LockerKind.PERSONAL:
            raise NotPersonal("This locker is for whoever takes it; make it personal first.")
        if not await repository.assign(tx, locker, person.id):
            return
        count = len(await repository.people_of(tx, locker))
        if count > LOCKER_PEOPLE_MAX:
            raise LockerShared(
                f"{LOCKER_PEOPLE_MAX} people share this locker, which is the most.",
                limit=LOCKER_PEOPLE_MAX,
                used=count - 1,
                remedy="unassign",
            )
        await self._end(tx, actor, "locker_assigned", locker, now=now, people=[person.id])

    async def unassign(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        locker_id: LockerId,
        *,
        person_id: PersonId,
        now: datetime,
    ) -> None:
        """Take a personal locker from a person; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such locker or person.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        locker = await repository.locker(tx, site_id, locker_id)
        person = await person_of_site(tx, site_id, person_id)
        if not await repository.unassign(tx, locker, person.id):
            return
        await revoke_people(tx, site_id, [person.id], now=now, lock_ids=[locker.lock_id])
        await self._end(tx, actor, "locker_unassigned", locker, now=now, people=[person.id])

    async def _begin(self, tx: Session, actor: Actor, site_id: SiteId, *, now: datetime) -> None:
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        await self._entitlement.require(tx, site_id, Feature.LOCKERS, now=now)

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        locker: Locker,
        *,
        now: datetime,
        people: list[PersonId] | None = None,
    ) -> None:
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=locker.site_id,
            object_kind="locker",
            object_id=locker.id,
            now=now,
            facts={"name": locker.name, "kind": locker.kind, "person_ids": people or []},
            touched=[
                *Touched.groups(locker.id),
                *Touched.locks(locker.lock_id),
                *Touched.people(*(people or ())),
            ],
        )


async def _require_alone(tx: Session, locker: Locker) -> None:
    """Refuse a personal locker whose lock others may open by another way."""
    if locker.kind is not LockerKind.PERSONAL:
        return
    if await repository.is_shared_out(tx, locker.site_id, locker.lock_id):
        raise LockInGroups(
            "lock_id: a personal locker opens to its own people only. Take its lock out of all "
            "access groups and pods first.",
            field="lock_id",
            remedy="take_lock_out_of_groups",
        )
