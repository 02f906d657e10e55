"""Who may open what, listed by person and by lock."""

from typing import Any

import pytest
from sqlalchemy import insert

from controller.db.tables.access import group_people
from controller.db.tables.people import people
from tests.controller.people.ground import FOREIGN, NOW, OWN, Ground


def of_person(person: Any) -> str:
    """Where the locks of a person are listed."""
    return f"/sites/{OWN}/people/{person['id']}/access"


def of_lock(lock: Any) -> str:
    """Where the people of a lock are listed."""
    return f"/sites/{OWN}/locks/{lock['id']}/access"


async def test_rights_are_listed_with_the_groups_that_give_them(ground: Ground) -> None:
    """A lock stands there once with all groups that open it, a person likewise."""
    pia, quin = await ground.person("Pia"), await ground.person("Quin")
    for one in (pia, quin):
        await ground.tag(one)
    hub = await ground.hub()
    door, vault = await ground.lock(hub), await ground.lock(hub)
    window = {"weekday": 0, "start_min": 0, "end_min": 60}
    office = await ground.make("/schedules", {"name": "Office", "windows": [window]})
    staff = await ground.group(people=(pia, quin), locks=(door,), schedule_id=office["id"])
    keys = await ground.group(people=(pia,), locks=(door, vault))

    def shown(*groups: Any) -> list[dict[str, object]]:
        return [
            {
                "kind": "access_group",
                "group_id": group["id"],
                "name": group["name"],
                "schedule_id": group["schedule_id"],
                "starts_at": None,
                "ends_at": None,
            }
            for group in sorted(groups, key=lambda one: str(one["id"]))
        ]

    mine = (await ground.call("GET", of_person(pia))).body
    hers = (await ground.call("GET", of_lock(door))).body

    assert mine["reason"] is None
    assert {one["lock_id"]: (one["lock_name"], one["groups"]) for one in mine["items"]} == {
        door["id"]: (door["name"], shown(staff, keys)),
        vault["id"]: (vault["name"], shown(keys)),
    }
    assert {one["person_id"]: (one["person_name"], one["groups"]) for one in hers["items"]} == {
        pia["id"]: ("Pia", shown(staff, keys)),
        quin["id"]: ("Quin", shown(staff)),
    }
    assert {one["reason"] for one in hers["items"]} == {None}


async def test_what_is_over_is_no_right_and_what_comes_is(ground: Ground) -> None:
    """Groups that have ended and schedules past their last day are left out; later ones are not."""
    pia, hub = await ground.person(), await ground.hub()
    window = {"weekday": 0, "start_min": 0, "end_min": 60}
    frames: dict[str, dict[str, object]] = {
        "ended": {"ends_at": "2026-03-02T12:00:00Z"},
        "ending": {"ends_at": "2026-03-02T12:00:01Z"},
        "coming": {"starts_at": "2026-09-01T00:00:00Z"},
    }
    for name, last in (("yesterday", "2026-03-01"), ("today", "2026-03-02")):
        body = {"name": name, "windows": [window | {"weekday": day} for day in range(7)]}
        schedule = await ground.make("/schedules", body | {"ends_on": last})
        frames[name] = {"schedule_id": schedule["id"]}
    doors = {}
    for name, frame in frames.items():
        doors[name] = await ground.lock(hub)
        group = await ground.make("/access-groups", {"name": name, **frame})
        await ground.join(group, "people", pia)
        await ground.join(group, "locks", doors[name])

    listed = (await ground.call("GET", of_person(pia))).body["items"]
    opened_by = {
        name
        for name, door in doors.items()
        if (await ground.call("GET", of_lock(door))).body["items"]
    }

    assert opened_by == {"ending", "coming", "today"}
    assert {one["lock_id"] for one in listed} == {doors[name]["id"] for name in opened_by}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("nothing", None),
        ("no credential", "unknown_credential"),
        ("blocked", "credential_blocked"),
        ("one of two blocked", None),
        ("both flawed", "credential_expired"),
        ("person early", "person_not_yet"),
        ("person gone", "person_expired"),
        ("no seat", "person_unsubscribed"),
        ("no subscription", "no_valid_subscription"),
    ],
)
async def test_a_person_who_opens_nothing_is_listed_with_the_reason(
    ground: Ground, what: str, reason: str | None
) -> None:
    """Rights that come to nothing for now stay listed, with what the best credential lacks."""
    pia, door = await ground.person(), await ground.lock(await ground.hub())
    await ground.group(people=(pia,), locks=(door,))
    path = f"/sites/{OWN}/people/{pia['id']}"

    async def tag(edit: dict[str, object] | None = None) -> None:
        made = await ground.tag(pia)
        if edit:
            await ground.call("PATCH", f"{path}/credentials/{made['id']}", edit, if_match=1)

    blocked: dict[str, object] = {"blocked": True}
    if what != "no credential":
        flawed = what in {"blocked", "one of two blocked", "both flawed"}
        await tag(blocked if flawed else None)
    match what:
        case "one of two blocked":
            await tag()
        case "both flawed":
            await tag({"ends_at": "2026-03-02T12:00:00Z"})
        case "person early":
            await ground.call("PATCH", path, {"starts_at": "2026-03-03T00:00:00Z"}, if_match=1)
        case "person gone":
            await ground.call("PATCH", path, {"expires_at": "2026-03-02T12:00:00Z"}, if_match=1)
        case "no seat":
            await ground.call("PATCH", path, {"subscribed": False}, if_match=1)
        case "no subscription":
            ground.expire()
        case _:
            pass

    mine = (await ground.call("GET", of_person(pia))).body
    hers = (await ground.call("GET", of_lock(door))).body

    assert (mine["reason"], [one["lock_id"] for one in mine["items"]]) == (reason, [door["id"]])
    assert [(one["person_id"], one["reason"]) for one in hers["items"]] == [(pia["id"], reason)]


