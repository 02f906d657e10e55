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
