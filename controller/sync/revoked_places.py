"""Who has heard of a revocation: noted when a right is taken, marked off when hub and lock confirm.

What may happen at a lock that has not heard of it is told by ``controller.domain.worst_case``.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Insert,
    Select,
    and_,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from controller.db.engine import Session
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.people import credentials, people
from controller.db.tables.revocations import revocation_locks, revocations
from controller.db.types import UtcDateTime
from controller.domain.ids import HubId, SiteId
from controller.sync.changes import in_batches

_NOTED: Final = (
    "site_id",
    "number",
    "digest",
    "credential_id",
    "person_id",
    "kind",
    "revoked_at",
    "ends_at",
    "document_issued_at",
)


async def note(
    tx: Session, site_id: SiteId, held: Select[Any], lock_ids: Collection[str], *, now: datetime
) -> None:
    """Note that credentials lose a right at some locks, while their rows are as before.

    Args:
        tx: The change's transaction. The site's turn is its own.
        site_id: The site.
        held: Selects site_id and digest of the credentials.
        lock_ids: Where.
        now: The instant.
    """
    last = select(func.max(revocations.c.number)).where(revocations.c.site_id == site_id)
    number = literal(((await tx.execute(last)).scalar() or 0) + 1, BigInteger)
    await tx.execute(_credentials(site_id, number, held, now=now))
    for some in in_batches(lock_ids):
        places = select(locks.c.site_id, number, locks.c.id, locks.c.hub_id).where(
            locks.c.site_id == site_id, locks.c.id.in_(some)
        )
        columns = ["site_id", "number", "lock_id", "hub_id"]
        await tx.execute(insert(revocation_locks).from_select(columns, places))


async def note_revisions(tx: Session, site_id: SiteId) -> None:
    """Note with which revision each hub knows of what this transaction revoked.

    Call it after the revisions have been raised: then nobody else can raise them before the commit.
    """
    wanted = select(hubs.c.revision_wanted).where(
        hubs.c.site_id == revocation_locks.c.site_id, hubs.c.id == revocation_locks.c.hub_id
    )
    await tx.execute(
        update(revocation_locks)
        .where(
            revocation_locks.c.site_id == site_id,
            revocation_locks.c.confirmed_at.is_(None),
            revocation_locks.c.revision.is_(None),
        )
        .values(revision=wanted.scalar_subquery())
    )


async def mark_off(tx: Session, reports: Sequence[tuple[SiteId, HubId]], *, now: datetime) -> None:
    """Mark off where hubs, and the locks they serve, have confirmed a state with the revocation.

    A lock has when it holds the list that is wanted of it and its hub has confirmed the newest
    revision: then the list that is wanted is of that revision.

    Args:
        tx: The transaction, after what the hubs say has been written.
        reports: Which hubs of which sites have said something.
        now: The calendar's instant.
    """
    hub_ids = {hub_id for _, hub_id in reports}
    here = and_(
        revocation_locks.c.site_id.in_({site_id for site_id, _ in reports}),
        revocation_locks.c.confirmed_at.is_(None),
    )
    knows = select(hubs.c.id).where(
        hubs.c.site_id == revocation_locks.c.site_id,
        hubs.c.id == revocation_locks.c.hub_id,
        hubs.c.revision_confirmed >= revocation_locks.c.revision,
    )
    heard = and_(
        here,
        revocation_locks.c.hub_id.in_(hub_ids),
        revocation_locks.c.hub_confirmed_at.is_(None),
    )
    await tx.execute(
        update(revocation_locks).where(heard, knows.exists()).values(hub_confirmed_at=now)
    )
    first = func.coalesce(revocation_locks.c.hub_confirmed_at, literal(now, UtcDateTime))
    await tx.execute(
        update(revocation_locks)
        .where(here, _holds_newest(hub_ids).exists())
        .values(confirmed_at=now, hub_confirmed_at=first)
    )


def _credentials(site_id: SiteId, number: Any, held: Select[Any], *, now: datetime) -> Insert:
    """Return what notes the credentials of a revocation as they are before it."""
    these = held.subquery()
    noted = {
        "site_id": credentials.c.site_id,
        "number": number,
        "digest": credentials.c.digest,
        "credential_id": credentials.c.id,
        "person_id": credentials.c.person_id,
        "kind": credentials.c.kind,
        "revoked_at": literal(now, UtcDateTime),
        "ends_at": _earlier(credentials.c.ends_at, people.c.expires_at),
        "document_issued_at": credentials.c.document_issued_at,
    }
    holder = and_(people.c.site_id == credentials.c.site_id, people.c.id == credentials.c.person_id)
    before = (
        select(*noted.values())
        .join_from(credentials, people, holder)
        .where(
            credentials.c.site_id == site_id,
            credentials.c.digest.in_(select(these.c.digest)),
        )
    )
    return insert(revocations).from_select(list(noted), before)


def _holds_newest(hub_ids: Collection[HubId]) -> Select[Any]:
    """Select the lock of a row of ``revocation_locks`` if it is known to hold the newest list."""
    serves = and_(hubs.c.site_id == locks.c.site_id, hubs.c.id == locks.c.hub_id)
    return (
        select(locks.c.id)
        .join(hubs, serves)
        .where(
            locks.c.site_id == revocation_locks.c.site_id,
            locks.c.id == revocation_locks.c.lock_id,
            locks.c.hub_id.in_(hub_ids),
            locks.c.list_confirmed == locks.c.list_wanted,
            hubs.c.revision_confirmed == hubs.c.revision_wanted,
            or_(
                locks.c.hub_id != revocation_locks.c.hub_id,  # it has moved to a hub that knows
                revocation_locks.c.hub_confirmed_at.is_not(None),
            ),
        )
    )


def _earlier(one: Any, other: Any) -> Any:
    """Return the earlier of two columns, of which one or both may have no end."""
    return case(
        (one.is_(None), other),
        (other.is_(None), one),
        (one < other, one),
        else_=other,
    )
