"""Leases, manifests and sections leave as the rows say, and to whom they belong."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import delete

from controller.db.tables.access import group_people
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.people import people
from controller.db.tables.subscriptions import subscriptions
from controller.domain.instants import to_seconds
from controller.sync.changes import Touched
from controller.sync.service import WAKE_HUBS
from gateway.port import Downlink
from gateway.protocol import sections
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import Ask, Lease, Manifest, SectionKind
from gateway.protocol.topics import DownKind, UpKind
from tests.controller.ground import ENDS, GRACE, NOW, Ground, Hub, name


async def lease_of(ground: Ground, hub: Hub) -> Lease:
    """The hub's newest lease."""
    (found, *_) = await ground.inbound.documents([hub.id])
    return hub.read(found, Lease)


async def manifest_of(ground: Ground, hub: Hub) -> Manifest | None:
    """The hub's newest manifest, if it may have one."""
    found = [
        hub.read(each, Manifest)
        for each in await ground.inbound.documents([hub.id])
        if each.kind is DownKind.MANIFEST
    ]
    return found[0] if found else None


async def sections_of(ground: Ground, hub: Hub, manifest: Manifest) -> list[Downlink]:
    """What the hub gets when it asks for all sections of a manifest."""
    answers: list[Downlink] = []
    for root in manifest.roots:
        ask = Ask(revision=manifest.revision, hashes=(root.hash,))
        answers += await ground.tell(hub, UpKind.ASK, ask)
    return answers


async def end_subscription(ground: Ground, site: int = 0) -> None:
    """Let the end come and be recorded."""
    ground.clocks.calendar = ENDS
    await ground.change(subscriptions, {"site_id": name("site", site)}, expired=True)
    await ground.change(hubs, {"site_id": name("site", site)}, lease_wanted=2)


async def renew(ground: Ground, site: int = 0) -> None:
    """Redeem a voucher, as far as the device link can tell."""
    later = ground.clocks.calendar + timedelta(days=30)
    await ground.change(
        subscriptions, {"site_id": name("site", site)}, expired=False, ends_at=later
    )
    await ground.change(hubs, {"site_id": name("site", site)}, lease_wanted=3)


@pytest.mark.invariant("E8")
async def test_a_lease_is_signed_for_one_hub(ground: Ground) -> None:
    """It names hub, site, epoch, number and newest revision; nobody else can read it as his."""
    hub, other = ground.hub(number=0), ground.hub(number=1)
    await ground.change(hubs, {"id": hub.id}, epoch=4, lease_wanted=7, revision_wanted=9)

    (signed, *_) = await ground.inbound.documents([hub.id])

    assert hub.read(signed, Lease) == Lease(
        hub_id=bytes.fromhex(hub.id),
        site_id=bytes.fromhex(name("site", 0)),
        epoch=4,
        number=7,
        subscribed=True,
        ends_at_s=to_seconds(ENDS),
        serve_until_s=to_seconds(ENDS + GRACE),
        revision=9,
    )
    with pytest.raises(ProtocolError):
        other.read(signed, Lease)


@pytest.mark.invariant("E1", "E2")
@pytest.mark.parametrize(("second", "expected"), [(-1, (True, GRACE)), (0, (False, timedelta(0)))])
async def test_at_the_end_a_lease_says_unsubscribed(
    ground: Ground, second: int, expected: tuple[bool, timedelta]
) -> None:
    """One second before the end it is subscribed; at the end it is not, and has no grace."""
    ground.clocks.calendar = ENDS + timedelta(seconds=second)

    lease = await lease_of(ground, ground.hub())

    grace_s = lease.serve_until_s - to_seconds(ENDS)
    assert (lease.subscribed, timedelta(seconds=grace_s)) == expected


