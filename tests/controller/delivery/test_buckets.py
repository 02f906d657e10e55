"""A trie of buckets is a function of its items, however it came to them."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.delivery.buckets import Trie, differences
from gateway.protocol import sections, wire
from gateway.protocol.messages import Root, SectionKind
from gateway.protocol.sections import ITEMS_MAX, SECTION_BYTES_MAX

KINDS: Final = st.sampled_from([SectionKind.PEOPLE, SectionKind.INDEX])
EDITS: Final = st.lists(  # of some neighbours each; a section is full of seven that are large
    st.builds(
        lambda first, count, groups: dict.fromkeys(range(first, first + count), groups),
        st.integers(0, 40),
        st.integers(1, 30),
        st.sampled_from([None, None, 0, 1, 100, 100]),
    ),
    max_size=10,
)


def key(number: int) -> bytes:
    """The id of an item."""
    return sha256(b"%d" % number).digest()


def item(kind: SectionKind, number: int, groups: int) -> sections.Item:
    """A person of some groups (up to 1,800 bytes), or the name of a section."""
    if kind is SectionKind.INDEX:
        return Root(kind=SectionKind(groups % 7), hash=key(number))
    return sections.Person(
        person_id=key(number)[:16],
        subscribed=True,
        group_ids=tuple(key(each)[:16] for each in range(groups)),
        credentials=(),
    )


def divided(kind: SectionKind, items: Mapping[int, int]) -> list[bytes]:
    """The sections of some items as the rule has it, written down once more."""

    def buckets(numbers: list[int], bit: int) -> Iterator[list[int]]:
        if not numbers:
            return
        told = tuple(item(kind, number, items[number]) for number in numbers)
        data = sections.build(kind, told).data
        size = sum(len(wire.encode(each)) for each in told) + 5
        items_max = 300 if kind is SectionKind.INDEX else ITEMS_MAX
        if size <= SECTION_BYTES_MAX and len(numbers) <= items_max:
            found.append(data)
            return
        yield from buckets([n for n in numbers if not path(n) >> bit & 1], bit - 1)
        yield from buckets([n for n in numbers if path(n) >> bit & 1], bit - 1)

    def path(number: int) -> int:
        return int.from_bytes(sha256(key(number)).digest())

    found: list[bytes] = []
    list(buckets(sorted(items, key=path), 255))
    return found


def trie_of(kind: SectionKind, items: Mapping[int, int | None], trie: Trie | None = None) -> Trie:
    """A trie after an edit."""
    told = {
        key(number): None if groups is None else wire.encode(item(kind, number, groups))
        for number, groups in items.items()
    }
    return (trie or Trie(kind)).edited(told)


@pytest.mark.invariant("E4")
@given(KINDS, EDITS)
def test_edits_in_any_order_lead_to_the_sections_of_the_items(
    kind: SectionKind, edits: list[dict[int, int | None]]
) -> None:
    """Buckets divide and join; what went and what came is what differs."""
    trie, items = Trie(kind), dict[int, int]()
    for edit in edits:
        before = {bucket.hash for bucket in trie.buckets()}
        edited = trie_of(kind, edit, trie)
        gone, come = differences(trie.node, edited.node)
        trie = edited
        items = {number: groups for number, groups in (items | edit).items() if groups is not None}

        assert [bucket.data for bucket in trie.buckets()] == divided(kind, items)
        after = {bucket.hash for bucket in trie.buckets()}
        assert (before - {bucket.hash for bucket in gone}) | {b.hash for b in come} == after
        assert trie.count == len(items)
        for number in edit:
            found = trie.find(key(number))
            assert (found is not None) == (number in items)


@pytest.mark.parametrize("kind", [SectionKind.PEOPLE, SectionKind.INDEX])
def test_many_small_items_divide_by_their_number(kind: SectionKind) -> None:
    """More than a section may have, and the longest head of a list."""
    items = dict.fromkeys(range(700), 0)

    trie = trie_of(kind, dict(items))

    assert [bucket.data for bucket in trie.buckets()] == divided(kind, items)
    assert len(list(trie.buckets())) > 1


def test_an_edit_that_changes_nothing_makes_no_other_trie() -> None:
    """What is told again as it is costs no section."""
    trie = trie_of(SectionKind.PEOPLE, dict.fromkeys(range(300), 3))

    assert trie_of(SectionKind.PEOPLE, {7: 3, 1_000: None}, trie).node is trie.node
