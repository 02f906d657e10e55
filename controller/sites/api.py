"""The REST API of sites and their roles."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from controller.accounts.api import Email
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import Action, SiteRole
from controller.sites import queries
from controller.sites.repository import Site
from controller.sites.service import Sites
from controller.web.api import Call, delete, get, patch, post
from controller.web.auth import SIGNED_IN
from controller.web.fields import PRINTABLE, Name
from controller.web.models import In, Out, Versioned
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

TimeZone = Annotated[
    str, Field(min_length=1, max_length=64, description="IANA name", examples=["Europe/Madrid"])
]
BuyFrom = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Field(description="Whom to ask for a voucher."),
    PRINTABLE,
]


class SiteIn(In):
    """A site to be."""

    name: Name
    time_zone: TimeZone
    buy_from: BuyFrom


class SiteEdit(In):
    """What to change; what is left out stays."""

    name: Name | None = None
    time_zone: TimeZone | None = None
    buy_from: BuyFrom | None = None


class SiteOut(Versioned):
    """A site."""

    id: SiteId
    name: str
    time_zone: str
    buy_from: str
    created_at: datetime
    released_at: Annotated[
        datetime | None, Field(description="When the installer handed the site over.")
    ]

    @classmethod
    def of(cls, site: Site) -> Self:
        """Return a site as it is shown."""
        return cls(**{name: getattr(site, name) for name in cls.model_fields})


class HandOverIn(In):
    """Who becomes the owner; the account must exist."""

    owner_email: Email


class AdminIn(In):
    """Who becomes an admin; the account must exist."""

    email: Email


class RoleOut(Out):
    """An account with a role at the site."""

    account_id: AccountId
    email: str
    name: str
    role: SiteRole


class SitesApi:
    """Sites and who has which role there."""

    tag = "sites"

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    @post("/sites", requires=Action.CREATE_SITE, status=201)
    async def create(self, call: Call, body: SiteIn) -> SiteOut:
        """Create a site with its free week; you become its installer."""
        async with call.db.write() as tx:
            site = await self._sites.create(
                tx,
                call.actor,
                name=body.name,
                time_zone=body.time_zone,
                buy_from=body.buy_from,
                now=call.now,
            )
        return SiteOut.of(site)

    @get("/sites", requires=SIGNED_IN)
    async def listed(
        self, call: Call, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[SiteOut]:
        """List your sites by name."""
        call.actor.require_scope(Action.READ_SITE)
        key = decoded(cursor, str, str)
        after = (str(key[0]), str(key[1])) if key else None
        async with call.db.read() as tx:
            found = await queries.listed(tx, call.actor, after=after, limit=limit + 1)
        shown = [SiteOut.of(site) for site in found]
        return page_of(shown, limit, lambda site: (site.name, site.id))

    @get("/sites/{site_id}", requires=Action.READ_SITE)
    async def one(self, call: Call, site_id: SiteId) -> SiteOut:
        """Show a site."""
        async with call.db.read() as tx:
            return SiteOut.of(await queries.one(tx, site_id))

    @patch("/sites/{site_id}", requires=Action.EDIT_SITE)
    async def edit(self, call: Call, site_id: SiteId, if_match: int, body: SiteEdit) -> SiteOut:
        """Edit a site. Another time zone moves its schedules and needs a running subscription."""
        async with call.db.write() as tx:
            site = await self._sites.edit(
                tx,
                call.actor,
                site_id,
                version_read=if_match,
                name=body.name,
                time_zone=body.time_zone,
                buy_from=body.buy_from,
                now=call.now,
            )
        return SiteOut.of(site)

    @post("/sites/{site_id}/hand-over", requires=Action.HAND_OVER_SITE)
    async def hand_over(self, call: Call, site_id: SiteId, body: HandOverIn) -> SiteOut:
        """Hand a site over to its owner; the installer's role ends."""
        async with call.db.write() as tx:
            site = await self._sites.hand_over(
                tx, call.actor, site_id, owner_email=body.owner_email, now=call.now
            )
        return SiteOut.of(site)

    @get("/sites/{site_id}/roles", requires=Action.MANAGE_ROLES)
    async def roles(self, call: Call, site_id: SiteId) -> list[RoleOut]:
        """List who has a role at a site."""
        async with call.db.read() as tx:
            found = await queries.roles(tx, site_id)
        return [
            RoleOut(account_id=one.account_id, email=one.email, name=one.name, role=one.role)
            for one in found
        ]

    @post("/sites/{site_id}/admins", requires=Action.MANAGE_ROLES, status=204)
    async def add_admin(self, call: Call, site_id: SiteId, body: AdminIn) -> None:
        """Make an account an admin of a site."""
        async with call.db.write() as tx:
            await self._sites.add_admin(tx, call.actor, site_id, email=body.email, now=call.now)

    @delete("/sites/{site_id}/admins/{account_id}", requires=Action.MANAGE_ROLES, status=204)
    async def remove_admin(self, call: Call, site_id: SiteId, account_id: AccountId) -> None:
        """Take the role of an admin from an account."""
        async with call.db.write() as tx:
            await self._sites.remove_admin(tx, call.actor, site_id, account_id, now=call.now)
