"""Threads for slow work, few and with a short queue."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from typing_extensions import Unpack

from controller.ports import Arguments, Overloaded, Result

AT_ONCE: Final = 2  # a password hash takes 19 MiB and a core
QUEUED_MAX: Final = 64  # two seconds of hashing: longer waits help nobody


class PoolThreads:
    """Runs work in threads and refuses when too much of it waits."""

    def __init__(self, *, at_once: int = AT_ONCE, queued_max: int = QUEUED_MAX) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="work")
        self._places = asyncio.Semaphore(at_once + queued_max)

    async def run(
        self, work: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments
    ) -> Result:
        """Return ``work(*arguments)``.

        Raises:
            Overloaded: The queue is full.
        """
        if self._places.locked():
            raise Overloaded("too much work is waiting")
        async with self._places:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._pool.shutdown(cancel_futures=True)
