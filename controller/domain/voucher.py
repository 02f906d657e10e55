"""A minted voucher, and who may still redeem it."""

from dataclasses import dataclass, replace
from datetime import datetime

from controller.domain.errors import Refused
from controller.domain.ids import AccountId, BatchId, SiteId, VoucherId
from controller.domain.instants import to_text
from vouchers.products import Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """By whom, where and when a voucher was redeemed."""

    by: AccountId
    site_id: SiteId
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """A voucher as stored; its code is not among what is stored."""

    id: VoucherId
    batch_id: BatchId
    product: Product
    catalogue_version: int
    redeem_until: datetime
    voided_at: datetime | None = None
    spent: Spent | None = None

    @property
    def is_unspent(self) -> bool:
        """Whether it was neither redeemed nor voided."""
        return self.spent is None and self.voided_at is None


class VoucherNotRedeemable(Refused):
    """Unknown, void, past its date or spent by somebody else: one answer, telling nothing."""

    code = "voucher_not_redeemable"


class VoucherAlreadyRedeemed(Refused):
    """Spent by the caller, who is told where and when."""

    code = "voucher_already_redeemed"


class VoucherAlreadySpent(Refused):
    """A spent voucher cannot be voided."""

    code = "voucher_already_spent"


def require_redeemable(voucher: Voucher | None, *, account_id: AccountId, now: datetime) -> Voucher:
    """Return a voucher that can be redeemed at ``now``.

    Args:
        voucher: What the look-up by digest found.
        account_id: Who asks; only the account that spent it learns that it is spent.
        now: At ``redeem_until`` it is too late.

    Raises:
        VoucherAlreadyRedeemed: The caller redeemed it before.
        VoucherNotRedeemable: For every other reason, in the same words.
    """
    if voucher is not None and voucher.spent is not None and voucher.spent.by == account_id:
        raise VoucherAlreadyRedeemed(
            f"You redeemed this voucher at {to_text(voucher.spent.at)}; a voucher works once.",
            redeemed_at=to_text(voucher.spent.at),
            site_id=voucher.spent.site_id,
        )
    if voucher is None or not voucher.is_unspent or now >= voucher.redeem_until:
        raise VoucherNotRedeemable(
            "This voucher cannot be redeemed. Compare the code with the voucher, or ask whoever "
            "sold it to you."
        )
    return voucher


def void(voucher: Voucher, *, now: datetime) -> Voucher:
    """Return a voucher that can no longer be redeemed; voiding twice changes nothing.

    Raises:
        VoucherAlreadySpent: It was redeemed before.
    """
    if voucher.spent is not None:
        raise VoucherAlreadySpent(
            f"The voucher was redeemed at {to_text(voucher.spent.at)} and cannot be voided.",
            redeemed_at=to_text(voucher.spent.at),
        )
    return voucher if voucher.voided_at is not None else replace(voucher, voided_at=now)
