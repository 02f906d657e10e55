"""All rights of all sites as one relation: who may open which lock, by what.

Access groups, lockers and pods give rights alike. A lock that leaves its site opens to nobody, nor
does one whose locker cannot be used; a personal locker opens to its own people only. The statements
that compile hubs' states say the same in pieces (controller/access/part_rows.py); a test compares.
"""

from typing import Final

from sqlalchemy import ColumnElement, and_, literal, null, or_, select, union_all

from controller.db.tables.access import (
    access_groups,
    group_locks,
    group_people,
    locker_people,
    lockers,
    pod_locks,
    pod_people,
    pods,
)
from controller.db.tables.hardware import locks

_NOTHING: Final = (
    null().label("schedule_id"),
    null().label("starts_at"),
    null().label("ends_at"),
)


def _is_here(site_id: ColumnElement[str], lock_id: ColumnElement[str]) -> ColumnElement[bool]:
    here = select(locks.c.id).where(
        locks.c.site_id == site_id, locks.c.id == lock_id, locks.c.released_at.is_(None)
    )
    return here.exists()


def _is_shared(site_id: ColumnElement[str], lock_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether groups and pods may give rights at a lock."""
    own = lockers.alias()
    shut = select(own.c.id).where(
        own.c.site_id == site_id,
        own.c.lock_id == lock_id,
        or_(own.c.kind == "personal", ~own.c.usable),
    )
    return and_(_is_here(site_id, lock_id), ~shut.exists())


_BY_GROUP: Final = (
    select(
        access_groups.c.site_id,
        group_people.c.person_id,
        group_locks.c.lock_id,
        access_groups.c.id,
        literal("access_group").label("kind"),
        access_groups.c.name,
        access_groups.c.schedule_id,
        access_groups.c.starts_at,
        access_groups.c.ends_at,
    )
    .join(
        group_people,
        and_(
            group_people.c.site_id == access_groups.c.site_id,
            group_people.c.group_id == access_groups.c.id,
        ),
    )
    .join(
        group_locks,
        and_(
            group_locks.c.site_id == access_groups.c.site_id,
            group_locks.c.group_id == access_groups.c.id,
        ),
    )
    .where(_is_shared(group_locks.c.site_id, group_locks.c.lock_id))
)
_BY_LOCKER: Final = (
    select(
        lockers.c.site_id,
        locker_people.c.person_id,
        lockers.c.lock_id,
        lockers.c.id,
        literal("locker").label("kind"),
        lockers.c.name,
        *_NOTHING,
    )
    .join(
        locker_people,
        and_(
            locker_people.c.site_id == lockers.c.site_id,
            locker_people.c.locker_id == lockers.c.id,
        ),
    )
    .where(
        lockers.c.kind == "personal",
        lockers.c.usable,
        _is_here(lockers.c.site_id, lockers.c.lock_id),
    )
)
_BY_POD: Final = (
    select(
        pods.c.site_id,
        pod_people.c.person_id,
        pod_locks.c.lock_id,
        pods.c.id,
        literal("pod").label("kind"),
        pods.c.name,
        _NOTHING[0],
        pods.c.starts_at,
        pods.c.ends_at,
    )
    .join(
        pod_people, and_(pod_people.c.site_id == pods.c.site_id, pod_people.c.pod_id == pods.c.id)
    )
    .join(pod_locks, and_(pod_locks.c.site_id == pods.c.site_id, pod_locks.c.pod_id == pods.c.id))
    .where(pods.c.usable, _is_shared(pod_locks.c.site_id, pod_locks.c.lock_id))
)

GIVEN: Final = union_all(_BY_GROUP, _BY_LOCKER, _BY_POD).subquery("given")
"""Columns: site_id, person_id, lock_id; id, kind and name of what gives the right; schedule_id,
starts_at, ends_at."""
