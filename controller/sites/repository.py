"""Sites and the roles of accounts there, read and written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import ReadSession, Session
from controller.db.tables.accounts import site_roles
from controller.db.tables.sites import sites
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import SiteRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One physical place."""

    id: SiteId
    name: str
    time_zone: str  # IANA name
    buy_from: str  # whom to ask for a voucher
    created_at: datetime
    released_at: datetime | None  # when the installer handed it over
    version: int


COLUMNS: Final = tuple(sites.c[name] for name in Site.__dataclass_fields__)


async def keep(tx: Session, site: Site) -> None:
    """Store a new site."""
    row = {name: getattr(site, name) for name in Site.__dataclass_fields__}
    await tx.execute(insert(sites), row)


async def site(tx: ReadSession, site_id: SiteId) -> Site | None:
    """Return a site."""
    row = (await tx.execute(select(*COLUMNS).where(sites.c.id == site_id))).one_or_none()
    return site_of(row) if row else None


async def edit(
    tx: Session, site_id: SiteId, *, version_read: int, name: str, time_zone: str, buy_from: str
) -> bool:
    """Store an edit, unless somebody changed the site since it was read."""
    done = await tx.execute(
        update(sites)
        .where(sites.c.id == site_id, sites.c.version == version_read)
        .values(name=name, time_zone=time_zone, buy_from=buy_from, version=sites.c.version + 1)
    )
    return done.rowcount == 1


async def release(tx: Session, site_id: SiteId, *, now: datetime) -> None:
    """Note when a site was handed over; the first time counts."""
    await tx.execute(
        update(sites)
        .where(sites.c.id == site_id)
        .values(released_at=func.coalesce(sites.c.released_at, now), version=sites.c.version + 1)
    )


async def role(tx: ReadSession, site_id: SiteId, account_id: AccountId) -> SiteRole | None:
    """Return an account's role at a site."""
    found = (
        await tx.execute(
            select(site_roles.c.role).filter_by(site_id=site_id, account_id=account_id)
        )
    ).scalar_one_or_none()
    return SiteRole(found) if found else None


async def give(tx: Session, site_id: SiteId, account_id: AccountId, role: SiteRole) -> None:
    """Give an account a role at a site, instead of one that it has."""
    dialect = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect(site_roles).values(site_id=site_id, account_id=account_id, role=role)
    await tx.execute(
        row.on_conflict_do_update(
            index_elements=[site_roles.c.site_id, site_roles.c.account_id],
            set_={"role": row.excluded.role},
        )
    )


async def change_all(tx: Session, site_id: SiteId, role: SiteRole, into: SiteRole) -> None:
    """Give everybody with one role at a site another one."""
    await tx.execute(update(site_roles).where(*_having(site_id, role)).values(role=into))


async def remove_all(tx: Session, site_id: SiteId, role: SiteRole) -> None:
    """Take a role at a site from everybody."""
    await tx.execute(delete(site_roles).where(*_having(site_id, role)))


async def remove(tx: Session, site_id: SiteId, account_id: AccountId, role: SiteRole) -> bool:
    """Take a role from an account; ``False`` if it does not have it."""
    this = delete(site_roles).where(*_having(site_id, role), site_roles.c.account_id == account_id)
    return (await tx.execute(this)).rowcount == 1


def site_of(row: Row[Any]) -> Site:
    """Return the site that a row holds."""
    return Site(**row._mapping)  # noqa: SLF001 - a public attribute of SQLAlchemy's Row


def _having(site_id: SiteId, role: SiteRole) -> tuple[Any, ...]:
    return site_roles.c.site_id == site_id, site_roles.c.role == role
