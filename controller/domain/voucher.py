"""A minted voucher, and who may still redeem it."""

from dataclasses import dataclass
from datetime import datetime

from controller.domain.errors import Refused
from controller.domain.ids import AccountId, BatchId, SiteId, VoucherId
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
    raise NotImplementedError


def void(voucher: Voucher, *, now: datetime) -> Voucher:
    """Return a voucher that can no longer be redeemed; voiding twice changes nothing.

    Raises:
        VoucherAlreadySpent: It was redeemed before.
    """
    raise NotImplementedError
