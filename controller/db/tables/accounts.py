"""Who may sign in, as what, and the tokens they hold. Secrets are stored as hashes only."""

from typing import Final

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
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

accounts: Final = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),  # lower case
    Column("name", String(100), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("cloud_role", String(20)),  # operator, supplier, installer; NULL for a site's people
    Column("created_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("kind", String(10), nullable=False),  # session, api
    Column("name", String(100), nullable=False),
    Column("scopes", Json),  # NULL: everything the account may do
    Column("created_at", UtcDateTime, nullable=False),  # link clock
    Column("expires_at", UtcDateTime, nullable=False),  # link clock
    Column("revoked_at", UtcDateTime),
    Index(None, "account_id"),
)

site_roles: Final = Table(
    "site_roles",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), primary_key=True),
    Column("role", String(40), nullable=False),  # a SiteRole, or the id of a custom role
    Column("ends_at", UtcDateTime),  # link clock; of an installer's grant, NULL: no end
    Column("granted_by", String(32)),  # account id
    Index(None, "account_id"),
    Index(
        "uq_site_roles_owner",
        "site_id",
        unique=True,
        sqlite_where=text("role = 'owner'"),
        postgresql_where=text("role = 'owner'"),
    ),
)

custom_roles: Final = Table(
    "custom_roles",
    metadata,
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("rights", Json, nullable=False),  # the Actions that it gives, sorted
    Column("version", Integer, nullable=False),
    UniqueConstraint("site_id", "name"),
)

invitations: Final = Table(
    "invitations",
    metadata,
    # Whoever holds the token joins a person of a site with an account of his own.
    Column("site_id", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("person_id", String(32), nullable=False),
    Column("email", String(254), nullable=False),  # whom it was sent to
    Column("invited_by", String(32)),  # account id
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),  # link clock, as both others
    Column("expires_at", UtcDateTime, nullable=False),
    Column("accepted_at", UtcDateTime),
    ForeignKeyConstraint(["site_id", "person_id"], ["people.site_id", "people.id"]),
    UniqueConstraint("site_id", "person_id"),
)
