"""A wake is never lost and many count as one."""

import asyncio

from controller.bus import ProcessBus


async def test_a_wake_ends_a_wait() -> None:
    """Who waits for the topic is woken, who waits for another is not."""
    bus = ProcessBus()
    with bus.subscribe("sync") as sync, bus.subscribe("outbox") as outbox:
        waiting = asyncio.ensure_future(sync.wait(5))
        await asyncio.sleep(0)
        bus.wake("sync")

        assert await waiting
        assert not await outbox.wait(0)


async def test_wakes_before_the_wait_count_as_one() -> None:
    """A wake while the loop works is seen at its next wait, several as one."""
    bus = ProcessBus()
    with bus.subscribe("sync") as waiter:
        bus.wake("sync")
        bus.wake("sync")

        assert await waiter.wait(0.01)
        assert not await waiter.wait(0)


async def test_every_subscriber_is_woken() -> None:
    """Two loops on one topic are both woken; one that has left is forgotten."""
    bus = ProcessBus()
    with bus.subscribe("sync") as first:
        with bus.subscribe("sync"):
            pass
        with bus.subscribe("sync") as second:
            bus.wake("sync")

            assert await first.wait(0.01)
            assert await second.wait(0.01)
