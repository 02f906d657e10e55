"""One process a data directory, and a clear word about why not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.db.lock import DataDirectoryError, data_directory

HOLD = """
import sys
from pathlib import Path
from controller.db.lock import data_directory
with data_directory(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TRY = """
import sys
from pathlib import Path
from controller.db.lock import DataDirectoryError, data_directory
try:
    with data_directory(Path(sys.argv[1])):
        print("held")
except DataDirectoryError as error:
    print(error)
"""


def test_a_missing_directory_is_made_private(tmp_path: Path) -> None:
    """Nobody else may look into it."""
    with data_directory(tmp_path / "new" / "data") as path:
        assert path.stat().st_mode & 0o777 == 0o700
        assert (path / "lock").read_text().strip() == str(os.getpid())


def test_it_can_be_used_again_after_use(tmp_path: Path) -> None:
    """The lock ends with its block."""
    for _ in range(2):
        with data_directory(tmp_path):
            pass


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    """The refusal names process and remedy; kill -9 of the holder frees the directory."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(DataDirectoryError, match=f"in use by process {holder.pid}; stop"),
            data_directory(tmp_path),
        ):
            pass
        holder.kill()

    with data_directory(tmp_path):
        pass


def test_a_directory_on_a_full_disk_is_refused(tmp_path: Path) -> None:
    """No room is told at start."""
    (tmp_path / "lock").symlink_to("/dev/full")

    with pytest.raises(DataDirectoryError, match="No space left"), data_directory(tmp_path):
        pass


def test_a_read_only_directory_is_refused(tmp_path: Path) -> None:
    """No right to write is told at start, with the remedy."""
    answer = subprocess.run(
        [sys.executable, "-c", TRY, _read_only(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "cannot be written (" in answer.stdout
    assert "DOORWARD_DATA_DIR" in answer.stdout


def _read_only(directory: Path) -> Path:
    """Return a directory that the account running the tests cannot write."""
    if os.geteuid() == 0:
        return Path("/proc/1/doorward")  # root writes anywhere but here
    directory.chmod(0o500)
    return directory


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """A path that is no directory is told as such."""
    (tmp_path / "data").write_text("x")

    with pytest.raises(DataDirectoryError, match="File exists"), data_directory(tmp_path / "data"):
        pass
