"""What people do at doors: tags, phones, PINs, office mode, lockers, and what is told of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP

from tests.controller.notifications.conftest import Inbox
from tests.end_to_end.cloud import ADA, BEN, STRANGER, Cloud, Site
from tests.end_to_end.programs import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

GIA = "04A1B2C3DA"
BY_HUB, BY_LIST = "opened_by_hub", "opened_by_list"
NO_ACCESS = "denied_by_hub: no_access_to_lock"
WRONG_CODE = "000000"  # too simple to be anybody's
FREE_TRIES = 5
TOLD_WITHIN_S = 20.0  # mail is gathered for ten seconds


@dataclass(frozen=True, slots=True)
class House:
    """A site in its free week, whose cloud sends mail."""

    site: Site
    inbox: Inbox


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One cloud, one site and a mail server, for all tests of this file."""
    inbox = Inbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(inbox), "127.0.0.1", 0)
    async with server:
        inbox.port = server.sockets[0].getsockname()[1]
        smtp = f"smtp://127.0.0.1:{inbox.port}"
        sender = "doors@doorward.example"
        folder = tmp_path_factory.mktemp("house")
        async with Cloud(folder, smtp=smtp, mail_from=sender) as cloud:
            yield House(await Site.begin(cloud, "house"), inbox)


async def test_a_tag_is_enrolled_at_a_lock_and_opens_it(house: House) -> None:
    """The lock reads an unknown tag for the cloud, opens nothing by it, and opens to it next."""
    site, hardware = house.site, house.site.hardware
    await site.back_to_normal()
    await site.add_person("Gia")
    openings = await hardware.openings()

    assert await hardware.tap("1.1", GIA) == "denied_by_hub: unknown_credential"
    enrolment = await awaited(site, "1.1", "Gia")
    assert await hardware.tap("1.1", GIA) == "tag_enrolled"
    await until(lambda: has(site, enrolment, state="enrolled"), "enrolled")
    await until(site.is_in_sync, "in sync")

    assert await hardware.openings() == openings
    assert await hardware.taps(GIA, ["1.1", "2.1"]) == dict.fromkeys(["1.1", "2.1"], BY_HUB)
    credential_id = (await site.owner.get(enrolment))["credential_id"]
    await until(lambda: was(site, "1.1", "opened_by_hub", credential_id), "its entry names the tag")


async def test_a_tag_that_somebody_has_is_not_enrolled_again(house: House) -> None:
    """A lock that waits for a tag opens to none, and who has it keeps it."""
    site, hardware = house.site, house.site.hardware
    await site.back_to_normal()
    openings = await hardware.openings()

    enrolment = await awaited(site, "2.1", "Ben")
    assert await hardware.tap("2.1", ADA) == "tag_enrolled"
    await until(lambda: has(site, enrolment, state="refused", refusal="tag_taken"), "refused")

    assert await hardware.openings() == openings
    assert await hardware.tap("2.1", ADA) == BY_HUB


async def test_a_phone_opens_by_the_hub_and_by_the_list(house: House) -> None:
    """A document opens with its own phone only, and offline once that is granted."""
    site, hardware = house.site, house.site.hardware
    await site.back_to_normal()
    person = await site.add_person("Hal")
    public_key = (await hardware.say("phone hal"))["public_key"]
    key = await site.owner.post(f"{person}/digital-keys", {"public_key": public_key})
    issued = await site.owner.post(f"{person}/digital-keys/{key['id']}/document")
    await until(site.is_in_sync, "in sync")

    answer = await hardware.ask("use 1.2 hal")
    assert (answer["ok"], answer["text"]) == (False, "lock 1.2 does not answer this phone")
    await hardware.say(f"phone hal {issued['document']}")
    await hardware.say(f"phone thief {issued['document']}")

    assert await hardware.present("use 1.2 hal") == BY_HUB
    openings = (await hardware.openings())["1.2"]
    answer = await hardware.ask("use 1.2 thief")
    assert (answer["ok"], answer["text"]) == (False, "lock 1.2 decided nothing")
    assert (await hardware.openings())["1.2"] == openings
    await until(lambda: was(site, "1.2", "opened_by_hub", key["id"]), "its entry names the key")

    await site.owner.edit(f"{person}/credentials/{key['id']}", {"offline": True})
    await until(site.is_in_sync, "in sync")
    await hardware.say("cut radio 1.2")
    assert await hardware.present("use 1.2 hal") == BY_LIST


