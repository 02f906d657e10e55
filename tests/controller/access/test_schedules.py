"""Schedules over REST."""

from typing import Any

import pytest
from sqlalchemy import insert

from controller.db.tables.access import schedules
from controller.db.tables.people import revoked_digests
from tests.controller.people.ground import NOW, OWN, Ground

SCHEDULES = f"/sites/{OWN}/schedules"
MORNING = {"weekday": 0, "start_min": 480, "end_min": 720}
TUESDAY = MORNING | {"weekday": 1}


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


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"windows": [MORNING, MORNING]}, "invalid_schedule", "windows.1"),
        (
            {"windows": [MORNING, TUESDAY, MORNING | {"start_min": 719, "end_min": 800}]},
            "invalid_schedule",
            "windows.2",
        ),
        ({"windows": [MORNING | {"weekday": 7}]}, "invalid_schedule", "windows"),
        ({"starts_on": "2026-03-03", "ends_on": "2026-03-02"}, "invalid_schedule", "ends_on"),
        ({"starts_on": "2026-03-03", "ends_on": "2026-03-08"}, "invalid_schedule", "ends_on"),
        ({"starts_on": "1969-12-31"}, "invalid_schedule", "starts_on"),
        ({"ends_on": "2100-01-01"}, "invalid_schedule", "ends_on"),
        ({"ends_on": "2026-02-30"}, "validation_failed", "ends_on"),
        ({"ends_on": "2026-03-01T00:00:00Z"}, "validation_failed", "ends_on"),
        ({"ends_on": 20_000}, "validation_failed", "ends_on"),
        ({"observes_holidays": "yes"}, "validation_failed", "observes_holidays"),
        ({"observes_holidays": None}, "validation_failed", "observes_holidays"),
        ({"windows": [MORNING, MORNING | {"colour": 1}]}, "validation_failed", "windows.1.colour"),
        ({"windows": [MORNING, {"weekday": 1}]}, "validation_failed", "windows.1.start_min"),
        ({"windows": [MORNING | {"weekday": 1.5}]}, "validation_failed", "windows.0.weekday"),
        ({"windows": [MORNING] * 201}, "validation_failed", "windows"),
        ({"name": " "}, "validation_failed", "name"),
        ({"name": "Off\u202eice"}, "validation_failed", "name"),
        ({"name": "Office\u200f"}, "validation_failed", "name"),
        ({"colour": "red"}, "validation_failed", "colour"),
    ],
)
async def test_what_a_schedule_cannot_be_names_the_field(
    ground: Ground, body: dict[str, object], code: str, field: str
) -> None:
    """Overlaps, times that never come, odd values: new or edited, nothing of it is written."""
    kept = await ground.make("/schedules", {"name": "Day", "windows": [MORNING]})

    made = await ground.call("POST", SCHEDULES, {"name": "Office", "windows": [MORNING]} | body)
    edited = await ground.call("PATCH", f"{SCHEDULES}/{kept['id']}", body, if_match=1)

    for answer in (made, edited):
        assert (answer.status, answer.code) == (422, code)
        errors = answer.body.get("errors", [])
        named = errors[0]["field"] if errors else answer.facts["field"]
        assert named == field
        assert errors or answer.body["detail"].startswith(f"{field}:")
    assert (await ground.call("GET", SCHEDULES)).body == {"items": [kept]}


async def test_a_schedule_keeps_holidays_and_dates(ground: Ground) -> None:
    """What is left out of an edit stays, null takes a date away, and one day may be all."""
    windows = [MORNING, MORNING | {"weekday": 7}]
    body = {"windows": windows, "observes_holidays": True, "starts_on": "2026-03-02"}
    made = await ground.make("/schedules", body | {"name": "Office", "ends_on": "2026-03-02"})
    path = f"{SCHEDULES}/{made['id']}"

    renamed = await ground.call("PATCH", path, {"name": "Other"}, if_match=1)
    opened = await ground.call("PATCH", path, {"ends_on": None}, if_match=2)

    assert made | body | {"ends_on": "2026-03-02"} == made
    assert renamed.body == made | {"name": "Other", "version": 2}
    assert opened.body == renamed.body | {"ends_on": None, "version": 3}
    assert (await ground.call("GET", path)).body == opened.body


async def test_an_edit_is_judged_with_what_it_leaves(ground: Ground) -> None:
    """Windows for holidays alone go well until the schedule stops to observe them."""
    body = {"windows": [MORNING | {"weekday": 7}], "observes_holidays": True}
    made = await ground.make("/schedules", {"name": "Feast", **body})

    edit = {"observes_holidays": False}
    answer = await ground.call("PATCH", f"{SCHEDULES}/{made['id']}", edit, if_match=1)

    assert (answer.status, answer.facts) == (422, {"field": "windows"})


async def test_a_name_with_markup_is_a_text(ground: Ground) -> None:
    """What looks like markup, or is written from the right, comes back letter by letter."""
    for name in ("<script>alert(1)</script>", "משמרת לילה", "a & b"):
        made = await ground.make("/schedules", {"name": name, "windows": [MORNING]})
        assert made["name"] == name


async def test_a_site_has_200_schedules_at_most(ground: Ground) -> None:
    """They are listed whole, so there is an end to them."""
    async with ground.db.write() as tx:
        await tx.execute(
            insert(schedules),
            [
                {
                    "site_id": OWN,
                    "id": f"{number:032x}",
                    "name": f"S{number}",
                    "windows": [[0, 0, 60]],
                    "version": 1,
                }
                for number in range(200)
            ],
        )

    answer = await ground.call("POST", SCHEDULES, {"name": "More", "windows": [MORNING]})

    assert (answer.status, answer.code) == (409, "too_many_schedules")
    assert answer.facts == {"limit": 200, "used": 200, "remedy": "delete_schedule"}


@pytest.mark.parametrize(
    ("edit", "noted"),
    [
        ({"windows": [MORNING | {"end_min": 481}]}, 0),
        ({"observes_holidays": True}, 0),
        ({"starts_on": "2026-01-01"}, 1),
        ({"ends_on": "2026-06-30"}, 1),
        ({"starts_on": None, "ends_on": None}, 0),
        ({"ends_on": "2026-12-31"}, 0),
        ({"ends_on": "2027-01-01"}, 0),
    ],
)
async def test_days_that_are_lost_make_locks_forget(
    ground: Ground, edit: dict[str, object], noted: int
) -> None:
    """A memory knows no hours, so other hours take nothing from it; days that are lost do."""
    pia, stranger = await ground.person(), await ground.person("Stranger")
    await ground.tag(pia)
    await ground.tag(stranger)
    door = await ground.lock(await ground.hub())
    body = {"name": "Year", "windows": [MORNING], "ends_on": "2026-12-31"}
    made = await ground.make("/schedules", body)
    await ground.group(people=(pia,), locks=(door,), schedule_id=made["id"])
    await ground.group(people=(stranger,), locks=(door,))

    answer = await ground.call("PATCH", f"{SCHEDULES}/{made['id']}", edit, if_match=1)

    assert answer.status == 200
    assert await ground.count(revoked_digests, revoked_at=NOW) == noted


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
