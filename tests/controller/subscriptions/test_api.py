"""Subscriptions and vouchers over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from controller.db.tables.records import audit_records
from controller.db.tables.vouchers import vouchers
from controller.domain.ids import SiteId
from controller.domain.roles import CloudRole
from controller.web.pagination import encoded
from tests.controller.subscriptions.served import Served, serving
from tests.controller.subscriptions.world import DAY, NOON, WEEK, World

PLAN = {"kind": "plan", "plan": "pro", "users": 10, "term_days": 30}
UNTIL = "2027-01-01T00:00:00Z"
WRONG = "00000-00000-00000-00000-00000"


@pytest.fixture
async def served(world: World) -> AsyncIterator[Served]:
    """The world, served."""
    async with serving(world) as door:
        yield door


async def batch(served: Served, supplier: str, product: object = None, **fields: Any) -> Any:
    """Mint and return the answer."""
    body = {"product": product or PLAN, "count": 1, "redeem_until": UNTIL} | fields
    key = served.world.ids.new()
    status, answer = await served.ask("POST", "/voucher-batches", body, token=supplier, key=key)
    assert status == 201, answer
    return answer


async def owned_site(served: Served, owner: str = "olive") -> tuple[SiteId, str]:
    """Create a site over the API, hand it over and return it with the owner's token."""
    installer = await served.enrol(f"installer-of-{owner}", CloudRole.INSTALLER)
    token = await served.enrol(owner)
    body = {"name": "Harbour", "time_zone": "Europe/Madrid", "buy_from": "sue@example.org"}
    status, site = await served.ask("POST", "/sites", body, token=installer)
    assert status == 201, site
    status, answer = await served.ask(
        "POST",
        f"/sites/{site['id']}/hand-over",
        {"owner_email": f"{owner}@example.org"},
        token=installer,
    )
    assert status == 200, answer
    return SiteId(site["id"]), token


async def redeem(
    served: Served, site_id: SiteId, code: str, token: str, key: str | None = None
) -> tuple[int, Any]:
    """Redeem a code."""
    path = f"/sites/{site_id}/redemptions"
    key = key or served.world.ids.new()
    return await served.ask("POST", path, {"code": code}, token=token, key=key)


async def test_the_whole_path_from_mint_to_card(served: Served) -> None:
    """Mint, preview, redeem and look: the card and the history tell what happened."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    site_id, owner = await owned_site(served)
    code = (await batch(served, supplier))["codes"][0]["code"]
    path = f"/sites/{site_id}/subscription"

    _, shown = await served.ask("POST", f"{path}/preview", {"code": code}, token=owner)
    status, done = await redeem(served, site_id, code, owner)
    _, card = await served.ask("GET", path, token=owner)
    _, story = await served.ask("GET", f"{path}/history?limit=1", token=owner)

    assert status == 201
    assert shown == done
    assert done["ends_at"] == card["ends_at"] == "2026-03-31T12:00:00Z"
    assert done["free_week_lost_s"] == WEEK.total_seconds()
    assert (card["active"], card["plan"], card["days_left"]) == (True, "pro", 30)
    assert card["users"] == {"limit": 10, "used": 0}
    gated = {one["feature"]: one["why"] for one in card["features"] if not one["usable"]}
    assert gated == {"pods": "not_included"}
    assert [entry["kind"] for entry in story["items"]] == ["plan_redeemed"]
    assert story["next_cursor"]


@pytest.mark.invariant("V3")
async def test_the_same_key_gives_the_same_answer(served: Served) -> None:
    """A redeem that is sent again is answered alike and done once; another body is refused."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    site_id, owner = await owned_site(served)
    codes = [one["code"] for one in (await batch(served, supplier, count=2))["codes"]]

    first = await redeem(served, site_id, codes[0], owner, key="once")
    again = await redeem(served, site_id, codes[0], owner, key="once")
    other = await redeem(served, site_id, codes[1], owner, key="once")

    assert first == again
    assert first[0] == 201
    assert (other[0], other[1]["code"]) == (422, "idempotency_key_reused")
    assert await served.world.spent() == 1


