"""Why a person may or may not open a lock."""

from typing import Any

import pytest

from tests.controller.people.ground import OWN, Ground

MONDAY_9_TO_5 = {"weekday": 0, "start_min": 540, "end_min": 1020}


async def why(ground: Ground, person: Any, lock: Any, at: str | None = None) -> Any:
    """Ask why."""
    query = f"?at={at}" if at else ""
    path = f"/sites/{OWN}/people/{person['id']}/locks/{lock['id']}/why{query}"
    return (await ground.call("GET", path)).body


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ([], None),
        ([("credential", {"blocked": True})], "credential_blocked"),
        ([("credential", {"ends_at": "2026-03-02T11:00:00Z"})], "credential_expired"),
        ([("person", {"expires_at": "2026-03-02T11:00:00Z"})], "person_expired"),
        ([("person", {"subscribed": False})], "person_unsubscribed"),
        ([("group", {})], "no_access_to_lock"),
        ([("time", {})], "outside_schedule"),
        ([("end", {})], "no_valid_subscription"),
        (
            [("person", {"subscribed": False}), ("credential", {"blocked": True})],
            "credential_blocked",
        ),
        ([("end", {}), ("group", {})], "no_valid_subscription"),
    ],
)
async def test_the_first_reason_in_the_order_of_the_checks_is_told(
    ground: Ground, edits: list[tuple[str, dict[str, object]]], reason: str | None
) -> None:
    """Each thing that keeps the door shut is told, the earlier check first."""
    pia = await ground.person()
    tag = await ground.tag(pia)
    door = await ground.lock(await ground.hub())
    schedule = await ground.make("/schedules", {"name": "Office", "windows": [MONDAY_9_TO_5]})
    group = await ground.group(people=(pia,), locks=(door,), schedule_id=schedule["id"])
    at = None
    for what, edit in edits:
        path = f"/sites/{OWN}/people/{pia['id']}"
        match what:
            case "credential":
                path += f"/credentials/{tag['id']}"
                await ground.call("PATCH", path, edit, if_match=1)
            case "person":
                await ground.call("PATCH", path, edit, if_match=1)
            case "group":
                await ground.leave(group, "locks", door)
            case "time":
                at = "2026-03-02T16:00:00Z"  # five in Madrid
            case _:
                at = "2026-05-04T12:00:00Z"

    told = await why(ground, pia, door, at)

    assert (told["allowed"], told["reason"]) == (reason is None, reason)
    assert told["credentials"][0]["reason"] == reason
    assert told["group_id"] == (group["id"] if reason is None else None)


