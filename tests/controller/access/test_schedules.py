"""Schedules over REST."""

from typing import Any

import pytest

from controller.db.tables.access import schedules
from tests.controller.people.ground import OWN, Ground

SCHEDULES = f"/sites/{OWN}/schedules"
MORNING = {"weekday": 0, "start_min": 480, "end_min": 720}


async def office(ground: Ground, *windows: dict[str, int]) -> Any:
    """Make a schedule."""
    return await ground.make(
        "/schedules", {"name": "Office", "windows": list(windows or [MORNING])}
    )


async def test_a_schedule_comes_back_sorted(ground: Ground) -> None:
    """Windows are shown in the order of the week."""
    evening = {"weekday": 0, "start_min": 1080, "end_min": 1440}
    sunday = {"weekday": 6, "start_min": 0, "end_min": 60}

    made = await office(ground, sunday, evening, MORNING)

    assert made["windows"] == [MORNING, evening, sunday]
    assert (await ground.call("GET", f"{SCHEDULES}/{made['id']}")).body == made
    assert (await ground.call("GET", SCHEDULES)).body == {"items": [made]}


@pytest.mark.parametrize(
    ("window", "field"),
    [
        (MORNING | {"end_min": 480}, "windows.1.end_min"),
        (MORNING | {"end_min": 479}, "windows.1.end_min"),
        (MORNING | {"end_min": 1441}, "windows.1.end_min"),
        (MORNING | {"start_min": 1440}, "windows.1.start_min"),
        (MORNING | {"weekday": 8}, "windows.1.weekday"),
    ],
)
async def test_a_window_that_cannot_be_is_named(
    ground: Ground, window: dict[str, int], field: str
) -> None:
    """An end at or before the start, or past midnight, names the window and the field."""
    body = {"name": "Office", "windows": [MORNING, window]}

    answer = await ground.call("POST", SCHEDULES, body)

    assert (answer.status, answer.code) == (422, "invalid_schedule")
    assert answer.facts == {"field": field}
    assert field in answer.body["detail"]
    assert await ground.count(schedules) == 0


@pytest.mark.parametrize("count", [0, 29])
async def test_a_schedule_has_one_to_28_windows(ground: Ground, count: int) -> None:
    """No window would never open, and more than a section holds are refused."""
    windows = [
        {"weekday": number % 7, "start_min": number, "end_min": number + 1}
        for number in range(count)
    ]

    answer = await ground.call("POST", SCHEDULES, {"name": "Office", "windows": windows})

    assert (answer.status, answer.code) == (422, "invalid_schedule")
    assert answer.facts == {"field": "windows"}


async def test_two_schedules_of_a_site_have_two_names(ground: Ground) -> None:
    """A name is taken once, for a new schedule as for a renamed one."""
    await office(ground)
    night = await ground.make("/schedules", {"name": "Night", "windows": [MORNING]})

    again = await ground.call("POST", SCHEDULES, {"name": "Office", "windows": [MORNING]})
    renamed = await ground.call(
        "PATCH", f"{SCHEDULES}/{night['id']}", {"name": "Office"}, if_match=1
    )

    assert (again.status, again.code, again.facts) == (409, "name_taken", {"field": "name"})
    assert (renamed.status, renamed.code) == (409, "name_taken")


async def test_a_schedule_that_groups_follow_stays(ground: Ground) -> None:
    """Deleting it would open their doors at all times, so it is refused until they let go."""
    made = await office(ground)
    group = await ground.group(schedule_id=made["id"])
    path = f"{SCHEDULES}/{made['id']}"

    kept = await ground.call("DELETE", path, if_match=1)
    await ground.call("DELETE", f"/sites/{OWN}/access-groups/{group['id']}", if_match=1)
    gone = await ground.call("DELETE", path, if_match=1)

    assert (kept.status, kept.code) == (409, "schedule_in_use")
    assert kept.facts == {"groups": 1, "locks": 0, "rules": 0, "remedy": "change_followers"}
    assert gone.status == 204


@pytest.mark.parametrize(
    ("edit", "revisions"), [({"name": "Day"}, 0), ({"windows": [MORNING | {"end_min": 721}]}, 1)]
)
async def test_windows_reach_the_hubs_and_names_do_not(
    ground: Ground, edit: dict[str, object], revisions: int
) -> None:
    """Only what decides at a door asks for a revision, of the hubs whose locks follow it."""
    hub, other = await ground.hub(), await ground.hub()
    made = await office(ground)
    await ground.lock(other)
    await ground.group(locks=(await ground.lock(hub),), schedule_id=made["id"])
    others_before = (await ground.revisions())[other["id"]]
    before = (await ground.revisions())[hub["id"]]

    answer = await ground.call("PATCH", f"{SCHEDULES}/{made['id']}", edit, if_match=1)

    assert answer.body == made | edit | {"version": 2}
    assert (await ground.revisions())[hub["id"]] - before == revisions
    assert (await ground.revisions())[other["id"]] == others_before


async def test_an_old_version_of_a_schedule_is_refused(ground: Ground) -> None:
    """Edits and deletions name the version they were made from."""
    path = f"{SCHEDULES}/{(await office(ground))['id']}"
    await ground.call("PATCH", path, {"name": "Day"}, if_match=1)

    edited = await ground.call("PATCH", path, {"name": "Night"}, if_match=1)
    gone = await ground.call("DELETE", path, if_match=1)

    assert (edited.status, edited.code, gone.status) == (412, "stale", 412)
