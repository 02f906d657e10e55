"""Flash: whole or not at all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.flash import FileFlash, MemoryFlash, PowerCutError, record, replay
from firmware_sim.outputs import FlashDelete, FlashOperation, FlashWrite

keys = st.sampled_from(["lease", "manifest", "entry/1", "entry/2"])
operations = st.lists(
    st.builds(FlashWrite, key=keys, data=st.binary(max_size=60)) | st.builds(FlashDelete, key=keys),
    min_size=1,
    max_size=12,
)


def done(all_of: list[FlashOperation]) -> dict[str, bytes]:
    """Return what a dict would hold."""
    held: dict[str, bytes] = {}
    for operation in all_of:
        if isinstance(operation, FlashWrite):
            held[operation.key] = operation.data
        else:
            held.pop(operation.key, None)
    return held


@given(all_of=operations)
def test_it_keeps_what_was_written_last(all_of: list[FlashOperation]) -> None:
    """A log of operations reads like a dict."""
    flash = MemoryFlash()

    flash.apply(all_of)

    assert flash.read() == done(all_of)


@given(all_of=operations, data=st.data())
def test_a_torn_write_is_as_if_it_had_not_begun(
    all_of: list[FlashOperation], data: st.DataObject
) -> None:
    """Power goes at any byte: whole operations count, the torn one does not, later ones do."""
    lengths = [len(record(operation)) for operation in all_of]
    cut_at = data.draw(st.integers(0, sum(lengths)))
    flash = MemoryFlash()
    flash.bytes_until_cut = cut_at
    with pytest.raises(PowerCutError):
        flash.apply(all_of)
    whole = [op for index, op in enumerate(all_of) if sum(lengths[: index + 1]) <= cut_at]

    assert flash.read() == done(whole)
    flash.bytes_until_cut = None
    flash.apply(all_of)
    assert flash.read() == done([*whole, *all_of])


@given(all_of=operations, place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_what_rots_is_passed_over(all_of: list[FlashOperation], place: int, bit: int) -> None:
    """One flipped bit costs one record; the copy before it counts, and nothing is made up."""
    log = bytearray(b"".join(record(operation) for operation in all_of))
    log[place % len(log)] ^= 1 << bit
    lengths = [len(record(operation)) for operation in all_of]
    hit = next(i for i in range(len(lengths)) if place % len(log) < sum(lengths[: i + 1]))

    assert replay(bytes(log)) == done(all_of[:hit] + all_of[hit + 1 :])


def test_a_file_brings_everything_back(tmp_path: Path) -> None:
    """Opened again, also after somebody wrote half a record at its end."""
    path = tmp_path / "flash"
    flash = FileFlash(path)
    flash.apply([FlashWrite(key="a", data=b"1"), FlashWrite(key="b", data=b"2")])
    flash.apply([FlashWrite(key="a", data=b"3"), FlashDelete(key="b")])
    flash.close()
    path.write_bytes(path.read_bytes() + record(FlashWrite(key="a", data=b"torn"))[:-1])

    again = FileFlash(path)

    assert again.read() == {"a": b"3"}
    again.close()


def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    """Many rewrites of one record leave a file of bounded size with the last of them."""
    path = tmp_path / "flash"
    flash = FileFlash(path)

    for number in range(600):
        flash.apply([FlashWrite(key="a", data=bytes([number % 256]) * 1000)])

    assert path.stat().st_size < 400_000
    assert flash.read() == {"a": bytes([599 % 256]) * 1000}
    flash.close()
