"""Repeaters, and what hangs on them."""

import asyncio
from typing import Any

import pytest

from controller.db.tables.hardware import locks, repeaters
from tests.controller.people.ground import FOREIGN, OWN, Answer, Ground


async def add(ground: Ground, hub: Any, *, parent: Any = None) -> Answer:
    """Hang a repeater on a hub."""
    number = next(ground.numbers)
    body = {"name": f"Repeater {number}", "serial": f"R-{number:04}"}
    if parent is not None:
        body["parent_id"] = parent["id"]
    return await ground.call("POST", f"/sites/{OWN}/hubs/{hub['id']}/repeaters", body)


async def made(ground: Ground, hub: Any, *, parent: Any = None) -> Any:
    """Hang a repeater where there is room."""
    answer = await add(ground, hub, parent=parent)
    assert answer.status == 201, answer.body
    return answer.body


def path(hub: Any, repeater: Any) -> str:
    """Return where a repeater is."""
    return f"/sites/{OWN}/hubs/{hub['id']}/repeaters/{repeater['id']}"


async def test_a_hub_shows_what_hangs_on_it(ground: Ground) -> None:
    """Repeaters come back as they were hung; the hubs are not told of them."""
    hub = await ground.hub()
    before = await ground.revisions()
    first = await made(ground, hub)
    second = await made(ground, hub, parent=first)

    shown = await ground.call("GET", f"/sites/{OWN}/hubs/{hub['id']}/repeaters")
    renamed = await ground.call("PATCH", path(hub, second), {"name": "Attic"}, if_match=1)

    assert sorted(shown.body["items"], key=lambda each: each["serial"]) == [first, second]
    assert (second["parent_id"], renamed.body["name"]) == (first["id"], "Attic")
    assert await ground.revisions() == before


async def test_three_stand_in_a_row(ground: Ground) -> None:
    """The fourth is refused, however it gets there, and so is a ring."""
    hub = await ground.hub()
    one = await made(ground, hub)
    two = await made(ground, hub, parent=one)
    three = await made(ground, hub, parent=two)
    other = await made(ground, hub)

    fourth = await add(ground, hub, parent=three)
    moved = await ground.call("PATCH", path(hub, one), {"parent_id": other["id"]}, if_match=1)
    ring = await ground.call("PATCH", path(hub, one), {"parent_id": three["id"]}, if_match=1)
    itself = await ground.call("PATCH", path(hub, one), {"parent_id": one["id"]}, if_match=1)

    assert (fourth.code, fourth.facts["used"]) == ("repeater_chain_too_long", 4)
    assert (moved.code, moved.facts["used"]) == ("repeater_chain_too_long", 4)
    assert (ring.code, itself.code) == ("repeater_cycle", "repeater_cycle")


async def test_a_hub_has_six_repeaters(ground: Ground) -> None:
    """Of nine that are hung at once six stay, and the others name the remedy."""
    hub = await ground.hub()

    answers = await asyncio.gather(*(add(ground, hub) for _ in range(9)))

    refused = [answer for answer in answers if answer.status != 201]
    assert [(each.status, each.code) for each in refused] == [(409, "repeaters_full")] * 3
    assert refused[0].facts == {"limit": 6, "used": 6, "remedy": "add_hub"}
    assert await ground.count(repeaters) == 6


async def test_a_repeater_in_use_stays(ground: Ground) -> None:
    """Neither it nor its hub goes while something hangs on it."""
    hub = await ground.hub()
    one = await made(ground, hub)
    two = await made(ground, hub, parent=one)
    lock = await ground.lock(hub)
    lock_path = f"/sites/{OWN}/locks/{lock['id']}"
    hung = await ground.call("PATCH", lock_path, {"repeater_id": two["id"]}, if_match=1)

    lower = await ground.call("DELETE", path(hub, two), if_match=1)
    upper = await ground.call("DELETE", path(hub, one), if_match=1)
    await ground.call("PATCH", lock_path, {"repeater_id": None}, if_match=2)
    freed = await ground.call("DELETE", path(hub, two), if_match=1)
    await ground.call("DELETE", lock_path, if_match=3)
    whole = await ground.call("DELETE", f"/sites/{OWN}/hubs/{hub['id']}", if_match=1)

    assert hung.body["repeater_id"] == two["id"]
    assert (lower.code, lower.facts["locks"], lower.facts["repeaters"]) == (
        "repeater_in_use",
        1,
        0,
    )
    assert (upper.facts["locks"], upper.facts["repeaters"]) == (0, 1)
    assert (freed.status, whole.status, whole.code) == (204, 409, "hub_has_repeaters")


