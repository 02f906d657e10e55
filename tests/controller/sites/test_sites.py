"""Sites over HTTP: created, handed over, edited, and who has which role there."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from controller.db.tables.records import audit_records
from controller.domain.ids import SiteId
from controller.domain.roles import CloudRole
from controller.domain.subscription import Kind
from tests.controller.subscriptions.served import Served
from tests.controller.subscriptions.world import NOON, WEEK

SITE = {"name": "Harbour", "time_zone": "Europe/Madrid", "buy_from": "sue@example.org"}


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

    async def hand_over(self, email: str, token: str) -> tuple[int, Any]:
        """Hand the site over."""
        return await self.ask("POST", "/hand-over", {"owner_email": email}, token=token)


async def place(served: Served) -> Place:
    """Create a site that is not handed over yet."""
    installer = await served.enrol("ivy", CloudRole.INSTALLER)
    owner = await served.enrol("olive")
    status, site = await served.ask("POST", "/sites", SITE, token=installer)
    assert status == 201, site
    return Place(served, SiteId(site["id"]), installer, owner)


@pytest.mark.invariant("V10")
async def test_a_new_site_has_its_free_week(served: Served) -> None:
    """The site is there with its week of Pro, 604,800 s from its creation."""
    here = await place(served)

    status, site = await here.ask("GET", token=here.installer)
    held = (await served.world.standing(here.site_id)).holdings.subscription

    assert (status, site["name"], site["released_at"]) == (200, "Harbour", None)
    assert (held.kind, held.started_at, held.ends_at) == (Kind.FREE_WEEK, NOON, NOON + WEEK)
    assert len(await served.world.history(here.site_id)) == 1


async def test_only_an_installer_creates(served: Served) -> None:
    """An account without the role is forbidden to create sites."""
    status, answer = await served.ask("POST", "/sites", SITE, token=await served.enrol("anna"))

    assert (status, answer["code"]) == (403, "forbidden")


async def test_handing_over_changes_hands(served: Served) -> None:
    """The owner gets the role, the installer loses his, and the site is released."""
    here = await place(served)

    status, site = await here.hand_over("Olive@example.org", here.installer)

    assert (status, site["released_at"]) == (200, "2026-03-01T12:00:00Z")
    assert (await here.ask("GET", token=here.installer))[0] == 404
    _, roles = await here.ask("GET", "/roles", token=here.owner)
    assert [(one["email"], one["role"]) for one in roles] == [("olive@example.org", "owner")]


async def test_an_owner_needs_an_account(served: Served) -> None:
    """Handing over to nobody is refused, and the site stays the installer's."""
    here = await place(served)

    status, answer = await here.hand_over("nobody@example.org", here.installer)

    assert (status, answer["code"]) == (409, "account_not_found")
    assert answer["facts"]["field"] == "owner_email"
    assert (await here.ask("GET", token=here.installer))[1]["released_at"] is None


async def test_an_owner_hands_on_and_stays_as_admin(served: Served) -> None:
    """The second owner has the site; the first one is an admin from then on."""
    here = await place(served)
    await here.hand_over("olive@example.org", here.installer)
    second = await served.enrol("nina")

    await here.hand_over("nina@example.org", here.owner)

    _, roles = await here.ask("GET", "/roles", token=second)
    assert {one["email"]: one["role"] for one in roles} == {
        "nina@example.org": "owner",
        "olive@example.org": "admin",
    }
    assert (await here.hand_over("olive@example.org", here.owner))[0] == 403


async def test_admins_come_and_go(served: Served) -> None:
    """An admin reads the site while he has the role; the owner cannot become one."""
    here = await place(served)
    await here.hand_over("olive@example.org", here.installer)
    adam = await served.enrol("adam")
    _, me = await served.ask("GET", "/me", token=adam)

    before, _ = await here.ask("GET", token=adam)
    added, _ = await here.ask("POST", "/admins", {"email": "adam@example.org"}, token=here.owner)
    within, _ = await here.ask("GET", token=adam)
    own, answer = await here.ask(
        "POST", "/admins", {"email": "olive@example.org"}, token=here.owner
    )
    removed, _ = await here.ask("DELETE", f"/admins/{me['account_id']}", token=here.owner)
    after, _ = await here.ask("GET", token=adam)

    assert (before, added, within, removed, after) == (404, 204, 200, 204, 404)
    assert (own, answer["code"]) == (409, "already_owner")


