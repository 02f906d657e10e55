"""How the doors of a site behave: settings, who may set them, and what contradicts itself."""

from typing import Any

import pytest
from sqlalchemy import update

from controller.db.tables.hardware import locks
from controller.domain.hardware import BatteryLevel, DoorSettings
from tests.controller.people.ground import ABSENT, FOREIGN, OWN, Answer, Ground

LOCKS = f"/sites/{OWN}/locks"
WINDOW = {"weekday": 0, "start_min": 480, "end_min": 1080}
ALL = {
    "open_s": 240,
    "extended_open_s": 1,
    "memory_days": 255,
    "left_open_s": 3600,
    "office": "none",
    "toggle": True,
    "privacy": False,
    "keypad": True,
}


async def door(ground: Ground, **more: Any) -> Any:
    """Make a lock."""
    return await ground.lock(await ground.hub(), **more)


async def edit(ground: Ground, lock: Any, values: object, *, by: str = "ada") -> Answer:
    """Edit a lock that was not edited before."""
    return await ground.call("PATCH", f"{LOCKS}/{lock['id']}", values, if_match=1, by=by)


async def test_a_new_door_behaves_as_most_would_want(ground: Ground) -> None:
    """What nobody sets has the defaults of the domain."""
    made = await door(ground)

    default = DoorSettings()
    assert {name: made[name] for name in ALL} == {name: getattr(default, name) for name in ALL}
    assert made["office_schedule_id"] is None


async def test_every_setting_is_kept_and_reaches_the_hub(ground: Ground) -> None:
    """What is set is shown, and asks for one revision."""
    made = await door(ground)
    before = await ground.revisions()

    answer = await edit(ground, made, ALL)

    assert answer.body == made | ALL | {"version": 2}
    assert (await ground.revisions())[made["hub_id"]] == before[made["hub_id"]] + 1
    assert (await door(ground, **ALL))["keypad"] is True


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"office": "easy"}, "office_schedule_id"),
        ({"office": "scheduled"}, "office_schedule_id"),
        ({"office": "by_hand", "office_schedule_id": "schedule"}, "office_schedule_id"),
        ({"office_schedule_id": "schedule"}, "office_schedule_id"),
        ({"office": "easy", "office_schedule_id": "schedule", "toggle": True}, "toggle"),
        ({"office": "scheduled", "office_schedule_id": "schedule", "toggle": True}, "toggle"),
    ],
)
async def test_settings_that_contradict_one_another_are_refused(
    ground: Ground, values: dict[str, object], field: str
) -> None:
    """The refusal names the field and what to set, and nothing is changed."""
    made = await door(ground)
    schedule = await ground.make("/schedules", {"name": "Day", "windows": [WINDOW]})
    asked = {key: schedule["id"] if value == "schedule" else value for key, value in values.items()}

    answer = await edit(ground, made, asked)
    registered = await ground.call(
        "POST", f"/sites/{OWN}/hubs/{made['hub_id']}/locks", ground.lock_body(**asked)
    )

    assert (answer.status, answer.code) == (422, "invalid_door_settings")
    assert answer.facts == registered.facts == {"field": field}
    assert (await ground.call("GET", f"{LOCKS}/{made['id']}")).body == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("extended_open_s", 0),
        ("extended_open_s", 241),
        ("left_open_s", -1),
        ("left_open_s", 3601),
        ("office", "always"),
        ("toggle", 1),
        ("keypad", "yes"),
    ],
)
async def test_a_setting_out_of_its_range_is_named(
    ground: Ground, field: str, value: object
) -> None:
    """No lock is told what it cannot do."""
    answer = await edit(ground, await door(ground), {field: value})

    assert (answer.status, answer.code) == (422, "validation_failed")
    assert answer.body["errors"][0]["field"] == field


@pytest.mark.invariant("T1")
async def test_the_schedule_of_another_site_is_like_an_absent_one(ground: Ground) -> None:
    """Office mode follows a schedule of its own site; of others nobody learns anything."""
    made = await door(ground)
    body = {"name": "Day", "windows": [WINDOW]}
    theirs = await ground.make("/schedules", body, site=FOREIGN, by="bob")

    answers = [
        await edit(ground, made, {"office": "easy", "office_schedule_id": each})
        for each in (theirs["id"], ABSENT)
    ]

    assert answers[0].body == answers[1].body
    assert (answers[0].status, answers[0].facts) == (404, {"object": "schedule"})


async def test_a_schedule_that_an_office_follows_cannot_be_deleted(ground: Ground) -> None:
    """It is in use until no lock follows it any more."""
    made = await door(ground)
    schedule = await ground.make("/schedules", {"name": "Day", "windows": [WINDOW]})
    path = f"/sites/{OWN}/schedules/{schedule['id']}"
    await edit(ground, made, {"office": "scheduled", "office_schedule_id": schedule["id"]})

    refused = await ground.call("DELETE", path, if_match=1)
    await ground.call(
        "PATCH",
        f"{LOCKS}/{made['id']}",
        {"office": "by_hand", "office_schedule_id": None},
        if_match=2,
    )
    gone = await ground.call("DELETE", path, if_match=1)

    assert (refused.status, refused.code, gone.status) == (409, "schedule_in_use", 204)


@pytest.mark.invariant("T3")
async def test_doors_and_hardware_are_two_rights(ground: Ground) -> None:
    """An installer names a lock and sets no door; who may set doors only names no lock."""
    made = await door(ground)
    schedule = await ground.make("/schedules", {"name": "Day", "windows": [WINDOW]})

    for name, value in ALL.items():
        refused = await edit(ground, made, {name: value}, by="ian")
        assert (refused.status, refused.facts) == (403, {"action": "doors:manage"}), name
    both = await edit(ground, made, {"name": "Gate", "open_s": 7}, by="ian")
    follows = await edit(ground, made, {"office_schedule_id": schedule["id"]}, by="ian")
    named = await edit(ground, made, {"name": "Gate"}, by="ian")

    assert (both.status, follows.status, named.status) == (403, 403, 200)
    assert (await edit(ground, made, {"name": "X"}, by="uma")).facts == {
        "action": "hardware:manage"
    }
    assert (await edit(ground, made, {}, by="uma")).status == 403


@pytest.mark.parametrize(
    ("per_cent", "level"),
    [
        (100, "fresh"),
        (61, "fresh"),
        (60, "good"),
        (36, "good"),
        (35, "low"),
        (21, "low"),
        (20, "replace"),
        (0, "replace"),
    ],
)
async def test_a_battery_has_a_level_that_people_understand(
    ground: Ground, per_cent: int, level: str
) -> None:
    """More than 60 per cent is fresh, than 35 good, than 20 low; the rest is to be replaced."""
    made = await door(ground)
    async with ground.db.write() as tx:
        await tx.execute(update(locks).values(battery=per_cent, mode=1))

    shown = (await ground.call("GET", f"{LOCKS}/{made['id']}")).body

    assert (shown["battery"], shown["battery_level"]) == (per_cent, level)
    assert shown["mode"] == "office"
    assert BatteryLevel.of(per_cent) == level


async def test_what_no_lock_has_told_is_not_known(ground: Ground) -> None:
    """Neither battery nor mode is made up."""
    made = await door(ground)

    assert [made[name] for name in ("battery", "battery_level", "mode", "online_since")] == [
        None
    ] * 4
    assert made["presence"] == "unknown"
