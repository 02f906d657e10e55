"""Who may do what: the role table is the only source, and what it does not name is refused."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from controller.domain.errors import Forbidden, NotFound
from controller.domain.ids import AccountId, SiteId


class CloudRole(StrEnum):
    """What an account is in the cloud as a whole; most are nothing."""

    OPERATOR = "operator"
    SUPPLIER = "supplier"
    INSTALLER = "installer"


class SiteRole(StrEnum):
    """What an account is at a site, unless it holds one of the site's custom roles."""

    OWNER = "owner"
    ADMIN = "admin"
    SUPER_USER = "super_user"
    INSTALLER = "installer"
    USER = "user"


class Action(StrEnum):
    """What can be permitted."""

    # in the cloud
    MANAGE_ACCOUNTS = "accounts:manage"
    READ_HEALTH = "health:read"
    CREATE_SITE = "site:create"
    READ_VOUCHERS = "vouchers:read"
    MANAGE_VOUCHERS = "vouchers:manage"  # mint, export, void
    CANCEL_SUBSCRIPTION = "subscription:cancel"
    # at a site
    READ_SITE = "site:read"
    EDIT_SITE = "site:edit"
    HAND_OVER_SITE = "site:hand_over"
    MANAGE_ROLES = "roles:manage"
    READ_SUBSCRIPTION = "subscription:read"
    MANAGE_SUBSCRIPTION = "subscription:manage"  # preview and redeem
    READ_HARDWARE = "hardware:read"
    MANAGE_HARDWARE = "hardware:manage"
    READ_PEOPLE = "people:read"
    MANAGE_PEOPLE = "people:manage"
    READ_ACCESS = "access:read"
    MANAGE_ACCESS = "access:manage"  # groups, schedules, credentials, lockers, pods
    MANAGE_OFFLINE = "offline:manage"  # explicit offline access
    MANAGE_DOORS = "doors:manage"  # settings of locks, office schedules, wrong codes
    OPEN_REMOTELY = "lock:open"
    USE_OFFICE_MODE = "lock:office"  # from afar
    READ_ACTIVITY = "activity:read"
    READ_AUDIT = "audit:read"
    MANAGE_NOTIFICATIONS = "notifications:manage"
    GRANT_INSTALLER = "installer:grant"
    READ_OWN = "own:read"  # the person that the account is at the site
    MANAGE_OWN_KEYS = "own:keys"
    OPEN_OWN = "own:open"  # the locks that the person's groups open
    MANAGE_OWN_GUESTS = "own:guests"  # in the person's pods
    MANAGE_TOKENS = "tokens:manage"


class Scope(StrEnum):
    """What an API token is limited to; it never gives more than its account may do."""

    READ = "read"
    SUBSCRIPTION = "subscription"
    PEOPLE = "people"
    ACCESS = "access"
    HARDWARE = "hardware"
    OPEN = "open"
    VOUCHERS = "vouchers"
    SITES = "sites"


class ActorKind(StrEnum):
    """What stands behind a request."""

    USER = "user"
    TOKEN = "token"  # noqa: S105 - a kind of actor, not a secret
    SYSTEM = "system"  # timers and the operator's command line


_READS: Final = frozenset(
    {
        Action.READ_SITE,
        Action.READ_SUBSCRIPTION,
        Action.READ_HARDWARE,
        Action.READ_PEOPLE,
        Action.READ_ACCESS,
        Action.READ_ACTIVITY,
        Action.READ_AUDIT,
    }
)
_USER: Final = frozenset(
    {
        Action.READ_SITE,
        Action.READ_OWN,
        Action.MANAGE_OWN_KEYS,
        Action.OPEN_OWN,
        Action.MANAGE_OWN_GUESTS,
    }
)
_SUPER_USER: Final = (
    _USER
    | (_READS - {Action.READ_AUDIT})
    | {
        Action.MANAGE_PEOPLE,
        Action.MANAGE_ACCESS,
        Action.OPEN_REMOTELY,
    }
)
_ADMIN: Final = (
    _SUPER_USER
    | _READS
    | {
        Action.EDIT_SITE,
        Action.MANAGE_ROLES,
        Action.MANAGE_SUBSCRIPTION,
        Action.MANAGE_HARDWARE,
        Action.MANAGE_OFFLINE,
        Action.MANAGE_DOORS,
        Action.USE_OFFICE_MODE,
        Action.MANAGE_NOTIFICATIONS,
        Action.GRANT_INSTALLER,
        Action.MANAGE_TOKENS,
    }
)

