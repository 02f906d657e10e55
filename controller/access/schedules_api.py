"""Schedules over REST."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.access import queries, repository
from controller.access.schedules import ScheduleEdit, Schedules
from controller.domain.groups import NamedSchedule
from controller.domain.ids import ScheduleId, SiteId
from controller.domain.roles import Action
from controller.web.api import Call, delete, get, patch, post
from controller.web.fields import Name
from controller.web.models import WHOLE, In, Out, Versioned

SCHEDULES = "/sites/{site_id}/schedules"
SCHEDULE = SCHEDULES + "/{schedule_id}"
WINDOWS_TYPED_MAX = 200
NUMBER_MAX = 10_000  # wide enough that the rules, not the form, say what is wrong

Minute = Annotated[int, Field(ge=0, le=NUMBER_MAX, description="Minutes since midnight."), WHOLE]


@with_config(ConfigDict(extra="forbid", strict=True))
class WindowIn(TypedDict):
    """A time of one weekday, by the clock on the site's wall."""

    weekday: Annotated[
        int,
        Field(ge=0, le=NUMBER_MAX, description="Monday is 0, Sunday is 6, a holiday 7."),
        WHOLE,
    ]
    start_min: Minute
    end_min: Annotated[
        int, Field(ge=0, le=NUMBER_MAX, description="First minute outside, at most 1440."), WHOLE
    ]


Windows = Annotated[list[WindowIn], Field(max_length=WINDOWS_TYPED_MAX)]
ObservesHolidays = Annotated[
    bool,
    Field(
        description="On a holiday the windows of weekday 7 count instead; without any it is shut."
    ),
]
FirstDay = Annotated[
    date | None, Field(description="First day on the site's wall; null: no bound.")
]
LastDay = Annotated[date | None, Field(description="Last day, inside; null: no bound.")]


class ScheduleIn(In):
    """A schedule to be."""

    name: Name
    windows: Windows
    observes_holidays: ObservesHolidays = False
    starts_on: FirstDay = None
    ends_on: LastDay = None


@with_config(ConfigDict(extra="forbid", strict=True))
class SchedulePatch(TypedDict, total=False):
    """What is to become of a schedule; what is left out stays."""

    name: Name
    windows: Windows
    observes_holidays: ObservesHolidays
    starts_on: FirstDay
    ends_on: LastDay


class WindowOut(Out):
    """A time of one weekday."""

    weekday: int
    start_min: int
    end_min: int


class ScheduleOut(Versioned):
    """A schedule."""

    id: ScheduleId
    name: str
    windows: list[WindowOut]
    observes_holidays: bool
    starts_on: date | None
    ends_on: date | None

    @classmethod
    def of(cls, one: NamedSchedule) -> Self:
        """Return a schedule as it is shown."""
        return cls(**asdict(one.schedule), id=one.id, name=one.name, version=one.version)


class SchedulesOut(Out):
    """All schedules of a site."""

    items: list[ScheduleOut]


class SchedulesApi:
    """The schedules of a site."""

    tag = "schedules"

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    @get(SCHEDULES, requires=Action.READ_ACCESS)
    async def listed(self, call: Call, site_id: SiteId) -> SchedulesOut:
        """List schedules."""
        async with call.db.read() as tx:
            found = await queries.schedules_of(tx, site_id)
        return SchedulesOut(items=[ScheduleOut.of(one) for one in found])

    @post(SCHEDULES, requires=Action.MANAGE_ACCESS, status=201)
    async def add(self, call: Call, site_id: SiteId, body: ScheduleIn) -> ScheduleOut:
        """Make a schedule."""
        new = ScheduleEdit(
            name=body.name,
            windows=body.windows,
            observes_holidays=body.observes_holidays,
            starts_on=body.starts_on,
            ends_on=body.ends_on,
        )
        async with call.db.write() as tx:
            one = await self._schedules.add(tx, call.actor, site_id, new, now=call.now)
        return ScheduleOut.of(one)

    @get(SCHEDULE, requires=Action.READ_ACCESS)
    async def one(self, call: Call, site_id: SiteId, schedule_id: ScheduleId) -> ScheduleOut:
        """Show a schedule."""
        async with call.db.read() as tx:
            return ScheduleOut.of(await repository.schedule(tx, site_id, schedule_id))

    @patch(SCHEDULE, requires=Action.MANAGE_ACCESS)
    async def edit(
        self,
        call: Call,
        site_id: SiteId,
        schedule_id: ScheduleId,
        if_match: int,
        body: SchedulePatch,
    ) -> ScheduleOut:
        """Edit a schedule; the groups that follow it follow the new one."""
        async with call.db.write() as tx:
            one = await self._schedules.edit(
                tx, call.actor, site_id, schedule_id, body, if_match=if_match, now=call.now
            )
        return ScheduleOut.of(one)

    @delete(SCHEDULE, requires=Action.MANAGE_ACCESS)
    async def remove(
        self, call: Call, site_id: SiteId, schedule_id: ScheduleId, if_match: int
    ) -> None:
        """Delete a schedule that no group follows."""
        async with call.db.write() as tx:
            await self._schedules.delete(
                tx, call.actor, site_id, schedule_id, if_match=if_match, now=call.now
            )
