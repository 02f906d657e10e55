"""doorward.cddl and the dataclasses say the same."""

import re
from enum import IntEnum
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cddl_verifier import Validator, schema_diagnostics
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol import messages, sealing, sections, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.frames import FrameKind
from gateway.protocol.messages import SectionKind
from gateway.protocol.topics import DownKind, UpKind
from tests.gateway.protocol import shapes

CDDL = Path(__file__).parents[3] / "gateway/protocol/doorward.cddl"
TEXT = CDDL.read_text(encoding="utf-8")
VALIDATOR = Validator(CDDL)
MAP_RULE = re.compile(r"^([a-z-]+) = \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^  (\? )?(-?\d+): .*, ; (\w+)", re.MULTILINE)
CHOICE_RULE = re.compile(r"^([a-z-]+) =\n((?:  \d+ .*\n)+)", re.MULTILINE)
CHOICE = re.compile(r"^  (\d+) .*; ([A-Z_]+)", re.MULTILINE)
ENUMERATIONS: tuple[type[IntEnum], ...] = (
    messages.EntryKind,
    messages.DenyReason,
    messages.CommandOutcome,
    messages.CredentialKind,
    messages.LockMode,
    sections.OfficeMode,
    sealing.OrderKind,
    SectionKind,
    FrameKind,
)

each_type = pytest.mark.parametrize("kind", shapes.wire_types(), ids=shapes.rule_of)
each_section = pytest.mark.parametrize("kind", SectionKind)

ANYTHING = st.one_of(
    st.integers(-2, 2**64),
    st.booleans(),
    st.none(),
    st.floats(),
    st.binary(max_size=40),
    st.text(max_size=40),
    st.just([]),
    st.just({}),
)


def cddl_takes(rule: str, data: bytes) -> bool:
    """Return whether the CDDL accepts these bytes."""
    return bool(VALIDATOR.validate(data, root_type=rule).valid)


def we_take(kind: type, data: bytes) -> bool:
    """Return whether our decoder accepts these bytes."""
    try:
        wire.decode(kind, data)
    except ProtocolError:
        return False
    return True


def we_take_section(kind: SectionKind, data: bytes) -> bool:
    """Return whether our decoder accepts these bytes as a section."""
    try:
        sections.read(kind, data)
    except ProtocolError:
        return False
    return True


def section_rule(kind: SectionKind) -> str:
    """Return the name of the CDDL rule of a section."""
    return f"section-{kind.name.lower().replace('_', '-')}"


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """Draw a value with one thing in it changed, anywhere."""
    if not value or not isinstance(value, dict | list):
        return draw(ANYTHING)
    pairs = [*(value.items() if isinstance(value, dict) else enumerate(value))]
    key, held = draw(st.sampled_from(pairs))
    others = [pair for pair in pairs if pair[0] != key]
    changed = draw(
        st.one_of(
            mutated(held).map(lambda new: [*others, (key, new)]),
            st.just(others),
            st.tuples(st.integers(-2, 30), ANYTHING).map(lambda new: [*pairs, new]),
        )
    )
    return dict(changed) if isinstance(value, dict) else [held for _, held in changed]


def test_cddl_is_well_formed() -> None:
    """The CDDL names nothing that it does not define."""
    assert schema_diagnostics(CDDL) == ()


def test_types_and_rules_are_the_same_set() -> None:
    """No wire type lacks a rule, and no rule of a map lacks a wire type."""
    rules = {name for name, _ in MAP_RULE.findall(TEXT)} - {"protected-header"}

    assert rules == {shapes.rule_of(kind) for kind in shapes.wire_types()}


@each_type
def test_fields_stand_in_the_cddl(kind: type) -> None:
    """Name, key and optionality of every field are the same in both, in the same order."""
    body = dict(MAP_RULE.findall(TEXT))[shapes.rule_of(kind)]

    written = [(name, int(key), bool(mark)) for mark, key, name in LINE.findall(body)]

    assert written == [(line.name, line.key, line.optional) for line in shapes.fields(kind)]


@pytest.mark.parametrize("enumeration", ENUMERATIONS)
def test_enumerations_stand_in_the_cddl(enumeration: type[IntEnum]) -> None:
    """Every member of an enumeration has its line, in the order of the numbers."""
    rule = re.sub(r"(?<!^)(?=[A-Z])", "-", enumeration.__name__).lower()
    body = dict(CHOICE_RULE.findall(TEXT))[rule]

    assert [(name, int(number)) for number, name in CHOICE.findall(body)] == [
        (member.name, member.value) for member in enumeration
    ]
    assert [*enumeration] == sorted(enumeration)


