"""One process a data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
PID_WIDTH = 20  # always as wide, so that a shorter number covers a longer one


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


@contextmanager
def data_directory(path: Path) -> Iterator[Path]:
    """Hold a data directory, made if it is missing, until the block ends.

    The kernel frees the lock with the process, however that ends.

    Raises:
        DataDirectoryError: It is in use, read-only, full or no directory.
    """
    try:
        path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _lock(path, descriptor)
        yield path
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, PID_WIDTH, 0).decode("ascii", "replace").strip() or "unknown"
        raise DataDirectoryError(
            f"data directory {path} is in use by process {holder}; stop that one, "
            "or give this one its own with DOORWARD_DATA_DIR"
        ) from error
    try:
        os.pwrite(descriptor, f"{os.getpid():<{PID_WIDTH}}\n".encode(), 0)
        os.fsync(descriptor)  # a full disk shows here, not in the middle of the work
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> DataDirectoryError:
    return DataDirectoryError(
        f"data directory {path} cannot be written ({error.strerror}); free or mount it writable, "
        "or name another with DOORWARD_DATA_DIR"
    )
