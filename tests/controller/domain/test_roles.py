"""The role table, as a table."""

import pytest

from controller.domain.errors import Forbidden, NotFound
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import (
    CLOUD_RIGHTS,
    SCOPE_RIGHTS,
    SITE_RIGHTS,
    Action,
    Actor,
    ActorKind,
    CloudRole,
    Scope,
    SiteRole,
)

HERE, ELSEWHERE = SiteId("here"), SiteId("elsewhere")

# P operator, S supplier, I installer in the cloud; o owner, a admin, i installer, u user at a site.
# Written out a second time on purpose: a change of the rules' table must be meant.
TABLE = {
    Action.MANAGE_ACCOUNTS: "P",
    Action.READ_HEALTH: "P",
    Action.CREATE_SITE: "I",
    Action.READ_VOUCHERS: "S",
    Action.MANAGE_VOUCHERS: "S",
    Action.CANCEL_SUBSCRIPTION: "P",
    Action.READ_SITE: "P o a i u",
    Action.EDIT_SITE: "o a i",
    Action.HAND_OVER_SITE: "o i",
    Action.MANAGE_ROLES: "o a",
    Action.READ_SUBSCRIPTION: "P o a i",
    Action.MANAGE_SUBSCRIPTION: "o a",
    Action.READ_HARDWARE: "P o a i",
    Action.MANAGE_HARDWARE: "o a i",
    Action.READ_PEOPLE: "o a",
    Action.MANAGE_PEOPLE: "o a",
    Action.READ_ACCESS: "o a",
    Action.MANAGE_ACCESS: "o a",
    Action.OPEN_REMOTELY: "o a",
    Action.READ_ACTIVITY: "o a",
    Action.READ_AUDIT: "o a",
    Action.MANAGE_TOKENS: "o a",
}
CLOUD = {"P": CloudRole.OPERATOR, "S": CloudRole.SUPPLIER, "I": CloudRole.INSTALLER}
SITE = {"o": SiteRole.OWNER, "a": SiteRole.ADMIN, "i": SiteRole.INSTALLER, "u": SiteRole.USER}
PEOPLE_ONLY = {
    Action.MANAGE_ACCOUNTS,
    Action.MANAGE_ROLES,
    Action.MANAGE_TOKENS,
    Action.HAND_OVER_SITE,
    Action.CANCEL_SUBSCRIPTION,
}


def somebody(
    *,
    cloud: CloudRole | None = None,
    site: SiteRole | None = None,
    scopes: frozenset[Scope] | None = None,
) -> Actor:
    """An account, with a role at one site if one is given, or its token."""
    return Actor(
        kind=ActorKind.USER if scopes is None else ActorKind.TOKEN,
        account_id=AccountId("a" * 32),
        name="Ada",
        cloud_role=cloud,
        site_roles={} if site is None else {HERE: site},
        scopes=scopes,
    )


def test_the_table_names_every_action_and_role() -> None:
    """Nothing is left to chance."""
    assert set(TABLE) == set(Action)
    assert set(CLOUD_RIGHTS) == set(CLOUD.values()) == set(CloudRole)
    assert set(SITE_RIGHTS) == set(SITE.values()) == set(SiteRole)
    assert set(SCOPE_RIGHTS) == set(Scope)


@pytest.mark.parametrize("action", Action)
def test_each_role_may_what_the_table_says(action: Action) -> None:
    """And nothing else; a role at one site is none at another."""
    allowed = TABLE[action].split()

    for letter, cloud in CLOUD.items():
        assert somebody(cloud=cloud).may(action, HERE) is (letter in allowed)
        assert somebody(cloud=cloud).may(action) is (letter in allowed)
    for letter, site in SITE.items():
        assert somebody(site=site).may(action, HERE) is (letter in allowed)
        assert not somebody(site=site).may(action, ELSEWHERE)
        assert not somebody(site=site).may(action)
    assert not somebody().may(action, HERE)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("role", SiteRole)
def test_a_scope_only_ever_restricts(scope: Scope, role: SiteRole) -> None:
    """A token may what both its account and its scopes may."""
    account = somebody(site=role)
    token = somebody(site=role, scopes=frozenset({scope}))

    for action in Action:
        both = account.may(action, HERE) and action in SCOPE_RIGHTS[scope]
        assert token.may(action, HERE) is both


def test_scopes_add_up_and_none_allows_nothing() -> None:
    """Two scopes give both sets; an empty set of scopes gives no right at all."""
    two = somebody(site=SiteRole.OWNER, scopes=frozenset({Scope.OPEN, Scope.PEOPLE}))
    none = somebody(site=SiteRole.OWNER, scopes=frozenset())

    assert two.may(Action.OPEN_REMOTELY, HERE)
    assert two.may(Action.MANAGE_PEOPLE, HERE)
    assert not two.may(Action.MANAGE_ACCESS, HERE)
    assert not any(none.may(action, HERE) for action in Action)


def test_some_acts_are_for_people_only() -> None:
    """No token, whatever its scopes, gives roles, tokens or sites away."""
    every = frozenset(Scope)
    tokens = [somebody(site=SiteRole.OWNER, scopes=every)]
    tokens += [somebody(cloud=role, scopes=every) for role in CloudRole]

    assert not any(token.may(action, HERE) for token in tokens for action in PEOPLE_ONLY)
    assert set().union(*SCOPE_RIGHTS.values()) == set(Action) - PEOPLE_ONLY


def test_a_stranger_is_not_told_that_a_site_exists() -> None:
    """No role there: not found. A role without the right: forbidden, naming the right."""
    with pytest.raises(NotFound) as unknown:
        somebody(site=SiteRole.OWNER).require(Action.READ_SITE, ELSEWHERE)
    with pytest.raises(Forbidden) as refused:
        somebody(site=SiteRole.USER).require(Action.OPEN_REMOTELY, HERE)
    with pytest.raises(Forbidden):
        somebody(cloud=CloudRole.OPERATOR).require(Action.READ_PEOPLE, ELSEWHERE)
    with pytest.raises(Forbidden):
        somebody().require(Action.CREATE_SITE)

    assert unknown.value.facts == {"object": "site"}
    assert refused.value.facts == {"action": "lock:open"}
    somebody(site=SiteRole.OWNER).require(Action.OPEN_REMOTELY, HERE)


@pytest.mark.parametrize(
    ("giver", "roles"),
    [
        (SiteRole.OWNER, set(SiteRole)),
        (SiteRole.ADMIN, {SiteRole.ADMIN, SiteRole.INSTALLER, SiteRole.USER}),
        (SiteRole.INSTALLER, {SiteRole.OWNER}),
        (SiteRole.USER, set()),
    ],
)
def test_nobody_gives_a_role_above_their_own(giver: SiteRole, roles: set[SiteRole]) -> None:
    """An admin makes no owner; an installer hands over to one and does nothing else."""
    for role in SiteRole:
        if role in roles:
            somebody(site=giver).require_assign(role, HERE)
        else:
            with pytest.raises(Forbidden):
                somebody(site=giver).require_assign(role, HERE)


def test_the_system_may_everything() -> None:
    """Timers and the operator's command line act without a role."""
    system = Actor(kind=ActorKind.SYSTEM, account_id=None, name="timer")

    assert all(system.may(action, HERE) for action in Action)
