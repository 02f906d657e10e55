"""Flash that survives power cuts: every record is there whole, old or new, and never a mix.

Records are appended, each with a CRC; the last whole one of a key counts. What a power cut tore,
or what rotted, fails its CRC and is skipped, so the previous copy counts again.
"""

import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from firmware_sim.outputs import FlashDelete, FlashOperation, FlashWrite

_MAGIC: Final = b"\xd0\x0f"
_HEAD: Final = struct.Struct(">2sIIBB")  # magic, CRC of the rest, length, key length, is there data
_CRC_FROM: Final = 6
_GARBAGE_BYTES_MAX: Final = 256 * 1024  # more than this and most of the log: time to compact


class PowerCutError(Exception):
    """The power went in the middle of a flash operation."""


class Flash(Protocol):
    """Where a device keeps what must survive."""

    def read(self) -> dict[str, bytes]:
        """Return every record by its key."""
        ...

    def apply(self, operations: Sequence[FlashOperation]) -> None:
        """Do these in order; when it returns they are durable."""
        ...


class MemoryFlash:
    """Flash in memory, for tests: it forgets nothing when the power goes, and can tear writes."""

    def __init__(self, log: bytes = b"") -> None:
        self.log = log
        self.bytes_until_cut: int | None = None  # how much is still written before the power goes

    def read(self) -> dict[str, bytes]:
        """Return every record by its key."""
        return replay(self.log)

    def apply(self, operations: Sequence[FlashOperation]) -> None:
        """Append the operations.

        Raises:
            PowerCutError: ``bytes_until_cut`` came to nothing; what was written stays.
        """
        written = b"".join(record(operation) for operation in operations)
        if self.bytes_until_cut is None or not written:
            self.log += written
            return
        written = written[: self.bytes_until_cut]
        self.bytes_until_cut -= len(written)
        self.log += written
        if self.bytes_until_cut == 0:
            raise PowerCutError


class FileFlash:
    """Flash in a file, synced once for all operations of a step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        log = path.read_bytes() if path.exists() else b""
        self._records = replay(log)
        self._compact()

    def read(self) -> dict[str, bytes]:
        """Return every record by its key."""
        return dict(self._records)

    def apply(self, operations: Sequence[FlashOperation]) -> None:
        """Append the operations and sync."""
        if not operations:
            return
        written = b"".join(record(operation) for operation in operations)
        self._file.write(written)
        os.fsync(self._file.fileno())
        for operation in operations:
            _take(self._records, operation)
        self._size += len(written)
        if self._size > _GARBAGE_BYTES_MAX + 2 * self._live_size:
            self.close()
            self._compact()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _compact(self) -> None:
        """Write what counts into a new file, then put it in the old one's place."""
        live = _written(self._records)
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(live)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._live_size = self._size = len(live)
        self._file = self._path.open("ab", buffering=0)


def record(operation: FlashOperation) -> bytes:
    """Return an operation as it is appended to the log."""
    key = operation.key.encode()
    data = operation.data if isinstance(operation, FlashWrite) else b""
    tail = key + data
    head = _HEAD.pack(_MAGIC, 0, len(tail), len(key), isinstance(operation, FlashWrite))
    crc = zlib.crc32(head[_CRC_FROM:] + tail)
    return head[:2] + crc.to_bytes(4) + head[_CRC_FROM:] + tail


def replay(log: bytes) -> dict[str, bytes]:
    """Return every record of a log by its key, passing over what is torn or rotten."""
    records: dict[str, bytes] = {}
    at = log.find(_MAGIC)
    while 0 <= at <= len(log) - _HEAD.size:
        _, crc, length, key_length, has_data = _HEAD.unpack_from(log, at)
        end = at + _HEAD.size + length
        if end <= len(log) and zlib.crc32(log[at + _CRC_FROM : end]) == crc:
            tail = log[at + _HEAD.size : end]
            key, data = tail[:key_length].decode(), tail[key_length:]
            _take(records, FlashWrite(key=key, data=data) if has_data else FlashDelete(key=key))
            at = log.find(_MAGIC, end)
        else:
            at = log.find(_MAGIC, at + 1)
    return records


def _take(records: dict[str, bytes], operation: FlashOperation) -> None:
    if isinstance(operation, FlashWrite):
        records[operation.key] = operation.data
    else:
        records.pop(operation.key, None)


def _written(records: Mapping[str, bytes]) -> bytes:
    return b"".join(record(FlashWrite(key=key, data=data)) for key, data in records.items())
