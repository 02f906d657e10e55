"""Opening a door from afar."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from controller.db.tables.hardware import commands, locks
from controller.sync.service import WAKE_COMMANDS
from tests.controller.people.ground import ABSENT, NOW, OWN, Answer, Ground


async def door(ground: Ground) -> Any:
    """Make a lock."""
    return await ground.lock(await ground.hub())


async def order(ground: Ground, lock: Any, key: str = "k1", by: str = "ada") -> Answer:
    """Order a lock to open."""
    return await ground.call("POST", f"/sites/{OWN}/locks/{lock['id']}/open", key=key, by=by)


async def shown(ground: Ground, command: Any) -> str:
    """Return the state that is shown of a command."""
    answer = await ground.call("GET", f"/sites/{OWN}/commands/{command['id']}")
    return str(answer.body["state"])


async def test_an_order_is_taken_and_handed_on(ground: Ground) -> None:
    """The answer is 202 with the command, and the gateway is woken after the commit."""
    lock = await door(ground)
    with ground.bus.subscribe(WAKE_COMMANDS) as waiter:
        answer = await order(ground, lock)
        woken = await waiter.wait(timeout_s=5)

    assert answer.status == 202
    assert (answer.body["state"], answer.body["lock_id"]) == ("queued", lock["id"])
    assert answer.body["actor_name"] == "ada"
    assert woken
    async with ground.db.read() as tx:
        (row,) = await tx.execute(commands.select())
    assert (row.number, row.hub_id, row.issued_at) == (1, lock["hub_id"], ground.link.at)


async def test_an_order_sent_again_is_one_order(ground: Ground) -> None:
    """The same key gives the same answer and opens once; without a key nothing is ordered."""
    lock = await door(ground)

    first, second = await order(ground, lock), await order(ground, lock)
    without = await ground.call("POST", f"/sites/{OWN}/locks/{lock['id']}/open")

    assert first.body == second.body
    assert (without.status, without.code) == (400, "idempotency_key_missing")
    assert await ground.count(commands) == 1


@pytest.mark.invariant("A10")
async def test_no_two_orders_of_a_lock_share_a_number(ground: Ground) -> None:
    """Ten orders at once have ten numbers in a row, so that each works once."""
    lock, other = await door(ground), await door(ground)

    await asyncio.gather(
        *(
            order(ground, one, f"{name}{n}")
            for n in range(10)
            for name, one in (("a", lock), ("b", other))
        )
    )

    async with ground.db.read() as tx:
        for one in (lock, other):
            mine = select(commands.c.number).where(commands.c.lock_id == one["id"])
            assert sorted((await tx.execute(mine)).scalars()) == list(range(1, 11))
            counted = select(locks.c.order_number).where(locks.c.id == one["id"])
            assert (await tx.execute(counted)).scalar_one() == 10


@pytest.mark.parametrize(
    ("state", "seconds", "becomes"),
    [
        ("queued", 9.9, "queued"),
        ("queued", 10, "expired"),
        ("sent", 10, "sent"),
        ("sent", 29.9, "sent"),
        ("sent", 30, "unknown"),
        ("opened", 60, "opened"),
        ("refused", 60, "refused"),
        ("expired", 60, "expired"),
        ("unreachable", 60, "unreachable"),
        ("unknown", 60, "unknown"),
    ],
)
async def test_what_became_of_an_order_is_told_honestly(
    ground: Ground, state: str, seconds: float, becomes: str
) -> None:
    """Never sent is expired, sent without an answer is unknown; what was answered stays."""
    command = (await order(ground, await door(ground))).body
    async with ground.db.write() as tx:
        await tx.execute(update(commands).values(state=state))
    ground.link.at = NOW + timedelta(seconds=seconds)
    ground.calendar.at = NOW + timedelta(days=5)  # however fast the calendar runs

    assert await shown(ground, command) == becomes


async def test_an_unknown_order_or_lock_is_not_found(ground: Ground) -> None:
    """What is not there is named."""
    command = await ground.call("GET", f"/sites/{OWN}/commands/{ABSENT}")
    lock = await ground.call("POST", f"/sites/{OWN}/locks/{ABSENT}/open", key="k")

    assert (command.code, command.facts) == ("not_found", {"object": "command"})
    assert (lock.code, lock.facts) == ("not_found", {"object": "lock"})


@pytest.mark.parametrize("who", ["ian", "uma"])
async def test_only_who_may_open_opens(ground: Ground, who: str) -> None:
    """An installer and a plain user order nothing."""
    lock = await door(ground)

    answer = await order(ground, lock, by=who)

    assert (answer.status, answer.code) == (403, "forbidden")
    assert await ground.count(commands) == 0
