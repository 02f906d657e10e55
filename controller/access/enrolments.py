"""Enrol a tag at a lock: order it to report the next one, and give that one to somebody.

The lock's report arrives in a batch of entries, and a batch must never fail for it. So the intake
only notes the tag (``note_presented``), and a timer gives it away (``Enrolments.finish``), with the
rights that whoever asked has then. Between the two the row says ``presented``, whatever crashes.
"""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, insert, select, tuple_, update

from controller.accounts import repository as accounts
from controller.activity.service import Arrival
from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import commands, enrolments
from controller.domain.enrolments import Enrolment, EnrolmentState, EnrolmentUnderWay
from controller.domain.errors import DomainError, Forbidden, NotFound
from controller.domain.hardware import OrderKind
from controller.domain.ids import CommandId, CredentialId, LockId, PersonId, SiteId
from controller.domain.roles import Action, Actor
from controller.hardware import repository as hardware
from controller.hardware.commands import Orders, to_command
from controller.people import repository as people
from controller.people.credentials import CredentialEdit, Credentials
from controller.ports import LinkClock
from controller.subscriptions.entitlement import standing
from gateway.protocol.messages import EntryKind

_FIELDS: Final = tuple(field.name for field in fields(Enrolment))


class Enrolments:
    """Tags that are awaited at locks.

    ``patience`` is how long order and report may take on their way, by the calendar.
    """

    def __init__(
        self, *, orders: Orders, credentials: Credentials, link: LinkClock, patience: timedelta
    ) -> None:
        self._orders = orders
        self._credentials = credentials
        self._link = link
        self._patience = patience

    async def begin(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        lock_id: LockId,
        *,
        person_id: PersonId,
        label: str,
        offline: bool,
        seconds: int,
        now: datetime,
    ) -> Enrolment:
        """Order a lock to report the next tag; it will be this person's.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such lock or person.
            Forbidden: The tag is to have offline access, and the actor grants none.
            EnrolmentUnderWay: The lock waits for a tag already.
            TooManyOrders: The lock has too much to do.
        """
        order = await self._orders.give(
            tx, actor, site_id, lock_id, kind=OrderKind.ENROL_TAG, seconds=seconds, now=now
        )
        if offline:
            actor.require(Action.MANAGE_OFFLINE, site_id)
        person = await people.person(tx, site_id, person_id)
        await self._require_idle(tx, site_id, lock_id, now=now)
        begun = Enrolment(
            site_id=site_id,
            id=order.id,
            lock_id=lock_id,
            person_id=person.id,
            label=label,
            offline=offline,
            actor_id=actor.account_id,
            actor_name=actor.name,
            created_at=now,
            until=now + timedelta(seconds=seconds) + self._patience,
            state=EnrolmentState.WAITING,
            refusal=None,
            credential_id=None,
        )
        await tx.execute(insert(enrolments).values(_row(begun)))
        return begun

    async def one(
        self, tx: ReadSession, site_id: SiteId, lock_id: LockId, enrolment_id: CommandId
    ) -> Enrolment:
        """Return an enrolment at a lock, as it stands now.

        Raises:
            NotFound: There was none of this id at this lock.
        """
        await hardware.lock(tx, site_id, lock_id)
        found = select(enrolments).where(
            enrolments.c.site_id == site_id,
            enrolments.c.lock_id == lock_id,
            enrolments.c.id == enrolment_id,
        )
        row = (await tx.execute(found)).one_or_none()
        if row is None:
            raise NotFound("There is no such enrolment at this lock.", object="enrolment")
        return await self._told(tx, row)

    async def finish(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Give away the tags that were presented, and give up those that nobody presented.

        Returns:
            How many enrolments came to an end, at most ``limit`` of either kind.
        """
        key = (enrolments.c.site_id, enrolments.c.id)
        is_over = (enrolments.c.state == EnrolmentState.WAITING, enrolments.c.until <= now)
        over = select(*key).where(*is_over).limit(limit)
        given_up = await tx.execute(
            update(enrolments)
            .where(tuple_(*key).in_(over), *is_over)
            .values(state=EnrolmentState.EXPIRED)
        )
        is_presented = enrolments.c.state == EnrolmentState.PRESENTED
        presented = await tx.execute(
            select(enrolments).where(is_presented).order_by(*key).limit(limit)
        )
        rows = presented.all()
        for row in rows:
            await self._give(tx, row, now=now)
        return max(given_up.rowcount, len(rows))

    async def _require_idle(
        self, tx: Session, site_id: SiteId, lock_id: LockId, *, now: datetime
    ) -> None:
        waiting = select(enrolments).where(
            enrolments.c.site_id == site_id,
            enrolments.c.lock_id == lock_id,
            enrolments.c.state == EnrolmentState.WAITING,
            enrolments.c.until > now,
        )
        for row in (await tx.execute(waiting)).all():
            if (await self._told(tx, row)).state is EnrolmentState.WAITING:
                raise EnrolmentUnderWay(
                    "The lock waits for a tag already. Hold it to the lock, or wait until that "
                    "time is over.",
                    enrolment_id=row.id,
                    remedy="wait",
                )

    async def _told(self, tx: ReadSession, row: Row[Any]) -> Enrolment:
        """Return the enrolment of a row with what is known of its order."""
        found = select(commands).where(commands.c.site_id == row.site_id, commands.c.id == row.id)
        order = to_command((await tx.execute(found)).one())
        return _enrolment(row).with_order(order.state_at(self._link.utc()))

    async def _give(self, tx: Session, row: Row[Any], *, now: datetime) -> None:
        """Give a tag to the person, once, or note why not."""
        await standing(tx, row.site_id)  # the site's turn comes before its rows, as everywhere
        this = (enrolments.c.site_id == row.site_id, enrolments.c.id == row.id)
        claimed = await tx.execute(
            update(enrolments)
            .where(*this, enrolments.c.state == EnrolmentState.PRESENTED)
            .values(state=EnrolmentState.ENROLLED)
        )
        if claimed.rowcount == 0:
            return
        try:
            async with tx.savepoint():
                outcome: dict[str, object] = {"credential_id": await self._given(tx, row, now=now)}
        except DomainError as refusal:
            outcome = {"state": EnrolmentState.REFUSED, "refusal": refusal.code}
        await tx.execute(update(enrolments).where(*this).values(outcome))

    async def _given(self, tx: Session, row: Row[Any], *, now: datetime) -> CredentialId:
        actor = row.actor_id and await accounts.present(tx, row.actor_id, now=self._link.utc())
        if not actor or not actor.may(Action.MANAGE_ACCESS, row.site_id):
            raise Forbidden("Whoever asked for the tag may not give any by now.")
        tag = await self._credentials.add_known(
            tx,
            actor,
            row.site_id,
            row.person_id,
            digest=row.digest,
            edit=CredentialEdit(label=row.label, offline=row.offline),
            now=now,
        )
        return tag.id


async def note_presented(tx: Session, arrivals: Iterable[Arrival], *, now: datetime) -> None:
    """Note the tags that locks were waiting for; the first of each enrolment counts.

    What fits no enrolment that waits at that lock is left alone.
    """
    for arrival in arrivals:
        for entry in arrival.batch.entries:
            if entry.kind is not EntryKind.TAG_ENROLLED or entry.command_id is None:
                continue
            if entry.credential_digest is None:
                continue
            await tx.execute(
                update(enrolments)
                .where(
                    enrolments.c.site_id == arrival.site_id,
                    enrolments.c.id == entry.command_id.hex(),
                    enrolments.c.lock_id == entry.lock_id.hex(),
                    enrolments.c.state == EnrolmentState.WAITING,
                    enrolments.c.until > now,
                )
                .values(state=EnrolmentState.PRESENTED, digest=entry.credential_digest)
            )


def _row(enrolment: Enrolment) -> dict[str, object]:
    return {name: getattr(enrolment, name) for name in _FIELDS}


def _enrolment(row: Row[Any]) -> Enrolment:
    known = {name: getattr(row, name) for name in _FIELDS}
    return Enrolment(**known | {"state": EnrolmentState(row.state)})