async def test_the_credential_that_opens_counts(ground: Ground) -> None:
    """With a blocked and a good tag the person may open; without any there is none to know."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    blocked, good = await ground.tag(pia), await ground.tag(pia)
    path = f"/sites/{OWN}/people/{pia['id']}/credentials/{blocked['id']}"
    await ground.call("PATCH", path, {"blocked": True}, if_match=1)
    door = await ground.lock(await ground.hub())
    await ground.group(people=(pia, max_), locks=(door,))

    both, none = await why(ground, pia, door), await why(ground, max_, door)

    assert both["allowed"]
    allowed = {one["credential_id"]: one["allowed"] for one in both["credentials"]}
    assert allowed == {blocked["id"]: False, good["id"]: True}
    assert (none["allowed"], none["reason"]) == (False, "unknown_credential")


async def test_an_instant_without_a_zone_is_refused(ground: Ground) -> None:
    """An instant names its zone, or it is none."""
    pia, door = await ground.person(), await ground.lock(await ground.hub())

    told = await why(ground, pia, door, "2026-03-02T16:00:00")

    assert told["code"] == "validation_failed"


WORK = [{"weekday": day, "start_min": 540, "end_min": 1020} for day in range(5)]


async def test_each_group_tells_whether_it_opens_and_when(ground: Ground) -> None:
    """Which group grants, which would but is shut, why, and what the next two weeks bring."""
    pia, door = await ground.person(), await ground.lock(await ground.hub())
    await ground.tag(pia)
    work = await ground.make("/schedules", {"name": "Work", "windows": WORK})
    sunday = {"weekday": 6, "start_min": 600, "end_min": 720}
    feast = await ground.make("/schedules", {"name": "Sunday", "windows": [sunday]})
    june = {"name": "June", "windows": WORK, "starts_on": "2026-06-01"}
    far = await ground.make("/schedules", june)
    frames: dict[str, dict[str, object]] = {
        "work": {"schedule_id": work["id"]},
        "sunday": {"schedule_id": feast["id"]},
        "always": {},
        "far": {"schedule_id": far["id"]},
        "soon": {"starts_at": "2026-03-03T08:00:00Z", "ends_at": "2026-03-03T09:00:00Z"},
        "gone": {"ends_at": "2026-03-02T12:00:00Z"},
        "leaving": {"ends_at": "2026-03-02T12:30:00Z"},
    }
    groups = {}
    for name, frame in frames.items():
        groups[name] = await ground.make("/access-groups", {"name": name, **frame})
        await ground.join(groups[name], "people", pia)
        await ground.join(groups[name], "locks", door)

    told = await why(ground, pia, door)

    seen = {
        one["name"]: (one["open"], one["reason"], one["opens_at"], one["open_until"])
        for one in told["groups"]
    }
    assert seen == {
        "work": (True, None, None, "2026-03-02T16:00:00Z"),
        "sunday": (False, "outside_schedule", "2026-03-08T09:00:00Z", None),
        "always": (True, None, None, None),
        "far": (False, "outside_schedule", None, None),
        "soon": (False, "group_not_yet", "2026-03-03T08:00:00Z", None),
        "gone": (False, "group_ended", None, None),
        "leaving": (True, None, None, "2026-03-02T12:30:00Z"),
    }
    kept = {
        one["name"]: (one["kind"], one["group_id"], one["schedule_id"]) for one in told["groups"]
    }
    assert kept == {
        name: ("access_group", group["id"], group["schedule_id"]) for name, group in groups.items()
    }
    assert (told["allowed"], told["opens_at"], told["open_until"]) == (True, None, None)


@pytest.mark.parametrize(
    ("edits", "at", "expected"),
    [
        ({}, "2026-03-02T12:00:00Z", (None, "2026-03-02T16:00:00Z")),
        ({}, "2026-03-02T16:00:00Z", ("2026-03-03T08:00:00Z", None)),
        ({}, "2026-03-27T12:00:00Z", (None, "2026-03-27T16:00:00Z")),
        ({}, "2026-03-27T16:00:00Z", ("2026-03-30T07:00:00Z", None)),  # the clocks change
        ({"person": {"expires_at": "2026-03-02T13:00:00Z"}}, None, (None, "2026-03-02T13:00:00Z")),
        ({"person": {"starts_at": "2026-03-03T12:00:00Z"}}, None, ("2026-03-03T12:00:00Z", None)),
        ({"tag": {"ends_at": "2026-03-02T14:00:00Z"}}, None, (None, "2026-03-02T14:00:00Z")),
        ({"tag": {"blocked": True}}, None, (None, None)),
        ({"person": {"subscribed": False}}, None, (None, None)),
        ({}, "2026-04-01T11:00:00Z", (None, "2026-04-01T12:00:00Z")),  # the subscription ends
        ({}, "2026-04-01T12:00:00Z", (None, None)),
    ],
)
async def test_the_outlook_ends_where_anything_ends(
    ground: Ground,
    edits: dict[str, dict[str, object]],
    at: str | None,
    expected: tuple[str | None, str | None],
) -> None:
    """Schedule, stay, credential and subscription all bound when the door opens for somebody."""
    pia, door = await ground.person(), await ground.lock(await ground.hub())
    tag = await ground.tag(pia)
    work = await ground.make("/schedules", {"name": "Work", "windows": WORK})
    await ground.group(people=(pia,), locks=(door,), schedule_id=work["id"])
    path = f"/sites/{OWN}/people/{pia['id']}"
    paths = {"person": path, "tag": f"{path}/credentials/{tag['id']}"}
    for what, edit in edits.items():
        assert (await ground.call("PATCH", paths[what], edit, if_match=1)).status == 200

    told = await why(ground, pia, door, at)

    assert (told["opens_at"], told["open_until"]) == expected
    (credential,) = told["credentials"]
    assert (credential["opens_at"], credential["open_until"]) == expected
    assert told["allowed"] == (expected[1] is not None)


async def test_two_tags_have_two_outlooks(ground: Ground) -> None:
    """The one that lasts longer tells until when the person may open."""
    pia, door = await ground.person(), await ground.lock(await ground.hub())
    ends = [await ground.tag(pia, ends_at=f"2026-03-02T1{hour}:00:00Z") for hour in (3, 5)]
    await ground.group(people=(pia,), locks=(door,))

    told = await why(ground, pia, door)

    until = {one["credential_id"]: one["open_until"] for one in told["credentials"]}
    assert until == {one["id"]: one["ends_at"] for one in ends}
    assert told["open_until"] == "2026-03-02T15:00:00Z"


@pytest.mark.parametrize(
    "at", ["1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
async def test_an_instant_that_no_hub_can_be_told_is_refused(ground: Ground, at: str) -> None:
    """Before 1970 and from 2100 on nothing is foreseen; the field is named."""
    pia, door = await ground.person(), await ground.lock(await ground.hub())

    told = await why(ground, pia, door, at)

    assert (told["code"], told["facts"]) == ("invalid", {"field": "at"})
