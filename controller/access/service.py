"""Make, edit and delete access groups."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.access import members_repository, repository
from controller.access.members_repository import LOCKS
from controller.db.engine import Session
from controller.domain.errors import NotFound
from controller.domain.groups import SiteGroup
from controller.domain.ids import GroupId, ScheduleId, SiteId
from controller.domain.instants import to_text
from controller.domain.people import end_of_stay
from controller.domain.roles import Action, Actor
from controller.domain.schedule import Schedule
from controller.people.changes import Changes
from controller.ports import Ids
from controller.sync.changes import Touched


class GroupEdit(TypedDict, total=False):
    """What is to become of a group; what is left out stays."""

    name: str
    schedule_id: ScheduleId | None
    starts_at: datetime | None
    ends_at: datetime | None


class Groups:
    """The access groups of sites."""

    def __init__(self, *, changes: Changes, ids: Ids) -> None:
        self._changes = changes
        self._ids = ids

    async def add(
        self, tx: Session, actor: Actor, site_id: SiteId, new: GroupEdit, *, now: datetime
    ) -> SiteGroup:
        """Make an access group; the name is given.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            Invalid: A frame that cannot be.
            NotFound: The site has no such schedule.
            NameTaken: The site has another of this name.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        nothing = SiteGroup(
            site_id=site_id,
            id=GroupId(self._ids.new()),
            name="",
            schedule_id=None,
            starts_at=None,
            ends_at=None,
            created_at=now,
            version=1,
        )
        group = _edited(nothing, new)
        await _schedule_of(tx, group)
        await repository.add_group(tx, group)
        await self._end(tx, actor, "group_added", group, now=now, touched=None)
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
        """Rename a group, or give it another schedule or frame.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            Invalid: A frame that cannot be.
            NotFound: The site has no such group or schedule.
            Stale: ``if_match`` is not the present version.
            NameTaken: The site has another of this name.
            OfflineSchedulesFull: A lock cannot keep this schedule for offline use.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        before = await repository.group(tx, site_id, group_id)
        after = _edited(before, edit)
        schedules = await _schedule_of(tx, before), await _schedule_of(tx, after)
        saved = await repository.save_group(tx, after, if_match=if_match)
        # Other hours take nothing from a lock's memory, which knows none; other days do.
        if after.is_framed_tighter_than(before) or schedules[1].loses_days_of(schedules[0]):
            lock_ids = await members_repository.ids_in(tx, saved, LOCKS)
            await repository.revoke_members(tx, saved, lock_ids=lock_ids, now=now)
        changed = _times(before) != _times(after)
        touched = Touched.groups(group_id) if changed else None
        await self._end(tx, actor, "group_edited", saved, now=now, touched=touched)
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
        lock_ids = await members_repository.ids_in(tx, group, LOCKS)
        await repository.revoke_members(tx, group, lock_ids=lock_ids, now=now)
        await repository.delete_group(tx, group, if_match=if_match)
        touched = [*Touched.groups(group_id), *Touched.locks(*lock_ids)]
        await self._end(tx, actor, "group_deleted", group, now=now, touched=touched)

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        group: SiteGroup,
        *,
        now: datetime,
        touched: Collection[Touched] | None,
    ) -> None:
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=group.site_id,
            object_kind="access_group",
            object_id=group.id,
            now=now,
            facts={
                "name": group.name,
                "schedule_id": group.schedule_id,
                "starts_at": group.starts_at and to_text(group.starts_at),
                "ends_at": group.ends_at and to_text(group.ends_at),
            },
            reaches_doors=touched is not None,
            touched=touched or (),
        )


def _edited(before: SiteGroup, edit: GroupEdit) -> SiteGroup:
    """Return the group after an edit.

    Raises:
        Invalid: A frame that cannot be; ``field`` names what is wrong.
    """
    after = replace(before, **edit)
    after = replace(
        after,
        starts_at=end_of_stay(after.starts_at, field="starts_at"),
        ends_at=end_of_stay(after.ends_at, field="ends_at"),
    )
    after.require_frame()
    return after


async def _schedule_of(tx: Session, group: SiteGroup) -> Schedule:
    if group.schedule_id is None:
        return Schedule.always()
    try:
        return (await repository.schedule(tx, group.site_id, group.schedule_id)).schedule
    except NotFound as error:
        raise NotFound(
            f"schedule_id: {error.message}", **error.facts, field="schedule_id"
        ) from error


def _times(group: SiteGroup) -> tuple[ScheduleId | None, datetime | None, datetime | None]:
    """Return what hubs are told of a group besides its members."""
    return group.schedule_id, group.starts_at, group.ends_at
