"""What is written beside every change: audit and outbox; and the calendar's mark."""

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, false, text

from controller.db.metadata import metadata
from controller.db.types import BigIntKey, Json, UtcDateTime

audit_records: Final = Table(
    "audit_records",
    metadata,
    Column("site_id", String(32), primary_key=True),  # empty for what concerns no site
    Column("id", String(32), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor_id", String(32)),  # NULL: the system itself
    Column("actor_name", String(100), nullable=False),
    Column("action", String(60), nullable=False),
    Column("object_kind", String(30), nullable=False),
    Column("object_id", String(64), nullable=False),
    Column("refused", String(60)),  # the refusal's code; NULL: it was done
    Column("facts", Json, nullable=False),
    Index(None, "site_id", "at"),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", BigIntKey, primary_key=True),
    Column("site_id", String(32), nullable=False),
    Column("kind", String(60), nullable=False),
    Column("once_key", String(120), unique=True),  # NULL where repeating is impossible anyway
    Column("facts", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("to_mail", Boolean, nullable=False, server_default=false()),  # until a mail is written
    Index(
        "ix_outbox_waiting",
        "id",
        sqlite_where=text("sent_at IS NULL"),
        postgresql_where=text("sent_at IS NULL"),
    ),
    Index(
        "ix_outbox_to_mail",
        "id",
        sqlite_where=text("to_mail"),
        postgresql_where=text("to_mail"),
    ),
)

calendar: Final = Table(
    "calendar",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("mark", UtcDateTime, nullable=False),
)
