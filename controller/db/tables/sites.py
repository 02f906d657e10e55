"""Sites: one physical place each."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    false,
    text,
    true,
)

from controller.db.metadata import metadata
from controller.db.types import UtcDateTime

sites: Final = Table(
    "sites",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("time_zone", String(64), nullable=False),  # IANA name
    Column("buy_from", String(200), nullable=False),  # whom to ask for a voucher
    Column("created_at", UtcDateTime, nullable=False),
    Column("released_at", UtcDateTime),  # when the installer handed it over
    Column("hardware_confirmed_at", UtcDateTime),  # when the owner said that the list is right
    Column("pins", Boolean, nullable=False, server_default=true()),  # PINs may be made
    Column("custom_pins", Boolean, nullable=False, server_default=false()),
    Column("digital_keys_offline", Boolean, nullable=False, server_default=false()),
    # new digital keys get offline access by themselves
    Column("change_number", BigInteger, nullable=False, server_default=text("0")),
    # of the newest row of site_changes
    Column("event_number", BigInteger, nullable=False, server_default=text("0")),
    # of the newest row of events
    Column("version", Integer, nullable=False),
)

site_changes: Final = Table(
    "site_changes",
    metadata,
    # What edits have touched, in the order of their commits: so that compiling a site again costs
    # as much as has changed and not as much as there is. Old rows go; whoever is further behind
    # compiles the whole site.
    Column("site_id", String(32), ForeignKey("sites.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),  # from 1, without holes
    Column("kind", String(12), nullable=False),  # sync.changes.Touched
    Column("item_id", String(32), nullable=False),  # empty where the kind names everything
)
