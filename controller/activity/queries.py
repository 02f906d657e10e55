"""What happened at the doors, newest first, and what is missing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select, tuple_

from controller.db.engine import ReadSession
from controller.db.tables.activity import entries, entry_logs
from controller.db.tables.hardware import locks
from controller.db.tables.people import people
from controller.domain.ids import CommandId, CredentialId, LockId, PersonId, SiteId
from gateway.protocol.messages import FIRST_INCIDENT, CredentialKind, DenyReason, EntryKind

Place = tuple[datetime, str, int, int]
"""Where an entry stands in the list: when it was received, lock, log epoch, sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryShown:
    """One entry with the names that people know."""

    lock_id: LockId
    lock_name: str | None  # None: the lock was deleted
    log_epoch: int
    sequence: int
    kind: EntryKind
    reason: DenyReason | None
    at: datetime  # by the lock's clock
    clock_trusted: bool
    hub_at: datetime | None
    received_at: datetime
    credential_id: CredentialId | None
    credential_kind: CredentialKind | None
    person_id: PersonId | None
    person_name: str | None
    command_id: CommandId | None
    count: int | None

    @property
    def place(self) -> Place:
        """Where the entry stands in the list, the greatest first."""
        return self.received_at, self.lock_id, self.log_epoch, self.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Entries of a lock that are not here, between two that are or before the first."""

    lock_id: LockId
    log_epoch: int
    first: int  # sequence
    last: int
    declared: int  # lost for good, by the OVERFLOW behind it; that one stands for itself too

    @property
    def lost(self) -> int:
        """How many of the missing are never to come."""
        return min(self.count, self.declared - 1) if self.declared else 0

    @property
    def count(self) -> int:
        """How many are missing."""
        return self.last - self.first + 1


async def site_entries(
    tx: ReadSession,
    site_id: SiteId,
    *,
    after: Place | None,
    limit: int,
    since: datetime,
    lock_id: LockId | None = None,
    person_id: PersonId | None = None,
) -> list[EntryShown]:
    """Return entries of a site, those that arrived last first, without incidents.

    Args:
        tx: The view to read in.
        site_id: The site.
        after: ``place`` of the entry behind which to begin.
        limit: Entries at most.
        since: Received at or after this instant only.
        lock_id: Of this lock only.
        person_id: Of this person only.
    """
    statement = _named(site_id).where(entries.c.received_at >= since).limit(limit)
    order = (
        entries.c.received_at,
        entries.c.lock_id,
        entries.c.log_epoch,
        entries.c.sequence,
    )
    if after is not None:
        statement = statement.where(tuple_(*order) < tuple_(*after))
    if lock_id is not None:
        statement = statement.where(entries.c.lock_id == lock_id)
    if person_id is not None:
        statement = statement.where(entries.c.person_id == person_id)
    rows = await tx.execute(statement.order_by(*(column.desc() for column in order)))
    return [_shown(row) for row in rows]


def _named(site_id: SiteId) -> Select[Any]:
    """Select entries, without incidents, with the names that people know."""
    return (
        select(
            entries,
            entries.c["count"].label("lost"),  # a row has a method called count
            locks.c.name.label("lock_name"),
            people.c.name.label("person_name"),
        )
        .outerjoin(
            locks, (locks.c.site_id == entries.c.site_id) & (locks.c.id == entries.c.lock_id)
        )
        .outerjoin(
            people, (people.c.site_id == entries.c.site_id) & (people.c.id == entries.c.person_id)
        )
        .where(entries.c.site_id == site_id, entries.c.kind < int(FIRST_INCIDENT))
    )


async def gaps(tx: ReadSession, site_id: SiteId, *, lock_id: LockId, limit: int) -> list[Gap]:
    """Return what is missing of a lock's log, by log epoch and sequence.

    A lock numbers its entries and incidents from 1 without gaps. What lies before the first that is
    here, or between two, has not arrived yet or is lost; an OVERFLOW entry behind it says how many
    are. What the plan's retention has removed is not missing.
    """
    removed = (
        select(entry_logs.c.removed_up_to)
        .where(
            entry_logs.c.site_id == entries.c.site_id,
            entry_logs.c.lock_id == entries.c.lock_id,
            entry_logs.c.log_epoch == entries.c.log_epoch,
        )
        .scalar_subquery()
    )
    before = func.lag(entries.c.sequence).over(
        partition_by=entries.c.log_epoch, order_by=entries.c.sequence
    )
    numbered = (
        select(
            entries.c.log_epoch,
            entries.c.sequence,
            entries.c.kind,
            entries.c["count"].label("told"),
            func.coalesce(before, removed, 0).label("before"),
        )
        .where(entries.c.site_id == site_id, entries.c.lock_id == lock_id)
        .subquery()
    )
    rows = await tx.execute(
        select(numbered)
        .where(numbered.c.sequence > numbered.c.before + 1)
        .order_by(numbered.c.log_epoch, numbered.c.sequence)
        .limit(limit)
    )
    return [
        Gap(
            lock_id=lock_id,
            log_epoch=row.log_epoch,
            first=row.before + 1,
            last=row.sequence - 1,
            declared=(row.told or 0) if row.kind == EntryKind.OVERFLOW else 0,
        )
        for row in rows
    ]


def _shown(row: Row[Any]) -> EntryShown:
    return EntryShown(
        lock_id=row.lock_id,
        lock_name=row.lock_name,
        log_epoch=row.log_epoch,
        sequence=row.sequence,
        kind=EntryKind(row.kind),
        reason=None if row.reason is None else DenyReason(row.reason),
        at=row.at,
        clock_trusted=row.clock_trusted,
        hub_at=row.hub_at,
        received_at=row.received_at,
        credential_id=row.credential_id,
        credential_kind=(
            None if row.credential_kind is None else CredentialKind(row.credential_kind)
        ),
        person_id=row.person_id,
        person_name=row.person_name,
        command_id=row.command_id,
        count=row.lost,
    )
