"""What somebody who signs in may see and do of her own, over REST."""

from typing import Annotated, Self

from pydantic import Field

from controller.access.own import Own, OwnLock
from controller.activity.api import EntryOut, key_of, place_of
from controller.domain.access import Denied, DenyReason
from controller.domain.ids import CredentialId, LockId, SiteId
from controller.domain.roles import Action
from controller.hardware.orders_api import CommandOut
from controller.people import repository as people
from controller.people.credentials import Credentials
from controller.people.credentials_api import (
    CredentialOut,
    DigitalKeyIn,
    DocumentOut,
    PinOut,
)
from controller.people.digital_keys import DigitalKeys
from controller.people.forms import PersonOut
from controller.people.pins import Pins
from controller.web.api import Call, get, post
from controller.web.models import Out
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, page_of

OWN = "/sites/{site_id}/own"


class OwnLockOut(Out):
    """A lock of the person's groups."""

    id: LockId
    name: str
    may_open: Annotated[bool, Field(description="Now.")]
    reason: Annotated[DenyReason | None, Field(description="Why not.")]

    @classmethod
    def of(cls, lock: OwnLock) -> Self:
        """Return a lock as it is shown to those who use it."""
        reason = lock.decision.reason if isinstance(lock.decision, Denied) else None
        return cls(id=lock.id, name=lock.name, may_open=reason is None, reason=reason)


class OwnOut(Out):
    """What a person has at a site."""

    person: PersonOut
    credentials: list[CredentialOut]
    locks: list[OwnLockOut]


class OwnApi:
    """The person that an account is at a site."""

    tag = "own"

    def __init__(
        self, own: Own, *, credentials: Credentials, pins: Pins, digital_keys: DigitalKeys
    ) -> None:
        self._own = own
        self._credentials = credentials
        self._pins = pins
        self._digital_keys = digital_keys

    @get(OWN, requires=Action.READ_OWN)
    async def own(self, call: Call, site_id: SiteId) -> OwnOut:
        """Show your person, your credentials and the locks of your groups."""
        async with call.db.read() as tx:
            person = await self._own.person(tx, call.actor, site_id)
            held = await people.credentials_of(tx, site_id, person.id)
            locks = await self._own.locks(tx, person, now=call.now)
        return OwnOut(
            person=PersonOut.of(person, call.now),
            credentials=[CredentialOut.of(one) for one in held],
            locks=[OwnLockOut.of(lock) for lock in locks],
        )

    @post(OWN + "/digital-keys", requires=Action.MANAGE_OWN_KEYS, status=201)
    async def add_digital_key(
        self, call: Call, site_id: SiteId, body: DigitalKeyIn
    ) -> CredentialOut:
        """Make your phone a key of yours."""
        async with call.db.write() as tx:
            person = await self._own.person(tx, call.actor, site_id)
            made = await self._digital_keys.add(
                tx,
                call.actor,
                site_id,
                person.id,
                public_key=body.public_key,
                label=body.label,
                ends_at=body.ends_at,
                now=call.now,
                right=Action.MANAGE_OWN_KEYS,
            )
        return CredentialOut.of(made)

    @post(OWN + "/digital-keys/{credential_id}/document", requires=Action.MANAGE_OWN_KEYS)
    async def document(
        self, call: Call, site_id: SiteId, credential_id: CredentialId
    ) -> DocumentOut:
        """Get the access document of a digital key of yours.

        It is the same one until four days after it was issued, and then a new one.
        """
        async with call.db.write() as tx:
            person = await self._own.person(tx, call.actor, site_id)
            issued = await self._digital_keys.document(
                tx,
                call.actor,
                site_id,
                person.id,
                credential_id=credential_id,
                now=call.now,
                right=Action.MANAGE_OWN_KEYS,
            )
        return DocumentOut.of(issued)

    @post(OWN + "/credentials/{credential_id}/block", requires=Action.MANAGE_OWN_KEYS)
    async def block(
        self, call: Call, site_id: SiteId, credential_id: CredentialId
    ) -> CredentialOut:
        """Block a credential of yours, because it is lost. Only an admin unblocks it."""
        async with call.db.write() as tx:
            person = await self._own.person(tx, call.actor, site_id)
            blocked = await self._credentials.block_own(
                tx, call.actor, site_id, person.id, credential_id=credential_id, now=call.now
            )
        return CredentialOut.of(blocked)

    @post(OWN + "/pin", requires=Action.MANAGE_OWN_KEYS, status=201)
    async def make_pin(self, call: Call, site_id: SiteId) -> PinOut:
        """Make yourself a PIN, instead of the one that you have; its end stays.

        The PIN is in this answer only. Asking again, also after an answer that got lost, makes
        another one, and the one before opens nothing any more.
        """
        async with call.db.write() as tx:
            person = await self._own.person(tx, call.actor, site_id)
            made = await self._pins.renew_own(tx, call.actor, site_id, person.id, now=call.now)
        return PinOut.made(made)

    @post(
        OWN + "/locks/{lock_id}/open",
        requires=Action.OPEN_OWN,
        status=202,
        idempotent=True,
    )
    async def open(self, call: Call, site_id: SiteId, lock_id: LockId) -> CommandOut:
        """Order a lock of your groups to open now, within the times at which you may.

        Ask the command for what became of it.
        """
        async with call.db.write() as tx:
            command = await self._own.open(tx, call.actor, site_id, lock_id, now=call.now)
        return CommandOut.of(command, command.state)

    @get(OWN + "/entries", requires=Action.READ_OWN)
    async def entries(
        self, call: Call, site_id: SiteId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[EntryOut]:
        """List your own entries, those that arrived last first, as long as the plan keeps them."""
        after = place_of(cursor)
        async with call.db.read() as tx:
            person = await self._own.person(tx, call.actor, site_id)
            found = await self._own.entries(tx, person, after=after, limit=limit + 1, now=call.now)
        page = page_of(found, limit, key_of)
        return Page(items=[EntryOut.of(each) for each in page.items], next_cursor=page.next_cursor)
