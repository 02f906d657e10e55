"""The ways in which people come by rights at locks: access groups, lockers, pods.

To hubs all three are groups: some people may open some locks. A locker is a group of its own with
one lock, a pod one with its frame.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Table

from controller.db.tables.access import (
    group_locks,
    group_people,
    locker_people,
    lockers,
    pod_locks,
    pod_people,
)


@dataclass(frozen=True, slots=True)
class Way:
    """Tables that say who is in a group and which locks it opens."""

    people: Table  # site_id, person_id
    people_group: Column[Any]
    doors: Table  # site_id, lock_id
    doors_group: Column[Any]


WAYS: Final = (
    Way(group_people, group_people.c.group_id, group_locks, group_locks.c.group_id),
    Way(locker_people, locker_people.c.locker_id, lockers, lockers.c.id),
    Way(pod_people, pod_people.c.pod_id, pod_locks, pod_locks.c.pod_id),
)