SITE_RIGHTS: Final[Mapping[SiteRole, frozenset[Action]]] = {
    SiteRole.OWNER: _ADMIN | {Action.HAND_OVER_SITE},
    SiteRole.ADMIN: _ADMIN,
    SiteRole.SUPER_USER: _SUPER_USER,
    # An installer works on hardware and hands over; people and events are none of his business.
    SiteRole.INSTALLER: frozenset(
        {
            Action.READ_SITE,
            Action.EDIT_SITE,
            Action.HAND_OVER_SITE,
            Action.READ_SUBSCRIPTION,
            Action.READ_HARDWARE,
            Action.MANAGE_HARDWARE,
        }
    ),
    SiteRole.USER: _USER,
}

CLOUD_RIGHTS: Final[Mapping[CloudRole, frozenset[Action]]] = {
    # An operator sees that a site is well, and nothing of its people.
    CloudRole.OPERATOR: frozenset(
        {
            Action.MANAGE_ACCOUNTS,
            Action.READ_HEALTH,
            Action.CANCEL_SUBSCRIPTION,
            Action.READ_SITE,
            Action.READ_SUBSCRIPTION,
            Action.READ_HARDWARE,
        }
    ),
    CloudRole.SUPPLIER: frozenset({Action.READ_VOUCHERS, Action.MANAGE_VOUCHERS}),
    CloudRole.INSTALLER: frozenset({Action.CREATE_SITE}),
}

INSTALLER_GRANT: Final = frozenset({Action.READ_SITE, Action.READ_HARDWARE, Action.MANAGE_HARDWARE})
"""What an installer may do who is let in for some hours after the hand-over: hardware only."""

CUSTOM_RIGHTS: Final = _ADMIN
"""What a custom role may be made of: all there is at a site but to give it away."""

PEOPLE_ONLY: Final = frozenset(
    {
        Action.MANAGE_ACCOUNTS,
        Action.MANAGE_ROLES,
        Action.MANAGE_TOKENS,
        Action.MANAGE_OWN_KEYS,
        Action.GRANT_INSTALLER,
        Action.HAND_OVER_SITE,
        Action.CANCEL_SUBSCRIPTION,
    }
)
"""What nobody lets a program do: no scope has it."""

SCOPE_RIGHTS: Final[Mapping[Scope, frozenset[Action]]] = {
    Scope.READ: _READS | {Action.READ_HEALTH, Action.READ_VOUCHERS, Action.READ_OWN},
    Scope.SUBSCRIPTION: frozenset({Action.READ_SUBSCRIPTION, Action.MANAGE_SUBSCRIPTION}),
    Scope.PEOPLE: frozenset({Action.READ_PEOPLE, Action.MANAGE_PEOPLE, Action.MANAGE_OWN_GUESTS}),
    Scope.ACCESS: frozenset(
        {Action.READ_ACCESS, Action.MANAGE_ACCESS, Action.MANAGE_OFFLINE, Action.MANAGE_DOORS}
    ),
    Scope.HARDWARE: frozenset({Action.READ_HARDWARE, Action.MANAGE_HARDWARE}),
    Scope.OPEN: frozenset({Action.OPEN_REMOTELY, Action.USE_OFFICE_MODE, Action.OPEN_OWN}),
    Scope.VOUCHERS: frozenset({Action.READ_VOUCHERS, Action.MANAGE_VOUCHERS}),
    Scope.SITES: frozenset(
        {Action.READ_SITE, Action.CREATE_SITE, Action.EDIT_SITE, Action.MANAGE_NOTIFICATIONS}
    ),
}


class RightsExceeded(Forbidden):
    """Nobody hands on, or takes from somebody, a right that he does not have himself."""

    code = "rights_exceeded"


