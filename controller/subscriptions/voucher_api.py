"""The REST API of suppliers: batches and vouchers."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import AwareDatetime, Field

from controller.domain.catalogue import Edition
from controller.domain.ids import AccountId, BatchId, VoucherId
from controller.domain.instants import EPOCH
from controller.domain.roles import Action, Actor
from controller.subscriptions import voucher_queries
from controller.subscriptions.batches import COUNT_MAX, Batches, owned_batch, supplier
from controller.subscriptions.voucher_queries import BatchOut, StockOut, VoucherOut, shown, to_csv
from controller.web.api import Call, get, post
from controller.web.fields import PRINTABLE
from controller.web.models import WHOLE, In, Out
from controller.web.pagination import (
    LIMIT_DEFAULT,
    BadCursor,
    Cursor,
    Limit,
    Page,
    decoded,
    page_of,
)
from vouchers.products import (
    SEATS_MAX,
    TERM_DAYS_MAX,
    USERS_MAX,
    AddOnProduct,
    Plan,
    PlanProduct,
    SeatProduct,
)

MICROSECOND: Final = timedelta(microseconds=1)

Days = Annotated[int, Field(ge=1, le=TERM_DAYS_MAX, description="Days of 86,400 s."), WHOLE]
Sold = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]


class PlanIn(In):
    """A plan for so many users; its rate is the catalogue's."""

    kind: Literal["plan"]
    plan: Plan
    users: Annotated[int, Field(ge=1, le=USERS_MAX), WHOLE]
    term_days: Days

    def of(self, edition: Edition) -> PlanProduct:
        """Return the product."""
        return edition.plan_product(self.plan, users=self.users, term_days=self.term_days)


class AddOnIn(In):
    """A feature on top of either plan."""

    kind: Literal["add_on"]
    feature: Sold
    term_days: Days

    def of(self, _: Edition) -> AddOnProduct:
        """Return the product."""
        return AddOnProduct(feature=self.feature, term_days=self.term_days)


class SeatsIn(In):
    """More of a component than the plan allows."""

    kind: Literal["seats"]
    component: Sold
    count: Annotated[int, Field(ge=1, le=SEATS_MAX), WHOLE]
    term_days: Days

    def of(self, _: Edition) -> SeatProduct:
        """Return the product."""
        return SeatProduct(component=self.component, count=self.count, term_days=self.term_days)


class BatchIn(In):
    """A batch to be minted."""

    product: Annotated[PlanIn | AddOnIn | SeatsIn, Field(discriminator="kind")]
    count: Annotated[int, Field(ge=1, le=COUNT_MAX), WHOLE]
    redeem_until: AwareDatetime
    note: Annotated[str, Field(max_length=200), PRINTABLE] = ""


class CodeOut(Out):
    """A voucher with its code."""

    voucher_id: VoucherId
    code: Annotated[str, Field(repr=False)]


class MintedOut(BatchOut):
    """A new batch; ``codes`` are shown only in this answer, and in repetitions of the request."""

    codes: Annotated[list[CodeOut], Field(repr=False)]


class VoidedOut(Out):
    """How many vouchers were voided."""

    voided: int


class VouchersApi:
    """A supplier's batches and vouchers. Other suppliers' are as if they did not exist."""

    tag = "vouchers"

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    @post("/voucher-batches", requires=Action.MANAGE_VOUCHERS, status=201, idempotent=True)
    async def mint(self, call: Call, body: BatchIn) -> MintedOut:
        """Mint a batch of vouchers; the codes are shown only in this answer."""
        async with call.db.write() as tx:
            minted = await self._batches.mint(
                tx,
                call.actor,
                body.product.of(self._batches.edition),
                count=body.count,
                redeem_until=body.redeem_until,
                note=body.note,
                now=call.now,
            )
        batch = shown(minted.batch, StockOut(unspent=body.count))
        codes = [
            CodeOut(voucher_id=voucher_id, code=code.grouped()) for voucher_id, code in minted.codes
        ]
        return MintedOut(**dict(batch), codes=codes)

    @get("/voucher-batches", requires=Action.READ_VOUCHERS)
    async def listed(
        self, call: Call, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[BatchOut]:
        """List your batches with their stock, newest first."""
        before = _before(cursor)
        async with call.db.read() as tx:
            found = await voucher_queries.batches(
                tx, _supplier(call.actor), before=before, limit=limit + 1, now=call.now
            )
        return page_of(
            found, limit, lambda batch: ((batch.created_at - EPOCH) // MICROSECOND, batch.id)
        )

    @get("/voucher-batches/{batch_id}", requires=Action.READ_VOUCHERS)
    async def one(self, call: Call, batch_id: BatchId) -> BatchOut:
        """Show a batch with its stock."""
        async with call.db.read() as tx:
            batch = await owned_batch(tx, batch_id, _supplier(call.actor))
            stock = await voucher_queries.stock(tx, [batch_id], now=call.now)
        return shown(batch, stock[batch_id])

    @get("/voucher-batches/{batch_id}/vouchers", requires=Action.READ_VOUCHERS)
    async def vouchers(
        self, call: Call, batch_id: BatchId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[VoucherOut]:
        """List the vouchers of a batch: their state, and where they were redeemed."""
        key = decoded(cursor, str)
        found = await self._vouchers(call, batch_id, str(key[0]) if key else None, limit + 1)
        return page_of(found, limit, lambda voucher: (voucher.id,))

    @get("/voucher-batches/{batch_id}/vouchers.csv", requires=Action.READ_VOUCHERS)
    async def export(self, call: Call, batch_id: BatchId) -> web.Response:
        """Export the vouchers of a batch as CSV, without anything that redeems."""
        found = await self._vouchers(call, batch_id, None, COUNT_MAX)
        return web.Response(
            text=to_csv(found),
            content_type="text/csv",
            charset="utf-8",
            headers={"Content-Disposition": f'attachment; filename="batch-{batch_id}.csv"'},
        )

    @post("/voucher-batches/{batch_id}/void", requires=Action.MANAGE_VOUCHERS)
    async def void_batch(self, call: Call, batch_id: BatchId) -> VoidedOut:
        """Void what is left of a batch."""
        async with call.db.write() as tx:
            voided = await self._batches.void_batch(tx, call.actor, batch_id, now=call.now)
        return VoidedOut(voided=voided)

    @post("/vouchers/{voucher_id}/void", requires=Action.MANAGE_VOUCHERS, status=204)
    async def void(self, call: Call, voucher_id: VoucherId) -> None:
        """Void one voucher."""
        async with call.db.write() as tx:
            await self._batches.void_voucher(tx, call.actor, voucher_id, now=call.now)

    async def _vouchers(
        self, call: Call, batch_id: BatchId, after: str | None, limit: int
    ) -> list[VoucherOut]:
        async with call.db.read() as tx:
            await owned_batch(tx, batch_id, _supplier(call.actor))
            return await voucher_queries.batch_vouchers(
                tx, batch_id, after=after, limit=limit, now=call.now
            )


def _before(cursor: str | None) -> tuple[datetime, str] | None:
    """Return creation and id of the batch behind which a page begins.

    Raises:
        BadCursor: No page of ours ends there.
    """
    key = decoded(cursor, int, str)
    if key is None:
        return None
    try:
        return EPOCH + int(key[0]) * MICROSECOND, str(key[1])
    except OverflowError as error:
        raise BadCursor from error


def _supplier(actor: Actor) -> AccountId:
    return supplier(actor, Action.READ_VOUCHERS)
