"""Invitations in the database: one a person, found by the hash of its token."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from controller.db.engine import ReadSession, Session
from controller.db.tables.accounts import invitations
from controller.db.tables.people import people
from controller.domain.errors import NotFound, Refused
from controller.domain.ids import AccountId, InvitationId, PersonId, SiteId
from controller.domain.people import SitePerson
from controller.people.repository import to_person


class AccountIsTaken(Refused):
    """The account is another person of the site."""

    code = "account_is_another_person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation of a person. Instants are the link clock's."""

    site_id: SiteId
    id: InvitationId
    person_id: PersonId
    person_name: str
    email: str  # where it was sent
    invited_by: AccountId | None
    created_at: datetime
    expires_at: datetime


async def held_person(tx: Session, site_id: SiteId, person_id: PersonId) -> SitePerson:
    """Return a person whom nobody deletes until the end of the transaction.

    Raises:
        NotFound: The site knows nobody of this id.
    """
    one = select(people).where(people.c.site_id == site_id, people.c.id == person_id)
    held = one.with_for_update(read=True, key_share=True)
    row = (await tx.execute(held)).one_or_none()
    if row is None:
        raise NotFound("There is no such person at this site.", object="person")
    return to_person(row)


async def keep(tx: Session, new: Invitation, *, token_hash: bytes) -> None:
    """Store an invitation instead of the one that its person has."""
    dialect = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect(invitations).values(
        site_id=new.site_id,
        id=new.id,
        person_id=new.person_id,
        email=new.email,
        invited_by=new.invited_by,
        token_hash=token_hash,
        created_at=new.created_at,
        expires_at=new.expires_at,
    )
    names = ("id", "email", "invited_by", "token_hash", "created_at", "expires_at", "accepted_at")
    await tx.execute(
        row.on_conflict_do_update(
            index_elements=[invitations.c.site_id, invitations.c.person_id],
            set_={name: row.excluded[name] for name in names},
        )
    )


async def by_token(tx: ReadSession, token_hash: bytes, *, at: datetime) -> Invitation | None:
    """Return the invitation that a token accepts, if it can be."""
    query = _open(at).where(invitations.c.token_hash == token_hash)
    return _invitation_of((await tx.execute(query)).one_or_none())


async def of_person(
    tx: ReadSession, site_id: SiteId, person_id: PersonId, *, at: datetime
) -> Invitation | None:
    """Return a person's invitation, if it can be accepted."""
    query = _open(at).where(invitations.c.site_id == site_id, invitations.c.person_id == person_id)
    return _invitation_of((await tx.execute(query)).one_or_none())


async def void(tx: Session, gone: Invitation) -> bool:
    """Delete an invitation; ``False`` if it was accepted or replaced meanwhile."""
    one = delete(invitations).where(*_unused(gone))
    return (await tx.execute(one)).rowcount == 1


async def use(tx: Session, invitation: Invitation, token_hash: bytes, *, at: datetime) -> bool:
    """Use an invitation up; ``False`` if somebody was faster."""
    one = update(invitations).where(
        *_unused(invitation),
        invitations.c.token_hash == token_hash,
        invitations.c.expires_at > at,
    )
    return (await tx.execute(one.values(accepted_at=at))).rowcount == 1


async def tie(tx: Session, invitation: Invitation, account_id: AccountId) -> bool:
    """Tie an account to the person invited; ``False`` if that has another address by now.

    Raises:
        AccountIsTaken: The account is another person of the site.
    """
    one = update(people).where(
        people.c.site_id == invitation.site_id,
        people.c.id == invitation.person_id,
        people.c.email == invitation.email,
    )
    try:
        async with tx.savepoint():
            return (await tx.execute(one.values(account_id=account_id))).rowcount == 1
    except IntegrityError as error:
        raise AccountIsTaken("Your account is another person of this site already.") from error


def _open(at: datetime) -> Select[Any]:
    """Select what can be accepted: not used, not too old, and to the address of today."""
    same = and_(
        people.c.site_id == invitations.c.site_id,
        people.c.id == invitations.c.person_id,
        people.c.email == invitations.c.email,
    )
    return (
        select(invitations, people.c.name)
        .join(people, same)
        .where(invitations.c.accepted_at.is_(None), invitations.c.expires_at > at)
    )


def _unused(invitation: Invitation) -> tuple[ColumnElement[bool], ...]:
    return (
        invitations.c.site_id == invitation.site_id,
        invitations.c.id == invitation.id,
        invitations.c.accepted_at.is_(None),
    )


def _invitation_of(row: Row[Any] | None) -> Invitation | None:
    if row is None:
        return None
    return Invitation(
        site_id=row.site_id,
        id=row.id,
        person_id=row.person_id,
        person_name=row.name,
        email=row.email,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
