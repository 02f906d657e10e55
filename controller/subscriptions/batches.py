"""Voucher batches: minted and voided. Codes are returned once and stored nowhere."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.domain.catalogue import Catalogue, Edition
from controller.domain.errors import Forbidden, Invalid, NotFound
from controller.domain.ids import AccountId, BatchId, VoucherId
from controller.domain.instants import from_seconds, to_seconds, to_text
from controller.domain.roles import Action, Actor
from controller.domain.voucher import Voucher, void
from controller.ports import Ids, Randomness
from controller.subscriptions import voucher_repository
from controller.subscriptions.voucher_repository import Batch, product_record
from vouchers import codes
from vouchers.codes import Code
from vouchers.errors import ProductError
from vouchers.products import Product, require_mintable

COUNT_MAX: Final = 1_000


class InvalidProduct(Invalid):
    """The product could never be redeemed, or could end after 2100-01-01."""

    code = ProductError.code


class InvalidCount(Invalid):
    """A batch is too small or too large."""

    code = "invalid_count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """A new batch with its codes; this is the only time that they can be seen."""

    batch: Batch
    codes: tuple[tuple[VoucherId, Code], ...] = field(repr=False)


class Batches:
    """A supplier's vouchers."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        pepper: bytes,
        ids: Ids,
        randomness: Randomness,
        audit: Audit,
    ) -> None:
        self._catalogue = catalogue
        self._pepper = pepper
        self._ids = ids
        self._randomness = randomness
        self._audit = audit

    @property
    def edition(self) -> Edition:
        """The version of the catalogue under which vouchers are minted now."""
        return self._catalogue.newest

    async def mint(
        self,
        tx: Session,
        actor: Actor,
        product: Product,
        *,
        count: int,
        redeem_until: datetime,
        note: str,
        now: datetime,
    ) -> Minted:
        """Make vouchers that are all alike.

        Raises:
            UnknownProduct: The catalogue does not sell it.
            InvalidProduct: It could never be redeemed, or could end after 2100-01-01.
            InvalidCount: There are not 1 to 1,000.
        """
        supplier_id = supplier(actor, Action.MANAGE_VOUCHERS)
        if not 1 <= count <= COUNT_MAX:
            raise InvalidCount(
                f"count: {count} is not between 1 and {COUNT_MAX}; mint several batches.",
                field="count",
                minimum=1,
                maximum=COUNT_MAX,
            )
        until = self._mintable_until(product, redeem_until, now)
        batch = Batch(
            id=BatchId(self._ids.new()),
            supplier_id=supplier_id,
            note=note,
            product=product,
            count=count,
            redeem_until=until,
            catalogue_version=self.edition.version,
            created_at=now,
        )
        minted = tuple((VoucherId(self._ids.new()), self._code()) for _ in range(count))
        await voucher_repository.keep_batch(
            tx,
            batch,
            [(voucher_id, codes.digest(code, self._pepper)) for voucher_id, code in minted],
        )
        facts = {
            "product": product_record(product),
            "count": count,
            "redeem_until": to_text(until),
        }
        await self._record(tx, actor, "batch_minted", batch.id, facts, now=now)
        return Minted(batch=batch, codes=minted)

    async def void_batch(
        self, tx: Session, actor: Actor, batch_id: BatchId, *, now: datetime
    ) -> int:
        """Void what is left of a batch and return how many vouchers that was.

        Raises:
            NotFound: The supplier has no such batch.
        """
        supplier_id = supplier(actor, Action.MANAGE_VOUCHERS)
        await owned_batch(tx, batch_id, supplier_id)
        count = await voucher_repository.void_batch(tx, batch_id, now=now)
        await self._record(tx, actor, "batch_voided", batch_id, {"voided": count}, now=now)
        return count

    async def void_voucher(
        self, tx: Session, actor: Actor, voucher_id: VoucherId, *, now: datetime
    ) -> None:
        """Void one voucher; voiding it twice changes nothing.

        Raises:
            NotFound: The supplier has no such voucher.
            VoucherAlreadySpent: It was redeemed before.
        """
        supplier_id = supplier(actor, Action.MANAGE_VOUCHERS)
        voucher = await _owned_voucher(tx, voucher_id, supplier_id)
        if void(voucher, now=now) == voucher:
            return
        if await voucher_repository.void(tx, voucher_id, now=now):
            await self._record(tx, actor, "voucher_voided", voucher_id, {}, now=now)
        else:  # somebody was faster: it is void now, or this raises
            void(await _owned_voucher(tx, voucher_id, supplier_id), now=now)

    def _mintable_until(self, product: Product, redeem_until: datetime, now: datetime) -> datetime:
        self.edition.require_sold(product)
        until_s = to_seconds(redeem_until)
        try:
            require_mintable(product, minted_at_s=to_seconds(now), redeem_until_s=until_s)
        except ProductError as error:
            raise InvalidProduct(error.message, **error.facts) from error
        return from_seconds(until_s)

    def _code(self) -> Code:
        return codes.generate(self._randomness.token_bytes(codes.RANDOM_BYTES))

    async def _record(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        object_id: str,
        facts: dict[str, object],
        *,
        now: datetime,
    ) -> None:
        await self._audit.record(
            tx,
            actor,
            action,
            site_id=None,
            object_kind=action.partition("_")[0],
            object_id=object_id,
            now=now,
            facts=facts,
        )


async def owned_batch(tx: ReadSession, batch_id: BatchId, supplier_id: AccountId) -> Batch:
    """Return a supplier's own batch.

    Raises:
        NotFound: There is none, or it is another supplier's.
    """
    batch = await voucher_repository.batch(tx, batch_id, supplier_id)
    if batch is None:
        raise NotFound("You have no such batch.", object="batch")
    return batch


async def _owned_voucher(tx: ReadSession, voucher_id: VoucherId, supplier_id: AccountId) -> Voucher:
    voucher = await voucher_repository.of_supplier(tx, voucher_id, supplier_id)
    if voucher is None:
        raise NotFound("You have no such voucher.", object="voucher")
    return voucher


def supplier(actor: Actor, action: Action) -> AccountId:
    """Return the account whose batches the actor works with.

    Raises:
        Forbidden: The actor may not, or is nobody's account.
    """
    actor.require(action)
    if actor.account_id is None:
        raise Forbidden("A batch belongs to a supplier's account.")
    return actor.account_id
