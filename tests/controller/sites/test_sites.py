"""Sites over HTTP: created, handed over, edited."""

import pytest
from sqlalchemy import select

from controller.db.tables.records import audit_records
from controller.domain.roles import CloudRole
from controller.domain.subscription import Kind
from tests.controller.sites.place import SITE, place
from tests.controller.subscriptions.served import Served
from tests.controller.subscriptions.world import NOON, WEEK


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


async def test_a_site_is_handed_over_once(served: Served) -> None:
    """The owner cannot hand it over again, and the installer has nothing to do with it any more."""
    here = await place(served)
    await here.hand_over("olive@example.org", here.installer)

    again, answer = await here.hand_over("ivy@example.org", here.owner)
    gone, _ = await here.hand_over("ivy@example.org", here.installer)

    assert (again, answer["code"], gone) == (409, "site_released", 404)


async def test_a_list_says_which_sites_wait_for_the_hand_over(served: Served) -> None:
    """Sites are marked as released or not, in the list as elsewhere."""
    waiting, ready = await place(served), await place(served, "2")
    await ready.hand_over("olive2@example.org", ready.installer)
    operator = await served.enrol("opal", CloudRole.OPERATOR)

    _, page = await served.ask("GET", "/sites", token=operator)

    marks = {site["id"]: site["released"] for site in page["items"]}
    assert marks == {waiting.site_id: False, ready.site_id: True}


async def test_a_hand_over_lists_the_hardware(served: Served) -> None:
    """The answer names the owner's address and each hub and lock in service, and no others."""
    here = await place(served)
    hub_id = await served.world.hub(here.site_id, serial="IQ-1", name="Cellar")
    await served.world.hub(here.site_id, serial="IQ-0", retired_at=NOON)

    _, answer = await here.hand_over("olive@example.org", here.installer)

    assert answer["owner_email"] == "olive@example.org"
    assert answer["hardware"]["items"] == [
        {"kind": "hub", "id": hub_id, "name": "Cellar", "serial": "IQ-1", "hub_id": hub_id}
    ]
    assert (await here.ask("GET", "/hardware-list", token=here.owner))[1] == answer["hardware"]


async def test_an_owner_confirms_what_he_has_seen(served: Served) -> None:
    """A list that has changed since is not confirmed; the site says when one was."""
    here = await place(served)
    path = "/hardware-list/confirmation"
    _, empty = await here.ask("GET", "/hardware-list", token=here.installer)
    early, waits = await here.ask("POST", path, {"digest": empty["digest"]}, token=here.installer)
    _, handed = await here.hand_over("olive@example.org", here.installer)
    await served.world.hub(here.site_id)

    stale, answer = await here.ask("POST", path, {"digest": empty["digest"]}, token=here.owner)
    _, seen = await here.ask("GET", "/hardware-list", token=here.owner)
    status, site = await here.ask("POST", path, {"digest": seen["digest"]}, token=here.owner)

    assert (early, waits["code"]) == (409, "site_not_released")
    assert (stale, answer["code"], handed["hardware_confirmed_at"]) == (
        409,
        "hardware_differs",
        None,
    )
    assert (status, site["hardware_confirmed_at"]) == (200, "2026-03-01T12:00:00Z")


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
    """Creation, edit, hand-over and confirmation leave one audit record each."""
    here = await place(served)
    await here.ask("PATCH", "", {"name": "Port"}, token=here.installer, etag='"1"')
    await here.hand_over("olive@example.org", here.installer)
    _, seen = await here.ask("GET", "/hardware-list", token=here.owner)
    confirmed = {"digest": seen["digest"]}
    await here.ask("POST", "/hardware-list/confirmation", confirmed, token=here.owner)

    query = select(audit_records.c.action, audit_records.c.refused).where(
        audit_records.c.site_id == here.site_id
    )
    async with served.world.db.read() as tx:
        rows = (await tx.execute(query)).all()

    assert sorted(tuple(row) for row in rows) == [
        ("hardware_confirmed", None),
        ("site_created", None),
        ("site_edited", None),
        ("site_handed_over", None),
    ]
