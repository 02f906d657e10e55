"""An access edit: accepted, sent, confirmed by hub and lock, and shown as in sync."""

import pytest

from tests.end_to_end.cloud import HUBS, LOCKS
from tests.end_to_end.conftest import Measured, Town
from tests.end_to_end.programs import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONNECTED = ("1", "2")
CUT_OFF = "3"
REACHED = ("1.1", "1.2", "2.1", "2.2")
DORA, EMIL, FAY = "04A1B2C3D7", "04A1B2C3D8", "04A1B2C3D9"


async def test_an_edit_reaches_every_lock_of_its_site(
    town: Town, record_property: Measured
) -> None:
    """Those of connected hubs at once, those of another when it is back; no other site's."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    lists, others_before = await hardware.offline_lists(), await town.other.hardware.hubs()
    await hardware.say(f"cut uplink {CUT_OFF}")

    await site.give_tag("Dora", DORA, offline=True)
    took_s = await until(lambda: site.is_in_sync(CONNECTED), "connected hubs are in sync")

    record_property("in_sync_after_s", took_s)
    syncs = await site.syncs()
    assert [syncs[hub]["in_sync_since"] is not None for hub in HUBS] == [True, True, False]
    assert syncs[CUT_OFF]["state"] == "pending"
    changed = await hardware.offline_lists()
    assert [lock for lock in LOCKS if changed[lock] != lists[lock]] == list(REACHED)
    assert await hardware.taps(DORA, REACHED) == dict.fromkeys(REACHED, "opened_by_hub")
    assert await hardware.tap("3.1", DORA) == "denied_by_hub: unknown_credential"

    await hardware.say(f"restore uplink {CUT_OFF}")
    await until(site.is_in_sync, "all hubs are in sync")
    assert await hardware.tap("3.1", DORA) == "opened_by_hub"
    await hardware.say("cut radio 3.2")
    assert await hardware.tap("3.2", DORA) == "opened_by_list"
    assert await town.other.hardware.hubs() == others_before


@pytest.mark.invariant("A1")
async def test_a_blocked_tag_opens_nothing_once_that_is_confirmed(town: Town) -> None:
    """Neither by the hub, nor by the lock's list, nor by what the lock remembers."""
    site, hardware = town.site, town.site.hardware
    await site.back_to_normal()
    listed = await site.give_tag("Emil", EMIL, offline=True)
    remembered = await site.give_tag("Fay", FAY, offline=False)
    await until(site.is_in_sync, "in sync")
    await hardware.taps(FAY)  # every lock remembers it now
    await hardware.say("cut radio 1.1")
    assert await hardware.tap("1.1", FAY) == "opened_by_memory"
    await hardware.say("restore radio 1.1")

    for credential in (listed, remembered):
        etag = (await site.owner.ask("GET", credential)).etag
        answer = await site.owner.ask("PATCH", credential, {"blocked": True}, etag=etag)
        assert answer.status == 200, answer
    await until(site.is_in_sync, "the blocks are confirmed")

    for lock in LOCKS[::2]:
        await hardware.say(f"cut radio {lock}")
    for tag in (EMIL, FAY):
        kinds = await hardware.taps(tag)
        assert {kinds[lock] for lock in LOCKS[1::2]} == {"denied_by_hub: credential_blocked"}
        assert {kinds[lock].split(":")[0] for lock in LOCKS[::2]} == {"denied_offline"}


async def test_nothing_waits_when_nothing_changed(town: Town) -> None:
    """A rename of a person raises no revision: hubs know no names."""
    site = town.site
    await site.back_to_normal()
    person = f"{site.path}/people/{site.person_ids['Ada']}"
    before = await site.syncs()

    etag = (await site.owner.ask("GET", person)).etag
    renamed = await site.owner.ask("PATCH", person, {"name": "Ada the First"}, etag=etag)

    assert renamed.status == 200
    assert await site.syncs() == before
