"""People and their credentials in the database."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Row,
    case,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from controller.db.engine import ReadSession, Session
from controller.db.tables.access import group_people, locker_people, pod_people
from controller.db.tables.accounts import invitations
from controller.db.tables.hardware import enrolments
from controller.db.tables.notifications import notification_receivers
from controller.db.tables.people import credentials, people, revoked_digests
from controller.db.tables.sites import sites
from controller.domain.access import CredentialKind, Privilege
from controller.domain.errors import NotFound, Stale
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.people import SiteCredential, SitePerson
from controller.subscriptions.repository import seated
from controller.sync import revocations


@dataclass(frozen=True, slots=True, kw_only=True)
class PinSettings:
    """What a site lets be done with PINs."""

    pins: bool  # they may be made
    custom_pins: bool  # people may choose theirs


TIED: Final = (
    group_people,
    credentials,
    enrolments,
    invitations,
    locker_people,
    pod_people,
    notification_receivers,
)
"""All tables whose rows belong to a person."""


async def person(tx: ReadSession, site_id: SiteId, person_id: PersonId) -> SitePerson:
    """Return a person of a site.

    Raises:
        NotFound: The site knows nobody of this id.
    """
    one = select(people).where(people.c.site_id == site_id, people.c.id == person_id)
    row = (await tx.execute(one)).one_or_none()
    if row is None:
        raise NotFound("There is no such person at this site.", object="person")
    return to_person(row)


async def add_person(tx: Session, new: SitePerson) -> None:
    """Write a new person; an account joins it by an invitation only."""
    await tx.execute(insert(people).values(**asdict(new)))


async def add_people(tx: Session, some: Sequence[SitePerson]) -> None:
    """Write new people, at most 500 at once."""
    if some:
        await tx.execute(insert(people), [asdict(person) for person in some])


async def save_person(tx: Session, edited: SitePerson, *, if_match: int) -> SitePerson:
    """Write a person over a version, and return the next one.

    Another e-mail address parts it from its account: whoever reads mail there is invited anew.

    Raises:
        Stale: Somebody else wrote in between.
    """
    saved = replace(edited, version=if_match + 1)
    account_id = case((people.c.email == edited.email, people.c.account_id), else_=None)
    one = _person_row(edited.site_id, edited.id).where(people.c.version == if_match)
    if (await tx.execute(one.values(**asdict(saved), account_id=account_id))).rowcount == 0:
        raise Stale.of("person")
    return saved


async def delete_person(tx: Session, gone: SitePerson, *, if_match: int) -> None:
    """Delete a person with all that hangs on it: credentials, memberships, what it is told.

    Raises:
        Stale: Somebody else wrote in between.
    """
    for table in TIED:
        await tx.execute(
            delete(table).where(table.c.site_id == gone.site_id, table.c.person_id == gone.id)
        )
    one = delete(people).where(people.c.site_id == gone.site_id, people.c.id == gone.id)
    if (await tx.execute(one.where(people.c.version == if_match))).rowcount == 0:
        raise Stale.of("person")


async def seats_used(tx: ReadSession, site_id: SiteId, *, now: datetime) -> int:
    """Return how many people take a user seat."""
    count = select(func.count()).select_from(people)
    held = count.where(people.c.site_id == site_id, *seated(now))
    return int((await tx.execute(held)).scalar_one())


async def credential(
    tx: ReadSession, site_id: SiteId, person_id: PersonId, credential_id: CredentialId
) -> SiteCredential:
    """Return a person's credential.

    Raises:
        NotFound: The person holds none of this id.
    """
    one = select(credentials).where(
        credentials.c.site_id == site_id,
        credentials.c.id == credential_id,
        credentials.c.person_id == person_id,
    )
    row = (await tx.execute(one)).one_or_none()
    if row is None:
        raise NotFound("This person holds no such credential.", object="credential")
    return _to_credential(row)


async def credentials_of(
    tx: ReadSession, site_id: SiteId, person_id: PersonId
) -> Sequence[SiteCredential]:
    """Return a person's credentials, oldest first."""
    held = select(credentials).where(
        credentials.c.site_id == site_id, credentials.c.person_id == person_id
    )
    rows = await tx.execute(held.order_by(credentials.c.created_at, credentials.c.id))
    return [_to_credential(row) for row in rows]


async def add_credential(tx: Session, new: SiteCredential) -> bool:
    """Write a new credential; ``False`` if the site has one of this digest.

    The unique digest decides between two who add the same one.
    """
    try:
        async with tx.savepoint():
            await tx.execute(insert(credentials).values(**asdict(new)))
    except IntegrityError:
        return False
    return True


