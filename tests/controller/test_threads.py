"""Slow work has few threads and a short queue."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from controller.ports import Overloaded
from controller.threads import PoolThreads


@pytest.fixture
def threads() -> Iterator[PoolThreads]:
    """One thread and room for one more."""
    pool = PoolThreads(at_once=1, queued_max=1)
    yield pool
    pool.close()


async def test_work_is_done_elsewhere(threads: PoolThreads) -> None:
    """The result comes back and an exception too."""
    assert await threads.run(pow, 2, 10) == 1024
    assert await threads.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)


async def test_a_full_queue_refuses(threads: PoolThreads) -> None:
    """One runs, one waits, the third is refused; when they are done there is room again."""
    gate = threading.Event()
    taken = [asyncio.ensure_future(threads.run(gate.wait, 5)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await threads.run(gate.wait, 5)
    gate.set()

    assert await asyncio.gather(*taken) == [True, True]
    assert await threads.run(pow, 2, 2) == 4
