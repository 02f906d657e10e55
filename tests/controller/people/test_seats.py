"""The plan's user seats."""

import asyncio
from datetime import timedelta

import pytest

from controller.db.engine import Database
from controller.db.tables.people import people, revoked_digests
from controller.domain.ids import PersonId
from controller.subscriptions.repository import unseat
from tests.controller.people.ground import FOREIGN, NOW, OWN, Ground, served

PEOPLE = f"/sites/{OWN}/people"
SEATS = 3


async def fill(ground: Ground) -> list[str]:
    """Take all seats and return who has them."""
    return [(await ground.person(f"P{number}"))["id"] for number in range(SEATS)]


@pytest.mark.invariant("V12")
async def test_the_person_too_many_is_refused_aloud(database: Database) -> None:
    """Exhaustion names limit, usage and remedy, and leaves everything as it was."""
    async with served(database, users=SEATS) as ground:
        holders = await fill(ground)

        answer = await ground.call("POST", PEOPLE, {"name": "P3", "subscribed": True})

        assert (answer.status, answer.code) == (409, "seats_exhausted")
        assert answer.facts == {
            "limit": SEATS,
            "used": SEATS,
            "adding": 1,
            "remedy": "unsubscribe_or_redeem_plan_voucher",
        }
        assert await ground.count(people, site_id=OWN) == len(holders)


@pytest.mark.invariant("V12")
async def test_unsubscribed_people_need_no_seat(database: Database) -> None:
    """Somebody without a seat can always be added, and not be subscribed afterwards."""
    async with served(database, users=SEATS) as ground:
        await fill(ground)

        added = await ground.person("Waiting", subscribed=False)
        path = f"{PEOPLE}/{added['id']}"
        answer = await ground.call("PATCH", path, {"subscribed": True}, if_match=1)

        assert (answer.status, answer.code) == (409, "seats_exhausted")


@pytest.mark.invariant("V12")
async def test_a_seat_of_another_site_is_not_counted(database: Database) -> None:
    """Each site fills its own seats."""
    async with served(database, users=SEATS) as ground:
        await fill(ground)

        elsewhere = await ground.person("Bo", site=FOREIGN, by="bob")

        assert elsewhere["subscribed"]


@pytest.mark.parametrize("way", ["unsubscribe", "delete", "expire now", "expire later"])
@pytest.mark.invariant("V12")
async def test_a_freed_seat_can_be_taken_at_once(database: Database, way: str) -> None:
    """Unsubscribing, deleting and expiring free the seat without anything else being done."""
    async with served(database, users=SEATS) as ground:
        path = f"{PEOPLE}/{(await fill(ground))[0]}"
        end = (NOW + timedelta(hours=1)).isoformat()
        match way:
            case "unsubscribe":
                await ground.call("PATCH", path, {"subscribed": False}, if_match=1)
            case "delete":
                await ground.call("DELETE", path, if_match=1)
            case "expire now":
                await ground.call("PATCH", path, {"expires_at": NOW.isoformat()}, if_match=1)
            case _:
                await ground.call("PATCH", path, {"expires_at": end}, if_match=1)
                still = await ground.call("POST", PEOPLE, {"name": "Early", "subscribed": True})
                assert still.code == "seats_exhausted"
                ground.calendar.at = NOW + timedelta(hours=1)

        assert (await ground.person("Next"))["subscribed"]


@pytest.mark.invariant("V12")
async def test_whoever_comes_back_needs_a_seat_again(database: Database) -> None:
    """An expired person whose end is moved takes a seat, and is refused when none is free."""
    async with served(database, users=SEATS) as ground:
        path = f"{PEOPLE}/{(await fill(ground))[0]}"
        await ground.call("PATCH", path, {"expires_at": NOW.isoformat()}, if_match=1)
        await ground.person("Next")

        answer = await ground.call("PATCH", path, {"expires_at": None}, if_match=2)

        assert answer.code == "seats_exhausted"
        assert (await ground.call("GET", path)).body["expired"]


@pytest.mark.invariant("V12")
async def test_a_holder_can_be_edited_while_all_seats_are_taken(database: Database) -> None:
    """Editing somebody who has a seat takes no second one."""
    async with served(database, users=SEATS) as ground:
        path = f"{PEOPLE}/{(await fill(ground))[0]}"

        answer = await ground.call("PATCH", path, {"name": "P0b", "subscribed": True}, if_match=1)

        assert answer.status == 200


@pytest.mark.invariant("V12")
async def test_racers_never_take_more_seats_than_there_are(database: Database) -> None:
    """Of twelve who subscribe at once, some new and some edited, three get a seat."""
    async with served(database, users=SEATS) as ground:
        waiting = [await ground.person(f"W{number}", subscribed=False) for number in range(6)]

        answers = await asyncio.gather(
            *(
                ground.call("POST", PEOPLE, {"name": f"N{number}", "subscribed": True})
                for number in range(6)
            ),
            *(
                ground.call("PATCH", f"{PEOPLE}/{one['id']}", {"subscribed": True}, if_match=1)
                for one in waiting
            ),
        )

        assert sum(answer.status in {200, 201} for answer in answers) == SEATS
        refused = [answer for answer in answers if answer.status not in {200, 201}]
        assert {answer.code for answer in refused} == {"seats_exhausted"}
        assert await ground.count(people, subscribed_at=NOW) == SEATS


@pytest.mark.invariant("A1")
async def test_locks_forget_whom_a_renewal_leaves_without_a_seat(database: Database) -> None:
    """Who loses a seat to a smaller plan loses the locks' memory of it too."""
    async with served(database) as ground:
        kept, lost = await ground.person("Kept"), await ground.person("Lost")
        await ground.tag(kept)
        await ground.tag(lost)

        async with ground.db.write() as tx:
            await unseat(tx, OWN, [PersonId(lost["id"])], now=NOW)

        assert await ground.count(people, subscribed_at=None) == 1
        assert await ground.count(revoked_digests, revoked_at=NOW) == 1
