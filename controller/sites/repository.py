"""Sites, read and written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, insert, select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.sites import sites
from controller.domain.ids import SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One physical place."""

    id: SiteId
    name: str
    time_zone: str  # IANA name
    buy_from: str  # whom to ask for a voucher
    created_at: datetime
    released_at: datetime | None  # when the installer handed it over
    hardware_confirmed_at: datetime | None  # when the owner said that the list of it is right
    pins: bool  # they may be made
    custom_pins: bool  # people may choose theirs; those who have one may use it
    digital_keys_offline: bool  # new ones get offline access
    version: int


_EDITED: Final = (
    "name",
    "time_zone",
    "buy_from",
    "pins",
    "custom_pins",
    "digital_keys_offline",
    "version",
)
COLUMNS: Final = tuple(sites.c[name] for name in Site.__dataclass_fields__)


async def keep(tx: Session, site: Site) -> None:
    """Store a new site."""
    row = {name: getattr(site, name) for name in Site.__dataclass_fields__}
    await tx.execute(insert(sites), row)


async def site(tx: ReadSession, site_id: SiteId) -> Site | None:
    """Return a site."""
    row = (await tx.execute(select(*COLUMNS).where(sites.c.id == site_id))).one_or_none()
    return site_of(row) if row else None


async def edit(tx: Session, edited: Site, *, version_read: int) -> bool:
    """Store an edit, unless somebody changed the site since it was read."""
    one = update(sites).where(sites.c.id == edited.id, sites.c.version == version_read)
    done = await tx.execute(one.values({name: getattr(edited, name) for name in _EDITED}))
    return done.rowcount == 1


async def release(tx: Session, site_id: SiteId, *, now: datetime) -> bool:
    """Note when a site was handed over; ``False`` if it was before."""
    waiting = update(sites).where(sites.c.id == site_id, sites.c.released_at.is_(None))
    done = await tx.execute(waiting.values(released_at=now, version=sites.c.version + 1))
    return done.rowcount == 1


async def confirm_hardware(tx: Session, site_id: SiteId, *, now: datetime) -> None:
    """Note when the owner confirmed the list of the hardware."""
    one = update(sites).where(sites.c.id == site_id)
    await tx.execute(one.values(hardware_confirmed_at=now, version=sites.c.version + 1))


def site_of(row: Row[Any]) -> Site:
    """Return the site that a row holds."""
    return Site(**row._mapping)  # noqa: SLF001 - a public attribute of SQLAlchemy's Row
