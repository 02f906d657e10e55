"""What was made with a feature, when the site is no longer entitled to it, or is again.

Nothing is deleted. Lockers, pods and custom PINs carry a flag that says whether they may be used;
hubs and lists are compiled from these flags and never from a clock. The flags change here, in the
transaction that changes what the site is entitled to. While no subscription runs nothing is
changed: its hubs answer nobody then.

What comes back must not hold up a redemption: a locker or pod whose people no longer fit into the
offline list of a lock stays shut until the next time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, select, union, update

from controller.db.engine import Session
from controller.db.tables.access import (
    group_locks,
    group_people,
    locker_people,
    lockers,
    pod_locks,
    pod_people,
    pods,
)
from controller.domain.catalogue import Component, Feature
from controller.domain.ids import SiteId
from controller.domain.offline import OfflineListFull, OfflineSchedulesFull
from controller.people.changes import Changes
from controller.people.custom_pins import CustomPins
from controller.people.repository import pin_settings
from controller.subscriptions.entitlement import Entitlement
from controller.sync.changes import Touched
from controller.sync.revocations import revoke_people


class Gates:
    """Opens and closes what features gate."""

    def __init__(
        self, *, changes: Changes, entitlement: Entitlement, custom_pins: CustomPins
    ) -> None:
        self._changes = changes
        self._entitlement = entitlement
        self._custom_pins = custom_pins

    async def settle(self, tx: Session, site_id: SiteId, *, now: datetime) -> None:
        """Bring all flags of a site to what it is entitled to now; doing it twice changes nothing.

        Args:
            tx: The transaction that changed the entitlement, with the site's turn.
            site_id: The site.
            now: The instant.
        """
        entitled = await self._entitlement.entitled(tx, site_id, now=now)
        if not entitled.active:
            return
        has_lockers = Feature.LOCKERS in entitled.features
        room = entitled.limits[Component.LOCKERS] if has_lockers else 0
        await self._settle_lockers(tx, site_id, room, now=now)
        await self._settle_pods(tx, site_id, usable=Feature.PODS in entitled.features, now=now)
        settings = await pin_settings(tx, site_id)
        pins_usable = settings.custom_pins and Feature.CUSTOM_PIN in entitled.features
        holders = await self._custom_pins.settle(tx, site_id, usable=pins_usable, now=now)
        if holders:
            await self._changes.reach_doors(tx, site_id, Touched.people(*holders))

    async def _settle_lockers(
        self, tx: Session, site_id: SiteId, room: int, *, now: datetime
    ) -> None:
        """Make the oldest lockers usable, as many as there is room for, and the others not."""
        rows = await tx.execute(
            select(lockers.c.id, lockers.c.lock_id, lockers.c.usable)
            .where(lockers.c.site_id == site_id)
            .order_by(lockers.c.created_at, lockers.c.id)
        )
        ordered = rows.all()
        closed = [row for row in ordered[room:] if row.usable]
        if closed:
            await _revoke_at(tx, site_id, [row.lock_id for row in closed], now=now)
            await _shut(tx, lockers, site_id, [row.id for row in closed])
            touched = Touched.groups(*(row.id for row in closed))
            touched += Touched.locks(*(row.lock_id for row in closed))
            await self._changes.reach_doors(tx, site_id, touched)
        for row in ordered[:room]:
            if not row.usable:
                touched = Touched.groups(row.id) + Touched.locks(row.lock_id)
                await self._open(tx, lockers, site_id, row.id, touched)

    async def _settle_pods(
        self, tx: Session, site_id: SiteId, *, usable: bool, now: datetime
    ) -> None:
        rows = await tx.execute(
            select(pods.c.id)
            .where(pods.c.site_id == site_id, pods.c.usable != usable)
            .order_by(pods.c.created_at, pods.c.id)
        )
        pod_ids = list(rows.scalars())
        if usable:
            for pod_id in pod_ids:
                await self._open(tx, pods, site_id, pod_id, Touched.groups(pod_id))
        elif pod_ids:
            doors = select(pod_locks.c.lock_id).where(
                pod_locks.c.site_id == site_id, pod_locks.c.pod_id.in_(pod_ids)
            )
            members = select(pod_people.c.person_id).where(
                pod_people.c.site_id == site_id, pod_people.c.pod_id.in_(pod_ids)
            )
            lock_ids = list((await tx.execute(doors.distinct())).scalars())
            await _revoke(tx, site_id, members, lock_ids, now=now)
            await _shut(tx, pods, site_id, pod_ids)
            await self._changes.reach_doors(tx, site_id, Touched.groups(*pod_ids))

    async def _open(
        self, tx: Session, table: Table, site_id: SiteId, row_id: str, touched: Sequence[Touched]
    ) -> None:
        """Make one locker or pod usable, unless a lock has no room for its people any more."""
        one = update(table).where(table.c.site_id == site_id, table.c.id == row_id)
        try:
            async with tx.savepoint():
                await tx.execute(one.values(usable=True))
                await self._changes.reach_doors(tx, site_id, touched)
        except (OfflineListFull, OfflineSchedulesFull):
            return


async def _revoke_at(
    tx: Session, site_id: SiteId, lock_ids: Sequence[str], *, now: datetime
) -> None:
    """Note that everybody lost the right at some lockers' locks."""
    assigned = (
        select(locker_people.c.person_id)
        .join(lockers, lockers.c.id == locker_people.c.locker_id)
        .where(locker_people.c.site_id == site_id, lockers.c.lock_id.in_(lock_ids))
    )
    in_groups = (
        select(group_people.c.person_id)
        .join(group_locks, group_locks.c.group_id == group_people.c.group_id)
        .where(group_people.c.site_id == site_id, group_locks.c.lock_id.in_(lock_ids))
    )
    await _revoke(tx, site_id, union(assigned, in_groups), lock_ids, now=now)


async def _revoke(
    tx: Session, site_id: SiteId, who: Any, lock_ids: Sequence[str], *, now: datetime
) -> None:
    person_ids = list((await tx.execute(who)).scalars())
    await revoke_people(tx, site_id, person_ids, now=now, lock_ids=lock_ids)


async def _shut(tx: Session, table: Table, site_id: SiteId, ids: Sequence[str]) -> None:
    await tx.execute(
        update(table).where(table.c.site_id == site_id, table.c.id.in_(ids)).values(usable=False)
    )
