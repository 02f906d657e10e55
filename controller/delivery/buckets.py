"""Divides items into sections that fit into a message, so that an edit moves as few as possible.

Extendible hashing: the hash of an item's id is its path in a binary trie. A bucket that is too
large is divided by the next bit, and no other bucket notices. So the sections depend on the items
alone, not on their order or history, and an item that changes moves its own bucket, which it may
divide or join with its neighbour.

A trie is never changed: an edit makes another one that shares all buckets but those it moved, so
that an edit costs as much as it moves and two tries are compared where they differ.

Source: docs/algorithms/delivery.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self
from weakref import WeakValueDictionary

from gateway.protocol import cbor
from gateway.protocol.messages import ROOTS_MAX, Root, SectionKind
from gateway.protocol.sections import ITEMS_MAX, SECTION_BYTES_MAX

PATH_BITS: Final = 256
LEAF_BYTES: Final = 400  # about what one takes: a person with two groups and a credential
_HEAD_BYTES: Final = 5  # the map, its key and the length of the list, at their longest


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Leaf:
    """An item as it stands in a section."""

    path: int  # 256 bits, the first one decides first
    data: bytes


@dataclass(frozen=True, slots=True)
class Bucket:
    """Leaves that make one section, in the order of their paths."""

    kind: SectionKind
    leaves: tuple[Leaf, ...]
    size: int  # of the leaves' data
    hash: bytes

    @classmethod
    def of(cls, kind: SectionKind, leaves: Sequence[Leaf]) -> Self:
        """Return the bucket of some leaves in order."""
        data = _section(kind, leaves)
        size = sum(len(leaf.data) for leaf in leaves)
        return cls(kind, tuple(leaves), size, sha256(data).digest())

    @property
    def data(self) -> bytes:
        """Return the section's bytes."""
        return _section(self.kind, self.leaves)

    @property
    def root(self) -> Root:
        """Return the line that names the section."""
        return Root(kind=self.kind, hash=self.hash)


@dataclass(frozen=True, slots=True)
class Branch:
    """More leaves than fit into one section, divided by the next bit of their paths."""

    zero: "Node"
    one: "Node"
    size: int
    count: int


Node = Bucket | Branch | None

_known: WeakValueDictionary[bytes, Leaf] = WeakValueDictionary()
"""All leaves that are in use: hubs that are told the same of somebody share it."""


