"""The catalogue that ships, and what a catalogue must be."""

from importlib import resources

import pytest

from controller.domain import catalogue
from controller.domain.catalogue import Component, Feature, UnknownProduct
from tests.controller.domain.builders import CATALOGUE
from vouchers.products import AddOnProduct, Plan, PlanProduct, SeatProduct

TEXT = (resources.files("controller.domain") / "catalogue.toml").read_text("utf-8")


def test_what_the_example_product_is_known_for() -> None:
    """Free week in Pro, custom PIN and 192 lockers with Pro only, 3 and 30 days of activity log."""
    edition = CATALOGUE.newest
    lite, pro = edition.plans[Plan.LITE], edition.plans[Plan.PRO]

    assert edition.free_week.plan is Plan.PRO
    assert pro.features - lite.features >= {Feature.CUSTOM_PIN, Feature.LOCKERS}
    assert lite.features <= pro.features
    assert (lite.limits[Component.LOCKERS], pro.limits[Component.LOCKERS]) == (0, 192)
    assert (lite.activity_log_days, pro.activity_log_days) == (3, 30)
    assert set(edition.add_ons) == {Feature.PODS}


def test_every_feature_is_sold_somehow() -> None:
    """A feature that no plan and no add-on has could never be used."""
    edition = CATALOGUE.newest

    sold = set(edition.add_ons).union(*(terms.features for terms in edition.plans.values()))

    assert sold == set(Feature)


@pytest.mark.invariant("V4")
def test_rates_are_in_the_proportion_of_the_prices() -> None:
    """What is carried over is worth what was paid, as far as anybody can see."""
    per_rate = {
        terms.price.amount_minor / terms.rate_per_user for terms in CATALOGUE.newest.plans.values()
    }

    assert len(per_rate) == 1


def test_a_plan_products_rate_is_so_much_a_user() -> None:
    """Twice the users, twice the rate: a conversion divides by users as one expects."""
    product = CATALOGUE.newest.plan_product(Plan.PRO, users=20, term_days=30)

    assert product == PlanProduct(plan=Plan.PRO, users=20, term_days=30, rate=160)


@pytest.mark.parametrize(
    ("product", "field", "known"),
    [
        (AddOnProduct(feature="custom_pin", term_days=1), "feature", ["pods"]),
        (AddOnProduct(feature="teleport", term_days=1), "feature", ["pods"]),
        (SeatProduct(component="users", count=1, term_days=1), "component", ["lockers"]),
    ],
)
def test_what_is_not_sold_is_refused(
    product: AddOnProduct | SeatProduct, field: str, known: list[str]
) -> None:
    """The refusal names the field and what there is."""
    with pytest.raises(UnknownProduct) as refusal:
        CATALOGUE.newest.require_sold(product)

    assert refusal.value.code == "unknown_product"
    assert refusal.value.facts == {"field": field, "known": known}


@pytest.mark.parametrize(
    "product",
    [
        PlanProduct(plan=Plan.LITE, users=1, term_days=1, rate=1),
        AddOnProduct(feature="pods", term_days=1),
        SeatProduct(component="lockers", count=1, term_days=1),
    ],
)
def test_what_is_sold_passes(product: PlanProduct | AddOnProduct | SeatProduct) -> None:
    """Both plans, the add-ons and the seats of the catalogue."""
    CATALOGUE.newest.require_sold(product)


def test_old_versions_stay() -> None:
    """A subscription finds the version it was sold under beside a newer one."""
    second = TEXT.replace("version = 1", "version = 2").replace("lockers = 192", "lockers = 96")

    both = catalogue.parse(TEXT + second)

    limits = [both.edition(n).plans[Plan.PRO].limits[Component.LOCKERS] for n in (1, 2)]
    assert limits == [192, 96]
    assert both.newest.version == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 1", "version = 2", "count 1, 2, 3"),
        ("users = 25", "users = 0", "free_week"),
        ("users = 25", "users = 25\ndays = 30", "days"),
        ('"custom_pin"', '"custom_pim"', "custom_pin"),
        ('"custom_pin"', '"pods"', "also an add-on: pods"),
        ("rate_per_user = 8", "rate_per_user = 0", "rate_per_user"),
        ("rate_per_user = 8", "rate_per_user = 0.5", "rate_per_user"),
        ("lockers = 192", "", "exactly what seats are sold for"),
        ("plans.lite", "plans.light", "lite"),
        ('currency = "EUR"', 'currency = "euro"', "currency"),
    ],
)
def test_a_faulty_catalogue_is_refused(old: str, new: str, says: str) -> None:
    """A misspelt or missing entry stops the start and is named."""
    faulty = TEXT.replace(old, new)

    assert faulty != TEXT
    with pytest.raises(ValueError, match=says):
        catalogue.parse(faulty)
