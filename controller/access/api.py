"""Access groups over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.access import queries, repository
from controller.access.members import MEMBERS_AT_ONCE, Members
from controller.access.members_repository import LOCKS, PEOPLE, Kind
from controller.access.service import GroupEdit, Groups
from controller.domain.groups import SiteGroup
from controller.domain.ids import GroupId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.roles import Action
from controller.hardware.locks_api import LockOut, LocksOut
from controller.people.forms import PersonOut
from controller.web.api import Call, delete, get, patch, post, put
from controller.web.fields import End, Name, Start
from controller.web.models import ID, In, Out, Versioned
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

GROUPS = "/sites/{site_id}/access-groups"
GROUP = GROUPS + "/{group_id}"
PersonIds = Annotated[list[Annotated[PersonId, ID]], Field(max_length=MEMBERS_AT_ONCE)]
LockIds = Annotated[list[Annotated[LockId, ID]], Field(max_length=MEMBERS_AT_ONCE)]
ScheduleRef = Annotated[Annotated[ScheduleId, ID] | None, Field(description="null: at all times.")]


class GroupIn(In):
    """An access group to be."""

    name: Name
    schedule_id: ScheduleRef = None
    starts_at: Start = None
    ends_at: End = None


@with_config(ConfigDict(extra="forbid", strict=True))
class GroupPatch(TypedDict, total=False):
    """What is to become of an access group; what is left out stays."""

    name: Name
    schedule_id: ScheduleRef
    starts_at: Start
    ends_at: End


class GroupOut(Versioned):
    """An access group."""

    id: GroupId
    name: str
    schedule_id: ScheduleId | None
    starts_at: Annotated[datetime | None, Field(description="Check-in: gives no right before.")]
    ends_at: Annotated[datetime | None, Field(description="Check-out: first instant outside.")]
    created_at: datetime

    @classmethod
    def of(cls, group: SiteGroup) -> Self:
        """Return a group as it is shown."""
        return cls(**asdict(group))


class MembersEditedOut(Out):
    """How many were put in that were not there, and taken out that were."""

    added: int
    removed: int


class PeopleEditIn(In):
    """Who is to join a group and who to leave it."""

    add_ids: PersonIds = Field(default_factory=list)
    remove_ids: PersonIds = Field(default_factory=list)


class LocksEditIn(In):
    """Which locks a group is to gain and to lose."""

    add_ids: LockIds = Field(default_factory=list)
    remove_ids: LockIds = Field(default_factory=list)


class AccessApi:
    """The access groups of a site."""

    tag = "access"

    def __init__(self, groups: Groups, members: Members) -> None:
        self._groups = groups
        self._members = members

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
        new = GroupEdit(
            name=body.name,
            schedule_id=body.schedule_id,
            starts_at=body.starts_at,
            ends_at=body.ends_at,
        )
        async with call.db.write() as tx:
            group = await self._groups.add(tx, call.actor, site_id, new, now=call.now)
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
        """Rename a group, or give it another schedule or frame."""
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

    @patch(GROUP + "/people", requires=Action.MANAGE_ACCESS)
    async def edit_people(
        self, call: Call, site_id: SiteId, group_id: GroupId, body: PeopleEditIn
    ) -> MembersEditedOut:
        """Put many people into a group and take others out, all or nothing.

        Who is there already, or gone already, is passed over.
        """
        return await self._edit_members(call, site_id, group_id, PEOPLE, body)

    @put(GROUP + "/people/{person_id}", requires=Action.MANAGE_ACCESS)
    async def add_person(
        self, call: Call, site_id: SiteId, group_id: GroupId, person_id: PersonId
    ) -> None:
        """Put a person into a group."""
        async with call.db.write() as tx:
            await self._members.add_person(
                tx, call.actor, site_id, group_id, person_id=person_id, now=call.now
            )

    @delete(GROUP + "/people/{person_id}", requires=Action.MANAGE_ACCESS)
    async def remove_person(
        self, call: Call, site_id: SiteId, group_id: GroupId, person_id: PersonId
    ) -> None:
        """Take a person out of a group."""
        async with call.db.write() as tx:
            await self._members.remove_person(
                tx, call.actor, site_id, group_id, person_id=person_id, now=call.now
            )

    @get(GROUP + "/locks", requires=Action.READ_ACCESS)
    async def locks(self, call: Call, site_id: SiteId, group_id: GroupId) -> LocksOut:
        """List the locks of a group."""
        async with call.db.read() as tx:
            group = await repository.group(tx, site_id, group_id)
            found = await queries.locks_of_group(tx, site_id, group.id)
        return LocksOut(items=[LockOut.of(lock) for lock in found])

    @patch(GROUP + "/locks", requires=Action.MANAGE_ACCESS)
    async def edit_locks(
        self, call: Call, site_id: SiteId, group_id: GroupId, body: LocksEditIn
    ) -> MembersEditedOut:
        """Put many locks into a group and take others out, all or nothing.

        What is there already, or gone already, is passed over.
        """
        return await self._edit_members(call, site_id, group_id, LOCKS, body)

    @put(GROUP + "/locks/{lock_id}", requires=Action.MANAGE_ACCESS)
    async def add_lock(
        self, call: Call, site_id: SiteId, group_id: GroupId, lock_id: LockId
    ) -> None:
        """Put a lock into a group."""
        async with call.db.write() as tx:
            await self._members.add_lock(
                tx, call.actor, site_id, group_id, lock_id=lock_id, now=call.now
            )

    @delete(GROUP + "/locks/{lock_id}", requires=Action.MANAGE_ACCESS)
    async def remove_lock(
        self, call: Call, site_id: SiteId, group_id: GroupId, lock_id: LockId
    ) -> None:
        """Take a lock out of a group."""
        async with call.db.write() as tx:
            await self._members.remove_lock(
                tx, call.actor, site_id, group_id, lock_id=lock_id, now=call.now
            )

    async def _edit_members(
        self,
        call: Call,
        site_id: SiteId,
        group_id: GroupId,
        kind: Kind,
        body: PeopleEditIn | LocksEditIn,
    ) -> MembersEditedOut:
        async with call.db.write() as tx:
            edited = await self._members.edit(
                tx,
                call.actor,
                site_id,
                group_id,
                kind,
                add_ids=body.add_ids,
                remove_ids=body.remove_ids,
                now=call.now,
            )
        return MembersEditedOut(added=edited.added, removed=edited.removed)
