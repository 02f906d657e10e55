"""Column types that mean the same on SQLite and on PostgreSQL.

``UtcDateTime`` for every instant, ``Json`` for small documents, ``BigIntKey`` for keys the
database counts up (SQLite counts only a column of its own type INTEGER).
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator
from typing_extensions import override


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: takes only aware datetimes, stores UTC, returns aware UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs its time zone: {value!r}")
        return value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:  # SQLite keeps text without a zone
            return value.replace(tzinfo=UTC)
        return value.astimezone(UTC)


Json: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BigIntKey: Final = BigInteger().with_variant(Integer(), "sqlite")