async def test_an_edit_names_what_it_was_made_from(served: Served) -> None:
    """An edit needs If-Match, changes what is given, and a second one from the same is stale."""
    here = await place(served)
    _, _, headers = await served.ask_all("GET", f"/sites/{here.site_id}", token=here.installer)
    etag = headers["ETag"]

    missing, _ = await here.ask("PATCH", "", {"name": "Port"}, token=here.installer)
    status, site = await here.ask("PATCH", "", {"name": "Port"}, token=here.installer, etag=etag)
    stale, answer = await here.ask("PATCH", "", {"name": "Bay"}, token=here.installer, etag=etag)

    assert (missing, status, stale) == (428, 200, 412)
    assert (site["name"], site["buy_from"], answer["code"]) == ("Port", SITE["buy_from"], "stale")


async def test_an_unknown_time_zone_names_the_field(served: Served) -> None:
    """A time zone that is none is refused at creation and at edits."""
    here = await place(served)

    created, answer = await served.ask(
        "POST", "/sites", SITE | {"time_zone": "Mars/Olympus"}, token=here.installer
    )
    edited, _ = await here.ask(
        "PATCH", "", {"time_zone": "../etc"}, token=here.installer, etag='"1"'
    )

    assert (created, edited, answer["code"]) == (422, 422, "unknown_time_zone")
    assert answer["facts"]["field"] == "time_zone"


@pytest.mark.invariant("E3")
async def test_another_time_zone_needs_a_subscription(served: Served) -> None:
    """It would move every schedule, so it is refused once the subscription has ended."""
    here = await place(served)
    hub_id = await served.world.hub(here.site_id)
    edit = {"time_zone": "Asia/Tokyo"}

    status, _ = await here.ask("PATCH", "", edit, token=here.installer, etag='"1"')
    served.world.now = NOON + WEEK
    refused, answer = await here.ask(
        "PATCH", "", {"time_zone": "UTC"}, token=here.installer, etag='"2"'
    )
    named, _ = await here.ask("PATCH", "", {"name": "Bay"}, token=here.installer, etag='"2"')

    assert (status, refused, named) == (200, 403, 200)
    assert answer["code"] == "no_valid_subscription"
    assert answer["facts"]["contact"] == "sue@example.org"
    assert (await served.world.wanted(hub_id))[1] == 2


async def test_everybody_lists_the_own_sites(served: Served) -> None:
    """The list holds the sites one has a role at, by name; an operator sees all."""
    here = await place(served)
    for name in ("Alder", "Birch"):
        await served.ask("POST", "/sites", SITE | {"name": name}, token=here.installer)
    operator = await served.enrol("opal", CloudRole.OPERATOR)

    _, first = await served.ask("GET", "/sites?limit=2", token=here.installer)
    _, rest = await served.ask(
        "GET", f"/sites?limit=2&cursor={first['next_cursor']}", token=here.installer
    )
    _, none = await served.ask("GET", "/sites", token=here.owner)
    _, all_of_them = await served.ask("GET", "/sites", token=operator)

    names = [site["name"] for site in first["items"] + rest["items"]]
    assert names == ["Alder", "Birch", "Harbour"]
    assert (len(none["items"]), len(all_of_them["items"])) == (0, 3)


@pytest.mark.invariant("L6")
async def test_each_change_of_a_site_is_recorded_once(served: Served) -> None:
    """Creation, edit, hand-over and roles leave one audit record each."""
    here = await place(served)
    await here.ask("PATCH", "", {"name": "Port"}, token=here.installer, etag='"1"')
    await here.hand_over("olive@example.org", here.installer)
    await here.ask("POST", "/admins", {"email": "ivy@example.org"}, token=here.owner)

    query = select(audit_records.c.action, audit_records.c.refused).where(
        audit_records.c.site_id == here.site_id
    )
    async with served.world.db.read() as tx:
        rows = (await tx.execute(query)).all()

    assert sorted(tuple(row) for row in rows) == [
        ("admin_added", None),
        ("site_created", None),
        ("site_edited", None),
        ("site_handed_over", None),
    ]
