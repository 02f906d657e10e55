"""In CI nothing may be skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SKIPPED_TEST = "import pytest\ndef test_one(): pytest.skip('no such part')\n"
SKIPPED_FILE = "import pytest\npytest.skip('no such part', allow_module_level=True)\n"


@pytest.mark.parametrize("source", [SKIPPED_TEST, SKIPPED_FILE])
@pytest.mark.parametrize(("ci", "fails"), [("true", True), ("", False)])
def test_a_skip_fails_in_ci_and_only_there(
    tmp_path: Path, source: str, ci: str, *, fails: bool
) -> None:
    """With CI=true a skipped test or file is a failure that names the reason."""
    (tmp_path / "test_skipping.py").write_text(source)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-rs", "-c", os.devnull, tmp_path],
        cwd=ROOT,
        env=os.environ | {"CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode in {1, 2}) is fails, run.stdout
    assert "no such part" in run.stdout
