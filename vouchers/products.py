"""What a voucher can be for: a plan, an add-on or seats.

A product validates itself, so that none with a value out of bounds exists. Whether the plan,
feature or component is one that is sold, the catalogue says.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vouchers.errors import ProductError

DAY_S: Final = 86_400
HORIZON_S: Final = 4_102_444_800  # 2100-01-01T00:00:00Z: nothing that is sold ends later
USERS_MAX: Final = 100_000  # twice the largest site we plan for
TERM_DAYS_MAX: Final = 36_525  # a century; the horizon refuses most of it
RATE_MAX: Final = 1_000_000_000  # a century at this rate still fits 63 bits
SEATS_MAX: Final = 100_000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Plan(StrEnum):
    """The plans, from the smallest."""

    LITE = "lite"
    PRO = "pro"

    @property
    def rank(self) -> int:
        """The plan's place in the order of plans; a lower plan has a lower rank."""
        return _RANKS[self]


_RANKS: Final = {Plan.LITE: 1, Plan.PRO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanProduct:
    """A plan for a number of users and a term, worth ``rate`` value units a second."""

    plan: Plan
    users: int
    term_days: int
    rate: int

    def __post_init__(self) -> None:
        _require_between("users", self.users, 1, USERS_MAX)
        _require_between("term_days", self.term_days, 1, TERM_DAYS_MAX)
        _require_between("rate", self.rate, 1, RATE_MAX)

    @property
    def term_s(self) -> int:
        """The term in seconds: days of 86,400 s."""
        return self.term_days * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOnProduct:
    """A feature on top of either plan for a term."""

    feature: str
    term_days: int

    def __post_init__(self) -> None:
        _require_name("feature", self.feature)
        _require_between("term_days", self.term_days, 1, TERM_DAYS_MAX)

    @property
    def term_s(self) -> int:
        """The term in seconds: days of 86,400 s."""
        return self.term_days * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatProduct:
    """More of a component than the plan allows, for a term."""

    component: str
    count: int
    term_days: int

    def __post_init__(self) -> None:
        _require_name("component", self.component)
        _require_between("count", self.count, 1, SEATS_MAX)
        _require_between("term_days", self.term_days, 1, TERM_DAYS_MAX)

    @property
    def term_s(self) -> int:
        """The term in seconds: days of 86,400 s."""
        return self.term_days * DAY_S


Product = PlanProduct | AddOnProduct | SeatProduct


def require_mintable(product: Product, *, minted_at_s: int, redeem_until_s: int) -> None:
    """Refuse to mint what could never be redeemed, or could end after 2100-01-01.

    Args:
        product: The product.
        minted_at_s: The instant of minting, seconds UTC.
        redeem_until_s: First instant at which the voucher can no longer be redeemed.

    Raises:
        ProductError: ``field`` is ``term_days`` or ``redeem_until``.
    """
    if minted_at_s + product.term_s > HORIZON_S:
        raise ProductError(
            f"term_days: {product.term_days} days from now end after 2100-01-01. Choose fewer.",
            field="term_days",
            value=product.term_days,
            maximum=(HORIZON_S - minted_at_s) // DAY_S,
        )
    if redeem_until_s <= minted_at_s:
        raise ProductError(
            "redeem_until: this instant has passed. Choose one in the future.",
            field="redeem_until",
            value=redeem_until_s,
            minimum=minted_at_s + 1,
        )
    if redeem_until_s + product.term_s > HORIZON_S:
        raise ProductError(
            "redeem_until: redeemed at the last moment, the voucher would end after 2100-01-01. "
            "Choose an earlier one, or fewer days.",
            field="redeem_until",
            value=redeem_until_s,
            maximum=HORIZON_S - product.term_s,
        )


def _require_between(field: str, value: int, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise ProductError(
            f"{field}: {value} is not between {minimum} and {maximum}.",
            field=field,
            value=value,
            minimum=minimum,
            maximum=maximum,
        )


def _require_name(field: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        raise ProductError(
            f"{field}: {value[:40]!r} is no name; use lower-case letters, digits and _.",
            field=field,
            value=value[:40],
        )
