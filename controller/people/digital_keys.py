"""Digital keys: a phone's public key becomes a credential, and gets access documents.

Source: docs/algorithms/digital-keys.md.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from controller.db.engine import Session
from controller.domain import digital_keys
from controller.domain.access import CredentialKind
from controller.domain.digital_keys import DigitalKeyTaken
from controller.domain.errors import NotFound
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.instants import to_seconds, whole_second
from controller.domain.people import SiteCredential, SitePerson, end_of_stay
from controller.domain.roles import Action, Actor
from controller.keys import Keys
from controller.people import repository
from controller.people.changes import Changes
from controller.people.credentials import Credentials, blank
from controller.ports import Ids
from gateway.protocol import phone
from gateway.protocol.sealing import phone_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedDocument:
    """An access document, as a phone carries it."""

    document: bytes
    issued_at: datetime
    renew_at: datetime  # from here on there is a new one
    expires_at: datetime  # first instant at which no lock takes it


class DigitalKeys:
    """The digital keys of a site's people."""

    def __init__(self, *, changes: Changes, credentials: Credentials, keys: Keys, ids: Ids) -> None:
        self._changes = changes
        self._credentials = credentials
        self._keys = keys
        self._ids = ids

    async def add(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        public_key: str,
        label: str,
        ends_at: datetime | None,
        now: datetime,
        right: Action = Action.MANAGE_ACCESS,
    ) -> SiteCredential:
        """Make a phone a key of a person. It has offline access if the site gives it to new ones.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site knows nobody of this id.
            InvalidPhoneKey: The public key is none.
            DigitalKeyTaken: The site knows it already.
            TooManyCredentials: The person holds as many as one can.
            OfflineListFull: A lock has no room for the key's offline access.
        """
        await self._changes.begin(tx, actor, right, site_id, now=now)
        key = digital_keys.public_key(public_key)
        made = blank(
            site_id,
            person_id,
            credential_id=CredentialId(self._ids.new()),
            kind=CredentialKind.DIGITAL_KEY,
            digest=phone_digest(key, self._keys.tag_key(site_id)),
            now=now,
        )
        made = replace(
            made,
            public_key=key,
            label=label,
            offline=await repository.digital_keys_offline(tx, site_id),
            ends_at=end_of_stay(ends_at, field="ends_at"),
        )
        taken = DigitalKeyTaken(
            "public_key: this key is known at this site already. Let the phone make a new one.",
            field="public_key",
        )
        await self._credentials.put(tx, made, taken)
        await self._credentials.end(tx, actor, "digital_key_added", made, now=now)
        return made

    async def document(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        credential_id: CredentialId,
        now: datetime,
        right: Action = Action.MANAGE_ACCESS,
    ) -> IssuedDocument:
        """Return a digital key's access document: the same for four days, then a new one.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The person holds no digital key of this id.
            NoAccessDocument: The key is blocked or over, or its holder has no seat.
        """
        await self._changes.begin(tx, actor, right, site_id, now=now)
        person = await repository.person(tx, site_id, person_id)
        held = await self._held(tx, person, credential_id)
        digital_keys.require_open(held, person, now=now)
        if digital_keys.is_due(held, now):
            await repository.issue_document(tx, held, issued_at=whole_second(now))
            held = await self._held(tx, person, credential_id)
            await self._credentials.end(
                tx, actor, "access_document_issued", held, now=now, reaches_doors=False
            )
        return self._issued(held, person)

    async def _held(
        self, tx: Session, person: SitePerson, credential_id: CredentialId
    ) -> SiteCredential:
        held = await repository.credential(tx, person.site_id, person.id, credential_id)
        if held.kind is not CredentialKind.DIGITAL_KEY:
            raise NotFound("This person holds no such digital key.", object="credential")
        return held

    def _issued(self, held: SiteCredential, person: SitePerson) -> IssuedDocument:
        """Return the document that the rows make: the same rows, the same bytes."""
        issued_at = held.document_issued_at
        assert issued_at is not None, "it is issued by now"
        assert held.public_key is not None, "a digital key has a public key"
        expires_at = digital_keys.document_end(held, person)
        document = phone.AccessDocument(
            site_id=bytes.fromhex(held.site_id),
            credential_id=bytes.fromhex(held.id),
            public_key=held.public_key,
            issued_at_s=to_seconds(issued_at),
            expires_at_s=to_seconds(expires_at),
        )
        return IssuedDocument(
            document=phone.issue(document, self._keys.signing),
            issued_at=issued_at,
            renew_at=issued_at + digital_keys.RENEWED_AFTER,
            expires_at=expires_at,
        )
