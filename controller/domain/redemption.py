"""Redeeming any voucher: one function for the preview and for the act itself."""

from dataclasses import dataclass
from datetime import datetime

from controller.domain.catalogue import Catalogue, Feature
from controller.domain.entitlements import Holdings
from controller.domain.history import HistoryEntry
from vouchers.carry_over import CarryOver
from vouchers.products import Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """What a voucher does to a site's holdings."""

    holdings: Holdings
    entries: tuple[HistoryEntry, ...]  # an unrecorded expiry first, then the redemption
    ends_at: datetime  # of the subscription, add-on or seats that the voucher is for
    carry_over: CarryOver | None  # only of a plan voucher: how its end was computed
    lost_s: int  # seconds of the free week that are given up
    lost_features: frozenset[Feature]  # usable before, no longer afterwards


def redeem(
    holdings: Holdings,
    product: Product,
    *,
    catalogue: Catalogue,
    catalogue_version: int,
    now: datetime,
) -> Redemption:
    """Return what a voucher would do, or does, at ``now``.

    Args:
        holdings: What the site holds, as read; the caller guards its version when writing.
        product: What the voucher is for.
        catalogue: All versions.
        catalogue_version: The version under which the voucher was minted.
        now: The instant of the redemption.

    Raises:
        Refused: One of the refusals of ``redeem_plan``, ``redeem_add_on``, ``redeem_seats``;
            the voucher stays unspent.
    """
    raise NotImplementedError