@pytest.mark.invariant("T1")
async def test_only_a_repeater_of_the_same_hub_carries_a_lock(ground: Ground) -> None:
    """One of another hub, and one of another site, answers as one that nobody has."""
    hub, other = await ground.hub(), await ground.hub()
    lock = await ground.lock(hub)
    elsewhere = await made(ground, other)
    foreign_hub = await ground.hub(site=FOREIGN, by="bob")
    body = {"name": "R", "serial": "R-F"}
    foreign = await ground.make(
        f"/hubs/{foreign_hub['id']}/repeaters", body, site=FOREIGN, by="bob"
    )

    answers = [
        await ground.call("PATCH", f"/sites/{OWN}/locks/{lock['id']}", values, if_match=1)
        for each in (elsewhere["id"], foreign["id"], "0" * 32)
        for values in [{"repeater_id": each}]
    ]
    parents = [await add(ground, hub, parent=each) for each in (elsewhere, foreign)]
    hubs = [
        await ground.call("PATCH", f"/sites/{OWN}/locks/{lock['id']}", {"hub_id": one}, if_match=1)
        for one in (foreign_hub["id"], "0" * 32)
    ]

    assert {answer.status for answer in [*answers, *parents, *hubs]} == {404}
    assert len({str(answer.body) for answer in [*answers, *parents]}) == 1
    assert hubs[0].body == hubs[1].body


async def test_a_lock_that_moves_leaves_the_repeater(ground: Ground) -> None:
    """It hangs on the other hub itself, or on the repeater there that is named."""
    hub, other = await ground.hub(), await ground.hub()
    here, there = await made(ground, hub), await made(ground, other)
    lock = await ground.lock(hub)
    lock_path = f"/sites/{OWN}/locks/{lock['id']}"
    await ground.call("PATCH", lock_path, {"repeater_id": here["id"]}, if_match=1)

    plain = await ground.call("PATCH", lock_path, {"hub_id": other["id"]}, if_match=2)
    back = await ground.call(
        "PATCH", lock_path, {"hub_id": hub["id"], "repeater_id": here["id"]}, if_match=3
    )
    wrong = await ground.call(
        "PATCH", lock_path, {"hub_id": other["id"], "repeater_id": here["id"]}, if_match=4
    )

    assert (plain.body["hub_id"], plain.body["repeater_id"]) == (other["id"], None)
    assert back.body["repeater_id"] == here["id"]
    assert wrong.status == 404
    assert there["hub_id"] == other["id"]


async def test_a_hub_serves_sixteen_locks_whatever_way(ground: Ground) -> None:
    """Moved to it or registered on it at once, sixteen stay; a full hub takes none."""
    hub, other = await ground.hub(), await ground.hub()
    await made(ground, hub)
    movers = [await ground.lock(other) for _ in range(8)]
    new = f"/sites/{OWN}/hubs/{hub['id']}/locks"

    answers = await asyncio.gather(
        *(ground.call("POST", new, ground.lock_body()) for _ in range(12)),
        *(
            ground.call(
                "PATCH", f"/sites/{OWN}/locks/{lock['id']}", {"hub_id": hub["id"]}, if_match=1
            )
            for lock in movers
        ),
    )

    refused = [answer for answer in answers if answer.status >= 300]
    assert {(answer.status, answer.code) for answer in refused} == {(409, "hub_full")}
    assert len(refused) == 4
    assert await ground.count(locks, hub_id=hub["id"]) == 16
