"""Batches and vouchers: minted, found by digest, spent and voided by guarded UPDATEs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, assert_never

from sqlalchemy import Row, bindparam, insert, select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.vouchers import voucher_batches, vouchers
from controller.domain.ids import AccountId, BatchId, SiteId, VoucherId
from controller.domain.voucher import Spent, Voucher
from vouchers.products import AddOnProduct, Plan, PlanProduct, Product, SeatProduct

ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Vouchers that were minted together, all alike."""

    id: BatchId
    supplier_id: AccountId
    note: str
    product: Product
    count: int
    redeem_until: datetime
    catalogue_version: int
    created_at: datetime


_FIND: Final = select(vouchers).where(vouchers.c.digest == bindparam("code_digest"))
_SPEND: Final = (
    update(vouchers)
    .where(
        vouchers.c.id == bindparam("voucher"),
        vouchers.c.redeemed_at.is_(None),
        vouchers.c.voided_at.is_(None),
        vouchers.c.redeem_until > bindparam("at"),
    )
    .values(
        redeemed_at=bindparam("at"), redeemed_site_id=bindparam("site"), redeemed_by=bindparam("by")
    )
)


def product_record(product: Product) -> dict[str, object]:
    """Return a product as JSON values."""
    match product:
        case PlanProduct():
            kind = "plan"
        case AddOnProduct():
            kind = "add_on"
        case SeatProduct():
            kind = "seats"
        case _:
            assert_never(product)
    return {"kind": kind} | asdict(product)


def product_of(record: Mapping[str, Any]) -> Product:
    """Return the product that ``product_record`` wrote."""
    facts = {name: value for name, value in record.items() if name != "kind"}
    match record["kind"]:
        case "plan":
            return PlanProduct(**facts | {"plan": Plan(facts["plan"])})
        case "add_on":
            return AddOnProduct(**facts)
        case "seats":
            return SeatProduct(**facts)
        case kind:
            raise ValueError(f"no product is a {kind!r}")


async def keep_batch(tx: Session, batch: Batch, minted: Sequence[tuple[VoucherId, bytes]]) -> None:
    """Store a batch and its vouchers, each as id and digest."""
    shared = {
        "product": product_record(batch.product),
        "redeem_until": batch.redeem_until,
        "catalogue_version": batch.catalogue_version,
    }
    await tx.execute(
        insert(voucher_batches),
        shared
        | {
            "id": batch.id,
            "supplier_id": batch.supplier_id,
            "note": batch.note,
            "count": batch.count,
            "created_at": batch.created_at,
        },
    )
    rows = [
        shared | {"id": voucher_id, "batch_id": batch.id, "digest": digest}
        for voucher_id, digest in minted
    ]
    for at in range(0, len(rows), ROWS_AT_ONCE):
        await tx.execute(insert(vouchers), rows[at : at + ROWS_AT_ONCE])


async def batch(tx: ReadSession, batch_id: BatchId, supplier_id: AccountId) -> Batch | None:
    """Return a supplier's batch; nobody else's."""
    row = (
        await tx.execute(select(voucher_batches).filter_by(id=batch_id, supplier_id=supplier_id))
    ).one_or_none()
    return batch_of(row) if row else None


async def find(tx: ReadSession, digest: bytes) -> Voucher | None:
    """Return the voucher of a code."""
    row = (await tx.execute(_FIND, {"code_digest": digest})).one_or_none()
    return voucher_of(row) if row else None


async def of_supplier(
    tx: ReadSession, voucher_id: VoucherId, supplier_id: AccountId
) -> Voucher | None:
    """Return a voucher of a supplier's batches; nobody else's."""
    row = (
        await tx.execute(
            select(vouchers)
            .join(voucher_batches, voucher_batches.c.id == vouchers.c.batch_id)
            .where(vouchers.c.id == voucher_id, voucher_batches.c.supplier_id == supplier_id)
        )
    ).one_or_none()
    return voucher_of(row) if row else None


async def spend(
    tx: Session, voucher_id: VoucherId, *, by: AccountId, site_id: SiteId, now: datetime
) -> bool:
    """Claim a voucher; whoever comes second, or too late, gets ``False`` and changes nothing."""
    done = await tx.execute(_SPEND, {"voucher": voucher_id, "at": now, "site": site_id, "by": by})
    return done.rowcount == 1


async def void(tx: Session, voucher_id: VoucherId, *, now: datetime) -> bool:
    """Void a voucher that is neither spent nor void."""
    return await _void(tx, vouchers.c.id == voucher_id, now) == 1


async def void_batch(tx: Session, batch_id: BatchId, *, now: datetime) -> int:
    """Void what is left of a batch and return how many vouchers that was."""
    return await _void(tx, vouchers.c.batch_id == batch_id, now)


async def _void(tx: Session, which: Any, now: datetime) -> int:
    unspent = (vouchers.c.redeemed_at.is_(None), vouchers.c.voided_at.is_(None))
    done = await tx.execute(update(vouchers).where(which, *unspent).values(voided_at=now))
    return done.rowcount


def batch_of(row: Row[Any]) -> Batch:
    """Return the batch that a row of the table holds."""
    facts = dict(row._mapping)  # noqa: SLF001 - a public attribute of SQLAlchemy's Row
    return Batch(**facts | {"product": product_of(row.product)})


def voucher_of(row: Row[Any]) -> Voucher:
    """Return the voucher that a row of the table holds."""
    spent = None
    if row.redeemed_at is not None:
        spent = Spent(by=row.redeemed_by, site_id=row.redeemed_site_id, at=row.redeemed_at)
    return Voucher(
        id=row.id,
        batch_id=row.batch_id,
        product=product_of(row.product),
        catalogue_version=row.catalogue_version,
        redeem_until=row.redeem_until,
        voided_at=row.voided_at,
        spent=spent,
    )
