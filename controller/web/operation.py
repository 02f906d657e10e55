"""Serves one route: who asks, is it allowed, is it valid, then the handler."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ValidationError

from controller.domain.ids import SiteId
from controller.domain.roles import Actor
from controller.ports import Calendar
from controller.web import auth, etags, problems
from controller.web.api import Call, Endpoint, Transactions
from controller.web.auth import Authenticator, Rule
from controller.web.idempotency import AnswerBook, Asked
from controller.web.middleware import HEADERS, REQUEST_ID, SIGNED_IN_AS
from controller.web.models import Versioned
from controller.web.problems import Refusal
from controller.web.rate_limit import ADDRESS_ALLOWANCE, SIGNED_IN_ALLOWANCE, RateLimiter
from controller.web.signature import Signature, read

_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # PostgreSQL keeps no NUL in a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What serving a request needs."""

    db: Transactions
    calendar: Calendar
    authenticator: Authenticator
    answers: AnswerBook
    limiter: RateLimiter


class Operation:
    """One route, ready to serve."""

    def __init__(self, endpoint: Endpoint, surroundings: Surroundings) -> None:
        self.endpoint = endpoint
        self.route = endpoint.route
        self.signature: Signature = read(endpoint)
        self._with = surroundings
        if not isinstance(self.route.requires, Rule):
            raise TypeError(f"{self.route.path}: a route without a rule")
        if self.route.idempotent and self.route.requires is auth.PUBLIC:
            raise TypeError(f"{self.route.path}: an idempotency key belongs to an actor")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        actor = await self._let_in(request)
        path = self._path(request)
        if actor is not None:
            site_id = path.get("site_id")
            auth.permit(actor, self.route.requires, SiteId(site_id) if site_id else None)
        arguments = path | self._query(request)
        if self.signature.if_match:
            arguments["if_match"] = etags.required(request)
        body = b""
        if self.signature.body is not None:
            body = await _json(request)
            arguments["body"] = self._body(body)
        if not self.route.idempotent or actor is None:
            return await self._answer(request, actor, self._with.db, arguments)
        asked = Asked.by(request, actor, body)
        return await self._with.answers.once(
            asked, lambda db: self._answer(request, actor, db, arguments)
        )

    async def _let_in(self, request: web.Request) -> Actor | None:
        """Return who asks; nobody is asked on public routes."""
        limiter, address = self._with.limiter, f"address {request.remote}"
        if self.route.requires is auth.PUBLIC:
            request[HEADERS].update(limiter.take(address, ADDRESS_ALLOWANCE))
            return None
        try:
            actor = await auth.actor_of(request, self._with.authenticator)
        except Refusal:
            request[HEADERS].update(limiter.take(address, ADDRESS_ALLOWANCE))
            raise
        request[SIGNED_IN_AS] = actor
        headers = limiter.take(f"account {actor.account_id}", SIGNED_IN_ALLOWANCE)
        request[HEADERS].update(headers)
        return actor

    def _path(self, request: web.Request) -> dict[str, Any]:
        try:
            return _values(self.signature.path.model_validate_strings(dict(request.match_info)))
        except ValidationError as error:
            raise web.HTTPNotFound from error

    def _query(self, request: web.Request) -> dict[str, Any]:
        model = self.signature.query
        if len(set(request.query)) != len(request.query):
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "query_repeated",
                "Each query parameter may be given once.",
            )
        if any("\0" in value for value in request.query.values()):
            raise _nul("query")
        try:
            return _values(model.model_validate_strings(dict(request.query)))
        except ValidationError as error:
            raise problems.invalid("query", error, tuple(model.model_fields)) from error

    def _body(self, body: bytes) -> Any:
        assert self.signature.body is not None
        if _NUL.search(body):
            raise _nul("body")
        try:
            return self.signature.body.validate_json(body)
        except ValidationError as error:
            raise problems.invalid("body", error, self.signature.body_fields) from error

    async def _answer(
        self,
        request: web.Request,
        actor: Actor | None,
        db: Transactions,
        arguments: dict[str, Any],
    ) -> web.Response:
        call = Call(
            db=db,
            now=self._with.calendar.now(),
            request_id=request[REQUEST_ID],
            address=request.remote or "",
            signed_in=actor,
        )
        result = await self.endpoint.handler(call, **arguments)
        if isinstance(result, web.Response):
            return result
        if self.signature.answer is None:
            return web.Response(status=HTTPStatus.NO_CONTENT)
        headers = {"ETag": etags.of(result.version)} if isinstance(result, Versioned) else None
        return web.Response(
            status=self.route.status,
            body=self.signature.answer.dump_json(result, by_alias=True),
            content_type="application/json",
            headers=headers,
        )


def _values(model: BaseModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}


async def _json(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send the body as Content-Type: application/json.",
            headers={"Accept": "application/json"},
        )
    return await request.read()


def _nul(where: str) -> Refusal:
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "nul_character",
        f"The {where} contains the character NUL; leave it out.",
    )
