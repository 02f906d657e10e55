"""A tag is held to a lock: the hub decides, the lock writes, the cloud keeps, each exactly once."""

import asyncio

import pytest

from gateway.protocol.messages import EntryKind
from tests.end_to_end.cloud import ADA, BEN, LOCKS, STRANGER, Hardware
from tests.end_to_end.conftest import Measured, Town
from tests.end_to_end.programs import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUT_OFF = "3"
ORDER_LIFE_S = 10.0
BY_HUB, BY_LIST = EntryKind.OPENED_BY_HUB, EntryKind.OPENED_BY_LIST
DENIED, DENIED_ALONE = EntryKind.DENIED_BY_HUB, EntryKind.DENIED_OFFLINE


@pytest.mark.invariant("L1", "L3", "E6")
async def test_every_tap_is_an_entry_in_the_cloud_once(town: Town) -> None:
    """Also of a hub without a line, which decides all the same and keeps the entries meanwhile."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    await hardware.say(f"cut uplink {CUT_OFF}")
    before = {lock: site.entries(lock) for lock in LOCKS}

    opened = await hardware.taps(BEN)
    denied = await hardware.taps(STRANGER)

    assert opened == dict.fromkeys(LOCKS, "opened_by_hub")
    assert denied == dict.fromkeys(LOCKS, "denied_by_hub: unknown_credential")
    connected = [lock for lock in LOCKS if not lock.startswith(CUT_OFF)]
    await until(lambda: all(len(site.entries(lock)) == 2 for lock in connected), "two each")
    assert (await hardware.hubs())[CUT_OFF]["entries_waiting"] == 4
    assert [site.entries(lock) for lock in ("3.1", "3.2")] == [before["3.1"], before["3.2"]]

    await hardware.say(f"restore uplink {CUT_OFF}")
    await until(lambda: len(site.entries("3.1") + site.entries("3.2")) == 4, "they arrive")
    assert {tuple(site.entries(lock)) for lock in LOCKS} == {((1, BY_HUB), (2, DENIED))}
    await until(lambda: is_freed(hardware), "acknowledged and freed")
    assert not any(town.other.entries(lock) for lock in LOCKS)


@pytest.mark.invariant("L1", "L3")
async def test_a_lock_without_its_hub_decides_alone(town: Town) -> None:
    """It opens to who is on its list, to nobody else; what it wrote survives its power, too."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    earlier = len(site.entries("2.1"))
    await hardware.say("cut radio 2.1")

    kinds = [await hardware.tap("2.1", tag) for tag in (ADA, STRANGER, ADA)]
    await hardware.say("power off 2.1")

    assert kinds == ["opened_by_list", "denied_offline: unknown_credential", "opened_by_list"]
    assert len(site.entries("2.1")) == earlier
    await hardware.say("restore radio 2.1")
    await hardware.say("power on 2.1")
    await until(lambda: len(site.entries("2.1")) == earlier + 3, "they arrive")
    new = site.entries("2.1")[earlier:]
    assert new == [(earlier + 1, BY_LIST), (earlier + 2, DENIED_ALONE), (earlier + 3, BY_LIST)]


@pytest.mark.invariant("A10")
async def test_a_remote_opening_happens_once_at_its_lock(
    town: Town, record_property: Measured
) -> None:
    """The API says *opened*, and only that lock's motor has turned, once."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    before = await hardware.openings()

    path = f"{site.path}/locks/{site.lock_ids['1.2']}/open"
    first = await site.owner.ask("POST", path, key="the-same-order")
    again = await site.owner.ask("POST", path, key="the-same-order")
    state = f"{site.path}/commands/{first.body['id']}"
    took_s = await until(lambda: has_state(town, state, "opened"), "opened")

    record_property("opened_remotely_after_s", took_s)
    assert again.text == first.text
    assert await hardware.openings() == before | {"1.2": before["1.2"] + 1}
    await until(lambda: EntryKind.OPENED_REMOTELY in dict(site.entries("1.2")).values(), "entry")


@pytest.mark.invariant("A10", "E12")
async def test_a_remote_opening_that_comes_late_does_not_happen(town: Town) -> None:
    """Where hub or lock could not hear the order within 10 s, their return opens nothing."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    await hardware.say(f"cut uplink {CUT_OFF}")
    await hardware.say("cut radio 1.1")
    before = await hardware.openings()
    clock = asyncio.get_running_loop().time

    ordered_s = clock()
    orders = {
        lock: await site.owner.post(f"{site.path}/locks/{site.lock_ids[lock]}/open")
        for lock in ("1.1", "3.1")
    }
    unreachable = f"{site.path}/commands/{orders['1.1']['id']}"
    await until(lambda: has_state(town, unreachable, "unreachable"), "the hub says so")
    await until(lambda: clock() > ordered_s + ORDER_LIFE_S, "the orders are too old")
    await site.back_to_normal()
    assert await hardware.tap("1.1", STRANGER) == "denied_by_hub: unknown_credential"
    assert await hardware.tap("3.1", STRANGER) == "denied_by_hub: unknown_credential"

    unheard = await site.owner.get(f"{site.path}/commands/{orders['3.1']['id']}")
    assert unheard["state"] != "opened"
    assert await hardware.openings() == before


async def has_state(town: Town, path: str, state: str) -> bool:
    """Whether an order has come to that."""
    command = await town.site.owner.get(path)
    return bool(command["state"] == state)


async def is_freed(hardware: Hardware) -> bool:
    """Whether neither hubs nor locks hold entries any more."""
    devices = (await hardware.hubs() | await hardware.locks()).values()
    return not any(device["entries_waiting"] for device in devices)
