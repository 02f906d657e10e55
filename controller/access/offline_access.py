"""Give a tag or a digital key offline access, or take it away."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select

from controller.access.offline_rows import state_of_locks
from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import locks
from controller.domain.access import CredentialKind
from controller.domain.ids import CredentialId, LockId, PersonId, SiteId
from controller.domain.offline import OfflineRules
from controller.domain.people import SiteCredential
from controller.domain.roles import Action, Actor
from controller.people import repository
from controller.people.changes import Changes
from controller.people.credentials import require_grantable
from controller.sync.changes import Touched, doors_of_people


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Displaced:
    """A PIN that lost its place on a lock's list to an explicit credential."""

    lock_id: LockId
    credential_id: CredentialId
    person_id: PersonId


class OfflineAccess:
    """The explicit offline access of sites' credentials."""

    def __init__(self, *, changes: Changes) -> None:
        self._changes = changes

    async def set(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        credential_id: CredentialId,
        offline: bool,
        now: datetime,
    ) -> tuple[SiteCredential, tuple[Displaced, ...]]:
        """Grant offline access or take it; doing it twice changes nothing.

        Returns:
            The credential, and the PINs that lost their place to it.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The person holds none of this id.
            OfflineAutomatic: It is a PIN.
            OfflineListFull: A lock has no room for it.
            OfflineSchedulesFull: A lock cannot keep one of its schedules.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_OFFLINE, site_id, now=now)
        before = await repository.credential(tx, site_id, person_id, credential_id)
        after = replace(before, offline=offline)
        require_grantable(after)
        if after == before:
            return before, ()
        lock_ids = await _keypads_of(tx, site_id, person_id)
        listed = await _pins_listed(tx, site_id, lock_ids)
        saved = await repository.save_credential(tx, after, if_match=before.version)
        displaced = tuple(sorted(listed - await _pins_listed(tx, site_id, lock_ids)))
        await self._end(tx, actor, saved, displaced, now=now)
        return saved, displaced

    async def _end(
        self,
        tx: Session,
        actor: Actor,
        saved: SiteCredential,
        displaced: tuple[Displaced, ...],
        *,
        now: datetime,
    ) -> None:
        await self._changes.end(
            tx,
            actor,
            "offline_access_granted" if saved.offline else "offline_access_taken",
            site_id=saved.site_id,
            object_kind="credential",
            object_id=saved.id,
            now=now,
            facts={
                "person_id": saved.person_id,
                "kind": str(saved.kind),
                "displaced": [[pin.lock_id, pin.credential_id] for pin in displaced],
            },
            touched=Touched.people(saved.person_id),
        )


async def _keypads_of(tx: ReadSession, site_id: SiteId, person_id: PersonId) -> list[LockId]:
    """Return the locks with a keypad at which a person has a right."""
    reached = await doors_of_people(tx, site_id, [person_id])
    rows = await tx.execute(
        select(locks.c.id).where(
            locks.c.site_id == site_id, locks.c.keypad, locks.c.id.in_(reached)
        )
    )
    return [LockId(row.id) for row in rows]


async def _pins_listed(
    tx: ReadSession, site_id: SiteId, lock_ids: list[LockId]
) -> frozenset[Displaced]:
    """Return the PINs that are on the lists of some locks, as the rows are now."""
    state = await state_of_locks(tx, site_id, lock_ids)
    rules = OfflineRules(state)
    return frozenset(
        Displaced(
            lock_id=lock.id,
            credential_id=grant.holder.credential.id,
            person_id=grant.holder.credential.person_id,
        )
        for lock in state.locks
        for grant in rules.list_of(lock).grants
        if grant.holder.credential.kind is CredentialKind.PIN
    )
