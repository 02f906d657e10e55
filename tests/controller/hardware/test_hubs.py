"""Hubs over REST."""

import asyncio

import pytest
from sqlalchemy import update

from controller.db.engine import Database
from controller.db.tables.hardware import hubs, locks
from controller.domain.subscription import Kind
from gateway.protocol.claim import code_secret
from tests.controller.people.ground import (
    ADDRESSES,
    FOREIGN,
    KEYS,
    NOW,
    OWN,
    STICKER,
    Ground,
    served,
)

HUBS = f"/sites/{OWN}/hubs"
BODY = {"name": "Lobby", "serial": "IQ-77", "activation_code": STICKER}


async def test_a_registered_hub_comes_with_what_its_installer_shows_it(ground: Ground) -> None:
    """The answer holds address and fingerprint, apart and as the text of a QR code."""
    made = await ground.make("/hubs", BODY, by="ian")

    assert made["claim"] == {
        "claim_url": "https://127.0.0.1:8443/device/v1/claim",
        "ca_fingerprint": ADDRESSES.ca_fingerprint.hex(),
        "qr_text": f"https://127.0.0.1:8443/device/v1/claim#{ADDRESSES.ca_fingerprint.hex()}",
    }
    assert (made["presence"], made["sync"]["state"]) == ("unknown", "not_claimed")
    assert (await ground.call("GET", f"{HUBS}/{made['id']}")).body == made
    assert (await ground.call("GET", HUBS)).body == {"items": [made]}


async def test_the_activation_code_is_kept_sealed(ground: Ground) -> None:
    """The database holds neither code nor secret, and the secret comes back with the master key."""
    await ground.make("/hubs", BODY)
    async with ground.db.read() as tx:
        (row,) = await tx.execute(hubs.select())

    secret = code_secret(STICKER)
    assert secret not in row.claim_secret
    assert STICKER not in str(row)
    assert KEYS.unseal_claim_secret(row.claim_secret, serial="IQ-77") == secret


@pytest.mark.parametrize("code", ["ABC", "ABCD-EFGH-JKM", "U" * 12, "A" * 33, "ABCD EFGH JKM!"])
async def test_a_code_that_no_sticker_has_is_refused(ground: Ground, code: str) -> None:
    """Too short, too long or with a wrong symbol names the field."""
    answer = await ground.call("POST", HUBS, BODY | {"activation_code": code})

    assert (answer.status, answer.code) == (422, "invalid_sticker_code")
    assert answer.facts == {"field": "activation_code"}
    assert await ground.count(hubs) == 0


@pytest.mark.parametrize("serial", ["", " ", "x" * 41, "Ä1"])
async def test_a_serial_that_no_device_has_is_refused(ground: Ground, serial: str) -> None:
    """A serial is 1 to 40 visible ASCII characters."""
    answer = await ground.call("POST", HUBS, BODY | {"serial": serial})

    assert (answer.status, answer.code) == (422, "validation_failed")


async def test_anybody_may_expect_a_hub_and_a_site_only_once(ground: Ground) -> None:
    """A serial that somebody typed elsewhere blocks nobody; the claim decides whose it is."""
    answers = await asyncio.gather(
        *(
            ground.call("POST", f"/sites/{site}/hubs", BODY, by=by)
            for site, by in [(OWN, "ada"), (FOREIGN, "bob")] * 3
        )
    )

    won = [answer for answer in answers if answer.status == 201]
    assert len(won) == 2
    assert {answer.code for answer in answers if answer.status != 201} == {"serial_in_service"}
    assert await ground.count(hubs, site_id=OWN) == await ground.count(hubs, site_id=FOREIGN) == 1


