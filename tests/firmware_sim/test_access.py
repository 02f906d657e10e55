"""How a new access state comes to a hub."""

import hashlib

import pytest

from firmware_sim.inputs import Received
from gateway.protocol.messages import EntryKind
from gateway.protocol.topics import DownKind, UpKind
from tests.firmware_sim.cloud import ident, person, secret
from tests.firmware_sim.scene import ANN, BEN, DAN, Scene, scene


def crowd(made: Scene, count: int, *, with_index: bool = False) -> None:
    """Let many people in."""
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.with_index = with_index
    plan.people += tuple(
        person(f"guest {number}", ident(f"tag {number}"), groups=("all",))
        for number in range(count)
    )


@pytest.mark.parametrize("with_index", [False, True])
def test_it_asks_for_four_at_a_time(*, with_index: bool) -> None:
    """Many sections, also behind an index, come without more than four on their way."""
    made = scene()
    crowd(made, 600, with_index=with_index)

    made.publish()

    assert max(made.cloud.asked) <= 4
    assert len(made.hub.now.access.tables.holders) == 603
    assert made.hub.now.access.revision == 2


def test_an_edit_moves_what_changed_and_no_more() -> None:
    """One person edited among many: two sections at most."""
    made = scene()
    crowd(made, 600)
    made.publish()
    made.cloud.asked.clear()
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.people = (*plan.people[:-1], person("new", made.cloud.digest(DAN), groups=("all",)))

    made.publish()

    assert sum(made.cloud.asked) == 1
    assert made.world.tap(made.lock, DAN).kind is EntryKind.OPENED_BY_HUB


def test_an_edit_reads_what_changed_and_no_more() -> None:
    """What was read once is not read again at the next switch, however much there is."""
    made = scene()
    crowd(made, 600, with_index=True)
    made.publish()
    before = made.hub.now.access.pieces
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.people = (*plan.people[:-1], person("new", made.cloud.digest(DAN), groups=("all",)))

    made.publish()

    after = made.hub.now.access.pieces
    anew = {name for name, piece in after.items() if before.get(name) is not piece}
    assert anew == after.keys() - before.keys()
    assert len(anew) == 2  # the index and the section of the one person


def test_a_section_is_read_when_it_comes() -> None:
    """The switch itself reads nothing, so that nobody at a door waits for it."""
    made = scene()
    crowd(made, 600)
    made.cloud.sections_until_silent = 6
    made.publish()
    assert made.hub.now.pull is not None
    come = made.hub.now.pull.pieces

    made.cloud.sections_until_silent = 1000
    made.world.run(120)

    assert len(come) == 6
    assert all(made.hub.now.access.pieces[name] is piece for name, piece in come.items())


def test_the_old_state_serves_until_the_new_is_whole() -> None:
    """Half of a state changes no decision; the rest of it changes all at once."""
    made = scene()
    crowd(made, 600)
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.people = plan.people[3:]  # without Ann, Ben and Cat
    manifest = made.cloud.manifest(made.hub.identity.hub_id)
    made.cloud.sections_until_silent = 6
    made.world.deliver(made.hub, manifest)

    during = made.world.tap(made.lock, ANN)
    made.cloud.sections_until_silent = 1000
    made.world.run(120)
    after = made.world.tap(made.lock, ANN)

    assert during.kind is EntryKind.OPENED_BY_HUB
    assert after.kind is EntryKind.DENIED_BY_HUB


def test_what_is_lost_is_asked_for_again_ever_more_slowly() -> None:
    """Nobody answers: few questions in ten minutes, and all is well once somebody does."""
    made = scene()
    crowd(made, 300)
    manifest = made.cloud.manifest(made.hub.identity.hub_id)
    made.cloud.sections_until_silent = 0
    made.cloud.asked.clear()
    made.world.deliver(made.hub, manifest)

    made.world.run(600)

    assert 10 <= len(made.cloud.asked) <= 16
    made.cloud.sections_until_silent = 1000
    made.world.run(61)
    assert made.hub.now.access.revision == 2