async def test_a_keypad_takes_a_pin_and_waits_after_wrong_codes(house: House) -> None:
    """Five wrong codes make it wait, which is an incident until somebody orders it to forget."""
    site, hardware = house.site, house.site.hardware
    await site.back_to_normal()
    person = await site.add_person("Ida")
    pin = (await site.owner.post(f"{person}/pins", {"kind": "generated"}))["pin"]
    await until(site.is_in_sync, "in sync")

    assert await hardware.present(f"pin 2.1 {pin}") == "denied_offline: keypad_off"
    await site.owner.edit(site.lock_path("2.1"), {"keypad": True})
    await until(site.is_in_sync, "in sync")
    assert await hardware.present(f"pin 2.1 {pin}") == BY_HUB

    for _ in range(FREE_TRIES):
        answer = await hardware.present(f"pin 2.1 {WRONG_CODE}")
        assert answer == "denied_by_hub: unknown_credential"
    assert await hardware.present(f"pin 2.1 {pin}") == "denied_offline: keypad_waits"
    going_on = f"kind=keypad_waits&lock_id={site.lock_ids['2.1']}&going_on=true"
    await until(lambda: is_incident(site, going_on), "the incident is shown")

    order = await site.owner.post(f"{site.lock_path('2.1')}/clear-keypad")
    await until(lambda: has(site, f"{site.path}/commands/{order['id']}", state="done"), "done")
    assert await hardware.present(f"pin 2.1 {pin}") == BY_HUB
    await until(lambda: is_incident(site, going_on, wanted=False), "the incident is over")


async def test_office_mode_from_afar_and_back(house: House) -> None:
    """A lock stays open by one order, closes by another, and the cloud shows its mode."""
    site, hardware = house.site, house.site.hardware
    await site.back_to_normal()
    lock = site.lock_path("2.2")
    await site.owner.edit(lock, {"office": "by_hand"})
    await until(site.is_in_sync, "in sync")
    assert (await hardware.locks())["2.2"]["stays_open"] is False

    await site.owner.post(f"{lock}/start-office", {})
    await until(lambda: has(site, lock, mode="office"), "office mode is shown")
    assert (await hardware.locks())["2.2"]["stays_open"] is True

    await site.owner.post(f"{lock}/end-office")
    await until(lambda: has(site, lock, mode="normal"), "its end is shown")
    assert (await hardware.locks())["2.2"]["stays_open"] is False


async def test_a_forced_door_is_mailed_and_streamed(house: House) -> None:
    """A door opened without a credential: an incident, a mail by a rule, and an event."""
    site, hardware = house.site, house.site.hardware
    await site.back_to_normal()
    email = "guard@doorward.example"
    guard = (await site.add_person("Guard", email=email)).rpartition("/")[2]
    rule = {"name": "Burglars", "kinds": ["intrusion"], "receiver_ids": [guard]}
    await site.owner.post(f"{site.path}/notification-rules", rule)
    intruded = f"kind=intrusion&lock_id={site.lock_ids['3.1']}&going_on=true"
    listening = asyncio.create_task(event(site, "intrusion"))

    await hardware.say("door open 3.1")
    await until(lambda: is_incident(site, intruded), "the incident is shown")
    async with asyncio.timeout(TOLD_WITHIN_S):
        facts = await listening
    await until(lambda: bool(house.inbox.mails), "the mail is there", within_s=TOLD_WITHIN_S)
    await hardware.say("door shut 3.1")
    await until(lambda: is_incident(site, intruded, wanted=False), "the incident is over")

    assert facts["lock_id"] == site.lock_ids["3.1"]
    (mail,) = house.inbox.mails
    assert (mail["To"], mail["Subject"]) == (email, "house: Burglars")
    assert "intrusion at Door 3.1" in mail.get_content()