@pytest.mark.invariant("E6")
@pytest.mark.parametrize("ended", ["expired", "cancelled"])
async def test_a_recorded_end_counts_for_every_hub_of_its_site(ground: Ground, ended: str) -> None:
    """All hubs of the site, and none of the other's, whatever the clock says."""
    await ground.change(subscriptions, {"site_id": name("site", 0)}, **{ended: True})

    leases = [
        (site, (await lease_of(ground, ground.hub(site, number))).subscribed)
        for site in (0, 1)
        for number in (0, 1)
    ]

    assert leases == [(0, False), (0, False), (1, True), (1, True)]


@pytest.mark.invariant("E3", "E7")
async def test_while_unsubscribed_nothing_but_leases_leaves(ground: Ground) -> None:
    """A change accepted before the end waits, and goes out after renewal."""
    hub = ground.hub()
    before = await manifest_of(ground, hub)
    assert before is not None
    await ground.change(hubs, {"id": hub.id}, revision_wanted=2)  # accepted before the end

    await end_subscription(ground)
    documents = await ground.inbound.documents([hub.id])
    served = await sections_of(ground, hub, before)
    behind = await ground.inbound.behind(after="", limit=10)

    assert [each.kind for each in documents] == [DownKind.LEASE]
    assert served == []
    assert behind == []  # nobody is online yet

    await renew(ground)
    after = await manifest_of(ground, hub)
    assert after is not None
    assert after.revision == 2
    assert len(await sections_of(ground, hub, after)) == len(after.roots)


@pytest.mark.invariant("E3")
async def test_at_the_end_a_pull_that_is_under_way_gets_no_further(ground: Ground) -> None:
    """Also what was compiled and served a second before is not served at the end."""
    hub = ground.hub()
    manifest = await manifest_of(ground, hub)
    assert manifest is not None
    assert len(await sections_of(ground, hub, manifest)) == len(manifest.roots)

    ground.clocks.calendar = ENDS

    assert await sections_of(ground, hub, manifest) == []
    assert await manifest_of(ground, hub) is None


@pytest.mark.invariant("E4")
async def test_an_end_and_a_renewal_leave_every_section_as_it_was(ground: Ground) -> None:
    """Offline lists and all else: the same hashes before the end and after renewal."""
    hub = ground.hub()
    before = await manifest_of(ground, hub)

    await end_subscription(ground)
    await renew(ground)
    await ground.change(hubs, {"site_id": name("site", 0)}, revision_wanted=2)
    after = await manifest_of(ground, hub)

    assert before is not None
    assert after is not None
    assert after.revision == 2
    assert after.roots == before.roots


async def test_a_hub_can_pull_all_that_its_manifest_names(ground: Ground) -> None:
    """Every root leads to bytes of that hash and kind."""
    hub = ground.hub()
    manifest = await manifest_of(ground, hub)
    assert manifest is not None

    served = await sections_of(ground, hub, manifest)

    assert [sha256(each.data).digest() for each in served] == [r.hash for r in manifest.roots]
    for root, each in zip(manifest.roots, served, strict=True):
        assert sections.read(root.kind, each.data)
    told = {
        item.person_id.hex()
        for root, each in zip(manifest.roots, served, strict=True)
        for item in sections.read(root.kind, each.data)
        if isinstance(item, sections.Person)
    }
    assert told == {name("person", 0, number) for number in range(3)}


@pytest.mark.invariant("T1")
async def test_a_section_is_served_to_its_own_hub_only(ground: Ground) -> None:
    """Who knows another hub's hashes gets the same as for hashes that do not exist: no section."""
    hub, thief = ground.hub(site=0), ground.hub(site=1)
    manifest = await manifest_of(ground, hub)
    assert manifest is not None

    stolen = await sections_of(ground, thief, manifest)
    unheard = await ground.tell(thief, UpKind.ASK, Ask(revision=1, hashes=(b"?" * 32,)))

    assert stolen == unheard * len(manifest.roots)
    assert {each.kind for each in stolen} == {DownKind.MANIFEST}
    assert {each.hub_id for each in stolen} == {thief.id}


