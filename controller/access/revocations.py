"""Every revocation with its worst case: which locks may still open, how and until when."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, select

from controller.access import revocations_queries as queries
from controller.access.revocations_queries import OpenPlace
from controller.db.engine import ReadSession
from controller.db.tables.people import credentials
from controller.domain.access import CredentialKind
from controller.domain.errors import NotFound
from controller.domain.ids import CredentialId, LockId, PersonId, SiteId
from controller.domain.worst_case import Opening, latest, openings, over_at

_EVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StillOpen:
    """A lock that may still open to a revoked credential."""

    lock_id: LockId
    lock_name: str
    openings: tuple[Opening, ...]

    @property
    def until(self) -> datetime | None:
        """Return when it cannot any more; None: not before it is reached."""
        return latest(self.openings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A credential that lost a right, and what may still happen."""

    number: int
    credential_id: CredentialId
    kind: CredentialKind
    label: str | None  # None: the credential has been deleted
    person_id: PersonId
    person_name: str | None  # None: the person has been deleted
    revoked_at: datetime
    done_at: datetime | None  # since when no lock can open any more; None: one may
    locks: tuple[StillOpen, ...]  # that may, the longest first


class Revocations:
    """The revocations of sites."""

    def __init__(self, *, offline_grace: timedelta) -> None:
        self._grace = offline_grace

    async def page(
        self,
        tx: ReadSession,
        site_id: SiteId,
        *,
        now: datetime,
        credential_id: CredentialId | None = None,
        unconfirmed: bool = False,
        after: tuple[int, str] | None = None,
        limit: int,
    ) -> list[Revocation]:
        """Return revocations of a site, newest first.

        Args:
            tx: The view to read in.
            site_id: The site.
            now: The instant.
            credential_id: Only of this credential, which may have been deleted.
            unconfirmed: Only those that not every lock has confirmed.
            after: Number and credential of the last one of the page before.
            limit: How many at most.

        Raises:
            NotFound: The site never had such a credential, or it was never revoked and is gone.
        """
        rows = await queries.page(
            tx,
            site_id,
            credential_id=credential_id,
            unconfirmed=unconfirmed,
            after=after,
            limit=limit,
        )
        if credential_id is not None and not rows:
            await _require_known(tx, site_id, credential_id)
        confirmed = await queries.confirmed_last(tx, site_id, {row.number for row in rows})
        places: defaultdict[tuple[int, bytes], list[OpenPlace]] = defaultdict(list)
        for place in await queries.open_places(tx, site_id, rows, grace=self._grace):
            places[place.number, place.digest].append(place)
        return [
            _judged(row, places[row.number, row.digest], confirmed.get(row.number), now=now)
            for row in rows
        ]


def _judged(
    row: Row[Any], places: list[OpenPlace], confirmed_at: datetime | None, *, now: datetime
) -> Revocation:
    still = [
        StillOpen(
            lock_id=one.lock_id,
            lock_name=one.lock_name,
            openings=openings(one.place, one.before, now=now),
        )
        for one in places
    ]
    found = [one for one in still if one.openings]
    over = [over_at(one.place, one.before, revoked_at=row.revoked_at) for one in places]
    done_at = max([row.revoked_at, *over, *([confirmed_at] if confirmed_at else [])])
    return Revocation(
        number=row.number,
        credential_id=row.credential_id,
        kind=CredentialKind(row.kind),
        label=row.label,
        person_id=row.person_id,
        person_name=row.person_name,
        revoked_at=row.revoked_at,
        done_at=None if found else done_at,
        locks=tuple(
            sorted(
                sorted(found, key=lambda one: one.lock_id),
                key=lambda one: one.until or _EVER,
                reverse=True,
            )
        ),
    )


async def _require_known(tx: ReadSession, site_id: SiteId, credential_id: CredentialId) -> None:
    known = select(credentials.c.id).where(
        credentials.c.site_id == site_id, credentials.c.id == credential_id
    )
    if (await tx.execute(known)).first() is None:
        raise NotFound("There is no such credential at this site.", object="credential")