async def test_a_personal_locker_opens_to_its_person_only(house: House) -> None:
    """Neither a group nor another tag opens it, by the hub or without."""
    site, hardware = house.site, house.site.hardware
    await site.back_to_normal()
    lock_id = site.lock_ids["3.2"]
    await site.owner.call("DELETE", f"{site.path}/access-groups/{site.group}/locks/{lock_id}")
    locker = await site.owner.post(f"{site.path}/lockers", {"lock_id": lock_id, "name": "Locker 7"})
    await until(site.is_in_sync, "in sync")
    assert await hardware.tap("3.2", ADA) == NO_ACCESS

    holder = f"{site.path}/lockers/{locker['id']}/people/{site.person_ids['Ada']}"
    await site.owner.put(holder)
    await until(site.is_in_sync, "in sync")
    assert await hardware.tap("3.2", ADA) == BY_HUB
    assert await hardware.tap("3.2", BEN) == NO_ACCESS
    await hardware.say("cut radio 3.2")
    assert await hardware.tap("3.2", ADA) == BY_LIST
    assert (await hardware.tap("3.2", BEN)).startswith("denied_offline")

    await hardware.say("restore radio 3.2")
    await site.owner.call("DELETE", holder)
    await until(site.is_in_sync, "in sync")
    assert await hardware.tap("3.2", ADA) == NO_ACCESS


async def test_a_lock_behind_a_repeater_without_power_opens_by_its_list(house: House) -> None:
    """Power of a repeater that stands before another cuts both off; its return needs nothing."""
    site, hardware = house.site, house.site.hardware
    await site.back_to_normal()
    repeaters = f"{site.path}/hubs/{site.hub_ids['1']}/repeaters"
    stairs = await site.owner.post(repeaters, {"name": "Stairs", "serial": "RP-1"})
    attic = {"name": "Attic", "serial": "RP-2", "parent_id": stairs["id"]}
    behind = await site.owner.post(repeaters, attic)
    for line in ("repeater stairs", "repeater attic"):
        await hardware.say(line)
    await hardware.say("place attic behind stairs")
    await hardware.say("place 1.1 behind attic")
    await site.owner.edit(site.lock_path("1.1"), {"repeater_id": behind["id"]})
    await until(site.is_in_sync, "in sync")
    assert await hardware.tap("1.1", ADA) == BY_HUB

    await hardware.say("power off stairs")
    assert await hardware.tap("1.1", ADA) == BY_LIST
    assert await hardware.tap("1.1", STRANGER) == "denied_offline: unknown_credential"
    assert await hardware.tap("1.2", ADA) == BY_HUB

    await hardware.say("power on stairs")
    await until(lambda: opens_by_hub(house, "1.1"), "the hub is asked again")


async def awaited(site: Site, lock: str, name: str) -> str:
    """Let a lock wait for a tag for somebody; return the enrolment's path once it does."""
    enrolments = f"{site.lock_path(lock)}/enrolments"
    begun = await site.owner.post(enrolments, {"person_id": site.person_ids[name]})
    order = f"{site.path}/commands/{begun['id']}"
    await until(lambda: has(site, order, state="done"), "the lock waits for a tag")
    return f"{enrolments}/{begun['id']}"


async def has(site: Site, path: str, **wanted: object) -> bool:
    """Whether something has come to be so."""
    thing = await site.owner.get(path)
    return {name: thing[name] for name in wanted} == wanted


async def was(site: Site, lock: str, kind: str, credential_id: str) -> bool:
    """Whether an entry of a lock tells of that, done with that credential."""
    entries = await site.owner.get(f"{site.path}/entries?lock_id={site.lock_ids[lock]}")
    return (kind, credential_id) in {(e["kind"], e["credential_id"]) for e in entries["items"]}


async def is_incident(site: Site, query: str, *, wanted: bool = True) -> bool:
    """Whether an incident of that sort is shown, or none is."""
    found = await site.owner.get(f"{site.path}/incidents?{query}")
    return bool(found["items"]) is wanted


async def opens_by_hub(house: House, lock: str) -> bool:
    """Whether the hub of a lock opens it to Ada."""
    return await house.site.hardware.tap(lock, ADA) == BY_HUB


async def event(site: Site, kind: str) -> Any:
    """Listen until something of a kind has happened, and return its facts."""
    async for _, told, facts in site.owner.events(f"{site.path}/events"):
        if told == kind:
            return facts
    raise AssertionError(f"the stream ended without {kind}")
