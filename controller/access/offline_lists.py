"""Who is on a lock's offline list, who is not and why, and what the lock itself holds of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select

from controller.access.held_lists import HeldGrant, HeldList, held_lists
from controller.access.offline_rows import state_of_locks
from controller.access.queries import to_credential
from controller.db.engine import ReadSession
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials, people
from controller.domain.access import CredentialKind
from controller.domain.hardware import SiteLock
from controller.domain.ids import CredentialId, GroupId, LockId, PersonId, SiteId
from controller.domain.offline import OfflineGrant, OfflineList, OfflineRules, Unlisted
from controller.domain.site_state import Lock
from controller.hardware import repository as hardware
from controller.hardware.repository import to_lock
from controller.people import repository as people_repository
from controller.sync.changes import doors_of_people


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a credential stands at a lock that reaches no hub."""

    listed: bool
    reason: Unlisted | None  # why it is not on the list; None: it is
    group_ids: tuple[GroupId, ...]  # by whose right it is
    slots: int
    at_all_times: bool
    starts_at: datetime | None
    ends_at: datetime | None  # the latest of its grants; None: some grant has no end
    held: bool | None  # the list that the lock has confirmed names it; None: nobody knows
    pending: bool  # the lock does not hold yet what is wanted for this credential
    since: datetime | None  # when the lock confirmed what it holds of it now


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A credential that could be on a lock's list, and how it stands."""

    credential_id: CredentialId
    kind: CredentialKind
    label: str
    person_id: PersonId
    person_name: str
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExplained:
    """A lock's offline list, and one page of those who could be on it."""

    lock: SiteLock
    used: int  # slots
    schedules: int  # different ones
    candidates: tuple[Candidate, ...]  # by id


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLock:
    """How one credential stands at one lock."""

    lock_id: LockId
    lock_name: str
    standing: Standing


async def list_of_lock(
    tx: ReadSession,
    site_id: SiteId,
    lock_id: LockId,
    *,
    listed: bool | None,
    after_id: str | None,
    limit: int,
) -> ListExplained:
    """Return who is on a lock's offline list and who is not, each with the reason.

    Args:
        tx: The view to read in.
        site_id: The site.
        lock_id: The lock.
        listed: Only those who are on the list, or who are not; None: both.
        after_id: The credential after which the page starts.
        limit: Candidates at most.

    Raises:
        NotFound: The site has no such lock.
    """
    lock = await hardware.lock(tx, site_id, lock_id)
    rules, there = await _rules_at(tx, site_id, lock_id)
    wanted = rules.list_of(there)
    conditions: list[ColumnElement[bool]] = [_could_be_listed(there)]
    if listed is not None:
        named = credentials.c.id.in_(wanted.credential_ids)
        conditions.append(named if listed else ~named)
    page = await _page(tx, site_id, conditions, after_id=after_id, limit=limit)
    rules, _ = await _rules_at(tx, site_id, lock_id, page)
    told = _told(lock, (await held_lists(tx, site_id, [lock_id])).get(lock_id, []))
    return ListExplained(
        lock=lock,
        used=len(wanted.grants),
        schedules=len(wanted.schedules),
        candidates=tuple(
            Candidate(
                credential_id=row.id,
                kind=CredentialKind(row.kind),
                label=row.label,
                person_id=row.person_id,
                person_name=row.person_name,
                standing=_standing(rules, there, wanted, row, told),
            )
            for row in page
        ),
    )


