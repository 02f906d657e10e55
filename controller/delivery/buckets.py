"""Divides items into sections that fit into a message, so that an edit moves as few as possible.

Extendible hashing: the hash of an item's id is its path in a binary trie. A bucket that is too
large is divided by the next bit, and no other bucket notices. So the sections depend on the items
alone, not on their order or history, and an item that changes moves its own bucket, which it may
divide or join with its neighbour.

Source: docs/algorithms/delivery.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.protocol import cbor, sections, wire
from gateway.protocol.messages import ROOTS_MAX, SectionKind
from gateway.protocol.sections import ITEMS_MAX, SECTION_BYTES_MAX, Item, Section

_HEAD_BYTES: Final = 5  # the map, its key and the length of the list, at their longest


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: int  # 256 bits, the first one decides first
    size: int
    item: Item


def divide(kind: SectionKind, items: Iterable[tuple[bytes, Item]]) -> list[Section]:
    """Return sections of at most 12 KiB that hold the items, none for no items.

    Args:
        kind: What the items are.
        items: Each with its id, which must tell any two apart.
    """
    leaves = [
        _Leaf(int.from_bytes(sha256(key).digest()), len(cbor.encode(wire.to_map(item))), item)
        for key, item in items
    ]
    leaves.sort(key=lambda leaf: leaf.path)
    items_max = ROOTS_MAX if kind is SectionKind.INDEX else ITEMS_MAX
    return [
        sections.build(kind, tuple(leaf.item for leaf in bucket))
        for bucket in _buckets(leaves, items_max, bit=255)
    ]


def _buckets(leaves: Sequence[_Leaf], items_max: int, *, bit: int) -> Iterator[Sequence[_Leaf]]:
    if not leaves:
        return
    size = sum(leaf.size for leaf in leaves) + _HEAD_BYTES
    if size <= SECTION_BYTES_MAX and len(leaves) <= items_max:
        yield leaves
        return
    assert len(leaves) > 1, "one item alone is larger than a section"
    half = next((n for n, leaf in enumerate(leaves) if leaf.path >> bit & 1), len(leaves))
    yield from _buckets(leaves[:half], items_max, bit=bit - 1)
    yield from _buckets(leaves[half:], items_max, bit=bit - 1)
