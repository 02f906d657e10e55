"""The first page: what runs here, and every call of the API with its summary.

Plain HTML without script. The one style sheet stands in the page and is allowed by its hash.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any, Final

from aiohttp import web

from controller.web.api import PREFIX, Call, page
from controller.web.auth import PUBLIC

METHODS: Final = ("get", "post", "put", "patch", "delete")
STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884;
  vertical-align: top; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 0; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)


class StartPage:
    """Says what runs and where the API documentation is."""

    tag = "start"

    def __init__(self, facts: Callable[[], Mapping[str, str]]) -> None:
        """Take what to say: facts by name, asked for at each request."""
        self._facts = facts
        self.document: dict[str, Any] = {}

    @page(f"{PREFIX}/openapi.json", requires=PUBLIC)
    async def openapi(self, call: Call) -> web.Response:  # noqa: ARG002 - every handler has it
        """Serve the OpenAPI document."""
        return web.json_response(self.document)

    @page("/", requires=PUBLIC)
    async def start(self, call: Call) -> web.Response:  # noqa: ARG002 - every handler has it
        """Show what runs here."""
        facts = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
            for name, value in self._facts().items()
        )
        return _html(
            "Doorward",
            f"<p>An open access-control cloud. It is running.</p><dl>{facts}</dl>"
            '<p><a href="/docs">API documentation</a> · '
            f'<a href="{PREFIX}/openapi.json">OpenAPI 3.1 document</a></p>',
        )

    @page("/docs", requires=PUBLIC)
    async def docs(self, call: Call) -> web.Response:  # noqa: ARG002 - every handler has it
        """List every call of the API."""
        rows = "".join(_rows(self.document))
        return _html(
            "Doorward API",
            "<p>Sign in with <code>POST /api/v1/sessions</code> and send the token as <code>"
            "Authorization: Bearer …</code>. Refusals are <code>application/problem+json</code> "
            "with a stable <code>code</code>. Shapes stand in the "
            f'<a href="{PREFIX}/openapi.json">OpenAPI 3.1 document</a>.</p>'
            f"<table><thead><tr><th>Call</th><th>What it does</th></tr></thead>{rows}</table>",
        )


def _rows(document: Mapping[str, Any]) -> Iterator[str]:
    for path, operations in sorted(document["paths"].items()):
        for method in METHODS:
            if method in operations:
                summary = operations[method]["summary"]
                call = f"{method.upper()} {path}"
                yield f"<tr><td><code>{escape(call)}</code></td><td>{escape(summary)}</td></tr>"


def _html(title: str, body: str) -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return web.Response(
        text=text, content_type="text/html", headers={"Content-Security-Policy": POLICY}
    )
