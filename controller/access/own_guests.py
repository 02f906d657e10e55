"""What a member of a pod does for guests of her own."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from controller.access import pods_repository as repository
from controller.access.own import Own
from controller.access.pods import Pods
from controller.db.engine import ReadSession, Session
from controller.domain.errors import Forbidden, NotFound
from controller.domain.ids import PersonId, PodId, SiteId
from controller.domain.people import SitePerson
from controller.domain.pods import InvalidPod, Pod, PodPerson
from controller.domain.roles import Action, Actor
from controller.people.repository import person as person_of_site
from controller.people.service import People, PersonEdit
from controller.sync.rights import WAYS


class NotYourGuest(Forbidden):
    """Whoever it is came into the pod in another way."""

    code = "not_your_guest"


class OwnGuests:
    """The guests of pod members."""

    def __init__(self, *, own: Own, people: People, pods: Pods) -> None:
        self._own = own
        self._people = people
        self._pods = pods

    async def pods(self, tx: ReadSession, actor: Actor, site_id: SiteId) -> Sequence[Pod]:
        """Return the pods of which the actor is a member.

        Raises:
            NotFound: Nobody at the site belongs to the actor's account.
        """
        member = await self._own.person(tx, actor, site_id)
        return await repository.pods_of_member(tx, site_id, member.id)

    async def invite(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        pod_id: PodId,
        *,
        guest: PersonEdit,
        now: datetime,
    ) -> SitePerson:
        """Add a guest to the site and the pod, within the pod's time and with a user seat.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It has no pods.
            NotFound: The actor is no member of such a pod.
            InvalidPod: The guest would stay longer than the pod is open.
            PodFull: The pod has as many guests as it takes.
            SeatsExhausted: No user seat is free.
        """
        member, pod = await self._member_of(tx, actor, site_id, pod_id)
        ends_at = guest["expires_at"]
        if pod.ends_at is not None and (ends_at is None or ends_at > pod.ends_at):
            raise InvalidPod(
                "expires_at: a guest stays no longer than the pod is open.", field="expires_at"
            )
        new = guest | PersonEdit(is_guest=True, subscribed=True)
        person = await self._people.add(
            tx, actor, site_id, new, now=now, right=Action.MANAGE_OWN_GUESTS
        )
        place = PodPerson(person_id=person.id, is_guest=True, invited_by=member.id)
        await self._pods.put_person(tx, actor, site_id, pod_id, new=place, now=now)
        return person

    async def remove(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        pod_id: PodId,
        *,
        guest_id: PersonId,
        now: datetime,
    ) -> None:
        """Take a guest out of the pod; whoever invited him may.

        With no other right left he is deleted, which frees his seat.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The actor is no member of such a pod, or there is no such guest in it.
            NotYourGuest: Somebody else invited him.
        """
        member, pod = await self._member_of(tx, actor, site_id, pod_id)
        found = {one.person_id: one for one in await repository.people_in(tx, pod)}
        guest = found.get(guest_id)
        if guest is None:
            raise NotFound("There is no such guest in this pod.", object="person")
        if guest.invited_by != member.id:
            raise NotYourGuest("Only whoever invited a guest, or an admin, can take him out.")
        await self._pods.take_person(
            tx, actor, site_id, pod_id, person_id=guest_id, by_member=member.id, now=now
        )
        if not await _has_rights(tx, site_id, guest_id):
            person = await person_of_site(tx, site_id, guest_id)
            await self._people.delete(
                tx,
                actor,
                site_id,
                guest_id,
                if_match=person.version,
                now=now,
                right=Action.MANAGE_OWN_GUESTS,
            )

    async def _member_of(
        self, tx: ReadSession, actor: Actor, site_id: SiteId, pod_id: PodId
    ) -> tuple[SitePerson, Pod]:
        member = await self._own.person(tx, actor, site_id)
        for pod in await repository.pods_of_member(tx, site_id, member.id):
            if pod.id == pod_id:
                return member, pod
        raise NotFound("You are a member of no such pod at this site.", object="pod")


async def _has_rights(tx: ReadSession, site_id: SiteId, person_id: PersonId) -> bool:
    """Return whether a person may open something in another way still."""
    for way in WAYS:
        some = select(way.people.c.person_id).where(
            way.people.c.site_id == site_id, way.people.c.person_id == person_id
        )
        if (await tx.execute(some.limit(1))).first() is not None:
            return True
    return False
