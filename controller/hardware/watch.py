"""Notice what lasts: devices that stay away, and revocations that no lock confirms.

Nothing tells of these, so somebody has to look. What is seen for less than a minute of the link
clock is nothing yet: a line that flaps makes no incident. The minute is counted in memory, so a
restart begins it anew.

Source: docs/algorithms/incidents.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, and_, func, select

from controller.activity import incidents as book
from controller.activity.incidents import NewIncident
from controller.activity.service import Audience
from controller.db.engine import Session
from controller.db.tables.activity import incidents
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.revocations import revocation_locks, revocations
from controller.domain.hardware import BATTERY_GOOD_ABOVE
from controller.domain.ids import HubId, LockId, SiteId
from controller.domain.incidents import IncidentKind
from controller.ports import LinkClock

LASTS_S: Final = 60.0  # link clock
LOOK_S: Final = 5.0  # likewise
SEEN_MAX: Final = 10_000  # of a kind
_WATCHED: Final = (
    IncidentKind.HUB_OFFLINE,
    IncidentKind.LOCK_OFFLINE,
    IncidentKind.REVOCATION_UNCONFIRMED,
    IncidentKind.BATTERY_LOW,
)

Thing = tuple[IncidentKind, str]
"""What is seen: the kind, and the lock or else the hub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    kind: IncidentKind
    site_id: SiteId
    hub_id: HubId
    lock_id: LockId | None
    at: datetime  # calendar
    mark: datetime  # tells this time from other times

    @property
    def thing(self) -> Thing:
        return self.kind, self.lock_id or self.hub_id