@dataclass(frozen=True, slots=True)
class HeldRole:
    """What an account is at a site, and what that lets it do there."""

    role: str  # a SiteRole, or the id of a custom role
    rights: frozenset[Action]

    @classmethod
    def of(
        cls, role: str, *, custom: Collection[str] | None = None, is_granted: bool = False
    ) -> Self:
        """Return a role as it is held.

        Args:
            role: A SiteRole, or the id of a custom role.
            custom: What is stored as the custom role's rights; None if there is no such role.
            is_granted: It was given for some hours, as only an installer's is.
        """
        if is_granted:
            return cls(role, INSTALLER_GRANT if role == SiteRole.INSTALLER else frozenset())
        if role in set(SiteRole):
            return cls(role, SITE_RIGHTS[SiteRole(role)])
        return cls(role, frozenset(right for right in CUSTOM_RIGHTS if right in (custom or ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks. ``scopes`` limits a token; None does not limit."""

    kind: ActorKind
    account_id: AccountId | None  # None only for the system
    name: str
    cloud_role: CloudRole | None = None
    site_roles: Mapping[SiteId, HeldRole] = field(default_factory=dict)
    scopes: frozenset[Scope] | None = None

    def may(self, action: Action, site_id: SiteId | None = None) -> bool:
        """Return whether the actor may do this, at this site or in the cloud."""
        if self.kind is ActorKind.SYSTEM:
            return True
        rights: frozenset[Action] = frozenset()
        if self.cloud_role is not None:
            rights |= CLOUD_RIGHTS[self.cloud_role]
        if site_id is not None:
            rights |= self.rights_at(site_id)
        return action in rights and self._is_in_scope(action)

    def require(self, action: Action, site_id: SiteId | None = None) -> None:
        """Refuse what the actor may not do.

        Raises:
            NotFound: The actor has nothing to do with the site, and is not told that it exists.
            Forbidden: The role or the token's scopes do not include the action.
        """
        if self.may(action, site_id):
            return
        knows_site = site_id in self.site_roles or self.cloud_role is CloudRole.OPERATOR
        if site_id is not None and not knows_site:
            raise NotFound("There is no such site, or you have no role there.", object="site")
        raise _forbidden(action)

    def require_scope(self, action: Action) -> None:
        """Refuse a token whose scopes leave an action out, whatever the account's roles.

        Raises:
            Forbidden: None of the scopes includes the action.
        """
        if not self._is_in_scope(action):
            raise _forbidden(action)

    def rights_at(self, site_id: SiteId) -> frozenset[Action]:
        """Return what the actor's role at a site gives, whatever a token's scopes."""
        held = self.site_roles.get(site_id)
        return held.rights if held else frozenset()

    def require_assign(self, rights: frozenset[Action], site_id: SiteId) -> None:
        """Refuse to give somebody a role with these rights, or take it, without the right to.

        Raises:
            NotFound: The actor has nothing to do with the site.
            Forbidden: The actor manages no roles there.
            RightsExceeded: Or lacks one of the rights.
        """
        self.require(Action.MANAGE_ROLES, site_id)
        self.require_rights(rights, site_id)

    def require_rights(self, rights: frozenset[Action], site_id: SiteId) -> None:
        """Refuse to hand on rights that the actor's own role does not have.

        Raises:
            RightsExceeded: It names those that are lacking.
        """
        lacking = sorted(rights - self.rights_at(site_id))
        if lacking and self.kind is not ActorKind.SYSTEM:
            raise RightsExceeded(
                "Nobody gives, takes or edits a role with rights that he does not have himself; "
                f"you lack {', '.join(lacking)}. Ask somebody who has them, such as the owner.",
                lacking=lacking,
            )

    def _is_in_scope(self, action: Action) -> bool:
        return self.scopes is None or any(action in SCOPE_RIGHTS[scope] for scope in self.scopes)


def _forbidden(action: Action) -> Forbidden:
    return Forbidden(
        f"You may not do this: it needs the right {action}. Ask the site's owner, or use a "
        "token with a scope that includes it.",
        action=str(action),
    )


SYSTEM: Final = Actor(kind=ActorKind.SYSTEM, account_id=None, name="Doorward")
"""Whoever acts when nobody asked: timers, and the first start."""
