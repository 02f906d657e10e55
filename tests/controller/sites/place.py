"""A site with those who have to do with it, over HTTP."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select

from controller.db.tables.accounts import accounts, site_roles
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import CloudRole
from controller.sites.role_rows import give
from tests.controller.subscriptions.served import Served

SITE: Final = {"name": "Harbour", "time_zone": "Europe/Madrid", "buy_from": "sue@example.org"}


@dataclass
class Place:
    """A site with those who have to do with it."""

    served: Served
    site_id: SiteId
    installer: str
    owner: str

    async def ask(self, method: str, path: str = "", *rest: Any, **more: Any) -> tuple[int, Any]:
        """Ask something of the site."""
        return await self.served.ask(method, f"/sites/{self.site_id}{path}", *rest, **more)

    async def join(self, name: str, role: str, cloud_role: CloudRole | None = None) -> str:
        """Make an account with a role at the site and return its token."""
        token = await self.served.enrol(name, cloud_role)
        async with self.served.world.db.write() as tx:
            account_id = await self.account_id(name)
            await give(tx, self.site_id, account_id, role, granted_by=None)
        return token

    async def account_id(self, name: str) -> AccountId:
        """Return the id of somebody's account."""
        query = select(accounts.c.id).where(accounts.c.email == f"{name}@example.org")
        async with self.served.world.db.read() as tx:
            return AccountId((await tx.execute(query)).scalar_one())

    async def roles(self) -> dict[str, str]:
        """Return who has which role, by the names of the accounts."""
        query = select(accounts.c.name, site_roles.c.role).join(
            site_roles, site_roles.c.account_id == accounts.c.id
        )
        async with self.served.world.db.read() as tx:
            rows = await tx.execute(query.where(site_roles.c.site_id == self.site_id))
            return {row.name: row.role for row in rows}

    async def custom_role(self, *rights: str, name: str = "Keeper", by: str | None = None) -> str:
        """Make one of the site's own roles and return its id."""
        body = {"name": name, "rights": ["site:read", *rights]}
        status, made = await self.ask("POST", "/custom-roles", body, token=by or self.owner)
        assert status == 201, made
        return str(made["id"])

    async def hand_over(self, email: str, token: str) -> tuple[int, Any]:
        """Hand the site over."""
        return await self.ask("POST", "/hand-over", {"owner_email": email}, token=token)


async def place(served: Served, suffix: str = "") -> Place:
    """Create a site that is not handed over yet, with ivy as its installer and olive beside."""
    installer = await served.enrol(f"ivy{suffix}", CloudRole.INSTALLER)
    owner = await served.enrol(f"olive{suffix}")
    status, site = await served.ask("POST", "/sites", SITE, token=installer)
    assert status == 201, site
    return Place(served, SiteId(site["id"]), installer, owner)


async def released(served: Served) -> Place:
    """Create a site that is olive's."""
    here = await place(served)
    status, answer = await here.hand_over("olive@example.org", here.installer)
    assert status == 200, answer
    return here
