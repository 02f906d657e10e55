"""Pods: locks that a few members run by themselves, with guests of their own."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from controller.db.tables.access import pod_people
from controller.db.tables.people import people
from controller.domain.instants import to_text
from tests.controller.people.ground import NOW, OWN, Answer, Ground, account
from vouchers.products import Plan

PODS = f"/sites/{OWN}/pods"
TOMORROW = to_text(NOW + timedelta(days=1))


async def pod(ground: Ground, **more: object) -> Any:
    """Make a pod with a lock and a member, whose account Uma has."""
    await ground.sell(pods=True)
    made = await ground.make("/pods", {"name": "Suite", **more})
    lock = await ground.lock(await ground.hub())
    member = await ground.person("Uma")
    async with ground.db.write() as tx:
        await tx.execute(
            update(people).where(people.c.id == member["id"]).values(account_id=account("uma"))
        )
    for kind, one in (("locks", lock), ("members", member)):
        done = await ground.call("PUT", f"{PODS}/{made['id']}/{kind}/{one['id']}")
        assert done.status == 204, done.body
    return made | {"lock": lock, "member": member}


async def may_open(ground: Ground, made: Any, person: Any, *, at: str = to_text(NOW)) -> bool:
    """Return whether a person with a tag may open the pod's lock."""
    path = f"/sites/{OWN}/people/{person['id']}/locks/{made['lock']['id']}/why?at={at}"
    return bool((await ground.call("GET", path)).body["allowed"])


async def invite(ground: Ground, made: Any, *, by: str = "uma", **more: object) -> Answer:
    """Invite a guest as a member does."""
    path = f"/sites/{OWN}/own/pods/{made['id']}/guests"
    body = {"name": "Gus", "expires_at": TOMORROW} | more
    return await ground.call("POST", path, body, by=by, key=f"k{next(ground.numbers)}")


async def test_a_pod_opens_to_its_members_within_its_time(ground: Ground) -> None:
    """Members open the pod's locks from its start to before its end."""
    made = await pod(ground, ends_at=TOMORROW)
    await ground.tag(made["member"])

    assert await may_open(ground, made, made["member"])
    assert not await may_open(ground, made, made["member"], at=TOMORROW)


async def test_a_member_invites_a_guest_and_takes_him_out(ground: Ground) -> None:
    """The guest takes a seat and opens the pod; taken out, he is gone and the seat is free."""
    made = await pod(ground)

    guest = await invite(ground, made)

    assert (guest.status, guest.body["is_guest"], guest.body["subscribed"]) == (201, True, True)
    await ground.tag(guest.body)
    assert await may_open(ground, made, guest.body)
    seats = (await ground.call("GET", f"/sites/{OWN}/seats")).body["used"]

    path = f"/sites/{OWN}/own/pods/{made['id']}/guests/{guest.body['id']}"
    assert (await ground.call("DELETE", path, by="uma")).status == 204
    assert await ground.count(people, id=guest.body["id"]) == 0
    assert (await ground.call("GET", f"/sites/{OWN}/seats")).body["used"] == seats - 1


async def test_a_guest_stays_no_longer_than_the_pod(ground: Ground) -> None:
    """An end after the pod's names the field, and nobody is added."""
    made = await pod(ground, ends_at=TOMORROW)

    later = to_text(NOW + timedelta(days=2))
    refused = await invite(ground, made, expires_at=later)

    assert (refused.status, refused.code) == (422, "invalid_pod")
    assert refused.facts == {"field": "expires_at"}
    assert await ground.count(people, site_id=OWN) == 1


async def test_a_pod_takes_so_many_guests(ground: Ground) -> None:
    """The guest too many is refused aloud, and is no person of the site."""
    made = await pod(ground, guests_max=1)
    assert (await invite(ground, made)).status == 201

    refused = await invite(ground, made, name="Hal")

    assert (refused.status, refused.code, refused.facts["limit"]) == (409, "pod_full", 1)
    assert await ground.count(people, name="Hal") == 0


@pytest.mark.invariant("T3")
async def test_only_members_invite_and_only_their_own_guests_leave(ground: Ground) -> None:
    """Somebody who is no member sees no pod; a guest whom an admin put in is not a member's."""
    made = await pod(ground)
    other = await ground.make("/pods", {"name": "Other"})
    walter = await ground.person("Walter")
    await ground.call("PUT", f"{PODS}/{made['id']}/guests/{walter['id']}")

    foreign_pod = await invite(ground, other)
    path = f"/sites/{OWN}/own/pods/{made['id']}/guests/{walter['id']}"
    not_hers = await ground.call("DELETE", path, by="uma")

    assert (foreign_pod.status, foreign_pod.code) == (404, "not_found")
    assert (not_hers.status, not_hers.code) == (403, "not_your_guest")


async def test_a_guest_with_another_right_is_only_taken_out(ground: Ground) -> None:
    """Whom an admin has put into a group meanwhile stays a person of the site."""
    made = await pod(ground)
    guest = (await invite(ground, made)).body
    await ground.group(people=(guest,))

    path = f"/sites/{OWN}/own/pods/{made['id']}/guests/{guest['id']}"
    assert (await ground.call("DELETE", path, by="uma")).status == 204

    assert await ground.count(people, id=guest["id"]) == 1
    assert await ground.count(pod_people, person_id=guest["id"]) == 0


async def test_cleaning_leaves_the_locks(ground: Ground) -> None:
    """Everybody is out, nobody opens, and the next tenant finds the locks in place."""
    made = await pod(ground)
    await ground.tag(made["member"])
    await invite(ground, made)

    cleaned = await ground.call("POST", f"{PODS}/{made['id']}/clean")

    assert (cleaned.status, cleaned.body) == (200, {"people": 2})
    assert not await may_open(ground, made, made["member"])
    locks = (await ground.call("GET", f"{PODS}/{made['id']}/locks")).body["items"]
    assert locks == [made["lock"]["id"]]


@pytest.mark.invariant("V11")
async def test_without_the_add_on_a_pod_is_seen_and_opens_nothing(ground: Ground) -> None:
    """After the add-on it stays as it is, unusable; with a new one it works again, unchanged."""
    made = await pod(ground)
    await ground.tag(made["member"])
    shown = (await ground.call("GET", f"{PODS}/{made['id']}")).body

    await ground.sell(Plan.PRO)
    assert (await ground.call("GET", f"{PODS}/{made['id']}")).body == shown | {"usable": False}
    assert not await may_open(ground, made, made["member"])
    refused = await ground.call("POST", PODS, {"name": "New"})
    assert (refused.status, refused.code) == (403, "feature_not_entitled")

    await ground.sell(Plan.PRO, pods=True)
    assert (await ground.call("GET", f"{PODS}/{made['id']}")).body == shown
    assert await may_open(ground, made, made["member"])


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "name"),
        ({"name": "P", "guests_max": 201}, 422, "guests_max"),
        ({"name": "P\u202e"}, 422, "name"),
        ({"name": "P", "starts_at": TOMORROW, "ends_at": to_text(NOW)}, 422, "ends_at"),
    ],
)
async def test_a_pod_that_cannot_be_is_refused_by_the_field(
    ground: Ground, body: dict[str, object], status: int, field: str
) -> None:
    """The field is named and nothing is made."""
    await ground.sell(pods=True)

    answer = await ground.call("POST", PODS, body)

    assert answer.status == status
    named = answer.body.get("errors") or [answer.facts]
    assert named[0]["field"] == field