@dataclass(frozen=True, slots=True)
class Trie:
    """The items of a kind, divided into sections."""

    kind: SectionKind
    node: Node = None

    def edited(self, items: Mapping[bytes, bytes | None]) -> "Trie":
        """Return the trie after items have come, changed, or gone.

        Args:
            items: Each as it stands in a section, by the id that tells it from all others; None is
                gone.
        """
        paths = ((path_of(key), data) for key, data in items.items())
        changes = [(path, None if data is None else _leaf(path, data)) for path, data in paths]
        changes.sort(key=lambda change: change[0])
        return Trie(self.kind, self._edited(self.node, changes, PATH_BITS - 1))

    def find(self, key: bytes) -> bytes | None:
        """Return the data of the item with this id."""
        path, node, bit = path_of(key), self.node, PATH_BITS - 1
        while isinstance(node, Branch):
            node = node.one if path >> bit & 1 else node.zero
            bit -= 1
        leaves = () if node is None else node.leaves
        return next((leaf.data for leaf in leaves if leaf.path == path), None)

    @property
    def count(self) -> int:
        """Return how many items there are."""
        return _count(self.node)

    def buckets(self) -> Iterator[Bucket]:
        """Return all buckets in the order of their paths."""
        return _buckets(self.node)

    def leaves(self) -> Iterator[Leaf]:
        """Return all leaves in the order of their paths."""
        return (leaf for bucket in self.buckets() for leaf in bucket.leaves)

    def _edited(self, node: Node, changes: list[tuple[int, Leaf | None]], bit: int) -> Node:
        if not changes:
            return node
        if isinstance(node, Branch):
            half = next((n for n, (path, _) in enumerate(changes) if path >> bit & 1), len(changes))
            zero = self._edited(node.zero, changes[:half], bit - 1)
            one = self._edited(node.one, changes[half:], bit - 1)
            if zero is node.zero and one is node.one:
                return node
            return self._joined(zero, one)
        before = () if node is None else node.leaves
        after = {leaf.path: leaf for leaf in before}
        for path, leaf in changes:
            if leaf is None:
                after.pop(path, None)
            else:
                after[path] = leaf
        leaves = sorted(after.values(), key=lambda leaf: leaf.path)
        return node if tuple(leaves) == before else self._divided(leaves, bit)

    def _divided(self, leaves: Sequence[Leaf], bit: int) -> Node:
        if not leaves:
            return None
        size = sum(len(leaf.data) for leaf in leaves)
        if self._fits(size, len(leaves)):
            return Bucket.of(self.kind, leaves)
        assert len(leaves) > 1, "one item alone is larger than a section"
        half = next((n for n, leaf in enumerate(leaves) if leaf.path >> bit & 1), len(leaves))
        zero = self._divided(leaves[:half], bit - 1)
        one = self._divided(leaves[half:], bit - 1)
        return Branch(zero, one, size, len(leaves))

    def _joined(self, zero: Node, one: Node) -> Node:
        """Return two halves as one bucket where that fits."""
        size, count = _size(zero) + _size(one), _count(zero) + _count(one)
        if count == 0:
            return None
        if self._fits(size, count):
            leaves = [
                leaf for node in (zero, one) for each in _buckets(node) for leaf in each.leaves
            ]
            return Bucket.of(self.kind, leaves)
        return Branch(zero, one, size, count)

    def _fits(self, size: int, count: int) -> bool:
        items_max = ROOTS_MAX if self.kind is SectionKind.INDEX else ITEMS_MAX
        return size + _HEAD_BYTES <= SECTION_BYTES_MAX and count <= items_max


def path_of(key: bytes) -> int:
    """Return where the item with this id stands."""
    return int.from_bytes(sha256(key).digest())


def bytes_in_use() -> int:
    """Return about how many bytes of memory all leaves take."""
    return len(_known) * LEAF_BYTES


def differences(before: Node, after: Node) -> tuple[list[Bucket], list[Bucket]]:
    """Return the buckets that only one of two tries has: those that went, those that came."""
    if before is after:
        return [], []
    if isinstance(before, Branch) and isinstance(after, Branch):
        gone, come = differences(before.zero, after.zero)
        more_gone, more_come = differences(before.one, after.one)
        return gone + more_gone, come + more_come
    return list(_buckets(before)), list(_buckets(after))


def _leaf(path: int, data: bytes) -> Leaf:
    return _known.setdefault(data, Leaf(path, data))


def _buckets(node: Node) -> Iterator[Bucket]:
    if isinstance(node, Branch):
        yield from _buckets(node.zero)
        yield from _buckets(node.one)
    elif node is not None:
        yield node


def _size(node: Node) -> int:
    return 0 if node is None else node.size


def _count(node: Node) -> int:
    if isinstance(node, Bucket):
        return len(node.leaves)
    return 0 if node is None else node.count


def _section(kind: SectionKind, leaves: Sequence[Leaf]) -> bytes:
    """Return what ``sections.build`` does, from items that are encoded already."""
    head = cbor.encode({int(kind): []})[:-1] + _list_head(len(leaves))
    return b"".join([head, *(leaf.data for leaf in leaves)])


def _list_head(count: int) -> bytes:
    """Return how CBOR begins a list (RFC 8949 section 3)."""
    if count < 24:  # noqa: PLR2004 - of CBOR
        return bytes([0x80 | count])
    if count < 256:  # noqa: PLR2004 - of CBOR
        return bytes([0x98, count])
    return b"\x99" + count.to_bytes(2)
