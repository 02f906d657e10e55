"""The OpenAPI 3.1 document, from the routes themselves."""

import inspect
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from controller.web.auth import is_public
from controller.web.models import Problem, Versioned
from controller.web.operation import Operation

TITLE: Final = "Doorward"
VERSION: Final = "1"
COMPONENT: Final = "#/components/schemas/{model}"
DESCRIPTION: Final = (
    "Sites, subscriptions by voucher, people, hubs and locks. Refusals are "
    "application/problem+json with a stable `code`; times are RFC 3339 with an offset."
)

Schema = dict[str, Any]


def document(operations: Sequence[Operation]) -> Schema:
    """Return the document of all routes that stand in it."""
    documented = [operation for operation in operations if operation.route.documented]
    schemas = _Schemas(documented)
    paths: dict[str, Schema] = {}
    for operation in documented:
        described = _described(operation, schemas)
        paths.setdefault(operation.route.path, {})[operation.route.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Schemas:
    """The schemas of all bodies and answers, under names that do not clash."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        wanted: list[tuple[Any, Any, TypeAdapter[Any]]] = [
            ("problem", "serialization", TypeAdapter(Problem))
        ]
        for operation in operations:
            for part, adapter in (
                ("validation", operation.signature.body),
                ("serialization", operation.signature.answer),
            ):
                if adapter is not None:
                    wanted.append((operation, part, adapter))
        self._found, definitions = TypeAdapter.json_schemas(wanted, ref_template=COMPONENT)
        self.components: Schema = definitions.get("$defs", {})

    def body(self, operation: Operation) -> Schema:
        """Return the schema of a request body."""
        return self._found[operation, "validation"]

    def answer(self, operation: Operation) -> Schema:
        """Return the schema of an answer."""
        return self._found[operation, "serialization"]

    def problem(self) -> Schema:
        """Return the schema of a refusal."""
        return self._found["problem", "serialization"]

    def parameters(self, model: type[BaseModel]) -> dict[str, Schema]:
        """Return the schemas of a model's fields, with what they refer to put in its place."""
        schema = model.model_json_schema(ref_template=COMPONENT)
        self.components.update(schema.get("$defs", {}))
        required = schema.get("required", [])
        return {
            name: {"name": name, "required": name in required, "schema": _not_null(field)}
            for name, field in schema.get("properties", {}).items()
        }


def _not_null(field: Schema) -> Schema:
    """Return a parameter's schema without null, which a query cannot say."""
    field = {name: value for name, value in field.items() if name != "title"}
    if field.get("default", ...) is None:
        del field["default"]
    choices: list[Schema] = [
        choice for choice in field.pop("anyOf", []) if choice != {"type": "null"}
    ]
    if len(choices) == 1:
        return field | choices[0]
    return field | ({"anyOf": choices} if choices else {})


def _described(operation: Operation, schemas: _Schemas) -> Schema:
    endpoint, route, signature = operation.endpoint, operation.route, operation.signature
    text = inspect.getdoc(endpoint.handler) or endpoint.handler.__name__
    summary, _, description = text.partition("\n\n")
    described: Schema = {
        "operationId": f"{endpoint.tag}_{endpoint.handler.__name__}",
        "tags": [endpoint.tag],
        "summary": summary.replace("\n", " ").rstrip("."),
        "parameters": _parameters(operation, schemas),
        "responses": _responses(operation, schemas),
    }
    if description:
        described["description"] = description
    if is_public(route.requires):
        described["security"] = []
    if signature.body is not None:
        content = {"application/json": {"schema": schemas.body(operation)}}
        described["requestBody"] = {"required": True, "content": content}
    if signature.takes_csv:
        sheet = {"text/csv": {"schema": {"type": "string"}}}
        described["requestBody"] = {"required": True, "content": sheet}
    return described


def _parameters(operation: Operation, schemas: _Schemas) -> list[Schema]:
    signature = operation.signature
    found: list[Schema] = []
    for where, model in (("path", signature.path), ("query", signature.query)):
        found += [{**field, "in": where} for field in schemas.parameters(model).values()]
    if signature.if_match:
        found.append(_header("If-Match", "The ETag of what is edited.", '"7"'))
    if signature.last_event_id:
        found.append(
            _header("Last-Event-ID", "The last event that arrived.", "42") | {"required": False}
        )
    if operation.route.idempotent:
        text = "New for each intention, the same for each retry of it."
        found.append(_header("Idempotency-Key", text, "6f1c8a52-6a5e-4c0e-9d0b-2f6f0a5e3b11"))
    return found


def _header(name: str, description: str, example: str) -> Schema:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _responses(operation: Operation, schemas: _Schemas) -> Schema:
    signature = operation.signature
    if signature.streams:
        events = {"text/event-stream": {"schema": {"type": "string"}}}
        answered: Schema = {"200": {"description": "Events as they come.", "content": events}}
    elif signature.answer is None:
        answered = {str(HTTPStatus.NO_CONTENT.value): {"description": "Done."}}
    else:
        one: Schema = {
            "description": HTTPStatus(operation.route.status).phrase,
            "content": {"application/json": {"schema": schemas.answer(operation)}},
        }
        if _is_versioned(signature.answer):
            one["headers"] = {"ETag": {"schema": {"type": "string"}}}
        answered = {str(operation.route.status): one}
    problem = {"application/problem+json": {"schema": schemas.problem()}}
    for status in sorted(_refusals(operation)):
        answered[str(status.value)] = {"description": status.phrase, "content": problem}
    return answered


def _is_versioned(answer: TypeAdapter[Any]) -> bool:
    kind: object = answer._type  # noqa: SLF001 - the type it was made for
    return isinstance(kind, type) and issubclass(kind, Versioned)


def _refusals(operation: Operation) -> set[HTTPStatus]:
    signature = operation.signature
    found = {
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
    if not is_public(operation.route.requires):
        found |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if signature.path.model_fields:
        found.add(HTTPStatus.NOT_FOUND)
    if signature.body is not None or signature.takes_csv:
        found |= {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
    if operation.route.method != "GET":
        found.add(HTTPStatus.CONFLICT)
    if signature.if_match:
        found |= {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED}
    if operation.route.idempotent:
        found.add(HTTPStatus.BAD_REQUEST)
    return found
