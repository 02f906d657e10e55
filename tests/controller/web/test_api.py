"""What every route does before and after its handler."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse, web
from openapi_spec_validator import OpenAPIV31SpecValidator

from controller.db.engine import Database
from controller.domain.roles import Action
from controller.web.api import Call, get, post
from controller.web.application import build
from controller.web.auth import PUBLIC
from tests.controller.web.demo import FOREIGN, OWN, Site, served, surroundings_of

ADA = {"Authorization": "Bearer ada"}
DOORS = f"/api/v1/sites/{OWN}/doors"
KEY = {"Idempotency-Key": "key-1"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """The demo on an empty SQLite file: nothing here depends on the backend."""
    database = Database.open(f"sqlite:///{tmp_path}/demo.sqlite")
    async with served(database) as site:
        yield site
    await database.close()


async def ask(
    site: Site, method: str, path: str, **options: Any
) -> tuple[int, dict[str, Any], ClientResponse]:
    """Ask as Ada unless told otherwise; the answer must be JSON."""
    options.setdefault("headers", ADA)
    async with site.client.request(method, path, **options) as response:
        if response.status >= 400:
            assert response.content_type == "application/problem+json"
        return response.status, await response.json(content_type=None), response


async def test_the_document_is_valid_openapi(site: Site) -> None:
    """The document passes a validator and holds routes, rules and refusals, but no pages."""
    status, document, _ = await ask(site, "GET", "/api/v1/openapi.json", headers={})

    OpenAPIV31SpecValidator(document).validate()
    assert status == 200
    assert set(document["paths"]) == {
        "/api/v1/greeting",
        "/api/v1/doors/{name}",
        "/api/v1/sites/{site_id}/doors",
        "/api/v1/sites/{site_id}/doors/{name}",
    }
    add = document["paths"]["/api/v1/sites/{site_id}/doors"]["post"]
    assert {parameter["name"] for parameter in add["parameters"]} == {"site_id", "Idempotency-Key"}
    assert {"201", "400", "401", "403", "404", "409", "413", "415", "422"} <= set(add["responses"])
    assert document["paths"]["/api/v1/greeting"]["get"]["security"] == []


async def test_an_optional_query_parameter_is_not_null_in_the_document(site: Site) -> None:
    """A query has no null, so the document does not offer it."""
    _, document, _ = await ask(site, "GET", "/api/v1/openapi.json")

    listed = document["paths"]["/api/v1/sites/{site_id}/doors"]["get"]["parameters"]
    prefix = next(parameter for parameter in listed if parameter["name"] == "prefix")
    assert prefix == {
        "name": "prefix",
        "in": "query",
        "required": False,
        "schema": {"type": "string"},
    }


async def test_all_errors_of_a_body_come_at_once(site: Site) -> None:
    """One answer names each wrong field with what to do about it."""
    body = {"nam": "x", "hours": {"start_min": 1440, "end_min": "5"}}
    status, problem, _ = await ask(site, "POST", DOORS, json=body, headers=ADA | KEY)

    assert status == 422
    assert problem["code"] == "validation_failed"
    assert problem["type"] == "urn:doorward:problem:validation_failed"
    errors = {error["field"]: error for error in problem["errors"]}
    assert set(errors) == {"name", "nam", "hours.start_min", "hours.end_min"}
    assert errors["nam"]["remedy"] == "did you mean name?"
    assert errors["name"]["code"] == "missing"
    assert all(error["in"] == "body" for error in errors.values())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json_invalid"),
        (b"[" * 1000, "json_invalid"),
        (b'{"name": "a"', "json_invalid"),
        (b'{"name": NaN}', "string_type"),
        (b"null", "model_type"),
        (b'{"name": 5}', "string_type"),
    ],
)
async def test_a_body_that_is_no_such_document_is_refused(
    site: Site, body: bytes, code: str
) -> None:
    """Broken and mistyped JSON is 422 with the reason."""
    headers = ADA | KEY | {"Content-Type": "application/json"}
    status, problem, _ = await ask(site, "POST", DOORS, data=body, headers=headers)

    assert status == 422
    assert [error["code"] for error in problem["errors"]] == [code]


async def test_a_whole_float_is_an_integer(site: Site) -> None:
    """5.0 is an integer to JSON Schema and to us."""
    body = {"name": "x", "hours": {"start_min": 5.0, "end_min": 6}}
    status, _, _ = await ask(
        site, "PATCH", f"{DOORS}/y", json=body, headers=ADA | {"If-Match": "1"}
    )

    assert status == 412  # past validation: only the version was wrong


@pytest.mark.parametrize("text", ["a\0b", "\\\0"])
async def test_a_nul_character_is_refused(site: Site, text: str) -> None:
    """No text may hold what PostgreSQL cannot keep."""
    _, in_body, _ = await ask(site, "POST", DOORS, json={"name": text}, headers=ADA | KEY)
    _, in_query, _ = await ask(site, "GET", "/api/v1/greeting", params={"name": text})

    assert in_body["code"] == in_query["code"] == "nul_character"


async def test_an_escaped_backslash_before_u0000_is_text(site: Site) -> None:
    """The six characters backslash u 0 0 0 0 are no NUL."""
    status, door, _ = await ask(site, "POST", DOORS, json={"name": "\\u0000"}, headers=ADA | KEY)

    assert status == 201
    assert door["name"] == "\\u0000"


@pytest.mark.parametrize(
    ("query", "field", "remedy"),
    [
        ("limt=5", "limt", "did you mean limit?"),
        ("limit=0", "limit", "choose a larger number"),
        ("limit=201", "limit", "choose a smaller number"),
        ("limit=x", "limit", None),
    ],
)
async def test_a_wrong_query_is_refused(
    site: Site, query: str, field: str, remedy: str | None
) -> None:
    """Unknown and wrong query parameters are named."""
    status, problem, _ = await ask(site, "GET", f"{DOORS}?{query}")

    assert status == 422
    (error,) = problem["errors"]
    assert (error["in"], error["field"], error.get("remedy")) == ("query", field, remedy)


async def test_a_repeated_query_parameter_is_refused(site: Site) -> None:
    """Two values for one parameter have no meaning."""
    status, problem, _ = await ask(site, "GET", f"{DOORS}?limit=5&limit=6")

    assert (status, problem["code"]) == (422, "query_repeated")


@pytest.mark.parametrize(
    "path", ["/api/v1/sites/xyz/doors", f"/api/v1/sites/{OWN.upper()}/doors", "/api/v1/nothing"]
)
async def test_a_path_that_does_not_parse_is_not_found(site: Site, path: str) -> None:
    """An id that cannot be one is as unknown as any other."""
    status, problem, _ = await ask(site, "GET", path)

    assert (status, problem["code"]) == (404, "not_found")


async def test_a_wrong_method_is_told_the_right_ones(site: Site) -> None:
    """405 keeps its Allow header."""
    status, problem, response = await ask(site, "DELETE", DOORS)

    assert (status, problem["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET,POST"


async def test_a_body_in_another_format_is_refused(site: Site) -> None:
    """Only application/json is read."""
    status, problem, _ = await ask(site, "POST", DOORS, data={"name": "x"}, headers=ADA | KEY)

    assert (status, problem["code"]) == (415, "unsupported_media_type")


async def test_a_body_past_the_limit_is_refused(site: Site) -> None:
    """256 KiB are read and not a byte more."""
    body = {"name": "x" * 256 * 1024}
    status, problem, _ = await ask(site, "POST", DOORS, json=body, headers=ADA | KEY)

    assert (status, problem["code"]) == (413, "request_entity_too_large")


@pytest.mark.parametrize(
    "header", [None, "", "Basic YTpi", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {'x' * 600}"]
)
async def test_strangers_are_asked_to_sign_in(site: Site, header: str | None) -> None:
    """Without a known token every route but the public ones is 401, also with a broken body."""
    headers = {} if header is None else {"Authorization": header}
    status, problem, response = await ask(site, "POST", DOORS, data=b"{", headers=headers)

    assert (status, problem["code"]) == (401, "not_signed_in")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_foreign_site_is_not_found(site: Site) -> None:
    """Somebody without a role at a site does not learn that it exists, whatever the body."""
    path = f"/api/v1/sites/{FOREIGN}/doors"
    status, problem, _ = await ask(site, "POST", path, data=b"{", headers=ADA | KEY)

    assert (status, problem["code"]) == (404, "not_found")


async def test_a_public_route_takes_no_token(site: Site) -> None:
    """A public route answers anybody, also with a token that is wrong."""
    path = "/api/v1/greeting?name=Eve"
    status, greeting, _ = await ask(site, "GET", path, headers={"Authorization": "Bearer wrong"})

    assert status == 200
    assert greeting == {"name": "Eve", "at": "2026-03-01T12:00:00Z"}


async def test_an_edit_needs_the_newest_version(site: Site) -> None:
    """Without If-Match 428, with an old one 412, with the newest the edit and its new ETag."""
    _, _, added = await ask(site, "POST", DOORS, json={"name": "x"}, headers=ADA | KEY)
    edit, etag = {"json": {"name": "x"}}, added.headers["ETag"]

    without = await ask(site, "PATCH", f"{DOORS}/x", **edit)
    done = await ask(site, "PATCH", f"{DOORS}/x", **edit, headers=ADA | {"If-Match": etag})
    late = await ask(site, "PATCH", f"{DOORS}/x", **edit, headers=ADA | {"If-Match": etag})

    assert (without[0], without[1]["code"]) == (428, "if_match_missing")
    assert (done[0], done[2].headers["ETag"]) == (200, '"2"')
    assert (late[0], late[1]["code"]) == (412, "stale")


@pytest.mark.parametrize("etag", ["*", 'W/"1"', "1", '"one"', '"0"', '"1", "2"', f'"{10**19}"'])
async def test_an_etag_that_is_none_of_ours_is_stale(site: Site, etag: str) -> None:
    """Only a strong ETag with a version can match."""
    await ask(site, "POST", DOORS, json={"name": "x"}, headers=ADA | KEY)
    headers = ADA | {"If-Match": etag}
    status, problem, _ = await ask(site, "PATCH", f"{DOORS}/x", json={"name": "y"}, headers=headers)

    assert (status, problem["code"]) == (412, "stale")


async def test_pages_cover_a_list_once(site: Site) -> None:
    """Following next_cursor shows every door once, in order, while doors come and go."""
    for number in range(5):
        headers = ADA | {"Idempotency-Key": f"key-{number}"}
        await ask(site, "POST", DOORS, json={"name": f"d{number}"}, headers=headers)

    _, first, _ = await ask(site, "GET", f"{DOORS}?limit=2")
    await ask(site, "POST", DOORS, json={"name": "a"}, headers=ADA | {"Idempotency-Key": "new"})
    query = {"limit": "3", "cursor": first["next_cursor"]}
    _, second, _ = await ask(site, "GET", DOORS, params=query)

    names = [door["name"] for door in first["items"] + second["items"]]
    assert names == ["d0", "d1", "d2", "d3", "d4"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["", "!", "WzFd", "W10", "bnVsbA", "é", "W1tbW1tb"])
async def test_a_cursor_of_somebody_else_is_refused(site: Site, cursor: str) -> None:
    """A cursor that no page named is 422."""
    status, problem, _ = await ask(site, "GET", DOORS, params={"cursor": cursor})

    assert (status, problem["code"]) == (422, "cursor_invalid")


async def test_a_mistake_of_ours_tells_nothing_but_its_number(site: Site) -> None:
    """An unexpected exception is 500 with the request id and without its text."""
    status, problem, response = await ask(
        site, "POST", DOORS, json={"name": "bug"}, headers=ADA | KEY
    )

    assert (status, problem["code"]) == (500, "internal_error")
    assert response.headers["X-Request-Id"] in problem["detail"]
    assert "secret" not in str(problem)


async def test_a_request_past_its_deadline_is_given_up(tmp_path: Path) -> None:
    """A handler that never ends is cancelled and answered with 503."""
    database = Database.open(f"sqlite:///{tmp_path}/demo.sqlite")
    async with served(database, deadline_s=0.05) as site:
        status, problem, response = await ask(
            site, "POST", DOORS, json={"name": "slow"}, headers=ADA | KEY
        )
        assert (status, problem["code"]) == (503, "deadline_passed")
        assert response.headers["Retry-After"] == "1"
        assert await site.names() == []
    await database.close()


async def test_a_full_disk_puts_writers_off_and_nobody_else(site: Site) -> None:
    """Without room a write is 503, reads go on, and with room again so do writes."""
    async with site.db.write() as tx:
        await tx._connection.exec_driver_sql("PRAGMA max_page_count = 1")  # no page more
    names = (f"{number:050}" for number in range(400))
    while (answer := await site.add(name := next(names), key=name))[0] == 201:
        pass
    reading, _, _ = await ask(site, "GET", DOORS)
    async with site.db.write() as tx:
        await tx._connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    again, _, _ = await site.add(name, key=name)

    assert answer[0] == 503
    assert b'"database_unavailable"' in answer[1]
    assert answer[2]["Retry-After"] == "1"
    assert (reading, again) == (200, 201)


async def test_a_wrong_statement_is_a_mistake_of_ours(site: Site) -> None:
    """A fault of the statement is not blamed on the database."""
    async with site.db.write() as tx:
        await tx._connection.exec_driver_sql("DROP TABLE test_doors")
    status, _, _ = await ask(site, "GET", DOORS)

    assert status == 500


async def test_one_log_line_a_request_without_what_it_carried(site: Site) -> None:
    """The line names route, status, account and request; no body, query or token."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        await ask(site, "GET", "/api/v1/greeting?name=Mallory")
        _, _, response = await ask(site, "POST", DOORS, json={"name": "x"}, headers=ADA | KEY)

    assert [line["event"] for line in lines] == ["request_answered"] * 2
    assert lines[0]["account_id"] is None
    assert lines[1] == {
        "event": "request_answered",
        "log_level": "info",
        "method": "POST",
        "route": "/api/v1/sites/{site_id}/doors",
        "status": 201,
        "duration_ms": 0.0,
        "account_id": b"ada".hex().ljust(32, "0"),
        "address": "127.0.0.1",
        "request_id": response.headers["X-Request-Id"],
    }
    assert "Mallory" not in str(lines)


