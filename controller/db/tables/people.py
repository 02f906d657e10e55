"""People of a site and their credentials."""

from typing import Final

from sqlalchemy import (
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

people: Final = Table(
    "people",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("email", String(254)),
    Column("account_id", String(32), ForeignKey("accounts.id")),
    Column("is_guest", Boolean, nullable=False, server_default=false()),
    Column("subscribed_at", UtcDateTime),  # NULL: takes no seat and opens nothing
    Column("starts_at", UtcDateTime),  # opens nothing before; the seat is held from the start
    Column("expires_at", UtcDateTime),
    Column("privileges", Integer, nullable=False, server_default=text("0")),
    # gateway.protocol.sections.Privilege
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("site_id", "account_id"),
    Index("ix_people_subscribed", "site_id", "subscribed_at"),
)

credentials: Final = Table(
    "credentials",
    metadata,
    Column("site_id", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("person_id", String(32), nullable=False),
    Column("kind", String(12), nullable=False),  # tag, digital_key, pin
    Column("digest", LargeBinary(16), nullable=False),  # keyed; number and PIN are stored nowhere
    Column("public_key", LargeBinary(32)),  # Ed25519, of a digital key's phone
    Column("document_issued_at", UtcDateTime),  # of its newest access document; calendar
    Column("custom", Boolean, nullable=False, server_default=false()),  # a PIN its holder chose
    Column("usable", Boolean, nullable=False, server_default=true()),
    # False: a custom PIN while the site has them switched off or is not entitled to them
    Column("label", String(60), nullable=False),
    Column("offline", Boolean, nullable=False),  # explicit offline access
    Column("blocked_at", UtcDateTime),
    Column("ends_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["site_id", "person_id"], ["people.site_id", "people.id"]),
    UniqueConstraint("site_id", "digest"),
    Index(None, "site_id", "person_id"),
    Index(
        "ix_credentials_offline",
        "site_id",
        "person_id",
        sqlite_where=text("offline = 1"),  # as statements have it
        postgresql_where=text("offline"),
    ),
    Index(
        "ix_credentials_pins",
        "site_id",
        "person_id",
        sqlite_where=text("kind = 'pin'"),
        postgresql_where=text("kind = 'pin'"),
    ),
)

revoked_digests: Final = Table(
    "revoked_digests",
    metadata,
    # Digests whose rights were reduced, and when last.
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("digest", LargeBinary(16), primary_key=True),
    Column("revoked_at", UtcDateTime, nullable=False),
)
