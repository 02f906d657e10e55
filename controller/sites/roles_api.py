"""The REST API of who is what at a site."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Self

from pydantic import Field

from controller.accounts.api import Email
from controller.domain.ids import AccountId, RoleId, SiteId
from controller.domain.roles import CUSTOM_RIGHTS, Action
from controller.sites import role_rows
from controller.sites.custom_roles import CustomRoles
from controller.sites.permissions import MEANINGS
from controller.sites.role_rows import CustomRole, Holder
from controller.sites.roles import GRANT_MAX, Roles
from controller.web.api import Call, delete, get, patch, post, put
from controller.web.auth import SIGNED_IN
from controller.web.fields import Name
from controller.web.models import ID, WHOLE, In, Out, Versioned

HOLDER: Final = "/sites/{site_id}/roles/{account_id}"
CUSTOM: Final = "/sites/{site_id}/custom-roles"
GRANTS: Final = "/sites/{site_id}/installer-grants"
ROLE_LENGTH_MAX: Final = 40

Rights = Annotated[list[Action], Field(min_length=1, max_length=len(Action))]


class PermissionOut(Out):
    """A right."""

    right: Action
    meaning: str
    custom: Annotated[bool, Field(description="A site's own role may have it.")]


class RoleOut(Out):
    """An account with a role at the site."""

    account_id: AccountId
    email: str
    name: str
    role: Annotated[str, Field(description="Such as admin, or the id of a custom role.")]
    rights: list[Action]
    ends_at: Annotated[datetime | None, Field(description="When an installer's grant ends.")]

    @classmethod
    def of(cls, holder: Holder) -> Self:
        """Return somebody with a role as he is shown."""
        return cls(
            account_id=holder.account_id,
            email=holder.email,
            name=holder.name,
            role=holder.held.role,
            rights=sorted(holder.held.rights),
            ends_at=holder.ends_at,
        )


class RoleIn(In):
    """Which role: admin, super_user, user or the id of a custom role."""

    role: Annotated[str, Field(min_length=1, max_length=ROLE_LENGTH_MAX)]


class TransferIn(In):
    """Which admin becomes the owner."""

    account_id: Annotated[AccountId, ID]


class CustomRoleIn(In):
    """A role to be."""

    name: Name
    rights: Rights


class CustomRoleEdit(In):
    """What to change; what is left out stays."""

    name: Name | None = None
    rights: Rights | None = None


class CustomRoleOut(Versioned):
    """A role that the site has made."""

    id: RoleId
    name: str
    rights: list[Action]

    @classmethod
    def of(cls, role: CustomRole) -> Self:
        """Return a role as it is shown."""
        return cls(id=role.id, name=role.name, rights=sorted(role.rights), version=role.version)


class GrantIn(In):
    """Which installer is let in, and for how long."""

    email: Email
    seconds: Annotated[int, Field(ge=1, le=int(GRANT_MAX.total_seconds())), WHOLE]


class RolesApi:
    """Who is what at a site."""

    tag = "roles"

    def __init__(self, roles: Roles, custom_roles: CustomRoles) -> None:
        self._roles = roles
        self._custom = custom_roles

    @get("/permissions", requires=SIGNED_IN)
    async def permissions(self, _: Call) -> list[PermissionOut]:
        """List all rights."""
        return [
            PermissionOut(right=right, meaning=meaning, custom=right in CUSTOM_RIGHTS)
            for right, meaning in MEANINGS.items()
        ]

    @get("/sites/{site_id}/roles", requires=Action.MANAGE_ROLES)
    async def roles(self, call: Call, site_id: SiteId) -> list[RoleOut]:
        """List who has a role at a site, at most 500."""
        async with call.db.read() as tx:
            return [RoleOut.of(holder) for holder in await self._roles.holders(tx, site_id)]

    @put(HOLDER, requires=Action.MANAGE_ROLES, status=204)
    async def give(self, call: Call, site_id: SiteId, account_id: AccountId, body: RoleIn) -> None:
        """Give an account of the site another role.

        Nobody gives or takes a role with a right that he lacks. The first role comes with an
        accepted invitation.
        """
        async with call.db.write() as tx:
            await self._roles.give(tx, call.actor, site_id, account_id, body.role, now=call.now)

    @delete(HOLDER, requires=Action.MANAGE_ROLES, status=204)
    async def take(self, call: Call, site_id: SiteId, account_id: AccountId) -> None:
        """Take the role of an account; an owner's is transferred instead."""
        async with call.db.write() as tx:
            await self._roles.take(tx, call.actor, site_id, account_id, now=call.now)

    @post("/sites/{site_id}/transfer", requires=Action.HAND_OVER_SITE, status=204)
    async def transfer(self, call: Call, site_id: SiteId, body: TransferIn) -> None:
        """Make an admin the owner; you become an admin."""
        async with call.db.write() as tx:
            await self._roles.transfer(tx, call.actor, site_id, body.account_id, now=call.now)

    @get(CUSTOM, requires=Action.MANAGE_ROLES)
    async def custom_roles(self, call: Call, site_id: SiteId) -> list[CustomRoleOut]:
        """List the site's own roles by name, at most 50."""
        async with call.db.read() as tx:
            found = await role_rows.all_custom(tx, site_id)
        return [CustomRoleOut.of(role) for role in found]

    @post(CUSTOM, requires=Action.MANAGE_ROLES, status=201)
    async def add(self, call: Call, site_id: SiteId, body: CustomRoleIn) -> CustomRoleOut:
        """Make a role of rights that you have; GET /permissions lists them."""
        async with call.db.write() as tx:
            role = await self._custom.add(
                tx,
                call.actor,
                site_id,
                name=body.name,
                rights=frozenset(body.rights),
                now=call.now,
            )
        return CustomRoleOut.of(role)

    @patch(CUSTOM + "/{role_id}", requires=Action.MANAGE_ROLES)
    async def edit(
        self, call: Call, site_id: SiteId, role_id: RoleId, if_match: int, body: CustomRoleEdit
    ) -> CustomRoleOut:
        """Edit a role for all who hold it; you have all its rights, before and after."""
        async with call.db.write() as tx:
            role = await self._custom.edit(
                tx,
                call.actor,
                site_id,
                role_id,
                name=body.name,
                rights=None if body.rights is None else frozenset(body.rights),
                if_match=if_match,
                now=call.now,
            )
        return CustomRoleOut.of(role)

    @delete(CUSTOM + "/{role_id}", requires=Action.MANAGE_ROLES, status=204)
    async def remove(self, call: Call, site_id: SiteId, role_id: RoleId, if_match: int) -> None:
        """Delete a role that nobody holds."""
        async with call.db.write() as tx:
            await self._custom.delete(
                tx, call.actor, site_id, role_id, if_match=if_match, now=call.now
            )

    @get(GRANTS, requires=Action.GRANT_INSTALLER)
    async def grants(self, call: Call, site_id: SiteId) -> list[RoleOut]:
        """List the installers who are let in now."""
        async with call.db.read() as tx:
            found = await self._roles.holders(tx, site_id)
        return [RoleOut.of(holder) for holder in found if holder.ends_at is not None]

    @post(GRANTS, requires=Action.GRANT_INSTALLER, status=201)
    async def grant(self, call: Call, site_id: SiteId, body: GrantIn) -> RoleOut:
        """Let an installer at the site's hardware for at most 8 hours.

        He sees no people, no entries and no credentials. A second grant replaces the first.
        """
        async with call.db.write() as tx:
            holder = await self._roles.grant_installer(
                tx,
                call.actor,
                site_id,
                email=body.email,
                life=timedelta(seconds=body.seconds),
                now=call.now,
            )
        return RoleOut.of(holder)

    @delete(GRANTS + "/{account_id}", requires=Action.GRANT_INSTALLER, status=204)
    async def end_grant(self, call: Call, site_id: SiteId, account_id: AccountId) -> None:
        """End an installer's grant at once."""
        async with call.db.write() as tx:
            await self._roles.end_grant(tx, call.actor, site_id, account_id, now=call.now)
