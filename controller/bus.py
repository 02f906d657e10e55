"""The bus within one process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class ProcessWaiter:
    """A subscriber; any number of wakes between two waits count as one."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the present wait, or the next one at once."""
        self._woken.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until woken since the last return; ``False`` when the time ran out first."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class ProcessBus:
    """Wakes the loops of this process; with several processes the database wakes them."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[ProcessWaiter]] = defaultdict(set)

    def wake(self, topic: str) -> None:
        """Wake everybody who listens to ``topic``."""
        for waiter in self._waiters.get(topic, ()):
            waiter.wake()

    @contextmanager
    def subscribe(self, topic: str) -> Iterator[ProcessWaiter]:
        """Listen to ``topic`` until the block ends."""
        waiter = ProcessWaiter()
        self._waiters[topic].add(waiter)
        try:
            yield waiter
        finally:
            self._waiters[topic].discard(waiter)
            if not self._waiters[topic]:
                del self._waiters[topic]
