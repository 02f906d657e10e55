"""Who has heard of a revocation: noted when a right is taken, marked off when hub and lock confirm.

What may happen at a lock that has not heard of it is told by ``controller.domain.worst_case``.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
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
    number = ((await tx.execute(last)).scalar() or 0) + 1
    these = held.subquery()
    ends = (credentials.c.ends_at, people.c.expires_at)
    await tx.execute(
        insert(revocations).from_select(
            [
                "site_id",
                "number",
                "digest",
                "credential_id",
                "person_id",
                "kind",
                "revoked_at",
                "ends_at",
                "document_issued_at",
            ],
            select(
                credentials.c.site_id,
                literal(number, BigInteger),
                credentials.c.digest,
                credentials.c.id,
                credentials.c.person_id,
                credentials.c.kind,
                literal(now, UtcDateTime),
                _earlier(*ends),
                credentials.c.document_issued_at,
            )
            .join(
                people,
                and_(
                    people.c.site_id == credentials.c.site_id,
                    people.c.id == credentials.c.person_id,
                ),
            )
            .where(
                credentials.c.site_id == site_id,
                credentials.c.digest.in_(select(these.c.digest)),
            ),
        )
    )
    for some in in_batches(lock_ids):
        await tx.execute(
            insert(revocation_locks).from_select(
                ["site_id", "number", "lock_id", "hub_id"],
                select(
                    locks.c.site_id, literal(number, BigInteger), locks.c.id, locks.c.hub_id
                ).where(locks.c.site_id == site_id, locks.c.id.in_(some)),
            )
        )


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
    here = and_(
        revocation_locks.c.site_id.in_({site_id for site_id, _ in reports}),
        revocation_locks.c.confirmed_at.is_(None),
    )
    hub_ids = {hub_id for _, hub_id in reports}
    of_hub = and_(
        hubs.c.site_id == revocation_locks.c.site_id, hubs.c.id == revocation_locks.c.hub_id
    )
    knows = select(hubs.c.id).where(
        of_hub, hubs.c.revision_confirmed >= revocation_locks.c.revision
    )
    await tx.execute(
        update(revocation_locks)
        .where(
            here,
            revocation_locks.c.hub_id.in_(hub_ids),
            revocation_locks.c.hub_confirmed_at.is_(None),
            knows.exists(),
        )
        .values(hub_confirmed_at=now)
    )
    holds = (
        select(locks.c.id)
        .join(hubs, and_(hubs.c.site_id == locks.c.site_id, hubs.c.id == locks.c.hub_id))
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
    await tx.execute(
        update(revocation_locks)
        .where(here, holds.exists())
        .values(
            confirmed_at=now,
            hub_confirmed_at=func.coalesce(
                revocation_locks.c.hub_confirmed_at, literal(now, UtcDateTime)
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
