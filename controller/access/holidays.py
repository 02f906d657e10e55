"""Make, edit and delete the holidays of a site, which schedules may observe.

All holidays count to the most that a site can have, those that are over too: what locks hold is
compiled from the rows alone, and never by what day it is.
"""

from dataclasses import replace
from datetime import date, datetime
from typing import TypedDict

from controller.access import holidays_repository as repository
from controller.db.engine import Session
from controller.domain.groups import HolidaysOverlap, NamedHoliday, TooManyHolidays
from controller.domain.ids import HolidayId, SiteId
from controller.domain.roles import Action, Actor
from controller.domain.schedule import HOLIDAYS_MAX, Holiday
from controller.people.changes import Changes
from controller.ports import Ids
from controller.sync.changes import HOLIDAYS


class HolidayEdit(TypedDict, total=False):
    """What is to become of a holiday; what is left out stays."""

    name: str
    starts_on: date
    days: int


class Holidays:
    """The holidays of sites."""

    def __init__(self, *, changes: Changes, ids: Ids) -> None:
        self._changes = changes
        self._ids = ids

    async def add(
        self, tx: Session, actor: Actor, site_id: SiteId, new: HolidayEdit, *, now: datetime
    ) -> NamedHoliday:
        """Make a holiday; name, first day and days are given.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            InvalidHoliday: A day or a number of days that cannot be.
            HolidaysOverlap: A day is one of another holiday.
            TooManyHolidays: The site has as many as a lock has room for.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        one = NamedHoliday(
            site_id=site_id,
            id=HolidayId(self._ids.new()),
            name=new["name"],
            holiday=Holiday(starts_on=new["starts_on"], days=new["days"]),
            version=1,
        )
        await _require_apart(tx, one)
        await repository.add_holiday(tx, one)
        await self._end(tx, actor, "holiday_added", one, now=now)
        return one

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        holiday_id: HolidayId,
        edit: HolidayEdit,
        *,
        if_match: int,
        now: datetime,
    ) -> NamedHoliday:
        """Rename or move a holiday, or make it longer or shorter.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
            InvalidHoliday: A day or a number of days that cannot be.
            HolidaysOverlap: A day is one of another holiday.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        before = await repository.holiday(tx, site_id, holiday_id)
        holiday = Holiday(
            starts_on=edit.get("starts_on", before.holiday.starts_on),
            days=edit.get("days", before.holiday.days),
        )
        after = replace(before, name=edit.get("name", before.name), holiday=holiday)
        await _require_apart(tx, after)
        saved = await repository.save_holiday(tx, after, if_match=if_match)
        moved = before.holiday != after.holiday
        await self._end(tx, actor, "holiday_edited", saved, now=now, reaches_doors=moved)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        holiday_id: HolidayId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a holiday; its days are days like any other.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        one = await repository.holiday(tx, site_id, holiday_id)
        await repository.delete_holiday(tx, one, if_match=if_match)
        await self._end(tx, actor, "holiday_deleted", one, now=now)

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        one: NamedHoliday,
        *,
        now: datetime,
        reaches_doors: bool = True,
    ) -> None:
        """End a change. No right is noted as lost: a lock's memory knows neither hours nor days."""
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=one.site_id,
            object_kind="holiday",
            object_id=one.id,
            now=now,
            facts={
                "name": one.name,
                "starts_on": one.holiday.starts_on.isoformat(),
                "days": one.holiday.days,
            },
            reaches_doors=reaches_doors,
            touched=HOLIDAYS,
        )


async def _require_apart(tx: Session, one: NamedHoliday) -> None:
    """Refuse one holiday too many, or a day that is of another one. The site's turn is ours."""
    others = [
        other for other in await repository.holidays_at(tx, one.site_id) if other.id != one.id
    ]
    if len(others) >= HOLIDAYS_MAX:
        raise TooManyHolidays(
            f"The site has {len(others)} holidays, the most that a lock has room for. Those that "
            "are over count too; delete them.",
            limit=HOLIDAYS_MAX,
            used=len(others),
            remedy="delete_past_holidays",
        )
    for other in others:
        if other.holiday.overlaps(one.holiday):
            raise HolidaysOverlap(
                f"starts_on: these days overlap the holiday {other.name}, which starts on "
                f"{other.holiday.starts_on} and has {other.holiday.days} days.",
                field="starts_on",
                holiday_id=other.id,
            )
