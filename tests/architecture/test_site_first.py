"""Everything of a site is kept under the site."""

from typing import Final

import pytest
from sqlalchemy import UniqueConstraint

import controller.db.tables  # noqa: F401 - fills the metadata
from controller.db.metadata import metadata

OF_THE_CLOUD: Final = {
    "accounts": "sign in at any number of sites",
    "calendar": "there is one",
    "free_week_hubs": "a serial is remembered over all sites",
    "idempotency_keys": "belong to an account",
    "mails": "numbered by the database; each names its site",
    "notices": "numbered by the database; each names its site",
    "outbox": "numbered by the database; each row names its site",
    "sites": "are the sites",
    "tokens": "belong to an account",
    "voucher_batches": "belong to a supplier",
    "vouchers": "belong to nobody until they are redeemed",
}
UNIQUE_EVERYWHERE: Final = {
    ("accounts", ("email",)): "one account an address",
    ("hubs", ("id",)): "the name in a hub's certificate",
    ("invitations", ("token_hash",)): "found by the token alone",
    ("locks", ("serial",)): "a device is in one place",
    ("notices", ("once_key",)): "led by a rule's id",
    ("outbox", ("once_key",)): "led by a site's id where it is a site's",
    ("repeaters", ("serial",)): "a device is in one place",
    ("tokens", ("token_hash",)): "found by the token alone",
    ("vouchers", ("digest",)): "found by the code alone",
}


@pytest.mark.invariant("T6")
def test_every_key_of_a_site_begins_with_the_site() -> None:
    """A row of a site cannot be reached, or clash, but under its site."""
    wrong = {
        table.name
        for table in metadata.sorted_tables
        if next(iter(table.primary_key)).name != "site_id" and table.name not in OF_THE_CLOUD
    }

    assert wrong == set()


@pytest.mark.invariant("T6")
def test_what_is_unique_is_unique_within_its_site() -> None:
    """No site learns from a clash what another has; where it must be so is written down."""
    found = {
        (table.name, tuple(column.name for column in constraint.columns))
        for table in metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    columns = {
        (table.name, (column.name,))
        for table in metadata.sorted_tables
        for column in table.columns
        if column.unique
    }

    everywhere = {one for one in found | columns if one[1][0] != "site_id"}
    assert everywhere == set(UNIQUE_EVERYWHERE)


@pytest.mark.invariant("T6")
def test_what_names_no_site_in_its_key_says_so() -> None:
    """The list names tables that there are; those that hold a site's rows say whose they are."""
    tables = metadata.tables

    assert set(OF_THE_CLOUD) <= set(tables)
    assert all("site_id" in tables[name].columns for name in ("mails", "notices", "outbox"))
