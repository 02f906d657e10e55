"""All that decides who may open what at a site, read row by row.

What the cloud's own reading of parts is compared with.
"""

from collections import defaultdict
from typing import Any

from sqlalchemy import Table, select

from controller.access.repository import to_schedule
from controller.db.engine import ReadSession
from controller.db.tables.access import (
    access_groups,
    group_locks,
    group_people,
    holidays,
    locker_people,
    lockers,
    pod_locks,
    pod_people,
    pods,
    schedules,
)
from controller.db.tables.hardware import locks, purges
from controller.db.tables.people import credentials, people
from controller.db.tables.sites import sites
from controller.domain.access import Credential, CredentialKind, Person, Privilege
from controller.domain.ids import SiteId
from controller.domain.schedule import Holiday
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked, SiteState
from controller.hardware.repository import to_door


async def site_state(tx: ReadSession, site_id: SiteId) -> SiteState:
    """The access state of a site, out of all its rows."""

    async def of(table: Table) -> list[Any]:
        rows = await tx.execute(select(table).where(table.c.site_id == site_id))
        return sorted(rows, key=lambda row: str(row._mapping.get("id", "")))

    zone = await tx.execute(select(sites.c.time_zone).where(sites.c.id == site_id))
    rows = {table: await of(table) for table in (locks, lockers, pods, access_groups)}
    shut = {row.id for row in rows[locks] if row.released_at is not None}
    shut |= {row.lock_id for row in rows[lockers] if row.kind == "personal" or not row.usable}
    groups = [
        _group(
            row.id,
            people=[r.person_id for r in await of(group_people) if r.group_id == row.id],
            locks={r.lock_id for r in await of(group_locks) if r.group_id == row.id} - shut,
            schedule_id=row.schedule_id,
            frame=(row.starts_at, row.ends_at),
        )
        for row in rows[access_groups]
    ]
    groups += [
        _group(
            row.id,
            people=[r.person_id for r in await of(pod_people) if r.pod_id == row.id],
            locks={r.lock_id for r in await of(pod_locks) if r.pod_id == row.id} - shut,
            frame=(row.starts_at, row.ends_at),
        )
        for row in rows[pods]
        if row.usable
    ]
    groups += [
        _group(
            row.id,
            people=[r.person_id for r in await of(locker_people) if r.locker_id == row.id],
            locks={row.lock_id},
        )
        for row in rows[lockers]
        if row.usable and row.kind == "personal"
    ]
    free = {row.lock_id for row in rows[lockers] if row.usable and row.kind == "free"}
    forgotten = defaultdict(list)
    for row in await of(purges):
        forgotten[row.lock_id].append(Revoked(digest=row.digest, revoked_at=row.revoked_at))
    return SiteState(
        site_id=site_id,
        time_zone=zone.scalar_one(),
        people={row.id: _person(row) for row in await of(people)},
        credentials=tuple(_credential(row) for row in await of(credentials) if row.usable),
        groups=tuple(groups),
        schedules={row.id: to_schedule(row) for row in await of(schedules)},
        locks=tuple(
            _lock(row, free_locker=row.id in free, purges=tuple(forgotten[row.id]))
            for row in rows[locks]
        ),
        revoked=(),
        holidays=tuple(
            sorted(
                (Holiday(starts_on=row.starts_on, days=row.days) for row in await of(holidays)),
                key=lambda holiday: holiday.starts_on,
            )
        ),
    )


def _group(
    group_id: Any, *, people: list[Any], locks: set[Any], schedule_id: Any = None, frame: Any = None
) -> Group:
    starts_at, ends_at = frame or (None, None)
    return Group(
        id=group_id,
        schedule_id=schedule_id,
        person_ids=frozenset(people),
        lock_ids=frozenset(locks),
        starts_at=starts_at,
        ends_at=ends_at,
    )


def _person(row: Any) -> Person:
    return Person(
        id=row.id,
        subscribed=row.subscribed_at is not None,
        subscribed_at=row.subscribed_at,
        starts_at=row.starts_at,
        ends_at=row.expires_at,
        privileges=Privilege(row.privileges),
    )


def _credential(row: Any) -> HeldCredential:
    return HeldCredential(
        credential=Credential(
            id=row.id,
            person_id=row.person_id,
            kind=CredentialKind(row.kind),
            blocked=row.blocked_at is not None,
            ends_at=row.ends_at,
        ),
        digest=row.digest,
        offline=row.offline,
    )


def _lock(row: Any, *, free_locker: bool, purges: tuple[Revoked, ...]) -> Lock:
    instants = [at for at in (row.purged_at, row.released_at) if at is not None]
    return Lock(
        id=row.id,
        hub_id=row.hub_id,
        serial=row.serial,
        public_key=row.public_key,
        pairing=row.pairing,
        capacity=row.capacity,
        door=to_door(row),
        epoch=row.epoch,
        ticket_number=row.ticket_number,
        free_locker=free_locker,
        purges=() if row.released_at else purges,
        purged_at=max(instants, default=None),
    )
