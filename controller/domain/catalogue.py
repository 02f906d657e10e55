"""The catalogue: plans, add-ons, seats, their limits and rates. Data, versioned.

A subscription keeps the version under which its voucher was minted. The file catalogue.toml
holds every version ever sold; a sold version is never changed.
"""

import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from importlib import resources
from typing import Final, Self, assert_never

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from controller.domain.errors import Invalid
from vouchers.products import USERS_MAX, AddOnProduct, Plan, PlanProduct, Product, SeatProduct


class Feature(StrEnum):
    """What a plan or an add-on unlocks. What is not named here every subscription has."""

    ACTIVITY_LOG = "activity_log"
    CUSTOM_PIN = "custom_pin"
    EVENT_STREAMING = "event_streaming"
    LOCKERS = "lockers"
    PODS = "pods"


class Component(StrEnum):
    """What is counted against a limit."""

    USERS = "users"  # the limit is the voucher's; seat vouchers do not raise it
    LOCKERS = "lockers"


class UnknownProduct(Invalid):
    """The catalogue sells no such plan, add-on or seat."""

    code = "unknown_product"


_STRICT: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Price:
    """What is shown; vouchers are sold outside Doorward."""

    amount_minor: PositiveInt  # cents
    currency: str = Field(pattern="^[A-Z]{3}$")
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class PlanTerms:
    """One plan."""

    title: str
    features: frozenset[Feature]
    limits: Mapping[Component, int]
    activity_log_days: int = Field(ge=0)  # the most a site may choose; 0 is off
    event_retention_days: PositiveInt
    rate_per_user: PositiveInt  # value units per user and second
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class AddOnTerms:
    """A feature that is sold on top of either plan."""

    title: str
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class SeatTerms:
    """More of a component than a plan allows; useful only with the component's feature."""

    title: str
    feature: Feature
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class FreeWeekTerms:
    """What a new site gets for 604,800 s, with every add-on."""

    plan: Plan
    users: int = Field(ge=1, le=USERS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Edition:
    """One version of the catalogue."""

    version: PositiveInt
    free_week: FreeWeekTerms
    plans: Mapping[Plan, PlanTerms]
    add_ons: Mapping[Feature, AddOnTerms]
    seats: Mapping[Component, SeatTerms]

    def plan_product(self, plan: Plan, *, users: int, term_days: int) -> PlanProduct:
        """Return a plan voucher's product at this version's rate: so much a user."""
        return PlanProduct(
            plan=plan,
            users=users,
            term_days=term_days,
            rate=self.plans[plan].rate_per_user * users,
        )

    def require_sold(self, product: Product) -> None:
        """Refuse a product that this version does not sell.

        Raises:
            UnknownProduct: ``field`` names what is unknown, ``known`` what there is.
        """
        match product:
            case PlanProduct():
                field, value, known = "plan", str(product.plan), _names(self.plans)
            case AddOnProduct():
                field, value, known = "feature", product.feature, _names(self.add_ons)
            case SeatProduct():
                field, value, known = "component", product.component, _names(self.seats)
            case _:
                assert_never(product)
        if value not in known:
            raise UnknownProduct(
                f"{field}: {value!r} is not sold. Choose one of {', '.join(known)}.",
                field=field,
                known=known,
            )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if set(self.plans) != set(Plan):
            raise ValueError(f"version {self.version} must have the plans {', '.join(Plan)}")
        for plan, terms in self.plans.items():
            both = terms.features & set(self.add_ons)
            if both:
                raise ValueError(f"{plan} includes what is also an add-on: {', '.join(both)}")
            if set(terms.limits) != set(self.seats):
                raise ValueError(f"{plan} must limit exactly what seats are sold for")
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Catalogue:
    """Every version, oldest first."""

    versions: tuple[Edition, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_numbered(self) -> Self:
        numbers = [edition.version for edition in self.versions]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"versions must count 1, 2, 3, …: {numbers}")
        return self

    @property
    def event_retention_days_max(self) -> int:
        """Return how long any plan that was ever sold shows entries."""
        return max(
            plan.event_retention_days
            for edition in self.versions
            for plan in edition.plans.values()
        )

    @property
    def newest(self) -> Edition:
        """The version under which vouchers are minted now."""
        return self.versions[-1]

    def edition(self, version: int) -> Edition:
        """Return the version under which something was sold."""
        return self.versions[version - 1]


def _names(keys: Iterable[str]) -> list[str]:
    return sorted(str(key) for key in keys)


def parse(text: str) -> Catalogue:
    """Return the catalogue that a TOML text holds.

    Raises:
        ValueError: The text is no TOML, or no catalogue; the message names the place.
    """
    return TypeAdapter(Catalogue).validate_python(tomllib.loads(text))


def load() -> Catalogue:
    """Return the catalogue that ships with Doorward."""
    return parse((resources.files(__package__) / "catalogue.toml").read_text("utf-8"))
