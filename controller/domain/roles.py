"""Who may do what: the role table is the only source, and what it does not name is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controller.domain.ids import AccountId, SiteId


class CloudRole(StrEnum):
    """What an account is in the cloud as a whole; most are nothing."""

    OPERATOR = "operator"
    SUPPLIER = "supplier"
    INSTALLER = "installer"


class SiteRole(StrEnum):
    """What an account is at a site."""

    OWNER = "owner"
    ADMIN = "admin"
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
    MANAGE_ACCESS = "access:manage"  # groups, schedules, tags, offline access
    OPEN_REMOTELY = "lock:open"
    READ_ACTIVITY = "activity:read"
    READ_AUDIT = "audit:read"
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
    TOKEN = "token"
    SYSTEM = "system"  # timers and the operator's command line


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks. ``scopes`` limits a token; None does not limit."""

    kind: ActorKind
    account_id: AccountId | None  # None only for the system
    name: str
    cloud_role: CloudRole | None = None
    site_roles: Mapping[SiteId, SiteRole] = field(default_factory=dict)
    scopes: frozenset[Scope] | None = None

    def may(self, action: Action, site_id: SiteId | None = None) -> bool:
        """Return whether the actor may do this, at this site or in the cloud."""
        raise NotImplementedError

    def require(self, action: Action, site_id: SiteId | None = None) -> None:
        """Refuse what the actor may not do.

        Raises:
            NotFound: The actor has nothing to do with the site, and is not told that it exists.
            Forbidden: The role or the token's scopes do not include the action.
        """
        raise NotImplementedError
