"""Revocations over REST: what each may still let happen, at which lock and until when."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from controller.access.revocations import Revocation, Revocations, StillOpen
from controller.domain.access import CredentialKind
from controller.domain.ids import CredentialId, LockId, PersonId, SiteId
from controller.domain.roles import Action
from controller.domain.worst_case import Opening, Way, latest
from controller.web.api import Call, get
from controller.web.models import Out
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

REVOCATIONS = "/sites/{site_id}/revocations"
LOCKS_SHOWN: Final = 100  # of one revocation; how many there are is told


class OpeningOut(Out):
    """One way in which a lock may still open."""

    way: Way
    until: Annotated[
        datetime | None, Field(description="First instant not; null: until the lock is reached.")
    ]

    @classmethod
    def of(cls, one: Opening) -> Self:
        """Return it as it is shown."""
        return cls(way=one.way, until=one.until)


class StillOpenOut(Out):
    """A lock that may still open to the credential."""

    lock_id: LockId
    lock_name: str
    until: Annotated[
        datetime | None, Field(description="The last of its ways; null: until it is reached.")
    ]
    ways: list[OpeningOut]

    @classmethod
    def of(cls, one: StillOpen) -> Self:
        """Return it as it is shown."""
        return cls(
            lock_id=one.lock_id,
            lock_name=one.lock_name,
            until=one.until,
            ways=[OpeningOut.of(opening) for opening in one.openings],
        )


class RevocationOut(Out):
    """A credential that lost a right, and the worst that may still happen."""

    number: Annotated[int, Field(description="Of the edit that took the right; it only grows.")]
    credential_id: CredentialId
    kind: CredentialKind
    label: Annotated[str | None, Field(description="null: the credential has been deleted.")]
    person_id: PersonId
    person_name: Annotated[str | None, Field(description="null: the person has been deleted.")]
    revoked_at: datetime
    state: Annotated[
        Literal["pending", "done"], Field(description="done: no lock can open to it any more.")
    ]
    done_at: datetime | None
    until: Annotated[
        datetime | None,
        Field(description="When the last lock cannot any more; null: done, or see until_reached."),
    ]
    until_reached: Annotated[
        bool, Field(description="Some lock may open until it is reached, whenever that is.")
    ]
    open_locks: Annotated[int, Field(description="How many locks may still open.")]
    locks: Annotated[
        list[StillOpenOut], Field(description=f"At most {LOCKS_SHOWN}, the longest first.")
    ]

    @classmethod
    def of(cls, one: Revocation) -> Self:
        """Return a revocation as it is shown."""
        until = latest(tuple(opening for lock in one.locks for opening in lock.openings))
        return cls(
            number=one.number,
            credential_id=one.credential_id,
            kind=one.kind,
            label=one.label,
            person_id=one.person_id,
            person_name=one.person_name,
            revoked_at=one.revoked_at,
            state="pending" if one.locks else "done",
            done_at=one.done_at,
            until=until,
            until_reached=bool(one.locks) and until is None,
            open_locks=len(one.locks),
            locks=[StillOpenOut.of(lock) for lock in one.locks[:LOCKS_SHOWN]],
        )


class RevocationsApi:
    """The revocations of a site."""

    tag = "revocations"

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    @get(REVOCATIONS, requires=Action.READ_ACCESS)
    async def listed(
        self,
        call: Call,
        site_id: SiteId,
        *,
        unconfirmed: bool = False,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[RevocationOut]:
        """List who lost a right, newest first, each with its worst case.

        ``unconfirmed`` leaves out what every lock has confirmed.
        """
        return await self._page(
            call, site_id, None, cursor=cursor, limit=limit, unconfirmed=unconfirmed
        )

    @get(REVOCATIONS + "/{credential_id}", requires=Action.READ_ACCESS)
    async def of_credential(
        self,
        call: Call,
        site_id: SiteId,
        credential_id: CredentialId,
        *,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[RevocationOut]:
        """List what one credential lost, newest first; it may have been deleted since."""
        return await self._page(
            call, site_id, credential_id, cursor=cursor, limit=limit, unconfirmed=False
        )

    async def _page(
        self,
        call: Call,
        site_id: SiteId,
        credential_id: CredentialId | None,
        *,
        cursor: str | None,
        limit: int,
        unconfirmed: bool,
    ) -> Page[RevocationOut]:
        after = decoded(cursor, int, str)
        async with call.db.read() as tx:
            found = await self._revocations.page(
                tx,
                site_id,
                now=call.now,
                credential_id=credential_id,
                unconfirmed=unconfirmed,
                after=(int(after[0]), str(after[1])) if after else None,
                limit=limit + 1,
            )
        shown = [RevocationOut.of(one) for one in found]
        return page_of(shown, limit, lambda one: (one.number, one.credential_id))
