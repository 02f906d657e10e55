"""Make, edit and delete access groups; put people and locks in and take them out."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.access import repository
from controller.db.engine import Session
from controller.domain.groups import SiteGroup
from controller.domain.ids import GroupId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.people import GROUPS_MAX, TooManyGroups
from controller.domain.roles import Action, Actor
from controller.hardware.repository import lock as lock_of_site
from controller.people.changes import Changes
from controller.people.repository import person as person_of_site
from controller.ports import Ids
from controller.sync.revocations import revoke_people


class GroupEdit(TypedDict, total=False):
    """What is to become of a group; what is left out stays."""

    name: str
    schedule_id: ScheduleId | None


class Groups:
    """The access groups of sites."""

    def __init__(self, *, changes: Changes, ids: Ids) -> None:
        self._changes = changes
        self._ids = ids

    async def add(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        *,
        name: str,
        schedule_id: ScheduleId | None,
        now: datetime,
    ) -> SiteGroup:
        """Make an access group.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such schedule.
            NameTaken: The site has another of this name.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        await _require_schedule(tx, site_id, schedule_id)
        group = SiteGroup(
            site_id=site_id,
            id=GroupId(self._ids.new()),
            name=name,
            schedule_id=schedule_id,
            starts_at=None,
            ends_at=None,
            created_at=now,
            version=1,
        )
        await repository.add_group(tx, group)
        await self._end(tx, actor, "group_added", group, now=now, reaches_doors=False)
        return group

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        edit: GroupEdit,
        if_match: int,
        now: datetime,
    ) -> SiteGroup:
        """Rename a group or give it another schedule.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or schedule.
            Stale: ``if_match`` is not the present version.
            NameTaken: The site has another of this name.
            OfflineSchedulesFull: A lock cannot keep this schedule for offline use.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        before = await repository.group(tx, site_id, group_id)
        after = replace(before, **edit)
        await _require_schedule(tx, site_id, after.schedule_id)
        saved = await repository.save_group(tx, after, if_match=if_match)
        changed = before.schedule_id != after.schedule_id
        await self._end(tx, actor, "group_edited", saved, now=now, reaches_doors=changed)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a group, and with it the rights that it gave.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        group = await repository.group(tx, site_id, group_id)
        await repository.revoke_members(tx, group, now=now)
        await repository.delete_group(tx, group, if_match=if_match)
        await self._end(tx, actor, "group_deleted", group, now=now)

    async def add_person(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        person_id: PersonId,
        now: datetime,
    ) -> None:
        """Put a person into a group; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or person.
            TooManyGroups: The person is in as many groups as one can be.
            OfflineListFull: A lock has no room for the person's offline credentials.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        group = await repository.group(tx, site_id, group_id)
        person = await person_of_site(tx, site_id, person_id)
        if not await repository.add_member(tx, group, person.id):
            return
        count = await repository.groups_of(tx, site_id, person.id)
        if count > GROUPS_MAX:
            raise TooManyGroups(
                f"{person.name} is in {GROUPS_MAX} access groups, which is the most. Take the "
                "person out of one first.",
                limit=GROUPS_MAX,
                used=count - 1,
                remedy="leave_group",
            )
        await self._end(tx, actor, "group_joined", group, now=now, member={"person_id": person_id})

    async def remove_person(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        person_id: PersonId,
        now: datetime,
    ) -> None:
        """Take a person out of a group; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or person.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        group = await repository.group(tx, site_id, group_id)
        person = await person_of_site(tx, site_id, person_id)
        if await repository.remove_member(tx, group, person.id):
            await revoke_people(tx, site_id, [person.id], now=now)
            await self._end(
                tx, actor, "group_left", group, now=now, member={"person_id": person_id}
            )

    async def add_lock(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        lock_id: LockId,
        now: datetime,
    ) -> None:
        """Put a lock into a group; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or lock.
            OfflineListFull: The lock has no room for the members' offline credentials.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        group = await repository.group(tx, site_id, group_id)
        lock = await lock_of_site(tx, site_id, lock_id)
        if await repository.add_lock(tx, group, lock.id):
            await self._end(
                tx, actor, "group_gained_lock", group, now=now, member={"lock_id": lock_id}
            )

    async def remove_lock(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        lock_id: LockId,
        now: datetime,
    ) -> None:
        """Take a lock out of a group; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or lock.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        group = await repository.group(tx, site_id, group_id)
        lock = await lock_of_site(tx, site_id, lock_id)
        if await repository.remove_lock(tx, group, lock.id):
            await repository.revoke_members(tx, group, now=now)
            await self._end(
                tx, actor, "group_lost_lock", group, now=now, member={"lock_id": lock_id}
            )

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        group: SiteGroup,
        *,
        now: datetime,
        member: dict[str, str] | None = None,
        reaches_doors: bool = True,
    ) -> None:
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=group.site_id,
            object_kind="access_group",
            object_id=group.id,
            now=now,
            facts={"name": group.name, "schedule_id": group.schedule_id, **(member or {})},
            reaches_doors=reaches_doors,
        )


async def _require_schedule(tx: Session, site_id: SiteId, schedule_id: ScheduleId | None) -> None:
    if schedule_id is not None:
        await repository.schedule(tx, site_id, schedule_id)
