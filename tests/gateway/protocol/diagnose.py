"""Messages in CBOR's diagnostic notation, with the names of the fields as comments."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from typing import Any

from gateway.protocol.sections import Privilege, Section, read
from tests.gateway.protocol import shapes


def message_lines(message: Any, indent: str = "") -> Iterator[str]:
    """Yield the lines of a message; the first one has no indent, so that a key fits before it."""
    present = [f for f in shapes.fields(type(message)) if getattr(message, f.name) is not None]
    yield "{"
    for field in present:
        value = getattr(message, field.name)
        comma = "" if field is present[-1] else ","
        on_wire = sum(1 << place for place in value) if _is_places(field, value) else value
        lines = list(_value_lines(on_wire, indent + "  "))
        note = f" / {field.name}{_meaning(field.name, value)} /"
        if len(lines) == 1:
            yield f"{indent}  {field.key}: {lines[0]}{note}{comma}"
        else:
            yield f"{indent}  {field.key}: {lines[0]}{note}"
            yield from lines[1:-1]
            yield f"{lines[-1]}{comma}"
    yield f"{indent}}}"


def section_lines(section: Section) -> Iterator[str]:
    """Yield the lines of a section."""
    yield "{"
    items = list(_value_lines(read(section.kind, section.data), "  "))
    yield f"  {int(section.kind)}: {items[0]} / {section.kind.name} /"
    yield from items[1:]
    yield "}"


def _value_lines(value: Any, indent: str) -> Iterator[str]:
    if dataclasses.is_dataclass(value):
        yield from message_lines(value, indent)
    elif isinstance(value, tuple) and all(isinstance(item, bytes) for item in value):
        yield f"[{', '.join(map(_hex, value))}]"
    elif isinstance(value, tuple):
        yield "["
        for place, item in enumerate(value):
            first, *rest = _value_lines(item, indent + "  ")
            comma = "" if place == len(value) - 1 else ","
            lines = [f"{indent}  {first}", *rest]
            lines[-1] += comma
            yield from lines
        yield f"{indent}]"
    elif isinstance(value, bytes):
        yield _hex(value)
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, str):
        yield f'"{value}"'
    else:
        yield str(int(value))


def _is_places(field: shapes.Field, value: Any) -> bool:
    """Return whether a list goes on the wire as the bits of an integer."""
    return isinstance(value, tuple) and field.shape.of is int


def _hex(value: bytes) -> str:
    return f"h'{value.hex()}'"


def _meaning(name: str, value: Any) -> str:
    """Return what a number stands for, where that is not plain."""
    if isinstance(value, IntEnum):
        return f": {value.name}"
    if name == "privileges":
        return f": {', '.join(one.name or '' for one in Privilege(value))}"
    if name == "schedules" and isinstance(value[0], int):
        return f": places {', '.join(map(str, value))}"
    return _moment(name, value)


def _moment(name: str, value: Any) -> str:
    if name in {"day", "from_day", "until_day"}:
        return f": {date(1970, 1, 1) + timedelta(days=value)}"
    if name.endswith(("_at_s", "_until_s", "_before_s")) or name == "at_s":
        return f": {datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if name.endswith("_ms"):
        return f": {datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return ""