def test_a_pull_goes_on_with_the_same_revision_cut_otherwise() -> None:
    """The controller was upgraded meanwhile and serves the sections of before no more."""
    made = scene()
    crowd(made, 300)
    hub_id = made.hub.identity.hub_id
    made.cloud.sections_until_silent = 0
    made.publish()
    assert made.hub.now.access.revision == 1

    made.cloud.sections.clear()
    made.cloud.sections_until_silent = 1000
    made.cloud.plans[hub_id].people_per_section = 40
    made.world.deliver(made.hub, made.cloud.manifest(hub_id, revise=False))

    assert made.hub.now.access.revision == 2
    assert len(made.hub.now.access.tables.holders) == 303


def test_a_state_that_serves_is_not_fetched_again_cut_otherwise() -> None:
    """It says the same; only what is unfinished is begun anew."""
    made = scene()
    crowd(made, 300)
    made.publish()
    made.cloud.asked.clear()
    hub_id = made.hub.identity.hub_id

    made.cloud.plans[hub_id].people_per_section = 40
    made.world.deliver(made.hub, made.cloud.manifest(hub_id, revise=False))

    assert made.cloud.asked == []
    assert made.hub.now.pull is None


@pytest.mark.invariant("A3")
def test_revisions_never_go_back() -> None:
    """Every manifest ever sent, sent again in any order, leaves the newest."""
    made = scene()
    for _ in range(3):
        made.publish()
    manifests = [each for each in made.hub.heard if each.kind is DownKind.MANIFEST]
    assert made.hub.now.access.revision == 4

    for manifest in (*manifests, *reversed(manifests)):
        made.world.deliver(made.hub, manifest)
        assert made.hub.now.access.revision == 4


def test_a_section_that_nobody_asked_for_is_dropped() -> None:
    """What is not named by the manifest that is being fetched never gets to flash."""
    made = scene()
    before = made.hub.flash.log

    made.world.deliver(made.hub, Received(kind=DownKind.SECTION, payload=secret("anything")))

    assert made.hub.flash.log == before


def test_sections_no_longer_named_leave_the_flash() -> None:
    """After many edits the flash holds the present state and nothing else."""
    made = scene()
    plan = made.cloud.plans[made.hub.identity.hub_id]
    for number in range(10):
        plan.people = (*plan.people, person(f"n{number}", ident(f"t{number}"), groups=("all",)))
        made.publish()

    held = {key for key in made.hub.flash.read() if key.startswith("section/")}

    assert held == {f"section/{name.hex()}" for name in made.hub.now.access.pieces}


def test_a_rotten_section_is_fetched_again() -> None:
    """One bit of flash turns over: the hub starts without a state and asks for what is missing."""
    made = scene()
    name = next(iter(made.hub.now.access.pieces))
    data = made.hub.now.access.pieces[name].data
    made.world.power_off(made.hub)
    place = made.hub.flash.log.index(data)
    rotten = bytearray(made.hub.flash.log)
    rotten[place] ^= 1
    made.hub.flash.log = bytes(rotten)

    made.world.power_on(made.hub)

    assert made.hub.now.access.revision == 1
    assert hashlib.sha256(made.hub.now.access.pieces[name].data).digest() == name
    assert made.world.tap(made.lock, BEN).kind is EntryKind.OPENED_BY_HUB


@pytest.mark.invariant("E7", "A2")
def test_the_cloud_hears_at_once_what_changed() -> None:
    """Lease, revision, list and presence of a lock are confirmed without waiting for a beat."""
    made = scene()
    hub_id = made.hub.identity.hub_id
    lock_hash = made.cloud.statuses[hub_id].locks[0].list_hash
    assert made.lock.list_bytes is not None
    assert lock_hash == hashlib.sha256(made.lock.list_bytes).digest()

    made.publish()
    assert made.cloud.statuses[hub_id].revision == 2
    made.expire()
    assert not made.cloud.statuses[hub_id].subscribed
    made.renew()
    assert made.cloud.statuses[hub_id].lease_number == 3
    made.lock.has_radio = False
    made.world.run(130)
    assert not made.cloud.statuses[hub_id].locks[0].online


def test_an_idle_hub_says_little() -> None:
    """An hour without anything happening: a beat every 30 s, a heartbeat to the lock every 20 s."""
    made = scene()
    made.world.run(60)
    made.hub.said.clear()
    made.hub.frames.clear()

    made.world.run(3600)

    assert {each.kind for each in made.hub.said} == {UpKind.BEAT}
    assert 115 <= len(made.hub.said) <= 121
    assert 175 <= len(made.hub.frames) <= 181