async def test_long_lists_come_in_pages(ground: Ground) -> None:
    """Each lock and person stands on one page, in several groups or not; pages are in order."""
    pia, hub = await ground.person(), await ground.hub()
    doors = [await ground.lock(hub) for _ in range(5)]
    one, other = await ground.group(people=(pia,)), await ground.group(people=(pia,))
    for group in (one, other):
        path = f"/sites/{OWN}/access-groups/{group['id']}/locks"
        await ground.call("PATCH", path, {"add_ids": [door["id"] for door in doors]})
    ids = [f"{number:032x}" for number in range(1, 8)]
    async with ground.db.write() as tx:
        rows = [
            {"site_id": OWN, "id": i, "name": "P", "created_at": NOW, "version": 1} for i in ids
        ]
        await tx.execute(insert(people), rows)
        for group in (one, other):
            rows = [{"site_id": OWN, "group_id": group["id"], "person_id": i} for i in ids]
            await tx.execute(insert(group_people), rows)

    async def pages(path: str, key: str) -> list[list[str]]:
        found, cursor = [], ""
        while True:
            page = (await ground.call("GET", f"{path}?limit=2{cursor}")).body
            assert all(len(item["groups"]) == 2 for item in page["items"])
            found.append([item[key] for item in page["items"]])
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    locks = await pages(of_person(pia), "lock_id")
    who = await pages(of_lock(doors[0]), "person_id")

    assert [len(page) for page in locks] == [2, 2, 1]
    assert [each for page in locks for each in page] == sorted(door["id"] for door in doors)
    assert [len(page) for page in who] == [2, 2, 2, 2]
    assert [each for page in who for each in page] == sorted([*ids, pia["id"]])


@pytest.mark.invariant("T1")
async def test_another_sites_rights_are_not_listed(ground: Ground) -> None:
    """Lists hold what is this site's, whatever another site's groups are like."""
    pia, door = await ground.person(), await ground.lock(await ground.hub())
    await ground.group(people=(pia,), locks=(door,))
    at: Any = {"site": FOREIGN, "by": "bob"}
    other = await ground.person("Other", **at)
    vault = await ground.lock(await ground.hub(**at), **at)
    group = await ground.make("/access-groups", {"name": "All"}, **at)
    for kind, member in (("people", other), ("locks", vault)):
        path = f"/sites/{FOREIGN}/access-groups/{group['id']}/{kind}"
        await ground.call("PATCH", path, {"add_ids": [member["id"]]}, by="bob")

    mine = (await ground.call("GET", of_person(pia))).body["items"]
    hers = (await ground.call("GET", of_lock(door))).body["items"]

    assert [one["lock_id"] for one in mine] == [door["id"]]
    assert [one["person_id"] for one in hers] == [pia["id"]]