@pytest.mark.parametrize("path", ["/", "/api/v1/nothing", "/api/v1/greeting?name=x"])
async def test_every_answer_has_safe_headers(site: Site, path: str) -> None:
    """Pages, answers and refusals alike."""
    async with site.client.get(path) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Cache-Control"] == "no-store"
        assert len(response.headers["X-Request-Id"]) == 32


async def test_a_flood_from_one_address_is_turned_away(site: Site) -> None:
    """Wrong tokens use up the address, are told when to come back, and then may."""
    stranger = {"Authorization": "Bearer wrong"}
    statuses = [(await ask(site, "GET", DOORS, headers=stranger))[0] for _ in range(60)]
    status, problem, response = await ask(site, "GET", DOORS, headers=stranger)
    signed_in, _, _ = await ask(site, "GET", DOORS)
    site.link.now_s += float(response.headers["Retry-After"])
    later, _, _ = await ask(site, "GET", DOORS, headers=stranger)

    assert statuses == [401] * 60
    assert (status, problem["code"]) == (429, "too_many_requests")
    assert response.headers["RateLimit"] == '"default";r=0;t=30'
    assert signed_in == 200
    assert later == 401


async def test_a_route_without_a_rule_keeps_the_program_from_starting(tmp_path: Path) -> None:
    """Neither a handler without a rule nor a route added past build is served."""

    class NoRule:
        tag = "none"

        @get("/open", requires=None)  # type: ignore[arg-type] # the mistake under test
        async def opened(self, call: Call) -> None:
            """Answer anybody."""

    async def raw(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp passes it
        return web.Response()

    database = Database.open(f"sqlite:///{tmp_path}/demo.sqlite")
    with pytest.raises(TypeError, match="without a rule"):
        build([NoRule()], **surroundings_of(database))
    past = build([], **surroundings_of(database))
    past.router.add_get("/raw", raw)
    with pytest.raises(TypeError, match="without a rule"):
        await web.AppRunner(past).setup()
    await database.close()


async def test_a_handler_that_does_not_fit_its_route_is_refused(tmp_path: Path) -> None:
    """A path parameter that is no argument, and a key without an actor, are caught at start."""

    class Misfit:
        tag = "none"

        @get("/doors/{name}", requires=Action.READ_SITE)
        async def misfit(self, call: Call) -> None:
            """Take no name."""

    class Keyed:
        tag = "none"

        @post("/doors", requires=PUBLIC, idempotent=True)
        async def keyed(self, call: Call) -> None:
            """Have no actor."""

    database = Database.open(f"sqlite:///{tmp_path}/demo.sqlite")
    for api, complaint in ((Misfit(), "name"), (Keyed(), "belongs to an actor")):
        with pytest.raises(TypeError, match=complaint):
            build([api], **surroundings_of(database))
    await database.close()


async def test_a_client_that_goes_away_frees_the_writer(site: Site) -> None:
    """A request whose client hangs up leaves the queue of writers free."""
    asked = asyncio.ensure_future(site.add("slow"))
    await asyncio.wait_for(site.api.entered.wait(), 5)
    asked.cancel()
    await asyncio.wait({asked})
    site.api.gate.set()

    status, _, _ = await asyncio.wait_for(site.add("next", key="key-2"), 5)

    assert status == 201