async def test_who_asks_for_what_is_not_in_the_present_manifest_is_sent_it(ground: Ground) -> None:
    """After an upgrade that compiles otherwise: a hub that has confirmed hears of it too."""
    hub = ground.hub()
    present = await manifest_of(ground, hub)
    assert present is not None
    await ground.change(hubs, {"id": hub.id}, revision_confirmed=1)
    hashes = (present.roots[0].hash, b"?" * 32)

    answers = await ground.tell(hub, UpKind.ASK, Ask(revision=1, hashes=hashes))

    assert [each.kind for each in answers] == [DownKind.SECTION, DownKind.MANIFEST]
    assert hub.read(answers[1], Manifest) == present


@pytest.mark.invariant("A1")
async def test_a_section_of_an_old_revision_is_served_no_more(ground: Ground) -> None:
    """Once somebody has lost a right, the hub can only fetch the state without it."""
    hub = ground.hub()
    old = await manifest_of(ground, hub)
    assert old is not None
    async with ground.db.write() as tx:
        await tx.execute(
            delete(group_people).where(group_people.c.person_id == name("person", 0, 0))
        )
    await ground.touch(*Touched.people(name("person", 0, 0)), *Touched.groups(name("group", 0)))

    served = await sections_of(ground, hub, old)
    new = await manifest_of(ground, hub)

    assert new is not None
    assert {sha256(each.data).digest() for each in served} == {
        root.hash for root in old.roots if root in new.roots
    }
    people_sections = {r.hash for r in old.roots if r.kind is SectionKind.PEOPLE}
    assert not people_sections & {sha256(each.data).digest() for each in served}


async def test_the_wanted_list_of_each_lock_is_noted(ground: Ground) -> None:
    """Its hash is the one in the manifest, and stays while the list does."""
    hub = ground.hub()
    manifest = await manifest_of(ground, hub)
    assert manifest is not None

    wanted = {row.list_wanted for row in await ground.rows(locks, hub_id=hub.id)}

    assert wanted == {r.hash for r in manifest.roots if r.kind is SectionKind.OFFLINE_LIST}
    assert {row.list_wanted for row in await ground.rows(locks, hub_id=ground.hub(1).id)} == {None}


async def test_a_manifest_that_is_confirmed_is_not_sent_again(ground: Ground) -> None:
    """Lease and manifest are each their own."""
    hub = ground.hub()
    await ground.tell(hub, UpKind.CONFIRM, hub.status(lease=0, revision=1))

    documents = await ground.inbound.documents([hub.id])

    assert [each.kind for each in documents] == [DownKind.LEASE]


async def test_leases_come_before_manifests(ground: Ground) -> None:
    """On contact a hub applies its lease first."""
    ids = [ground.hub(site, number).id for site in (0, 1) for number in (0, 1)]

    documents = await ground.inbound.documents(ids)

    for hub_id in ids:
        kinds = [each.kind for each in documents if each.hub_id == hub_id]
        assert kinds == [DownKind.LEASE, DownKind.MANIFEST]


async def test_one_hub_that_cannot_be_compiled_for_holds_up_no_other(ground: Ground) -> None:
    """A lock key that agrees on nothing spoils its own hub's manifest alone."""
    hub, other = ground.hub(number=0), ground.hub(number=1)
    await ground.change(locks, {"id": hub.lock_id().hex()}, public_key=bytes(32))

    documents = await ground.inbound.documents([hub.id, other.id])

    kinds = {(each.hub_id, each.kind) for each in documents}
    assert (other.id, DownKind.MANIFEST) in kinds
    assert (hub.id, DownKind.LEASE) in kinds
    assert (hub.id, DownKind.MANIFEST) not in kinds


async def online(ground: Ground, *hubs: Hub) -> None:
    """Let hubs come."""
    await ground.inbound.presence(online=[hub.id for hub in hubs], offline=[])


async def behind(ground: Ground) -> dict[str, Any]:
    """Who is behind, with the wanted numbers."""
    found = await ground.inbound.behind(after="", limit=100)
    return {each.hub_id: (each.lease_number, each.revision) for each in found}


