"""What a site's subscription does by itself: it expires, and it announces that it will.

Work is claimed in batches: on PostgreSQL rows that another controller holds are left to it, and
every UPDATE is guarded, so any number of controllers make one change of each. A batch is a few
statements, however many sites it has.

Add-ons, seats and people that have run out need no work: their ends are compared with the present
instant wherever they are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, bindparam, func, select, text, update

from controller.audit.service import Audit, Change
from controller.db.engine import ReadSession, Session
from controller.db.tables.sites import sites
from controller.db.tables.subscriptions import subscriptions
from controller.domain.errors import Conflict
from controller.domain.ids import SiteId
from controller.domain.instants import to_seconds, to_text
from controller.domain.ledger import postings
from controller.domain.reminders import due, next_at
from controller.domain.roles import SYSTEM
from controller.domain.subscription import Subscription, expire
from controller.outbox import service as outbox
from controller.outbox.service import Item
from controller.subscriptions import repository
from controller.subscriptions.repository import Written, subscription_of
from controller.sync.service import Sync

_RUNNING: Final = text("NOT subscriptions.expired")  # in the words of the index


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    site_id: SiteId
    zone: ZoneInfo
    subscription: Subscription
    version: int


class Due:
    """Expiries and reminders."""

    def __init__(self, audit: Audit, sync: Sync) -> None:
        self._audit = audit
        self._sync = sync

    async def expire(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Record that subscriptions have ended, oldest end first.

        Returns:
            How many, at most ``limit``.
        """
        over = await _claimable(
            tx, (_RUNNING, subscriptions.c.ends_at <= now), subscriptions.c.ends_at, limit
        )
        if not over:
            return 0
        site_ids = [one.site_id for one in over]
        marked = await tx.execute(
            update(subscriptions)
            .where(subscriptions.c.site_id.in_(site_ids), _RUNNING, subscriptions.c.ends_at <= now)
            .values(expired=True, reminder_at=None, version=subscriptions.c.version + 1)
        )
        if marked.rowcount != len(over):
            raise Conflict("Another controller recorded some of these ends first.")
        written = [_expired(one, now) for one in over]
        await repository.append(tx, written)
        await self.announce(tx, written, now=now)
        await self._sync.request_lease(tx, site_ids, now=now)
        return len(over)

    async def announce(self, tx: Session, expired: Sequence[Written], *, now: datetime) -> None:
        """Write audit and outbox of recorded ends."""
        changes = [
            Change(
                site_id=one.site_id,
                object_kind="subscription",
                object_id=one.site_id,
                facts={"ended_at": to_text(one.entry.at)},
            )
            for one in expired
        ]
        await self._audit.record_all(tx, SYSTEM, "subscription_expired", changes, now=now)
        items = [
            Item(
                site_id=one.site_id,
                facts={"ended_at": to_text(one.entry.at)},
                once_key=f"subscription.expired {one.site_id} {one.number}",
            )
            for one in expired
        ]
        await outbox.put_all(tx, "subscription.expired", items, now=now)

    async def remind(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Put the reminders that are due into the outbox, each once.

        Returns:
            How many subscriptions were looked at, at most ``limit``.
        """
        ripe = await _claimable(
            tx, (subscriptions.c.reminder_at <= now,), subscriptions.c.reminder_at, limit
        )
        if not ripe:
            return 0
        this = (
            subscriptions.c.site_id == bindparam("site"),
            subscriptions.c.version == bindparam("version_read"),
        )
        await tx.execute(
            update(subscriptions).where(*this).values(reminder_at=bindparam("next_at")),
            [
                {
                    "site": one.site_id,
                    "version_read": one.version,
                    "next_at": next_at(one.subscription, zone=one.zone, now=now),
                }
                for one in ripe
            ],
        )
        reminders = [item for one in ripe if (item := _reminder(one, now))]
        if reminders:
            await outbox.put_all(tx, "subscription.ending", reminders, now=now, to_mail=True)
        return len(ripe)


async def next_due_at(tx: ReadSession) -> datetime | None:
    """Return when ``expire`` or ``remind`` has work again."""
    ends_at = select(func.min(subscriptions.c.ends_at)).where(_RUNNING)
    reminder_at = select(func.min(subscriptions.c.reminder_at)).where(
        subscriptions.c.reminder_at.is_not(None)
    )
    row = (await tx.execute(select(ends_at.scalar_subquery(), reminder_at.scalar_subquery()))).one()
    return min((instant for instant in row if instant is not None), default=None)


async def _claimable(tx: Session, conditions: Any, order: Any, limit: int) -> list[_Due]:
    rows = await tx.execute(
        select(subscriptions, sites.c.time_zone)
        .join(sites, sites.c.id == subscriptions.c.site_id)
        .where(*conditions)
        .order_by(order)
        .limit(limit)
        .with_for_update(of=subscriptions, skip_locked=True)
    )
    return [_due_of(row) for row in rows]


def _due_of(row: Row[Any]) -> _Due:
    return _Due(
        site_id=SiteId(row.site_id),
        zone=ZoneInfo(row.time_zone),
        subscription=subscription_of(row),
        version=row.version,
    )


def _expired(one: _Due, now: datetime) -> Written:
    entries = expire(one.subscription, now=now).entries
    return Written(
        site_id=one.site_id,
        number=one.version + 1,
        entry=entries[0],
        posting=postings(one.subscription, entries)[0],
        actor=SYSTEM,
    )


def _reminder(one: _Due, now: datetime) -> Item | None:
    reminder = due(one.subscription, zone=one.zone, sent_days=None, now=now)
    if reminder is None:
        return None
    ends_at = one.subscription.ends_at
    return Item(
        site_id=one.site_id,
        facts={"days_before": reminder.days_before, "ends_at": to_text(ends_at)},
        once_key=f"subscription.ending {one.site_id} {to_seconds(ends_at)} {reminder.days_before}",
    )
