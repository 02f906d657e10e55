"""A lock leaves its site: first it is emptied, then it is nobody's.

A lock that leaves opens to nobody: its places in groups are gone, its list is empty and its memory
takes back everything. Its row stays until it has confirmed that list, so that nobody believes it to
be empty while it is not. One that never will is freed by force, and then the answer and the audit
record say what it may open to until somebody resets it.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.audit.service import Audit
from controller.db.engine import Session
from controller.db.tables.access import group_locks, locker_people, lockers, pod_locks
from controller.db.tables.activity import entries, entry_logs
from controller.db.tables.hardware import commands, enrolments, locks, offline_lists, purges
from controller.db.tables.people import credentials
from controller.domain.errors import Stale
from controller.domain.hardware import LEAVING, SiteLock
from controller.domain.ids import CredentialId, HubId, LockId, SiteId
from controller.domain.roles import SYSTEM, Action, Actor
from controller.hardware import repository
from controller.people.changes import Changes
from controller.subscriptions.entitlement import Entitlement
from controller.sync.changes import Touched
from controller.sync.service import Sync
from gateway.protocol import sections
from gateway.protocol.messages import EntryKind, SectionKind
from gateway.protocol.sections import OfflineList

NAMED_MAX: Final = 1_000  # credentials; a lock holds 360
_PLACES: Final = (group_locks, pod_locks)
_BELONGINGS: Final = (*_PLACES, commands, enrolments, purges, offline_lists)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """How far a lock is out of its site."""

    lock: SiteLock
    is_gone: bool
    may_open_to: tuple[CredentialId, ...] = ()  # until somebody resets it
    warning: str | None = None


class Releases:
    """Lets locks leave their sites."""

    def __init__(self, *, changes: Changes, entitlement: Entitlement) -> None:
        self._changes = changes
        self._entitlement = entitlement

    async def begin(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        lock_id: LockId,
        *,
        if_match: int,
        now: datetime,
    ) -> Release:
        """Have a lock emptied and then leave; one that never held anything leaves at once.

        Raises:
            NoValidSubscription: The site's subscription does not run, so no lock is told anything.
            NotFound: The site has no such lock.
            Stale: ``if_match`` is not the present version.
            LockLeaves: It does already.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        lock = await repository.lock(tx, site_id, lock_id)
        lock.require_staying()
        is_gone = lock.list_confirmed_at is None
        rights = await _rights_at(tx, lock)
        if is_gone:
            await _remove(tx, lock, if_match=if_match)
        else:
            await _empty(tx, lock, if_match=if_match, now=now)
            lock = await repository.lock(tx, site_id, lock_id)
        release = Release(lock=lock, is_gone=is_gone)
        await self._end(tx, actor, release, now=now, rights=rights)
        return release

    async def force(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        lock_id: LockId,
        *,
        if_match: int,
        now: datetime,
    ) -> Release:
        """Free a lock at once, whatever it holds. Works without a valid subscription too.

        Raises:
            NotFound: The site has no such lock.
            Stale: ``if_match`` is not the present version.
        """
        actor.require(Action.MANAGE_HARDWARE, site_id)
        await self._entitlement.entitled(tx, site_id, now=now)  # the site's turn
        lock = await repository.lock(tx, site_id, lock_id)
        release = Release(lock=lock, is_gone=True)
        if lock.list_confirmed_at is not None:
            held = await _may_open_to(tx, lock, now=now)
            release = Release(
                lock=lock,
                is_gone=True,
                may_open_to=held,
                warning=f"{lock.name} was not emptied. Until somebody resets it to factory state "
                f"it may open to {len(held)} credentials, and nobody can take that back.",
            )
        rights = await _rights_at(tx, lock)
        await _remove(tx, lock, if_match=if_match)
        await self._end(tx, actor, release, now=now, rights=rights)
        return release

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        release: Release,
        *,
        now: datetime,
        rights: Collection[str],
    ) -> None:
        lock = release.lock
        await self._changes.end(
            tx,
            actor,
            "lock_deleted" if release.is_gone else "lock_released",
            site_id=lock.site_id,
            object_kind="lock",
            object_id=lock.id,
            now=now,
            facts={
                "name": lock.name,
                "serial": lock.serial,
                "hub_id": lock.hub_id,
                "may_open_to": release.may_open_to,
                "warning": release.warning,
            },
            touched=[
                *Touched.locks(lock.id),
                *Touched.groups(*rights),
                *Touched.hubs(lock.hub_id),
            ],
        )


