"""Reads a handler's signature: where each argument comes from and what it must be."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, NewType, get_type_hints

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

from controller.web.api import Endpoint
from controller.web.models import ID, CsvFile
from controller.web.stream import EventStream

_IN_PATH = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a handler takes and gives."""

    path: type[BaseModel]
    query: type[BaseModel]
    body: TypeAdapter[Any] | None
    takes_csv: bool  # the body is a sheet and no JSON
    body_fields: tuple[str, ...]  # to guess what a misspelt one was meant to be
    if_match: bool
    last_event_id: bool
    streams: bool  # the answer has no end
    answer: TypeAdapter[Any] | None  # nothing: 204, or a page that writes its own response


def read(endpoint: Endpoint) -> Signature:
    """Return the signature of a handler.

    Raises:
        TypeError: The handler does not fit its route; the program must not start.
    """
    handler, route = endpoint.handler, endpoint.route
    hints = get_type_hints(handler, include_extras=True)
    parameters = list(inspect.signature(handler).parameters.values())[1:]
    in_path = set(_IN_PATH.findall(route.path))
    named = {parameter.name for parameter in parameters}
    if not in_path <= named:
        raise TypeError(f"{_name(handler)}: {sorted(in_path - named)} of the path are no arguments")
    if "return" not in hints:
        raise TypeError(f"{_name(handler)}: the answer has no type")
    query = {
        parameter.name: (
            _checked(hints[parameter.name]),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in parameters
        if parameter.name not in in_path | {"body", "if_match", "last_event_id"}
    }
    takes_csv = hints.get("body") is CsvFile
    answer = hints["return"]
    plain = isinstance(answer, type) and issubclass(answer, (NoneType, web.Response, EventStream))
    return Signature(
        path=_model(handler, "Path", {name: (_checked(hints[name]), ...) for name in in_path}),
        query=_model(handler, "Query", query),
        body=None if takes_csv or "body" not in named else TypeAdapter(hints["body"]),
        takes_csv=takes_csv,
        body_fields=tuple(getattr(hints.get("body"), "model_fields", ())),
        if_match="if_match" in named,
        last_event_id="last_event_id" in named,
        streams=answer is EventStream,
        answer=None if plain else TypeAdapter(answer),
    )


def _model(handler: Callable[..., Any], name: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    model: type[BaseModel] = create_model(
        f"{_name(handler)}.{name}", __config__=ConfigDict(extra="forbid"), **fields
    )
    return model


def _checked(hint: Any) -> Any:
    """Return the type of an argument; ids are checked for their form."""
    if isinstance(hint, NewType) and hint.__supertype__ is str:
        return Annotated[hint, ID]
    return hint


def _name(handler: Callable[..., Any]) -> str:
    return handler.__qualname__
