"""The web application out of the features' routes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from controller.ports import Ids, LinkClock
from controller.web.api import Api, endpoints
from controller.web.middleware import DEADLINE_S, middlewares
from controller.web.openapi import document
from controller.web.operation import Operation, Surroundings
from controller.web.start_page import StartPage

BODY_MAX: Final = 256 * 1024


def build(
    apis: Sequence[Api],
    surroundings: Surroundings,
    *,
    link: LinkClock,
    ids: Ids,
    facts: Callable[[], Mapping[str, str]] = dict,
    deadline_s: float = DEADLINE_S,
) -> web.Application:
    """Return the application that serves these features.

    Args:
        facts: What the start page says, by name, asked for at each request.

    Raises:
        TypeError: A handler does not fit its route.
    """
    start = StartPage(facts)
    operations = [
        Operation(endpoint, surroundings) for api in (*apis, start) for endpoint in endpoints(api)
    ]
    start.document = document(operations)
    application = web.Application(
        middlewares=middlewares(link, ids, deadline_s=deadline_s, is_stream=_is_stream),
        client_max_size=BODY_MAX,
    )
    for operation in operations:
        route = operation.route
        application.router.add_route(route.method, route.path, operation.handle)
    application.on_startup.append(_check_rules)
    return application


def _is_stream(request: web.Request) -> bool:
    operation = getattr(request.match_info.handler, "__self__", None)
    return isinstance(operation, Operation) and operation.signature.streams


async def _check_rules(application: web.Application) -> None:
    """Refuse to start with a route that was added past ``build`` and so has no rule."""
    for route in application.router.routes():
        if not isinstance(getattr(route.handler, "__self__", None), Operation):
            raise TypeError(f"{route.method} {route.resource}: a route without a rule")
