"""What somebody who signs in may see and do of her own at a site, and nothing of anybody else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from controller.access.own_rights import OwnRights
from controller.activity import queries as activity
from controller.activity.queries import EntryShown, Place
from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import locks
from controller.domain.access import Decision, Denied
from controller.domain.errors import Forbidden, NotFound
from controller.domain.hardware import Command, OrderKind
from controller.domain.ids import LockId, SiteId
from controller.domain.people import SitePerson
from controller.domain.roles import Action, Actor
from controller.hardware import repository as hardware
from controller.hardware.commands import Orders
from controller.people import queries as people
from controller.subscriptions.entitlement import Entitlement


class MayNotOpen(Forbidden):
    """The person may not open this lock, or not now."""

    code = "may_not_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLock:
    """A lock of the person's groups, and whether it would open for her now."""

    id: LockId
    name: str
    decision: Decision


class Own:
    """The person that an account is at a site."""

    def __init__(self, *, entitlement: Entitlement, orders: Orders) -> None:
        self._entitlement = entitlement
        self._orders = orders

    async def person(self, tx: ReadSession, actor: Actor, site_id: SiteId) -> SitePerson:
        """Return who the actor is at a site.

        Raises:
            NotFound: Nobody there belongs to the actor's account.
        """
        mine = None
        if actor.account_id is not None:
            mine = await people.of_account(tx, site_id, actor.account_id)
        if mine is None:
            raise NotFound(
                "No person of this site belongs to your account. Ask an admin to invite you.",
                object="person",
            )
        return mine

    async def locks(
        self, tx: ReadSession, person: SitePerson, *, now: datetime
    ) -> Sequence[OwnLock]:
        """Return the locks of a person's groups by name, each with what it would do now."""
        site_id = person.site_id
        active = (await self._entitlement.entitled(tx, site_id, now=now)).active
        rights = await OwnRights.read(tx, person)
        found = await tx.execute(
            select(locks.c.id, locks.c.name)
            .where(locks.c.site_id == site_id, locks.c.id.in_(rights.lock_ids))
            .order_by(locks.c.name, locks.c.id)
        )
        return [
            OwnLock(id=row.id, name=row.name, decision=rights.at(row.id, active=active, now=now))
            for row in found
        ]

    async def entries(
        self,
        tx: ReadSession,
        person: SitePerson,
        *,
        after: Place | None,
        limit: int,
        now: datetime,
    ) -> list[EntryShown]:
        """Return a person's entries behind a place, as far back as the plan keeps them."""
        return await activity.site_entries(
            tx,
            person.site_id,
            after=after,
            limit=limit,
            since=await self._entitlement.entries_since(tx, person.site_id, now=now),
            person_id=person.id,
        )

    async def open(
        self, tx: Session, actor: Actor, site_id: SiteId, lock_id: LockId, *, now: datetime
    ) -> Command:
        """Order a lock to open, if it would open for the person now.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such lock, or nobody there belongs to the actor's account.
            MayNotOpen: ``reason`` is the first check that failed.
            TooManyOrders: The lock has too much to do.
        """
        actor.require(Action.OPEN_OWN, site_id)
        # The site's turn: what is decided on is not changed before the order is given.
        await self._entitlement.require_active(tx, site_id, now=now)
        person = await self.person(tx, actor, site_id)
        lock = await hardware.lock(tx, site_id, lock_id)
        decision = (await OwnRights.read(tx, person)).at(lock_id, active=True, now=now)
        if isinstance(decision, Denied):
            raise MayNotOpen(
                f"You may not open {lock.name} now: {decision.reason}. Ask an admin.",
                reason=str(decision.reason),
            )
        return await self._orders.give(
            tx,
            actor,
            site_id,
            lock_id,
            kind=OrderKind.OPEN,
            now=now,
            right=Action.OPEN_OWN,
        )
