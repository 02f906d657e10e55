"""How a feature declares its part of the REST API.

A feature's ``api.py`` holds one class whose methods are the routes; app.py makes it with the
services that it needs and hands it to ``application.build``::

    class RedeemIn(In):
        code: Annotated[str, Field(min_length=1, max_length=100)]

    class RedemptionOut(Out):
        ends_at: datetime

    class SiteOut(Versioned):          # has ``version``: answered with an ETag
        name: str

    class SubscriptionsApi:
        tag = "subscriptions"

        def __init__(self, redeemer: Redeemer) -> None:
            self._redeemer = redeemer

        @post(
            "/sites/{site_id}/redemptions",
            requires=Action.MANAGE_SUBSCRIPTION,
            status=201,
            idempotent=True,
        )
        async def redeem(self, call: Call, site_id: SiteId, body: RedeemIn) -> RedemptionOut:
            \"\"\"Redeem a voucher.\"\"\"
            async with call.db.write() as tx:
                done = await self._redeemer.redeem(
                    tx, call.actor, site_id, body.code, now=call.now
                )
            return RedemptionOut(ends_at=done.ends_at)

        @patch("/sites/{site_id}", requires=Action.EDIT_SITE)
        async def rename(
            self, call: Call, site_id: SiteId, if_match: int, body: SiteIn
        ) -> SiteOut: ...

        @get("/sites/{site_id}/people", requires=Action.READ_PEOPLE)
        async def people(
            self, call: Call, site_id: SiteId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
        ) -> Page[PersonOut]: ...

The parameters after ``call`` say where they come from: a name that stands in the path is taken
from there (what does not parse is 404; ids are 32 hex digits), ``body`` is the JSON body (or a
sheet, if its type is ``CsvFile``),
``last_event_id`` the header Last-Event-ID or nothing,
``if_match`` the version out of the required header If-Match (raise ``Stale`` when the guarded
UPDATE misses), everything else is a query parameter. A site in the path must be called
``site_id``: the rule ``requires`` is judged at that site. The first line of the docstring becomes
the summary. A method that returns ``None`` answers 204.

With ``idempotent=True`` the header Idempotency-Key is required, and the whole method runs in one
transaction together with the remembered answer: ``call.db.write()`` and ``call.db.read()`` both
give that transaction, so hash nothing slow in there.

``page("/", requires=PUBLIC)`` declares a web page: its path is absolute, it returns a
``web.Response`` and it does not stand in the document.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from controller.db.engine import ReadSession, Session
from controller.domain.roles import Actor
from controller.web.auth import Rule

PREFIX: Final = "/api/v1"
_ATTRIBUTE: Final = "__route__"

Method = TypeVar("Method", bound=Callable[..., Any])


class Transactions(Protocol):
    """What a handler sees of the database."""

    def write(self) -> AbstractAsyncContextManager[Session]:
        """Open a writing transaction."""
        ...

    def read(self) -> AbstractAsyncContextManager[ReadSession]:
        """Open a view that no writer changes while it is looked at."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What every handler gets: who asks, when, and the database."""

    db: Transactions
    now: datetime  # by the calendar
    request_id: str
    address: str  # of the client, as far as it is known
    signed_in: Actor | None  # nobody on public routes

    @property
    def actor(self) -> Actor:
        """Who asks, on any route that is not public."""
        assert self.signed_in is not None, "a public route has no actor"
        return self.signed_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a decorator says about a method."""

    method: str
    path: str
    requires: Rule
    status: int
    idempotent: bool
    documented: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route, the method that answers it and the feature that both belong to."""

    route: Route
    handler: Callable[..., Any]
    tag: str


class Api(Protocol):
    """A feature's part of the REST API."""

    tag: str


def route(
    method: str,
    path: str,
    *,
    requires: Rule,
    status: int = 200,
    idempotent: bool = False,
) -> Callable[[Method], Method]:
    """Declare that a method answers ``method`` on ``/api/v1`` + ``path``."""
    return _declared(
        Route(
            method=method,
            path=PREFIX + path,
            requires=requires,
            status=status,
            idempotent=idempotent,
            documented=True,
        )
    )


get: Final = partial(route, "GET")
post: Final = partial(route, "POST")
put: Final = partial(route, "PUT")
patch: Final = partial(route, "PATCH")
delete: Final = partial(route, "DELETE")


def page(path: str, *, requires: Rule, method: str = "GET") -> Callable[[Method], Method]:
    """Declare that a method answers with a web page."""
    return _declared(
        Route(
            method=method,
            path=path,
            requires=requires,
            status=200,
            idempotent=False,
            documented=False,
        )
    )


def endpoints(api: Api) -> list[Endpoint]:
    """Return the routes of one feature, in the order in which they are written."""
    return [
        Endpoint(getattr(function, _ATTRIBUTE), getattr(api, name), api.tag)
        for name, function in vars(type(api)).items()
        if hasattr(function, _ATTRIBUTE)
    ]


def _declared(declared: Route) -> Callable[[Method], Method]:
    def decorate(method: Method) -> Method:
        setattr(method, _ATTRIBUTE, declared)
        return method

    return decorate
