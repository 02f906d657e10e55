"""Roles over HTTP: given, taken, transferred, and made by the site itself."""

import asyncio

import pytest
from sqlalchemy import insert, select

from controller.db.tables.accounts import accounts, site_roles
from controller.db.tables.records import audit_records
from controller.domain.roles import Action
from controller.sites.custom_roles import ROLES_MAX
from controller.sites.roles import HOLDERS_MAX
from tests.controller.sites.place import released
from tests.controller.subscriptions.served import Served
from tests.controller.subscriptions.world import NOON

ABSENT = "0" * 32
READ = ["site:read"]
READS = ["people:read", "access:read"]


def ids(name: str) -> str:
    """Return an id made of a name."""
    return name.encode().hex().ljust(32, "0")


async def test_a_user_becomes_an_admin_and_nothing(served: Served) -> None:
    """A role that is given counts at once, and one that is taken too."""
    here = await released(served)
    adam = await here.join("adam", "user")
    path = f"/roles/{await here.account_id('adam')}"

    before, _ = await here.ask("GET", "/roles", token=adam)
    given, _ = await here.ask("PUT", path, {"role": "admin"}, token=here.owner)
    within, _ = await here.ask("GET", "/roles", token=adam)
    taken, _ = await here.ask("DELETE", path, token=here.owner)
    after, _ = await here.ask("GET", "/roles", token=adam)

    assert (before, given, within, taken, after) == (403, 204, 200, 204, 404)


async def test_the_list_says_who_has_what(served: Served) -> None:
    """Everybody with a role, by address, with the rights that it gives."""
    here = await released(served)
    role_id = await here.custom_role("doors:manage")
    await here.join("adam", role_id)

    _, listed = await here.ask("GET", "/roles", token=here.owner)

    assert [(one["name"], one["role"], one["ends_at"]) for one in listed] == [
        ("adam", role_id, None),
        ("olive", "owner", None),
    ]
    assert listed[0]["rights"] == ["doors:manage", "site:read"]
    assert "site:hand_over" in listed[1]["rights"]


async def test_everybody_is_told_what_he_may_where(served: Served) -> None:
    """Role and rights by site; a token's are those that its scopes leave."""
    here = await released(served)
    role_id = await here.custom_role("people:read", "people:manage", "doors:manage")
    kay = await here.join("kay", role_id)
    issued = {"name": "t", "scopes": ["people"]}
    _, token = await served.ask("POST", "/tokens", issued, token=kay)

    _, me = await served.ask("GET", "/me", token=kay)
    _, program = await served.ask("GET", "/me", token=token["token"])

    rights = ["doors:manage", "people:manage", "people:read", "site:read"]
    mine = {"role": role_id, "rights": rights, "person_id": None}
    assert me["site_roles"] == {here.site_id: mine}
    assert program["site_roles"][here.site_id]["rights"] == ["people:manage", "people:read"]


@pytest.mark.invariant("T1")
async def test_only_an_account_of_the_site_is_given_a_role(served: Served) -> None:
    """Somebody who has nothing to do with the site is like somebody who is not there at all."""
    here = await released(served)
    await served.enrol("stranger")
    body = {"role": "user"}

    there = await here.ask(
        "PUT", f"/roles/{await here.account_id('stranger')}", body, token=here.owner
    )
    nowhere = await here.ask("PUT", f"/roles/{ABSENT}", body, token=here.owner)

    assert there == nowhere
    assert (there[0], there[1]["code"]) == (404, "not_found")


@pytest.mark.invariant("T3")
@pytest.mark.parametrize("role", ["owner", "installer", "chief", ABSENT, "admin"])
async def test_a_keeper_of_roles_gives_no_more_than_he_has(served: Served, role: str) -> None:
    """Ownership, installers' and unknown roles are given by nobody, an admin's by no keeper."""
    here = await released(served)
    keeper = await here.join("kay", await here.custom_role("roles:manage", *READS))
    await here.join("uma", "user")
    path = f"/roles/{await here.account_id('uma')}"

    status, answer = await here.ask("PUT", path, {"role": role}, token=keeper)

    code = "rights_exceeded" if role == "admin" else "unknown_role"
    assert (status, answer["code"]) == (403 if role == "admin" else 422, code)
    assert (await here.roles())["uma"] == "user"


