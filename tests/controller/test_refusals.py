"""What the whole cloud refuses: each refusal names field and remedy, and nothing changes."""

import asyncio
import gzip
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.controller.whole import PLAN, STICKER, Whole, sqlite_url, whole
from tests.postgres import empty

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("refusals")]

JSON = {"Content-Type": "application/json"}
UNTIL = "2027-01-01T00:00:00Z"
WINDOW = {"weekday": 0, "start_min": 480, "end_min": 1080}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A database and a folder; on both backends."""
    folder = tmp_path_factory.mktemp("cloud")
    if request.param == "sqlite":
        return sqlite_url(request.getfixturevalue("migrated_sqlite"), folder), folder
    url: str = request.getfixturevalue("migrated_postgres")
    asyncio.run(empty(url))
    return url, folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(place: tuple[str, Path]) -> AsyncIterator[Whole]:
    """The whole cloud, for all tests of this file."""
    async with whole(*place) as served:
        yield served


def cursor(*key: object) -> str:
    """Return a cursor that somebody made up."""
    return urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


NAMED: dict[str, tuple[str, dict[str, object], str, str]] = {
    "site": ("/sites", {"time_zone": "UTC", "buy_from": "the shop"}, "name", "installer"),
    "seller": ("/sites", {"time_zone": "UTC", "name": "House"}, "buy_from", "installer"),
    "account": (
        "/accounts",
        {"email": "new@example.org", "password": "a long enough one"},
        "name",
        "operator",
    ),
    "e-mail": ("/accounts", {"name": "New", "password": "a long enough one"}, "email", "operator"),
    "token": ("/tokens", {"scopes": ["read"]}, "name", "owner"),
    "note": (
        "/voucher-batches",
        {"product": PLAN, "count": 1, "redeem_until": UNTIL},
        "note",
        "supplier",
    ),
    "person": ("/sites/{site}/people", {}, "name", "owner"),
    "schedule": ("/sites/{site}/schedules", {"windows": [WINDOW]}, "name", "owner"),
    "group": ("/sites/{site}/access-groups", {}, "name", "owner"),
    "role": ("/sites/{site}/custom-roles", {"rights": ["site:read"]}, "name", "owner"),
}
UNSHOWN = {
    "turns": "evil\u202etxt",
    "rtl mark": "a\u200fb",
    "line": "one\ntwo",
    "bell": "a\x07b",
    "NUL": "a\0b",
    "endless": "x" * 10_000,
}


async def test_no_name_holds_what_cannot_be_shown(cloud: Whole) -> None:
    """Control characters, marks that turn the text and endless names are refused everywhere."""
    site_id = await cloud.site()
    wrong = []
    for kind, (path, body, field, by) in NAMED.items():
        for what, text in UNSHOWN.items():
            typed = f"{text}@example.org" if kind == "e-mail" else text
            where = path.format(site=site_id)
            answer = await cloud.ask("POST", where, body | {field: typed}, by=by)
            named = "NUL" in answer.body["detail"] if what == "NUL" else answer.field == field
            if (answer.status, named) != (422, True):
                wrong.append((kind, what, answer.status, answer.body))

    assert wrong == []


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "'; DROP TABLE people; --",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        "👩\u200d💻",
        "éé",
    ],
)
async def test_any_name_that_can_be_shown_comes_back(cloud: Whole, name: str) -> None:
    """Markup is text like any other, and scripts that need joiners have them."""
    site_id = await cloud.site()

    answer = await cloud.ask("POST", f"/sites/{site_id}/people", {"name": name}, by="owner")

    assert (answer.status, answer.body["name"]) == (201, name)


async def test_a_blank_name_is_none(cloud: Whole) -> None:
    """A site is not called by spaces."""
    body = {"name": "   ", "time_zone": "UTC", "buy_from": "the shop"}

    answer = await cloud.ask("POST", "/sites", body, by="installer")

    assert (answer.status, answer.field) == (422, "name")


@pytest.mark.parametrize(
    "until",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2101-01-01T00:00:00Z"],
)
async def test_a_voucher_ends_within_every_calendar(cloud: Whole, until: str) -> None:
    """An instant that no calendar can show in UTC is refused, as is an end past 2100."""
    body = {"product": PLAN, "count": 1, "redeem_until": until}

    answer = await cloud.ask("POST", "/voucher-batches", body, by="supplier")

    assert (answer.status, answer.code) == (422, "invalid_product")
    assert answer.field == "redeem_until"


@pytest.mark.parametrize(
    "key",
    [(2**63 - 1, "a"), (-(2**63), "a"), ("0001-01-01T00:00:00+14:00", "x", 1, 1), ("a",), (1,)],
)
async def test_no_made_up_cursor_is_a_failure(cloud: Whole, key: tuple[object, ...]) -> None:
    """A cursor of another list, or of none, is refused or shows a page, and never fails."""
    site = f"/sites/{await cloud.site()}"
    lists = {
        "/sites": "owner",
        "/accounts": "operator",
        "/voucher-batches": "supplier",
        f"{site}/people": "owner",
        f"{site}/access-groups": "owner",
        f"{site}/entries": "owner",
        f"{site}/subscription/history": "owner",
    }

    answers = {
        path: (await cloud.ask("GET", f"{path}?cursor={cursor(*key)}", by=by)).status
        for path, by in lists.items()
    }

    assert set(answers.values()) <= {200, 422}, answers
    assert 422 in answers.values()


@pytest.mark.invariant("V15")
@pytest.mark.parametrize("zone", ["localtime", "Factory", "Europe/Atlantis", "../etc/passwd", "+1"])
async def test_a_time_zone_is_a_place(cloud: Whole, zone: str) -> None:
    """What means another zone on another machine, or none, is refused by name."""
    body = {"name": "House", "time_zone": zone, "buy_from": "the shop"}

    answer = await cloud.ask("POST", "/sites", body, by="installer")

    assert (answer.status, answer.code, answer.field) == (422, "unknown_time_zone", "time_zone")


ODD: tuple[object, ...] = (
    *(None, True, 0, -1, 0.5, 2**31, 2**63, 2**70, 1e308),
    *("", " ", "x" * 10_000, "\u202e", "0" * 32, "9999-12-31T23:59:59-14:00"),
    *([], [[]], {}, {"a": 1}, ["read"] * 300),
)
FIELDS: dict[str, tuple[str, dict[str, object]]] = {
    "POST /sessions": ("owner", {"email": "nobody@example.org", "password": "x"}),
    "POST /accounts": (
        "operator",
        {"email": "q@example.org", "name": "Q", "password": "too short", "cloud_role": None},
    ),
    "POST /tokens": ("owner", {"name": "T", "scopes": ["read"], "days": 3}),
    "POST /sites": ("installer", {"name": "S", "time_zone": "UTC", "buy_from": "B"}),
    "PATCH /sites/{site}": ("owner", {"name": "S", "time_zone": "UTC", "buy_from": "B"}),
    "POST /sites/{site}/hand-over": ("owner", {"owner_email": "nobody@example.org"}),
    "POST /sites/{site}/transfer": ("owner", {"account_id": "0" * 32}),
    "POST /sites/{site}/custom-roles": ("owner", {"name": "R", "rights": ["site:read"]}),
    "POST /sites/{site}/installer-grants": (
        "owner",
        {"email": "nobody@example.org", "seconds": 60},
    ),
    "POST /sites/{site}/subscription/cancel": ("owner", {"reason": " "}),
    "POST /sites/{site}/redemptions": ("owner", {"code": "slip", "keep_people": []}),
    "POST /voucher-batches": (
        "supplier",
        {"product": PLAN, "count": 1, "redeem_until": UNTIL, "note": ""},
    ),
    "POST /sites/{site}/people": (
        "owner",
        {"name": "P", "email": "p@example.org", "subscribed": False, "expires_at": UNTIL},
    ),
    "POST /sites/{site}/hubs": (
        "owner",
        {"name": "H", "serial": "H-1", "activation_code": STICKER},
    ),
    "POST /sites/{site}/access-groups": ("owner", {"name": "G", "schedule_id": None}),
    "POST /sites/{site}/schedules": ("owner", {"name": "D", "windows": [WINDOW]}),
}


@pytest.mark.parametrize("route", FIELDS)
async def test_no_value_of_any_field_makes_the_cloud_fail(cloud: Whole, route: str) -> None:
    """Whatever stands in a field is taken or refused by a problem that names a code."""
    by, body = FIELDS[route]
    method, path = route.split()
    where = path.format(site=await cloud.site())
    product = [body | {"product": PLAN | {name: odd}} for name in PLAN for odd in ODD]
    window = [body | {"windows": [WINDOW | {name: odd}]} for name in WINDOW for odd in ODD]
    bodies = [body | {name: odd} for name in body for odd in ODD]
    bodies += [{name: body[name] for name in body if name != left_out} for left_out in body]
    bodies += (product if "product" in body else []) + (window if "windows" in body else [])
    for sent in bodies:
        answer = await cloud.ask(method, where, sent, by=by, headers={"If-Match": '"1"'})

        assert answer.status < 500, (sent, answer.body)
        assert answer.status < 300 or answer.code, (sent, answer.raw)


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"no such thing", {"Content-Encoding": "gzip"}),
        (b"no such thing", {"Content-Encoding": "deflate"}),
        (gzip.compress(b'{"name": "half"}', mtime=0)[:20], {"Content-Encoding": "gzip"}),
    ],
)
async def test_a_body_that_cannot_be_decoded_is_refused(
    cloud: Whole, data: bytes, headers: dict[str, str]
) -> None:
    """What is not encoded as its headers say is the sender's mistake, not ours."""
    path = f"/sites/{await cloud.site()}/people"

    answer = await cloud.ask("POST", path, by="owner", data=data, headers=JSON | headers)

    assert (answer.status, answer.code) in {(400, "body_unreadable"), (422, "validation_failed")}


async def test_a_body_that_unpacks_without_end_is_refused(cloud: Whole) -> None:
    """50 KB that become 50 MB are as large as they become."""
    path = f"/sites/{await cloud.site()}/people"
    bomb = gzip.compress(b" " * 50_000_000, mtime=0)
    headers = JSON | {"Content-Encoding": "gzip"}

    answer = await cloud.ask("POST", path, by="owner", data=bomb, headers=headers)

    assert (answer.status, answer.code) == (413, "request_entity_too_large")


@pytest.mark.parametrize("data", [b'{"name": NaN}', b"[" * 100_000, b"\xff\xfe", b"", b"null"])
async def test_a_body_that_is_no_object_is_refused(cloud: Whole, data: bytes) -> None:
    """Numbers that are none, nests without end, other encodings and nothing at all."""
    path = f"/sites/{await cloud.site()}/people"

    answer = await cloud.ask("POST", path, by="owner", data=data, headers=JSON)

    assert (answer.status, answer.code) == (422, "validation_failed")
