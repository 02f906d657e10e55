"""Give people tags, and block, limit and take back whatever they hold.

A tag's number is digested here and kept nowhere. PINs and digital keys are made next door
(``pins.py``, ``digital_keys.py``) and end here like everything else.
"""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.db.engine import Session
from controller.domain.access import CredentialKind
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.people import (
    CREDENTIALS_MAX,
    NotATag,
    OfflineAutomatic,
    SiteCredential,
    TagTaken,
    TooManyCredentials,
    end_of_stay,
    ends_earlier,
    tag_number,
)
from controller.domain.roles import Action, Actor
from controller.keys import Keys
from controller.people import repository
from controller.people.changes import Changes
from controller.ports import Ids
from controller.sync import revocations
from controller.sync.changes import Touched
from gateway.protocol.sealing import tag_digest


class CredentialEdit(TypedDict, total=False):
    """What is to become of a credential; what is left out stays."""

    label: str
    blocked: bool
    offline: bool
    ends_at: datetime | None


class Credentials:
    """What the people of sites hold."""

    def __init__(self, *, changes: Changes, keys: Keys, ids: Ids) -> None:
        self._changes = changes
        self._keys = keys
        self._ids = ids

    async def add(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        number: str,
        edit: CredentialEdit,
        now: datetime,
    ) -> SiteCredential:
        """Give a person the tag of a number, as printed on it or shown by a reader.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site knows nobody of this id.
            Forbidden: The tag is to have offline access, and the actor grants none.
            InvalidTagNumber: The number has another form.
            TagTaken: The site knows the tag already.
            TooManyCredentials: The person holds as many as one can.
            OfflineListFull: A lock has no room for the tag's offline access.
        """
        digest = self._digest(site_id, number)
        return await self.add_known(
            tx, actor, site_id, person_id, digest=digest, edit=edit, now=now
        )

    async def add_known(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        digest: bytes,
        edit: CredentialEdit,
        now: datetime,
    ) -> SiteCredential:
        """Give a person the tag that a lock has read; see ``add``."""
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        tag = _edited(self._tag(site_id, person_id, digest, now=now), edit, now=now)
        if tag.offline:
            actor.require(Action.MANAGE_OFFLINE, site_id)
        await self.put(tx, tag, TagTaken(_TAKEN, field="number"))
        await self.end(tx, actor, "credential_added", tag, now=now)
        return tag

    async def replace(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        credential_id: CredentialId,
        number: str,
        if_match: int,
        now: datetime,
    ) -> SiteCredential:
        """Give a person another tag instead of one that is lost or worn, and return it.

        It takes over label, offline access and end, but not that the old one was blocked. The old
        one is known no more.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The person holds none of this id.
            NotATag: It is a PIN or a digital key.
            Stale: ``if_match`` is not the present version.
            InvalidTagNumber: The number has another form.
            TagTaken: The site knows the new tag already.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        old = await repository.credential(tx, site_id, person_id, credential_id)
        if old.kind is not CredentialKind.TAG:
            raise NotATag(
                "This is no tag. Make the person a new PIN or a new digital key instead.",
                kind=str(old.kind),
            )
        new = replace(
            self._tag(site_id, person_id, self._digest(site_id, number), now=now),
            label=old.label,
            offline=old.offline,
            ends_at=old.ends_at,
        )
        await self.drop(tx, old, if_match=if_match, now=now)
        await self.put(tx, new, TagTaken(_TAKEN, field="number"))
        await self.end(tx, actor, "credential_replaced", new, now=now, instead_of=old.id)
        return new

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        credential_id: CredentialId,
        edit: CredentialEdit,
        if_match: int,
        now: datetime,
    ) -> SiteCredential:
        """Label, block, unblock, limit a credential, or grant or take its offline access.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The person holds none of this id.
            Forbidden: Offline access changes, and the actor has no say in it.
            OfflineAutomatic: A PIN is to be granted offline access.
            Stale: ``if_match`` is not the present version.
            OfflineListFull: A lock has no room for the credential's offline access.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        before = await repository.credential(tx, site_id, person_id, credential_id)
        after = _edited(before, edit, now=now)
        if before.offline != after.offline:
            actor.require(Action.MANAGE_OFFLINE, site_id)
            require_grantable(after)
        reaches_doors = replace(before, label="") != replace(after, label="")
        is_shorter = ends_earlier(before.ends_at, after.ends_at)
        if is_shorter or (reaches_doors and not _opens(after, now)):
            await revocations.revoke_credential(tx, site_id, after.id, now=now)
        saved = await repository.save_credential(tx, after, if_match=if_match)
        await self.end(tx, actor, "credential_edited", saved, now=now, reaches_doors=reaches_doors)
        return saved

    async def block_own(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        credential_id: CredentialId,
        now: datetime,
    ) -> SiteCredential:
        """Block a credential for its holder; doing it twice changes nothing.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The person holds none of this id.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_OWN_KEYS, site_id, now=now)
        before = await repository.credential(tx, site_id, person_id, credential_id)
        if before.blocked_at is not None:
            return before
        await revocations.revoke_credential(tx, site_id, before.id, now=now)
        blocked = replace(before, blocked_at=now)
        saved = await repository.save_credential(tx, blocked, if_match=before.version)
        await self.end(tx, actor, "credential_edited", saved, now=now)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        credential_id: CredentialId,
        if_match: int,
        now: datetime,
    ) -> None:
        """Take a credential back; its tag can be given to somebody again.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The person holds none of this id.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        held = await repository.credential(tx, site_id, person_id, credential_id)
        await self.drop(tx, held, if_match=if_match, now=now)
        await self.end(tx, actor, "credential_deleted", held, now=now)

    async def put(self, tx: Session, new: SiteCredential, taken: Exception) -> None:
        """Write a new credential within a change that has begun.

        Args:
            tx: The change's transaction.
            new: The credential; its person need not exist.
            taken: Raised if the site has one of the same digest.

        Raises:
            NotFound: The site knows nobody of this id.
            TooManyCredentials: The person holds as many as one can.
        """
        person = await repository.person(tx, new.site_id, new.person_id)
        used = len(await repository.credentials_of(tx, new.site_id, new.person_id))
        if used >= CREDENTIALS_MAX:
            raise TooManyCredentials(
                f"{person.name} holds {used} credentials, which is the most. Delete one.",
                limit=CREDENTIALS_MAX,
                used=used,
                remedy="delete_credential",
            )
        if not await repository.add_credential(tx, new):
            raise taken

    async def drop(
        self, tx: Session, held: SiteCredential, *, if_match: int, now: datetime
    ) -> None:
        """Delete a credential within a change that has begun, and let locks forget it.

        Raises:
            Stale: ``if_match`` is not the present version.
        """
        await revocations.revoke_credential(tx, held.site_id, held.id, now=now)
        await repository.delete_credential(tx, held, if_match=if_match)

    async def end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        held: SiteCredential,
        *,
        now: datetime,
        reaches_doors: bool = True,
        instead_of: CredentialId | None = None,
    ) -> None:
        """End a change of a credential; see ``Changes.end``."""
        facts: dict[str, object] = {
            "person_id": held.person_id,
            "kind": str(held.kind),
            "blocked": held.blocked_at is not None,
            "offline": held.offline,
            "ends": held.ends_at is not None,
        }
        if instead_of is not None:
            facts["instead_of"] = instead_of
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=held.site_id,
            object_kind="credential",
            object_id=held.id,
            now=now,
            facts=facts,
            reaches_doors=reaches_doors,
            touched=Touched.people(held.person_id),
        )

    def _digest(self, site_id: SiteId, number: str) -> bytes:
        return tag_digest(tag_number(number), self._keys.tag_key(site_id))

    def _tag(
        self, site_id: SiteId, person_id: PersonId, digest: bytes, *, now: datetime
    ) -> SiteCredential:
        return blank(
            site_id,
            person_id,
            credential_id=CredentialId(self._ids.new()),
            kind=CredentialKind.TAG,
            digest=digest,
            now=now,
        )