@pytest.mark.invariant("V3")
async def test_a_mint_that_is_sent_again_mints_once(served: Served) -> None:
    """A supplier whose connection broke gets the same codes, and no second batch."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    body = {"product": PLAN, "count": 3, "redeem_until": UNTIL}

    first = await served.ask("POST", "/voucher-batches", body, token=supplier, key="once")
    again = await served.ask("POST", "/voucher-batches", body, token=supplier, key="once")
    _, listed = await served.ask("GET", "/voucher-batches", token=supplier)

    assert first[0] == 201
    assert first == again
    assert len(listed["items"]) == 1


@pytest.mark.invariant("V1")
async def test_fifty_requests_for_one_voucher_have_one_winner(served: Served) -> None:
    """Over HTTP too, one of fifty gets the voucher, and the others hear that it is redeemed."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    site_id, owner = await owned_site(served)
    code = (await batch(served, supplier))["codes"][0]["code"]

    found = await asyncio.gather(*(redeem(served, site_id, code, owner) for _ in range(50)))

    assert sorted(status for status, _ in found) == [201] + [409] * 49
    refused = {answer["code"] for status, answer in found if status == 409}
    assert refused == {"voucher_already_redeemed"}


@pytest.mark.invariant("V13")
async def test_strangers_get_one_answer(served: Served) -> None:
    """Unknown and spent codes are refused with the same status and bytes but for the request."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    theirs, other = await owned_site(served, "other")
    site_id, owner = await owned_site(served)
    code = (await batch(served, supplier))["codes"][0]["code"]
    await redeem(served, theirs, code, other)

    unknown = await redeem(served, site_id, WRONG, owner)
    spent = await redeem(served, site_id, code, owner)

    assert unknown == spent
    assert unknown[0] == 409
    assert unknown[1]["code"] == "voucher_not_redeemable"


@pytest.mark.invariant("V13")
async def test_no_code_is_in_the_database(served: Served) -> None:
    """What a dump holds of a voucher is a keyed digest; remembered answers are sealed."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    code = (await batch(served, supplier))["codes"][0]["code"]
    plain = {code, code.replace("-", "")}

    async with served.world.db.read() as tx:
        for table in vouchers.metadata.sorted_tables:
            rows = str((await tx.execute(select(table))).all())
            assert not [secret for secret in plain if secret in rows], table.name


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("7K3QF", "voucher_code_length"),
        ("U0000-00000-00000-00000-00000", "voucher_code_symbol"),
        ("10000-00000-00000-00000-00000", "voucher_code_check"),
    ],
)
async def test_a_slip_names_field_and_remedy(served: Served, code: str, problem: str) -> None:
    """A mistyped code is 422 and says where to look."""
    site_id, owner = await owned_site(served)

    status, answer = await redeem(served, site_id, code, owner)

    assert (status, answer["code"], answer["facts"]["field"]) == (422, problem, "code")
    assert "ompare" in answer["detail"] or "group" in answer["detail"]


async def test_a_foreign_site_is_as_absent(served: Served) -> None:
    """A site of others and one that does not exist answer alike, to reads and to redeems."""
    site_id, _ = await owned_site(served)
    stranger = await served.enrol("stranger")

    for method, path, body in (
        ("GET", "/sites/{}/subscription", None),
        ("POST", "/sites/{}/redemptions", {"code": WRONG}),
        ("GET", "/sites/{}", None),
    ):
        answers = [
            await served.ask(method, path.format(where), body, token=stranger, key=where)
            for where in (site_id, "f" * 32)
        ]
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


@pytest.mark.invariant("L6")
async def test_a_refusal_leaves_one_denial_record(served: Served) -> None:
    """Each refused change is on the site's audit trail once, with who, what and why."""
    site_id, owner = await owned_site(served)

    await redeem(served, site_id, WRONG, owner, key="one")
    await redeem(served, site_id, WRONG, owner, key="one")
    body = {"reason": "x"}
    await served.ask("POST", f"/sites/{site_id}/subscription/cancel", body, token=owner)

    query = select(audit_records).where(
        audit_records.c.site_id == site_id, audit_records.c.refused.is_not(None)
    )
    async with served.world.db.read() as tx:
        rows = (await tx.execute(query)).all()
    assert {(row.actor_name, row.object_id, row.refused) for row in rows} == {
        ("olive", "POST /sites/{site_id}/redemptions", "voucher_not_redeemable"),
        ("olive", "POST /sites/{site_id}/subscription/cancel", "forbidden"),
    }
    assert len(rows) == 2


