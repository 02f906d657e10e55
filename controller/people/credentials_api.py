"""Credentials over REST: tags, PINs and digital keys of people."""

from base64 import b64encode
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from controller.domain.access import CredentialKind
from controller.domain.errors import Invalid
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.people import SiteCredential
from controller.domain.roles import Action
from controller.people import repository
from controller.people.api import PERSON
from controller.people.credentials import CredentialEdit, Credentials
from controller.people.digital_keys import DigitalKeys, IssuedDocument
from controller.people.pins import MadePin, Pins
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


class PinIn(In):
    """A PIN to be: one that nobody chose, or one that its holder chose."""

    kind: Literal["generated", "custom"] = "generated"
    pin: Annotated[
        str | None, Field(max_length=20, description="Of a custom one. It is not kept.")
    ] = None
    ends_at: End = None


class PinOut(CredentialOut):
    """A new PIN. It is shown in this answer and never again."""

    pin: Annotated[str, Field(examples=["482915"])]

    @classmethod
    def made(cls, made: MadePin) -> Self:
        """Return a PIN as it is shown."""
        return cls(**shown(made.credential), pin=made.pin)


class DigitalKeyIn(In):
    """A phone that is to be a key."""

    public_key: Annotated[
        str, Field(max_length=100, description="Ed25519, 32 bytes in hexadecimal.")
    ]
    label: Label = ""
    ends_at: End = None


class DocumentOut(Out):
    """What a phone shows to a lock."""

    document: Annotated[str, Field(description="Base64.")]
    issued_at: datetime
    renew_at: Annotated[datetime, Field(description="From here on there is a new one.")]
    expires_at: Annotated[datetime, Field(description="No lock takes it from here on.")]

    @classmethod
    def of(cls, issued: IssuedDocument) -> Self:
        """Return an access document as it is shown."""
        encoded = b64encode(issued.document).decode()
        return cls(**asdict(issued) | {"document": encoded})


class CredentialsOut(Out):
    """All credentials of a person."""

    items: list[CredentialOut]


class CredentialsApi:
    """What the people of a site hold."""

    tag = "credentials"

    def __init__(self, *, credentials: Credentials, pins: Pins, digital_keys: DigitalKeys) -> None:
        self._credentials = credentials
        self._pins = pins
        self._digital_keys = digital_keys

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

    @post(PERSON + "/pins", requires=Action.MANAGE_ACCESS, status=201)
    async def make_pin(
        self, call: Call, site_id: SiteId, person_id: PersonId, body: PinIn
    ) -> PinOut:
        """Make a person a PIN, instead of the one that it has.

        The PIN is in this answer only. Asking again, also after an answer that got lost, makes
        another one, and the one before opens nothing any more.
        """
        if (body.kind == "custom") != (body.pin is not None):
            raise Invalid("pin: give it with kind custom, and only then.", field="pin")
        async with call.db.write() as tx:
            if body.pin is None:
                made = await self._pins.generate(
                    tx, call.actor, site_id, person_id, ends_at=body.ends_at, now=call.now
                )
            else:
                made = await self._pins.choose(
                    tx,
                    call.actor,
                    site_id,
                    person_id,
                    pin=body.pin,
                    ends_at=body.ends_at,
                    now=call.now,
                )
        return PinOut.made(made)

    @post(PERSON + "/digital-keys", requires=Action.MANAGE_ACCESS, status=201)
    async def add_digital_key(
        self, call: Call, site_id: SiteId, person_id: PersonId, body: DigitalKeyIn
    ) -> CredentialOut:
        """Make a phone a key of a person."""
        async with call.db.write() as tx:
            made = await self._digital_keys.add(
                tx,
                call.actor,
                site_id,
                person_id,
                public_key=body.public_key,
                label=body.label,
                ends_at=body.ends_at,
                now=call.now,
            )
        return CredentialOut.of(made)

    @post(PERSON + "/digital-keys/{credential_id}/document", requires=Action.MANAGE_ACCESS)
    async def document(
        self, call: Call, site_id: SiteId, person_id: PersonId, credential_id: CredentialId
    ) -> DocumentOut:
        """Get a digital key's access document.

        It is the same one until four days after it was issued, and then a new one.
        """
        async with call.db.write() as tx:
            issued = await self._digital_keys.document(
                tx, call.actor, site_id, person_id, credential_id=credential_id, now=call.now
            )
        return DocumentOut.of(issued)


def shown(credential: SiteCredential) -> dict[str, Any]:
    """Return what is shown of a credential; models leave out what they do not name."""
    return asdict(credential) | {"blocked": credential.blocked_at is not None}
