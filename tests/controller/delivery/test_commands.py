"""Remote openings: once at most, in time, for one lock."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from controller.db.tables.hardware import commands, hubs
from gateway.protocol import sealing
from gateway.protocol.messages import Command, CommandOutcome, Reply
from gateway.protocol.topics import DownKind, UpKind
from tests.controller.ground import NOW, Ground, Hub, lock_key, name

ORDER = name("command")


@pytest.fixture
async def ordered(ground: Ground) -> Ground:
    """A command waits for a hub that is online."""
    await ground.inbound.presence(online=[ground.hub().id], offline=[])
    await order(ground, ORDER)
    return ground


async def order(ground: Ground, command_id: str, **changes: Any) -> None:
    """Put a command as the hardware feature does."""
    hub = ground.hub()
    values: dict[str, Any] = {
        "site_id": name("site", 0),
        "id": command_id,
        "hub_id": hub.id,
        "lock_id": hub.lock_id().hex(),
        "number": 5,
        "actor_name": "Ada",
        "state": "queued",
        "created_at": NOW,
        "issued_at": ground.clocks.real,
    }
    async with ground.db.write() as tx:
        await tx.execute(insert(commands).values(**values | changes))


async def state_of(ground: Ground) -> str:
    """What is known of the command."""
    return str((await ground.row(commands, id=ORDER)).state)


def order_in(ground: Ground, command: Command) -> sealing.LockOrder:
    """What the lock reads."""
    seal_key = sealing.seal_key(
        lock_key(ground.hub()),
        ground.keys.agreement.public_key(),
        site_id=bytes.fromhex(name("site", 0)),
        lock_id=ground.hub().lock_id(),
        epoch=1,
    )
    return sealing.unseal(seal_key, sealing.LockOrder, command.sealed, purpose=sealing.LOCK_ORDER)


async def reply(ground: Ground, outcome: CommandOutcome, *, hub: Hub | None = None) -> None:
    """Let the hub say what became of it."""
    message = Reply(command_id=bytes.fromhex(ORDER), outcome=outcome)
    await ground.tell(hub or ground.hub(), UpKind.REPLY, message)


@pytest.mark.invariant("A10")
async def test_a_command_is_sent_once_however_many_ask(ordered: Ground) -> None:
    """Ten at once: one gets it."""
    answers = await asyncio.gather(*(ordered.inbound.commands() for _ in range(10)))

    assert [each.kind for answer in answers for each in answer] == [DownKind.COMMAND]
    assert await state_of(ordered) == "sent"


@pytest.mark.invariant("A10")
async def test_only_its_lock_can_read_the_order(ordered: Ground) -> None:
    """The hub hears which lock and how long; the order is sealed for the lock's own key."""
    hub = ordered.hub()
    (signed,) = await ordered.inbound.commands()

    command = hub.read(signed, Command)
    opened = order_in(ordered, command)

    assert (command.lock_id, command.ttl_s) == (hub.lock_id(), 10)
    assert command.issued_ms == int(ordered.clocks.real.timestamp() * 1000)
    assert (opened.command_id.hex(), opened.number) == (ORDER, 5)


@pytest.mark.invariant("A10")
@pytest.mark.parametrize("speed", [1, 3_600])
@pytest.mark.parametrize(("waited_s", "left_s"), [(0, 10), (4, 6), (9, 1), (-5, 10)])
async def test_the_order_ends_with_the_command_by_the_locks_calendar(
    ordered: Ground, speed: int, waited_s: int, left_s: int
) -> None:
    """What is left of ten seconds of the link clock, and never more than ten, times the speed."""
    ordered.clocks.speed = speed
    ordered.clocks.pass_by(waited_s)
    (signed,) = await ordered.inbound.commands()

    opened = order_in(ordered, ordered.hub().read(signed, Command))

    assert opened.until_ms == int(NOW.timestamp() + left_s * speed) * 1000


@pytest.mark.invariant("A10")
@pytest.mark.parametrize("passed_s", [10, 3_600, -3_600])
async def test_a_command_that_is_too_old_is_never_sent(ordered: Ground, passed_s: int) -> None:
    """Ten seconds by the link clock; if that was set back nobody knows the age, so no."""
    ordered.clocks.real += timedelta(seconds=passed_s)

    assert await ordered.inbound.commands() == []
    assert await state_of(ordered) == "expired"


@pytest.mark.invariant("A10")
async def test_a_command_for_who_is_not_there_waits_and_dies(ordered: Ground) -> None:
    """It goes out when the hub comes within ten seconds, else never."""
    await ordered.inbound.presence(online=[], offline=[ordered.hub().id])

    assert await ordered.inbound.commands() == []
    assert await state_of(ordered) == "queued"

    ordered.clocks.pass_by(9)
    await ordered.inbound.presence(online=[ordered.hub().id], offline=[])
    assert len(await ordered.inbound.commands()) == 1


async def test_the_first_answer_stands(ordered: Ground) -> None:
    """What the hub says counts once; another hub's word does not count at all."""
    await ordered.inbound.commands()

    await reply(ordered, CommandOutcome.REFUSED, hub=ordered.hub(number=1))
    assert await state_of(ordered) == "sent"
    await reply(ordered, CommandOutcome.OPENED)
    await reply(ordered, CommandOutcome.REFUSED)

    row = await ordered.row(commands, id=ORDER)
    assert (row.state, row.finished_at) == ("opened", NOW)


async def test_without_an_answer_it_is_unknown_until_one_comes(ordered: Ground) -> None:
    """Nothing is said to be done that nobody has reported; a late report still counts."""
    await ordered.inbound.commands()
    ordered.clocks.pass_by(30)

    await ordered.inbound.commands()
    assert await state_of(ordered) == "unknown"

    await reply(ordered, CommandOutcome.OPENED)
    assert await state_of(ordered) == "opened"


async def test_a_retired_hub_gets_no_command(ordered: Ground) -> None:
    """Whoever is out of service opens nothing."""
    await ordered.change(hubs, {"id": ordered.hub().id}, retired_at=NOW)

    assert await ordered.inbound.commands() == []