async def save_credential(tx: Session, edited: SiteCredential, *, if_match: int) -> SiteCredential:
    """Write a credential over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
    """
    saved = replace(edited, version=if_match + 1)
    one = update(credentials).where(
        credentials.c.site_id == edited.site_id,
        credentials.c.id == edited.id,
        credentials.c.version == if_match,
    )
    if (await tx.execute(one.values(**asdict(saved)))).rowcount == 0:
        raise Stale.of("credential")
    return saved


async def delete_credential(tx: Session, gone: SiteCredential, *, if_match: int) -> None:
    """Delete a credential.

    Raises:
        Stale: Somebody else wrote in between.
    """
    one = delete(credentials).where(
        credentials.c.site_id == gone.site_id,
        credentials.c.id == gone.id,
        credentials.c.version == if_match,
    )
    if (await tx.execute(one)).rowcount == 0:
        raise Stale.of("credential")


async def count_pins(tx: ReadSession, site_id: SiteId) -> int:
    """Return how many PINs a site has; one that is blocked or over may come back."""
    count = select(func.count()).select_from(credentials)
    live = count.where(credentials.c.site_id == site_id, credentials.c.kind == CredentialKind.PIN)
    return int((await tx.execute(live)).scalar_one())


async def was_revoked(tx: ReadSession, site_id: SiteId, digest: bytes, *, since: datetime) -> bool:
    """Return whether a credential lost a right after an instant."""
    noted = select(revoked_digests.c.digest).where(
        revoked_digests.c.site_id == site_id,
        revoked_digests.c.digest == digest,
        revoked_digests.c.revoked_at > since,
    )
    return (await tx.execute(noted)).first() is not None


async def pin_settings(tx: ReadSession, site_id: SiteId) -> PinSettings:
    """Return what a site lets be done with PINs."""
    columns = select(sites.c.pins, sites.c.custom_pins).where(sites.c.id == site_id)
    row = (await tx.execute(columns)).one()
    return PinSettings(pins=row.pins, custom_pins=row.custom_pins)


async def set_custom_usable(
    tx: Session, site_id: SiteId, *, usable: bool, now: datetime
) -> list[PersonId]:
    """Make custom PINs usable or not, let locks forget those that are not; return whose."""
    theirs = (
        credentials.c.site_id == site_id,
        credentials.c.custom,
        credentials.c.usable.is_not(usable),
    )
    if not usable:
        held = select(credentials.c.site_id, credentials.c.digest).where(*theirs)
        await revocations.revoke(tx, held, now=now)
    changed = (
        update(credentials)
        .where(*theirs)
        .values(usable=usable, version=credentials.c.version + 1)
        .returning(credentials.c.person_id)
    )
    return [row.person_id for row in await tx.execute(changed)]


async def digital_keys_offline(tx: ReadSession, site_id: SiteId) -> bool:
    """Return whether a site gives offline access to new digital keys."""
    column = select(sites.c.digital_keys_offline).where(sites.c.id == site_id)
    return bool((await tx.execute(column)).scalar_one())


async def issue_document(tx: Session, held: SiteCredential, *, issued_at: datetime) -> None:
    """Note a digital key's newest access document, unless somebody has issued one meanwhile."""
    await tx.execute(
        update(credentials)
        .where(
            credentials.c.site_id == held.site_id,
            credentials.c.id == held.id,
            credentials.c.document_issued_at.is_not_distinct_from(held.document_issued_at),
        )
        .values(document_issued_at=issued_at)
    )


def to_person(row: Row[Any]) -> SitePerson:
    """Return the person of a row of ``people``."""
    return SitePerson(
        site_id=row.site_id,
        id=row.id,
        name=row.name,
        email=row.email,
        is_guest=row.is_guest,
        subscribed_at=row.subscribed_at,
        starts_at=row.starts_at,
        expires_at=row.expires_at,
        privileges=Privilege(row.privileges),
        created_at=row.created_at,
        version=row.version,
    )


def _to_credential(row: Row[Any]) -> SiteCredential:
    return SiteCredential(
        site_id=row.site_id,
        id=row.id,
        person_id=row.person_id,
        kind=CredentialKind(row.kind),
        digest=row.digest,
        public_key=row.public_key,
        document_issued_at=row.document_issued_at,
        custom=row.custom,
        usable=row.usable,
        label=row.label,
        offline=row.offline,
        blocked_at=row.blocked_at,
        ends_at=row.ends_at,
        created_at=row.created_at,
        version=row.version,
    )


def _person_row(site_id: SiteId, person_id: PersonId) -> Any:
    return update(people).where(people.c.site_id == site_id, people.c.id == person_id)
