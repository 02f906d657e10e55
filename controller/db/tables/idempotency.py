"""Answers given to requests that carried an Idempotency-Key."""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table

from controller.db.metadata import metadata
from controller.db.types import Json, UtcDateTime

KEY_LENGTH_MAX: Final = 200

idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("actor", String(100), primary_key=True),  # keys of two actors never meet
    Column("key", String(KEY_LENGTH_MAX), primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),  # keyed: a body may hold a code
    Column("status", Integer, nullable=False),
    Column("headers", Json, nullable=False),
    Column("body_sealed", LargeBinary),  # null once forgotten; the key itself stays taken for ever
    Column("created_at", UtcDateTime, nullable=False),
)

Index(
    "ix_idempotency_keys_remembered",
    idempotency_keys.c.created_at,
    sqlite_where=idempotency_keys.c.body_sealed.is_not(None),
    postgresql_where=idempotency_keys.c.body_sealed.is_not(None),
)
