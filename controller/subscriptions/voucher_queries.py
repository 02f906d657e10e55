"""What pages and API show of voucher batches: the stock, and which vouchers were redeemed where."""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Case, case, func, literal, select, tuple_

from controller.db.engine import ReadSession
from controller.db.tables.vouchers import voucher_batches, vouchers
from controller.domain.ids import AccountId, BatchId, SiteId, VoucherId
from controller.domain.instants import to_text
from controller.subscriptions.voucher_repository import Batch, batch_of, product_record
from controller.web.models import Out


class State(StrEnum):
    """What has become of a voucher."""

    UNSPENT = "unspent"
    REDEEMED = "redeemed"
    VOID = "void"
    EXPIRED = "expired"


class StockOut(Out):
    """How many vouchers of a batch are in which state."""

    unspent: int = 0
    redeemed: int = 0
    void: int = 0
    expired: Annotated[int, Field(description="Neither redeemed nor void, and too late.")] = 0


class BatchOut(Out):
    """A batch of vouchers that are all alike."""

    id: BatchId
    note: str
    product: dict[str, Any]
    count: int
    redeem_until: datetime
    catalogue_version: int
    created_at: datetime
    stock: StockOut


class VoucherOut(Out):
    """A voucher; its code cannot be shown again."""

    id: VoucherId
    state: State
    redeem_until: datetime
    voided_at: datetime | None
    redeemed_at: datetime | None
    redeemed_site_id: SiteId | None


CSV_COLUMNS: Final = tuple(VoucherOut.model_fields)


def shown(batch: Batch, stock: StockOut) -> BatchOut:
    """Return a batch as it is shown."""
    return BatchOut(
        id=batch.id,
        note=batch.note,
        product=product_record(batch.product),
        count=batch.count,
        redeem_until=batch.redeem_until,
        catalogue_version=batch.catalogue_version,
        created_at=batch.created_at,
        stock=stock,
    )


async def batches(
    tx: ReadSession,
    supplier_id: AccountId,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
    now: datetime,
) -> list[BatchOut]:
    """Return a supplier's batches with their stock, newest first."""
    order = (voucher_batches.c.created_at, voucher_batches.c.id)
    query = select(voucher_batches).filter_by(supplier_id=supplier_id)
    if before is not None:
        created_at, batch_id = before
        last = tuple_(literal(created_at, voucher_batches.c.created_at.type), literal(batch_id))
        query = query.where(tuple_(*order) < last)
    query = query.order_by(*(column.desc() for column in order)).limit(limit)
    found = [batch_of(row) for row in await tx.execute(query)]
    stocks = await stock(tx, [batch.id for batch in found], now=now)
    return [shown(batch, stocks[batch.id]) for batch in found]


async def stock(
    tx: ReadSession, batch_ids: Collection[BatchId], *, now: datetime
) -> dict[BatchId, StockOut]:
    """Return how many vouchers of each batch are in which state."""
    state = _state(now).label("state")
    rows = await tx.execute(
        select(vouchers.c.batch_id, state, func.count().label("number"))
        .where(vouchers.c.batch_id.in_(batch_ids))
        .group_by(vouchers.c.batch_id, state)
    )
    counted: defaultdict[BatchId, dict[str, int]] = defaultdict(dict)
    for row in rows:
        counted[row.batch_id][row.state] = row.number
    return {batch_id: StockOut(**counted[batch_id]) for batch_id in batch_ids}


async def batch_vouchers(
    tx: ReadSession, batch_id: BatchId, *, after: str | None, limit: int, now: datetime
) -> list[VoucherOut]:
    """Return the vouchers of a batch by id, those after one first."""
    columns = [vouchers.c[name] for name in VoucherOut.model_fields if name != "state"]
    query = select(*columns, _state(now).label("state")).where(vouchers.c.batch_id == batch_id)
    if after is not None:
        query = query.where(vouchers.c.id > after)
    rows = await tx.execute(query.order_by(vouchers.c.id).limit(limit))
    return [VoucherOut.model_validate(row) for row in rows.mappings()]


def to_csv(found: Sequence[VoucherOut]) -> str:
    """Return vouchers as a table for a spreadsheet; it holds nothing that redeems."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(CSV_COLUMNS)
    for voucher in found:
        table.writerow(_cell(getattr(voucher, name)) for name in CSV_COLUMNS)
    return text.getvalue()


def _cell(value: object) -> object:
    return to_text(value) if isinstance(value, datetime) else value


def _state(now: datetime) -> Case[str]:
    return case(
        (vouchers.c.redeemed_at.is_not(None), State.REDEEMED.value),
        (vouchers.c.voided_at.is_not(None), State.VOID.value),
        (vouchers.c.redeem_until <= now, State.EXPIRED.value),
        else_=State.UNSPENT.value,
    )
