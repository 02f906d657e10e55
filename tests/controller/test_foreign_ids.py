"""Ids of another site in bodies and queries: exactly like ids that nobody has.

``NAMED`` is written by hand; a field that the document calls an id and that is missing there fails
the first test.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.controller.scene import LOCK, REPEATER, Scene, laid, shown
from tests.controller.whole import ABSENT

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("foreign")]

ID_PATTERN: Final = "^[0-9a-f]{32}$"
SITE: Final = "/sites/{site_id}"
GROUPS: Final = SITE + "/access-groups"
HUB: Final = SITE + "/hubs/{hub_id}"
REPEATERS: Final = HUB + "/repeaters"
A_LOCK: Final = SITE + "/locks/{lock_id}"
RULES: Final = SITE + "/notification-rules"
OWN_PERSON: Final = ["a person of the own site"]
RULE: Final = {"name": "R", "kinds": ["intrusion"], "receiver_ids": OWN_PERSON}
CODE: Final = {"code": "00000-00000-00000-00000-00000"}  # refused before the people are looked at

# Route and field, whose id stands there, and the rest of the body. ? is before a query parameter,
# [] after a list.
NAMED: Final[Mapping[tuple[str, str], tuple[str, Mapping[str, object]]]] = {
    (f"POST {SITE}/transfer", "account_id"): ("account_id", {}),
    (f"PUT {SITE}/roles/{{account_id}}", "role"): ("role_id", {}),
    (f"POST {SITE}/subscription/preview", "keep_people[]"): ("person_id", CODE),
    (f"POST {SITE}/redemptions", "keep_people[]"): ("person_id", CODE),
    (f"POST {HUB}/locks", "office_schedule_id"): ("schedule_id", LOCK),
    (f"PATCH {A_LOCK}", "hub_id"): ("hub_id", {}),
    (f"PATCH {A_LOCK}", "office_schedule_id"): ("schedule_id", {}),
    (f"PATCH {A_LOCK}", "repeater_id"): ("repeater_id", {}),
    (f"POST {REPEATERS}", "parent_id"): ("repeater_id", REPEATER),
    (f"PATCH {REPEATERS}/{{repeater_id}}", "parent_id"): ("repeater_id", {}),
    (f"POST {A_LOCK}/enrolments", "person_id"): ("person_id", {}),
    (f"POST {GROUPS}", "schedule_id"): ("schedule_id", {"name": "G"}),
    (f"PATCH {GROUPS}/{{group_id}}", "schedule_id"): ("schedule_id", {}),
    (f"PATCH {GROUPS}/{{group_id}}/people", "add_ids[]"): ("person_id", {}),
    (f"PATCH {GROUPS}/{{group_id}}/people", "remove_ids[]"): ("person_id", {}),
    (f"PATCH {GROUPS}/{{group_id}}/locks", "add_ids[]"): ("lock_id", {}),
    (f"PATCH {GROUPS}/{{group_id}}/locks", "remove_ids[]"): ("lock_id", {}),
    (f"POST {SITE}/lockers", "lock_id"): ("lock_id", {"name": "L9"}),
    (f"POST {RULES}", "receiver_ids[]"): ("person_id", RULE),
    (f"POST {RULES}", "person_ids[]"): ("person_id", RULE),
    (f"POST {RULES}", "lock_ids[]"): ("lock_id", RULE),
    (f"POST {RULES}", "schedule_id"): ("schedule_id", RULE),
    (f"PATCH {RULES}/{{rule_id}}", "receiver_ids[]"): ("person_id", {}),
    (f"PATCH {RULES}/{{rule_id}}", "person_ids[]"): ("person_id", {}),
    (f"PATCH {RULES}/{{rule_id}}", "lock_ids[]"): ("lock_id", {}),
    (f"PATCH {RULES}/{{rule_id}}", "schedule_id"): ("schedule_id", {}),
    (f"GET {SITE}/incidents", "?lock_id"): ("lock_id", {}),
    (f"GET {SITE}/entries", "?lock_id"): ("lock_id", {}),
    (f"GET {SITE}/entries", "?person_id"): ("person_id", {}),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """The whole cloud with its sites, for all tests of this file."""
    async with laid(migrated_sqlite, tmp_path_factory.mktemp("cloud")) as made:
        yield made


def ids_in(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """Yield the fields of a schema that hold ids, as ``NAMED`` spells them."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("pattern") == ID_PATTERN:
        yield name
    for kind in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(kind, ()):
            yield from ids_in(one, schemas, name)
    if "items" in schema:
        yield from ids_in(schema["items"], schemas, f"{name}[]")
    for field, one in schema.get("properties", {}).items():
        yield from ids_in(one, schemas, f"{name}.{field}".lstrip("."))


async def test_every_field_that_names_something_is_tried(scene: Scene) -> None:
    """What the document calls an id in a body or a query stands in the table above."""
    document = (await scene.cloud.ask("GET", "/openapi.json")).body
    schemas = document["components"]["schemas"]
    found = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path.removeprefix('/api/v1')}"
            for content in operation.get("requestBody", {}).get("content", {}).values():
                found |= {(route, field) for field in ids_in(content["schema"], schemas)}
            for parameter in operation["parameters"]:
                if parameter["in"] == "query":
                    name = f"?{parameter['name']}"
                    found |= {(route, one) for one in ids_in(parameter["schema"], schemas, name)}

    assert found <= set(NAMED)


@pytest.mark.invariant("T1")
@pytest.mark.parametrize("named", NAMED, ids=" ".join)
async def test_a_foreign_id_is_exactly_like_an_absent_one(
    scene: Scene, named: tuple[str, str]
) -> None:
    """At the own site and on own objects, status, bytes and headers are those for nobody's id."""
    route, field = named
    kind, rest = NAMED[named]
    answers = []
    for one in (scene.foreign_ids[kind], ABSENT):
        ids, body = dict(scene.own_ids), dict(rest)
        body |= {key: [ids["person_id"]] for key, value in body.items() if value is OWN_PERSON}
        asked = route
        if field.startswith("?"):
            asked = f"{route}{field}={one}"
        else:
            body[field.removesuffix("[]")] = [one] if field.endswith("[]") else one
        answer = await scene.ask(asked, "owner", ids, body)
        status, raw, headers = shown(answer)
        length = {"Content-Length": ""} if "Content-Length" in headers else {}
        answers.append((status, raw.replace(one.encode(), b"the id"), headers | length))

    assert answers[0] == answers[1]
    assert answers[0][0] in ({200} if field.startswith("?") else {404, 409, 422})
