"""Make pods, and put locks, members and guests into them. Pods need the feature.

Members invite guests to their own pods; an admin may do all of it. A guest is a person of the site
with a user seat and an end, and opens what the pod has, while the pod is open.
"""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.access import pods_repository as repository
from controller.access.lockers_repository import require_no_personal_lockers
from controller.db.engine import Session
from controller.domain.catalogue import Feature
from controller.domain.ids import LockId, PersonId, PodId, SiteId
from controller.domain.people import end_of_stay
from controller.domain.pods import (
    POD_LOCKS_MAX,
    POD_MEMBERS_MAX,
    Pod,
    PodFull,
    PodPerson,
    require_frame,
)
from controller.domain.roles import Action, Actor
from controller.hardware.repository import lock as lock_of_site
from controller.people.changes import Changes
from controller.people.repository import person as person_of_site
from controller.ports import Ids
from controller.subscriptions.entitlement import Entitlement
from controller.sync.changes import Touched
from controller.sync.revocations import revoke_people


class PodEdit(TypedDict, total=False):
    """What is to become of a pod; what is left out stays."""

    name: str
    starts_at: datetime | None
    ends_at: datetime | None
    guests_max: int


class Pods:
    """The pods of sites."""

    def __init__(self, *, changes: Changes, entitlement: Entitlement, ids: Ids) -> None:
        self._changes = changes
        self._entitlement = entitlement
        self._ids = ids

    async def add(
        self, tx: Session, actor: Actor, site_id: SiteId, new: PodEdit, *, now: datetime
    ) -> Pod:
        """Make a pod; the name is given.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It has no pods.
            InvalidPod: It would end before it starts.
            NameTaken: The site has another of this name.
        """
        await self._begin(tx, actor, site_id, now=now)
        nothing = Pod(
            site_id=site_id,
            id=PodId(self._ids.new()),
            name="",
            starts_at=None,
            ends_at=None,
            guests_max=0,
            usable=True,
            created_at=now,
            version=1,
        )
        pod = _edited(nothing, new)
        await repository.add(tx, pod)
        await self._end(tx, actor, "pod_added", pod, now=now)
        return pod

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        pod_id: PodId,
        *,
        edit: PodEdit,
        if_match: int,
        now: datetime,
    ) -> Pod:
        """Rename a pod, move its time or change how many guests it takes.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It has no pods.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
            InvalidPod: It would end before it starts.
            PodFull: It has more guests than it would take.
            NameTaken: The site has another of this name.
        """
        await self._begin(tx, actor, site_id, now=now)
        before = await repository.pod(tx, site_id, pod_id)
        after = _edited(before, edit)
        guests = await repository.count(tx, before, guests=True)
        if guests > after.guests_max:
            raise _full("guests_max", guests, after.guests_max, "guests")
        if (before.starts_at, before.ends_at) != (after.starts_at, after.ends_at):
            await self._revoke(tx, before, now=now)
        saved = await repository.save(tx, after, if_match=if_match)
        await self._end(tx, actor, "pod_edited", saved, now=now)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        pod_id: PodId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a pod; its people stay people of the site. Works without the feature too.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        pod = await repository.pod(tx, site_id, pod_id)
        members = [one.person_id for one in await repository.people_in(tx, pod)]
        locks = await repository.locks_in(tx, pod)
        await self._revoke(tx, pod, now=now)
        await repository.remove(tx, pod, if_match=if_match)
        touched = [*Touched.people(*members), *Touched.locks(*locks)]
        await self._end(tx, actor, "pod_deleted", pod, now=now, touched=touched)

    async def clean(
        self, tx: Session, actor: Actor, site_id: SiteId, pod_id: PodId, *, now: datetime
    ) -> int:
        """Take everybody out of a pod and keep its locks; return how many there were.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has none of this id.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        pod = await repository.pod(tx, site_id, pod_id)
        members = [one.person_id for one in await repository.people_in(tx, pod)]
        await self._revoke(tx, pod, now=now)
        await repository.take_people(tx, pod, members)
        touched = Touched.people(*members)
        await self._end(tx, actor, "pod_cleaned", pod, now=now, touched=touched)
        return len(members)

    async def put_person(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        pod_id: PodId,
        *,
        new: PodPerson,
        now: datetime,
    ) -> None:
        """Put a member or a guest into a pod; doing it twice changes nothing.

        Whoever calls this for a member's guest has checked that the pod is the member's.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It has no pods.
            NotFound: The site has no such pod or person.
            PodFull: It has as many members, or as many guests, as it takes.
        """
        right = Action.MANAGE_OWN_GUESTS if new.invited_by else Action.MANAGE_ACCESS
        await self._begin(tx, actor, site_id, right=right, now=now)
        pod = await repository.pod(tx, site_id, pod_id)
        person = await person_of_site(tx, site_id, new.person_id)
        if not await repository.put_person(tx, pod, new):
            return
        most = pod.guests_max if new.is_guest else POD_MEMBERS_MAX
        count = await repository.count(tx, pod, guests=new.is_guest)
        if count > most:
            who = "guests" if new.is_guest else "members"
            raise _full("person_id", count - 1, most, who)
        touched = Touched.people(person.id)
        await self._end(tx, actor, "pod_joined", pod, now=now, touched=touched)

    async def take_person(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        pod_id: PodId,
        *,
        person_id: PersonId,
        by_member: PersonId | None = None,
        now: datetime,
    ) -> None:
        """Take somebody out of a pod; doing it twice changes nothing.

        Args:
            by_member: The member who takes out a guest; None: somebody who manages access.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such pod or person.
        """
        right = Action.MANAGE_OWN_GUESTS if by_member else Action.MANAGE_ACCESS
        await self._changes.begin(tx, actor, right, site_id, now=now)
        pod = await repository.pod(tx, site_id, pod_id)
        person = await person_of_site(tx, site_id, person_id)
        if person.id not in {one.person_id for one in await repository.people_in(tx, pod)}:
            return
        locks = await repository.locks_in(tx, pod)
        await revoke_people(tx, site_id, [person.id], now=now, lock_ids=locks)
        await repository.take_people(tx, pod, [person.id])
        touched = Touched.people(person.id)
        await self._end(tx, actor, "pod_left", pod, now=now, touched=touched)

    async def put_lock(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        pod_id: PodId,
        *,
        lock_id: LockId,
        now: datetime,
    ) -> None:
        """Put a lock into a pod; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It has no pods.
            NotFound: The site has no such pod or lock.
            LockIsLocker: The lock is a personal locker's.
            PodFull: It has as many locks as it can.
        """
        await self._begin(tx, actor, site_id, now=now)
        pod = await repository.pod(tx, site_id, pod_id)
        lock = await lock_of_site(tx, site_id, lock_id)
        await require_no_personal_lockers(tx, site_id, [lock.id])
        if not await repository.put_lock(tx, pod, lock.id):
            return
        count = len(await repository.locks_in(tx, pod))
        if count > POD_LOCKS_MAX:
            raise _full("lock_id", count - 1, POD_LOCKS_MAX, "locks")
        touched = Touched.locks(lock.id)
        await self._end(tx, actor, "pod_got_lock", pod, now=now, touched=touched)

    async def take_lock(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        pod_id: PodId,
        *,
        lock_id: LockId,
        now: datetime,
    ) -> None:
        """Take a lock out of a pod; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such pod or lock.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        pod = await repository.pod(tx, site_id, pod_id)
        lock = await lock_of_site(tx, site_id, lock_id)
        if lock.id not in await repository.locks_in(tx, pod):
            return
        members = [one.person_id for one in await repository.people_in(tx, pod)]
        await revoke_people(tx, site_id, members, now=now, lock_ids=[lock.id])
        await repository.take_lock(tx, pod, lock.id)
        touched = Touched.locks(lock.id)
        await self._end(tx, actor, "pod_lost_lock", pod, now=now, touched=touched)

    async def _begin(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        *,
        now: datetime,
        right: Action = Action.MANAGE_ACCESS,
    ) -> None:
        await self._changes.begin(tx, actor, right, site_id, now=now)
        await self._entitlement.require(tx, site_id, Feature.PODS, now=now)

    async def _revoke(self, tx: Session, pod: Pod, *, now: datetime) -> None:
        """Note that everybody in a pod may lose the right at its locks."""
        members = [one.person_id for one in await repository.people_in(tx, pod)]
        locks = await repository.locks_in(tx, pod)
        await revoke_people(tx, pod.site_id, members, now=now, lock_ids=locks)

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        pod: Pod,
        *,
        now: datetime,
        touched: list[Touched] | None = None,
    ) -> None:
        named = [f"{one.kind} {one.item_id}" for one in touched or ()]
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=pod.site_id,
            object_kind="pod",
            object_id=pod.id,
            now=now,
            facts={"name": pod.name, "touched": named},
            touched=[*Touched.groups(pod.id), *(touched or ())],
        )


def _edited(before: Pod, edit: PodEdit) -> Pod:
    after = replace(before, **edit)
    after = replace(
        after,
        starts_at=end_of_stay(after.starts_at, field="starts_at"),
        ends_at=end_of_stay(after.ends_at, field="ends_at"),
    )
    require_frame(after)
    return after


def _full(field: str, used: int, limit: int, what: str) -> PodFull:
    return PodFull(
        f"{field}: the pod has {used} {what} and takes {limit}. Take somebody or something out.",
        field=field,
        limit=limit,
        used=used,
        remedy="take_out",
    )
