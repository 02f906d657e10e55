"""Frozen dataclasses as closed CBOR maps with integer keys.

A message type lists its fields once, as ``name: Annotated[Type, Key(3)]``; the type says the
range. Decoding refuses unknown and missing keys and every value outside its range, and the error
names the field. An optional field (``Type | None``) is absent from the map when it is None.
"""

import dataclasses
import types
from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints

from gateway.protocol import cbor
from gateway.protocol.errors import ProtocolError

INT_MAX: Final = 2**53 - 1  # exact in every language a hub may be written in


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """The map key of a field. -24 to 23 take one byte; ours start at 1."""

    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """The least and the greatest value of an integer, both inside."""

    low: int
    high: int


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """The least and the greatest length: bytes of a string, ASCII characters, items of a list."""

    low: int
    high: int


@dataclasses.dataclass(frozen=True, slots=True)
class Bits:
    """Mark of an ascending list of different places below ``count``, at least one.

    On the wire it is an integer with the bit of each place set.
    """

    count: int


Uint = Annotated[int, Range(0, INT_MAX)]
Id = Annotated[bytes, Size(16, 16)]
Digest = Annotated[bytes, Size(32, 32)]

M = TypeVar("M")
_Convert = Callable[[Any, str], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    name: str
    key: int
    optional: bool
    encode: Callable[[Any], Any]
    decode: _Convert


_plans: dict[type, tuple[_Field, ...]] = {}


def encode(message: object) -> bytes:
    """Return a message's one encoding."""
    return cbor.encode(to_map(message))


def decode(kind: type[M], data: bytes, *, bytes_max: int = cbor.MESSAGE_BYTES_MAX) -> M:
    """Return the message of type ``kind`` that ``data`` encodes.

    Raises:
        ProtocolError: It is anything else; the text names the field.
    """
    return from_map(kind, cbor.decode(data, bytes_max=bytes_max))


def to_map(message: object) -> dict[int, object]:
    """Return a message as the map that goes on the wire."""
    values = ((field, getattr(message, field.name)) for field in _plan(type(message)))
    return {field.key: field.encode(value) for field, value in values if value is not None}


def from_map(kind: type[M], value: object, path: str = "") -> M:
    """Return the message of type ``kind`` that a decoded map stands for.

    Raises:
        ProtocolError: A key is unknown or missing, or a value is out of its range.
    """
    path = path or kind.__name__
    if type(value) is not dict:
        raise ProtocolError(f"{path}: a map is needed")
    plan = _plan(kind)
    unknown = value.keys() - {field.key for field in plan}
    if unknown:
        raise ProtocolError(f"{path}: unknown key {min(unknown, key=repr)!r}")
    arguments = {}
    for field in plan:
        if field.key in value:
            arguments[field.name] = field.decode(value[field.key], f"{path}.{field.name}")
        elif field.optional:
            arguments[field.name] = None
        else:
            raise ProtocolError(f"{path}.{field.name}: missing (key {field.key})")
    return kind(**arguments)


def _plan(kind: type) -> tuple[_Field, ...]:
    plan = _plans.get(kind)
    if plan is None:
        hints = get_type_hints(kind, include_extras=True)
        plan = tuple(_field(name.name, hints[name.name]) for name in dataclasses.fields(kind))
        assert len({field.key for field in plan}) == len(plan), f"{kind}: a key is used twice"
        _plans[kind] = plan
    return plan


def _field(name: str, hint: Any) -> _Field:
    inner, *marks = get_args(hint)
    key = next(mark.number for mark in marks if isinstance(mark, Key))
    optional = isinstance(inner, types.UnionType) or type(None) in get_args(inner)
    if optional:
        (inner,) = (part for part in get_args(inner) if part is not type(None))
    convert_out, convert_in = _converters(inner, [m for m in marks if not isinstance(m, Key)])
    return _Field(name, key, optional, convert_out, convert_in)


def _converters(hint: Any, marks: list[Any]) -> tuple[Callable[[Any], Any], _Convert]:
    """Return how a value of this type goes onto the wire and comes off it."""
    while get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        marks = [*more, *marks]
    bits = next((mark for mark in marks if isinstance(mark, Bits)), None)
    if bits is not None:
        places = Range(1, 2**bits.count - 1)
        return _to_bits, lambda value, path: _from_bits(_bounded(value, path, places))
    size = next((mark for mark in marks if isinstance(mark, Size)), None)
    if get_origin(hint) is tuple:
        assert size is not None, "a list needs its greatest length"
        item_out, item_in = _converters(get_args(hint)[0], [])
        return (
            lambda items: [item_out(item) for item in items],
            lambda value, path: _items(value, path, size, item_in),
        )
    if dataclasses.is_dataclass(hint):
        return to_map, lambda value, path: from_map(hint, value, path)  # type: ignore[arg-type]  # is_dataclass also allows an instance
    return _scalar_converters(hint, marks, size)


def _scalar_converters(
    hint: Any, marks: list[Any], size: Size | None
) -> tuple[Callable[[Any], Any], _Convert]:
    if issubclass(hint, IntEnum):
        return int, lambda value, path: _member(hint, value, path)
    if hint is bool:
        return _same, lambda value, path: _typed(bool, value, path)
    if hint is int:
        bounds = next((mark for mark in marks if isinstance(mark, Range)), Range(0, INT_MAX))
        return _same, lambda value, path: _bounded(value, path, bounds)
    assert size is not None, f"{hint} needs its greatest length"
    return _same, lambda value, path: _sized(hint, value, path, size)


def _same(value: Any) -> Any:
    return value


def _typed(kind: type, value: Any, path: str) -> Any:
    if type(value) is not kind:
        raise ProtocolError(f"{path}: {kind.__name__} is needed, not {type(value).__name__}")
    return value


def _bounded(value: Any, path: str, bounds: Range) -> Any:
    if not bounds.low <= _typed(int, value, path) <= bounds.high:
        raise ProtocolError(f"{path}: {value} is not within {bounds.low} to {bounds.high}")
    return value


def _to_bits(places: tuple[int, ...]) -> int:
    return sum(1 << place for place in places)


def _from_bits(value: int) -> tuple[int, ...]:
    return tuple(place for place in range(value.bit_length()) if value >> place & 1)


def _sized(kind: type, value: Any, path: str, size: Size) -> Any:
    if not size.low <= len(_typed(kind, value, path)) <= size.high:
        raise ProtocolError(f"{path}: length {len(value)} is not within {size.low} to {size.high}")
    return value


def _member(kind: type[IntEnum], value: Any, path: str) -> IntEnum:
    _typed(int, value, path)
    try:
        return kind(value)
    except ValueError as error:
        raise ProtocolError(f"{path}: {value} is no {kind.__name__}") from error


def _items(value: Any, path: str, size: Size, item_in: _Convert) -> tuple[Any, ...]:
    _sized(list, value, path, size)
    return tuple(item_in(item, f"{path}[{index}]") for index, item in enumerate(value))
