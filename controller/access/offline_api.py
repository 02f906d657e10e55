"""Offline access over REST: who has it, where, and why not."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from controller.access.offline_access import Displaced, OfflineAccess
from controller.access.offline_lists import (
    AtLock,
    Candidate,
    ListExplained,
    list_of_lock,
    locks_of_credential,
)
from controller.domain.access import CredentialKind
from controller.domain.ids import CredentialId, GroupId, LockId, PersonId, SiteId
from controller.domain.offline import SCHEDULES_MAX, Unlisted
from controller.domain.roles import Action
from controller.people.credentials_api import CREDENTIAL, CredentialOut, shown
from controller.web.api import Call, delete, get, put
from controller.web.models import Out
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

OFFLINE = CREDENTIAL + "/offline"


class StandingOut(Out):
    """How a credential stands at a lock that reaches no hub."""

    listed: Annotated[bool, Field(description="On the list as it is wanted.")]
    reason: Annotated[Unlisted | None, Field(description="Why it is not on the list.")]
    group_ids: Annotated[list[GroupId], Field(description="By whose right it is on the list.")]
    slots: Annotated[int, Field(description="Of the lock's slots; one for each time frame.")]
    at_all_times: bool
    starts_at: datetime | None
    ends_at: datetime | None
    held: Annotated[
        bool | None,
        Field(description="The list that the lock has confirmed names it; null: nobody knows."),
    ]
    pending: Annotated[bool, Field(description="The lock has yet to confirm what is wanted.")]
    since: Annotated[
        datetime | None, Field(description="Since when, at the latest, the lock holds it.")
    ]


class CandidateOut(StandingOut):
    """A credential that could be on a lock's list."""

    credential_id: CredentialId
    kind: CredentialKind
    label: str
    person_id: PersonId
    person_name: str

    @classmethod
    def of(cls, one: Candidate) -> Self:
        """Return a candidate as it is shown."""
        return cls(
            credential_id=one.credential_id,
            kind=one.kind,
            label=one.label,
            person_id=one.person_id,
            person_name=one.person_name,
            **asdict(one.standing),
        )


class OfflineListOut(Page[CandidateOut]):
    """Who may open a lock that reaches no hub, and who may not and why."""

    capacity: Annotated[int, Field(description="Slots.")]
    used: Annotated[int, Field(description="Slots that the list takes.")]
    schedules_max: int = SCHEDULES_MAX
    schedules_used: int
    pending: Annotated[bool, Field(description="The lock has yet to confirm its list.")]
    confirmed_at: datetime | None

    @classmethod
    def of(cls, one: ListExplained, limit: int) -> Self:
        """Return a list as it is shown."""
        shown = [CandidateOut.of(candidate) for candidate in one.candidates]
        page = page_of(shown, limit, lambda candidate: (candidate.credential_id,))
        return cls(
            items=page.items,
            next_cursor=page.next_cursor,
            capacity=one.lock.capacity,
            used=one.used,
            schedules_used=one.schedules,
            pending=one.lock.pending,
            confirmed_at=one.lock.list_confirmed_at,
        )


class AtLockOut(StandingOut):
    """How a credential stands at one lock."""

    lock_id: LockId
    lock_name: str

    @classmethod
    def of(cls, one: AtLock) -> Self:
        """Return it as it is shown."""
        return cls(lock_id=one.lock_id, lock_name=one.lock_name, **asdict(one.standing))


class DisplacedOut(Out):
    """A PIN that lost its place on a lock's list."""

    lock_id: LockId
    credential_id: CredentialId
    person_id: PersonId

    @classmethod
    def of(cls, one: Displaced) -> Self:
        """Return it as it is shown."""
        return cls(lock_id=one.lock_id, credential_id=one.credential_id, person_id=one.person_id)


class GrantedOut(CredentialOut):
    """A credential with offline access, and what that has led to."""

    displaced: Annotated[
        list[DisplacedOut], Field(description="PINs that lost their place to it, by lock.")
    ]


class OfflineApi:
    """The offline access of a site."""

    tag = "offline access"

    def __init__(self, offline: OfflineAccess) -> None:
        self._offline = offline

    @get("/sites/{site_id}/locks/{lock_id}/offline-list", requires=Action.READ_ACCESS)
    async def of_lock(
        self,
        call: Call,
        site_id: SiteId,
        lock_id: LockId,
        *,
        listed: bool | None = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> OfflineListOut:
        """Tell who may open a lock that reaches no hub, and who may not and why.

        ``listed`` leaves out those who are not on the list, or those who are.
        """
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            found = await list_of_lock(
                tx,
                site_id,
                lock_id,
                listed=listed,
                after_id=str(after[0]) if after else None,
                limit=limit + 1,
            )
        return OfflineListOut.of(found, limit)

    @get(OFFLINE, requires=Action.READ_ACCESS)
    async def of_credential(
        self,
        call: Call,
        site_id: SiteId,
        person_id: PersonId,
        credential_id: CredentialId,
        *,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[AtLockOut]:
        """Tell at which of the person's locks a credential opens while they reach no hub."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            found = await locks_of_credential(
                tx,
                site_id,
                person_id,
                credential_id,
                after_id=str(after[0]) if after else None,
                limit=limit + 1,
            )
        return page_of([AtLockOut.of(one) for one in found], limit, lambda one: (one.lock_id,))

    @put(OFFLINE, requires=Action.MANAGE_OFFLINE)
    async def grant(
        self, call: Call, site_id: SiteId, person_id: PersonId, credential_id: CredentialId
    ) -> GrantedOut:
        """Grant a tag or a digital key offline access; doing it twice changes nothing.

        A lock without room refuses it. PINs give way; the answer says which.
        """
        async with call.db.write() as tx:
            saved, displaced = await self._offline.set(
                tx,
                call.actor,
                site_id,
                person_id,
                credential_id=credential_id,
                offline=True,
                now=call.now,
            )
        return GrantedOut(
            **shown(saved),
            displaced=[DisplacedOut.of(one) for one in displaced],
        )

    @delete(OFFLINE, requires=Action.MANAGE_OFFLINE)
    async def take(
        self, call: Call, site_id: SiteId, person_id: PersonId, credential_id: CredentialId
    ) -> None:
        """Take offline access from a tag or a digital key."""
        async with call.db.write() as tx:
            await self._offline.set(
                tx,
                call.actor,
                site_id,
                person_id,
                credential_id=credential_id,
                offline=False,
                now=call.now,
            )
