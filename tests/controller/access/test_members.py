"""Many people or locks put into a group and taken out at once."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select

from controller.db.tables.access import group_locks, group_people
from controller.db.tables.people import people, revoked_digests
from controller.db.tables.records import audit_records
from tests.controller.people.ground import ABSENT, FOREIGN, NOW, OWN, Ground


def path(group: Any, kind: str) -> str:
    """Where the members of a group are edited."""
    return f"/sites/{OWN}/access-groups/{group['id']}/{kind}"


async def crowd(ground: Ground, count: int) -> list[str]:
    """Write people, and return their ids."""
    ids = [f"{number:032x}" for number in range(1, count + 1)]
    async with ground.db.write() as tx:
        await tx.execute(
            insert(people),
            [
                {"site_id": OWN, "id": each, "name": "P", "created_at": NOW, "version": 1}
                for each in ids
            ],
        )
    return ids


@pytest.mark.parametrize("kind", ["people", "locks"])
async def test_some_come_and_others_go_at_once(ground: Ground, kind: str) -> None:
    """Who is there already or gone already is passed over; each change is audited by itself."""
    hub = await ground.hub()
    four: list[Any] = [
        await ground.person(f"P{number}") if kind == "people" else await ground.lock(hub)
        for number in range(4)
    ]
    ids = [one["id"] for one in four]
    there = tuple(four[:2])
    group = await ground.group(
        people=there if kind == "people" else (), locks=there if kind == "locks" else ()
    )
    before = await ground.audited()
    body = {"add_ids": [ids[1], ids[2]], "remove_ids": [ids[0], ids[3]]}

    edited = await ground.call("PATCH", path(group, kind), body)
    again = await ground.call("PATCH", path(group, kind), body)

    assert (edited.status, edited.body) == (200, {"added": 1, "removed": 1})
    assert (again.status, again.body) == (200, {"added": 0, "removed": 0})
    listed = (await ground.call("GET", path(group, kind))).body["items"]
    assert {one["id"] for one in listed} == {ids[1], ids[2]}
    joined, left = ("group_joined", "group_left")
    if kind == "locks":
        joined, left = ("group_gained_lock", "group_lost_lock")
    assert sorted(await ground.audited()) == sorted([*before, joined, left])
    async with ground.db.read() as tx:
        rows = await tx.execute(select(audit_records.c.facts).where(audit_records.c.action == left))
        (facts,) = rows.scalars()
    assert facts[{"people": "person_id", "locks": "lock_id"}[kind]] == ids[0]


async def test_500_come_and_500_go_at_once_and_no_more(ground: Ground) -> None:
    """As many as a request may name, and one more is refused with the field."""
    ids = await crowd(ground, 1001)
    group = await ground.group()
    await ground.call("PATCH", path(group, "people"), {"add_ids": ids[:500]})

    body = {"add_ids": ids[500:1000], "remove_ids": ids[:500]}
    edited = await ground.call("PATCH", path(group, "people"), body)
    refused = [
        await ground.call("PATCH", path(group, "people"), {name: ids[:501]})
        for name in ("add_ids", "remove_ids")
    ]

    assert edited.body == {"added": 500, "removed": 500}
    assert await ground.count(group_people) == 500
    assert [answer.status for answer in refused] == [422, 422]
    assert [answer.body["errors"][0]["field"] for answer in refused] == ["add_ids", "remove_ids"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"add_ids": ["P", "Q", "absent"]}, "add_ids.2", "not_found"),
        ({"add_ids": ["P", "foreign", "Q"]}, "add_ids.1", "not_found"),
        ({"add_ids": ["P"], "remove_ids": ["Q", "absent"]}, "remove_ids.1", "not_found"),
        ({"add_ids": ["P", "Q", "P"]}, "add_ids.2", "invalid_members"),
        ({"remove_ids": ["Q", "P", "P"]}, "remove_ids.2", "invalid_members"),
        ({"add_ids": ["P"], "remove_ids": ["Q", "P"]}, "remove_ids.1", "invalid_members"),
    ],
)
async def test_one_that_is_wrong_stops_all_and_is_named(
    ground: Ground, body: dict[str, list[str]], field: str, code: str
) -> None:
    """An id that nobody here has, or that is named twice, is told by its place; nothing changes."""
    pia, quin = await ground.person("P"), await ground.person("Q")
    foreign = await ground.person("F", site=FOREIGN, by="bob")
    await ground.tag(quin)
    group = await ground.group(people=(quin,))
    ids = {"P": pia["id"], "Q": quin["id"], "absent": ABSENT, "foreign": foreign["id"]}
    before = (await ground.audited(), await ground.revisions())

    answer = await ground.call(
        "PATCH",
        path(group, "people"),
        {name: [ids[each] for each in some] for name, some in body.items()},
    )

    assert answer.code == code
    assert answer.status == {"not_found": 404, "invalid_members": 422}[code]
    assert answer.facts["field"] == field
    assert answer.body["detail"].startswith(field)
    members = (await ground.call("GET", path(group, "people"))).body["items"]
    assert [one["id"] for one in members] == [quin["id"]]
    assert await ground.count(revoked_digests) == 0
    after = await ground.audited()
    assert [each for each in after if each.startswith("group_")] == [
        each for each in before[0] if each.startswith("group_")
    ]
    assert await ground.revisions() == before[1]


@pytest.mark.parametrize("value", ["", "x" * 32, "A" * 32, 7, None])
async def test_what_is_no_id_is_named_by_its_place(ground: Ground, value: object) -> None:
    """The form of an id is judged before anything is looked up."""
    group = await ground.group()

    answer = await ground.call("PATCH", path(group, "locks"), {"add_ids": [ABSENT, value]})

    assert (answer.status, answer.code) == (422, "validation_failed")
    assert [error["field"] for error in answer.body["errors"]] == ["add_ids.1"]


async def test_a_person_in_too_many_groups_stops_all(ground: Ground) -> None:
    """Whoever is in a hundred groups already is named by the place in the list."""
    ids = await crowd(ground, 2)
    group = await ground.group()
    others = [await ground.group() for _ in range(100)]
    async with ground.db.write() as tx:
        await tx.execute(
            insert(group_people),
            [{"site_id": OWN, "group_id": one["id"], "person_id": ids[1]} for one in others],
        )

    answer = await ground.call("PATCH", path(group, "people"), {"add_ids": ids})

    assert (answer.status, answer.code) == (409, "too_many_groups")
    assert answer.facts == {
        "field": "add_ids.1",
        "person_id": ids[1],
        "limit": 100,
        "used": 100,
        "remedy": "leave_group",
    }
    assert await ground.count(group_people) == 100


async def test_a_lock_without_room_stops_all(ground: Ground) -> None:
    """Forty tags with offline access do not fit into a lock that holds 39, so nobody joins."""
    door = await ground.lock(await ground.hub(), capacity=39)
    group = await ground.group(locks=(door,))
    two = [await ground.person("P"), await ground.person("Q")]
    for one in two * 20:
        await ground.tag(one, offline=True)

    body = {"add_ids": [one["id"] for one in two]}
    answer = await ground.call("PATCH", path(group, "people"), body)

    assert (answer.status, answer.code) == (409, "offline_list_full")
    assert await ground.count(group_people) == 0


async def test_who_leaves_is_forgotten_and_who_stays_is_not(ground: Ground) -> None:
    """Taking people out notes their digests; taking a lock out those of all who are in."""
    pia, quin = await ground.person("P"), await ground.person("Q")
    for one in (pia, quin):
        await ground.tag(one)
    door = await ground.lock(await ground.hub())
    group = await ground.group(people=(pia, quin), locks=(door,))

    await ground.call("PATCH", path(group, "people"), {"remove_ids": [pia["id"]]})
    first = await ground.count(revoked_digests)
    await ground.call("PATCH", path(group, "people"), {"add_ids": [pia["id"]]})
    await ground.call("PATCH", path(group, "locks"), {"remove_ids": [door["id"]]})

    assert (first, await ground.count(revoked_digests)) == (1, 2)


async def test_two_who_edit_at_once_are_both_heard(ground: Ground) -> None:
    """Of two edits with the same people each is whole; together everybody is in once."""
    ids = await crowd(ground, 60)
    group = await ground.group()

    answers = await asyncio.gather(
        *(
            ground.call("PATCH", path(group, "people"), {"add_ids": some})
            for some in (ids[:40], ids[20:])
        )
    )

    assert sum(answer.body["added"] for answer in answers) == 60
    assert await ground.count(group_people) == 60
    assert await ground.count(group_locks) == 0
