"""Credentials over REST: tags, PINs and digital keys of people."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from controller.domain.access import CredentialKind
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.people import SiteCredential
from controller.domain.roles import Action
from controller.people import repository
from controller.people.api import PERSON
from controller.people.credentials import CredentialEdit, Credentials
from controller.web.api import Call, delete, get, patch, post
from controller.web.fields import PRINTABLE, End
from controller.web.models import In, Out, Versioned

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


class ReplacementIn(In):
    """The tag that takes another's place."""

    number: TagNumber


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
    custom: Annotated[bool, Field(description="A PIN that its holder chose.")]
    usable: Annotated[
        bool, Field(description="False: a custom PIN while these are off or not in the plan.")
    ]
    document_issued_at: Annotated[
        datetime | None, Field(description="Of a digital key's newest access document.")
    ]
    created_at: datetime

    @classmethod
    def of(cls, credential: SiteCredential) -> Self:
        """Return a credential as it is shown, without its digest."""
        return cls(**shown(credential))


class CredentialsOut(Out):
    """All credentials of a person."""

    items: list[CredentialOut]


class CredentialsApi:
    """What the people of a site hold."""

    tag = "credentials"

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    @get(CREDENTIALS, requires=Action.READ_PEOPLE)
    async def listed(self, call: Call, site_id: SiteId, person_id: PersonId) -> CredentialsOut:
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
            tag = await self._credentials.add(
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
    async def one(
        self, call: Call, site_id: SiteId, person_id: PersonId, credential_id: CredentialId
    ) -> CredentialOut:
        """Show a credential."""
        async with call.db.read() as tx:
            return CredentialOut.of(
                await repository.credential(tx, site_id, person_id, credential_id)
            )

    @patch(CREDENTIAL, requires=Action.MANAGE_ACCESS)
    async def edit(
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

        Offline access needs the right ``offline:manage``. It is refused with ``offline_list_full``
        where a lock that the person can reach has no room left.
        """
        async with call.db.write() as tx:
            held = await self._credentials.edit(
                tx,
                call.actor,
                site_id,
                person_id,
                credential_id=credential_id,
                edit=body,
                if_match=if_match,
                now=call.now,
            )
        return CredentialOut.of(held)

    @post(CREDENTIAL + "/replacement", requires=Action.MANAGE_ACCESS, status=201)
    async def replace(
        self,
        call: Call,
        site_id: SiteId,
        person_id: PersonId,
        credential_id: CredentialId,
        *,
        if_match: int,
        body: ReplacementIn,
    ) -> CredentialOut:
        """Give a person another tag instead of one that is lost or worn.

        The new one takes over label, offline access and end. The old one opens nothing any more.
        """
        async with call.db.write() as tx:
            tag = await self._credentials.replace(
                tx,
                call.actor,
                site_id,
                person_id,
                credential_id=credential_id,
                number=body.number,
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
            await self._credentials.delete(
                tx,
                call.actor,
                site_id,
                person_id,
                credential_id=credential_id,
                if_match=if_match,
                now=call.now,
            )


def shown(credential: SiteCredential) -> dict[str, object]:
    """Return what is shown of a credential; models leave out what they do not name."""
    return asdict(credential) | {"blocked": credential.blocked_at is not None}