class Departures:
    """Lets go of the locks that have confirmed to hold nothing any more."""

    def __init__(self, *, sync: Sync, audit: Audit) -> None:
        self._sync = sync
        self._audit = audit

    async def finish(
        self, tx: Session, places: Collection[tuple[SiteId, HubId]], *, now: datetime
    ) -> int:
        """Let go of the locks of these hubs that have confirmed to hold nothing; return how many.

        A list that was wanted before a lock began to leave is forgotten then, so one that is wanted
        now is the empty one.
        """
        found = await tx.execute(
            select(locks)
            .where(
                locks.c.site_id.in_({site_id for site_id, _ in places}),
                locks.c.hub_id.in_({hub_id for _, hub_id in places}),
                locks.c.released_at.is_not(None),
                locks.c.list_confirmed == locks.c.list_wanted,
            )
            .with_for_update(skip_locked=True)  # somebody frees it by force at this moment
        )
        gone = [repository.to_lock(row) for row in found]
        for lock in gone:
            await _remove(tx, lock, if_match=lock.version)
            await self._sync.request_revision(tx, lock.site_id)
            await self._audit.record(
                tx,
                SYSTEM,
                "lock_left",
                site_id=lock.site_id,
                object_kind="lock",
                object_id=lock.id,
                now=now,
                facts={"name": lock.name, "serial": lock.serial, "hub_id": lock.hub_id},
            )
        return len(gone)


async def _rights_at(tx: Session, lock: SiteLock) -> list[str]:
    """Return the groups, lockers and pods that give people rights at a lock."""
    found: list[str] = []
    for table, column in (
        (group_locks, group_locks.c.group_id),
        (pod_locks, pod_locks.c.pod_id),
        (lockers, lockers.c.id),
    ):
        mine = select(column).where(table.c.site_id == lock.site_id, table.c.lock_id == lock.id)
        found += (await tx.execute(mine)).scalars()
    return found


async def _empty(tx: Session, lock: SiteLock, *, if_match: int, now: datetime) -> None:
    """Take a lock out of everything that opens it, and have its memory take back all it holds.

    Raises:
        Stale: Somebody else wrote in between.
    """
    await _leave(tx, lock)
    emptied = await tx.execute(
        update(locks)
        .where(locks.c.site_id == lock.site_id, locks.c.id == lock.id, locks.c.version == if_match)
        .values(
            **asdict(LEAVING),
            purged_at=now,
            list_wanted=None,
            released_at=now,
            version=if_match + 1,
        )
    )
    if emptied.rowcount == 0:
        raise Stale.of("lock")


async def _remove(tx: Session, lock: SiteLock, *, if_match: int) -> None:
    """Delete a lock with all that is about it; entries, incidents and audit stay.

    That its log is the site's is kept too: entries that its hub still holds come later.

    Raises:
        Stale: Somebody else wrote in between.
    """
    await _keep_log(tx, lock)
    await _leave(tx, lock)
    for table in _BELONGINGS:
        await tx.execute(_of(table, lock))
    one = _of(locks, lock, id_column="id").where(locks.c.version == if_match)
    if (await tx.execute(one)).rowcount == 0:
        raise Stale.of("lock")


async def _leave(tx: Session, lock: SiteLock) -> None:
    mine = select(lockers.c.id).where(
        lockers.c.site_id == lock.site_id, lockers.c.lock_id == lock.id
    )
    await tx.execute(
        delete(locker_people).where(
            locker_people.c.site_id == lock.site_id, locker_people.c.locker_id.in_(mine)
        )
    )
    for table in (*_PLACES, lockers):
        await tx.execute(_of(table, lock))


async def _keep_log(tx: Session, lock: SiteLock) -> None:
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect_insert(entry_logs).from_select(
        ["site_id", "lock_id", "log_epoch", "removed_up_to"],
        select(locks.c.site_id, locks.c.id, locks.c.log_epoch, literal(0)).where(
            locks.c.site_id == lock.site_id, locks.c.id == lock.id
        ),
    )
    await tx.execute(row.on_conflict_do_nothing())


async def _may_open_to(tx: Session, lock: SiteLock, *, now: datetime) -> tuple[CredentialId, ...]:
    """Return the credentials on any list that the lock may hold, and in its memory."""
    digests: set[bytes] = set()
    held = select(offline_lists.c.data).where(
        offline_lists.c.site_id == lock.site_id, offline_lists.c.lock_id == lock.id
    )
    for data in (await tx.execute(held)).scalars():
        for item in sections.read(SectionKind.OFFLINE_LIST, data):
            assert isinstance(item, OfflineList), "the section says what it holds"
            digests |= {grant.credential_digest for grant in item.grants}
    remembered = (
        select(entries.c.digest)
        .distinct()
        .where(
            entries.c.site_id == lock.site_id,
            entries.c.lock_id == lock.id,
            entries.c.kind == EntryKind.OPENED_BY_HUB,
            entries.c.digest.is_not(None),
            entries.c.received_at >= now - timedelta(days=lock.door.memory_days),
        )
        .limit(NAMED_MAX)
    )
    if lock.door.memory_days:
        digests |= set((await tx.execute(remembered)).scalars())
    named = (
        select(credentials.c.id)
        .where(credentials.c.site_id == lock.site_id, credentials.c.digest.in_(digests))
        .order_by(credentials.c.id)
        .limit(NAMED_MAX)
    )
    return tuple(CredentialId(each) for each in (await tx.execute(named)).scalars())


def _of(table: Any, lock: SiteLock, *, id_column: str = "lock_id") -> Any:
    return delete(table).where(table.c.site_id == lock.site_id, table.c[id_column] == lock.id)
