"""Entries: what happened at the doors. Written once, never changed."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
)

from controller.db.metadata import metadata
from controller.db.types import UtcDateTime

entries: Final = Table(
    "entries",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("lock_id", String(32), primary_key=True),
    Column("log_epoch", BigInteger, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("hub_id", String(32), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("reason", Integer),
    Column("at", UtcDateTime, nullable=False),  # by the lock's clock
    Column("clock_trusted", Boolean, nullable=False),
    Column("hub_at", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),  # calendar of the controller
    Column("digest", LargeBinary(16)),
    # As they were when the entry was committed: later edits do not rewrite the past.
    Column("credential_id", String(32)),
    Column("person_id", String(32)),
    Column("command_id", String(32)),
    Column("count", BigInteger),
    Index(None, "site_id", "received_at"),
)
