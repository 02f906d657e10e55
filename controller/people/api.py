"""People and their credentials over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from controller.domain.access import CredentialKind
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.people import SiteCredential
from controller.domain.roles import Action
from controller.people import queries, repository
from controller.people.forms import PersonIn, PersonOut, PersonPatch, SeatsOut, edit_of
from controller.people.service import People
from controller.people.tags import CredentialEdit, Tags
from controller.web.api import Call, delete, get, patch, post
from controller.web.fields import PRINTABLE, End
from controller.web.models import In, Out, Versioned
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

PEOPLE = "/sites/{site_id}/people"
PERSON = PEOPLE + "/{person_id}"
CREDENTIALS = PERSON + "/credentials"
CREDENTIAL = CREDENTIALS + "/{credential_id}"

Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60), PRINTABLE]
TagNumber = Annotated[
    str,
    Field(
        max_length=100,
        description="4 to 10 bytes in hexadecimal. It is not kept.",
        examples=["04A1B2C3D4E5F6"],
    ),
]


class CredentialIn(In):
    """A tag to be given to a person."""

    kind: Literal["tag"] = "tag"
    number: TagNumber
    label: Label = ""
    offline: Annotated[bool, Field(description="May open locks that reach no hub.")] = False
    ends_at: End = None


@with_config(ConfigDict(extra="forbid", strict=True))
class CredentialPatch(TypedDict, total=False):
    """What is to become of a credential; what is left out stays."""

    label: Label
    blocked: bool
    offline: bool
    ends_at: End


class CredentialOut(Versioned):
    """What a person presents at a lock."""

    id: CredentialId
    person_id: PersonId
    kind: CredentialKind
    label: str
    offline: bool
    blocked: bool
    blocked_at: datetime | None
    ends_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, credential: SiteCredential) -> Self:
        """Return a credential as it is shown, without its digest."""
        return cls(**asdict(credential), blocked=credential.blocked_at is not None)


class CredentialsOut(Out):
    """All credentials of a person."""

    items: list[CredentialOut]


class PeopleApi:
    """The people of a site."""

    tag = "people"

    def __init__(self, people: People, tags: Tags) -> None:
        self._people = people
        self._tags = tags

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

    @get(CREDENTIALS, requires=Action.READ_PEOPLE)
    async def credentials(self, call: Call, site_id: SiteId, person_id: PersonId) -> CredentialsOut:
        """List a person's credentials."""
        async with call.db.read() as tx:
            person = await repository.person(tx, site_id, person_id)
            held = await repository.credentials_of(tx, site_id, person.id)
        return CredentialsOut(items=[CredentialOut.of(credential) for credential in held])

    @post(CREDENTIALS, requires=Action.MANAGE_ACCESS, status=201)
    async def give(
        self, call: Call, site_id: SiteId, person_id: PersonId, body: CredentialIn
    ) -> CredentialOut:
        """Give a person a tag."""
        edit = CredentialEdit(label=body.label, offline=body.offline, ends_at=body.ends_at)
        async with call.db.write() as tx:
            tag = await self._tags.add(
                tx,
                call.actor,
                site_id,
                person_id,
                number=body.number,
                edit=edit,
                now=call.now,
            )
        return CredentialOut.of(tag)

    @get(CREDENTIAL, requires=Action.READ_PEOPLE)
    async def credential(
        self, call: Call, site_id: SiteId, person_id: PersonId, credential_id: CredentialId
    ) -> CredentialOut:
        """Show a credential."""
        async with call.db.read() as tx:
            return CredentialOut.of(
                await repository.credential(tx, site_id, person_id, credential_id)
            )

    @patch(CREDENTIAL, requires=Action.MANAGE_ACCESS)
    async def edit_credential(
        self,
        call: Call,
        site_id: SiteId,
        person_id: PersonId,
        credential_id: CredentialId,
        *,
        if_match: int,
        body: CredentialPatch,
    ) -> CredentialOut:
        """Label, block, unblock or limit a credential; grant or take offline access.

        Offline access is refused with ``offline_list_full`` where a lock that the person can
        reach has no room left.
        """
        async with call.db.write() as tx:
            tag = await self._tags.edit(
                tx,
                call.actor,
                site_id,
                person_id,
                credential_id=credential_id,
                edit=body,
                if_match=if_match,
                now=call.now,
            )
        return CredentialOut.of(tag)

    @delete(CREDENTIAL, requires=Action.MANAGE_ACCESS)
    async def take(
        self,
        call: Call,
        site_id: SiteId,
        person_id: PersonId,
        credential_id: CredentialId,
        if_match: int,
    ) -> None:
        """Take a credential back."""
        async with call.db.write() as tx:
            await self._tags.delete(
                tx,
                call.actor,
                site_id,
                person_id,
                credential_id=credential_id,
                if_match=if_match,
                now=call.now,
            )
