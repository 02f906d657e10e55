"""The rows by which a revocation's worst case is judged."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, func, or_, select

from controller.access.held_lists import HeldList, held_lists
from controller.access.offline_rows import state_of_locks
from controller.access.queries import to_credential
from controller.db.engine import ReadSession
from controller.db.tables.activity import entries
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials, people
from controller.db.tables.revocations import revocation_locks, revocations
from controller.db.tables.subscriptions import subscriptions
from controller.domain.access import CredentialKind
from controller.domain.digital_keys import DOCUMENT_LIFE
from controller.domain.ids import CredentialId, LockId, SiteId
from controller.domain.offline import is_entitled_for_good
from controller.domain.worst_case import Before, Place
from gateway.protocol.messages import EntryKind

# What a lock logs where its hub has let somebody in, whatever came of it.
_BY_HUB: Final = (
    EntryKind.OPENED_BY_HUB,
    EntryKind.OFFICE_STARTED,
    EntryKind.OFFICE_ENDED,
    EntryKind.LOCKER_TAKEN,
    EntryKind.LOCKER_FREED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPlace:
    """A lock that has not confirmed a revocation, and one credential there."""

    number: int
    digest: bytes
    lock_id: LockId
    lock_name: str
    place: Place
    before: Before


async def page(
    tx: ReadSession,
    site_id: SiteId,
    *,
    credential_id: CredentialId | None,
    unconfirmed: bool,
    after: tuple[int, str] | None,
    limit: int,
) -> list[Row[Any]]:
    """Return revocations with what is still known of credential and person, newest first."""
    some = select(revocations, credentials.c.label, people.c.name.label("person_name"))
    some = some.where(revocations.c.site_id == site_id)
    if credential_id is not None:
        some = some.where(revocations.c.credential_id == credential_id)
    if unconfirmed:
        waiting = select(revocation_locks.c.lock_id).where(
            revocation_locks.c.site_id == site_id,
            revocation_locks.c.number == revocations.c.number,
            revocation_locks.c.confirmed_at.is_(None),
        )
        some = some.where(waiting.exists())
    if after is not None:
        same, later = revocations.c.number == after[0], revocations.c.credential_id > after[1]
        some = some.where(or_(revocations.c.number < after[0], and_(same, later)))
    known = and_(
        credentials.c.site_id == revocations.c.site_id,
        credentials.c.id == revocations.c.credential_id,
    )
    holder = and_(people.c.site_id == revocations.c.site_id, people.c.id == revocations.c.person_id)
    rows = await tx.execute(
        some.outerjoin(credentials, known)
        .outerjoin(people, holder)
        .order_by(revocations.c.number.desc(), revocations.c.credential_id)
        .limit(limit)
    )
    return list(rows)


async def confirmed_last(
    tx: ReadSession, site_id: SiteId, numbers: Collection[int]
) -> dict[int, datetime]:
    """Return when the last lock of each revocation confirmed it, of those that have."""
    rows = await tx.execute(
        select(revocation_locks.c.number, func.max(revocation_locks.c.confirmed_at).label("last"))
        .where(
            revocation_locks.c.site_id == site_id,
            revocation_locks.c.number.in_(numbers),
            revocation_locks.c.confirmed_at.is_not(None),
        )
        .group_by(revocation_locks.c.number)
    )
    return {row.number: row.last for row in rows}


async def open_places(
    tx: ReadSession, site_id: SiteId, revoked: Sequence[Row[Any]], *, grace: timedelta
) -> list[OpenPlace]:
    """Return where some revocations are not confirmed, but for credentials with a lasting right.

    A lock that has left the site is judged no more.

    Args:
        tx: The view to read in.
        site_id: The site.
        revoked: Rows of ``revocations``.
        grace: How long a hub without contact serves beyond the end of the subscription.
    """
    rows = await _unconfirmed(tx, site_id, {row.number for row in revoked})
    lock_ids = {row.lock_id for row in rows}
    digests = {row.digest for row in revoked}
    if not lock_ids:
        return []
    known = {row.digest: row for row in await _known(tx, site_id, digests)}
    entitled = await _entitled(tx, site_id, lock_ids, list(known.values()))
    lists = await held_lists(tx, site_id, lock_ids)
    opened = await _opened(tx, site_id, lock_ids, digests)
    before = await _before(tx, site_id, digests, known)
    ends = select(subscriptions.c.ends_at).where(subscriptions.c.site_id == site_id)
    serve_until = (await tx.execute(ends)).scalar_one() + grace
    return [
        OpenPlace(
            number=row.number,
            digest=one.digest,
            lock_id=row.lock_id,
            lock_name=row.name,
            place=Place(
                hub_confirmed_at=row.hub_confirmed_at,
                serve_until=serve_until,
                memory_days=row.memory_days,
                lists=_ends_by_list(row.list_confirmed, lists.get(row.lock_id, []), one.digest),
                opened_at=opened.get((row.lock_id, one.digest)),
            ),
            before=before[row.lock_id, one.digest],
        )
        for row in rows
        for one in revoked
        if one.number == row.number and (row.lock_id, one.digest) not in entitled
    ]


async def _unconfirmed(
    tx: ReadSession, site_id: SiteId, numbers: Collection[int]
) -> list[Row[Any]]:
    rows = await tx.execute(
        select(
            revocation_locks.c.number,
            revocation_locks.c.lock_id,
            revocation_locks.c.hub_confirmed_at,
            locks.c.name,
            locks.c.memory_days,
            locks.c.list_confirmed,
        )
        .join(
            locks,
            and_(
                locks.c.site_id == revocation_locks.c.site_id,
                locks.c.id == revocation_locks.c.lock_id,
            ),
        )
        .where(
            revocation_locks.c.site_id == site_id,
            revocation_locks.c.number.in_(numbers),
            revocation_locks.c.confirmed_at.is_(None),
        )
        .order_by(revocation_locks.c.number, revocation_locks.c.lock_id)
    )
    return list(rows)


async def _known(tx: ReadSession, site_id: SiteId, digests: Collection[bytes]) -> list[Row[Any]]:
    """Return those of some credentials that the site still has, with their holder's seat."""
    rows = await tx.execute(
        select(credentials, people.c.subscribed_at)
        .join(
            people,
            and_(
                people.c.site_id == credentials.c.site_id,
                people.c.id == credentials.c.person_id,
            ),
        )
        .where(credentials.c.site_id == site_id, credentials.c.digest.in_(digests))
    )
    return list(rows)