async def test_behind_is_who_is_online_and_lacks_what_it_may_have(ground: Ground) -> None:
    """Of an unsubscribed site only a missing lease counts."""
    hub, other = ground.hub(number=0), ground.hub(number=1)
    assert await behind(ground) == {}
    await online(ground, hub, other)
    assert await behind(ground) == {hub.id: (1, 1), other.id: (1, 1)}

    await ground.tell(hub, UpKind.CONFIRM, hub.status(lease=1, revision=1))
    assert await behind(ground) == {other.id: (1, 1)}

    await ground.change(hubs, {"id": hub.id}, revision_wanted=2)
    assert await behind(ground) == {hub.id: (1, 2), other.id: (1, 1)}

    await end_subscription(ground)
    assert await behind(ground) == {hub.id: (2, 0), other.id: (2, 0)}

    await ground.tell(hub, UpKind.CONFIRM, hub.status(lease=2, revision=1, subscribed=False))
    assert await behind(ground) == {other.id: (2, 0)}


async def test_who_is_behind_can_be_read_in_pages(ground: Ground) -> None:
    """Page after page by id, nobody twice and nobody left out."""
    everybody = [ground.hub(site, number) for site in (0, 1) for number in (0, 1)]
    await online(ground, *everybody)

    found: list[str] = []
    for _ in everybody:
        after = found[-1] if found else ""
        (one,) = await ground.inbound.behind(after=after, limit=1)
        found.append(one.hub_id)

    assert found == sorted(hub.id for hub in everybody)


async def test_who_comes_wakes_the_publishing_loop(ground: Ground) -> None:
    """Presence and a report of somebody behind wake at once; nobody waits for a second."""
    hub = ground.hub()
    with ground.bus.subscribe(WAKE_HUBS) as waiter:
        await online(ground, hub)
        assert await waiter.wait(0)

        await ground.tell(hub, UpKind.HELLO, hub.status())
        assert await waiter.wait(0)

        await ground.tell(hub, UpKind.CONFIRM, hub.status(lease=1, revision=1))
        assert not await waiter.wait(0)


async def test_presence_is_three_states_with_their_instants(ground: Ground) -> None:
    """Online, offline, unknown: each with the instant since when; of its locks too."""
    hub = ground.hub()
    seen = []
    await ground.tell(hub, UpKind.HELLO, hub.status(locks=(hub.lock_status(),)))
    for hours, change in enumerate(
        [
            ground.inbound.presence(online=[hub.id], offline=[]),
            ground.inbound.presence(online=[], offline=[hub.id]),
            ground.inbound.presence_unknown(),
        ]
    ):
        ground.clocks.calendar = NOW + timedelta(hours=hours)
        await change
        row = await ground.row(hubs, id=hub.id)
        lock = await ground.row(locks, id=hub.lock_id().hex())
        seen.append((row.online, row.online_since, lock.online))

    assert seen == [
        (True, NOW, True),
        (False, NOW + timedelta(hours=1), None),
        (None, NOW + timedelta(hours=2), None),
    ]


async def test_everybody_in_service_is_greeted(ground: Ground) -> None:
    """One greeting for each hub that is claimed and not retired."""
    retired = ground.hub(1, 1)
    await ground.change(hubs, {"id": retired.id}, retired_at=NOW)

    greeted = [each.hub_id for each in await ground.inbound.greetings()]

    assert sorted(greeted) == sorted(
        ground.hub(site, number).id for site, number in [(0, 0), (0, 1), (1, 0)]
    )


async def test_documents_are_the_same_however_many_ask_at_once(ground: Ground) -> None:
    """Compiling twice at the same time does no harm."""
    hub = ground.hub()
    await ground.change(people, {"id": name("person", 0, 1)}, expires_at=NOW)

    once, again = await asyncio.gather(manifest_of(ground, hub), manifest_of(ground, hub))

    assert once is not None
    assert once == again
