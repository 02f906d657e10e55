"""Holidays over REST."""

from datetime import date
from typing import Annotated, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.access import holidays_repository as repository
from controller.access.holidays import HolidayEdit, Holidays
from controller.domain.groups import NamedHoliday
from controller.domain.ids import HolidayId, SiteId
from controller.domain.roles import Action
from controller.web.api import Call, delete, get, patch, post
from controller.web.fields import Name
from controller.web.models import WHOLE, In, Out, Versioned

HOLIDAYS = "/sites/{site_id}/holidays"
HOLIDAY = HOLIDAYS + "/{holiday_id}"
NUMBER_MAX = 10_000  # wide enough that the rules, not the form, say what is wrong

FirstDay = Annotated[date, Field(description="First day, by the calendar on the site's wall.")]
Days = Annotated[int, Field(ge=0, le=NUMBER_MAX, description="How many days, 1 to 31."), WHOLE]


class HolidayIn(In):
    """A holiday to be."""

    name: Name
    starts_on: FirstDay
    days: Days = 1


@with_config(ConfigDict(extra="forbid", strict=True))
class HolidayPatch(TypedDict, total=False):
    """What is to become of a holiday; what is left out stays."""

    name: Name
    starts_on: FirstDay
    days: Days


class HolidayOut(Versioned):
    """Days on which schedules that observe holidays follow the windows of weekday 7."""

    id: HolidayId
    name: str
    starts_on: date
    days: int

    @classmethod
    def of(cls, one: NamedHoliday) -> Self:
        """Return a holiday as it is shown."""
        return cls(
            id=one.id,
            name=one.name,
            starts_on=one.holiday.starts_on,
            days=one.holiday.days,
            version=one.version,
        )


class HolidaysOut(Out):
    """All holidays of a site, earliest first; those that are over too."""

    items: list[HolidayOut]


class HolidaysApi:
    """The holidays of a site."""

    tag = "holidays"

    def __init__(self, holidays: Holidays) -> None:
        self._holidays = holidays

    @get(HOLIDAYS, requires=Action.READ_ACCESS)
    async def listed(self, call: Call, site_id: SiteId) -> HolidaysOut:
        """List holidays."""
        async with call.db.read() as tx:
            found = await repository.holidays_at(tx, site_id)
        return HolidaysOut(items=[HolidayOut.of(one) for one in found])

    @post(HOLIDAYS, requires=Action.MANAGE_ACCESS, status=201)
    async def add(self, call: Call, site_id: SiteId, body: HolidayIn) -> HolidayOut:
        """Make a holiday.

        A site has at most 40, and no two of them have a day in common.
        """
        new = HolidayEdit(name=body.name, starts_on=body.starts_on, days=body.days)
        async with call.db.write() as tx:
            return HolidayOut.of(
                await self._holidays.add(tx, call.actor, site_id, new, now=call.now)
            )

    @get(HOLIDAY, requires=Action.READ_ACCESS)
    async def one(self, call: Call, site_id: SiteId, holiday_id: HolidayId) -> HolidayOut:
        """Show a holiday."""
        async with call.db.read() as tx:
            return HolidayOut.of(await repository.holiday(tx, site_id, holiday_id))

    @patch(HOLIDAY, requires=Action.MANAGE_ACCESS)
    async def edit(
        self, call: Call, site_id: SiteId, holiday_id: HolidayId, if_match: int, body: HolidayPatch
    ) -> HolidayOut:
        """Rename or move a holiday, or make it longer or shorter."""
        async with call.db.write() as tx:
            one = await self._holidays.edit(
                tx, call.actor, site_id, holiday_id, body, if_match=if_match, now=call.now
            )
        return HolidayOut.of(one)

    @delete(HOLIDAY, requires=Action.MANAGE_ACCESS)
    async def remove(
        self, call: Call, site_id: SiteId, holiday_id: HolidayId, if_match: int
    ) -> None:
        """Delete a holiday."""
        async with call.db.write() as tx:
            await self._holidays.delete(
                tx, call.actor, site_id, holiday_id, if_match=if_match, now=call.now
            )