@pytest.mark.invariant("T3")
async def test_a_keeper_of_roles_takes_no_more_than_he_has(served: Served) -> None:
    """He neither takes an admin's role nor turns it into a smaller one; his own may go."""
    here = await released(served)
    small = await here.custom_role("people:read", name="Reader")
    keeper = await here.join("kay", await here.custom_role("roles:manage", *READS))
    await here.join("adam", "admin")
    await here.join("rob", small)
    ids = {name: await here.account_id(name) for name in ("adam", "rob", "kay")}

    taken, answer = await here.ask("DELETE", f"/roles/{ids['adam']}", token=keeper)
    turned, _ = await here.ask("PUT", f"/roles/{ids['adam']}", {"role": small}, token=keeper)
    smaller, _ = await here.ask("DELETE", f"/roles/{ids['rob']}", token=keeper)
    own, _ = await here.ask("DELETE", f"/roles/{ids['kay']}", token=keeper)

    assert (taken, turned, smaller, own) == (403, 403, 204, 204)
    assert (answer["code"], "roles:manage" in answer["facts"]["lacking"]) == (
        "rights_exceeded",
        False,
    )
    assert await here.roles() == {"olive": "owner", "adam": "admin"}


async def test_the_owner_cannot_be_removed(served: Served) -> None:
    """Neither an admin nor the owner himself takes or changes the owner's role."""
    here = await released(served)
    adam = await here.join("adam", "admin")
    path = f"/roles/{await here.account_id('olive')}"

    answers = [
        await here.ask("DELETE", path, token=adam),
        await here.ask("DELETE", path, token=here.owner),
        await here.ask("PUT", path, {"role": "admin"}, token=here.owner),
    ]

    assert [(status, answer["code"]) for status, answer in answers] == [(409, "owner_stays")] * 3


async def test_ownership_goes_from_the_owner_to_an_admin(served: Served) -> None:
    """The old owner becomes an admin; a user, a stranger or the owner himself does not get it."""
    here = await released(served)
    adam = await here.join("adam", "admin")
    await here.join("uma", "user")
    ids = {name: await here.account_id(name) for name in ("adam", "uma", "olive")} | {"": ABSENT}

    async def transfer(name: str, token: str) -> int:
        return (await here.ask("POST", "/transfer", {"account_id": ids[name]}, token=token))[0]

    refused = [await transfer(name, here.owner) for name in ("uma", "", "olive")]
    stolen = await transfer("adam", adam)
    before = await here.roles()
    done = await transfer("adam", here.owner)

    assert (refused, stolen, done) == ([409, 409, 409], 403, 204)
    assert before == {"olive": "owner", "adam": "admin", "uma": "user"}
    assert await here.roles() == {"olive": "admin", "adam": "owner", "uma": "user"}
    assert await transfer("uma", here.owner) == 403


async def test_two_transfers_at_once_leave_one_owner(served: Served) -> None:
    """Whichever comes first counts; the other is refused, since he is the owner no more."""
    here = await released(served)
    bodies = []
    for name in ("adam", "eve"):
        await here.join(name, "admin")
        bodies.append({"account_id": await here.account_id(name)})

    answers = await asyncio.gather(
        *(here.ask("POST", "/transfer", body, token=here.owner) for body in bodies)
    )

    assert sorted(status for status, _ in answers) == [204, 403]
    assert sorted((await here.roles()).values()) == ["admin", "admin", "owner"]


async def test_who_loses_a_role_while_he_asks_takes_none(served: Served) -> None:
    """Two admins who take each other's role at once: the one who is late has none any more."""
    here = await released(served)
    for attempt in range(5):
        names = ("adam", "eve")
        tokens = {name: await here.join(f"{name}{attempt}", "admin") for name in names}
        ids = {name: await here.account_id(f"{name}{attempt}") for name in names}

        answers = await asyncio.gather(
            here.ask("DELETE", f"/roles/{ids['eve']}", token=tokens["adam"]),
            here.ask("DELETE", f"/roles/{ids['adam']}", token=tokens["eve"]),
        )

        assert sorted(status for status, _ in answers) == [204, 404]


