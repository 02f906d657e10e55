"""Hubs and locks: who they are, what is wanted of them, and what they have confirmed."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
    true,
)

from controller.db.metadata import metadata
from controller.db.types import UtcDateTime

hubs: Final = Table(
    "hubs",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("serial", String(40), nullable=False),
    Column("name", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # Identity. Until the claim there is only the sticker's secret, sealed under the master key.
    Column("claim_secret", LargeBinary(100)),
    Column("claimed_at", UtcDateTime),
    Column("device_key", LargeBinary(32)),
    Column("agreement_key", LargeBinary(32)),
    Column("retired_at", UtcDateTime),
    Column("epoch", Integer, nullable=False),
    # Wanted and confirmed: the two documents of a hub, each with its own number.
    Column("lease_wanted", BigInteger, nullable=False),
    Column("lease_confirmed", BigInteger, nullable=False),
    Column("lease_signed_at", UtcDateTime, nullable=False),  # when lease_wanted was raised last
    Column("revision_wanted", BigInteger, nullable=False),
    Column("revision_confirmed", BigInteger, nullable=False),
    Column("subscribed_confirmed", Boolean),
    Column("confirmed_at", UtcDateTime),  # when one of the confirmed columns changed last
    # Presence: NULL while nobody knows.
    Column("online", Boolean),
    Column("online_since", UtcDateTime),
    Column("firmware", String(40)),
    Column("version", Integer, nullable=False),
    UniqueConstraint("id"),
    # Whoever knows the sticker's code has the device: a serial that somebody typed blocks nobody.
    Index(
        "uq_hubs_serial_in_service",
        "serial",
        unique=True,
        sqlite_where=text("retired_at IS NULL AND claimed_at IS NOT NULL"),
        postgresql_where=text("retired_at IS NULL AND claimed_at IS NOT NULL"),
    ),
    Index(
        "uq_hubs_serial_at_site",
        "site_id",
        "serial",
        unique=True,
        sqlite_where=text("retired_at IS NULL"),
        postgresql_where=text("retired_at IS NULL"),
    ),
    Index("ix_hubs_serial", "serial"),
    Index(
        "ix_hubs_behind",
        "online",
        sqlite_where=text("lease_confirmed < lease_wanted OR revision_confirmed < revision_wanted"),
        postgresql_where=text(
            "lease_confirmed < lease_wanted OR revision_confirmed < revision_wanted"
        ),
    ),
    Index(None, "lease_signed_at"),
)

locks: Final = Table(
    "locks",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("hub_id", String(32), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("name", String(100), nullable=False),
    Column("public_key", LargeBinary(32), nullable=False),  # X25519, from the sticker
    Column("pairing", LargeBinary(400), nullable=False),  # sealing.SignedPairing, made once
    Column("capacity", Integer, nullable=False),  # offline credentials: 39 or 360
    Column("repeater_id", String(32)),  # NULL: the hub reaches it directly
    Column("open_s", Integer, nullable=False),
    Column("extended_open_s", Integer, nullable=False, server_default=text("15")),
    Column("memory_days", Integer, nullable=False),
    Column("left_open_s", Integer, nullable=False, server_default=text("30")),  # 0: no alarm
    Column("office", String(10), nullable=False, server_default="by_hand"),
    Column("office_schedule_id", String(32)),  # of easy and scheduled office mode
    Column("toggle", Boolean, nullable=False, server_default=false()),
    Column("privacy", Boolean, nullable=False, server_default=true()),
    Column("keypad", Boolean, nullable=False, server_default=false()),
    Column("epoch", Integer, nullable=False),
    Column("ticket_number", BigInteger, nullable=False, server_default=text("1")),
    # raised when another device becomes the lock's hub
    Column("order_number", BigInteger, nullable=False),  # of the last order
    Column("created_at", UtcDateTime, nullable=False),
    # Wanted and confirmed offline list, by hash.
    Column("list_wanted", LargeBinary(32)),
    Column("list_confirmed", LargeBinary(32)),
    Column("list_confirmed_at", UtcDateTime),
    Column("purged_at", UtcDateTime),  # of the newest revocation here that purges does not name
    Column("paired", Boolean, nullable=False),
    Column("online", Boolean),
    Column("online_since", UtcDateTime),
    Column("battery", Integer),  # per cent, as last told
    Column("mode", Integer),  # gateway.protocol.messages.LockMode, as last told
    Column("released_at", UtcDateTime),  # leaves the site: its last list is empty
    Column("log_epoch", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["site_id", "hub_id"], ["hubs.site_id", "hubs.id"]),
    ForeignKeyConstraint(["site_id", "repeater_id"], ["repeaters.site_id", "repeaters.id"]),
    ForeignKeyConstraint(["site_id", "office_schedule_id"], ["schedules.site_id", "schedules.id"]),
    UniqueConstraint("serial"),
    Index(None, "site_id", "hub_id"),
)

repeaters: Final = Table(
    "repeaters",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("hub_id", String(32), nullable=False),
    Column("parent_id", String(32)),  # the repeater between it and the hub; NULL: none
    Column("serial", String(40), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["site_id", "hub_id"], ["hubs.site_id", "hubs.id"]),
    ForeignKeyConstraint(["site_id", "parent_id"], ["repeaters.site_id", "repeaters.id"]),
    Index(None, "site_id", "hub_id"),
)

purges: Final = Table(
    "purges",
    metadata,
    # Which credentials a lock's audit-trail memory must forget by name: the newest 20 that lost a
    # right at this very lock. It forgets them unless they have a right there without an end now.
    Column("site_id", String(32), primary_key=True),
    Column("lock_id", String(32), primary_key=True),
    Column("digest", LargeBinary(16), primary_key=True),
    Column("revoked_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["site_id", "lock_id"], ["locks.site_id", "locks.id"]),
)

offline_lists: Final = Table(
    "offline_lists",
    metadata,
    # The list that a lock is to hold, and those it may hold still: what a revocation is judged by.
    Column("site_id", String(32), primary_key=True),
    Column("lock_id", String(32), primary_key=True),
    Column("hash", LargeBinary(32), primary_key=True),
    Column("data", LargeBinary, nullable=False),  # the section, at most 12 KiB
    Column("compiled_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["site_id", "lock_id"], ["locks.site_id", "locks.id"]),
)

commands: Final = Table(
    "commands",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("hub_id", String(32), nullable=False),
    Column("lock_id", String(32), nullable=False),
    Column("kind", String(16), nullable=False, server_default="open"),  # domain.hardware.OrderKind
    Column("seconds", Integer),
    Column("number", BigInteger, nullable=False),  # of the lock's orders
    Column("actor_id", String(32)),
    Column("actor_name", String(100), nullable=False),
    Column("state", String(12), nullable=False),
    # queued, sent, opened, done, refused, expired, unreachable, unknown
    Column("created_at", UtcDateTime, nullable=False),  # calendar
    Column("issued_at", UtcDateTime, nullable=False),  # link clock; it lives 10 s from here
    Column("finished_at", UtcDateTime),
    ForeignKeyConstraint(["site_id", "lock_id"], ["locks.site_id", "locks.id"]),
    Index(
        "ix_commands_open",
        "issued_at",
        sqlite_where=text("state IN ('queued', 'sent')"),
        postgresql_where=text("state IN ('queued', 'sent')"),
    ),
)

enrolments: Final = Table(
    "enrolments",
    metadata,
    # A tag that is awaited at a lock: the next one held to its reader is somebody's.
    Column("site_id", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),  # of the command
    Column("lock_id", String(32), nullable=False),
    Column("person_id", String(32), nullable=False),
    Column("label", String(60), nullable=False),
    Column("offline", Boolean, nullable=False),
    Column("actor_id", String(32)),
    Column("actor_name", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),  # calendar
    Column("until", UtcDateTime, nullable=False),  # calendar
    Column("state", String(12), nullable=False),  # waiting, presented, enrolled, refused, expired
    Column("digest", LargeBinary(16)),  # of the tag that was presented
    Column("refusal", String(60)),  # code of why the tag was not taken
    Column("credential_id", String(32)),
    ForeignKeyConstraint(["site_id", "lock_id"], ["locks.site_id", "locks.id"]),
    ForeignKeyConstraint(["site_id", "person_id"], ["people.site_id", "people.id"]),
    Index(
        "ix_enrolments_open",
        "until",
        sqlite_where=text("state IN ('waiting', 'presented')"),
        postgresql_where=text("state IN ('waiting', 'presented')"),
    ),
)
