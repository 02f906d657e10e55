"""Schedules, access groups, and why a door opens or not, over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.access import explain, queries, repository
from controller.access.explain import Explained
from controller.access.service import Groups
from controller.domain.access import Allowed, Decision, DenyReason
from controller.domain.groups import SiteGroup
from controller.domain.ids import CredentialId, GroupId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.roles import Action
from controller.hardware.locks_api import LockOut, LocksOut
from controller.people.api import PersonOut
from controller.subscriptions.entitlement import Entitlement
from controller.web.api import Call, delete, get, patch, post, put
from controller.web.fields import Name
from controller.web.models import ID, In, Out, Versioned
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

GROUPS = "/sites/{site_id}/access-groups"
GROUP = GROUPS + "/{group_id}"
ScheduleRef = Annotated[Annotated[ScheduleId, ID] | None, Field(description="null: at all times.")]


class GroupIn(In):
    """An access group to be."""

    name: Name
    schedule_id: ScheduleRef = None


@with_config(ConfigDict(extra="forbid", strict=True))
class GroupPatch(TypedDict, total=False):
    """What is to become of an access group; what is left out stays."""

    name: Name
    schedule_id: ScheduleRef


class GroupOut(Versioned):
    """An access group."""

    id: GroupId
    name: str
    schedule_id: ScheduleId | None
    created_at: datetime

    @classmethod
    def of(cls, group: SiteGroup) -> Self:
        """Return a group as it is shown."""
        return cls(**asdict(group))


class CredentialWhyOut(Out):
    """What would happen with one credential."""

    credential_id: CredentialId
    label: str
    allowed: bool
    reason: DenyReason | None
    group_id: GroupId | None

    @classmethod
    def of(cls, one: Explained) -> Self:
        """Return an explanation as it is shown."""
        return cls(
            credential_id=one.credential.id,
            label=one.credential.label,
            **_told(one.decision),
        )


class WhyOut(Out):
    """Whether a person may open a lock at an instant, and why."""

    at: datetime
    allowed: bool
    reason: Annotated[DenyReason | None, Field(description="Of the credential that got furthest.")]
    group_id: Annotated[GroupId | None, Field(description="By whose right it opens.")]
    credentials: list[CredentialWhyOut]


class AccessApi:
    """The access groups of a site, and what follows from them."""

    tag = "access"

    def __init__(self, groups: Groups, entitlement: Entitlement) -> None:
        self._groups = groups
        self._entitlement = entitlement

    @get(GROUPS, requires=Action.READ_ACCESS)
    async def listed(
        self, call: Call, site_id: SiteId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[GroupOut]:
        """List access groups."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            found = await queries.groups_of_site(
                tx, site_id, after_id=str(after[0]) if after else None, limit=limit + 1
            )
        shown = [GroupOut.of(group) for group in found]
        return page_of(shown, limit, lambda group: (group.id,))

    @post(GROUPS, requires=Action.MANAGE_ACCESS, status=201)
    async def add(self, call: Call, site_id: SiteId, body: GroupIn) -> GroupOut:
        """Make an access group."""
        async with call.db.write() as tx:
            group = await self._groups.add(
                tx,
                call.actor,
                site_id,
                name=body.name,
                schedule_id=body.schedule_id,
                now=call.now,
            )
        return GroupOut.of(group)

    @get(GROUP, requires=Action.READ_ACCESS)
    async def one(self, call: Call, site_id: SiteId, group_id: GroupId) -> GroupOut:
        """Show an access group."""
        async with call.db.read() as tx:
            return GroupOut.of(await repository.group(tx, site_id, group_id))

    @patch(GROUP, requires=Action.MANAGE_ACCESS)
    async def edit(
        self, call: Call, site_id: SiteId, group_id: GroupId, if_match: int, body: GroupPatch
    ) -> GroupOut:
        """Rename a group or give it another schedule."""
        async with call.db.write() as tx:
            group = await self._groups.edit(
                tx, call.actor, site_id, group_id, edit=body, if_match=if_match, now=call.now
            )
        return GroupOut.of(group)

    @delete(GROUP, requires=Action.MANAGE_ACCESS)
    async def remove(self, call: Call, site_id: SiteId, group_id: GroupId, if_match: int) -> None:
        """Delete a group, and with it the rights that it gave."""
        async with call.db.write() as tx:
            await self._groups.delete(
                tx, call.actor, site_id, group_id, if_match=if_match, now=call.now
            )

    @get(GROUP + "/people", requires=Action.READ_ACCESS)
    async def people(
        self,
        call: Call,
        site_id: SiteId,
        group_id: GroupId,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[PersonOut]:
        """List the people of a group."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            group = await repository.group(tx, site_id, group_id)
            found = await queries.members(
                tx, site_id, group.id, after_id=str(after[0]) if after else None, limit=limit + 1
            )
        shown = [PersonOut.of(person, call.now) for person in found]
        return page_of(shown, limit, lambda person: (person.id,))

    @put(GROUP + "/people/{person_id}", requires=Action.MANAGE_ACCESS)
    async def add_person(
        self, call: Call, site_id: SiteId, group_id: GroupId, person_id: PersonId
    ) -> None:
        """Put a person into a group."""
        async with call.db.write() as tx:
            await self._groups.add_person(
                tx, call.actor, site_id, group_id, person_id=person_id, now=call.now
            )

    @delete(GROUP + "/people/{person_id}", requires=Action.MANAGE_ACCESS)
    async def remove_person(
        self, call: Call, site_id: SiteId, group_id: GroupId, person_id: PersonId
    ) -> None:
        """Take a person out of a group."""
        async with call.db.write() as tx:
            await self._groups.remove_person(
                tx, call.actor, site_id, group_id, person_id=person_id, now=call.now
            )

    @get(GROUP + "/locks", requires=Action.READ_ACCESS)
    async def locks(self, call: Call, site_id: SiteId, group_id: GroupId) -> LocksOut:
        """List the locks of a group."""
        async with call.db.read() as tx:
            group = await repository.group(tx, site_id, group_id)
            found = await queries.locks_of_group(tx, site_id, group.id)
        return LocksOut(items=[LockOut.of(lock) for lock in found])

    @put(GROUP + "/locks/{lock_id}", requires=Action.MANAGE_ACCESS)
    async def add_lock(
        self, call: Call, site_id: SiteId, group_id: GroupId, lock_id: LockId
    ) -> None:
        """Put a lock into a group."""
        async with call.db.write() as tx:
            await self._groups.add_lock(
                tx, call.actor, site_id, group_id, lock_id=lock_id, now=call.now
            )

    @delete(GROUP + "/locks/{lock_id}", requires=Action.MANAGE_ACCESS)
    async def remove_lock(
        self, call: Call, site_id: SiteId, group_id: GroupId, lock_id: LockId
    ) -> None:
        """Take a lock out of a group."""
        async with call.db.write() as tx:
            await self._groups.remove_lock(
                tx, call.actor, site_id, group_id, lock_id=lock_id, now=call.now
            )

    @get("/sites/{site_id}/people/{person_id}/locks/{lock_id}/why", requires=Action.READ_ACCESS)
    async def why(
        self,
        call: Call,
        site_id: SiteId,
        person_id: PersonId,
        lock_id: LockId,
        at: AwareDatetime | None = None,
    ) -> WhyOut:
        """Tell why a person may or may not open a lock, now or at another instant."""
        instant = at or call.now
        async with call.db.read() as tx:
            site = await self._entitlement.entitled(tx, site_id, now=instant)
            decision, explained = await explain.why(
                tx,
                site_id,
                person_id=person_id,
                lock_id=lock_id,
                subscribed=site.active,
                at=instant,
            )
        return WhyOut(
            at=instant,
            credentials=[CredentialWhyOut.of(one) for one in explained],
            **_told(decision),
        )


class _Told(TypedDict):
    allowed: bool
    reason: DenyReason | None
    group_id: GroupId | None


def _told(decision: Decision) -> _Told:
    match decision:
        case Allowed(group_id=group_id):
            return _Told(allowed=True, reason=None, group_id=group_id)
        case _:
            return _Told(allowed=False, reason=decision.reason, group_id=None)