async def test_a_hub_that_has_claimed_is_expected_nowhere_else(ground: Ground) -> None:
    """Its serial is in service until it is retired, and its own place may expect it again."""
    mine = await ground.make("/hubs", BODY)
    spare = await ground.hub(site=FOREIGN, by="bob")
    async with ground.db.write() as tx:
        await tx.execute(update(hubs).where(hubs.c.id == mine["id"]).values(claimed_at=NOW))
    theirs = f"/sites/{FOREIGN}/hubs"
    device = {"serial": BODY["serial"], "activation_code": STICKER}

    new = await ground.call("POST", theirs, BODY, by="bob")
    swapped = await ground.call(
        "POST", f"{theirs}/{spare['id']}/replacement", device, by="bob", if_match=1
    )
    reset = await ground.call("POST", f"{HUBS}/{mine['id']}/replacement", device, if_match=1)
    retired = await ground.call("DELETE", f"{HUBS}/{mine['id']}", if_match=2)
    again = await ground.call("POST", theirs, BODY, by="bob")

    assert new.code == swapped.code == "serial_in_service"
    assert (reset.status, retired.status, again.status) == (200, 204, 201)
    assert (await ground.call("GET", f"{HUBS}/{mine['id']}")).code == "not_found"


async def test_a_hub_with_locks_is_not_retired(ground: Ground) -> None:
    """Its locks go first, or the hub is replaced."""
    hub = await ground.hub()
    await ground.lock(hub)

    answer = await ground.call("DELETE", f"{HUBS}/{hub['id']}", if_match=1)

    assert (answer.status, answer.code) == (409, "hub_has_locks")
    assert answer.facts == {"locks": 1, "remedy": "delete_locks_or_replace_hub"}


@pytest.mark.invariant("V10")
async def test_a_hub_brings_no_second_free_week(database: Database) -> None:
    """A hub that was of one site's free week is not expected by another in its own, for good."""
    async with served(database, kind=Kind.FREE_WEEK) as ground:
        mine = await ground.make("/hubs", BODY)
        async with ground.db.write() as tx:
            admit = ground.services.entitlement.admit_hub_serial
            await admit(tx, OWN, BODY["serial"], now=NOW)
        await ground.call("DELETE", f"{HUBS}/{mine['id']}", if_match=1)
        spare = await ground.hub(site=FOREIGN, by="bob")

        new = await ground.call("POST", f"/sites/{FOREIGN}/hubs", BODY, by="bob")
        swapped = await ground.call(
            "POST",
            f"/sites/{FOREIGN}/hubs/{spare['id']}/replacement",
            {"serial": "IQ-77", "activation_code": STICKER},
            by="bob",
            if_match=1,
        )
        back = await ground.call("POST", HUBS, BODY)

        assert (new.status, new.code) == (409, "hub_had_free_week")
        assert (swapped.status, swapped.code) == (409, "hub_had_free_week")
        assert new.facts == {"remedy": "redeem_plan_voucher"}
        assert back.status == 201


async def test_a_replaced_hub_keeps_its_place(ground: Ground) -> None:
    """Another device may claim; locks and name stay, and the old device is a stranger."""
    hub = await ground.hub()
    door = await ground.lock(hub)
    async with ground.db.write() as tx:
        await tx.execute(
            update(hubs).values(claimed_at=NOW, device_key=bytes(32), agreement_key=bytes(32))
        )
    body = {"serial": "IQ-99", "activation_code": STICKER}

    answer = await ground.call("POST", f"{HUBS}/{hub['id']}/replacement", body, if_match=1)

    assert (answer.body["id"], answer.body["name"]) == (hub["id"], hub["name"])
    assert (answer.body["serial"], answer.body["version"]) == ("IQ-99", 2)
    assert answer.body["claim"] is not None
    assert await ground.count(hubs, device_key=None, agreement_key=None, claimed_at=None) == 1
    assert await ground.count(locks, id=door["id"], hub_id=hub["id"]) == 1


@pytest.mark.invariant("T2")
async def test_who_is_retired_or_replaced_is_cut_off(ground: Ground) -> None:
    """After the commit, and only then: a refused retirement cuts nobody."""
    retired, replaced, kept = [await ground.hub() for _ in range(3)]
    await ground.lock(kept)
    body = {"serial": "IQ-99", "activation_code": STICKER}

    await ground.call("DELETE", f"{HUBS}/{retired['id']}", if_match=1)
    await ground.call("POST", f"{HUBS}/{replaced['id']}/replacement", body, if_match=1)
    refused = await ground.call("DELETE", f"{HUBS}/{kept['id']}", if_match=1)

    assert refused.status == 409
    assert ground.services.cut == [retired["id"], replaced["id"]]


