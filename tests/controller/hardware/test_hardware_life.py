"""Hubs are replaced, locks move and leave, with the firmware that does it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from controller.db.tables.activity import entries
from controller.db.tables.records import audit_records
from firmware_sim.inputs import BatteryAt, FactoryReset
from gateway.protocol.messages import EntryKind
from tests.controller.hardware.building import Building, built
from tests.controller.people.ground import FOREIGN, OWN, STICKER, Ground
from tests.firmware_sim.world import Hub

TAG = "04A1B2C3D4"
NUMBER = bytes.fromhex(TAG)


@pytest.fixture
async def building(ground: Ground, tmp_path: Path) -> AsyncIterator[Building]:
    """The served sites with hardware to come."""
    async with built(ground, tmp_path) as made:
        yield made


async def let_in(ground: Ground, *doors: Any) -> Any:
    """Give somebody of OWN a tag that opens some locks, also offline."""
    pia = await ground.person()
    await ground.make(f"/people/{pia['id']}/credentials", {"number": TAG, "offline": True})
    return await ground.group(people=(pia,), locks=doors)


async def shown(ground: Ground, what: str, made: Any) -> Any:
    """Return a hub or a lock of OWN as it is shown."""
    return (await ground.call("GET", f"/sites/{OWN}/{what}/{made['id']}")).body


async def replaced(building: Building, made: Any, hub: Hub) -> Hub:
    """Put another device in the place of a hub."""
    version = (await shown(building.ground, "hubs", made))["version"]
    path = f"/sites/{OWN}/hubs/{made['id']}/replacement"
    device = {"serial": f"{made['serial']}-B", "activation_code": STICKER}
    answer = await building.ground.call("POST", path, device, if_match=version)
    assert answer.status == 200
    return await building.replaced(answer.body, hub)


async def test_another_device_takes_a_hubs_place_and_keeps_its_locks(building: Building) -> None:
    """The locks answer to the new device alone, without anybody touching them."""
    ground = building.ground
    made = await ground.hub()
    old = await building.claimed(made)
    door, lock = await building.mounted(made, old)
    await let_in(ground, door)
    await building.pass_by(30)
    stolen = lock.now.link

    new = await replaced(building, made, old)
    await building.pass_by(60)

    assert lock.now.link is not None
    assert lock.now.link != stolen
    assert building.tap(lock, NUMBER).kind is EntryKind.OPENED_BY_HUB
    assert list(new.now.locks) == [bytes.fromhex(door["id"])]
    assert (await shown(ground, "hubs", made))["sync"]["state"] == "in_sync"


async def test_a_lock_moves_to_another_hub_of_its_site(building: Building) -> None:
    """The new hub gets it, though its documents are younger, and the old one serves it no more."""
    ground = building.ground
    old_made, new_made = await ground.hub(), await ground.hub()
    old, new = await building.claimed(old_made), await building.claimed(new_made)
    door, lock = await building.mounted(old_made, old)
    await let_in(ground, door)
    old = await replaced(building, old_made, old)  # in epoch 2 now, the other hub in 1
    await building.pass_by(60)
    assert building.tap(lock, NUMBER).kind is EntryKind.OPENED_BY_HUB
    version = (await shown(ground, "locks", door))["version"]

    moved = await ground.call(
        "PATCH", f"/sites/{OWN}/locks/{door['id']}", {"hub_id": new_made["id"]}, if_match=version
    )
    await building.pass_by(5)
    building.reach(new, lock)
    await building.pass_by(60)

    assert (moved.status, moved.body["hub_id"]) == (200, new_made["id"])
    assert lock.now.link is not None
    assert lock.now.link.ticket.hub_id.hex() == new_made["id"]
    assert list(old.now.locks) == []
    assert building.tap(lock, NUMBER).kind is EntryKind.OPENED_BY_HUB
    await ground.call("PATCH", f"/sites/{OWN}/locks/{door['id']}", {"open_s": 17}, if_match=2)
    await building.pass_by(30)
    seen = await shown(ground, "locks", door)
    assert (seen["presence"], seen["offline_list_pending"]) == ("online", False)
    assert lock.now.configuration is not None
    assert lock.now.configuration.settings.door.open_s == 17


async def test_a_lock_shows_what_it_last_told(building: Building) -> None:
    """Battery, mode and presence, and since when; an order is done when the lock says so."""
    ground = building.ground
    made = await ground.hub()
    hub = await building.claimed(made)
    door, lock = await building.mounted(made, hub)
    before = await shown(ground, "locks", door)
    path = f"/sites/{OWN}/locks/{door['id']}/start-office"

    building.tell(lock, BatteryAt(percent=30))
    ordered = await ground.call("POST", path, {"seconds": 600}, key="office")
    await building.pass_by(60)
    told = await shown(ground, "locks", door)
    lock.has_radio = False
    await building.pass_by(240)
    silent = await shown(ground, "locks", door)

    assert (before["presence"], before["battery"], before["mode"]) == ("online", 100, "normal")
    assert (told["battery"], told["battery_level"], told["mode"]) == (30, "low", "office")
    assert told["online_since"] == before["online_since"]
    assert (await shown(ground, "commands", ordered.body))["state"] == "done"
    assert (silent["presence"], silent["battery"]) == ("offline", 30)
    assert silent["online_since"] > before["online_since"]


async def released(ground: Ground, door: Any, *, force: bool = False) -> Any:
    """Have a lock leave OWN."""
    version = (await shown(ground, "locks", door))["version"]
    path = f"/sites/{OWN}/locks/{door['id']}" + ("?force=true" if force else "")
    answer = await ground.call("DELETE", path, if_match=version)
    assert answer.status == 200, answer.body
    return answer.body


async def test_a_lock_is_gone_once_it_has_confirmed_to_hold_nothing(building: Building) -> None:
    """Until then it is leaving; then its row, its memory and its list are empty."""
    ground = building.ground
    made = await ground.hub()
    hub = await building.claimed(made)
    door, lock = await building.mounted(made, hub)
    await let_in(ground, door)
    await building.pass_by(30)
    building.tap(lock, NUMBER)
    lock.has_radio = False

    leaving = await released(ground, door)
    await building.pass_by(60)
    waiting = await shown(ground, "locks", door)
    assert building.tap(lock, NUMBER).kind is EntryKind.OPENED_BY_LIST  # nobody could tell it
    lock.has_radio = True
    await building.pass_by(60)

    assert leaving == {"state": "releasing", "warning": None, "may_open_to": []}
    assert waiting["released_at"] is not None
    assert (await shown(ground, "locks", door))["code"] == "not_found"
    assert lock.now.memory == {}
    assert list(hub.now.locks) == []
    lock.has_radio = False
    assert building.tap(lock, NUMBER).kind is EntryKind.DENIED_OFFLINE
    assert "lock_left" in await ground.audited()


async def test_a_lock_that_is_freed_by_force_may_still_open(building: Building) -> None:
    """The answer and the audit record name what it holds; so it is, until somebody resets it."""
    ground = building.ground
    made = await ground.hub()
    hub = await building.claimed(made)
    door, lock = await building.mounted(made, hub)
    await let_in(ground, door)
    await building.pass_by(30)
    lock.has_radio = False
    ground.expire()

    refused = await ground.call("DELETE", f"/sites/{OWN}/locks/{door['id']}", if_match=1)
    freed = await released(ground, door, force=True)

    assert refused.code == "no_valid_subscription"
    assert freed["state"] == "released"
    assert "may open to 1 credentials" in freed["warning"]
    (credential,) = freed["may_open_to"]
    async with ground.db.read() as tx:
        facts = select(audit_records.c.facts).where(audit_records.c.action == "lock_deleted")
        (noted,) = (await tx.execute(facts)).scalars()
    assert noted["may_open_to"] == [credential]
    assert building.tap(lock, NUMBER).kind is EntryKind.OPENED_BY_LIST


@pytest.mark.invariant("A12")
async def test_a_lock_that_goes_to_another_site_takes_nothing_along(building: Building) -> None:
    """It holds no credential of the first site, and the second sees no entry from before.

    What the first site's hub still holds of it comes to the first site.
    """
    ground = building.ground
    old_made = await ground.hub()
    old_hub = await building.claimed(old_made)
    door, lock = await building.mounted(old_made, old_hub)
    await let_in(ground, door)
    await building.pass_by(30)
    building.cut_uplink(old_hub)
    building.tap(lock, NUMBER)
    building.restore_uplink(old_hub)
    told = len(await of_lock(ground, door))
    await building.pass_by(5)
    building.cut_uplink(old_hub)
    building.tap(lock, NUMBER)  # the hub holds this one until the lock is long gone
    await released(ground, door, force=True)
    lock_epoch = lock.now.log.log_epoch

    building.tell(lock, FactoryReset())
    assert (lock.now.memory, lock.now.configuration, lock.now.pin) == ({}, None, None)
    new_made = await ground.hub(site=FOREIGN, by="bob")
    new_hub = await building.claimed(new_made)
    building.reach(new_hub, lock)
    new_door = await building.registered(lock, new_made, site=FOREIGN, by="bob")
    await building.pass_by(30)
    moved_at = ground.calendar.at
    denied = building.tap(lock, NUMBER)
    await building.pass_by(5)
    building.restore_uplink(old_hub)
    await building.pass_by(30)

    assert denied.kind is EntryKind.DENIED_BY_HUB
    theirs, ours = await of_lock(ground, new_door), await of_lock(ground, door)
    assert {(row.site_id, row.log_epoch) for row in theirs} == {(FOREIGN, lock_epoch + 1)}
    assert all(row.at >= moved_at and row.person_id is None for row in theirs)
    assert {row.site_id for row in ours} == {OWN}
    assert len(ours) == told + 2
    assert {row.lock_id for row in theirs} == {new_door["id"]}


async def of_lock(ground: Ground, door: Any) -> list[Any]:
    """Return the entries of a lock, in the order in which it wrote them."""
    some = select(entries).where(entries.c.lock_id == door["id"]).order_by(entries.c.sequence)
    async with ground.db.read() as tx:
        return list(await tx.execute(some))


@pytest.mark.invariant("L1")
async def test_the_first_entries_of_a_lock_may_come_when_it_has_left(building: Building) -> None:
    """What the hub still held of a lock that nobody had heard of before belongs to the site."""
    ground = building.ground
    made = await ground.hub()
    hub = await building.claimed(made)
    door, lock = await building.mounted(made, hub)
    await let_in(ground, door)
    await building.pass_by(30)
    building.cut_uplink(hub)
    building.tap(lock, NUMBER)
    await building.pass_by(5)

    await released(ground, door, force=True)
    assert await of_lock(ground, door) == []
    building.restore_uplink(hub)
    await building.pass_by(30)

    assert [row.kind for row in await of_lock(ground, door)] == [EntryKind.OPENED_BY_HUB]