async def test_an_unreleased_site_says_what_has_to_happen(served: Served) -> None:
    """The installer who tries to redeem is told to hand the site over first."""
    installer = await served.enrol("ivy", CloudRole.INSTALLER)
    body = {"name": "New", "time_zone": "UTC", "buy_from": "x"}
    _, site = await served.ask("POST", "/sites", body, token=installer)

    status, answer = await redeem(served, site["id"], WRONG, installer)

    assert (status, answer["code"]) == (409, "site_not_released")
    assert answer["facts"]["remedy"] == "hand_over_site"


async def test_suppliers_do_not_see_each_other(served: Served) -> None:
    """Another supplier's batch and vouchers are as if they did not exist."""
    mine, theirs = [await served.enrol(name, CloudRole.SUPPLIER) for name in ("max", "mia")]
    minted = await batch(served, mine)
    path = f"/voucher-batches/{minted['id']}"
    voucher_id = minted["codes"][0]["voucher_id"]

    for method, where in (
        ("GET", path),
        ("GET", f"{path}/vouchers"),
        ("GET", f"{path}/vouchers.csv"),
        ("POST", f"{path}/void"),
        ("POST", f"/vouchers/{voucher_id}/void"),
    ):
        status, answer = await served.ask(method, where, token=theirs)
        assert (status, answer["code"]) == (404, "not_found"), where
    _, listed = await served.ask("GET", "/voucher-batches", token=theirs)
    assert listed["items"] == []


async def test_the_stock_says_what_became_of_each(served: Served) -> None:
    """Unspent, redeemed, void and expired add up, in the list, the batch and the export."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    site_id, owner = await owned_site(served)
    minted = await batch(served, supplier, count=3, note="=cmd()")
    path = f"/voucher-batches/{minted['id']}"
    await redeem(served, site_id, minted["codes"][0]["code"], owner)
    voucher_id = minted["codes"][1]["voucher_id"]

    voided, _ = await served.ask("POST", f"/vouchers/{voucher_id}/void", token=supplier)
    _, now = await served.ask("GET", path, token=supplier)
    _, table = await served.ask("GET", f"{path}/vouchers.csv", token=supplier)
    served.world.now += 1000 * DAY
    _, listed = await served.ask("GET", "/voucher-batches", token=supplier)

    assert voided == 204
    assert now["stock"] == {"unspent": 1, "redeemed": 1, "void": 1, "expired": 0}
    assert listed["items"][0]["stock"] == {"unspent": 0, "redeemed": 1, "void": 1, "expired": 1}
    lines = table.splitlines()
    assert lines[0] == "id,state,redeem_until,voided_at,redeemed_at,redeemed_site_id"
    assert sorted(line.split(",")[1] for line in lines[1:]) == ["redeemed", "unspent", "void"]
    assert any(line.endswith(site_id) for line in lines)
    assert not [one for one in minted["codes"] if one["code"] in table]


async def test_a_spent_voucher_cannot_be_voided(served: Served) -> None:
    """Voiding is refused once a voucher is redeemed, and a batch voids only what is left."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    site_id, owner = await owned_site(served)
    minted = await batch(served, supplier, count=3)
    spent = minted["codes"][0]
    await redeem(served, site_id, spent["code"], owner)

    status, answer = await served.ask(
        "POST", f"/vouchers/{spent['voucher_id']}/void", token=supplier
    )
    _, voided = await served.ask("POST", f"/voucher-batches/{minted['id']}/void", token=supplier)

    assert (status, answer["code"]) == (409, "voucher_already_spent")
    assert voided == {"voided": 2}


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"product": PLAN | {"users": 0}}, "product.plan.users", "validation_failed"),
        ({"product": PLAN | {"term_days": 0}}, "product.plan.term_days", "validation_failed"),
        ({"count": 1001}, "count", "validation_failed"),
        ({"product": PLAN | {"term_days": 36_000}}, "term_days", "invalid_product"),
        ({"redeem_until": "2099-12-30T00:00:00Z"}, "redeem_until", "invalid_product"),
        ({"redeem_until": "2020-01-01T00:00:00Z"}, "redeem_until", "invalid_product"),
        (
            {"product": {"kind": "add_on", "feature": "sauna", "term_days": 3}},
            "feature",
            "unknown_product",
        ),
    ],
)
async def test_what_cannot_be_minted_names_the_field(
    served: Served, change: dict[str, object], field: str, problem: str
) -> None:
    """No users, no days, too many codes, an end past 2100 and unknown products are refused."""
    supplier = await served.enrol("max", CloudRole.SUPPLIER)
    body = {"product": PLAN, "count": 1, "redeem_until": UNTIL} | change

    status, answer = await served.ask("POST", "/voucher-batches", body, token=supplier, key="k")

    named = answer["facts"]["field"] if "facts" in answer else answer["errors"][0]["field"]
    assert (status, answer["code"], named) == (422, problem, field)


