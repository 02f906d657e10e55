"""Values that the tests of the rules start from."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from controller.domain import catalogue
from controller.domain.entitlements import Holdings
from controller.domain.ids import BatchId, VoucherId
from controller.domain.subscription import Subscription, redeem_plan, start_free_week
from controller.domain.voucher import Voucher
from vouchers.products import Plan, PlanProduct, Product

CATALOGUE: Final = catalogue.load()
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)
FAR: Final = datetime(2099, 1, 1, tzinfo=UTC)

INSTANTS: Final = st.timedeltas(timedelta(0), timedelta(days=9_000)).map(NOON.__add__)
PLAN_PRODUCTS: Final = st.builds(
    PlanProduct,
    plan=st.sampled_from(Plan),
    users=st.integers(1, 100_000),
    term_days=st.integers(1, 3_650),
    rate=st.integers(1, 1_000_000),
)


def plan_product(**changes: Any) -> PlanProduct:
    """Pro for 10 users and 30 days, with some values changed."""
    values: dict[str, Any] = {"plan": Plan.PRO, "users": 10, "term_days": 30, "rate": 80}
    return PlanProduct(**values | changes)


def voucher_for(product: Product, **changes: Any) -> Voucher:
    """An unspent voucher that is good for long."""
    values: dict[str, Any] = {
        "id": VoucherId("a" * 32),
        "batch_id": BatchId("b" * 32),
        "product": product,
        "catalogue_version": 1,
        "redeem_until": FAR,
    }
    return Voucher(**values | changes)


def free_week(now: datetime = NOON) -> Subscription:
    """The subscription of a site created at ``now``."""
    return start_free_week(CATALOGUE.newest, now=now).subscription


def paid(now: datetime = NOON, **changes: Any) -> Subscription:
    """A subscription by one voucher, redeemed at ``now`` after the free week."""
    return redeem(free_week(now - 8 * DAY), plan_product(**changes), now=now)


def redeem(current: Subscription, product: PlanProduct, *, now: datetime) -> Subscription:
    """The subscription that a plan voucher leads to."""
    return redeem_plan(
        current, product, catalogue_version=1, redeem_until=FAR, now=now
    ).subscription


def holdings(subscription: Subscription | None = None) -> Holdings:
    """A site's holdings: a paid subscription, if none is given."""
    return Holdings(subscription=subscription or paid())
