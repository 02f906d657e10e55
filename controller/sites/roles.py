"""Who is what at a site: roles given and taken, ownership passed on, installers let in for hours.

Nobody gives, takes or edits a role with a right that he lacks. All of it is judged in the site's
turn, by what the actor is then: whoever loses a right while he asks cannot hand it on any more.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from controller.accounts import repository as account_rows
from controller.accounts.repository import Account
from controller.accounts.service import normal_email
from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.domain.errors import Conflict, Invalid, NotFound, Refused
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import (
    INSTALLER_GRANT,
    SITE_RIGHTS,
    Action,
    Actor,
    CloudRole,
    HeldRole,
    SiteRole,
)
from controller.outbox import service as outbox
from controller.ports import LinkClock
from controller.sites import repository, role_rows
from controller.sites.service import require_released

HOLDERS_MAX: Final = 500  # accounts with a role at one site
GRANT_MAX: Final = timedelta(hours=8)
ASSIGNABLE: Final = frozenset({SiteRole.ADMIN, SiteRole.SUPER_USER, SiteRole.USER})


class OwnerStays(Refused):
    """A site is never without its owner."""

    code = "owner_stays"


class UnknownRole(Invalid):
    """There is no such role that could be given."""

    code = "unknown_role"


class NotAnAdmin(Refused):
    """Only an admin of the site becomes its owner."""

    code = "not_an_admin"


class TooManyHolders(Refused):
    """As many accounts have a role at the site as may."""

    code = "too_many_role_holders"


class HasRole(Refused):
    """The installer has a role at the site that does not end."""

    code = "has_role"


class NoSuchInstaller(Refused):
    """No installer has this e-mail address."""

    code = "installer_not_found"


class Roles:
    """The roles of accounts at sites."""

    def __init__(self, *, audit: Audit, link: LinkClock) -> None:
        self._audit = audit
        self._link = link

    async def turn(self, tx: Session, actor: Actor, site_id: SiteId) -> Actor:
        """Wait for the site's turn and return the actor as he is now.

        Until the end of the transaction nobody else changes a role of this site.

        Raises:
            NotFound: There is no such site.
        """
        await role_rows.take_turn(tx, site_id)
        if actor.account_id is None:
            return actor
        held = await role_rows.held(tx, site_id, actor.account_id, at=self._link.utc())
        others = {site: role for site, role in actor.site_roles.items() if site != site_id}
        return replace(actor, site_roles=others | ({site_id: held} if held else {}))

    async def give(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        account_id: AccountId,
        role: str,
        *,
        now: datetime,
    ) -> None:
        """Give an account of the site another role.

        Raises:
            NotFound: The account has no role at the site; an invitation gives the first one.
            UnknownRole: Nobody can be given this role, or there is none of this id.
            OwnerStays: It is the owner's account.
            RightsExceeded: The actor lacks a right of the role, or of the one that goes.
        """
        actor = await self.turn(tx, actor, site_id)
        actor.require(Action.MANAGE_ROLES, site_id)
        before = await self._holder(tx, site_id, account_id)
        after = await _assignable(tx, site_id, role)
        actor.require_assign(before.rights | after.rights, site_id)
        await role_rows.give(tx, site_id, account_id, role, granted_by=actor.account_id)
        facts = {"role": role, "before": before.role}
        await self.record(tx, actor, "role_given", site_id, account_id, now=now, facts=facts)

    async def take(
        self, tx: Session, actor: Actor, site_id: SiteId, account_id: AccountId, *, now: datetime
    ) -> None:
        """Take the role of an account.

        Raises:
            NotFound: The account has no role at the site.
            OwnerStays: It is the owner's account.
            RightsExceeded: The actor lacks a right of the role.
        """
        actor = await self.turn(tx, actor, site_id)
        actor.require(Action.MANAGE_ROLES, site_id)
        before = await self._holder(tx, site_id, account_id)
        actor.require_assign(before.rights, site_id)
        await role_rows.take(tx, site_id, account_id)
        facts = {"before": before.role}
        await self.record(tx, actor, "role_taken", site_id, account_id, now=now, facts=facts)

    async def join(
        self,
        tx: Session,
        site_id: SiteId,
        account_id: AccountId,
        *,
        granted_by: AccountId | None,
    ) -> None:
        """Make an account a user of the site if it is nothing there. The site's turn is ours.

        Raises:
            TooManyHolders: The site has no room for another one.
        """
        at = self._link.utc()
        if await role_rows.held(tx, site_id, account_id, at=at) is not None:
            return
        await self._require_room(tx, site_id)
        await role_rows.give(tx, site_id, account_id, SiteRole.USER, granted_by=granted_by)

    async def transfer(
        self, tx: Session, actor: Actor, site_id: SiteId, account_id: AccountId, *, now: datetime
    ) -> None:
        """Make an admin the owner; the owner becomes an admin.

        Raises:
            SiteNotReleased: The site is still its installer's.
            Forbidden: The actor is not the owner.
            NotAnAdmin: The account is no admin of the site.
            Conflict: The site has got another owner meanwhile.
        """
        actor = await self.turn(tx, actor, site_id)
        actor.require(Action.HAND_OVER_SITE, site_id)
        site = await repository.site(tx, site_id)
        require_released(released=site is not None and site.released_at is not None)
        owner, admin = SiteRole.OWNER, SiteRole.ADMIN
        if not await role_rows.turn_into(tx, site_id, actor.account_id, owner, admin):
            raise Conflict("The site has got another owner meanwhile.", object="site")
        is_new = account_id != actor.account_id
        if not is_new or not await role_rows.turn_into(tx, site_id, account_id, admin, owner):
            raise NotAnAdmin(
                "account_id: this is no admin of the site. Make the account an admin first.",
                field="account_id",
            )
        facts = {"owner_id": account_id}
        await self.record(tx, actor, "site_transferred", site_id, account_id, now=now, facts=facts)
        await outbox.put(tx, "site.transferred", site_id=site_id, now=now, facts=facts)

    async def grant_installer(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        *,
        email: str,
        life: timedelta,
        now: datetime,
    ) -> role_rows.Holder:
        """Let an installer at the hardware for at most 8 h of the link clock.

        A second grant replaces the first.

        Raises:
            NoSuchInstaller: No installer has this address.
            HasRole: The account has a role that does not end.
            TooManyHolders: The site has no room for another one.
            RightsExceeded: The actor lacks a right of the grant.
        """
        assert timedelta() < life <= GRANT_MAX, "the API takes no other"
        actor = await self.turn(tx, actor, site_id)
        actor.require(Action.GRANT_INSTALLER, site_id)
        actor.require_rights(INSTALLER_GRANT, site_id)
        account = await _installer(tx, email)
        at = self._link.utc()
        await role_rows.forget_ended(tx, site_id, at=at)
        role, ends_at = SiteRole.INSTALLER, at + life
        if not await role_rows.end_grant(tx, site_id, account.id, at=at):
            if await role_rows.held(tx, site_id, account.id, at=at) is not None:
                raise HasRole("email: this account has a role at the site already.", field="email")
            await self._require_room(tx, site_id)
        by = actor.account_id
        await role_rows.give(tx, site_id, account.id, role, granted_by=by, ends_at=ends_at)
        facts = {"ends_at": ends_at.isoformat()}
        await self.record(tx, actor, "installer_granted", site_id, account.id, now=now, facts=facts)
        return role_rows.Holder(
            account_id=account.id,
            email=account.email,
            name=account.name,
            held=HeldRole(role, INSTALLER_GRANT),
            ends_at=ends_at,
        )

    async def end_grant(
        self, tx: Session, actor: Actor, site_id: SiteId, account_id: AccountId, *, now: datetime
    ) -> None:
        """End an installer's grant at once.

        Raises:
            NotFound: The account has none.
            RightsExceeded: The actor lacks a right of the grant.
        """
        actor = await self.turn(tx, actor, site_id)
        actor.require(Action.GRANT_INSTALLER, site_id)
        actor.require_rights(INSTALLER_GRANT, site_id)
        if not await role_rows.end_grant(tx, site_id, account_id, at=self._link.utc()):
            raise NotFound("No installer of this id has a grant.", object="installer_grant")
        await self.record(tx, actor, "installer_grant_ended", site_id, account_id, now=now)

    async def holders(self, tx: ReadSession, site_id: SiteId) -> list[role_rows.Holder]:
        """Return who has a role at a site now."""
        return await role_rows.holders(tx, site_id, at=self._link.utc())

    async def record(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        site_id: SiteId,
        object_id: str,
        *,
        object_kind: str = "account",
        now: datetime,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """Write the audit record of a change of roles."""
        await self._audit.record(
            tx,
            actor,
            action,
            site_id=site_id,
            object_kind=object_kind,
            object_id=object_id,
            now=now,
            facts=facts,
        )

    async def _holder(self, tx: ReadSession, site_id: SiteId, account_id: AccountId) -> HeldRole:
        held = await role_rows.held(tx, site_id, account_id, at=self._link.utc())
        if held is None:
            raise NotFound(
                "No account of this id has a role at this site. Invite its person first.",
                object="role_holder",
            )
        if held.role == SiteRole.OWNER:
            raise OwnerStays("This is the owner. Ownership is transferred, never given or taken.")
        return held

    async def _require_room(self, tx: ReadSession, site_id: SiteId) -> None:
        if await role_rows.count_holders(tx, site_id, at=self._link.utc()) >= HOLDERS_MAX:
            raise TooManyHolders(
                f"{HOLDERS_MAX} accounts have a role at this site, which is as many as may. Take "
                "the roles of those who need none any more.",
                limit=HOLDERS_MAX,
            )


async def _installer(tx: ReadSession, email: str) -> Account:
    found = await account_rows.by_email(tx, normal_email(email))
    account = found[0] if found else None
    if account is None or account.disabled_at or account.cloud_role is not CloudRole.INSTALLER:
        raise NoSuchInstaller(
            "email: no installer has this e-mail address. Compare it with the installer.",
            field="email",
        )
    return account


async def _assignable(tx: ReadSession, site_id: SiteId, role: str) -> HeldRole:
    if role in ASSIGNABLE:
        return HeldRole(role, SITE_RIGHTS[SiteRole(role)])
    try:
        return HeldRole(role, (await role_rows.custom(tx, site_id, role)).rights)
    except NotFound as error:
        raise UnknownRole(
            f"role: give one of {', '.join(sorted(ASSIGNABLE))} or the id of one of the site's "
            "own roles. An owner is made by a transfer, an installer by a grant.",
            field="role",
        ) from error
