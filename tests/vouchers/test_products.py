"""Products validate themselves, and minting looks at the calendar."""

from collections.abc import Callable
from typing import Any

import pytest

from vouchers.errors import ProductError
from vouchers.products import (
    HORIZON_S,
    AddOnProduct,
    Plan,
    PlanProduct,
    Product,
    SeatProduct,
    require_mintable,
)

NOW_S = 1_790_000_000


def plan(**changes: Any) -> PlanProduct:
    """A plan product with some values changed."""
    values: dict[str, Any] = {"plan": Plan.PRO, "users": 10, "term_days": 365, "rate": 80}
    return PlanProduct(**values | changes)


def add_on(**changes: Any) -> AddOnProduct:
    """An add-on product with some values changed."""
    values: dict[str, Any] = {"feature": "pods", "term_days": 365}
    return AddOnProduct(**values | changes)


def seats(**changes: Any) -> SeatProduct:
    """A seat product with some values changed."""
    values: dict[str, Any] = {"component": "lockers", "count": 10, "term_days": 365}
    return SeatProduct(**values | changes)


@pytest.mark.parametrize(
    ("make", "field", "value"),
    [
        (plan, "users", 0),
        (plan, "users", -1),
        (plan, "users", 100_001),
        (plan, "term_days", 0),
        (plan, "term_days", 36_526),
        (plan, "rate", 0),
        (plan, "rate", -5),
        (plan, "rate", 1_000_000_001),
        (add_on, "feature", ""),
        (add_on, "feature", "Pods"),
        (add_on, "feature", "po ds"),
        (add_on, "feature", "x" * 41),
        (add_on, "term_days", 0),
        (seats, "component", "1lockers"),
        (seats, "count", 0),
        (seats, "count", 100_001),
        (seats, "term_days", 0),
    ],
)
def test_a_value_out_of_bounds_is_refused(
    make: Callable[..., Product], field: str, value: object
) -> None:
    """No product exists with it; the refusal names the field."""
    with pytest.raises(ProductError) as refusal:
        make(**{field: value})

    assert refusal.value.code == "invalid_product"
    assert refusal.value.field == field
    assert refusal.value.facts["field"] == field
    assert refusal.value.message.startswith(f"{field}:")


@pytest.mark.parametrize(
    "product",
    [
        plan(users=1, term_days=1, rate=1),
        plan(users=100_000, term_days=36_525, rate=1_000_000_000),
        add_on(term_days=1),
        seats(count=1),
        seats(count=100_000),
    ],
)
def test_the_bounds_themselves_are_allowed(product: Product) -> None:
    """The smallest and the largest value make a product whose days have 86,400 s."""
    assert product.term_s == product.term_days * 86_400


def test_lite_is_below_pro() -> None:
    """Plans are ordered by rank, not by name."""
    assert Plan.LITE.rank < Plan.PRO.rank
    assert set(Plan) == {"lite", "pro"}


@pytest.mark.parametrize("make", [plan, add_on, seats])
def test_an_end_after_2100_is_not_minted(make: Callable[..., Product]) -> None:
    """A voucher that ends exactly at 2100-01-01 is minted, a day more is not."""
    days = (HORIZON_S - NOW_S) // 86_400
    minted_at_s = HORIZON_S - days * 86_400 - 1

    require_mintable(make(term_days=days), minted_at_s=minted_at_s, redeem_until_s=minted_at_s + 1)
    with pytest.raises(ProductError) as refusal:
        require_mintable(
            make(term_days=days + 1), minted_at_s=minted_at_s, redeem_until_s=minted_at_s + 1
        )

    assert refusal.value.field == "term_days"
    assert refusal.value.facts["maximum"] == days


@pytest.mark.parametrize(
    ("redeem_until_s", "term_days"), [(NOW_S, 1), (NOW_S - 1, 1), (HORIZON_S - 86_399, 1)]
)
def test_a_redeem_until_that_cannot_be_is_not_minted(redeem_until_s: int, term_days: int) -> None:
    """It lies in the future, and a redemption at the last moment still ends by 2100."""
    with pytest.raises(ProductError) as refusal:
        require_mintable(
            plan(term_days=term_days), minted_at_s=NOW_S, redeem_until_s=redeem_until_s
        )

    assert refusal.value.field == "redeem_until"


def test_a_sound_voucher_is_minted() -> None:
    """The latest possible redeem_until passes."""
    require_mintable(plan(term_days=1), minted_at_s=NOW_S, redeem_until_s=HORIZON_S - 86_400)
