"""The decoder takes one encoding of a value and fails in one way."""

from collections.abc import Callable
from functools import partial

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol import cbor, claim, cose, frames, sealing, sections, topics, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import SectionKind
from tests.gateway.protocol import examples, shapes

REFUSED = {
    "empty": "",
    "trailing byte": "0000",
    "trailing message": "a10100a10100",
    "truncated map": "a101",
    "truncated string": "41",
    "duplicate key": "a201000101",
    "duplicate key in depth": "a10181a201000101",
    "keys out of order": "a202000100",
    "one byte for a small number": "1805",
    "eight bytes for a small number": "1b0000000000000001",
    "long form of a key": "a1180100",
    "long form of a length": "580161",
    "long form of a list's length": "980100",
    "long form of a map's length": "b8010100",
    "indefinite list": "9f00ff",
    "indefinite map": "bf0100ff",
    "indefinite bytes": "5f4161ff",
    "indefinite text": "7f6161ff",
    "a break alone": "ff",
    "reserved length": "1c",
    "half float": "f93c00",
    "double float": "fb3ff0000000000000",
    "not a number": "f97e00",
    "null": "f6",
    "undefined": "f7",
    "simple value": "e0",
    "long form of false": "f814",
    "true as a key": "a1f500",
    "float as a key": "a1f93c0000",
    "text as a key": "a1616100",
    "bytes as a key": "a1416100",
    "list as a key": "a1810000",
    "null as a key": "a1f600",
    "tag: date": "c11a00000000",
    "tag: big number": "c249010000000000000000",
    "tag: bigger than Python prints": "c25907d0" + "ff" * 2000,
    "tag: decimal": "c4820101",
    "tag: big fraction": "c5821a3b9aca0001",
    "tag: division by zero": "d81e820100",
    "tag: regular expression": "d8236161",
    "tag: shared value in a circle": "d81c81d81d00",
    "tag: set": "d901028101",
    "tag: of COSE_Sign1": "d28440a0f640",
    "tag: self-described": "d9d9f700",
    "tag: unknown": "da7fffffff00",
    "tag in depth": "a10181c100",
    "broken UTF-8": "61ff",
    "surrogate": "63eda080",
    "text beyond ASCII": "62c3a9",
    "control character": "610a",
    "delete character": "617f",
    "a list of 2**63 items": "9b7fffffffffffffff",
    "a map of 2**63 items": "bb7fffffffffffffff",
    "2**63 bytes": "5b7fffffffffffffff",
    "ten levels": "81" * 10 + "00",
    "a thousand levels": "81" * 1000 + "00",
    "a thousand levels of maps": "a101" * 1000 + "00",
    "sixteen thousand levels": "81" * 16_000 + "00",
}

SCALARS = st.one_of(
    st.integers(), st.binary(), st.text(), st.booleans(), st.none(), st.floats(), st.decimals()
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.integers(-30, 30), st.booleans(), st.text()), inner),
        st.builds(cbor2.CBORTag, st.integers(0, 60_000), inner),
    ),
    max_leaves=12,
)

WRITTEN = st.recursive(
    st.one_of(
        st.integers(-(2**64), 2**64 - 1),
        st.binary(),
        st.text(shapes.PRINTABLE),
        st.booleans(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.integers(-24, 23), inner, max_size=3)
    ),
    max_leaves=8,
)
NOISE = st.one_of(st.binary(max_size=300), TREES.map(cbor2.dumps))


def read_everything(data: bytes) -> None:
    """Hand the bytes to every decoder there is; only ProtocolError may come of it."""
    keys = [examples.HUB_SIGNING.public_key()]
    key, secret = examples.LINK_KEY, bytes(32)
    attempts: list[Callable[[], object]] = [
        lambda: cbor.decode(data),
        lambda: cose.verify(data, keys, b""),
        lambda: frames.decode(data),
        lambda: frames.unprotect(frames.decode(data), link_key=key),
        lambda: sealing.unseal(key, sealing.LockOrder, data, purpose=sealing.LOCK_ORDER),
        lambda: sealing.read_pairing(data, secret),
        lambda: topics.parse(data.decode("latin-1")),
        lambda: claim.code_secret(data.decode("latin-1")),
        *(partial(sections.read, kind, data) for kind in SectionKind),
        *(partial(wire.decode, kind, data) for kind in shapes.wire_types()),
    ]
    texts = [""]
    for attempt in attempts:
        try:
            attempt()
        except ProtocolError as error:
            texts.append(str(error))
    assert max(map(len, texts)) < 500  # an error that is repeated in a log does not fill it


def depth(value: object) -> int:
    """Return how many lists and dicts stand inside each other."""
    if isinstance(value, dict):
        value = [*value.values()]
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    """What is not the one encoding of a value we write is refused, whatever is wrong with it."""
    with pytest.raises(ProtocolError):
        cbor.decode(bytes.fromhex(REFUSED[name]))


def test_depth_is_bounded() -> None:
    """Eight levels are read, nine are not."""
    assert cbor.decode(bytes.fromhex("81" * 8 + "00")) == [[[[[[[[0]]]]]]]]
    with pytest.raises(ProtocolError, match="depth"):
        cbor.decode(bytes.fromhex("81" * 9 + "00"))


def test_size_is_bounded() -> None:
    """16 KiB are read, one byte more is not, and the error names both."""
    fits = cbor.encode(bytes(cbor.MESSAGE_BYTES_MAX - 3))
    assert len(fits) == 16_384

    assert len(cbor.decode(fits)) == 16_381
    with pytest.raises(ProtocolError, match="16385 bytes, at most 16384"):
        cbor.decode(cbor.encode(bytes(cbor.MESSAGE_BYTES_MAX - 2)))


@given(WRITTEN.filter(lambda value: depth(value) <= cbor.DEPTH_MAX))
def test_what_we_write_is_read_back(value: object) -> None:
    """Every value that may stand on the wire survives."""
    assert cbor.decode(cbor.encode(value)) == value


@settings(max_examples=300)
@given(NOISE)
def test_noise_ends_in_the_one_error(data: bytes) -> None:
    """Whatever bytes come, every decoder returns or raises ProtocolError."""
    read_everything(data)


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(examples.GOLDEN)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=3),
    cut=st.one_of(st.none(), st.floats(0, 1)),
)
def test_damaged_messages_end_in_the_one_error(
    name: str, flips: list[tuple[float, int]], cut: float | None
) -> None:
    """A valid message with flipped bits or a missing end is read or refused, never worse."""
    data = bytearray.fromhex(examples.GOLDEN[name])
    for place, bits in flips:
        data[int(place * len(data))] ^= bits
    if cut is not None:
        del data[int(cut * len(data)) :]

    read_everything(bytes(data))
