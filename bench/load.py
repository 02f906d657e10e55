"""Work side by side, as clients do it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


async def together(
    jobs: Iterable[Callable[[], Awaitable[Result]]], *, at_once: int
) -> tuple[list[Result], float]:
    """Do all jobs, so many at once; return what they return and the seconds it took."""
    waiting = iter(jobs)
    results: list[Result] = []

    async def worker() -> None:
        for job in waiting:
            results.append(await job())  # noqa: PERF401 - an await in between, shared by workers

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(worker())
    return results, time.perf_counter() - started


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run endless work for as long as the block is; what fails ends the block."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in work]
        yield
        for task in running:
            task.cancel()