def test_every_topic_has_a_rule() -> None:
    """What travels on a topic is said for each kind of both directions, and for no other."""
    rules = set(re.findall(r"^((?:up|down)-\w+) =", TEXT, re.MULTILINE))

    assert rules == {f"up-{kind}" for kind in UpKind} | {f"down-{kind}" for kind in DownKind}


def test_privileges_stand_in_the_cddl() -> None:
    """Every privilege has a bit of its own, and the rule names all of them."""
    names = " ".join(f"{each.value} {each.name}," for each in sections.Privilege).rstrip(",")

    assert f"privileges = 0..{sections.PRIVILEGES_MAX} ; sum of {names}\n" in TEXT
    assert sum(sections.Privilege) == sections.PRIVILEGES_MAX


@each_type
def test_fields_stand_in_the_order_of_their_keys(kind: type) -> None:
    """A reader of the source finds a message's fields in the order of their bytes."""
    keys = [line.key for line in shapes.fields(kind)]

    assert keys == sorted(keys)


@each_type
def test_bounds_are_the_same(kind: type) -> None:
    """At both sides of every bound of every field, decoder and CDDL give the right verdict."""
    smallest = shapes.least(shapes.Shape(of=kind))
    for line in shapes.fields(kind):
        for value, inside in shapes.edges(line.shape):
            data = cbor2.dumps({**smallest, line.key: value}, canonical=True)
            verdicts = we_take(kind, data), cddl_takes(shapes.rule_of(kind), data)
            assert verdicts == (inside, inside), f"{line.name} = {value!r:.60}"


@each_type
def test_maps_are_closed(kind: type) -> None:
    """A missing field is refused unless it is optional, and every unknown key is."""
    full = {line.key: shapes.least(line.shape) for line in shapes.fields(kind)}
    without = [({k: v for k, v in full.items() if k != f.key}, f) for f in shapes.fields(kind)]
    cases: list[tuple[Any, bool]] = [(full, True)]
    cases += [(value, line.optional) for value, line in without]
    cases += [({**full, key: 0}, False) for key in (-1, 0, 23, 24, 2**64 - 1, "a", b"a", 1.5)]
    for value, fine in cases:
        data = cbor2.dumps(value, canonical=True)
        verdicts = we_take(kind, data), cddl_takes(shapes.rule_of(kind), data)
        assert verdicts == (fine, fine), value


@each_type
@settings(max_examples=25)
@given(data=st.data())
def test_random_messages_pass_both(kind: type, data: st.DataObject) -> None:
    """Whatever the annotations allow survives our codec unchanged and validates."""
    value = data.draw(shapes.drawn_map(kind))

    message: object = wire.from_map(kind, value)
    encoded = wire.encode(message)

    assert cddl_takes(shapes.rule_of(kind), encoded)
    assert encoded == cbor2.dumps(value, canonical=True)
    assert wire.decode(kind, encoded) == message


@each_type
@settings(max_examples=25)
@given(data=st.data())
def test_decoder_and_cddl_agree_on_altered_messages(kind: type, data: st.DataObject) -> None:
    """After any change inside a message, decoder and CDDL give the same verdict."""
    value = data.draw(mutated(data.draw(shapes.drawn_map(kind))))
    encoded = cbor2.dumps(value, canonical=True)

    assert we_take(kind, encoded) == cddl_takes(shapes.rule_of(kind), encoded)


@each_section
@settings(max_examples=25)
@given(data=st.data())
def test_decoder_and_cddl_agree_on_sections(kind: SectionKind, data: st.DataObject) -> None:
    """A section, sound or altered, gets the same verdict from decoder and CDDL."""
    items = data.draw(st.lists(shapes.drawn_map(sections.ITEM_TYPES[kind]), max_size=2))
    value = data.draw(st.one_of(st.just({int(kind): items}), mutated({int(kind): items})))
    encoded = cbor2.dumps(value, canonical=True)

    assert we_take_section(kind, encoded) == cddl_takes(section_rule(kind), encoded)


@each_section
def test_item_counts_of_sections_are_the_same(kind: SectionKind) -> None:
    """Decoder and CDDL count the items of a section alike."""
    item = shapes.least(shapes.Shape(of=sections.ITEM_TYPES[kind]))
    for count in (0, 1, 2, messages.ROOTS_MAX, messages.ROOTS_MAX + 1):
        data = cbor2.dumps({int(kind): [item] * count}, canonical=True)
        if len(data) <= sections.bytes_max(kind):
            assert we_take_section(kind, data) == cddl_takes(section_rule(kind), data), count