async def test_a_role_of_the_site_is_made_edited_and_deleted(served: Served) -> None:
    """Edits name what they were made from and reach all holders; one that is held stays."""
    here = await released(served)
    role_id = await here.custom_role("people:read")
    kay = await here.join("kay", role_id)
    path = f"/custom-roles/{role_id}"
    wider = {"rights": ["site:read", "roles:manage"]}

    before, _ = await here.ask("GET", "/roles", token=kay)
    status, edited = await here.ask("PATCH", path, wider, token=here.owner, etag='"1"')
    after, _ = await here.ask("GET", "/roles", token=kay)
    stale, _ = await here.ask("PATCH", path, wider, token=here.owner, etag='"1"')
    held, answer = await here.ask("DELETE", path, token=here.owner, etag='"2"')
    await here.ask("DELETE", f"/roles/{await here.account_id('kay')}", token=here.owner)
    gone, _ = await here.ask("DELETE", path, token=here.owner, etag='"2"')
    _, listed = await here.ask("GET", "/custom-roles", token=here.owner)

    assert (before, status, edited["version"], after, stale) == (403, 200, 2, 200, 412)
    assert (held, answer["code"], gone, listed) == (409, "role_in_use", 204, [])


@pytest.mark.invariant("T3")
async def test_nobody_makes_or_edits_a_role_beyond_his_own(served: Served) -> None:
    """Not by making it, not by widening it, not by narrowing what he could not have given."""
    here = await released(served)
    wide = await here.custom_role("doors:manage", name="Wide")
    small = await here.custom_role("people:read", name="Small")
    own = await here.custom_role("roles:manage", *READS, name="Own")
    kay = await here.join("kay", own)

    def rights(*names: str) -> dict[str, object]:
        return {"rights": ["site:read", *names]}

    made = await here.ask("POST", "/custom-roles", rights("lock:open") | {"name": "N"}, token=kay)
    answers = [made] + [
        await here.ask("PATCH", f"/custom-roles/{role_id}", edit, token=kay, etag='"1"')
        for role_id, edit in (
            (small, rights("lock:open")),
            (wide, rights()),
            (wide, {"name": "Mine"}),
            (own, rights("roles:manage", *READS, "lock:open")),
        )
    ]
    removed = await here.ask("DELETE", f"/custom-roles/{wide}", token=kay, etag='"1"')
    within, _ = await here.ask("PATCH", f"/custom-roles/{small}", rights(), token=kay, etag='"1"')

    codes = [(status, answer["code"]) for status, answer in [*answers, removed]]
    assert codes == [(403, "rights_exceeded")] * 6
    assert within == 200


@pytest.mark.parametrize(
    "rights", [["site:read", "site:hand_over"], ["site:read", "accounts:manage"], ["people:read"]]
)
async def test_some_rights_make_no_role(served: Served, rights: list[str]) -> None:
    """Ownership and rights in the cloud are refused, and a role that may not read its site."""
    here = await released(served)

    status, answer = await here.ask(
        "POST", "/custom-roles", {"name": "R", "rights": rights}, token=here.owner
    )

    assert (status, answer["code"], answer["facts"]["field"]) == (422, "unfit_rights", "rights")


async def test_names_of_roles_are_told_apart(served: Served) -> None:
    """Two roles of one name are refused, when made and when renamed."""
    here = await released(served)
    await here.custom_role(name="Keeper")
    other = await here.custom_role(name="Other")
    body = {"name": "Keeper", "rights": ["site:read"]}

    made = await here.ask("POST", "/custom-roles", body, token=here.owner)
    renamed = await here.ask(
        "PATCH", f"/custom-roles/{other}", {"name": "Keeper"}, token=here.owner, etag='"1"'
    )

    for status, answer in (made, renamed):
        assert (status, answer["code"], answer["facts"]["field"]) == (
            409,
            "role_name_taken",
            "name",
        )


