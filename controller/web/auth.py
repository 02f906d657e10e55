"""Who asks, and whether the route's rule lets them.

Every route names its rule: an ``Action`` that the actor must be allowed (at the site of the path,
where there is one), ``SIGNED_IN`` for what every account may do, ``PUBLIC``, or ``ANYBODY``, which
is public too, but a token that is sent says who asks.
"""

from enum import Enum, auto
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import web

from controller.domain.ids import SiteId
from controller.domain.roles import Action, Actor
from controller.web.problems import Refusal

SCHEME: Final = "Bearer "
TOKEN_LENGTH_MAX: Final = 512


class Everybody(Enum):
    """Rules that are no action."""

    PUBLIC = auto()
    ANYBODY = auto()
    SIGNED_IN = auto()


PUBLIC: Final = Everybody.PUBLIC
ANYBODY: Final = Everybody.ANYBODY
SIGNED_IN: Final = Everybody.SIGNED_IN

Rule = Action | Everybody


class Authenticator(Protocol):
    """Knows the tokens; the accounts feature provides it."""

    async def actor_of(self, token: str) -> Actor | None:
        """Return who a token stands for, or nothing if it is unknown, expired or revoked."""
        ...


def is_public(rule: Rule) -> bool:
    """Return whether a route needs no token."""
    return rule in {PUBLIC, ANYBODY}


def asks_nobody(rule: Rule, request: web.Request) -> bool:
    """Return whether it is left open who sent a request."""
    return rule is PUBLIC or (rule is ANYBODY and "Authorization" not in request.headers)


async def actor_of(request: web.Request, authenticator: Authenticator) -> Actor:
    """Return who sent a request.

    Raises:
        Refusal: Nobody that is known (401).
    """
    header = request.headers.get("Authorization", "")
    token = header[len(SCHEME) :].strip()
    if header[: len(SCHEME)].lower() != SCHEME.lower() or not 0 < len(token) <= TOKEN_LENGTH_MAX:
        raise _unknown("Send an access token in the header Authorization: Bearer …")
    actor = await authenticator.actor_of(token)
    if actor is None:
        raise _unknown("The access token is unknown, expired or revoked; sign in again.")
    return actor


def permit(actor: Actor, rule: Rule, site_id: SiteId | None) -> None:
    """Refuse an actor whom the rule does not let through.

    Raises:
        DomainError: ``NotFound`` for a foreign site, ``Forbidden`` otherwise.
    """
    if isinstance(rule, Action):
        actor.require(rule, site_id)


def _unknown(detail: str) -> Refusal:
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "not_signed_in",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="doorward"'},
    )
