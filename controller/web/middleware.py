"""Around every request: its id, its one log line, safe headers, problems, the deadline."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from controller.domain.roles import Actor
from controller.ports import Ids, LinkClock
from controller.web import problems

DEADLINE_S: Final = 10.0
REQUEST_ID: Final = web.RequestKey("request_id", str)
SIGNED_IN_AS: Final = web.RequestKey("signed_in_as", Actor)
HEADERS: Final = web.RequestKey("headers", dict[str, str])
"""Headers that the answer gets, also when it is a refusal."""

SAFE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_log = structlog.get_logger(__name__)


def middlewares(
    link: LinkClock, ids: Ids, *, deadline_s: float, is_stream: Callable[[web.Request], bool]
) -> list[Middleware]:
    """Return what stands around every handler, outermost first.

    Args:
        link: Measures how long a request took.
        ids: Names requests.
        deadline_s: How long a request may take.
        is_stream: Whether a request's answer has no end, and so no deadline here.
    """
    return [_observed(link, ids), _refused, _limited(deadline_s, is_stream)]


def _observed(link: LinkClock, ids: Ids) -> Middleware:
    """Name the request, write its log line (never a body, a query or a token), add headers."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[REQUEST_ID] = ids.new()
        request[HEADERS] = {}
        started_s = link.now()
        with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]):
            response = await handler(request)
            resource = request.match_info.route.resource
            actor = request.get(SIGNED_IN_AS)
            _log.info(
                "request_answered",
                method=request.method,
                route=resource.canonical if resource else None,
                status=response.status,
                duration_ms=round((link.now() - started_s) * 1000, 1),
                account_id=actor.account_id if actor else None,
                address=request.remote,
            )
        for name, value in SAFE_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.update(request[HEADERS])
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        return response

    return observe


@web.middleware
async def _refused(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into a response."""
    try:
        return await handler(request)
    except Exception as error:
        answer = problems.response(error)
        if answer is None and isinstance(error, web.HTTPException):
            raise  # a redirect
        if answer is None:
            _log.exception("request_failed")
            answer = problems.unexpected(request[REQUEST_ID])
        elif answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            _log.warning("request_put_off", reason=repr(error))
        return answer


def _limited(deadline_s: float, is_stream: Callable[[web.Request], bool]) -> Middleware:
    """Give every request so much time."""

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_stream(request):
            return await handler(request)
        deadline = asyncio.timeout(deadline_s)
        try:
            async with deadline:
                return await handler(request)
        except TimeoutError:
            if not deadline.expired():
                raise
            return problems.busy("deadline_passed", "This took too long and was given up.")

    return limit
