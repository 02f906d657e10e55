"""Make, edit and delete the schedules that access groups follow."""

from dataclasses import replace
from datetime import date, datetime
from typing import Final, TypedDict

from controller.access import repository
from controller.db.engine import Session
from controller.domain.groups import NamedSchedule, ScheduleInUse, TooManySchedules
from controller.domain.ids import ScheduleId, SiteId
from controller.domain.roles import Action, Actor
from controller.domain.schedule import InvalidSchedule, Schedule, Window
from controller.people.changes import Changes
from controller.ports import Ids
from controller.sync.changes import Touched

SCHEDULES_MAX: Final = 200  # of a site; they are listed whole


class WindowValues(TypedDict):
    """A window as it was typed."""

    weekday: int
    start_min: int
    end_min: int


class ScheduleEdit(TypedDict, total=False):
    """What is to become of a schedule; what is left out stays."""

    name: str
    windows: list[WindowValues]
    observes_holidays: bool
    starts_on: date | None
    ends_on: date | None


class Schedules:
    """The schedules of sites."""

    def __init__(self, *, changes: Changes, ids: Ids) -> None:
        self._changes = changes
        self._ids = ids

    async def add(
        self, tx: Session, actor: Actor, site_id: SiteId, new: ScheduleEdit, *, now: datetime
    ) -> NamedSchedule:
        """Make a schedule.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            InvalidSchedule: A window or a date cannot be, or it would never open; it names which.
            NameTaken: The site has another of this name.
            TooManySchedules: The site has as many as one can have.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        count = await repository.schedules_at(tx, site_id)
        if count >= SCHEDULES_MAX:
            raise TooManySchedules(
                f"The site has {count} schedules, and {SCHEDULES_MAX} is the most. Delete one that "
                "no access group follows.",
                limit=SCHEDULES_MAX,
                used=count,
                remedy="delete_schedule",
            )
        one = NamedSchedule(
            site_id=site_id,
            id=ScheduleId(self._ids.new()),
            name=new["name"],
            schedule=_edited(None, new),
            version=1,
        )
        await repository.add_schedule(tx, one)
        await self._end(tx, actor, "schedule_added", one, now=now, reaches_doors=False)
        return one

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        schedule_id: ScheduleId,
        edit: ScheduleEdit,
        *,
        if_match: int,
        now: datetime,
    ) -> NamedSchedule:
        """Edit a schedule; all groups that follow it follow the new one.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
            InvalidSchedule: A window or a date cannot be, or it would never open; it names which.
            NameTaken: The site has another of this name.
            OfflineSchedulesFull: A lock cannot keep this schedule for offline use.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        before = await repository.schedule(tx, site_id, schedule_id)
        after = replace(
            before,
            name=edit.get("name", before.name),
            schedule=_edited(before.schedule, edit),
        )
        saved = await repository.save_schedule(tx, after, if_match=if_match)
        # Other hours take nothing from a lock's memory, which knows none; other days do.
        if after.schedule.loses_days_of(before.schedule):
            await repository.revoke_followers(tx, saved, now=now)
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
            ScheduleInUse: Groups, locks or notification rules follow it.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        one = await repository.schedule(tx, site_id, schedule_id)
        followers = await repository.followers_of(tx, one)
        if any(followers.values()):
            counted = ", ".join(f"{kind}: {count}" for kind, count in followers.items())
            raise ScheduleInUse(
                f"Others follow this schedule ({counted}). Give them another one first; without "
                "any they would open at all times.",
                **followers,
                remedy="change_followers",
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
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=one.site_id,
            object_kind="schedule",
            object_id=one.id,
            now=now,
            facts=_facts(one),
            reaches_doors=reaches_doors,
            touched=Touched.schedules(one.id),
        )


def _edited(before: Schedule | None, edit: ScheduleEdit) -> Schedule:
    """Return the schedule after an edit; None before: a new one, and ``windows`` are given.

    Raises:
        InvalidSchedule: ``field`` names what cannot be, as it was typed.
    """
    kept = before or Schedule(windows=())
    windows = (
        [_window(place, values) for place, values in enumerate(edit["windows"])]
        if "windows" in edit
        else kept.windows
    )
    return Schedule.of(
        windows,
        observes_holidays=edit.get("observes_holidays", kept.observes_holidays),
        starts_on=edit.get("starts_on", kept.starts_on),
        ends_on=edit.get("ends_on", kept.ends_on),
    )


def _window(place: int, values: WindowValues) -> Window:
    try:
        return Window(**values)
    except InvalidSchedule as error:
        field = f"windows.{place}.{error.facts['field']}"
        raise InvalidSchedule(f"windows.{place}.{error.message}", field=field) from error


def _facts(one: NamedSchedule) -> dict[str, object]:
    schedule = one.schedule
    return {
        "name": one.name,
        "windows": [[w.weekday, w.start_min, w.end_min] for w in schedule.windows],
        "observes_holidays": schedule.observes_holidays,
        "starts_on": schedule.starts_on and schedule.starts_on.isoformat(),
        "ends_on": schedule.ends_on and schedule.ends_on.isoformat(),
    }
