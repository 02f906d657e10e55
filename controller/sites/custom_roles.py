"""A site's own roles: made of rights that their maker has himself."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from controller.db.engine import Session
from controller.domain.errors import Invalid, Refused
from controller.domain.ids import RoleId, SiteId
from controller.domain.roles import CUSTOM_RIGHTS, Action, Actor
from controller.ports import Ids
from controller.sites import role_rows
from controller.sites.role_rows import CustomRole
from controller.sites.roles import Roles

ROLES_MAX: Final = 50  # of one site's own


class UnfitRights(Invalid):
    """No role can be made of these rights."""

    code = "unfit_rights"


class TooManyRoles(Refused):
    """The site has as many roles of its own as it may."""

    code = "too_many_roles"


class RoleInUse(Refused):
    """Somebody has the role."""

    code = "role_in_use"


class CustomRoles:
    """Makes, edits and deletes them; whoever holds one has what it gives at any moment."""

    def __init__(self, roles: Roles, ids: Ids) -> None:
        self._roles = roles
        self._ids = ids

    async def add(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        *,
        name: str,
        rights: frozenset[Action],
        now: datetime,
    ) -> CustomRole:
        """Make a role.

        Raises:
            UnfitRights: A right is none at a site, or reading the site is missing.
            RightsExceeded: The actor lacks one of them.
            TooManyRoles: The site has 50.
            RoleNameTaken: It has one of this name.
        """
        actor = await self._roles.turn(tx, actor, site_id)
        actor.require_assign(_fit(rights), site_id)
        if len(await role_rows.all_custom(tx, site_id)) >= ROLES_MAX:
            raise TooManyRoles(
                f"The site has {ROLES_MAX} roles of its own, which is as many as it may have. "
                "Delete one that nobody needs.",
                limit=ROLES_MAX,
            )
        role = CustomRole(
            site_id=site_id, id=RoleId(self._ids.new()), name=name, rights=rights, version=1
        )
        await role_rows.add_custom(tx, role)
        await self._record(tx, actor, "role_added", role, now=now)
        return role

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        role_id: RoleId,
        *,
        name: str | None,
        rights: frozenset[Action] | None,
        if_match: int,
        now: datetime,
    ) -> CustomRole:
        """Edit a role, for all who hold it. The actor could have given it before and after.

        Raises:
            NotFound: The site has no such role.
            Stale: ``if_match`` is not the present version.
            UnfitRights: A right is none at a site, or reading the site is missing.
            RightsExceeded: The actor lacks a right that it had or gets.
            RoleNameTaken: The site has another one of this name.
        """
        actor = await self._roles.turn(tx, actor, site_id)
        actor.require(Action.MANAGE_ROLES, site_id)
        before = await role_rows.custom(tx, site_id, role_id)
        after = replace(
            before,
            name=before.name if name is None else name,
            rights=before.rights if rights is None else _fit(rights),
            version=if_match + 1,
        )
        actor.require_assign(before.rights | after.rights, site_id)
        await role_rows.save_custom(tx, after, if_match=if_match)
        await self._record(tx, actor, "role_edited", after, now=now)
        return after

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        role_id: RoleId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a role that nobody holds.

        Raises:
            NotFound: The site has no such role.
            Stale: ``if_match`` is not the present version.
            RightsExceeded: The actor lacks one of its rights.
            RoleInUse: Somebody holds it.
        """
        actor = await self._roles.turn(tx, actor, site_id)
        actor.require(Action.MANAGE_ROLES, site_id)
        role = await role_rows.custom(tx, site_id, role_id)
        actor.require_assign(role.rights, site_id)
        if holders := await role_rows.count_of(tx, site_id, role_id):
            raise RoleInUse(
                f"{holders} accounts hold this role. Give them another one first.",
                holders=holders,
            )
        await role_rows.delete_custom(tx, role, if_match=if_match)
        await self._record(tx, actor, "role_deleted", role, now=now)

    async def _record(
        self, tx: Session, actor: Actor, action: str, role: CustomRole, *, now: datetime
    ) -> None:
        facts = {"name": role.name, "rights": sorted(role.rights)}
        await self._roles.record(
            tx, actor, action, role.site_id, role.id, object_kind="role", now=now, facts=facts
        )


def _fit(rights: frozenset[Action]) -> frozenset[Action]:
    unfit = sorted(rights - CUSTOM_RIGHTS)
    if unfit:
        raise UnfitRights(
            f"rights: {', '.join(unfit)} cannot be part of a site's role; see GET /permissions.",
            field="rights",
            unfit=unfit,
        )
    if Action.READ_SITE not in rights:
        raise UnfitRights(
            f"rights: whoever has a role at a site may read it; add {Action.READ_SITE}.",
            field="rights",
        )
    return rights
