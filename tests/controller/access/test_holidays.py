"""Holidays over REST."""

import asyncio
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import insert

from controller.db.tables.access import holidays
from controller.db.tables.people import revoked_digests
from tests.controller.people.ground import FOREIGN, OWN, Ground
from tests.controller.site_rows import site_state

HOLIDAYS = f"/sites/{OWN}/holidays"
CHRISTMAS = {"name": "Christmas", "starts_on": "2026-12-25", "days": 2}


async def test_a_holiday_comes_back(ground: Ground) -> None:
    """Holidays are listed earliest first; one day is meant where no number is given."""
    christmas = await ground.make("/holidays", CHRISTMAS)
    may_day = await ground.make("/holidays", {"name": "May Day", "starts_on": "2026-05-01"})

    assert may_day["days"] == 1
    assert christmas == CHRISTMAS | {"id": christmas["id"], "version": 1}
    assert (await ground.call("GET", f"{HOLIDAYS}/{christmas['id']}")).body == christmas
    assert (await ground.call("GET", HOLIDAYS)).body == {"items": [may_day, christmas]}


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"days": 0}, 422, "invalid_holiday", "days"),
        ({"days": 32}, 422, "invalid_holiday", "days"),
        ({"starts_on": "1969-12-31"}, 422, "invalid_holiday", "starts_on"),
        ({"starts_on": "2100-01-01"}, 422, "invalid_holiday", "starts_on"),
        ({"starts_on": "2026-02-30"}, 422, "validation_failed", "starts_on"),
        ({"starts_on": "2026-12-25T00:00:00Z"}, 422, "validation_failed", "starts_on"),
        ({"starts_on": 1_766_620_800}, 422, "validation_failed", "starts_on"),
        ({"days": "2"}, 422, "validation_failed", "days"),
        ({"name": ""}, 422, "validation_failed", "name"),
        ({"name": "Christ\u202emas"}, 422, "validation_failed", "name"),
        ({"colour": "red"}, 422, "validation_failed", "colour"),
    ],
)
async def test_a_holiday_that_cannot_be_names_the_field(
    ground: Ground, body: dict[str, object], status: int, code: str, field: str
) -> None:
    """New or edited, nothing is written of a holiday that cannot be."""
    kept = await ground.make("/holidays", CHRISTMAS | {"starts_on": "2026-01-06"})

    made = await ground.call("POST", HOLIDAYS, CHRISTMAS | body)
    edited = await ground.call("PATCH", f"{HOLIDAYS}/{kept['id']}", body, if_match=1)

    for answer in (made, edited):
        assert (answer.status, answer.code) == (status, code)
        named = [error["field"] for error in answer.body.get("errors", [])] or [
            answer.facts["field"]
        ]
        assert named == [field]
    assert (await ground.call("GET", HOLIDAYS)).body == {"items": [kept]}


async def test_a_name_with_markup_is_a_text(ground: Ground) -> None:
    """What looks like markup, or is written from the right, comes back letter by letter."""
    for name, starts_on in (("<b>Eid</b> & more", "2026-03-20"), ("عيد الفطر", "2026-03-25")):
        made = await ground.make("/holidays", {"name": name, "starts_on": starts_on})
        assert made["name"] == name


@pytest.mark.parametrize(
    ("starts_on", "days", "status"),
    [
        ("2026-12-25", 1, 409),
        ("2026-12-26", 1, 409),
        ("2026-12-24", 2, 409),
        ("2026-12-20", 31, 409),
        ("2026-12-27", 1, 201),
        ("2026-12-24", 1, 201),
    ],
)
async def test_no_day_is_of_two_holidays(
    ground: Ground, starts_on: str, days: int, status: int
) -> None:
    """Holidays of one site do not overlap; they may meet. The one in the way is named."""
    christmas = await ground.make("/holidays", CHRISTMAS)
    other = await ground.make("/holidays", {"name": "Other", "starts_on": "2026-06-01"})
    body = {"name": "Other", "starts_on": starts_on, "days": days}

    moved = await ground.call("PATCH", f"{HOLIDAYS}/{other['id']}", body, if_match=1)
    await ground.call("DELETE", f"{HOLIDAYS}/{other['id']}", if_match=1)
    await ground.call("DELETE", f"{HOLIDAYS}/{other['id']}", if_match=2)
    made = await ground.call("POST", HOLIDAYS, body)

    assert (moved.status, made.status) == (200 if status == 201 else status, status)
    if status == 409:
        assert made.code == moved.code == "holidays_overlap"
        assert made.facts == {"field": "starts_on", "holiday_id": christmas["id"]}


