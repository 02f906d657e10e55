"""Pods over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.access import pods_repository as repository
from controller.access.pods import PodEdit, Pods
from controller.domain.ids import LockId, PersonId, PodId, SiteId
from controller.domain.pods import POD_GUESTS_MAX, Pod, PodPerson
from controller.domain.roles import Action
from controller.web.api import Call, delete, get, patch, post, put
from controller.web.fields import End, Name, Start
from controller.web.models import WHOLE, In, Out, Versioned
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

PODS = "/sites/{site_id}/pods"
POD = PODS + "/{pod_id}"

GuestsMax = Annotated[
    int, Field(ge=0, le=POD_GUESTS_MAX, description="How many guests it takes."), WHOLE
]


class PodIn(In):
    """A pod to be."""

    name: Name
    starts_at: Start = None
    ends_at: End = None
    guests_max: GuestsMax = 10


@with_config(ConfigDict(extra="forbid", strict=True))
class PodPatch(TypedDict, total=False):
    """What is to become of a pod; what is left out stays."""

    name: Name
    starts_at: Start
    ends_at: End
    guests_max: GuestsMax


class PodOut(Versioned):
    """Locks that a few members run by themselves."""

    id: PodId
    name: str
    starts_at: datetime | None
    ends_at: datetime | None
    guests_max: int
    usable: Annotated[bool, Field(description="False: the subscription has no pods now.")]
    created_at: datetime

    @classmethod
    def of(cls, one: Pod) -> Self:
        """Return a pod as it is shown."""
        return cls(**asdict(one))


class PodPersonOut(Out):
    """Somebody in a pod."""

    person_id: PersonId
    is_guest: bool
    invited_by: Annotated[PersonId | None, Field(description="The member who did.")]

    @classmethod
    def of(cls, one: PodPerson) -> Self:
        """Return somebody in a pod as shown."""
        return cls(**asdict(one))


class PodPeopleOut(Out):
    """Who is in a pod, members first."""

    items: list[PodPersonOut]


class PodLocksOut(Out):
    """Which locks a pod has."""

    items: list[LockId]


class CleanedOut(Out):
    """How many people were in the pod."""

    people: int


class PodsApi:
    """The pods of a site."""

    tag = "pods"

    def __init__(self, pods: Pods) -> None:
        self._pods = pods

    @get(PODS, requires=Action.READ_ACCESS)
    async def listed(
        self, call: Call, site_id: SiteId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[PodOut]:
        """List pods."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            found = await repository.pods_of(
                tx, site_id, after_id=str(after[0]) if after else None, limit=limit + 1
            )
        return page_of([PodOut.of(one) for one in found], limit, lambda one: (one.id,))

    @post(PODS, requires=Action.MANAGE_ACCESS, status=201)
    async def add(self, call: Call, site_id: SiteId, body: PodIn) -> PodOut:
        """Make a pod. Needs the add-on pods."""
        new = PodEdit(
            name=body.name,
            starts_at=body.starts_at,
            ends_at=body.ends_at,
            guests_max=body.guests_max,
        )
        async with call.db.write() as tx:
            return PodOut.of(await self._pods.add(tx, call.actor, site_id, new, now=call.now))

    @get(POD, requires=Action.READ_ACCESS)
    async def one(self, call: Call, site_id: SiteId, pod_id: PodId) -> PodOut:
        """Show a pod."""
        async with call.db.read() as tx:
            return PodOut.of(await repository.pod(tx, site_id, pod_id))

    @patch(POD, requires=Action.MANAGE_ACCESS)
    async def edit(
        self, call: Call, site_id: SiteId, pod_id: PodId, if_match: int, body: PodPatch
    ) -> PodOut:
        """Rename a pod, move its time or change how many guests it takes."""
        async with call.db.write() as tx:
            pod = await self._pods.edit(
                tx, call.actor, site_id, pod_id, edit=body, if_match=if_match, now=call.now
            )
        return PodOut.of(pod)

    @delete(POD, requires=Action.MANAGE_ACCESS)
    async def remove(self, call: Call, site_id: SiteId, pod_id: PodId, if_match: int) -> None:
        """Delete a pod; people and locks stay."""
        async with call.db.write() as tx:
            await self._pods.delete(
                tx, call.actor, site_id, pod_id, if_match=if_match, now=call.now
            )

    @post(POD + "/clean", requires=Action.MANAGE_ACCESS)
    async def clean(self, call: Call, site_id: SiteId, pod_id: PodId) -> CleanedOut:
        """Take everybody out of a pod; its locks stay. For the next tenant."""
        async with call.db.write() as tx:
            count = await self._pods.clean(tx, call.actor, site_id, pod_id, now=call.now)
        return CleanedOut(people=count)

    @get(POD + "/people", requires=Action.READ_ACCESS)
    async def people(self, call: Call, site_id: SiteId, pod_id: PodId) -> PodPeopleOut:
        """List who is in a pod."""
        async with call.db.read() as tx:
            pod = await repository.pod(tx, site_id, pod_id)
            found = await repository.people_in(tx, pod)
        return PodPeopleOut(items=[PodPersonOut.of(one) for one in found])

    @put(POD + "/members/{person_id}", requires=Action.MANAGE_ACCESS)
    async def put_member(
        self, call: Call, site_id: SiteId, pod_id: PodId, person_id: PersonId
    ) -> None:
        """Make a person a member of a pod; up to 50."""
        new = PodPerson(person_id=person_id, is_guest=False, invited_by=None)
        await self._put(call, site_id, pod_id, new)

    @put(POD + "/guests/{person_id}", requires=Action.MANAGE_ACCESS)
    async def put_guest(
        self, call: Call, site_id: SiteId, pod_id: PodId, person_id: PersonId
    ) -> None:
        """Make a person a guest in a pod."""
        new = PodPerson(person_id=person_id, is_guest=True, invited_by=None)
        await self._put(call, site_id, pod_id, new)

    @delete(POD + "/people/{person_id}", requires=Action.MANAGE_ACCESS)
    async def take_person(
        self, call: Call, site_id: SiteId, pod_id: PodId, person_id: PersonId
    ) -> None:
        """Take a member or a guest out of a pod."""
        async with call.db.write() as tx:
            await self._pods.take_person(
                tx, call.actor, site_id, pod_id, person_id=person_id, now=call.now
            )

    @get(POD + "/locks", requires=Action.READ_ACCESS)
    async def locks(self, call: Call, site_id: SiteId, pod_id: PodId) -> PodLocksOut:
        """List the locks of a pod."""
        async with call.db.read() as tx:
            pod = await repository.pod(tx, site_id, pod_id)
            return PodLocksOut(items=list(await repository.locks_in(tx, pod)))

    @put(POD + "/locks/{lock_id}", requires=Action.MANAGE_ACCESS)
    async def put_lock(self, call: Call, site_id: SiteId, pod_id: PodId, lock_id: LockId) -> None:
        """Put a lock into a pod; up to 50."""
        async with call.db.write() as tx:
            await self._pods.put_lock(
                tx, call.actor, site_id, pod_id, lock_id=lock_id, now=call.now
            )

    @delete(POD + "/locks/{lock_id}", requires=Action.MANAGE_ACCESS)
    async def take_lock(self, call: Call, site_id: SiteId, pod_id: PodId, lock_id: LockId) -> None:
        """Take a lock out of a pod."""
        async with call.db.write() as tx:
            await self._pods.take_lock(
                tx, call.actor, site_id, pod_id, lock_id=lock_id, now=call.now
            )

    async def _put(self, call: Call, site_id: SiteId, pod_id: PodId, new: PodPerson) -> None:
        async with call.db.write() as tx:
            await self._pods.put_person(tx, call.actor, site_id, pod_id, new=new, now=call.now)
