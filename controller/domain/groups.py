"""Access groups, schedules and holidays of a site, as the cloud keeps them."""

from dataclasses import dataclass
from datetime import datetime

from controller.domain.errors import Invalid, Refused
from controller.domain.ids import GroupId, HolidayId, ScheduleId, SiteId
from controller.domain.people import ends_earlier, starts_later
from controller.domain.schedule import Holiday, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSchedule:
    """A schedule that groups of a site may share."""

    site_id: SiteId
    id: ScheduleId
    name: str
    schedule: Schedule
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedHoliday:
    """Days on which a site keeps other hours."""

    site_id: SiteId
    id: HolidayId
    name: str
    holiday: Holiday
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

    def require_frame(self) -> None:
        """Refuse a check-out that is not after the check-in.

        Raises:
            InvalidFrame: It names the field.
        """
        if self.starts_at is None or self.ends_at is None:
            return
        if self.ends_at <= self.starts_at:
            raise InvalidFrame("ends_at: a group ends after it starts.", field="ends_at")

    def is_framed_tighter_than(self, other: "SiteGroup") -> bool:
        """Return whether it starts later or ends earlier than another."""
        return starts_later(other.starts_at, self.starts_at) or ends_earlier(
            other.ends_at, self.ends_at
        )


class InvalidFrame(Invalid):
    """A frame in which a group would never give a right."""

    code = "invalid_frame"


class NameTaken(Refused):
    """The site has another of this name."""

    code = "name_taken"


class ScheduleInUse(Refused):
    """Access groups follow the schedule."""

    code = "schedule_in_use"


class TooManySchedules(Refused):
    """The site has as many schedules as one can have."""

    code = "too_many_schedules"


class TooManyHolidays(Refused):
    """The site has as many holidays as a lock's list has room for."""

    code = "too_many_holidays"


class HolidaysOverlap(Refused):
    """A day would be of two holidays."""

    code = "holidays_overlap"
