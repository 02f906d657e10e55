"""Guests of pod members, over REST."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from controller.access.own_api import OWN
from controller.access.own_guests import OwnGuests
from controller.access.pods_api import PodOut
from controller.domain.access import NO_PRIVILEGE
from controller.domain.ids import PersonId, PodId, SiteId
from controller.domain.roles import Action
from controller.people.forms import Email, PersonOut
from controller.people.service import PersonEdit
from controller.web.api import Call, delete, get, post
from controller.web.fields import Name, Start
from controller.web.models import In, Out

GUESTS = OWN + "/pods/{pod_id}/guests"


class OwnPodsOut(Out):
    """The pods of which one is a member."""

    items: list[PodOut]


class GuestIn(In):
    """A guest to be."""

    name: Name
    email: Email | None = None
    starts_at: Start = None
    expires_at: Annotated[AwareDatetime, Field(description="No later than the pod's end.")]


class OwnGuestsApi:
    """What a member of a pod does for guests of her own."""

    tag = "own"

    def __init__(self, guests: OwnGuests) -> None:
        self._guests = guests

    @get(OWN + "/pods", requires=Action.MANAGE_OWN_GUESTS)
    async def pods(self, call: Call, site_id: SiteId) -> OwnPodsOut:
        """List the pods of which you are a member."""
        async with call.db.read() as tx:
            found = await self._guests.pods(tx, call.actor, site_id)
        return OwnPodsOut(items=[PodOut.of(one) for one in found])

    @post(GUESTS, requires=Action.MANAGE_OWN_GUESTS, status=201, idempotent=True)
    async def invite(self, call: Call, site_id: SiteId, pod_id: PodId, body: GuestIn) -> PersonOut:
        """Invite a guest to your pod.

        The guest takes a user seat until the end of the stay, and opens what the pod has.
        """
        guest = PersonEdit(
            name=body.name,
            email=body.email,
            starts_at=body.starts_at,
            expires_at=body.expires_at,
            privileges=NO_PRIVILEGE,
        )
        async with call.db.write() as tx:
            person = await self._guests.invite(
                tx, call.actor, site_id, pod_id, guest=guest, now=call.now
            )
        return PersonOut.of(person, call.now)

    @delete(GUESTS + "/{person_id}", requires=Action.MANAGE_OWN_GUESTS)
    async def remove(self, call: Call, site_id: SiteId, pod_id: PodId, person_id: PersonId) -> None:
        """Take a guest whom you invited out of your pod."""
        async with call.db.write() as tx:
            await self._guests.remove(
                tx, call.actor, site_id, pod_id, guest_id=person_id, now=call.now
            )
