"""A site's subscription, its add-ons and seats, their history, and the value that flowed."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    false,
    text,
)

from controller.db.metadata import metadata
from controller.db.types import Json, UtcDateTime


def _not_seen_to(table: str) -> Index:
    """Return the index of a table's rows whose end is still to be seen to."""
    return Index(
        f"ix_{table}_running",
        "ends_at",
        sqlite_where=text("NOT lapsed"),
        postgresql_where=text("NOT lapsed"),
    )


subscriptions: Final = Table(
    "subscriptions",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("plan", String(10), nullable=False),
    Column("users", Integer, nullable=False),
    Column("kind", String(10), nullable=False),  # free_week, paid
    Column("started_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("segments", Json, nullable=False),  # [[seconds, rate], …] in the order of use
    Column("rest", BigInteger, nullable=False),  # value units
    Column("catalogue_version", Integer, nullable=False),
    Column("expired", Boolean, nullable=False),  # its end is recorded, by expiry or cancelling
    Column("cancelled", Boolean, nullable=False),
    Column("reminder_at", UtcDateTime),  # when the next reminder is due; NULL: none is left
    Column("version", Integer, nullable=False),  # number of the last history entry; guards updates
    Index(
        "ix_subscriptions_due",
        "ends_at",
        sqlite_where=text("NOT expired"),
        postgresql_where=text("NOT expired"),
    ),
    Index(
        "ix_subscriptions_reminder",
        "reminder_at",
        sqlite_where=text("reminder_at IS NOT NULL"),
        postgresql_where=text("reminder_at IS NOT NULL"),
    ),
)

add_ons: Final = Table(
    "add_ons",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("feature", String(40), primary_key=True),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("lapsed", Boolean, nullable=False, server_default=false()),  # its end has been seen to
    _not_seen_to("add_ons"),
)

seat_grants: Final = Table(
    "seat_grants",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("voucher_id", String(32), ForeignKey("vouchers.id"), primary_key=True),
    Column("component", String(40), nullable=False),
    Column("count", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("lapsed", Boolean, nullable=False, server_default=false()),  # its end has been seen to
    _not_seen_to("seat_grants"),
)

subscription_history: Final = Table(
    "subscription_history",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1, without gaps
    Column("kind", String(30), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor_id", String(32)),
    Column("actor_name", String(100), nullable=False),
    Column("voucher_id", String(32), ForeignKey("vouchers.id")),
    Column("facts", Json, nullable=False),
)

value_ledger: Final = Table(
    "value_ledger",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # of the history entry it belongs to
    Column("paid", BigInteger, nullable=False),  # value that came in
    Column("consumed", BigInteger, nullable=False),  # used since the entry before
    Column("forfeited", BigInteger, nullable=False),  # given up by expiry or cancelling
)

free_week_hubs: Final = Table(
    "free_week_hubs",
    metadata,
    # Remembered for ever, so that a hub brings no second free week; deletion forgets nothing.
    Column("serial", String(40), primary_key=True),
    Column("site_id", String(32), primary_key=True),
    Column("attached_at", UtcDateTime, nullable=False),
)
