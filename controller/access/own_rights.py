"""All that decides what one person may open, as one value."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from zoneinfo import ZoneInfo

from sqlalchemy import and_, select

from controller.access.queries import holidays_of
from controller.access.repository import to_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import access_groups, group_locks, group_people, schedules
from controller.db.tables.sites import sites
from controller.domain.access import (
    AccessGroup,
    Credential,
    CredentialKind,
    Decision,
    Person,
    decide,
)
from controller.domain.ids import CredentialId, GroupId, LockId
from controller.domain.people import SitePerson
from controller.domain.schedule import Holiday, Schedule

_SIGNED_IN: Final = CredentialId("")
"""Whoever opens from afar presents nothing at the lock: the account stands for a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRights:
    """What a person may open when."""

    person: Person
    groups: tuple[AccessGroup, ...]
    zone: ZoneInfo
    holidays: tuple[Holiday, ...]

    @classmethod
    async def read(cls, tx: ReadSession, person: SitePerson) -> Self:
        """Return the rights of a person as the rows have them."""
        zone = select(sites.c.time_zone).where(sites.c.id == person.site_id)
        return cls(
            person=Person(
                id=person.id,
                subscribed=person.subscribed_at is not None,
                starts_at=person.starts_at,
                ends_at=person.expires_at,
            ),
            groups=await _groups(tx, person),
            zone=ZoneInfo((await tx.execute(zone)).scalar_one()),
            holidays=await holidays_of(tx, person.site_id),
        )

    @property
    def lock_ids(self) -> frozenset[LockId]:
        """Return the locks of the person's groups."""
        return frozenset().union(*(group.lock_ids for group in self.groups))

    def at(self, lock_id: LockId, *, active: bool, now: datetime) -> Decision:
        """Return what a lock would do for the person.

        Args:
            lock_id: The lock.
            active: The site's subscription runs.
            now: The instant.
        """
        credential = Credential(
            id=_SIGNED_IN, person_id=self.person.id, kind=CredentialKind.DIGITAL_KEY
        )
        return decide(
            subscribed=active,
            holder=(credential, self.person),
            groups=self.groups,
            lock_id=lock_id,
            zone=self.zone,
            now=now,
            holidays=self.holidays,
        )


async def _groups(tx: ReadSession, person: SitePerson) -> tuple[AccessGroup, ...]:
    """Return the person's groups, by id, with the person only."""
    mine = and_(
        group_people.c.site_id == person.site_id,
        group_people.c.person_id == person.id,
    )
    doors = await tx.execute(
        select(group_locks.c.group_id, group_locks.c.lock_id)
        .join(
            group_people,
            and_(
                group_people.c.site_id == group_locks.c.site_id,
                group_people.c.group_id == group_locks.c.group_id,
            ),
        )
        .where(mine)
    )
    lock_ids: defaultdict[GroupId, set[LockId]] = defaultdict(set)
    for row in doors:
        lock_ids[row.group_id].add(row.lock_id)
    rows = await tx.execute(
        select(
            access_groups.c.id,
            access_groups.c.schedule_id,
            access_groups.c.starts_at,
            access_groups.c.ends_at,
            schedules.c.windows,
            schedules.c.observes_holidays,
            schedules.c.starts_on,
            schedules.c.ends_on,
        )
        .join(
            group_people,
            and_(
                group_people.c.site_id == access_groups.c.site_id,
                group_people.c.group_id == access_groups.c.id,
            ),
        )
        .outerjoin(
            schedules,
            and_(
                schedules.c.site_id == access_groups.c.site_id,
                schedules.c.id == access_groups.c.schedule_id,
            ),
        )
        .where(mine)
        .order_by(access_groups.c.id)
    )
    return tuple(
        AccessGroup(
            id=row.id,
            person_ids=frozenset({person.id}),
            lock_ids=frozenset(lock_ids[row.id]),
            schedule=Schedule.always() if row.schedule_id is None else to_schedule(row),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )
        for row in rows
    )
