"""``python -m bench [NAME…]``: measure and print."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

from bench import decision, edits, entries, expiry, redeems, sync
from bench.report import Line, machine, table

Benchmark = Callable[[Path], Coroutine[Any, Any, Sequence[Line]]]

BENCHMARKS: Final[Mapping[str, tuple[str, Benchmark]]] = {
    "redeems": ("Redeeming vouchers", lambda folder: redeems.measure(folder, redeems.Size())),
    "entries": ("Taking in entries", lambda folder: entries.measure(folder, entries.Size())),
    "decision": (
        "Deciding at a hub that knows 50,000 people",
        lambda folder: decision.measure(folder, decision.Size()),
    ),
    "sync": (
        "Compiling an edit for 50 hubs",
        lambda folder: sync.measure(folder, sync.Size()),
    ),
    "edits": (
        "An edit until 50 simulated hubs have confirmed it",
        lambda folder: edits.measure(folder, edits.Size()),
    ),
    "expiry": ("Many sites ending at once", lambda folder: expiry.measure(folder, expiry.Size())),
}


def main(names: Sequence[str]) -> None:
    """Run the benchmarks of these names, or all."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        print(machine(Path(folder)))
        for name in names or BENCHMARKS:
            title, measure = BENCHMARKS[name]
            started, load = time.perf_counter(), os.getloadavg()[0]
            own = Path(folder) / name
            own.mkdir()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                lines = runner.run(measure(own))
            took_s = time.perf_counter() - started
            print(f"\n{table(title, lines)}\n  took {took_s:.0f} s, others' load before {load:.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
