"""Every benchmark runs to its end on the real program; how fast, the next one who looks may say."""

from pathlib import Path

import pytest

from bench import decision, entries, expiry, redeems, sync
from bench.report import Line, machine, table


def shares(lines: list[Line]) -> list[bool]:
    """Whether each figure that has a limit is a share of it that can be."""
    return [line.share > 0 for line in lines if line.share is not None]


async def test_redeems(tmp_path: Path) -> None:
    """Redeems are counted on one site and on many, and one racer of fifty wins."""
    lines = await redeems.measure(tmp_path, redeems.Size(redeems=4, sites=2, rounds=1))

    assert [line.unit for line in lines] == ["redeems/s", "redeems/s", "winner"] * 2
    assert [line.figure for line in lines if line.unit == "winner"] == [1, 1]
    assert shares(lines) == [True] * 4


async def test_entries(tmp_path: Path) -> None:
    """Entries go from signed batch to checked acknowledgement, and as many are stored."""
    lines = await entries.measure(tmp_path, entries.Size(hubs=2, batches=6, rounds=1))

    assert [line.unit for line in lines] == [
        *("entries/s", "ms", "ms"),
        *("rows/s", "rows/s", "batches/s", "batches/s"),
    ]
    assert shares(lines) == [True]


async def test_expiry(tmp_path: Path) -> None:
    """Sites end together while others are redeemed at."""
    lines = await expiry.measure(tmp_path, expiry.Size(ending=5, redeeming=3, rounds=1))

    assert [line.unit for line in lines] == ["s", "ms", "ms", "ms", "ms"]
    assert shares(lines) == [True]


async def test_decision(tmp_path: Path) -> None:
    """A hub answers questions, takes edits and starts again with all it knows."""
    size = decision.Size(people=500, asks=40, edits=2, rounds=2)

    lines = await decision.measure(tmp_path, size)

    assert [line.unit for line in lines] == ["ms"] * 9
    assert [line.bar for line in lines].count(5.0) == 2
    assert shares(lines) == [True]


async def test_sync(tmp_path: Path) -> None:
    """Fifty hubs are told of edits, beside everything anew."""
    lines = await sync.measure(tmp_path, sync.Size(people=(40, 300), edits=2))

    assert [line.unit for line in lines] == ["ms"] * 8
    assert [line.bar for line in lines].count(1_000.0) == 6
    assert shares(lines) == [True] * 6


@pytest.mark.parametrize(
    ("unit", "verdict", "share"),
    [("rows/s", "bar 200: MISSED", "40%"), ("s", "bar 200: met", "250%")],
)
def test_the_table_tells_median_limit_and_bar(unit: str, verdict: str, share: str) -> None:
    """More is better for rates, less for times."""
    line = Line(what="this", rounds=[30, 40, 900], unit=unit, limit=100, bar=200)

    row = table("Title", [line]).splitlines()[1]

    assert row.split() == ["this", "40.0", unit, "30.0-900", "100", share, *verdict.split()]


def test_the_machine_is_described(tmp_path: Path) -> None:
    """Cores, versions and what a sync costs stand above the figures."""
    text = machine(tmp_path)

    assert "cores" in text
    assert "SQLite 3" in text
    assert " ms" in text