@pytest.mark.invariant("C3")
async def test_a_site_has_fifty_roles_of_its_own(served: Served) -> None:
    """The last place is taken once, also by two at once; then the limit is named."""
    here = await released(served)
    for number in range(ROLES_MAX - 1):
        await here.custom_role(name=f"Role {number}")

    answers = await asyncio.gather(
        *(
            here.ask("POST", "/custom-roles", {"name": name, "rights": READ}, token=here.owner)
            for name in ("one", "other")
        )
    )

    assert sorted(status for status, _ in answers) == [201, 409]
    refused = next(answer for status, answer in answers if status == 409)
    assert (refused["code"], refused["facts"]) == ("too_many_roles", {"limit": 50})


@pytest.mark.invariant("C3")
async def test_a_site_has_five_hundred_holders_of_roles(served: Served) -> None:
    """Whoever would be one more is refused, and comes in when somebody has gone."""
    here = await released(served)
    names = [f"user{number}" for number in range(HOLDERS_MAX - 1)]
    new = [{"id": ids(name), "email": f"{name}@example.org", "name": name} for name in names]
    async with served.world.db.write() as tx:
        await tx.execute(insert(accounts).values(password_hash="-", created_at=NOON), new)
        held = {"site_id": here.site_id, "role": "user"}
        await tx.execute(insert(site_roles), [held | {"account_id": one["id"]} for one in new])
    grant = {"email": "ivy@example.org", "seconds": 60}

    full, refused = await here.ask("POST", "/installer-grants", grant, token=here.owner)
    await here.ask("DELETE", f"/roles/{ids('user7')}", token=here.owner)
    fits, _ = await here.ask("POST", "/installer-grants", grant, token=here.owner)

    assert (full, refused["code"], refused["facts"]["limit"]) == (409, "too_many_role_holders", 500)
    assert fits == 201


async def test_everybody_reads_what_rights_there_are(served: Served) -> None:
    """The catalogue names each right once, with a line about it."""
    token = await served.enrol("anna")

    _, listed = await served.ask("GET", "/permissions", token=token)

    assert [one["right"] for one in listed] == list(Action)
    assert all(one["meaning"].endswith(".") for one in listed)
    assert {one["right"] for one in listed if not one["custom"]} >= {
        "site:hand_over",
        "accounts:manage",
    }


@pytest.mark.invariant("L6")
async def test_each_change_of_roles_is_recorded_once(served: Served) -> None:
    """Who gave, took, made, edited, deleted and transferred what, with before and after."""
    here = await released(served)
    role_id = await here.custom_role("people:read")
    await here.join("uma", "user")
    await here.join("adam", "admin")
    uma, adam = await here.account_id("uma"), await here.account_id("adam")
    path = f"/custom-roles/{role_id}"
    await here.ask("PUT", f"/roles/{uma}", {"role": role_id}, token=here.owner)
    await here.ask("DELETE", f"/roles/{uma}", token=here.owner)
    await here.ask("PATCH", path, {"name": "K"}, token=here.owner, etag='"1"')
    await here.ask("DELETE", path, token=here.owner, etag='"2"')
    await here.ask("POST", "/transfer", {"account_id": adam}, token=here.owner)

    query = select(audit_records).where(audit_records.c.site_id == here.site_id)
    async with served.world.db.read() as tx:
        rows = (await tx.execute(query.order_by(audit_records.c.action))).all()

    assert [(row.action, row.object_id) for row in rows if row.action != "site_created"] == [
        ("role_added", role_id),
        ("role_deleted", role_id),
        ("role_edited", role_id),
        ("role_given", uma),
        ("role_taken", uma),
        ("site_handed_over", here.site_id),
        ("site_transferred", adam),
    ]
    given = next(row.facts for row in rows if row.action == "role_given")
    assert given == {"role": role_id, "before": "user"}
