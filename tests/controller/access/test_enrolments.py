"""Tags that are enrolled at a lock."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from controller.access.enrolments import note_presented
from controller.activity.service import Arrival
from controller.db.tables.accounts import accounts, site_roles
from controller.db.tables.hardware import commands, enrolments
from controller.db.tables.people import credentials
from controller.db.tables.records import audit_records
from controller.domain.ids import HubId, SiteId
from gateway.protocol.messages import Batch, Entry, EntryKind
from gateway.protocol.sealing import tag_digest
from tests.controller.people.ground import FOREIGN, KEYS, NOW, OWN, Answer, Ground, account

NUMBER = "04a1b2c3d4e5f6"
DIGEST = tag_digest(bytes.fromhex(NUMBER), KEYS.tag_key(OWN))


async def begin(ground: Ground, lock: Any, person: Any, *, by: str = "ada", **more: object) -> Any:
    """Ask for an enrolment and return the answer."""
    body = {"person_id": person["id"], "label": "Blue"} | more
    key = f"k{next(ground.numbers)}"
    path = f"/sites/{OWN}/locks/{lock['id']}/enrolments"
    return await ground.call("POST", path, body, by=by, key=key)


async def look(ground: Ground, begun: Any) -> Any:
    """Return what is shown of an enrolment."""
    path = f"/sites/{OWN}/locks/{begun['lock_id']}/enrolments/{begun['id']}"
    return (await ground.call("GET", path)).body


def report(begun: Any, **more: Any) -> Batch:
    """Return the batch in which a lock reports the tag."""
    values: dict[str, Any] = {
        "lock_id": bytes.fromhex(begun["lock_id"]),
        "log_epoch": 1,
        "sequence": 1,
        "kind": EntryKind.TAG_ENROLLED,
        "at_s": int(NOW.timestamp()),
        "clock_trusted": True,
        "credential_digest": DIGEST,
        "command_id": bytes.fromhex(begun["id"]),
    }
    return Batch(entries=(Entry(**values | more),))


async def hear(ground: Ground, *batches: Batch, site: SiteId = OWN) -> None:
    """Take batches in, as the device link does."""
    arrivals = [Arrival(site_id=site, hub_id=HubId("0" * 32), batch=batch) for batch in batches]
    async with ground.db.write() as tx:
        await note_presented(tx, arrivals, now=ground.calendar.at)


async def work(ground: Ground) -> int:
    """Let the timer do its work once."""
    async with ground.db.write() as tx:
        return await ground.services.enrolments.finish(tx, now=ground.calendar.at, limit=100)


@pytest.fixture
async def scene(ground: Ground) -> tuple[Ground, Any, Any]:
    """A lock, and somebody who has no tag."""
    lock = await ground.lock(await ground.hub())
    return ground, lock, await ground.person()


Scene = tuple[Ground, Any, Any]


async def test_the_next_tag_becomes_the_persons(scene: Scene) -> None:
    """It waits, was presented, is enrolled; whoever asked stands in the audit."""
    ground, lock, pia = scene

    begun = (await begin(ground, lock, pia, offline=True)).body
    await hear(ground, report(begun))
    presented = await look(ground, begun)
    await work(ground)
    enrolled = await look(ground, begun)

    assert (begun["state"], presented["state"], enrolled["state"]) == (
        "waiting",
        "presented",
        "enrolled",
    )
    path = f"/sites/{OWN}/people/{pia['id']}/credentials/{enrolled['credential_id']}"
    tag = (await ground.call("GET", path)).body
    assert (tag["kind"], tag["label"], tag["offline"]) == ("tag", "Blue", True)
    assert await ground.count(credentials, digest=DIGEST, person_id=pia["id"]) == 1
    given = {"action": "credential_added", "actor_name": "ada", "object_id": tag["id"]}
    assert await ground.count(audit_records, **given) == 1


async def test_the_lock_is_ordered_to_report_a_tag(scene: Scene) -> None:
    """The order has the enrolment's id and its seconds, 120 unless somebody says otherwise."""
    ground, lock, pia = scene

    begun = (await begin(ground, lock, pia)).body

    assert await ground.count(commands, id=begun["id"], kind="enrol_tag", seconds=120) == 1
    assert begun["until"] == "2026-03-02T12:02:40Z"


@pytest.mark.parametrize("seconds", [9, 241, 0, "120", 20.5])
async def test_a_lock_waits_for_10_to_240_seconds(scene: Scene, seconds: object) -> None:
    """Anything else names the field, and the lock is told nothing."""
    ground, lock, pia = scene

    refused = await begin(ground, lock, pia, seconds=seconds)

    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "seconds")
    assert await ground.count(commands) == 0


async def test_a_report_that_comes_again_changes_nothing(scene: Scene) -> None:
    """The first tag of an enrolment counts, however often the batch and the timer come."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia)).body

    await hear(ground, report(begun), report(begun, credential_digest=bytes(16)))
    await work(ground)
    await hear(ground, report(begun), report(begun, credential_digest=bytes(16)))
    again = await work(ground)

    assert again == 0
    assert await ground.count(credentials, person_id=pia["id"]) == 1
    assert await ground.count(credentials, digest=DIGEST) == 1


async def test_workers_that_race_give_the_tag_once(scene: Scene) -> None:
    """Of six that find it presented one gives it away."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia)).body
    await hear(ground, report(begun))

    await asyncio.gather(*(work(ground) for _ in range(6)))

    assert await ground.count(credentials, digest=DIGEST) == 1
    assert await ground.count(audit_records, action="credential_added") == 1
    assert (await look(ground, begun))["state"] == "enrolled"


