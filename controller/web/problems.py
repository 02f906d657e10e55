"""Every refusal as application/problem+json: the table from kind to status, and the writing."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.db.engine import is_passing
from controller.domain.errors import (
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    NoValidSubscription,
    Refused,
    Stale,
    TooMany,
)
from controller.ports import Overloaded
from controller.web.models import FieldError, Problem

STATUS: Final[Mapping[type[DomainError], HTTPStatus]] = {
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Stale: HTTPStatus.PRECONDITION_FAILED,
    Refused: HTTPStatus.CONFLICT,
    NotFound: HTTPStatus.NOT_FOUND,
    Forbidden: HTTPStatus.FORBIDDEN,
    NoValidSubscription: HTTPStatus.FORBIDDEN,
    TooMany: HTTPStatus.TOO_MANY_REQUESTS,
}
RETRY_AFTER_S: Final = "1"
REMEDIES: Final = {
    "missing": "add the field",
    "json_invalid": "send one JSON document",
    "string_too_short": "make it longer",
    "string_too_long": "make it shorter",
    "timezone_aware": "end it with Z or an offset such as +01:00",
    "datetime_type": "write an instant such as 2026-03-01T09:00:00Z",
    "datetime_parsing": "write an instant such as 2026-03-01T09:00:00Z",
    "int_type": "write a whole number, without quotes",
    "bool_type": "write true or false, without quotes",
    "string_type": "write a text, in quotes",
    "greater_than_equal": "choose a larger number",
    "less_than_equal": "choose a smaller number",
    "model_type": "send one JSON object",
}


class Refusal(Exception):
    """A request that HTTP itself forbids; business refusals are ``DomainError``."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def response(error: Exception) -> web.Response | None:
    """Return the answer to an exception, or nothing for one that nobody expects."""
    match error:
        case DomainError():
            return of_domain(error)
        case Refusal():
            return _written(
                error.status,
                error.code,
                error.detail,
                errors=error.errors or None,
                headers=error.headers,
            )
        case web.HTTPException() if error.status >= HTTPStatus.BAD_REQUEST:
            return _of_aiohttp(error)
        case web.RequestPayloadError():
            return _written(
                HTTPStatus.BAD_REQUEST,
                "body_unreadable",
                "The body broke off, or is not encoded as its headers say; send it again.",
            )
        case _:
            return _of_passing(error)


def of_domain(error: DomainError) -> web.Response:
    """Return the answer to a refusal of the rules."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    headers = {}
    if "retry_after_s" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after_s"])
    return _written(status, error.code, error.message, facts=error.facts or None, headers=headers)


def _of_passing(error: Exception) -> web.Response | None:
    if isinstance(error, Overloaded):
        return busy("overloaded", "Too much is going on right now; try again in a moment.")
    if is_passing(error):
        return busy("database_unavailable", "The database does not answer; try again.")
    return None


def busy(code: str, detail: str) -> web.Response:
    """Return an answer that invites to try again."""
    return _written(
        HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers={"Retry-After": RETRY_AFTER_S}
    )


def unexpected(request_id: str) -> web.Response:
    """Return the answer to a mistake of ours."""
    return _written(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        f"Something went wrong here; it was logged under request {request_id}.",
    )


def invalid(where: str, error: ValidationError, known: Sequence[str] = ()) -> Refusal:
    """Return one refusal that names everything wrong with one part of a request."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation_failed",
        f"The {where} of the request is not valid; see errors.",
        errors=[_field_error(where, detail, known) for detail in details],
    )


def _field_error(where: str, detail: ErrorDetails, known: Sequence[str]) -> FieldError:
    field = ".".join(str(part) for part in detail["loc"])
    remedy = REMEDIES.get(detail["type"])
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(field, known, n=1)
        remedy = f"did you mean {near[0]}?" if near else "remove it"
    return FieldError(
        where=where, field=field, code=detail["type"], message=detail["msg"], remedy=remedy
    )


def _of_aiohttp(error: web.HTTPException) -> web.Response:
    status = HTTPStatus(error.status)
    headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    details = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"This address answers {headers.get('Allow', '')} only.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 256 KiB.",
    }
    detail = details.get(status, status.description or status.phrase)
    return _written(status, status.name.lower(), detail, headers=headers)


def _written(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[FieldError] | None = None,
    facts: dict[str, Any] | None = None,
) -> web.Response:
    problem = Problem(
        type=f"urn:doorward:problem:{code}",
        title=status.phrase,
        status=status,
        code=code,
        detail=detail,
        errors=errors,
        facts=facts,
    )
    return web.Response(
        status=status,
        body=problem.model_dump_json(exclude_none=True, by_alias=True).encode(),
        content_type="application/problem+json",
        headers=headers,
    )