async def _entitled(
    tx: ReadSession, site_id: SiteId, lock_ids: Collection[LockId], known: Sequence[Row[Any]]
) -> set[tuple[LockId, bytes]]:
    """Return at which locks credentials have a right that ends by no date, now."""
    usable = [row for row in known if row.usable]
    state = await state_of_locks(tx, site_id, lock_ids, pins=False, and_also=usable)
    return {
        (lock_id, row.digest)
        for row in usable
        for lock_id in lock_ids
        if is_entitled_for_good(state, to_credential(row), lock_id)
    }


async def _opened(
    tx: ReadSession, site_id: SiteId, lock_ids: Collection[LockId], digests: Collection[bytes]
) -> dict[tuple[LockId, bytes], datetime]:
    """Return when hubs let credentials in last, as far as it has been told, by the lock's clock."""
    rows = await tx.execute(
        select(entries.c.lock_id, entries.c.digest, func.max(entries.c.at).label("last"))
        .where(
            entries.c.site_id == site_id,
            entries.c.lock_id.in_(lock_ids),
            entries.c.digest.in_(digests),
            entries.c.kind.in_(_BY_HUB),
        )
        .group_by(entries.c.lock_id, entries.c.digest)
    )
    return {(row.lock_id, row.digest): row.last for row in rows}


async def _before(
    tx: ReadSession, site_id: SiteId, digests: Collection[bytes], known: dict[bytes, Row[Any]]
) -> dict[tuple[LockId, bytes], Before]:
    """Return how long credentials were good for, by all that hub and lock have not confirmed."""
    rows = await tx.execute(
        select(
            revocation_locks.c.lock_id,
            revocations.c.digest,
            revocations.c.kind,
            func.min(revocations.c.revoked_at).label("revoked_at"),
            func.max(revocations.c.ends_at).label("ends_at"),
            (func.count() > func.count(revocations.c.ends_at)).label("is_endless"),
            func.max(revocations.c.document_issued_at).label("document_issued_at"),
        )
        .join(
            revocation_locks,
            and_(
                revocation_locks.c.site_id == revocations.c.site_id,
                revocation_locks.c.number == revocations.c.number,
            ),
        )
        .where(
            revocations.c.site_id == site_id,
            revocations.c.digest.in_(digests),
            revocation_locks.c.confirmed_at.is_(None),
        )
        .group_by(revocation_locks.c.lock_id, revocations.c.digest, revocations.c.kind)
    )
    return {
        (row.lock_id, row.digest): Before(
            ends_at=None if row.is_endless else row.ends_at,
            document_until=_document_until(row, known.get(row.digest)),
        )
        for row in rows
    }


def _document_until(revoked: Row[Any], known: Row[Any] | None) -> datetime | None:
    """Return the end of the last access document of a digital key that gets no new ones."""
    if revoked.kind != CredentialKind.DIGITAL_KEY:
        return None
    if known is not None and known.blocked_at is None and known.subscribed_at is not None:
        return None
    issued = (revoked.document_issued_at, known.document_issued_at if known else None)
    at: datetime = revoked.revoked_at
    newest: datetime | None = max((one for one in issued if one is not None), default=None)
    return at if newest is None else newest + DOCUMENT_LIFE


def _ends_by_list(
    confirmed: bytes | None, kept: Sequence[HeldList], digest: bytes
) -> tuple[frozenset[datetime | None], ...] | None:
    """Return how each list that a lock may hold names a credential; see ``Place.lists``.

    It may hold the list that it confirmed last, or one that was compiled since.
    """
    base = next((one for one in kept if one.hash == confirmed), None)
    if base is None and confirmed is not None:
        return None
    return tuple(
        frozenset(grant.ends_at for grant in one.grants.get(digest, ()))
        for one in kept
        if base is None or one.compiled_at >= base.compiled_at
    )
