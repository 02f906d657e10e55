"""Locks over REST."""

import asyncio

import pytest

from controller.db.tables.access import group_locks
from controller.db.tables.hardware import commands, locks
from gateway.protocol.claim import code_secret
from gateway.protocol.sealing import Pairing, read_pairing
from tests.controller.people.ground import KEYS, OWN, STICKER, Ground

LOCKS = f"/sites/{OWN}/locks"


async def test_a_lock_comes_back_as_it_was_registered(ground: Ground) -> None:
    """What was registered is shown, without secrets."""
    hub = await ground.hub()
    body = ground.lock_body(capacity=360, open_s=240, memory_days=0)

    made = await ground.make(f"/hubs/{hub['id']}/locks", body, by="ian")

    for name in ("name", "serial", "capacity", "open_s", "memory_days"):
        assert made[name] == body[name]
    assert made["hub_id"] == hub["id"]
    assert "public_key" not in made
    assert (await ground.call("GET", f"{LOCKS}/{made['id']}")).body == made
    assert (await ground.call("GET", LOCKS)).body == {"items": [made]}


async def test_the_pairing_is_made_with_the_stickers_secret(ground: Ground) -> None:
    """The lock that has the sticker accepts the document; the secret itself is not stored."""
    hub = await ground.hub()
    lock = await ground.lock(hub)
    async with ground.db.read() as tx:
        (row,) = await tx.execute(locks.select())

    assert read_pairing(row.pairing, code_secret(STICKER)) == Pairing(
        site_id=bytes.fromhex(OWN),
        lock_id=bytes.fromhex(lock["id"]),
        epoch=1,
        agreement_key=KEYS.agreement.public_key().public_bytes_raw(),
        signing_key=KEYS.signing.public_key().public_bytes_raw(),
    )
    secret = code_secret(STICKER)
    assert all(secret not in value for value in row if isinstance(value, bytes))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("open_s", 0),
        ("open_s", 241),
        ("memory_days", -1),
        ("memory_days", 256),
        ("capacity", 40),
        ("public_key", "ab" * 31),
        ("public_key", "xy" * 32),
        ("serial", "x" * 41),
    ],
)
async def test_a_setting_out_of_its_range_is_named(
    ground: Ground, field: str, value: object
) -> None:
    """Nothing is registered with a setting that no lock takes."""
    hub = await ground.hub()

    path = f"/sites/{OWN}/hubs/{hub['id']}/locks"
    answer = await ground.call("POST", path, ground.lock_body(**{field: value}))

    assert (answer.status, answer.code) == (422, "validation_failed")
    assert answer.body["errors"][0]["field"] == field


@pytest.mark.parametrize("key", ["00" * 32, "01" + "00" * 31])
async def test_a_key_that_agrees_on_nothing_secret_is_refused(ground: Ground, key: str) -> None:
    """The few keys of small order are refused when they are typed, not when they are used."""
    hub = await ground.hub()

    path = f"/sites/{OWN}/hubs/{hub['id']}/locks"
    answer = await ground.call("POST", path, ground.lock_body(public_key=key))

    assert (answer.status, answer.code) == (422, "invalid_device_key")
    assert answer.facts == {"field": "public_key"}


async def test_a_wrong_secret_code_is_refused(ground: Ground) -> None:
    """A code that no sticker has names the field."""
    hub = await ground.hub()

    path = f"/sites/{OWN}/hubs/{hub['id']}/locks"
    answer = await ground.call("POST", path, ground.lock_body(secret_code="123"))

    assert (answer.status, answer.code) == (422, "invalid_sticker_code")
    assert answer.facts == {"field": "secret_code"}


async def test_a_hub_serves_sixteen_locks(ground: Ground) -> None:
    """Of eighteen that are put on a hub at once sixteen stay, and the others name the remedy."""
    hub = await ground.hub()
    path = f"/sites/{OWN}/hubs/{hub['id']}/locks"

    answers = await asyncio.gather(
        *(ground.call("POST", path, ground.lock_body()) for _ in range(18))
    )

    refused = [answer for answer in answers if answer.status != 201]
    assert [(answer.status, answer.code) for answer in refused] == [(409, "hub_full")] * 2
    assert refused[0].facts == {"limit": 16, "used": 16, "remedy": "add_hub"}
    assert await ground.count(locks) == 16


async def test_a_serial_is_in_service_once(ground: Ground) -> None:
    """A lock is on one hub; released, it can be registered anew."""
    hub = await ground.hub()
    first = await ground.lock(hub, serial="L-1")
    path = f"/sites/{OWN}/hubs/{hub['id']}/locks"

    second = await ground.call("POST", path, ground.lock_body(serial="L-1"))
    await ground.call("DELETE", f"{LOCKS}/{first['id']}", if_match=1)
    third = await ground.call("POST", path, ground.lock_body(serial="L-1"))

    assert (second.status, second.code) == (409, "serial_in_service")
    assert third.status == 201


async def test_a_deleted_lock_leaves_its_groups(ground: Ground) -> None:
    """Memberships and orders go with a lock that never held anything, at once."""
    lock = await ground.lock(await ground.hub())
    await ground.group(locks=(lock,))
    await ground.call("POST", f"{LOCKS}/{lock['id']}/open", key="k")

    answer = await ground.call("DELETE", f"{LOCKS}/{lock['id']}", if_match=1)

    assert answer.body == {"state": "released", "warning": None, "may_open_to": []}
    for table in (locks, group_locks, commands):
        assert await ground.count(table) == 0


@pytest.mark.parametrize(
    ("edit", "revisions"), [({"name": "Gate"}, 0), ({"open_s": 1}, 1), ({"memory_days": 255}, 1)]
)
async def test_settings_reach_the_hubs_and_names_do_not(
    ground: Ground, edit: dict[str, object], revisions: int
) -> None:
    """Only what a lock does asks for a revision."""
    hub = await ground.hub()
    lock = await ground.lock(hub)
    before = (await ground.revisions())[hub["id"]]

    answer = await ground.call("PATCH", f"{LOCKS}/{lock['id']}", edit, if_match=1)

    assert answer.body == lock | edit | {"version": 2}
    assert (await ground.revisions())[hub["id"]] - before == revisions


async def test_an_old_version_of_a_lock_is_refused(ground: Ground) -> None:
    """Edits and deletions name the version they were made from."""
    path = f"{LOCKS}/{(await ground.lock(await ground.hub()))['id']}"
    await ground.call("PATCH", path, {"name": "One"}, if_match=1)

    edited = await ground.call("PATCH", path, {"name": "Two"}, if_match=1)
    gone = await ground.call("DELETE", path, if_match=1)

    assert (edited.status, edited.code, gone.status) == (412, "stale", 412)
