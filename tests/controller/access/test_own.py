"""What somebody who signs in sees and does of her own."""

from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, update

from controller.db.tables.activity import entries
from controller.db.tables.hardware import commands
from controller.db.tables.people import credentials, people, revoked_digests
from controller.db.tables.records import audit_records
from gateway.protocol import phone
from gateway.protocol.messages import EntryKind
from gateway.protocol.sealing import pin_digest
from tests.controller.people.ground import KEYS, NOW, OWN, Answer, Ground, account

MONDAY_MORNING = {"weekday": 0, "start_min": 480, "end_min": 720}
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw().hex()


async def uma(ground: Ground, **more: Any) -> Any:
    """Add the person that the account uma is."""
    person = await ground.person("Uma", **more)
    async with ground.db.write() as tx:
        this = update(people).where(people.c.id == person["id"])
        await tx.execute(this.values(account_id=account("uma")))
    return person


async def ask(
    ground: Ground, method: str, path: str = "", body: object = None, *, by: str = "uma"
) -> Answer:
    """Send a request of her own; opening gets a fresh key."""
    key = f"k{next(ground.numbers)}" if path.endswith("/open") else None
    return await ground.call(method, f"/sites/{OWN}/own{path}", body, by=by, key=key)


async def test_she_sees_herself_her_keys_and_her_locks(ground: Ground) -> None:
    """Nothing of anybody else: only her credentials, only the locks of her groups."""
    her, max_ = await uma(ground), await ground.person("Max")
    tag = await ground.tag(her)
    await ground.tag(max_)
    hub = await ground.hub()
    front, cellar, vault = [await ground.lock(hub, name=name) for name in ("B", "A", "C")]
    schedule = await ground.make("/schedules", {"name": "Early", "windows": [MONDAY_MORNING]})
    await ground.group(people=(her,), locks=(front,))
    await ground.group(people=(her,), locks=(cellar,), schedule_id=schedule["id"])
    await ground.group(people=(max_,), locks=(vault,))

    own = (await ask(ground, "GET")).body

    assert own["person"]["id"] == her["id"]
    assert own["credentials"] == [tag]
    assert own["locks"] == [
        {"id": cellar["id"], "name": "A", "may_open": False, "reason": "outside_schedule"},
        {"id": front["id"], "name": "B", "may_open": True, "reason": None},
    ]


async def test_an_account_that_is_nobody_is_told_so(ground: Ground) -> None:
    """Whoever has a role and is no person of the site has nothing of his own there."""
    await uma(ground)
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/entries", None),
        ("POST", "/pin", None),
        ("POST", "/digital-keys", {"public_key": KEY}),
        ("POST", f"/locks/{'0' * 32}/open", None),
    ):
        answer = await ask(ground, method, path, body, by="ada")

        assert (answer.status, answer.facts) == (404, {"object": "person"}), path


@pytest.mark.parametrize("by", ["ian", "bob"])
@pytest.mark.invariant("T3")
async def test_a_role_without_the_right_has_nothing_of_its_own(ground: Ground, by: str) -> None:
    """An installer and somebody of another site are refused before anything is looked up."""
    await uma(ground)

    answers = [
        await ask(ground, "GET", by=by),
        await ask(ground, "POST", "/pin", by=by),
        await ask(ground, "POST", f"/locks/{'0' * 32}/open", by=by),
    ]

    assert {answer.status for answer in answers} == {403 if by == "ian" else 404}


async def test_she_opens_a_lock_of_her_groups(ground: Ground) -> None:
    """Without the right to open all; she may see what became of it."""
    her = await uma(ground)
    door = await ground.lock(await ground.hub())
    await ground.group(people=(her,), locks=(door,))

    opened = await ask(ground, "POST", f"/locks/{door['id']}/open")
    told = await ground.call("GET", f"/sites/{OWN}/commands/{opened.body['id']}", by="uma")
    remote = await ground.call("POST", f"/sites/{OWN}/locks/{door['id']}/open", by="uma", key="x")

    assert (opened.status, opened.body["state"], told.status) == (202, "queued", 200)
    assert remote.code == "forbidden"
    ordered = {"action": "lock_open_ordered", "actor_name": "uma", "object_id": door["id"]}
    assert await ground.count(audit_records, **ordered) == 1


@pytest.mark.invariant("A5")
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("other group", "no_access_to_lock"),
        ("other time", "outside_schedule"),
        ("unsubscribed", "person_unsubscribed"),
        ("over", "person_expired"),
        ("not yet", "person_not_yet"),
    ],
)
async def test_she_opens_only_what_she_may_open_now(ground: Ground, what: str, reason: str) -> None:
    """The reason is the first check that fails at the door, and no order is given."""
    stays: dict[str, dict[str, object]] = {
        "unsubscribed": {"subscribed": False},
        "over": {"expires_at": NOW.isoformat()},
        "not yet": {"starts_at": (NOW + timedelta(hours=1)).isoformat()},
    }
    her = await uma(ground, **stays.get(what, {}))
    door = await ground.lock(await ground.hub())
    schedule = await ground.make("/schedules", {"name": "Early", "windows": [MONDAY_MORNING]})
    await ground.group(
        people=() if what == "other group" else (her,),
        locks=(door,),
        schedule_id=schedule["id"] if what == "other time" else None,
    )

    refused = await ask(ground, "POST", f"/locks/{door['id']}/open")

    assert (refused.status, refused.code) == (403, "may_not_open")
    assert refused.facts == {"reason": reason}
    assert await ground.count(commands) == 0


