"""People over REST."""

from controller.domain.ids import PersonId, SiteId
from controller.domain.roles import Action
from controller.people import queries, repository
from controller.people.forms import PersonIn, PersonOut, PersonPatch, SeatsOut, edit_of
from controller.people.service import People
from controller.web.api import Call, delete, get, patch, post
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

PEOPLE = "/sites/{site_id}/people"
PERSON = PEOPLE + "/{person_id}"


class PeopleApi:
    """The people of a site."""

    tag = "people"

    def __init__(self, people: People) -> None:
        self._people = people

    @get(PEOPLE, requires=Action.READ_PEOPLE)
    async def listed(
        self, call: Call, site_id: SiteId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[PersonOut]:
        """List people."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            found = await queries.people_of(
                tx, site_id, after_id=str(after[0]) if after else None, limit=limit + 1
            )
        shown = [PersonOut.of(person, call.now) for person in found]
        return page_of(shown, limit, lambda person: (person.id,))

    @post(PEOPLE, requires=Action.MANAGE_PEOPLE, status=201)
    async def add(self, call: Call, site_id: SiteId, body: PersonIn) -> PersonOut:
        """Add a person.

        A subscribed person takes one of the plan's user seats; without a free one the call is
        refused with ``seats_exhausted``.
        """
        async with call.db.write() as tx:
            person = await self._people.add(
                tx,
                call.actor,
                site_id,
                body.edit(),
                now=call.now,
            )
        return PersonOut.of(person, call.now)

    @get("/sites/{site_id}/seats", requires=Action.READ_PEOPLE)
    async def seats(self, call: Call, site_id: SiteId) -> SeatsOut:
        """Show how many of the plan's user seats are taken."""
        async with call.db.read() as tx:
            seats = await self._people.seats(tx, site_id, now=call.now)
        return SeatsOut(
            limit=seats.limit, used=seats.used, free=seats.free, running_out=seats.running_out
        )

    @get(PERSON, requires=Action.READ_PEOPLE)
    async def one(self, call: Call, site_id: SiteId, person_id: PersonId) -> PersonOut:
        """Show a person."""
        async with call.db.read() as tx:
            return PersonOut.of(await repository.person(tx, site_id, person_id), call.now)

    @patch(PERSON, requires=Action.MANAGE_PEOPLE)
    async def edit(
        self, call: Call, site_id: SiteId, person_id: PersonId, if_match: int, body: PersonPatch
    ) -> PersonOut:
        """Edit a person, subscribe or unsubscribe it."""
        async with call.db.write() as tx:
            person = await self._people.edit(
                tx, call.actor, site_id, person_id, edit_of(body), if_match=if_match, now=call.now
            )
        return PersonOut.of(person, call.now)

    @delete(PERSON, requires=Action.MANAGE_PEOPLE)
    async def remove(self, call: Call, site_id: SiteId, person_id: PersonId, if_match: int) -> None:
        """Delete a person with all credentials and rights."""
        async with call.db.write() as tx:
            await self._people.delete(
                tx, call.actor, site_id, person_id, if_match=if_match, now=call.now
            )
