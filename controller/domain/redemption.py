"""Redeeming any voucher: one function for the preview and for the act itself."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from controller.domain.catalogue import Catalogue, Feature
from controller.domain.entitlements import Holdings, features, redeem_add_on, redeem_seats
from controller.domain.history import HistoryEntry
from controller.domain.subscription import redeem_plan
from controller.domain.voucher import Voucher
from vouchers.carry_over import CarryOver
from vouchers.products import AddOnProduct, PlanProduct, SeatProduct


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
    voucher: Voucher,
    *,
    catalogue: Catalogue,
    now: datetime,
) -> Redemption:
    """Return what a voucher would do, or does, at ``now``.

    Args:
        holdings: What the site holds, as read; the caller guards its version when writing.
        voucher: One that ``require_redeemable`` has let pass.
        catalogue: All versions.
        now: The instant of the redemption.

    Raises:
        Refused: One of the refusals of ``redeem_plan``, ``redeem_add_on``, ``redeem_seats``;
            the voucher stays unspent.
    """
    carried: CarryOver | None = None
    lost_s = 0
    entries: tuple[HistoryEntry, ...]
    match voucher.product:
        case PlanProduct() as product:
            change = redeem_plan(
                holdings.subscription,
                product,
                catalogue_version=voucher.catalogue_version,
                redeem_until=voucher.redeem_until,
                now=now,
            )
            after = replace(holdings, subscription=change.subscription)
            entries, carried, lost_s = change.entries, change.carry_over, change.lost_s
            ends_at = change.subscription.ends_at
        case AddOnProduct() as product:
            after, added = redeem_add_on(holdings, product, now=now)
            entries, ends_at = (added,), added.ends_at
        case SeatProduct() as product:
            after, seated = redeem_seats(holdings, product, catalogue=catalogue, now=now)
            entries, ends_at = (seated,), seated.ends_at
        case _:
            assert_never(voucher.product)
    return Redemption(
        holdings=after,
        entries=entries,
        ends_at=ends_at,
        carry_over=carried,
        lost_s=lost_s,
        lost_features=features(holdings, catalogue, now=now) - features(after, catalogue, now=now),
    )
