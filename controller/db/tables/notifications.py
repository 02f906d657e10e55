"""Who is told of what happens, and the mail that tells them."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from controller.db.metadata import metadata
from controller.db.types import BigIntKey, Json, UtcDateTime

notification_rules: Final = Table(
    "notification_rules",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("kinds", Json, nullable=False),  # of entries and incidents, sorted
    Column("lock_ids", Json),  # NULL: all locks
    Column("person_ids", Json),  # whose entries; NULL: everybody's
    Column("schedule_id", String(32)),  # NULL: at all times
    Column("by_mail", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["site_id", "schedule_id"], ["schedules.site_id", "schedules.id"]),
    UniqueConstraint("site_id", "name"),
)

notification_receivers: Final = Table(
    "notification_receivers",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("rule_id", String(32), primary_key=True),
    Column("person_id", String(32), primary_key=True),
    ForeignKeyConstraint(
        ["site_id", "rule_id"], ["notification_rules.site_id", "notification_rules.id"]
    ),
    ForeignKeyConstraint(["site_id", "person_id"], ["people.site_id", "people.id"]),
    Index(None, "site_id", "person_id"),
)

notices: Final = Table(
    "notices",
    metadata,
    # What a rule has caught and its receivers have not been told by mail yet.
    Column("id", BigIntKey, primary_key=True),
    Column("site_id", String(32), nullable=False),
    Column("rule_id", String(32), nullable=False),
    Column("once_key", String(160), nullable=False, unique=True),
    Column("line", String(400), nullable=False),  # what the mail says of it
    Column("created_at", UtcDateTime, nullable=False),  # link clock
    ForeignKeyConstraint(
        ["site_id", "rule_id"], ["notification_rules.site_id", "notification_rules.id"]
    ),
    Index(None, "site_id", "rule_id"),
)

events: Final = Table(
    "events",
    metadata,
    # What has happened at a site, numbered in the order of the commits, for a week.
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("kind", String(30), nullable=False),
    Column("facts", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),  # calendar
    Index(None, "created_at"),
)

mails: Final = Table(
    "mails",
    metadata,
    # Waiting to be sent, or given up lately; what is sent is gone.
    Column("id", BigIntKey, primary_key=True),
    Column("site_id", String(32), nullable=False),
    Column("receiver", String(254), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),  # link clock, as the two below
    Column("next_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("given_up_at", UtcDateTime),
    Column("failure", String(200)),
    Index(
        "ix_mails_waiting",
        "next_at",
        sqlite_where=text("given_up_at IS NULL"),
        postgresql_where=text("given_up_at IS NULL"),
    ),
)
