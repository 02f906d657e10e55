"""Who may sign in, as what, and the tokens they hold. Secrets are stored as hashes only."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table

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
    Column("role", String(20), nullable=False),  # owner, admin, installer
    Index(None, "account_id"),
)
