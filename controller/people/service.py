"""Add, edit and delete people; a subscribed one takes one of the plan's user seats."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.db.engine import Session
from controller.domain.access import NO_PRIVILEGE
from controller.domain.ids import PersonId, SiteId
from controller.domain.people import SeatsExhausted, SitePerson, end_of_stay, ends_earlier
from controller.domain.roles import Action, Actor
from controller.people import repository
from controller.people.changes import Changes
from controller.ports import Ids
from controller.subscriptions.entitlement import Entitlement
from controller.sync import revocations


class PersonEdit(TypedDict, total=False):
    """What is to become of a person; what is left out stays."""

    name: str
    email: str | None
    subscribed: bool
    expires_at: datetime | None


class People:
    """The people of sites."""

    def __init__(self, *, changes: Changes, entitlement: Entitlement, ids: Ids) -> None:
        self._changes = changes
        self._entitlement = entitlement
        self._ids = ids

    async def add(
        self, tx: Session, actor: Actor, site_id: SiteId, new: PersonEdit, *, now: datetime
    ) -> SitePerson:
        """Add a person and return it.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            SeatsExhausted: The person is to be subscribed and no seat is free.
            Invalid: The end cannot be.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_PEOPLE, site_id, now=now)
        nobody = SitePerson(
            site_id=site_id,
            id=PersonId(self._ids.new()),
            name="",
            email=None,
            is_guest=False,
            subscribed_at=None,
            starts_at=None,
            expires_at=None,
            privileges=NO_PRIVILEGE,
            created_at=now,
            version=1,
        )
        person = _edited(nobody, new, now=now)
        await self._require_seat(tx, nobody, person, now=now)
        await repository.add_person(tx, person)
        await self._changes.end(
            tx,
            actor,
            "person_added",
            site_id=site_id,
            object_kind="person",
            object_id=person.id,
            now=now,
            facts={"subscribed": person.subscribed_at is not None},
        )
        return person

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        edit: PersonEdit,
        *,
        if_match: int,
        now: datetime,
    ) -> SitePerson:
        """Edit a person and return it.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site knows nobody of this id.
            Stale: ``if_match`` is not the present version.
            SeatsExhausted: The person is to be subscribed and no seat is free.
            Invalid: The end cannot be.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_PEOPLE, site_id, now=now)
        before = await repository.person(tx, site_id, person_id)
        after = _edited(before, edit, now=now)
        await self._require_seat(tx, before, after, now=now)
        saved = await repository.save_person(tx, after, if_match=if_match)
        reaches_doors = _stay(before) != _stay(after)
        is_shorter = ends_earlier(before.expires_at, after.expires_at)
        if is_shorter or (reaches_doors and not after.holds_seat(now)):
            await revocations.revoke_people(tx, site_id, [person_id], now=now)
        await self._changes.end(
            tx,
            actor,
            "person_edited",
            site_id=site_id,
            object_kind="person",
            object_id=person_id,
            now=now,
            facts={"fields": sorted(edit), "subscribed": after.subscribed_at is not None},
            reaches_doors=reaches_doors,
        )
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a person with all credentials and rights.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site knows nobody of this id.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_PEOPLE, site_id, now=now)
        person = await repository.person(tx, site_id, person_id)
        await revocations.revoke_people(tx, site_id, [person_id], now=now)
        await repository.delete_person(tx, person, if_match=if_match)
        await self._changes.end(
            tx,
            actor,
            "person_deleted",
            site_id=site_id,
            object_kind="person",
            object_id=person_id,
            now=now,
        )

    async def _require_seat(
        self, tx: Session, before: SitePerson, after: SitePerson, *, now: datetime
    ) -> None:
        """Refuse a change that takes a seat when none is free. The site's turn is ours."""
        if before.holds_seat(now) or not after.holds_seat(now):
            return
        limit = await self._entitlement.user_limit(tx, after.site_id, now=now)
        used = await repository.seats_used(tx, after.site_id, now=now)
        if used >= limit:
            raise SeatsExhausted(limit=limit, used=used)


def _edited(before: SitePerson, edit: PersonEdit, *, now: datetime) -> SitePerson:
    """Return the person after an edit; who is subscribed already keeps the instant of it."""
    subscribed = edit.get("subscribed", before.subscribed_at is not None)
    return replace(
        before,
        name=edit.get("name", before.name),
        email=edit.get("email", before.email),
        subscribed_at=(before.subscribed_at or now) if subscribed else None,
        expires_at=end_of_stay(edit.get("expires_at", before.expires_at), field="expires_at"),
    )


def _stay(person: SitePerson) -> tuple[bool, datetime | None]:
    """Return what hubs are told of a person."""
    return person.subscribed_at is not None, person.expires_at
