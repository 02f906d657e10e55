"""The wire types taken apart by their annotations, so that no test lists their fields by hand."""

import dataclasses
import re
import types
from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from gateway.protocol import claim, frames, messages, phone, sealing, sections
from gateway.protocol.wire import INT_MAX, Bits, Key, Range, Size

MODULES = (messages, sections, frames, sealing, phone, claim)
PREFIXES = {frames.__name__: "frame-", phone.__name__: "phone-"}
LIST_ITEMS_DRAWN_MAX = 3
BYTES_DRAWN_MAX = 40
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a value on the wire looks like."""

    of: Any  # int, bool, bytes, str, list, an IntEnum or a wire type
    low: int = 0
    high: int = INT_MAX
    holes: tuple[int, ...] = ()  # numbers in between that mean nothing
    item: "Shape | None" = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One line of a wire type."""

    name: str
    key: int
    optional: bool
    shape: Shape


def wire_types() -> list[type]:
    """Return every dataclass that is a map on the wire, in the order of the source."""
    return [
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__ and _on_the_wire(kind)
    ]


def rule_of(kind: type) -> str:
    """Return the name of the CDDL rule of a wire type."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
    return PREFIXES.get(kind.__module__, "") + name


def fields(kind: type) -> list[Field]:
    """Return the lines of a wire type, read from its annotations."""
    hints = get_type_hints(kind, include_extras=True)
    return [_field(field.name, hints[field.name]) for field in dataclasses.fields(kind)]


def least(shape: Shape) -> Any:
    """Return the smallest value of a shape, as it stands on the wire."""
    if shape.item is not None:
        return [least(shape.item)] * shape.low
    if dataclasses.is_dataclass(shape.of):
        return {f.key: least(f.shape) for f in fields(shape.of) if not f.optional}  # type: ignore[arg-type]  # never an instance
    by_type = {bool: False, bytes: bytes(shape.low), str: "x" * shape.low}
    return by_type.get(shape.of, shape.low)


def edges(shape: Shape) -> Iterator[tuple[Any, bool]]:
    """Yield values on both sides of every bound of a shape, and whether each is inside."""
    yield least(shape), True
    yield None, False
    yield 1.0, False
    if shape.item is not None:
        item = least(shape.item)
        yield [item] * shape.high, True
        yield [item] * (shape.high + 1), False
        yield from (([item] * (shape.low - 1), False) for _ in range(min(shape.low, 1)))
        yield from (([wrong], False) for wrong, inside in edges(shape.item) if not inside)
        yield {}, False
    elif dataclasses.is_dataclass(shape.of):
        yield {}, False
        yield [], False
    elif shape.of is bool:
        yield from [(True, True), (0, False), (1, False)]
    elif shape.of in (bytes, str):
        yield from _string_edges(shape)
    else:
        yield from [(shape.high, True), (shape.low - 1, False), (shape.high + 1, False)]
        yield from ((hole, False) for hole in shape.holes)
        yield from [(True, False), (b"", False), (str(shape.low), False)]


def drawn(shape: Shape) -> st.SearchStrategy[Any]:
    """Return a strategy of values of a shape, as they stand on the wire."""
    if shape.item is not None:
        most = min(shape.high, shape.low + LIST_ITEMS_DRAWN_MAX)
        return st.lists(drawn(shape.item), min_size=shape.low, max_size=most)
    if dataclasses.is_dataclass(shape.of):
        return drawn_map(shape.of)  # type: ignore[arg-type]  # never an instance
    if shape.of is bool:
        return st.booleans()
    if shape.of is bytes:
        most = max(shape.low, min(shape.high, BYTES_DRAWN_MAX))
        return st.binary(min_size=shape.low, max_size=most)
    if shape.of is str:
        return st.text(PRINTABLE, min_size=shape.low, max_size=shape.high)
    return st.integers(shape.low, shape.high).filter(lambda number: number not in shape.holes)


def drawn_map(kind: type) -> st.SearchStrategy[dict[int, Any]]:
    """Return a strategy of maps of a wire type, with some of its optional fields."""
    lines = fields(kind)
    return st.fixed_dictionaries(
        {line.key: drawn(line.shape) for line in lines if not line.optional},
        optional={line.key: drawn(line.shape) for line in lines if line.optional},
    )


def _on_the_wire(kind: type) -> bool:
    if not dataclasses.is_dataclass(kind):
        return False
    hints = get_type_hints(kind, include_extras=True).values()
    return all(any(isinstance(mark, Key) for mark in get_args(hint)) for hint in hints)


def _field(name: str, hint: Any) -> Field:
    inner, *marks = get_args(hint)
    key = next(mark.number for mark in marks if isinstance(mark, Key))
    parts = get_args(inner)
    optional = isinstance(inner, types.UnionType) or type(None) in parts
    if optional:
        inner = next(part for part in parts if part is not type(None))
    return Field(name=name, key=key, optional=optional, shape=_shape(inner, marks))


def _shape(hint: Any, marks: list[Any]) -> Shape:
    while get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        marks = [*more, *marks]
    bits = next((mark for mark in marks if isinstance(mark, Bits)), None)
    if bits is not None:
        return Shape(of=int, low=1, high=2**bits.count - 1)
    bounds = next((mark for mark in marks if isinstance(mark, Range | Size)), Range(0, INT_MAX))
    if get_origin(hint) is tuple:
        item = _shape(get_args(hint)[0], [])
        return Shape(of=list, low=bounds.low, high=bounds.high, item=item)
    if issubclass(hint, IntEnum):
        low, high = min(hint), max(hint)
        holes = tuple({*range(low, high)} - {*hint})
        return Shape(of=hint, low=low, high=high, holes=holes)
    return Shape(of=hint, low=bounds.low, high=bounds.high)


def _string_edges(shape: Shape) -> Iterator[tuple[Any, bool]]:
    unit: Any = b"x" if shape.of is bytes else "x"
    yield unit * shape.high, True
    yield unit * (shape.high + 1), False
    if shape.low:
        yield unit * (shape.low - 1), False
    if shape.of is str:
        yield from [("\n" * shape.high, False), ("é" * shape.low, False), ("\x7f", False)]
    yield ("x" if shape.of is bytes else b"x") * shape.low, False