async def test_a_holiday_may_be_moved_over_itself(ground: Ground) -> None:
    """Its own days are in nobody's way, and another site's neither."""
    christmas = await ground.make("/holidays", CHRISTMAS)
    await ground.make("/holidays", CHRISTMAS, site=FOREIGN, by="bob")

    edit = {"starts_on": "2026-12-24", "days": 3}
    moved = await ground.call("PATCH", f"{HOLIDAYS}/{christmas['id']}", edit, if_match=1)

    assert moved.body == christmas | edit | {"version": 2}


async def test_a_site_has_40_holidays_at_most(ground: Ground) -> None:
    """Those that are over count; deleting one makes room, and of two at once one gets it."""
    first = date(2020, 1, 1)
    async with ground.db.write() as tx:
        await tx.execute(
            insert(holidays),
            [
                {
                    "site_id": OWN,
                    "id": f"{number:032x}",
                    "name": "Past",
                    "starts_on": first + timedelta(days=number),
                    "days": 1,
                    "version": 1,
                }
                for number in range(40)
            ],
        )

    full = await ground.call("POST", HOLIDAYS, CHRISTMAS)
    renamed = await ground.call("PATCH", f"{HOLIDAYS}/{0:032x}", {"name": "Old"}, if_match=1)
    await ground.call("DELETE", f"{HOLIDAYS}/{1:032x}", if_match=1)
    answers = await asyncio.gather(
        *(
            ground.call("POST", HOLIDAYS, CHRISTMAS | {"starts_on": f"2026-0{month}-01"})
            for month in (7, 8)
        )
    )

    assert (full.status, full.code) == (409, "too_many_holidays")
    assert full.facts == {"limit": 40, "used": 40, "remedy": "delete_past_holidays"}
    assert renamed.status == 200
    assert sorted(answer.status for answer in answers) == [201, 409]
    assert await ground.count(holidays, site_id=OWN) == 40


async def test_the_same_days_at_once_are_one_holiday(ground: Ground) -> None:
    """Of ten who add it at once one does, on either database."""
    answers = await asyncio.gather(*(ground.call("POST", HOLIDAYS, CHRISTMAS) for _ in range(10)))

    assert sorted(answer.status for answer in answers) == [201] + [409] * 9
    assert {answer.code for answer in answers if answer.status == 409} == {"holidays_overlap"}


async def test_days_reach_the_hubs_and_names_do_not(ground: Ground) -> None:
    """What decides at a door asks for a revision, and nobody's lost right is noted for it."""
    pia, hub = await ground.person(), await ground.hub()
    await ground.tag(pia)
    await ground.group(people=(pia,), locks=(await ground.lock(hub),))
    revisions = []

    async def note() -> None:
        revisions.append((await ground.revisions())[hub["id"]])

    await note()
    made = await ground.make("/holidays", CHRISTMAS)
    await note()
    path = f"{HOLIDAYS}/{made['id']}"
    await ground.call("PATCH", path, {"name": "Xmas"}, if_match=1)
    await note()
    await ground.call("PATCH", path, {"days": 1}, if_match=2)
    await note()
    await ground.call("DELETE", path, if_match=3)
    await note()

    raised = [after - before for before, after in pairwise(revisions)]
    assert raised == [1, 0, 1, 1]
    assert await ground.count(revoked_digests) == 0


async def test_a_schedule_that_observes_holidays_follows_them(ground: Ground) -> None:
    """On the day itself the door is shut for one group and open for the other."""
    pia, door = await ground.person(), await ground.lock(await ground.hub())
    await ground.tag(pia)
    monday = [{"weekday": 0, "start_min": 0, "end_min": 1440}]
    why = f"/sites/{OWN}/people/{pia['id']}/locks/{door['id']}/why"
    made: dict[bool, Any] = {}
    for observes in (True, False):
        body = {"name": f"{observes}", "windows": monday, "observes_holidays": observes}
        schedule = await ground.make("/schedules", body)
        made[observes] = await ground.group(
            people=(pia,), locks=(door,), schedule_id=schedule["id"]
        )

    await ground.make("/holidays", {"name": "Today", "starts_on": "2026-03-02"})
    told = (await ground.call("GET", why)).body

    is_open = {group["group_id"]: group["open"] for group in told["groups"]}
    assert is_open == {made[True]["id"]: False, made[False]["id"]: True}
    assert told["group_id"] == made[False]["id"]
    async with ground.db.read() as tx:
        assert len((await site_state(tx, OWN)).holidays) == 1


async def test_an_old_version_of_a_holiday_is_refused(ground: Ground) -> None:
    """Edits and deletions name the version they were made from."""
    path = f"{HOLIDAYS}/{(await ground.make('/holidays', CHRISTMAS))['id']}"
    await ground.call("PATCH", path, {"name": "One"}, if_match=1)

    edited = await ground.call("PATCH", path, {"name": "Two"}, if_match=1)
    gone = await ground.call("DELETE", path, if_match=1)

    assert (edited.status, edited.code, gone.status) == (412, "stale", 412)
