"""Errors of the codec lead to the field that is wrong."""

from typing import Any

import pytest

from gateway.protocol import cbor, sections, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import Batch, Entry, SectionKind, Status
from tests.gateway.protocol import examples

STATUS: dict[int, Any] = wire.to_map(examples.STATUS)
LOCK: dict[int, Any] = wire.to_map(examples.STATUS.locks[0])
ENTRY: dict[int, Any] = wire.to_map(examples.ENTRIES[1])

WRONG = [
    ({**STATUS, 9: 0}, "Status: unknown key 9"),
    ({k: v for k, v in STATUS.items() if k != 2}, r"Status\.epoch: missing \(key 2\)"),
    ({**STATUS, 2: -1}, r"Status\.epoch: -1 is not within 0 to 9007199254740991"),
    ({**STATUS, 5: 1}, r"Status\.subscribed: bool is needed, not int"),
    ({**STATUS, 6: "x" * 41}, r"Status\.firmware: length 41 is not within 1 to 40"),
    ({**STATUS, 8: {}}, r"Status\.locks: list is needed, not dict"),
    ({**STATUS, 8: [LOCK] * 17}, r"Status\.locks: length 17 is not within 0 to 16"),
    ({**STATUS, 8: [LOCK, 5]}, r"Status\.locks\[1\]: a map is needed"),
    ({**STATUS, 8: [{**LOCK, 1: b"short"}]}, r"Status\.locks\[0\]\.lock_id: length 5"),
    ([], "Status: a map is needed"),
]


@pytest.mark.parametrize(("value", "text"), WRONG)
def test_error_names_the_field(value: Any, text: str) -> None:
    """The text of a refusal gives the path of the field, what came and what would do."""
    with pytest.raises(ProtocolError, match=text):
        wire.decode(Status, cbor.encode(value))


def test_error_names_the_enumeration() -> None:
    """A number that means nothing is refused with the name of what it should be."""
    with pytest.raises(ProtocolError, match=r"Batch\.entries\[0\]\.kind: 15 is no EntryKind"):
        wire.decode(Batch, cbor.encode({1: [{**ENTRY, 4: 15}]}))


def test_error_names_the_item_of_a_section() -> None:
    """In a section the text says which item is wrong."""
    item = wire.to_map(examples.ITEMS[SectionKind.PEOPLE])

    with pytest.raises(ProtocolError, match=r"Person\[1\]\.subscribed: missing"):
        sections.read(SectionKind.PEOPLE, cbor.encode({3: [item, {1: examples.PERSON}]}))


def test_none_is_left_out() -> None:
    """An optional field that is None is absent on the wire and None again after it."""
    assert 8 not in ENTRY
    assert wire.decode(Entry, cbor.encode(ENTRY)).reason is None


@pytest.mark.parametrize(
    ("places", "number"), [((0,), 1), ((5,), 32), ((0, 1), 3), ((1, 3, 5), 42), ((*range(6),), 63)]
)
def test_places_are_bits(places: tuple[int, ...], number: int) -> None:
    """The places of a grant's schedules are the bits of one integer, and come back in order."""
    grant = sections.OfflineGrant(credential_digest=examples.CREDENTIAL, schedules=places)

    data = wire.encode(grant)

    assert cbor.decode(data) == {1: examples.CREDENTIAL, 2: number}
    assert wire.decode(sections.OfflineGrant, data) == grant


def test_null_is_not_absence() -> None:
    """Null where a field may be absent is refused: there is one way to say nothing."""
    data = cbor.encode({**ENTRY, 8: None})

    with pytest.raises(ProtocolError):
        wire.decode(Entry, data)