@dataclass(slots=True)
class Watch:
    """Looks at devices every few seconds; a timer's work."""

    link: LinkClock
    audience: Audience
    _next_s: float = 0.0
    _since_s: dict[tuple[Thing, datetime], float] = field(default_factory=dict)

    async def __call__(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Write the incidents that have lasted, end those that are over, and return how many.

        Args:
            tx: The transaction.
            now: The calendar's instant.
            limit: Incidents at most; the next call goes on.
        """
        at_s = self.link.now()
        if at_s < self._next_s:
            return 0
        seen = [*await _offline(tx), *await _unconfirmed(tx)]
        self._since_s = {
            (one.thing, one.mark): self._since_s.get((one.thing, one.mark), at_s) for one in seen
        }
        going_on = await _going_on(tx)
        known = {(row.kind, row.lock_id or row.hub_id) for row in going_on}
        lasting = [
            one
            for one in seen
            if at_s - self._since_s[one.thing, one.mark] >= LASTS_S and one.thing not in known
        ][:limit]
        happened = await book.begin(tx, [_new(one) for one in lasting], now=now)
        await self.audience.note(tx, happened, now=now)
        over = await _over(tx, going_on, {one.thing for one in seen}, now=now)
        await book.end(tx, over)
        if len(lasting) < limit:
            self._next_s = at_s + LOOK_S
        return len(lasting)


async def _unconfirmed(tx: Session) -> list[_Seen]:
    """Return the locks that do not know yet of a revocation, or whose hub does not.

    A lock that never held a list opens to nobody by itself.
    """
    known = and_(
        revocations.c.site_id == revocation_locks.c.site_id,
        revocations.c.number == revocation_locks.c.number,
    )
    here = and_(
        locks.c.site_id == revocation_locks.c.site_id, locks.c.id == revocation_locks.c.lock_id
    )
    rows = await tx.execute(
        select(
            locks.c.site_id,
            locks.c.id,
            locks.c.hub_id,
            func.min(revocations.c.revoked_at).label("revoked_at"),
        )
        .select_from(revocation_locks.join(revocations, known).join(locks, here))
        .where(revocation_locks.c.confirmed_at.is_(None), locks.c.list_confirmed_at.is_not(None))
        .group_by(locks.c.site_id, locks.c.id, locks.c.hub_id)
        .order_by(locks.c.site_id, locks.c.id)
        .limit(SEEN_MAX)
    )
    return [
        _Seen(
            kind=IncidentKind.REVOCATION_UNCONFIRMED,
            site_id=row.site_id,
            hub_id=row.hub_id,
            lock_id=row.id,
            at=row.revoked_at,
            mark=row.revoked_at,
        )
        for row in rows
    ]


async def _offline(tx: Session) -> list[_Seen]:
    """Return the hubs and locks of which it is known that they are away."""
    away = select(hubs.c.site_id, hubs.c.id, hubs.c.online_since).where(
        hubs.c.online.is_(False), hubs.c.retired_at.is_(None)
    )
    lost = select(locks.c.site_id, locks.c.id, locks.c.hub_id, locks.c.online_since).where(
        locks.c.online.is_(False)
    )
    return [
        *(
            _Seen(
                kind=IncidentKind.HUB_OFFLINE,
                site_id=row.site_id,
                hub_id=row.id,
                lock_id=None,
                at=row.online_since,
                mark=row.online_since,
            )
            for row in await tx.execute(away.order_by(hubs.c.id).limit(SEEN_MAX))
        ),
        *(
            _Seen(
                kind=IncidentKind.LOCK_OFFLINE,
                site_id=row.site_id,
                hub_id=row.hub_id,
                lock_id=row.id,
                at=row.online_since,
                mark=row.online_since,
            )
            for row in await tx.execute(lost.order_by(locks.c.id).limit(SEEN_MAX))
        ),
    ]


async def _going_on(tx: Session) -> Sequence[Row[Any]]:
    found = await tx.execute(
        select(incidents)
        .where(incidents.c.over_at.is_(None), incidents.c.kind.in_(_WATCHED))
        .order_by(incidents.c.site_id, incidents.c.id)
        .limit(SEEN_MAX)
    )
    return found.all()


async def _over(
    tx: Session,
    going_on: Sequence[Row[Any]],
    seen: set[Thing],
    *,
    now: datetime,
) -> dict[tuple[SiteId, str], datetime]:
    """Return which incidents are over, and since when.

    A device that nobody knows anything of is not back; one that is gone from the site is no
    incident any more.
    """
    hub_ids = {row.hub_id for row in going_on if row.lock_id is None}
    lock_ids = {row.lock_id for row in going_on if row.lock_id is not None}
    hub_rows = await tx.execute(
        select(hubs.c.id, hubs.c.online, hubs.c.online_since).where(
            hubs.c.id.in_(hub_ids), hubs.c.retired_at.is_(None)
        )
    )
    lock_rows = await tx.execute(
        select(locks.c.id, locks.c.online, locks.c.online_since, locks.c.battery).where(
            locks.c.site_id.in_({row.site_id for row in going_on}), locks.c.id.in_(lock_ids)
        )
    )
    devices = {row.id: row for rows in (hub_rows, lock_rows) for row in rows}
    over = {}
    for row in going_on:
        device = devices.get(row.lock_id or row.hub_id)
        kind = IncidentKind(row.kind)
        if device is None:
            over[row.site_id, row.id] = now
        elif kind is IncidentKind.BATTERY_LOW:
            if device.battery is not None and device.battery > BATTERY_GOOD_ABOVE:
                over[row.site_id, row.id] = now
        elif kind is IncidentKind.REVOCATION_UNCONFIRMED:
            if (kind, row.lock_id) not in seen:
                over[row.site_id, row.id] = now
        elif device.online:
            over[row.site_id, row.id] = device.online_since
    return over


def _new(one: _Seen) -> NewIncident:
    kind, device_id = one.thing
    return NewIncident(
        site_id=one.site_id,
        kind=kind,
        once_key=f"{kind} {device_id} {one.mark.isoformat()}",
        at=one.at,
        lock_id=one.lock_id,
        hub_id=one.hub_id,
    )
