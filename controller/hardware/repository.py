"""Hubs and locks in the database."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Update, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from controller.db.engine import ReadSession, Session
from controller.db.tables.access import schedules
from controller.db.tables.hardware import commands, hubs, locks, repeaters
from controller.domain.errors import NotFound, Stale
from controller.domain.hardware import (
    FIRST_LOCK_EPOCH,
    CommandState,
    DoorSettings,
    Hub,
    LockMode,
    NewLock,
    OfficeMode,
    SerialInService,
    SiteLock,
)
from controller.domain.ids import HubId, LockId, RepeaterId, ScheduleId, SiteId
from controller.domain.topology import Repeater

_HUB_FIELDS: Final = tuple(field.name for field in fields(Hub))
_DOOR_FIELDS: Final = tuple(field.name for field in fields(DoorSettings))
_LOCK_FIELDS: Final = tuple(
    field.name for field in fields(SiteLock) if field.name not in ("door", "mode")
)
_REPEATER_FIELDS: Final = tuple(field.name for field in fields(Repeater))
_MODES: Final = dict(enumerate(LockMode))  # as the device link numbers them


async def hub(tx: ReadSession, site_id: SiteId, hub_id: HubId) -> Hub:
    """Return a hub in service at a site.

    Raises:
        NotFound: The site has none of this id.
    """
    found = select(hubs).where(
        hubs.c.site_id == site_id, hubs.c.id == hub_id, hubs.c.retired_at.is_(None)
    )
    row = (await tx.execute(found)).one_or_none()
    if row is None:
        raise NotFound("There is no such hub at this site.", object="hub")
    return to_hub(row)


async def hubs_of(tx: ReadSession, site_id: SiteId) -> Sequence[Hub]:
    """Return the hubs in service at a site, oldest first."""
    some = select(hubs).where(hubs.c.site_id == site_id, hubs.c.retired_at.is_(None))
    rows = await tx.execute(some.order_by(hubs.c.created_at, hubs.c.id))
    return [to_hub(row) for row in rows]


async def add_hub(tx: Session, new: Hub, *, claim_secret: bytes) -> None:
    """Write a new hub.

    Raises:
        SerialInService: The site expects a hub of this serial already.
    """
    row = insert(hubs).values(
        **asdict(new), claim_secret=claim_secret, lease_signed_at=new.created_at
    )
    await _with_serial(tx, row)


async def require_not_in_service(tx: ReadSession, serial: str, *, but: Hub | None = None) -> None:
    """Refuse a serial whose hub has claimed its place, here or elsewhere.

    Args:
        tx: The view to read in.
        serial: Of the device.
        but: The place that it may have.

    Raises:
        SerialInService: It has.
    """
    found = select(hubs.c.id).where(
        hubs.c.serial == serial, hubs.c.retired_at.is_(None), hubs.c.claimed_at.is_not(None)
    )
    if but is not None:
        found = found.where(hubs.c.id != but.id)
    if (await tx.execute(found)).first() is not None:
        raise _serial_in_service()


async def save_hub(tx: Session, edited: Hub, *, if_match: int, **columns: object) -> Hub:
    """Write name and serial, and columns that ``Hub`` does not show, over a version.

    Raises:
        Stale: Somebody else wrote in between.
        SerialInService: A hub of this serial is in service.
    """
    saved = replace(edited, version=if_match + 1)
    one = update(hubs).where(
        hubs.c.site_id == edited.site_id,
        hubs.c.id == edited.id,
        hubs.c.version == if_match,
    )
    row = one.values(name=saved.name, serial=saved.serial, version=saved.version, **columns)
    if await _with_serial(tx, row) == 0:
        raise Stale.of("hub")
    return saved


async def lock(tx: ReadSession, site_id: SiteId, lock_id: LockId) -> SiteLock:
    """Return a lock of a site.

    Raises:
        NotFound: The site has none of this id.
    """
    found = select(locks).where(locks.c.site_id == site_id, locks.c.id == lock_id)
    row = (await tx.execute(found)).one_or_none()
    if row is None:
        raise NotFound("There is no such lock at this site.", object="lock")
    return to_lock(row)


async def locks_of(
    tx: ReadSession, site_id: SiteId, *, hub_id: HubId | None = None
) -> Sequence[SiteLock]:
    """Return the locks of a site, or of one hub, oldest first."""
    some = select(locks).where(locks.c.site_id == site_id)
    if hub_id is not None:
        some = some.where(locks.c.hub_id == hub_id)
    rows = await tx.execute(some.order_by(locks.c.created_at, locks.c.id))
    return [to_lock(row) for row in rows]


async def count_locks(tx: ReadSession, site_id: SiteId, hub_id: HubId) -> int:
    """Return how many locks a hub serves."""
    count = select(func.count()).where(locks.c.site_id == site_id, locks.c.hub_id == hub_id)
    return int((await tx.execute(count)).scalar_one())


async def add_lock(
    tx: Session, place: Hub, lock_id: LockId, new: NewLock, *, pairing: bytes, now: datetime
) -> SiteLock:
    """Write a new lock of a hub; the unique serial decides between two who register it.

    Raises:
        SerialInService: A lock of this serial is in service.
    """
    row = insert(locks).values(
        serial=new.serial,
        name=new.name,
        public_key=new.public_key,
        capacity=new.capacity,
        **asdict(new.door),
        site_id=place.site_id,
        id=lock_id,
        hub_id=place.id,
        pairing=pairing,
        epoch=FIRST_LOCK_EPOCH,
        order_number=0,
        created_at=now,
        paired=False,
        log_epoch=0,
        version=1,
    )
    await _with_serial(tx, row)
    return await lock(tx, place.site_id, lock_id)


async def save_lock(tx: Session, edited: SiteLock, *, if_match: int) -> SiteLock:
    """Write name, place and settings over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
    """
    saved = replace(edited, version=if_match + 1)
    row = _version(saved, if_match).values(
        name=saved.name,
        repeater_id=saved.repeater_id,
        **asdict(saved.door),
        version=saved.version,
    )
    if (await tx.execute(row)).rowcount == 0:
        raise Stale.of("lock")
    return saved


async def move_lock(tx: Session, moved: SiteLock, *, if_match: int, now: datetime) -> SiteLock:
    """Write a lock as one of another hub, and return its next version.

    A new ticket number gives it a radio link that the hub before does not know. What that hub has
    said of the lock counts no more, and what it was to order never happens.

    Raises:
        Stale: Somebody else wrote in between.
    """
    saved = await save_lock(tx, replace(moved, online=None, online_since=now), if_match=if_match)
    await tx.execute(
        update(locks)
        .where(locks.c.site_id == saved.site_id, locks.c.id == saved.id)
        .values(
            hub_id=saved.hub_id,
            ticket_number=locks.c.ticket_number + 1,
            online=None,
            online_since=now,
        )
    )
    await tx.execute(
        update(commands)
        .where(
            commands.c.site_id == saved.site_id,
            commands.c.lock_id == saved.id,
            commands.c.state == CommandState.QUEUED,
        )
        .values(state=CommandState.EXPIRED, finished_at=now)
    )
    return saved


async def require_schedule(tx: ReadSession, site_id: SiteId, schedule_id: ScheduleId) -> None:
    """Refuse to follow a schedule that is not there.

    Raises:
        NotFound: The site has none of this id.
    """
    found = select(schedules.c.id).where(
        schedules.c.site_id == site_id, schedules.c.id == schedule_id
    )
    if (await tx.execute(found)).one_or_none() is None:
        raise NotFound("There is no such schedule at this site.", object="schedule")


async def repeater(
    tx: ReadSession, site_id: SiteId, hub_id: HubId, repeater_id: RepeaterId
) -> Repeater:
    """Return a repeater of a hub.

    Raises:
        NotFound: The hub has none of this id.
    """
    found = select(repeaters).where(
        repeaters.c.site_id == site_id,
        repeaters.c.hub_id == hub_id,
        repeaters.c.id == repeater_id,
    )
    row = (await tx.execute(found)).one_or_none()
    if row is None:
        raise NotFound("There is no such repeater at this hub.", object="repeater")
    return _repeater(row)


async def repeaters_of(tx: ReadSession, place: Hub) -> Sequence[Repeater]:
    """Return the repeaters of a hub, oldest first."""
    some = select(repeaters).where(
        repeaters.c.site_id == place.site_id, repeaters.c.hub_id == place.id
    )
    rows = await tx.execute(some.order_by(repeaters.c.created_at, repeaters.c.id))
    return [_repeater(row) for row in rows]


async def add_repeater(tx: Session, new: Repeater) -> None:
    """Write a new repeater; the unique serial decides between two who register it.

    Raises:
        SerialInService: A repeater of this serial is in service.
    """
    await _with_serial(tx, insert(repeaters).values(**asdict(new)))


async def save_repeater(tx: Session, edited: Repeater, *, if_match: int) -> Repeater:
    """Write name and place over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
    """
    saved = replace(edited, version=if_match + 1)
    one = update(repeaters).where(
        repeaters.c.site_id == saved.site_id,
        repeaters.c.id == saved.id,
        repeaters.c.version == if_match,
    )
    row = one.values(name=saved.name, parent_id=saved.parent_id, version=saved.version)
    if (await tx.execute(row)).rowcount == 0:
        raise Stale.of("repeater")
    return saved


async def delete_repeater(tx: Session, gone: Repeater, *, if_match: int) -> None:
    """Delete a repeater on which nothing hangs.

    Raises:
        Stale: Somebody else wrote in between.
    """
    one = delete(repeaters).where(
        repeaters.c.site_id == gone.site_id,
        repeaters.c.id == gone.id,
        repeaters.c.version == if_match,
    )
    if (await tx.execute(one)).rowcount == 0:
        raise Stale.of("repeater")


def to_hub(row: Row[Any]) -> Hub:
    """Return the hub of a row of ``hubs``."""
    return Hub(**{name: row._mapping[name] for name in _HUB_FIELDS})  # noqa: SLF001 - the library's public name


def to_lock(row: Row[Any]) -> SiteLock:
    """Return the lock of a row of ``locks``."""
    known = {name: row._mapping[name] for name in _LOCK_FIELDS}  # noqa: SLF001 - the library's public name
    return SiteLock(**known, door=to_door(row), mode=_MODES.get(row.mode))


def _repeater(row: Row[Any]) -> Repeater:
    return Repeater(**{name: row._mapping[name] for name in _REPEATER_FIELDS})  # noqa: SLF001 - the library's public name


def _version(lock: SiteLock, if_match: int) -> Update:
    return update(locks).where(
        locks.c.site_id == lock.site_id, locks.c.id == lock.id, locks.c.version == if_match
    )


def to_door(row: Row[Any]) -> DoorSettings:
    """Return how the lock of a row of ``locks`` behaves."""
    known = {name: row._mapping[name] for name in _DOOR_FIELDS}  # noqa: SLF001 - the library's public name
    return DoorSettings(**known | {"office": OfficeMode(row.office)})


async def _with_serial(tx: Session, statement: Any) -> int:
    """Run a write that may clash with another serial, and return the rows written."""
    try:
        async with tx.savepoint():
            return (await tx.execute(statement)).rowcount
    except IntegrityError as error:
        raise _serial_in_service() from error


def _serial_in_service() -> SerialInService:
    return SerialInService(
        "serial: this device is in service already. Retire it there first, or check the sticker.",
        field="serial",
    )
