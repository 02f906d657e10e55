"""Lockers over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.access import lockers_repository as repository
from controller.access.lockers import Lockers
from controller.domain.ids import LockerId, LockId, PersonId, SiteId
from controller.domain.lockers import Locker, LockerKind
from controller.domain.roles import Action
from controller.people.forms import PersonOut
from controller.web.api import Call, delete, get, patch, post, put
from controller.web.fields import Name
from controller.web.models import ID, In, Out, Versioned
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

LOCKERS = "/sites/{site_id}/lockers"
LOCKER = LOCKERS + "/{locker_id}"

Kind = Annotated[LockerKind, Field(description="Of people, or of whoever takes it.")]


class LockerIn(In):
    """A locker to be."""

    lock_id: Annotated[LockId, ID]
    name: Name
    kind: Kind = LockerKind.PERSONAL


@with_config(ConfigDict(extra="forbid", strict=True))
class LockerPatch(TypedDict, total=False):
    """What is to become of a locker; what is left out stays."""

    name: Name
    kind: Kind


class LockerOut(Versioned):
    """A locker."""

    id: LockerId
    lock_id: LockId
    name: str
    kind: LockerKind
    usable: Annotated[
        bool, Field(description="False: the subscription has no room for it; nobody can open it.")
    ]
    created_at: datetime

    @classmethod
    def of(cls, one: Locker) -> Self:
        """Return a locker as it is shown."""
        return cls(**asdict(one))


class HoldersOut(Out):
    """Whose a locker is."""

    items: list[PersonOut]


class LockersApi:
    """The lockers of a site."""

    tag = "lockers"

    def __init__(self, lockers: Lockers) -> None:
        self._lockers = lockers

    @get(LOCKERS, requires=Action.READ_ACCESS)
    async def listed(
        self, call: Call, site_id: SiteId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[LockerOut]:
        """List lockers."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            found = await repository.lockers_of(
                tx, site_id, after_id=str(after[0]) if after else None, limit=limit + 1
            )
        return page_of([LockerOut.of(one) for one in found], limit, lambda one: (one.id,))

    @post(LOCKERS, requires=Action.MANAGE_ACCESS, status=201)
    async def add(self, call: Call, site_id: SiteId, body: LockerIn) -> LockerOut:
        """Make a lock a locker.

        Needs the feature lockers. The plan has room for so many; beyond, seat vouchers make room,
        and without any the call is refused with ``limit_reached``.
        """
        async with call.db.write() as tx:
            locker = await self._lockers.add(
                tx,
                call.actor,
                site_id,
                lock_id=body.lock_id,
                name=body.name,
                kind=body.kind,
                now=call.now,
            )
        return LockerOut.of(locker)

    @get(LOCKER, requires=Action.READ_ACCESS)
    async def one(self, call: Call, site_id: SiteId, locker_id: LockerId) -> LockerOut:
        """Show a locker."""
        async with call.db.read() as tx:
            return LockerOut.of(await repository.locker(tx, site_id, locker_id))

    @patch(LOCKER, requires=Action.MANAGE_ACCESS)
    async def edit(
        self, call: Call, site_id: SiteId, locker_id: LockerId, if_match: int, body: LockerPatch
    ) -> LockerOut:
        """Rename a locker, or make it personal or free."""
        async with call.db.write() as tx:
            locker = await self._lockers.edit(
                tx, call.actor, site_id, locker_id, edit=body, if_match=if_match, now=call.now
            )
        return LockerOut.of(locker)

    @delete(LOCKER, requires=Action.MANAGE_ACCESS)
    async def remove(self, call: Call, site_id: SiteId, locker_id: LockerId, if_match: int) -> None:
        """Delete a locker; its lock stays."""
        async with call.db.write() as tx:
            await self._lockers.delete(
                tx, call.actor, site_id, locker_id, if_match=if_match, now=call.now
            )

    @get(LOCKER + "/people", requires=Action.READ_ACCESS)
    async def holders(self, call: Call, site_id: SiteId, locker_id: LockerId) -> HoldersOut:
        """List whose a personal locker is."""
        async with call.db.read() as tx:
            locker = await repository.locker(tx, site_id, locker_id)
            found = await repository.people_of(tx, locker)
        return HoldersOut(items=[PersonOut.of(person, call.now) for person in found])

    @put(LOCKER + "/people/{person_id}", requires=Action.MANAGE_ACCESS)
    async def assign(
        self, call: Call, site_id: SiteId, locker_id: LockerId, person_id: PersonId
    ) -> None:
        """Give a personal locker to a person; up to 20 share one."""
        async with call.db.write() as tx:
            await self._lockers.assign(
                tx, call.actor, site_id, locker_id, person_id=person_id, now=call.now
            )

    @delete(LOCKER + "/people/{person_id}", requires=Action.MANAGE_ACCESS)
    async def unassign(
        self, call: Call, site_id: SiteId, locker_id: LockerId, person_id: PersonId
    ) -> None:
        """Take a personal locker from a person."""
        async with call.db.write() as tx:
            await self._lockers.unassign(
                tx, call.actor, site_id, locker_id, person_id=person_id, now=call.now
            )
