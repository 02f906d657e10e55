"""Rights that were taken back, and where that has yet to become known."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    text,
)

from controller.db.metadata import metadata
from controller.db.types import UtcDateTime

revocations: Final = Table(
    "revocations",
    metadata,
    # One credential that lost a right by one edit. It outlives credential and person.
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),  # of the edit, among those that revoke; from 1
    Column("digest", LargeBinary(16), primary_key=True),
    Column("credential_id", String(32), nullable=False),
    Column("person_id", String(32), nullable=False),
    Column("kind", String(12), nullable=False),  # tag, digital_key, pin
    Column("revoked_at", UtcDateTime, nullable=False),
    # As it was before: whoever has not heard of the edit goes by that.
    Column("ends_at", UtcDateTime),  # the earlier end of credential and person
    Column("document_issued_at", UtcDateTime),  # of a digital key's newest access document
    Index(None, "site_id", "credential_id"),
)

revocation_locks: Final = Table(
    "revocation_locks",
    metadata,
    # A lock at which the credentials of one such edit had a right, and who there knows of it.
    Column("site_id", String(32), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("lock_id", String(32), primary_key=True),
    Column("hub_id", String(32), nullable=False),  # that served the lock then
    Column("revision", BigInteger),  # with which that hub knows; NULL within the edit only
    Column("hub_confirmed_at", UtcDateTime),
    Column("confirmed_at", UtcDateTime),  # the lock holds a list that was compiled since
    Index(
        "ix_revocation_locks_open",
        "site_id",
        "hub_id",
        sqlite_where=text("confirmed_at IS NULL"),
        postgresql_where=text("confirmed_at IS NULL"),
    ),
)