async def test_the_card_of_an_ended_site_lists_silent_hubs(served: Served) -> None:
    """A hub in contact is silent from the end, one without goes on for the grace at most."""
    world = served.world
    site_id, owner = await owned_site(served)
    await world.hub(site_id, name="A", online=True)
    await world.hub(site_id, name="B", online=False)
    await world.hub(site_id, name="C", subscribed_confirmed=False)
    world.now = NOON + WEEK

    _, card = await served.ask("GET", f"/sites/{site_id}/subscription", token=owner)

    assert (card["active"], card["status"], card["days_left"]) == (False, "expired", 0)
    assert {one["why"] for one in card["features"]} == {"no_valid_subscription"}
    silent = [(hub["name"], hub["falls_silent_at"]) for hub in card["hubs_not_confirmed"]]
    assert silent == [("A", "2026-03-08T12:00:00Z"), ("B", "2026-03-09T12:00:00Z")]


async def test_a_cancelled_site_lists_the_end_its_hubs_know(served: Served) -> None:
    """A hub without contact has not heard of the cancelling: it goes by the end it was told."""
    world = served.world
    operator = await served.enrol("opal", CloudRole.OPERATOR)
    site_id, owner = await owned_site(served)
    await world.hub(site_id, online=False)
    path = f"/sites/{site_id}/subscription"

    status, _ = await served.ask("POST", f"{path}/cancel", {"reason": "Unpaid"}, token=operator)
    again, answer = await served.ask("POST", f"{path}/cancel", {"reason": "Unpaid"}, token=operator)
    _, card = await served.ask("GET", path, token=owner)

    assert (status, again, answer["code"]) == (204, 409, "subscription_not_running")
    assert (card["status"], card["ends_at"]) == ("cancelled", "2026-03-01T12:00:00Z")
    assert card["hubs_not_confirmed"][0]["falls_silent_at"] == "2026-03-09T12:00:00Z"


async def test_the_catalogue_is_for_whoever_signed_in(served: Served) -> None:
    """Plans, add-ons and seats are shown with what they include."""
    token = await served.enrol("anna")

    status, shown = await served.ask("GET", "/catalogue", token=token)
    nobody, _ = await served.ask("GET", "/catalogue")

    assert (status, nobody) == (200, 401)
    assert [plan["plan"] for plan in shown["plans"]] == ["lite", "pro"]


@pytest.mark.parametrize("number", [2**31, 2**62, -(2**63)])
async def test_a_number_that_no_column_holds_is_refused(served: Served, number: int) -> None:
    """In a cursor or as a version it is not ours, on the database of 32 bits as on the other."""
    site_id, owner = await owned_site(served)
    path = f"/sites/{site_id}"

    listed, _ = await served.ask(
        "GET", f"{path}/subscription/history?cursor={encoded((number,))}", token=owner
    )
    edited, _ = await served.ask("PATCH", path, {"name": "X"}, token=owner, etag=f'"{number}"')

    assert (listed, edited) == (422, 412)
