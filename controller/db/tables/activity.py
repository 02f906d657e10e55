"""What happened: entries at the doors, and incidents, which are everything else."""

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
    UniqueConstraint,
    text,
)

from controller.db.metadata import metadata
from controller.db.types import Json, UtcDateTime

entries: Final = Table(
    "entries",
    metadata,
    # All that a lock has written down, its incidents too: its sequence has no holes but by loss.
    # Written once, never changed.
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
    Column("credential_kind", Integer),  # gateway.protocol.messages.CredentialKind
    Index(None, "site_id", "received_at"),
)

entry_logs: Final = Table(
    "entry_logs",
    metadata,
    # What the plan's retention has removed of a lock's log, so that it does not look like a gap.
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("lock_id", String(32), primary_key=True),
    Column("log_epoch", BigInteger, primary_key=True),
    Column("removed_up_to", BigInteger, nullable=False),  # sequence, inside
)

incidents: Final = Table(
    "incidents",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("kind", String(30), nullable=False),  # domain.incidents.IncidentKind
    Column("lock_id", String(32)),
    Column("hub_id", String(32)),
    Column("at", UtcDateTime, nullable=False),  # by the clock of who noticed
    Column("received_at", UtcDateTime, nullable=False),  # calendar of the controller
    Column("over_at", UtcDateTime),  # when it was over; NULL: it goes on, or has no end
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", String(32)),  # account id
    Column("facts", Json, nullable=False),
    Column("once_key", String(120)),  # the same incident is written once, however often it is told
    UniqueConstraint("site_id", "once_key"),
    Index(None, "site_id", "received_at"),
    Index(
        "ix_incidents_going_on",
        "site_id",
        "kind",
        sqlite_where=text("over_at IS NULL"),
        postgresql_where=text("over_at IS NULL"),
    ),
)
