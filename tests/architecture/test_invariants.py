"""docs/invariants.md and the tests name the same rules."""

import re
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
ID: Final = re.compile(r"[A-Z]\d+")


def _promised() -> set[str]:
    page = (ROOT / "docs" / "invariants.md").read_text()
    return set(re.findall(r"^\| ([A-Z]\d+) \|", page, re.MULTILINE))


def _defended() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "tests/*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    marks = [
        mark
        for line in listed.stdout.splitlines()
        if (ROOT / line).exists()
        for mark in re.findall(r"mark\.invariant\(([^)]*)\)", (ROOT / line).read_text())
    ]
    return {name for mark in marks for name in ID.findall(mark)}


def test_every_promise_has_a_test() -> None:
    """Each id of the page is the marker of some test."""
    assert _promised() - _defended() == set()


def test_every_marker_is_a_promise() -> None:
    """A test names no rule that the page does not state."""
    assert _defended() - _promised() == set()
