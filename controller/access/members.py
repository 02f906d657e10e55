"""Put people and locks into access groups and take them out, one or many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.access import members_repository, repository
from controller.access.lockers_repository import require_no_personal_lockers
from controller.access.members_repository import LOCKS, PEOPLE, Kind
from controller.audit.service import Audit, Change
from controller.db.engine import Session
from controller.domain.errors import Invalid, NotFound
from controller.domain.groups import SiteGroup
from controller.domain.ids import GroupId, LockId, PersonId, SiteId
from controller.domain.people import GROUPS_MAX, TooManyGroups
from controller.domain.roles import Action, Actor
from controller.hardware.repository import lock as lock_of_site
from controller.people.changes import Changes
from controller.people.repository import person as person_of_site
from controller.sync.changes import Touched
from controller.sync.revocations import revoke_people

MEMBERS_AT_ONCE: Final = 500  # to add, and as many to remove

_JOINED: Final = {PEOPLE.name: "group_joined", LOCKS.name: "group_gained_lock"}
_LEFT: Final = {PEOPLE.name: "group_left", LOCKS.name: "group_lost_lock"}


class InvalidMembers(Invalid):
    """An id that is named twice; ``field`` says where."""

    code = "invalid_members"


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersEdited:
    """How many were put in that were not there, and taken out that were."""

    added: int
    removed: int


class Members:
    """The people and locks of access groups."""

    def __init__(self, *, changes: Changes, audit: Audit) -> None:
        self._changes = changes
        self._audit = audit

    async def add_person(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        person_id: PersonId,
        now: datetime,
    ) -> None:
        """Put a person into a group; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or person.
            TooManyGroups: The person is in as many groups as one can be.
            OfflineListFull: A lock has no room for the person's offline credentials.
        """
        group = await self._begin(tx, actor, site_id, group_id, now=now)
        person = await person_of_site(tx, site_id, person_id)
        await self._change(tx, actor, group, PEOPLE, add_ids=[person.id], remove_ids=[], now=now)

    async def remove_person(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        person_id: PersonId,
        now: datetime,
    ) -> None:
        """Take a person out of a group; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or person.
        """
        group = await self._begin(tx, actor, site_id, group_id, now=now)
        person = await person_of_site(tx, site_id, person_id)
        await self._change(tx, actor, group, PEOPLE, add_ids=[], remove_ids=[person.id], now=now)

    async def add_lock(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        lock_id: LockId,
        now: datetime,
    ) -> None:
        """Put a lock into a group; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or lock.
            OfflineListFull: The lock has no room for the members' offline credentials.
        """
        group = await self._begin(tx, actor, site_id, group_id, now=now)
        lock = await lock_of_site(tx, site_id, lock_id)
        await self._change(tx, actor, group, LOCKS, add_ids=[lock.id], remove_ids=[], now=now)

    async def remove_lock(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        *,
        lock_id: LockId,
        now: datetime,
    ) -> None:
        """Take a lock out of a group; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such group or lock.
        """
        group = await self._begin(tx, actor, site_id, group_id, now=now)
        lock = await lock_of_site(tx, site_id, lock_id)
        await self._change(tx, actor, group, LOCKS, add_ids=[], remove_ids=[lock.id], now=now)

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        group_id: GroupId,
        kind: Kind,
        *,
        add_ids: Sequence[str],
        remove_ids: Sequence[str],
        now: datetime,
    ) -> MembersEdited:
        """Put many people or locks into a group and take others out, all or nothing.

        Who is there already, or gone already, is passed over.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            InvalidMembers: An id is named twice.
            NotFound: The site has no such group, or nobody or no lock of an id.
            TooManyGroups: A person is in as many groups as one can be.
            LockIsLocker: A lock is a personal locker's.
            OfflineListFull: A lock has no room for all offline credentials.
        """
        group = await self._begin(tx, actor, site_id, group_id, now=now)
        places = _places(add_ids, remove_ids)
        known = await members_repository.known(tx, site_id, kind, list(places))
        for each, place in places.items():
            if each not in known:
                raise NotFound(
                    f"{place}: there is no such {kind.name} at this site. Nothing was changed.",
                    object=kind.name,
                    field=place,
                )
        try:
            return await self._change(
                tx, actor, group, kind, add_ids=add_ids, remove_ids=remove_ids, now=now
            )
        except TooManyGroups as error:
            place = places[str(error.facts["person_id"])]
            raise TooManyGroups(f"{place}: {error.message}", **error.facts, field=place) from error

    async def _begin(
        self, tx: Session, actor: Actor, site_id: SiteId, group_id: GroupId, *, now: datetime
    ) -> SiteGroup:
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        return await repository.group(tx, site_id, group_id)

    async def _change(
        self,
        tx: Session,
        actor: Actor,
        group: SiteGroup,
        kind: Kind,
        *,
        add_ids: Sequence[str],
        remove_ids: Sequence[str],
        now: datetime,
    ) -> MembersEdited:
        """Write what differs, note who lost a right, and audit each member of its own."""
        joined = await members_repository.put_in(tx, group, kind, add_ids)
        left = await members_repository.take_out(tx, group, kind, remove_ids)
        if kind is PEOPLE:
            await _require_few_groups(tx, group.site_id, joined)
            await _revoke(tx, group, left, now=now)
            touched = Touched.people(*joined, *left)
        else:
            await require_no_personal_lockers(tx, group.site_id, joined)
            if left:
                await repository.revoke_members(tx, group, lock_ids=left, now=now)
            touched = Touched.locks(*joined, *left)
        if joined or left:
            reached = [*touched, *Touched.groups(group.id)]
            await self._changes.reach_doors(tx, group.site_id, reached)
        for actions, ids in ((_JOINED, joined), (_LEFT, left)):
            if ids:
                changes = [_change_of(group, kind, each) for each in ids]
                await self._audit.record_all(tx, actor, actions[kind.name], changes, now=now)
        return MembersEdited(added=len(joined), removed=len(left))


async def _revoke(
    tx: Session, group: SiteGroup, person_ids: Sequence[str], *, now: datetime
) -> None:
    """Note that people lost the rights that a group gave."""
    lock_ids = await members_repository.ids_in(tx, group, LOCKS)
    gone = [PersonId(each) for each in person_ids]
    await revoke_people(tx, group.site_id, gone, now=now, lock_ids=lock_ids)


def _places(add_ids: Sequence[str], remove_ids: Sequence[str]) -> dict[str, str]:
    """Return where each id is named, as in ``add_ids.3``.

    Raises:
        InvalidMembers: One is named twice.
    """
    places: dict[str, str] = {}
    for name, ids in (("add_ids", add_ids), ("remove_ids", remove_ids)):
        for number, each in enumerate(ids):
            place = f"{name}.{number}"
            if each in places:
                raise InvalidMembers(
                    f"{place}: the same id stands in {places[each]}. Name each once.",
                    field=place,
                    repeats=places[each],
                )
            places[each] = place
    return places


async def _require_few_groups(tx: Session, site_id: SiteId, ids: Sequence[str]) -> None:
    """Refuse people who are in too many groups now. The site's turn is ours."""
    counts = await members_repository.in_more_groups_than(tx, site_id, ids, limit=GROUPS_MAX)
    for each in ids:
        if each in counts:
            person = await person_of_site(tx, site_id, PersonId(each))
            raise TooManyGroups(
                f"{person.name} is in {GROUPS_MAX} access groups, which is the most. Take the "
                "person out of one first.",
                person_id=person.id,
                limit=GROUPS_MAX,
                used=counts[each] - 1,
                remedy="leave_group",
            )


def _change_of(group: SiteGroup, kind: Kind, member_id: str) -> Change:
    return Change(
        site_id=group.site_id,
        object_kind="access_group",
        object_id=group.id,
        facts={"name": group.name, "schedule_id": group.schedule_id, kind.column: member_id},
    )
