"""Sites: one physical place each."""

from typing import Final

from sqlalchemy import Column, Integer, String, Table

from controller.db.metadata import metadata
from controller.db.types import UtcDateTime

sites: Final = Table(
    "sites",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("time_zone", String(64), nullable=False),  # IANA name
    Column("buy_from", String(200), nullable=False),  # whom to ask for a voucher
    Column("created_at", UtcDateTime, nullable=False),
    Column("released_at", UtcDateTime),  # when the installer handed it over
    Column("version", Integer, nullable=False),
)
