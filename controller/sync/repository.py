"""What hubs have confirmed, and who of them is there."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Row, bindparam, select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import hubs, locks
from controller.domain.ids import HubId, SiteId
from controller.sync import lists, revoked_places
from gateway.protocol.messages import LockStatus, Status

log = structlog.get_logger()

ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class HubNumbers:
    """What is wanted of a hub in service and what it has confirmed."""

    site_id: SiteId
    id: HubId
    epoch: int
    lease_wanted: int
    lease_confirmed: int
    revision_wanted: int
    revision_confirmed: int
    subscribed_confirmed: bool | None
    firmware: str | None

    @property
    def is_behind(self) -> bool:
        """Whether the hub lacks a lease or a revision."""
        return (
            self.lease_confirmed < self.lease_wanted
            or self.revision_confirmed < self.revision_wanted
        )

    def accepts(self, status: Status) -> bool:
        """Return whether a report can be true and is not older than what is known."""
        if status.lease_number > self.lease_wanted or status.revision > self.revision_wanted:
            log.warning("hub_is_ahead", hub_id=self.id)
            return False
        return (
            status.epoch == self.epoch
            and status.lease_number >= self.lease_confirmed
            and status.revision >= self.revision_confirmed
        )

    def after(self, status: Status) -> "HubNumbers":
        """Return the numbers after an accepted report."""
        return replace(
            self,
            lease_confirmed=status.lease_number,
            revision_confirmed=status.revision,
            subscribed_confirmed=status.subscribed,
            firmware=status.firmware,
        )


_NUMBERS: Final = [hubs.c[field.name] for field in fields(HubNumbers)]
_LOCK: Final = [
    locks.c[name] for name in ("site_id", "id", "hub_id", "online", "paired", "log_epoch")
] + [
    locks.c[name]
    for name in ("list_confirmed", "list_confirmed_at", "online_since", "battery", "mode")
]


async def device_key(tx: ReadSession, hub_id: str) -> bytes | None:
    """Return the Ed25519 key of a hub in service."""
    found = await tx.execute(
        select(hubs.c.device_key).where(hubs.c.id == hub_id, hubs.c.retired_at.is_(None))
    )
    key: bytes | None = found.scalar()
    return key


async def numbers(tx: ReadSession, hub_ids: Collection[str]) -> dict[str, HubNumbers]:
    """Return the numbers of those of these hubs that are in service."""
    rows = await tx.execute(
        select(*_NUMBERS).where(
            hubs.c.id.in_(hub_ids), hubs.c.retired_at.is_(None), hubs.c.device_key.is_not(None)
        )
    )
    return {row.id: HubNumbers(**row._mapping) for row in rows}  # noqa: SLF001 - public by its docs


async def confirm(
    tx: Session,
    reports: Sequence[tuple[HubId, Status]],
    known: Mapping[str, HubNumbers],
    *,
    now: datetime,
) -> dict[str, HubNumbers]:
    """Record what hubs say that they hold, and return their numbers after it.

    Numbers only grow: an old report that comes late changes nothing. Nothing is written where
    nothing changed.

    Args:
        tx: The transaction.
        reports: In the order in which they came.
        known: The hubs' numbers, read in this transaction.
        now: The calendar's instant.
    """
    after = dict(known)
    latest: dict[str, Status] = {}
    for hub_id, status in reports:
        if hub_id in after and after[hub_id].accepts(status):
            after[hub_id] = after[hub_id].after(status)
            latest[hub_id] = status
    await _save_numbers(tx, [(known[hub_id], after[hub_id]) for hub_id in latest], now=now)
    await _save_locks(tx, [(after[hub_id], status) for hub_id, status in latest.items()], now=now)
    if latest:
        reported = [(after[hub_id].site_id, after[hub_id].id) for hub_id in latest]
        await revoked_places.mark_off(tx, reported, now=now)
    return after


async def presence(
    tx: Session, *, online: Sequence[str], offline: Sequence[str], now: datetime
) -> None:
    """Note who came and who went; of the locks of who went nobody knows any more."""
    for is_online, hub_ids in ((True, online), (False, offline)):
        for start in range(0, len(hub_ids), ROWS_AT_ONCE):
            some = hub_ids[start : start + ROWS_AT_ONCE]
            await tx.execute(
                update(hubs)
                .where(hubs.c.id.in_(some), hubs.c.online.is_distinct_from(is_online))
                .values(online=is_online, online_since=now)
            )
            if not is_online:
                await tx.execute(
                    update(locks)
                    .where(locks.c.hub_id.in_(some), locks.c.online.is_not(None))
                    .values(online=None, online_since=now)
                )


async def presence_unknown(tx: Session, *, now: datetime) -> None:
    """Note that nobody knows who is there."""
    await tx.execute(
        update(hubs).where(hubs.c.online.is_not(None)).values(online=None, online_since=now)
    )
    await tx.execute(
        update(locks).where(locks.c.online.is_not(None)).values(online=None, online_since=now)
    )


async def _save_numbers(
    tx: Session, changes: Iterable[tuple[HubNumbers, HubNumbers]], *, now: datetime
) -> None:
    rows = [
        {
            "hub_site": after.site_id,
            "hub_id": after.id,
            "hub_epoch": after.epoch,
            "lease": after.lease_confirmed,
            "revision": after.revision_confirmed,
            "subscribed": after.subscribed_confirmed,
            "runs": after.firmware,
        }
        for before, after in changes
        if before != after
    ]
    if rows:
        await tx.execute(
            update(hubs)
            .where(
                hubs.c.site_id == bindparam("hub_site"),
                hubs.c.id == bindparam("hub_id"),
                hubs.c.epoch == bindparam("hub_epoch"),
                hubs.c.lease_confirmed <= bindparam("lease"),
                hubs.c.revision_confirmed <= bindparam("revision"),
            )
            .values(
                lease_confirmed=bindparam("lease"),
                revision_confirmed=bindparam("revision"),
                subscribed_confirmed=bindparam("subscribed"),
                firmware=bindparam("runs"),
                confirmed_at=now,
                claim_secret=None,  # the answer to its claim has arrived
            ),
            sorted(rows, key=lambda row: str(row["hub_id"])),
        )


async def _save_locks(
    tx: Session, reports: Sequence[tuple[HubNumbers, Status]], *, now: datetime
) -> None:
    if not any(status.locks for _, status in reports):
        return
    found = await tx.execute(
        select(*_LOCK).where(
            locks.c.site_id.in_({hub.site_id for hub, _ in reports}),
            locks.c.hub_id.in_({hub.id for hub, _ in reports}),
        )
    )
    rows = {(row.hub_id, row.id): row for row in found}
    changed = [
        values
        for hub, status in reports
        for lock in status.locks
        if (row := rows.get((hub.id, lock.lock_id.hex()))) is not None
        and (values := _lock_values(row, lock, now=now)) is not None
    ]
    if changed:
        await tx.execute(
            update(locks)
            .where(
                locks.c.site_id == bindparam("lock_site"),
                locks.c.id == bindparam("lock_id"),
                locks.c.hub_id == bindparam("lock_hub"),
            )
            .values(
                online=bindparam("there"),
                paired=bindparam("is_paired"),
                log_epoch=bindparam("log"),
                list_confirmed=bindparam("holds"),
                list_confirmed_at=bindparam("since"),
                online_since=bindparam("there_since"),
                battery=bindparam("per_cent"),
                mode=bindparam("stands"),
            ),
            sorted(changed, key=lambda row: str(row["lock_id"])),
        )
        took_list: defaultdict[SiteId, set[str]] = defaultdict(set)
        for values in changed:
            before = rows[values["lock_hub"], values["lock_id"]]
            if before.list_confirmed != values["holds"]:
                took_list[values["lock_site"]].add(values["lock_id"])
        for site_id, lock_ids in took_list.items():
            await lists.tidy(tx, site_id, lock_ids)


def _lock_values(row: Row[Any], lock: LockStatus, *, now: datetime) -> dict[str, Any] | None:
    """Return what becomes of a lock's row, or nothing if that is what it is."""
    log_epoch = max(row.log_epoch, lock.log_epoch)
    mode = row.mode if lock.mode is None else int(lock.mode)  # None: the hub does not know
    battery = row.battery if lock.battery is None else lock.battery
    before = (row.online, row.paired, row.log_epoch, row.list_confirmed, row.battery, row.mode)
    if before == (lock.online, lock.paired, log_epoch, lock.list_hash, battery, mode):
        return None
    is_same_list = row.list_confirmed == lock.list_hash
    return {
        "lock_site": row.site_id,
        "lock_id": row.id,
        "lock_hub": row.hub_id,
        "there": lock.online,
        "is_paired": lock.paired,
        "log": log_epoch,
        "holds": lock.list_hash,
        "since": row.list_confirmed_at if is_same_list else now,
        "there_since": row.online_since if row.online == lock.online else now,
        "per_cent": battery,
        "stands": mode,
    }
