"""What happens at a site, numbered, for whoever listens and wants to miss nothing.

Each happening gets the next number of its site in the transaction that writes it down. Whoever was
cut off goes on behind the last number that arrived, for a week; who is further behind is told so.
"""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from controller.activity.service import Audience
from controller.db.engine import Database, ReadSession, Session
from controller.db.tables.notifications import events
from controller.db.tables.sites import sites
from controller.domain.happenings import Happening
from controller.domain.ids import SiteId
from controller.domain.instants import to_text
from controller.ports import Bus
from controller.web.stream import BEAT_S, Event

KEPT: Final = timedelta(days=7)
AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Everybody:
    """All who are told what is new, in order."""

    audiences: Collection[Audience]

    async def note(self, tx: Session, happenings: Sequence[Happening], *, now: datetime) -> None:
        """Tell each of them."""
        for audience in self.audiences:
            await audience.note(tx, happenings, now=now)


class Events:
    """The numbered happenings of sites."""

    def __init__(self, db: Database, bus: Bus) -> None:
        self._db = db
        self._bus = bus

    async def note(self, tx: Session, happenings: Sequence[Happening], *, now: datetime) -> None:
        """Number what is new. The site's row is held until the commit, so numbers come in order."""
        for site_id in sorted({happening.site_id for happening in happenings}):
            some = [happening for happening in happenings if happening.site_id == site_id]
            raised = await tx.execute(
                update(sites)
                .where(sites.c.id == site_id)
                .values(event_number=sites.c.event_number + len(some))
                .returning(sites.c.event_number)
            )
            newest: int = raised.scalar_one()
            first = newest - len(some) + 1
            await tx.execute(
                insert(events),
                [
                    {
                        "site_id": site_id,
                        "number": number,
                        "kind": happening.kind,
                        "facts": _facts(happening),
                        "created_at": now,
                    }
                    for number, happening in enumerate(some, first)
                ],
            )
            tx.on_commit(partial(self._bus.wake, _topic(site_id)))

    async def forget(self, tx: Session, *, now: datetime, limit: int) -> int:
        """Delete events older than a week, and return how many, at most ``limit``."""
        old = select(events.c.site_id, events.c.number).where(events.c.created_at < now - KEPT)
        rows = (await tx.execute(old.limit(limit))).all()
        for row in rows:
            this = (events.c.site_id == row.site_id, events.c.number == row.number)
            await tx.execute(delete(events).where(*this))
        return len(rows)

    async def newest(self, tx: ReadSession, site_id: SiteId) -> int:
        """Return the number of a site's newest event."""
        found = select(sites.c.event_number).where(sites.c.id == site_id)
        return int((await tx.execute(found)).scalar_one())

    async def follow(self, site_id: SiteId, *, after: int) -> AsyncIterator[Sequence[Event]]:
        """Give events behind a number as they come; nothing for a while is an empty batch."""
        with self._bus.subscribe(_topic(site_id)) as waiter:
            while True:  # for as long as somebody listens
                found = await self._behind(site_id, after)
                if found:
                    after = int(found[-1].id)
                    yield found
                elif not await waiter.wait(BEAT_S):
                    yield []

    async def _behind(self, site_id: SiteId, after: int) -> list[Event]:
        async with self._db.read() as tx:
            oldest = select(func.min(events.c.number)).where(events.c.site_id == site_id)
            first = (await tx.execute(oldest)).scalar()
            newest = await self.newest(tx, site_id)
            some = (
                select(events)
                .where(events.c.site_id == site_id, events.c.number > after)
                .order_by(events.c.number)
                .limit(AT_ONCE)
            )
            rows = (await tx.execute(some)).all()
        kept_from = newest + 1 if first is None else first
        missed = []
        if after + 1 < kept_from:
            facts = json.dumps({"first_missed": after + 1, "last_missed": kept_from - 1})
            missed = [Event(id=str(kept_from - 1), kind="missed", data=facts)]
        return [
            *missed,
            *(Event(id=str(row.number), kind=row.kind, data=json.dumps(row.facts)) for row in rows),
        ]


def _topic(site_id: str) -> str:
    return f"events {site_id}"


def _facts(happening: Happening) -> dict[str, object]:
    return {
        "id": happening.id,
        "kind": happening.kind,
        "at": to_text(happening.at),
        "lock_id": happening.lock_id,
        "hub_id": happening.hub_id,
        "person_id": happening.person_id,
        "reason": happening.reason,
        "count": happening.count,
    }