async def test_an_old_version_of_a_hub_is_refused(ground: Ground) -> None:
    """Renaming, replacing and retiring name the version they were made from."""
    path = f"{HUBS}/{(await ground.hub())['id']}"
    await ground.call("PATCH", path, {"name": "One"}, if_match=1)

    renamed = await ground.call("PATCH", path, {"name": "Two"}, if_match=1)
    replaced = await ground.call(
        "POST", f"{path}/replacement", {"serial": "X", "activation_code": STICKER}, if_match=1
    )
    retired = await ground.call("DELETE", path, if_match=1)

    assert [renamed.status, replaced.status, retired.status] == [412, 412, 412]


@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ({}, "not_claimed"),
        ({"claimed_at": NOW}, "pending"),
        ({"claimed_at": NOW, "lease_confirmed": 1}, "pending"),
        ({"claimed_at": NOW, "lease_confirmed": 1, "revision_confirmed": 1}, "in_sync"),
        ({"claimed_at": NOW, "revision_confirmed": 1}, "pending"),
    ],
)
async def test_how_far_a_hub_is_is_shown(
    ground: Ground, columns: dict[str, object], state: str
) -> None:
    """Wanted against confirmed, for the lease and the revision."""
    hub = await ground.hub()
    async with ground.db.write() as tx:
        await tx.execute(update(hubs).values(confirmed_at=NOW, **columns))

    sync = (await ground.call("GET", f"{HUBS}/{hub['id']}")).body["sync"]

    assert sync["state"] == state
    assert sync["in_sync_since"] == ("2026-03-02T12:00:00Z" if state == "in_sync" else None)


async def test_a_lock_that_has_not_confirmed_keeps_its_hub_pending(ground: Ground) -> None:
    """A hub is in sync when its locks are; until then they are named."""
    hub = await ground.hub()
    door = await ground.lock(hub)
    async with ground.db.write() as tx:
        await tx.execute(
            update(hubs).values(claimed_at=NOW, lease_confirmed=1, revision_confirmed=2)
        )
        await tx.execute(update(locks).values(list_wanted=bytes(32)))
    pending = (await ground.call("GET", f"{HUBS}/{hub['id']}")).body["sync"]
    async with ground.db.write() as tx:
        await tx.execute(update(locks).values(list_confirmed=bytes(32), list_confirmed_at=NOW))

    done = (await ground.call("GET", f"{HUBS}/{hub['id']}")).body["sync"]

    assert (pending["state"], pending["pending_locks"]) == ("pending", [door["id"]])
    assert (done["state"], done["pending_locks"]) == ("in_sync", [])
    assert done["in_sync_since"] == "2026-03-02T12:00:00Z"


@pytest.mark.invariant("E3")
async def test_what_was_changed_before_the_end_waits_for_a_subscription(ground: Ground) -> None:
    """A revision that went out too late is shown as waiting, not as pending for ever."""
    hub = await ground.hub()
    async with ground.db.write() as tx:
        await tx.execute(update(hubs).values(claimed_at=NOW, lease_confirmed=1))
    ground.expire()

    sync = (await ground.call("GET", f"{HUBS}/{hub['id']}")).body["sync"]

    assert sync["state"] == "waiting_for_subscription"


@pytest.mark.parametrize(
    ("online", "word"), [(True, "online"), (False, "offline"), (None, "unknown")]
)
async def test_presence_has_three_values(ground: Ground, *, online: bool | None, word: str) -> None:
    """Not knowing is not offline."""
    hub = await ground.hub()
    async with ground.db.write() as tx:
        await tx.execute(update(hubs).values(online=online, online_since=NOW))

    assert (await ground.call("GET", f"{HUBS}/{hub['id']}")).body["presence"] == word
