"""docs/api.md names what there is, and leaves no refusal out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

import controller.cloud  # noqa: F401 - defines every refusal
from controller.domain.errors import DomainError
from controller.domain.roles import Scope
from tests.controller.whole import sqlite_url, whole

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("guide")]

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
NAMED: Final = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`\s?]*)")
COMMAND: Final = re.compile(r"^\$ (curl .*(?:\\\n.*)*(?:\n +.*)*)", re.MULTILINE)
CALLED: Final = re.compile(r"\$API(/[^\s?\"]*)")
REFUSAL: Final = re.compile(r"(?:Refusal|busy)\(\s*(?:HTTPStatus\.\w+,\s*)?\"([a-z_]+)\"")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The OpenAPI document of the whole cloud."""
    folder = tmp_path_factory.mktemp("guide")
    async with whole(sqlite_url(migrated_sqlite, folder), folder) as cloud:
        return (await cloud.ask("GET", "/openapi.json")).body


def calls() -> Iterator[tuple[str, str]]:
    """Return method and path of every call that the guide names or shows."""
    yield from NAMED.findall(GUIDE)
    for command in COMMAND.findall(GUIDE):
        method = re.search(r"-X (\w+)", command)
        default = "POST" if " -d " in command else "GET"
        for path in CALLED.findall(command):
            yield (method[1] if method else default), re.sub(r"\$[A-Z]+", "{id}", path)


async def test_every_call_of_the_guide_exists(document: Any) -> None:
    """Each call that is named or shown has its place in the document."""
    there = {
        (method.upper(), re.sub(r"{\w+}", "{id}", path.removeprefix("/api/v1")))
        for path, methods in document["paths"].items()
        for method in methods
    }
    named = {(method, re.sub(r"{\w+}", "{id}", path)) for method, path in calls()}

    assert len(named) > 30
    assert named - there == set()


def refusals(kind: type[DomainError] = DomainError) -> Iterator[str]:
    """Return the codes of all kinds of refusal."""
    for each in kind.__subclasses__():
        yield each.code
        yield from refusals(each)


async def test_every_refusal_is_in_the_guide() -> None:
    """A program that meets a code finds it in the guide; so does one that meets a scope."""
    in_web = {
        code
        for path in (ROOT / "controller" / "web").glob("*.py")
        for code in REFUSAL.findall(path.read_text(encoding="utf-8"))
    }
    rows = set(re.findall(r"`(\w+)`", GUIDE[GUIDE.index("## Codes") :]))

    assert "overloaded" in in_web
    assert (set(refusals()) | in_web) - rows == set()
    assert {f"| `{scope}` |" for scope in Scope if f"| `{scope}` |" not in GUIDE} == set()
