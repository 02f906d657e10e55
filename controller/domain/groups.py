"""Access groups and schedules of a site, as the cloud keeps them."""

from dataclasses import dataclass
from datetime import datetime

from controller.domain.errors import Refused
from controller.domain.ids import GroupId, ScheduleId, SiteId
from controller.domain.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSchedule:
    """A schedule that groups of a site may share."""

    site_id: SiteId
    id: ScheduleId
    name: str
    schedule: Schedule
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteGroup:
    """People who may open locks while a schedule is open; without one at all times."""

    site_id: SiteId
    id: GroupId
    name: str
    schedule_id: ScheduleId | None
    starts_at: datetime | None  # check-in: gives no right before
    ends_at: datetime | None  # check-out: the first instant outside
    created_at: datetime
    version: int


class NameTaken(Refused):
    """The site has another of this name."""

    code = "name_taken"


class ScheduleInUse(Refused):
    """Access groups follow the schedule."""

    code = "schedule_in_use"