async def _page(
    tx: ReadSession,
    site_id: SiteId,
    conditions: Sequence[ColumnElement[bool]],
    *,
    after_id: str | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return some credentials with their holders' names, by id."""
    holder = and_(people.c.site_id == credentials.c.site_id, people.c.id == credentials.c.person_id)
    some = (
        select(credentials, people.c.name.label("person_name"))
        .join(people, holder)
        .where(credentials.c.site_id == site_id, *conditions)
        .order_by(credentials.c.id)
        .limit(limit)
    )
    if after_id is not None:
        some = some.where(credentials.c.id > after_id)
    return (await tx.execute(some)).all()


async def locks_of_credential(
    tx: ReadSession,
    site_id: SiteId,
    person_id: PersonId,
    credential_id: CredentialId,
    *,
    after_id: str | None,
    limit: int,
) -> list[AtLock]:
    """Return how a credential stands at the locks that its person's groups open, by lock id.

    Raises:
        NotFound: The person holds none of this id.
    """
    held = await people_repository.credential(tx, site_id, person_id, credential_id)
    reached = await doors_of_people(tx, site_id, [person_id])
    page = select(locks).where(locks.c.site_id == site_id, locks.c.id.in_(reached))
    if after_id is not None:
        page = page.where(locks.c.id > after_id)
    found = [to_lock(row) for row in await tx.execute(page.order_by(locks.c.id).limit(limit))]
    one = select(credentials).where(credentials.c.site_id == site_id, credentials.c.id == held.id)
    row = (await tx.execute(one)).one()
    lock_ids = [lock.id for lock in found]
    state = await state_of_locks(tx, site_id, lock_ids)
    rules = OfflineRules(state)
    wanted = {lock.id: rules.list_of(lock) for lock in state.locks}
    state = await state_of_locks(tx, site_id, lock_ids, and_also=[row])
    rules, there = OfflineRules(state), {lock.id: lock for lock in state.locks}
    lists = await held_lists(tx, site_id, lock_ids)
    return [
        AtLock(
            lock_id=lock.id,
            lock_name=lock.name,
            standing=_standing(
                rules,
                there[lock.id],
                wanted[lock.id],
                row,
                _told(lock, lists.get(lock.id, [])),
            ),
        )
        for lock in found
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a lock has confirmed, and what it was meant to."""

    confirmed: HeldList | None  # None: the lock holds none, or nobody knows what it says
    wanted: HeldList | None
    is_known: bool
    confirmed_at: datetime | None

    def grants(self, digest: bytes) -> frozenset[HeldGrant]:
        return self.confirmed.grants.get(digest, frozenset()) if self.confirmed else frozenset()


def _told(lock: SiteLock, kept: Collection[HeldList]) -> _Told:
    by_hash = {one.hash: one for one in kept}
    confirmed = by_hash.get(lock.list_confirmed) if lock.list_confirmed else None
    return _Told(
        confirmed=confirmed,
        wanted=by_hash.get(lock.list_wanted) if lock.list_wanted else None,
        is_known=confirmed is not None or lock.list_confirmed is None,
        confirmed_at=lock.list_confirmed_at,
    )


def _standing(
    rules: OfflineRules, lock: Lock, wanted: OfflineList, row: Row[Any], told: _Told
) -> Standing:
    grants = [grant for grant in wanted.grants if grant.holder.credential.id == row.id]
    ends = [grant.ends_at for grant in grants]
    starts = [grant.starts_at for grant in grants]
    held = told.grants(row.digest)
    pending = _is_pending(grants, row.digest, told)
    return Standing(
        listed=bool(grants),
        reason=None if grants else _reason(rules, lock, wanted, row),
        group_ids=tuple(sorted({group_id for grant in grants for group_id in grant.group_ids})),
        slots=len(grants),
        at_all_times=any(grant.schedules is None for grant in grants),
        starts_at=None if None in starts else min(filter(None, starts), default=None),
        ends_at=None if None in ends else max(filter(None, ends), default=None),
        held=bool(held) if told.is_known else None,
        pending=pending,
        since=told.confirmed_at if held and not pending else None,
    )


def _is_pending(grants: Sequence[OfflineGrant], digest: bytes, told: _Told) -> bool:
    """Return whether the lock does not hold what is wanted of it for one credential.

    Until the list that is wanted has been compiled, only who is named can be compared.
    """
    held = told.grants(digest)
    if not told.is_known or bool(held) != bool(grants):
        return True
    return told.wanted is not None and told.wanted.grants.get(digest, frozenset()) != held


def _reason(rules: OfflineRules, lock: Lock, wanted: OfflineList, row: Row[Any]) -> Unlisted:
    if not row.usable:
        return Unlisted.CREDENTIAL_UNUSABLE
    held = to_credential(row)
    return rules.why_not(held, lock) or wanted.left_out.get(held.credential.id) or Unlisted.NO_SLOT


def _could_be_listed(lock: Lock) -> ColumnElement[bool]:
    """Return the condition for being a candidate: explicit, or a PIN where there is a keypad."""
    is_pin = credentials.c.kind == CredentialKind.PIN
    explicit = and_(credentials.c.offline, ~is_pin)
    return or_(explicit, is_pin) if lock.door.keypad else explicit


async def _rules_at(
    tx: ReadSession, site_id: SiteId, lock_id: LockId, and_also: Sequence[Row[Any]] = ()
) -> tuple[OfflineRules, Lock]:
    state = await state_of_locks(tx, site_id, [lock_id], and_also=and_also)
    (lock,) = state.locks
    return OfflineRules(state), lock
