"""All that decides what one person may open, as one value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from zoneinfo import ZoneInfo

from controller.access.queries import holidays_of
from controller.access.rights import known, rights_of, zone_of
from controller.db.engine import ReadSession
from controller.domain.access import (
    AccessGroup,
    Credential,
    CredentialKind,
    Decision,
    Person,
    decide,
)
from controller.domain.ids import CredentialId, LockId
from controller.domain.people import SitePerson
from controller.domain.schedule import Holiday

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
        return cls(
            person=known(person),
            groups=tuple(right.group for right in await rights_of(tx, person.site_id, person.id)),
            zone=await zone_of(tx, person.site_id),
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
