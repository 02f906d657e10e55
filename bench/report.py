"""Figures as a table, and the machine they were measured on."""

import os
import platform
import sqlite3
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SYNCS: Final = 200
PAGE: Final = bytes(4096)
TIMES: Final = frozenset({"s", "ms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure: the median of its rounds."""

    what: str
    rounds: Sequence[float]
    unit: str
    limit: float | None = None  # the same by the thinnest code that does it
    limit_is: str = ""
    bar: float | None = None  # what the project demands

    @property
    def figure(self) -> float:
        """The median."""
        return statistics.median(self.rounds)

    @property
    def share(self) -> float | None:
        """How much of the limit is reached; less is better for times."""
        if self.limit is None:
            return None
        return self.limit / self.figure if self.unit in TIMES else self.figure / self.limit

    @property
    def verdict(self) -> str:
        """What the bar says."""
        if self.bar is None:
            return ""
        met = self.figure <= self.bar if self.unit in TIMES else self.figure >= self.bar
        return f"bar {shown(self.bar)}: {'met' if met else 'MISSED'}"


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the value that this share of the samples does not exceed."""
    ranked = sorted(samples)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def table(title: str, lines: Sequence[Line]) -> str:
    """Return the lines as text for people."""
    head = f"{title:<46}{'median':>9} {'unit':<10}{'rounds':<16}{'limit':>9}{'share':>7}  "
    return "\n".join([head.rstrip(), *(_row(line).rstrip() for line in lines)])


def shown(value: float) -> str:
    """Return a figure with as many digits as mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _row(line: Line) -> str:
    several = len(line.rounds) > 1
    spread = f"{shown(min(line.rounds))}-{shown(max(line.rounds))}" if several else ""
    limit = "" if line.limit is None else shown(line.limit)
    share = "" if line.share is None else f"{line.share:.0%}"
    return (
        f"  {line.what:<44}{shown(line.figure):>9} {line.unit:<10}{spread:<16}{limit:>9}{share:>7}"
        f"  {'; '.join(filter(None, (line.verdict, line.limit_is)))}"
    )


def machine(folder: Path) -> str:
    """Return what the figures depend on beside our code."""
    return (
        f"{os.cpu_count()} cores ({_processor()}); "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
        f"sync of 4 KiB in {folder}: {_sync_ms(folder):.2f} ms"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(": ")[1] for line in lines if "model name" in line), "unknown")


def _sync_ms(folder: Path) -> float:
    """Return the median time until a written page is on the disk, as far as the disk tells."""
    took = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(PAGE)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return statistics.median(took) * 1000
