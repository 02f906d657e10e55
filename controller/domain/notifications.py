"""Which happenings are told to whom: a rule names kinds, locks, people and times."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from controller.domain.errors import Refused
from controller.domain.happenings import Happening
from controller.domain.ids import LockId, PersonId, RuleId, ScheduleId, SiteId
from controller.domain.schedule import Holiday, Schedule

RULES_MAX: Final = 50  # of a site
RECEIVERS_MAX: Final = 50  # of a rule
PLACES_MAX: Final = 200  # locks, or people, that a rule is limited to
NOTICES_MAX: Final = 50  # of one rule out of one batch of happenings; the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRule:
    """Whom to tell of what."""

    site_id: SiteId
    id: RuleId
    name: str
    kinds: frozenset[str]
    lock_ids: frozenset[LockId] | None  # None: all locks, and what concerns no lock
    person_ids: frozenset[PersonId] | None  # None: everybody, and what concerns nobody
    schedule_id: ScheduleId | None  # None: at all times
    receiver_ids: frozenset[PersonId]
    by_mail: bool
    enabled: bool
    created_at: datetime
    version: int

    def catches(
        self,
        happening: Happening,
        *,
        schedule: Schedule | None,
        zone: ZoneInfo,
        holidays: Collection[Holiday],
    ) -> bool:
        """Return whether the rule's receivers are to be told.

        Args:
            happening: What happened.
            schedule: That of ``schedule_id``, if there is one.
            zone: The site's time zone.
            holidays: The site's.
        """
        if not self.enabled or happening.kind not in self.kinds:
            return False
        if self.lock_ids is not None and happening.lock_id not in self.lock_ids:
            return False
        if self.person_ids is not None and happening.person_id not in self.person_ids:
            return False
        return schedule is None or schedule.contains(happening.at.astimezone(zone), holidays)


class TooManyRules(Refused):
    """The site has as many notification rules as one can have."""

    code = "too_many_rules"
