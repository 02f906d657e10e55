"""The web application out of the features' routes."""

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from controller.ports import Ids, LinkClock
from controller.web.api import PREFIX, Api, Call, endpoints, page
from controller.web.auth import PUBLIC
from controller.web.middleware import DEADLINE_S, middlewares
from controller.web.openapi import document
from controller.web.operation import Operation, Surroundings

BODY_MAX: Final = 256 * 1024


class _Document:
    """Serves the OpenAPI document."""

    tag = "document"

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}

    @page(f"{PREFIX}/openapi.json", requires=PUBLIC)
    async def openapi(self, call: Call) -> web.Response:  # noqa: ARG002 - every handler has it
        return web.json_response(self.document)


def build(
    apis: Sequence[Api],
    surroundings: Surroundings,
    *,
    link: LinkClock,
    ids: Ids,
    deadline_s: float = DEADLINE_S,
) -> web.Application:
    """Return the application that serves these features.

    Raises:
        TypeError: A handler does not fit its route.
    """
    served = _Document()
    operations = [
        Operation(endpoint, surroundings) for api in (*apis, served) for endpoint in endpoints(api)
    ]
    served.document = document(operations)
    application = web.Application(
        middlewares=middlewares(link, ids, deadline_s=deadline_s), client_max_size=BODY_MAX
    )
    for operation in operations:
        route = operation.route
        application.router.add_route(route.method, route.path, operation.handle)
    application.on_startup.append(_check_rules)
    return application


async def _check_rules(application: web.Application) -> None:
    """Refuse to start with a route that was added past ``build`` and so has no rule."""
    for route in application.router.routes():
        if not isinstance(getattr(route.handler, "__self__", None), Operation):
            raise TypeError(f"{route.method} {route.resource}: a route without a rule")
