"""Access groups: people, locks and when."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
)

from controller.db.metadata import metadata
from controller.db.types import Json, UtcDateTime

schedules: Final = Table(
    "schedules",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("windows", Json, nullable=False),  # [[weekday, start_min, end_min], …]; 7: a holiday
    Column("observes_holidays", Boolean, nullable=False, server_default=false()),
    Column("starts_on", Date),  # first day, by the calendar on the site's wall
    Column("ends_on", Date),  # last day, inside
    Column("version", Integer, nullable=False),
    UniqueConstraint("site_id", "name"),
)

holidays: Final = Table(
    "holidays",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("days", Integer, nullable=False),  # 1 to 31
    Column("version", Integer, nullable=False),
    UniqueConstraint("site_id", "starts_on"),
)

access_groups: Final = Table(
    "access_groups",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("schedule_id", String(32)),  # NULL: at all times
    Column("starts_at", UtcDateTime),  # check-in: the group gives no right before
    Column("ends_at", UtcDateTime),  # check-out: first instant outside
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["site_id", "schedule_id"], ["schedules.site_id", "schedules.id"]),
    UniqueConstraint("site_id", "name"),
)

group_people: Final = Table(
    "group_people",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("group_id", String(32), primary_key=True),
    Column("person_id", String(32), primary_key=True),
    ForeignKeyConstraint(["site_id", "group_id"], ["access_groups.site_id", "access_groups.id"]),
    ForeignKeyConstraint(["site_id", "person_id"], ["people.site_id", "people.id"]),
    Index(None, "site_id", "person_id"),
)

group_locks: Final = Table(
    "group_locks",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("group_id", String(32), primary_key=True),
    Column("lock_id", String(32), primary_key=True),
    ForeignKeyConstraint(["site_id", "group_id"], ["access_groups.site_id", "access_groups.id"]),
    ForeignKeyConstraint(["site_id", "lock_id"], ["locks.site_id", "locks.id"]),
    Index(None, "site_id", "lock_id"),
)

lockers: Final = Table(
    "lockers",
    metadata,
    # A locker is a lock of its own. A personal one opens to its people and nobody else; a free one
    # opens to the people of its lock's access groups, and is whoever's took it until it is freed.
    Column("site_id", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("lock_id", String(32), nullable=False),
    Column("name", String(100), nullable=False),
    Column("kind", String(10), nullable=False),  # personal, free
    Column("usable", Boolean, nullable=False),  # False: made when there was room for it, and is not
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["site_id", "lock_id"], ["locks.site_id", "locks.id"]),
    UniqueConstraint("site_id", "lock_id"),
    UniqueConstraint("site_id", "name"),
)

locker_people: Final = Table(
    "locker_people",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("locker_id", String(32), primary_key=True),
    Column("person_id", String(32), primary_key=True),
    ForeignKeyConstraint(["site_id", "locker_id"], ["lockers.site_id", "lockers.id"]),
    ForeignKeyConstraint(["site_id", "person_id"], ["people.site_id", "people.id"]),
    Index(None, "site_id", "person_id"),
)

pods: Final = Table(
    "pods",
    metadata,
    # Locks that a few members run by themselves: they invite guests, within the pod's time.
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("starts_at", UtcDateTime),
    Column("ends_at", UtcDateTime),
    Column("guests_max", Integer, nullable=False),
    Column("usable", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("site_id", "name"),
)

pod_locks: Final = Table(
    "pod_locks",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("pod_id", String(32), primary_key=True),
    Column("lock_id", String(32), primary_key=True),
    ForeignKeyConstraint(["site_id", "pod_id"], ["pods.site_id", "pods.id"]),
    ForeignKeyConstraint(["site_id", "lock_id"], ["locks.site_id", "locks.id"]),
    Index(None, "site_id", "lock_id"),
)

pod_people: Final = Table(
    "pod_people",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("pod_id", String(32), primary_key=True),
    Column("person_id", String(32), primary_key=True),
    Column("is_guest", Boolean, nullable=False),
    Column("invited_by", String(32)),  # person id of the member
    ForeignKeyConstraint(["site_id", "pod_id"], ["pods.site_id", "pods.id"]),
    ForeignKeyConstraint(["site_id", "person_id"], ["people.site_id", "people.id"]),
    Index(None, "site_id", "person_id"),
)
