"""Give people tags, and take them back. A tag's number is digested here and kept nowhere."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.db.engine import Session
from controller.domain.access import CredentialKind
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.people import (
    CREDENTIALS_MAX,
    SiteCredential,
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
from gateway.protocol.sealing import tag_digest


class CredentialEdit(TypedDict, total=False):
    """What is to become of a credential; what is left out stays."""

    label: str
    blocked: bool
    offline: bool
    ends_at: datetime | None


class Tags:
    """The tags of a site's people."""

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
            InvalidTagNumber: The number has another form.
            TagTaken: The site knows the tag already.
            TooManyCredentials: The person holds as many as one can.
            OfflineListFull: A lock has no room for the tag's offline access.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        person = await repository.person(tx, site_id, person_id)
        held = await repository.credentials_of(tx, site_id, person_id)
        if len(held) >= CREDENTIALS_MAX:
            raise TooManyCredentials(
                f"{person.name} holds {len(held)} credentials, which is the most. Delete one.",
                limit=CREDENTIALS_MAX,
                used=len(held),
                remedy="delete_credential",
            )
        blank = SiteCredential(
            site_id=site_id,
            id=CredentialId(self._ids.new()),
            person_id=person_id,
            kind=CredentialKind.TAG,
            digest=tag_digest(tag_number(number), self._keys.tag_key(site_id)),
            public_key=None,
            document_issued_at=None,
            custom=False,
            label="",
            offline=False,
            blocked_at=None,
            ends_at=None,
            created_at=now,
            version=1,
        )
        tag = _edited(blank, edit, now=now)
        await repository.add_credential(tx, tag)
        await self._end(tx, actor, "credential_added", tag, now=now)
        return tag

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
            Stale: ``if_match`` is not the present version.
            OfflineListFull: A lock has no room for the credential's offline access.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        before = await repository.credential(tx, site_id, person_id, credential_id)
        after = _edited(before, edit, now=now)
        saved = await repository.save_credential(tx, after, if_match=if_match)
        reaches_doors = replace(before, label="") != replace(after, label="")
        is_shorter = ends_earlier(before.ends_at, after.ends_at)
        if is_shorter or (reaches_doors and not _opens(after, now)):
            await revocations.revoke_credential(tx, site_id, after.id, now=now)
        await self._end(tx, actor, "credential_edited", saved, now=now, reaches_doors=reaches_doors)
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
        tag = await repository.credential(tx, site_id, person_id, credential_id)
        await revocations.revoke_credential(tx, site_id, tag.id, now=now)
        await repository.delete_credential(tx, tag, if_match=if_match)
        await self._end(tx, actor, "credential_deleted", tag, now=now)

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        tag: SiteCredential,
        *,
        now: datetime,
        reaches_doors: bool = True,
    ) -> None:
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=tag.site_id,
            object_kind="credential",
            object_id=tag.id,
            now=now,
            facts={
                "person_id": tag.person_id,
                "kind": str(tag.kind),
                "blocked": tag.blocked_at is not None,
                "offline": tag.offline,
                "ends": tag.ends_at is not None,
            },
            reaches_doors=reaches_doors,
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


def _opens(credential: SiteCredential, now: datetime) -> bool:
    ended = credential.ends_at is not None and now >= credential.ends_at
    return credential.blocked_at is None and not ended
