"""Budgets and bans that keep the house in order. Each message says what to do instead."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("controller", "firmware_sim", "gateway", "vouchers")

FUNCTION_LINES_MAX: Final = 50
FILE_LINES_MAX: Final = 400
TEST_FILE_LINES_MAX: Final = 600

# Calls that only the named files may make: they are the ports' real implementations, or start
# the program.
BANNED: Final = {
    r"\bdatetime\.(now|utcnow|today)\(": {"controller/clock.py", "firmware_sim/clock.py"},
    r"\btime\.(time|monotonic|time_ns)\(": {"controller/clock.py", "firmware_sim/clock.py"},
    r"\btime\.sleep\(": set(),
    r"^\s*(import random|from random import)": set(),
    r"^\s*(import secrets|from secrets import)|os\.urandom\(": {
        "controller/chance.py",
        "firmware_sim/chance.py",
    },
    r"\.commit\(\)": {"controller/db/engine.py"},
    # Only where a foreign coroutine must be waited for to its end although we are cancelled.
    r"asyncio\.create_task\(|ensure_future\(": {
        "controller/db/engine.py",
        "firmware_sim/link.py",
        "gateway/session.py",
    },
    r"asyncio\.Queue\(\)|queue\.Queue\(\)": set(),
    r"except (Exception|BaseException)?:\s*(pass|\.\.\.)\s*$|except:\s*$": set(),
}
FORBIDDEN_MODULE_NAMES: Final = {"utils", "util", "common", "helpers", "helper", "core", "manager"}


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def _sources() -> list[Path]:
    return [
        path
        for path in _tracked("*.py")
        if path.relative_to(ROOT).parts[0] in PACKAGES and "versions" not in path.parts
    ]


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_functions_are_short() -> None:
    """A function that does not fit on a screen has a second function in it."""
    long = [
        f"{_name(path)}:{function.lineno} {function.name} has {lines} lines: split it"
        for path in _sources()
        for function in _functions(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert long == []


def test_files_are_short() -> None:
    """A file that is too long has a second room in it."""
    long = [
        f"{_name(path)} has {lines} lines, at most {most}: find the second room"
        for path in [*_sources(), *_tracked("tests/*.py", "bench/*.py")]
        for most in [TEST_FILE_LINES_MAX if "tests" in path.parts else FILE_LINES_MAX]
        if (lines := len(path.read_text().splitlines())) > most
    ]

    assert long == []


@pytest.mark.parametrize("pattern", BANNED)
def test_nothing_banned_is_called(pattern: str) -> None:
    """Time, chance, tasks and commits have one place each; everybody else gets them handed in."""
    allowed = BANNED[pattern]
    found = [
        f"{_name(path)}:{number} {line.strip()}: take it as an argument"
        for path in _sources()
        if _name(path) not in allowed
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]

    assert found == []


def test_no_module_is_a_drawer() -> None:
    """A module is named after what is in it."""
    drawers = [_name(path) for path in _sources() if path.stem in FORBIDDEN_MODULE_NAMES]

    assert drawers == []


def test_our_own_code_is_not_mocked() -> None:
    """Tests use the real parts."""
    mocking = [
        _name(path)
        for path in _tracked("tests/*.py")
        if path != Path(__file__)
        and re.search(r"unittest\.mock|from mock|MagicMock|monkeypatch\.setattr", path.read_text())
    ]

    assert mocking == []


def test_tests_do_not_sleep() -> None:
    """A test waits for a condition with a deadline, not for time to pass."""
    sleeping = [
        f"{_name(path)}:{number}"
        for path in _tracked("tests/*.py")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"time\.sleep\(", line)
    ]

    assert sleeping == []


def test_every_test_states_a_fact() -> None:
    """The docstring of a test is the fact that it shows."""
    silent = [
        f"{_name(path)}:{function.lineno} {function.name}"
        for path in _tracked("tests/*.py")
        for function in _functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]

    assert silent == []


def test_no_registry_host_and_no_machine_path_is_committed() -> None:
    """A clone works anywhere: nothing names where its packages or its author lived."""
    pattern = re.compile(
        r"https?://[^ \"]*(/simple/|/packages/[0-9a-f]{2}/)|--(extra-)?index-url|--find-links"
        r"|(^|[^A-Za-z.~])/(work|farm|root)/"
    )
    found = [
        f"{_name(path)}:{number}"
        for path in _tracked()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]

    assert found == []
