"""Add, edit and delete people; a subscribed one takes one of the plan's user seats."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.db.engine import ReadSession, Session
from controller.domain.access import NO_PRIVILEGE, Privilege
from controller.domain.catalogue import Component
from controller.domain.ids import PersonId, SiteId
from controller.domain.instants import to_text
from controller.domain.people import (
    Seats,
    SeatsExhausted,
    SitePerson,
    end_of_stay,
    ends_earlier,
    require_stay,
    starts_later,
)
from controller.domain.roles import Action, Actor
from controller.outbox import service as outbox
from controller.people import repository
from controller.people.changes import Changes
from controller.ports import Ids
from controller.subscriptions.entitlement import Entitlement
from controller.sync import revocations
from controller.sync.changes import Touched, groups_of_people


class PersonEdit(TypedDict, total=False):
    """What is to become of a person; what is left out stays."""

    name: str
    email: str | None
    is_guest: bool
    subscribed: bool
    starts_at: datetime | None
    expires_at: datetime | None
    privileges: Privilege


class People:
    """The people of sites."""

    def __init__(self, *, changes: Changes, entitlement: Entitlement, ids: Ids) -> None:
        self._changes = changes
        self._entitlement = entitlement
        self._ids = ids

    async def add(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        new: PersonEdit,
        *,
        now: datetime,
        right: Action = Action.MANAGE_PEOPLE,
    ) -> SitePerson:
        """Add a person and return it.

        Args:
            tx: The change's transaction.
            actor: Who asks.
            site_id: The site.
            new: What is known of the person.
            now: The instant.
            right: By which the actor may; whoever names another one has judged what it takes.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            Forbidden: The actor may not give privileges.
            SeatsExhausted: The person is to be subscribed and no seat is free.
            Invalid: The stay cannot be.
        """
        await self._changes.begin(tx, actor, right, site_id, now=now)
        blank = nobody(site_id, PersonId(self._ids.new()), now=now)
        person = edited(blank, new, now=now)
        require_right(actor, blank, person)
        await self._require_seat(tx, blank, person, now=now)
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
            touched=Touched.people(person.id),
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
            Forbidden: The actor may not give privileges.
            SeatsExhausted: The person is to be subscribed and no seat is free.
            Invalid: The stay cannot be.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_PEOPLE, site_id, now=now)
        before = await repository.person(tx, site_id, person_id)
        after = edited(before, edit, now=now)
        require_right(actor, before, after)
        await self._require_seat(tx, before, after, now=now)
        reaches_doors = _stay(before) != _stay(after)
        is_shorter = ends_earlier(before.expires_at, after.expires_at) or starts_later(
            before.starts_at, after.starts_at
        )
        if is_shorter or (reaches_doors and not after.holds_seat(now)):
            await revocations.revoke_people(tx, site_id, [person_id], now=now)
        saved = await repository.save_person(tx, after, if_match=if_match)
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
            touched=Touched.people(person_id),
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
        right: Action = Action.MANAGE_PEOPLE,
    ) -> None:
        """Delete a person with all credentials and rights.

        Args:
            tx: The change's transaction.
            actor: Who asks.
            site_id: The site.
            person_id: Who goes.
            if_match: The version that was read.
            now: The instant.
            right: By which the actor may; whoever names another one has judged what it takes.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site knows nobody of this id.
            Stale: ``if_match`` is not the present version.
        """
        await self._changes.begin(tx, actor, right, site_id, now=now)
        person = await repository.person(tx, site_id, person_id)
        group_ids = await groups_of_people(tx, site_id, [person_id])
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
            touched=[*Touched.people(person_id), *Touched.groups(*group_ids)],
        )

    async def _require_seat(
        self, tx: Session, before: SitePerson, after: SitePerson, *, now: datetime
    ) -> None:
        """Refuse a change that takes a seat when none is free. The site's turn is ours."""
        if before.holds_seat(now) or not after.holds_seat(now):
            return
        await self.take_seats(tx, after.site_id, 1, now=now)

    async def seats(self, tx: ReadSession, site_id: SiteId, *, now: datetime) -> Seats:
        """Return how many of the plan's user seats are taken.

        Raises:
            NotFound: There is no such site.
        """
        limit = await self._entitlement.user_limit(tx, site_id, now=now)
        return Seats(limit=limit, used=await repository.seats_used(tx, site_id, now=now))

    async def take_seats(self, tx: Session, site_id: SiteId, count: int, *, now: datetime) -> None:
        """Refuse to take more seats than are free; say once a term that they are running out.

        The site's turn is ours, so what is free stays free until the end of the transaction.

        Raises:
            SeatsExhausted: Fewer are free.
        """
        entitlements = await self._entitlement.entitled(tx, site_id, now=now)
        limit = entitlements.limits[Component.USERS]
        before = Seats(limit=limit, used=await repository.seats_used(tx, site_id, now=now))
        if count > before.free:
            raise SeatsExhausted(limit=limit, used=before.used, adding=count)
        after = Seats(limit=limit, used=before.used + count)
        if after.running_out:
            term = to_text(entitlements.ended_at)
            await outbox.put(
                tx,
                "seats.running_out",
                site_id=site_id,
                now=now,
                facts={"limit": limit, "used": after.used},
                once_key=f"seats.running_out/{site_id}/{limit}/{term}",
                to_mail=True,
            )


def nobody(site_id: SiteId, person_id: PersonId, *, now: datetime) -> SitePerson:
    """Return a person of whom nothing is known yet."""
    return SitePerson(
        site_id=site_id,
        id=person_id,
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


def edited(before: SitePerson, edit: PersonEdit, *, now: datetime) -> SitePerson:
    """Return the person after an edit; who is subscribed already keeps the instant of it.

    Raises:
        Invalid: The stay cannot be, or a guest would have no end.
    """
    subscribed = edit.get("subscribed", before.subscribed_at is not None)
    after = replace(
        before,
        name=edit.get("name", before.name),
        email=edit.get("email", before.email),
        is_guest=edit.get("is_guest", before.is_guest),
        subscribed_at=(before.subscribed_at or now) if subscribed else None,
        starts_at=end_of_stay(edit.get("starts_at", before.starts_at), field="starts_at"),
        expires_at=end_of_stay(edit.get("expires_at", before.expires_at), field="expires_at"),
        privileges=edit.get("privileges", before.privileges),
    )
    require_stay(after)
    return after


def require_right(actor: Actor, before: SitePerson, after: SitePerson) -> None:
    """Refuse privileges from somebody who has nothing to say about doors.

    Raises:
        Forbidden: The actor lacks the right.
    """
    if before.privileges != after.privileges:
        actor.require(Action.MANAGE_DOORS, after.site_id)


def _stay(person: SitePerson) -> tuple[object, ...]:
    """Return what hubs are told of a person."""
    return (
        person.subscribed_at is not None,
        person.starts_at,
        person.expires_at,
        person.privileges,
    )
