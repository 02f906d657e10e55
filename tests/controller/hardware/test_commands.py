"""Orders to locks, from afar."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from controller.db.tables.access import lockers
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


KINDS = {
    "open": "open",
    "start-office": "start_office",
    "end-office": "end_office",
    "clear-keypad": "clear_keypad",
    "free-locker": "free_locker",
}


async def give(ground: Ground, lock: Any, verb: str, *, by: str = "ada", **body: object) -> Answer:
    """Give a lock an order of any kind."""
    path = f"/sites/{OWN}/locks/{lock['id']}/{verb}"
    sent = body if verb == "start-office" else None
    return await ground.call("POST", path, sent, by=by, key=f"k{next(ground.numbers)}")


async def able(ground: Ground) -> Any:
    """Make a lock that can do whatever is ordered."""
    lock = await ground.lock(await ground.hub(), keypad=True)
    row = {"id": "1" * 32, "name": "1", "kind": "free", "usable": True, "version": 1}
    async with ground.db.write() as tx:
        await tx.execute(
            insert(lockers).values(**row, site_id=OWN, lock_id=lock["id"], created_at=NOW)
        )
    return lock


async def test_every_kind_of_order_is_kept_as_given(ground: Ground) -> None:
    """Kind and duration stand in the command, numbered as the lock counts its orders."""
    lock = await able(ground)

    made = [(await give(ground, lock, verb, seconds=3600)).body for verb in KINDS]

    assert [each["kind"] for each in made] == list(KINDS.values())
    assert [each["seconds"] for each in made] == [None, 3600, None, None, None]
    async with ground.db.read() as tx:
        rows = (await tx.execute(select(commands).order_by(commands.c.number))).all()
    assert [(row.number, row.kind) for row in rows] == list(enumerate(KINDS.values(), 1))


@pytest.mark.parametrize("seconds", [0, 86_401, -1])
async def test_a_door_stays_open_for_a_day_at_most(ground: Ground, seconds: int) -> None:
    """Longer is no duration that a lock takes; without one it stays open until it is told."""
    lock = await door(ground)

    refused = await give(ground, lock, "start-office", seconds=seconds)
    endless = await give(ground, lock, "start-office")

    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "seconds")
    assert (endless.status, endless.body["seconds"]) == (202, None)


@pytest.mark.parametrize(
    ("verb", "remedy"),
    [
        ("start-office", "allow_office_mode"),
        ("clear-keypad", "use_keypad"),
        ("free-locker", "make_free_locker"),
    ],
)
async def test_a_lock_is_not_told_to_do_what_it_cannot(
    ground: Ground, verb: str, remedy: str
) -> None:
    """Without office mode, keypad or locker the refusal says what to change."""
    lock = await ground.lock(await ground.hub(), office="none")

    answer = await give(ground, lock, verb)

    assert (answer.status, answer.code) == (409, "order_impossible")
    assert answer.facts == {"kind": KINDS[verb], "remedy": remedy}
    assert await ground.count(commands) == 0


async def test_a_lock_has_ten_orders_before_it_at_most(ground: Ground) -> None:
    """Of fifteen at once ten are taken; what was answered or has died makes room."""
    lock, other = await door(ground), await door(ground)

    answers = await asyncio.gather(*(order(ground, lock, key=f"k{n}") for n in range(15)))

    refused = [answer for answer in answers if answer.status != 202]
    assert [(each.status, each.code) for each in refused] == [(429, "too_many_orders")] * 5
    assert refused[0].facts == {"limit": 10, "used": 10, "retry_after_s": 30}
    assert (await order(ground, other, key="other")).status == 202
    async with ground.db.write() as tx:
        sent = update(commands).where(commands.c.number <= 5).values(state="sent")
        await tx.execute(sent)
        await tx.execute(update(commands).where(commands.c.number == 1).values(state="opened"))
    ground.link.at = NOW + timedelta(seconds=11)  # those that were never sent are dead by now
    more = [await order(ground, lock, key=f"m{n}") for n in range(7)]
    assert [answer.status for answer in more] == [202] * 6 + [429]


@pytest.mark.invariant("T3")
async def test_an_order_is_shown_to_its_giver_and_to_who_may_give_one(ground: Ground) -> None:
    """Whoever may not order learns of no order."""
    lock = await able(ground)
    made = [(await give(ground, lock, verb)).body for verb in KINDS]

    for command in made:
        path = f"/sites/{OWN}/commands/{command['id']}"
        seen = [(await ground.call("GET", path, by=who)).status for who in ("ada", "ian", "uma")]
        assert seen == [200, 403, 404], command["kind"]
    for verb in KINDS:
        for who in ("ian", "uma"):
            assert (await give(ground, lock, verb, by=who)).status == 403
    assert await ground.count(commands) == len(KINDS)


async def test_a_lock_that_moves_takes_no_order_along(ground: Ground) -> None:
    """What the hub before was to tell it never happens, and says so."""
    lock, other = await door(ground), await ground.hub()
    command = (await order(ground, lock)).body

    await ground.call(
        "PATCH", f"/sites/{OWN}/locks/{lock['id']}", {"hub_id": other["id"]}, if_match=1
    )

    assert await shown(ground, command) == "expired"