_TAKEN = "number: this tag belongs to somebody at this site already. Delete it there first."


def blank(
    site_id: SiteId,
    person_id: PersonId,
    *,
    credential_id: CredentialId,
    kind: CredentialKind,
    digest: bytes,
    now: datetime,
) -> SiteCredential:
    """Return a new credential that has nothing but its digest."""
    return SiteCredential(
        site_id=site_id,
        id=credential_id,
        person_id=person_id,
        kind=kind,
        digest=digest,
        public_key=None,
        document_issued_at=None,
        custom=False,
        usable=True,
        label="",
        offline=False,
        blocked_at=None,
        ends_at=None,
        created_at=now,
        version=1,
    )


def _edited(before: SiteCredential, edit: CredentialEdit, *, now: datetime) -> SiteCredential:
    """Return the credential after an edit; what is blocked keeps the instant of it."""
    blocked = edit.get("blocked", before.blocked_at is not None)
    return replace(
        before,
        label=edit.get("label", before.label),
        offline=edit.get("offline", before.offline),
        blocked_at=(before.blocked_at or now) if blocked else None,
        ends_at=end_of_stay(edit.get("ends_at", before.ends_at), field="ends_at"),
    )


def require_grantable(credential: SiteCredential) -> None:
    """Refuse explicit offline access of a PIN.

    Raises:
        OfflineAutomatic: It is one.
    """
    if credential.offline and credential.kind is CredentialKind.PIN:
        raise OfflineAutomatic(
            "offline: nobody grants it to a PIN. The locks of its holder's groups keep it by "
            "themselves where they have room.",
            field="offline",
        )


def _opens(credential: SiteCredential, now: datetime) -> bool:
    ended = credential.ends_at is not None and now >= credential.ends_at
    return credential.blocked_at is None and not ended
