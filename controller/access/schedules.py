"""Make, edit and delete the schedules that access groups follow."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.access import repository
from controller.db.engine import Session
from controller.domain.groups import NamedSchedule, ScheduleInUse
from controller.domain.ids import ScheduleId, SiteId
from controller.domain.roles import Action, Actor
from controller.domain.schedule import InvalidSchedule, Schedule, Window
from controller.people.changes import Changes
from controller.ports import Ids


class WindowValues(TypedDict):
    """A window as it was typed."""

    weekday: int
    start_min: int
    end_min: int


class Schedules:
    """The schedules of sites."""

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
        windows: Sequence[WindowValues],
        now: datetime,
    ) -> NamedSchedule:
        """Make a schedule.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            InvalidSchedule: A window cannot be, or there are too many; it names which.
            NameTaken: The site has another of this name.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        new = NamedSchedule(
            site_id=site_id,
            id=ScheduleId(self._ids.new()),
            name=name,
            schedule=schedule_of(windows),
            version=1,
        )
        await repository.add_schedule(tx, new)
        await self._end(tx, actor, "schedule_added", new, now=now, reaches_doors=False)
        return new

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        schedule_id: ScheduleId,
        *,
        name: str | None,
        windows: Sequence[WindowValues] | None,
        if_match: int,
        now: datetime,
    ) -> NamedSchedule:
        """Edit a schedule; all groups that follow it follow the new one.

        Args:
            tx: The change's transaction.
            actor: Who asks.
            site_id: The site.
            schedule_id: The schedule.
            name: None leaves it.
            windows: None leaves them.
            if_match: The version that was edited.
            now: The instant.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
            InvalidSchedule: A window cannot be, or there are too many; it names which.
            NameTaken: The site has another of this name.
            OfflineSchedulesFull: A lock cannot keep this schedule for offline use.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        before = await repository.schedule(tx, site_id, schedule_id)
        after = replace(
            before,
            name=before.name if name is None else name,
            schedule=before.schedule if windows is None else schedule_of(windows),
        )
        saved = await repository.save_schedule(tx, after, if_match=if_match)
        changed = before.schedule != after.schedule
        await self._end(tx, actor, "schedule_edited", saved, now=now, reaches_doors=changed)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        schedule_id: ScheduleId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a schedule that no group follows.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
            ScheduleInUse: Groups follow it.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        one = await repository.schedule(tx, site_id, schedule_id)
        groups = await repository.groups_following(tx, one)
        if groups:
            raise ScheduleInUse(
                f"{groups} access groups follow this schedule. Give them another one first; "
                "without any they would open at all times.",
                groups=groups,
                remedy="change_groups",
            )
        await repository.delete_schedule(tx, one, if_match=if_match)
        await self._end(tx, actor, "schedule_deleted", one, now=now, reaches_doors=False)

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        one: NamedSchedule,
        *,
        now: datetime,
        reaches_doors: bool,
    ) -> None:
        windows = [[w.weekday, w.start_min, w.end_min] for w in one.schedule.windows]
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=one.site_id,
            object_kind="schedule",
            object_id=one.id,
            now=now,
            facts={"name": one.name, "windows": windows},
            reaches_doors=reaches_doors,
        )


def schedule_of(windows: Sequence[WindowValues]) -> Schedule:
    """Return the schedule of windows as they were typed.

    Raises:
        InvalidSchedule: A window cannot be, or there are too many; ``field`` names which.
    """
    return Schedule.of(_window(number, values) for number, values in enumerate(windows))


def _window(number: int, values: WindowValues) -> Window:
    try:
        return Window(**values)
    except InvalidSchedule as error:
        place = f"windows.{number}.{error.facts['field']}"
        raise InvalidSchedule(f"windows.{number}.{error.message}", field=place) from error
