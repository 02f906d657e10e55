"""Installers who are let in again, for some hours."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from controller.db.tables.records import audit_records
from controller.domain.roles import INSTALLER_GRANT, CloudRole
from tests.controller.sites.place import Place, released
from tests.controller.subscriptions.served import Served

HOUR_S = 3_600
GRANT = {"email": "ivy@example.org", "seconds": 8 * HOUR_S}


async def may_see(here: Place) -> dict[str, int]:
    """Return what ivy, the installer, gets of the site."""
    paths = ("", "/hardware-list", "/roles", "/custom-roles", "/subscription", "/installer-grants")
    return {path: (await here.ask("GET", path, token=here.installer))[0] for path in paths}


@pytest.mark.invariant("T4")
async def test_a_grant_opens_the_hardware_and_nothing_else_until_it_ends(served: Served) -> None:
    """For 8 h of the link clock the installer sees the hardware; then the site is not there."""
    here = await released(served)
    before = await may_see(here)

    status, granted = await here.ask("POST", "/installer-grants", GRANT, token=here.owner)
    within = await may_see(here)
    served.world.link.now_s += 8 * HOUR_S - 1
    last = await may_see(here)
    served.world.link.now_s += 1
    after = await may_see(here)

    assert status == 201
    assert granted["rights"] == sorted(INSTALLER_GRANT)
    ends_at = datetime.fromisoformat(granted["ends_at"])
    assert ends_at == served.world.link.utc()
    assert within == last
    assert {path for path, seen in within.items() if seen == 200} == {"", "/hardware-list"}
    assert {seen for path, seen in within.items() if path not in {"", "/hardware-list"}} == {403}
    assert set(before.values()) == set(after.values()) == {404}


@pytest.mark.invariant("T4")
async def test_no_grant_lasts_longer_than_eight_hours(served: Served) -> None:
    """More seconds are refused, and a second grant counts from now and adds nothing up."""
    here = await released(served)

    too_long, answer = await here.ask(
        "POST", "/installer-grants", GRANT | {"seconds": 8 * HOUR_S + 1}, token=here.owner
    )
    await here.ask("POST", "/installer-grants", GRANT, token=here.owner)
    served.world.link.now_s += HOUR_S
    _, again = await here.ask("POST", "/installer-grants", GRANT, token=here.owner)
    _, listed = await here.ask("GET", "/installer-grants", token=here.owner)

    assert (too_long, answer["errors"][0]["field"]) == (422, "seconds")
    assert datetime.fromisoformat(again["ends_at"]) == served.world.link.utc() + timedelta(hours=8)
    assert listed == [again]


async def test_an_ended_grant_is_no_role(served: Served) -> None:
    """Neither the site's lists nor the installer's know of it, and his token says so."""
    here = await released(served)
    await here.ask("POST", "/installer-grants", GRANT | {"seconds": 60}, token=here.owner)
    _, open_sites = await served.ask("GET", "/sites", token=here.installer)
    _, me = await served.ask("GET", "/me", token=here.installer)
    served.world.link.now_s += 60

    _, roles = await here.ask("GET", "/roles", token=here.owner)
    _, grants = await here.ask("GET", "/installer-grants", token=here.owner)
    _, sites = await served.ask("GET", "/sites", token=here.installer)
    _, me_after = await served.ask("GET", "/me", token=here.installer)

    assert [one["role"] for one in roles] == ["owner"]
    assert me["site_roles"][here.site_id]["role"] == "installer"
    assert (len(open_sites["items"]), grants, sites["items"], me_after["site_roles"]) == (
        1,
        [],
        [],
        {},
    )


async def test_a_grant_is_ended_at_once(served: Served) -> None:
    """By the owner or an admin; the next request is refused, and so is a second end."""
    here = await released(served)
    adam = await here.join("adam", "admin")
    _, granted = await here.ask("POST", "/installer-grants", GRANT, token=here.owner)
    path = f"/installer-grants/{granted['account_id']}"

    within, _ = await here.ask("GET", token=here.installer)
    ended, _ = await here.ask("DELETE", path, token=adam)
    after, _ = await here.ask("GET", token=here.installer)
    again, _ = await here.ask("DELETE", path, token=adam)

    assert (within, ended, after, again) == (200, 204, 404, 404)


async def test_only_an_installer_is_granted(served: Served) -> None:
    """Other accounts answer as addresses that nobody has; one with a role keeps it."""
    here = await released(served)
    await served.enrol("anna")
    await here.join("max", "user", CloudRole.INSTALLER)

    async def grant(name: str) -> tuple[int, str, str]:
        body = GRANT | {"email": f"{name}@example.org"}
        status, answer = await here.ask("POST", "/installer-grants", body, token=here.owner)
        return status, answer["code"], answer["detail"]

    assert await grant("anna") == await grant("nobody")
    assert (await grant("anna"))[:2] == (409, "installer_not_found")
    assert (await grant("max"))[:2] == (409, "has_role")
    assert (await here.roles())["max"] == "user"


@pytest.mark.invariant("T3")
async def test_who_lacks_a_right_of_the_grant_gives_none(served: Served) -> None:
    """Granting installers alone is not enough: the hardware must be one's own to give."""
    here = await released(served)
    kay = await here.join("kay", await here.custom_role("installer:grant"))

    status, answer = await here.ask("POST", "/installer-grants", GRANT, token=kay)

    assert (status, answer["code"]) == (403, "rights_exceeded")
    assert answer["facts"]["lacking"] == ["hardware:manage", "hardware:read"]


@pytest.mark.invariant("T4")
async def test_each_grant_and_its_end_are_recorded(served: Served) -> None:
    """Who let whom in until when, and what the installer was refused meanwhile."""
    here = await released(served)
    _, granted = await here.ask("POST", "/installer-grants", GRANT, token=here.owner)
    path = f"/installer-grants/{granted['account_id']}"
    await here.ask("PATCH", "", {"name": "Mine"}, token=here.installer, etag='"2"')
    await here.ask("DELETE", path, token=here.owner)

    query = select(audit_records).where(audit_records.c.site_id == here.site_id)
    async with served.world.db.read() as tx:
        rows = (await tx.execute(query)).all()

    ours = {row.action: row for row in rows if row.action.startswith(("installer", "request"))}
    assert set(ours) == {"installer_granted", "installer_grant_ended", "request_refused"}
    assert ours["installer_granted"].object_id == granted["account_id"]
    assert ours["installer_granted"].facts["ends_at"][:19] == granted["ends_at"][:19]
    assert ours["request_refused"].actor_id == granted["account_id"]