@pytest.mark.invariant("E3")
async def test_without_a_subscription_nothing_of_her_own_changes(ground: Ground) -> None:
    """She still sees what she has, and that no lock would open."""
    her = await uma(ground)
    tag = await ground.tag(her)
    door = await ground.lock(await ground.hub())
    await ground.group(people=(her,), locks=(door,))
    key = (await ask(ground, "POST", "/digital-keys", {"public_key": KEY})).body
    ground.expire()

    refused = [
        await ask(ground, "POST", "/pin"),
        await ask(ground, "POST", "/digital-keys", {"public_key": KEY}),
        await ask(ground, "POST", f"/digital-keys/{key['id']}/document"),
        await ask(ground, "POST", f"/credentials/{tag['id']}/block"),
        await ask(ground, "POST", f"/locks/{door['id']}/open"),
    ]
    own = await ask(ground, "GET")

    assert {one.code for one in refused} == {"no_valid_subscription"}
    assert own.body["locks"][0]["reason"] == "no_valid_subscription"
    assert await ground.count(credentials) == 2


async def test_her_phone_becomes_her_key(ground: Ground) -> None:
    """She adds it and gets its document without anybody's help."""
    her = await uma(ground)

    key = await ask(ground, "POST", "/digital-keys", {"public_key": KEY, "label": "Phone"})
    document = await ask(ground, "POST", f"/digital-keys/{key.body['id']}/document")

    assert (key.status, key.body["person_id"], document.status) == (201, her["id"], 200)
    found = phone.read(
        b64decode(document.body["document"]),
        site_id=bytes.fromhex(OWN),
        signing_key=KEYS.signing.public_key(),
    )
    assert found.public_key.hex() == KEY


@pytest.mark.invariant("A1")
async def test_she_blocks_what_she_has_lost_and_does_not_unblock_it(ground: Ground) -> None:
    """Locks forget it at once; blocking again changes nothing; unblocking is for others."""
    her = await uma(ground)
    tag = await ground.tag(her)

    blocked = await ask(ground, "POST", f"/credentials/{tag['id']}/block")
    again = await ask(ground, "POST", f"/credentials/{tag['id']}/block")
    path = f"/sites/{OWN}/people/{her['id']}/credentials/{tag['id']}"
    unblocked = await ground.call("PATCH", path, {"blocked": False}, by="uma", if_match=2)

    assert (blocked.status, blocked.body["blocked"]) == (200, True)
    assert again.body == blocked.body
    assert unblocked.status == 403
    assert await ground.count(revoked_digests, revoked_at=NOW) == 1
    changed = {"action": "credential_edited", "actor_name": "uma", "object_id": tag["id"]}
    assert await ground.count(audit_records, **changed) == 1


@pytest.mark.invariant("T1")
async def test_what_is_not_hers_is_like_absent(ground: Ground) -> None:
    """Another person's credentials answer as ids that nobody has."""
    await uma(ground)
    max_ = await ground.person("Max")
    tag = await ground.tag(max_)
    path = f"/people/{max_['id']}/digital-keys"
    key = await ground.make(path, {"public_key": KEY})

    for path in ("/credentials/{}/block", "/digital-keys/{}/document"):
        theirs = [await ask(ground, "POST", path.format(one["id"])) for one in (tag, key)]
        absent = await ask(ground, "POST", path.format("0" * 32))

        assert [one.body for one in theirs] == [absent.body] * 2
        assert absent.status == 404


async def test_she_makes_herself_a_pin(ground: Ground) -> None:
    """It takes the place of the one before, and its end stays as an admin has set it."""
    her = await uma(ground)
    path = f"/people/{her['id']}/pins"
    await ground.make(path, {"ends_at": "2026-03-09T12:00:00Z"})

    made = await ask(ground, "POST", "/pin")

    assert (made.status, made.body["ends_at"]) == (201, "2026-03-09T12:00:00Z")
    digest = pin_digest(made.body["pin"], KEYS.tag_key(OWN))
    assert await ground.count(credentials, kind="pin") == 1
    assert await ground.count(credentials, digest=digest) == 1


@pytest.mark.parametrize("how", ["blocked", "over"])
async def test_a_pin_that_an_admin_has_stopped_stays_stopped(ground: Ground, how: str) -> None:
    """Nobody comes round a block or an end by making a new one."""
    her = await uma(ground)
    pin = await ground.make(f"/people/{her['id']}/pins", {})
    path = f"/sites/{OWN}/people/{her['id']}/credentials/{pin['id']}"
    edit = {"blocked": True} if how == "blocked" else {"ends_at": NOW.isoformat()}
    await ground.call("PATCH", path, edit, if_match=1)

    refused = await ask(ground, "POST", "/pin")

    assert (refused.status, refused.code) == (409, "pin_withheld")
    assert await ground.count(credentials, id=pin["id"]) == 1


async def test_she_sees_her_own_entries(ground: Ground) -> None:
    """Those of her credentials, page by page, and nobody else's."""
    her, max_ = await uma(ground), await ground.person("Max")
    rows = [
        {
            "site_id": OWN,
            "lock_id": "1" * 32,
            "log_epoch": 1,
            "sequence": number,
            "hub_id": "2" * 32,
            "kind": int(EntryKind.OPENED_BY_HUB),
            "at": NOW,
            "clock_trusted": True,
            "received_at": NOW + timedelta(seconds=number),
            "person_id": (her if number % 2 else max_)["id"],
        }
        for number in range(1, 7)
    ]
    async with ground.db.write() as tx:
        await tx.execute(insert(entries), rows)

    first = (await ask(ground, "GET", "/entries?limit=2")).body
    rest = (await ask(ground, "GET", f"/entries?limit=2&cursor={first['next_cursor']}")).body

    seen = [entry["sequence"] for entry in first["items"] + rest["items"]]
    assert (seen, rest["next_cursor"]) == ([5, 3, 1], None)
