"""Access groups: people, locks and when."""

from typing import Final

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from controller.db.metadata import metadata
from controller.db.types import Json, UtcDateTime

schedules: Final = Table(
    "schedules",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("windows", Json, nullable=False),  # [[weekday, start_min, end_min], …]
    Column("version", Integer, nullable=False),
    UniqueConstraint("site_id", "name"),
)

access_groups: Final = Table(
    "access_groups",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("schedule_id", String(32)),  # NULL: at all times
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
