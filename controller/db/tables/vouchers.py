"""Voucher batches and vouchers. A code is stored as a keyed digest and cannot be read back."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from controller.db.metadata import metadata
from controller.db.types import Json, UtcDateTime

voucher_batches: Final = Table(
    "voucher_batches",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("supplier_id", String(32), ForeignKey("accounts.id"), nullable=False),
    Column("note", String(200), nullable=False),
    Column("product", Json, nullable=False),
    Column("count", Integer, nullable=False),
    Column("redeem_until", UtcDateTime, nullable=False),
    Column("catalogue_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "supplier_id", "created_at"),
)

vouchers: Final = Table(
    "vouchers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("batch_id", String(32), ForeignKey("voucher_batches.id"), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("product", Json, nullable=False),  # copied at mint: a batch never changes it later
    Column("redeem_until", UtcDateTime, nullable=False),
    Column("catalogue_version", Integer, nullable=False),
    Column("voided_at", UtcDateTime),
    Column("redeemed_at", UtcDateTime),
    Column("redeemed_site_id", String(32), ForeignKey("sites.id")),
    Column("redeemed_by", String(32), ForeignKey("accounts.id")),
    Index(None, "batch_id"),
    Index(None, "redeemed_site_id"),
)
