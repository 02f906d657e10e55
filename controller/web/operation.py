"""Serves one route: who asks, is it allowed, is it valid, then the handler."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Protocol

from aiohttp import web
from pydantic import BaseModel, ValidationError

from controller.domain.errors import DomainError, NotFound, TooMany
from controller.domain.ids import SiteId
from controller.domain.roles import Actor, ActorKind
from controller.ports import Calendar
from controller.web import auth, etags, problems
from controller.web.api import PREFIX, Call, Endpoint, Transactions
from controller.web.auth import Authenticator, Rule
from controller.web.idempotency import AnswerBook, Asked
from controller.web.middleware import HEADERS, REQUEST_ID, SAFE_HEADERS, SIGNED_IN_AS
from controller.web.models import Versioned
from controller.web.problems import Refusal
from controller.web.rate_limit import ADDRESS_ALLOWANCE, SIGNED_IN_ALLOWANCE, RateLimiter
from controller.web.signature import Signature, read
from controller.web.stream import LAST_EVENT_ID, EventStream, Streams

CSV_BYTES_MAX: Final = 10 * 1024 * 1024
CHUNK_BYTES: Final = 64 * 1024
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # PostgreSQL keeps no NUL in a text


NOBODY: Final = Actor(kind=ActorKind.USER, account_id=None, name="not signed in")


class Denials(Protocol):
    """Records refused changes; the audit feature provides it."""

    async def denied(
        self, actor: Actor, route: str, site_id: SiteId | None, code: str, *, now: datetime
    ) -> None:
        """Record who was refused what, and why."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What serving a request needs."""

    db: Transactions
    calendar: Calendar
    authenticator: Authenticator
    answers: AnswerBook
    limiter: RateLimiter
    denials: Denials
    streams: Streams = field(default_factory=Streams)


class Operation:
    """One route, ready to serve."""

    def __init__(self, endpoint: Endpoint, surroundings: Surroundings) -> None:
        self.endpoint = endpoint
        self.route = endpoint.route
        self.signature: Signature = read(endpoint)
        self._with = surroundings
        if not isinstance(self.route.requires, Rule):
            raise TypeError(f"{self.route.path}: a route without a rule")
        if self.route.idempotent and auth.is_public(self.route.requires):
            raise TypeError(f"{self.route.path}: an idempotency key belongs to an actor")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        actor = await self._let_in(request)
        path = self._path(request)
        site_id = SiteId(path["site_id"]) if "site_id" in path else None
        try:
            return await self._permitted(request, actor, path, site_id)
        except DomainError as refusal:
            await self._deny(actor, site_id, refusal)
            raise

    async def _permitted(
        self,
        request: web.Request,
        actor: Actor | None,
        path: dict[str, Any],
        site_id: SiteId | None,
    ) -> web.StreamResponse:
        if actor is not None:
            auth.permit(actor, self.route.requires, site_id)
        arguments = path | self._query(request)
        if self.signature.if_match:
            arguments["if_match"] = etags.required(request)
        if self.signature.last_event_id:
            arguments["last_event_id"] = request.headers.get(LAST_EVENT_ID)
        body = b""
        if self.signature.body is not None:
            body = await _json(request)
            arguments["body"] = self._body(body)
        elif self.signature.takes_csv:
            arguments["body"] = body = await _csv(request)
        if not self.route.idempotent or actor is None:
            return await self._answer(request, actor, self._with.db, arguments)
        refusals: list[DomainError] = []  # an answer to be remembered, so it is not raised again

        async def work(db: Transactions) -> web.Response:
            try:
                answer = await self._answer(request, actor, db, arguments)
            except DomainError as refusal:
                refusals.append(refusal)
                raise
            assert isinstance(answer, web.Response), "a stream is not idempotent"
            return answer

        answer = await self._with.answers.once(Asked.by(request, actor, body), work)
        for refusal in refusals:
            await self._deny(actor, site_id, refusal)
        return answer

    async def _deny(
        self, actor: Actor | None, site_id: SiteId | None, refusal: DomainError
    ) -> None:
        """Have a refused change recorded, in a transaction of its own."""
        if self.route.method == "GET" or isinstance(refusal, TooMany):
            return
        # What is not there for the actor has no audit trail that it could stand in.
        known_site = None if isinstance(refusal, NotFound) else site_id
        route = f"{self.route.method} {self.route.path.removeprefix(PREFIX)}"
        await self._with.denials.denied(
            actor or NOBODY, route, known_site, refusal.code, now=self._with.calendar.now()
        )

    async def _let_in(self, request: web.Request) -> Actor | None:
        """Return who asks; on public routes that may stay open."""
        limiter, address = self._with.limiter, f"address {request.remote}"
        if auth.asks_nobody(self.route.requires, request):
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
    ) -> web.StreamResponse:
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
        if isinstance(result, EventStream):
            return await self._with.streams.serve(
                request,
                result,
                account=str(actor.account_id) if actor else "",
                headers=SAFE_HEADERS | request[HEADERS],
            )
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
    _require_type(request, "application/json")
    return await request.read()


async def _csv(request: web.Request) -> bytes:
    """Return a sheet, which may be longer than any other body."""
    _require_type(request, "text/csv")
    body = bytearray()
    async for piece in request.content.iter_chunked(CHUNK_BYTES):
        body += piece
        if len(body) > CSV_BYTES_MAX:
            raise web.HTTPRequestEntityTooLarge(max_size=CSV_BYTES_MAX, actual_size=len(body))
    return bytes(body)


def _require_type(request: web.Request, wanted: str) -> None:
    if request.content_type != wanted:
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            f"Send the body as Content-Type: {wanted}.",
            headers={"Accept": wanted},
        )


def _nul(where: str) -> Refusal:
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "nul_character",
        f"The {where} contains the character NUL; leave it out.",
    )