async def test_a_tag_that_somebody_has_is_refused(scene: Scene) -> None:
    """The batch is taken all the same; the enrolment says why nothing came of it."""
    ground, lock, pia = scene
    max_ = await ground.person("Max")
    path = f"/people/{max_['id']}/credentials"
    await ground.make(path, {"number": NUMBER})
    begun = (await begin(ground, lock, pia)).body

    await hear(ground, report(begun))
    await work(ground)

    told = await look(ground, begun)
    assert (told["state"], told["refusal"], told["credential_id"]) == ("refused", "tag_taken", None)
    assert await ground.count(credentials, digest=DIGEST, person_id=max_["id"]) == 1


@pytest.mark.invariant("T3")
@pytest.mark.parametrize("how", ["role taken", "account disabled"])
async def test_whoever_asked_must_still_have_the_right(scene: Scene, how: str) -> None:
    """What an admin began and may not do any more does not come about."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia)).body
    await hear(ground, report(begun))
    async with ground.db.write() as tx:
        if how == "role taken":
            await tx.execute(delete(site_roles).where(site_roles.c.account_id == account("ada")))
        else:
            one = update(accounts).where(accounts.c.id == account("ada"))
            await tx.execute(one.values(disabled_at=NOW))

    await work(ground)

    told = await look(ground, begun)
    assert (told["state"], told["refusal"]) == ("refused", "forbidden")
    assert await ground.count(credentials) == 0


@pytest.mark.invariant("E3")
async def test_a_subscription_that_ends_meanwhile_refuses_the_tag(scene: Scene) -> None:
    """Nothing changes who may open from the end on, whenever it was begun."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia)).body
    await hear(ground, report(begun))
    ground.expire()

    await work(ground)

    assert (await look(ground, begun))["refusal"] == "no_valid_subscription"
    assert await ground.count(credentials) == 0


async def test_an_enrolment_that_nobody_meets_expires(scene: Scene) -> None:
    """At the end it is over, and a report that comes later gives nothing away."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia, seconds=10)).body
    ground.calendar.at = NOW + timedelta(seconds=50)

    await hear(ground, report(begun))
    await work(ground)
    await hear(ground, report(begun))
    await work(ground)

    assert (await look(ground, begun))["state"] == "expired"
    assert await ground.count(credentials) == 0


@pytest.mark.parametrize("outcome", ["refused", "expired", "unreachable"])
async def test_an_order_that_the_lock_never_followed_is_told(scene: Scene, outcome: str) -> None:
    """Nobody waits in vain at a lock that waits for nothing, and it can be asked again."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia)).body
    async with ground.db.write() as tx:
        await tx.execute(update(commands).values(state=outcome, finished_at=NOW))

    told, again = await look(ground, begun), await begin(ground, lock, pia)

    assert (told["state"], told["refusal"]) == ("refused", f"order_{outcome}")
    assert again.status == 201


async def test_a_lock_waits_for_one_tag_at_a_time(scene: Scene) -> None:
    """A second person has to wait; another lock does not."""
    ground, lock, pia = scene
    max_ = await ground.person("Max")
    other = await ground.lock(await ground.hub())
    begun = (await begin(ground, lock, pia)).body

    refused = await begin(ground, lock, max_)
    elsewhere = await begin(ground, other, max_)

    assert (refused.status, refused.code) == (409, "enrolment_under_way")
    assert refused.facts == {"enrolment_id": begun["id"], "remedy": "wait"}
    assert elsewhere.status == 201


@pytest.mark.invariant("T1")
async def test_only_the_lock_that_was_asked_reports(scene: Scene) -> None:
    """Another lock of the site, or a hub of another one, brings nobody a tag."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia)).body

    await hear(ground, report(begun, lock_id=bytes(16)))
    await hear(ground, report(begun), site=FOREIGN)
    await hear(ground, report(begun, command_id=bytes(16)))
    await hear(ground, report(begun, kind=EntryKind.DENIED_BY_HUB))
    await hear(ground, report(begun, credential_digest=None))

    assert (await look(ground, begun))["state"] == "waiting"


async def test_a_person_goes_with_the_enrolments(scene: Scene) -> None:
    """Nobody is held up by a tag that is awaited; a report that comes later finds nobody."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia)).body

    gone = await ground.call("DELETE", f"/sites/{OWN}/people/{pia['id']}", if_match=1)
    await hear(ground, report(begun))
    await work(ground)

    assert gone.status == 204
    assert await ground.count(enrolments) == 0


async def test_a_request_that_comes_again_is_answered_again(scene: Scene) -> None:
    """The same key gives the same answer, and the lock one order."""
    ground, lock, pia = scene
    path, body = f"/sites/{OWN}/locks/{lock['id']}/enrolments", {"person_id": pia["id"]}

    answers: list[Answer] = [await ground.call("POST", path, body, key="same") for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].body == answers[1].body
    assert await ground.count(commands) == 1


@pytest.mark.invariant("L7")
async def test_a_tag_that_is_enrolled_is_a_digest_everywhere(scene: Scene) -> None:
    """What the lock reports is the digest, and neither answer nor audit has even that."""
    ground, lock, pia = scene
    begun = (await begin(ground, lock, pia)).body
    await hear(ground, report(begun))
    await work(ground)

    told = await look(ground, begun)

    async with ground.db.read() as tx:
        audit = [str(row) for row in await tx.execute(select(audit_records))]
    assert DIGEST.hex() not in str(told) + str(audit)
    assert NUMBER not in str(told) + str(audit)
