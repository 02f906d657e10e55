"""The role table, as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.errors import Forbidden, NotFound
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import (
    CLOUD_RIGHTS,
    CUSTOM_RIGHTS,
    PEOPLE_ONLY,
    SCOPE_RIGHTS,
    SITE_RIGHTS,
    Action,
    Actor,
    ActorKind,
    CloudRole,
    HeldRole,
    RightsExceeded,
    Scope,
    SiteRole,
)

HERE, ELSEWHERE = SiteId("here"), SiteId("elsewhere")

# P operator, S supplier, I installer in the cloud; at a site o owner, a admin, s super user,
# u user, i installer until the hand-over, g installer with a grant.
# Written out a second time on purpose: a change of the rules' table must be meant.
TABLE = {
    Action.MANAGE_ACCOUNTS: "P",
    Action.READ_HEALTH: "P",
    Action.CREATE_SITE: "I",
    Action.READ_VOUCHERS: "S",
    Action.MANAGE_VOUCHERS: "S",
    Action.CANCEL_SUBSCRIPTION: "P",
    Action.READ_SITE: "P o a s i g u",
    Action.EDIT_SITE: "o a i",
    Action.HAND_OVER_SITE: "o i",
    Action.MANAGE_ROLES: "o a",
    Action.READ_SUBSCRIPTION: "P o a s i",
    Action.MANAGE_SUBSCRIPTION: "o a",
    Action.READ_HARDWARE: "P o a s i g",
    Action.MANAGE_HARDWARE: "o a i g",
    Action.READ_PEOPLE: "o a s",
    Action.MANAGE_PEOPLE: "o a s",
    Action.READ_ACCESS: "o a s",
    Action.MANAGE_ACCESS: "o a s",
    Action.MANAGE_OFFLINE: "o a",
    Action.MANAGE_DOORS: "o a",
    Action.OPEN_REMOTELY: "o a s",
    Action.USE_OFFICE_MODE: "o a",
    Action.READ_ACTIVITY: "o a s",
    Action.READ_AUDIT: "o a",
    Action.MANAGE_NOTIFICATIONS: "o a",
    Action.GRANT_INSTALLER: "o a",
    Action.READ_OWN: "o a s u",
    Action.MANAGE_OWN_KEYS: "o a s u",
    Action.OPEN_OWN: "o a s u",
    Action.MANAGE_OWN_GUESTS: "o a s u",
    Action.MANAGE_TOKENS: "o a",
}
CLOUD = {"P": CloudRole.OPERATOR, "S": CloudRole.SUPPLIER, "I": CloudRole.INSTALLER}
SITE = {
    "o": HeldRole.of(SiteRole.OWNER),
    "a": HeldRole.of(SiteRole.ADMIN),
    "s": HeldRole.of(SiteRole.SUPER_USER),
    "i": HeldRole.of(SiteRole.INSTALLER),
    "g": HeldRole.of(SiteRole.INSTALLER, is_granted=True),
    "u": HeldRole.of(SiteRole.USER),
}
NO_INSTALLERS = {
    Action.READ_PEOPLE,
    Action.MANAGE_PEOPLE,
    Action.READ_ACCESS,
    Action.MANAGE_ACCESS,
    Action.MANAGE_OFFLINE,
    Action.READ_ACTIVITY,
    Action.READ_AUDIT,
    Action.OPEN_REMOTELY,
    Action.OPEN_OWN,
    Action.MANAGE_ROLES,
}
RIGHTS = st.frozensets(st.sampled_from(sorted(Action)))


def somebody(
    *,
    cloud: CloudRole | None = None,
    site: HeldRole | SiteRole | None = None,
    scopes: frozenset[Scope] | None = None,
) -> Actor:
    """An account, with a role at one site if one is given, or its token."""
    held = HeldRole.of(site) if isinstance(site, SiteRole) else site
    return Actor(
        kind=ActorKind.USER if scopes is None else ActorKind.TOKEN,
        account_id=AccountId("a" * 32),
        name="Ada",
        cloud_role=cloud,
        site_roles={} if held is None else {HERE: held},
        scopes=scopes,
    )


def test_the_table_names_every_action_and_role() -> None:
    """Nothing is left to chance."""
    assert set(TABLE) == set(Action)
    assert set(CLOUD_RIGHTS) == set(CLOUD.values()) == set(CloudRole)
    assert set(SITE_RIGHTS) == {held.role for held in SITE.values()} == set(SiteRole)
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
    """No token, whatever its scopes, gives roles, tokens or sites away; all else has a scope."""
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


@pytest.mark.invariant("T3")
@given(own=RIGHTS, handed_on=RIGHTS)
def test_nobody_hands_on_a_right_that_he_lacks(
    own: frozenset[Action], handed_on: frozenset[Action]
) -> None:
    """Whoever manages roles assigns those within his own rights, and no others."""
    actor = somebody(site=HeldRole("c" * 32, own))

    if Action.MANAGE_ROLES not in own:
        with pytest.raises(Forbidden):
            actor.require_assign(handed_on, HERE)
    elif handed_on <= own:
        actor.require_assign(handed_on, HERE)
    else:
        with pytest.raises(RightsExceeded) as refused:
            actor.require_assign(handed_on, HERE)
        assert refused.value.facts == {"lacking": sorted(handed_on - own)}


def test_a_cloud_role_is_nothing_to_hand_on() -> None:
    """What an operator may at every site he gives nobody there."""
    operator = somebody(cloud=CloudRole.OPERATOR, site=SiteRole.USER)

    assert operator.may(Action.READ_HARDWARE, HERE)
    with pytest.raises(RightsExceeded):
        operator.require_rights(frozenset({Action.READ_HARDWARE}), HERE)


@pytest.mark.invariant("T3")
@given(stored=st.frozensets(st.sampled_from([*Action, "no:such", "owner"])))
def test_a_custom_role_is_what_is_stored_and_never_ownership(stored: frozenset[str]) -> None:
    """Unknown rights, and those that are none at a site, are not there, whoever stored them."""
    held = HeldRole.of("c" * 32, custom=stored)

    assert held.rights == stored & CUSTOM_RIGHTS
    assert Action.HAND_OVER_SITE not in held.rights
    assert HeldRole.of("c" * 32).rights == frozenset()


@pytest.mark.invariant("T4")
def test_an_installer_sees_no_people_and_no_events() -> None:
    """Neither before the hand-over nor with a grant; a grant is for hardware only."""
    granted = HeldRole.of(SiteRole.INSTALLER, is_granted=True)

    assert not HeldRole.of(SiteRole.INSTALLER).rights & NO_INSTALLERS
    assert granted.rights == {Action.READ_SITE, Action.READ_HARDWARE, Action.MANAGE_HARDWARE}
    for role in set(SiteRole) - {SiteRole.INSTALLER}:
        assert HeldRole.of(role, is_granted=True).rights == frozenset()


def test_the_system_may_everything() -> None:
    """Timers and the operator's command line act without a role."""
    system = Actor(kind=ActorKind.SYSTEM, account_id=None, name="timer")

    assert all(system.may(action, HERE) for action in Action)
