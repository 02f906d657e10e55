"""What pages and API show of sites."""

from dataclasses import dataclass

from sqlalchemy import and_, select, tuple_

from controller.db.engine import ReadSession
from controller.db.tables.accounts import accounts, site_roles
from controller.db.tables.sites import sites
from controller.domain.errors import NotFound
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import Action, Actor, SiteRole
from controller.sites import repository
from controller.sites.repository import COLUMNS, Site, site_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleHolder:
    """An account with a role at a site."""

    account_id: AccountId
    email: str
    name: str
    role: SiteRole


async def one(tx: ReadSession, site_id: SiteId) -> Site:
    """Return a site.

    Raises:
        NotFound: There is none.
    """
    site = await repository.site(tx, site_id)
    if site is None:
        raise NotFound("There is no such site, or you have no role there.", object="site")
    return site


async def listed(
    tx: ReadSession, actor: Actor, *, after: tuple[str, str] | None, limit: int
) -> list[Site]:
    """Return the actor's sites by name; whoever may read every site gets every site."""
    query = select(*COLUMNS).order_by(sites.c.name, sites.c.id).limit(limit)
    if not actor.may(Action.READ_SITE):
        mine = and_(site_roles.c.site_id == sites.c.id, site_roles.c.account_id == actor.account_id)
        query = query.join(site_roles, mine)
    if after is not None:
        query = query.where(tuple_(sites.c.name, sites.c.id) > after)
    return [site_of(row) for row in await tx.execute(query)]


async def roles(tx: ReadSession, site_id: SiteId) -> list[RoleHolder]:
    """Return who has a role at a site, by e-mail address."""
    rows = await tx.execute(
        select(accounts.c.id, accounts.c.email, accounts.c.name, site_roles.c.role)
        .join(site_roles, site_roles.c.account_id == accounts.c.id)
        .where(site_roles.c.site_id == site_id)
        .order_by(accounts.c.email)
    )
    return [
        RoleHolder(account_id=row.id, email=row.email, name=row.name, role=SiteRole(row.role))
        for row in rows
    ]
