"""What a hub is told: the rows and nothing but the rows, divided so that an edit moves little."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import access
from controller.domain.access import Allowed, CredentialKind, Denied
from controller.domain.hardware import DoorSettings, OfficeMode
from controller.domain.ids import LockId, PersonId, ScheduleId
from controller.domain.instants import to_seconds
from controller.domain.schedule import Holiday, Schedule, Window
from controller.domain.site_state import SiteState
from firmware_sim.hub import decision, tables
from firmware_sim.lock import offline
from gateway.protocol import cbor, sealing, sections, wire
from gateway.protocol.messages import DenyReason, Manifest, SectionKind
from gateway.protocol.sections import LockSettings, OfflineList, Person
from tests.controller.delivery import states
from tests.controller.delivery.states import Compiled, compile_hub

MANY = 5_000


@pytest.fixture(scope="module")
def crowd() -> SiteState:
    """A site of 5,000 people."""
    return states.crowd(MANY)


@pytest.fixture(scope="module")
def crowded(crowd: SiteState) -> Compiled:
    """What its hub is told."""
    return compile_hub(crowd, states.hub(), states.SECRETS)


def hashes(compiled: Compiled, kind: SectionKind) -> set[bytes]:
    """The names of the sections of a kind, when there is no index."""
    return {root.hash for root in compiled.roots if root.kind is kind}


def offline_list(state: SiteState, number: int = 0) -> OfflineList:
    """The offline list of one lock of hub 0."""
    compiled = compile_hub(state, states.hub(), states.SECRETS)
    name = compiled.lists[LockId(states.name("lock", number))]
    (found,) = sections.read(SectionKind.OFFLINE_LIST, compiled.sections[name])
    assert isinstance(found, OfflineList)
    return found


@pytest.mark.invariant("E4")
@given(states.states(), st.lists(st.integers(0, 9), max_size=7))
def test_the_same_rows_give_the_same_bytes(state: SiteState, order: list[int]) -> None:
    """Neither the order of rows nor the instant nor the run makes a difference."""
    once = compile_hub(state, states.hub(), states.SECRETS)
    again = compile_hub(states.shuffled(state, order), states.hub(), states.SECRETS)

    assert again == once


@pytest.mark.invariant("A5")
@given(states.states(), states.MOMENTS)
def test_the_hub_decides_as_the_cloud_would(state: SiteState, now: datetime) -> None:
    """For every tag at every lock the hub's code on its copy agrees with the reference rule."""
    for number in (0, 1):
        compiled = compile_hub(state, states.hub(number), states.SECRETS)
        told = tables.build(item for kind in SectionKind for item in states.items(compiled, kind))
        for lock in state.locks:
            if lock.hub_id != states.hub(number).id:
                continue
            for held in [*state.credentials, states.held(99)]:
                at_hub = decision.decide(
                    told,
                    held.digest,
                    bytes.fromhex(lock.id),
                    at_s=to_seconds(now),
                    zone=ZoneInfo(state.time_zone),
                )
                if isinstance(at_hub, decision.Granted):
                    at_hub = replace(at_hub, ends_at_s=None)  # of the right, not the decision
                assert at_hub == reference(state, held.digest, lock.id, now=now, hub=number)


def reference(
    state: SiteState, digest: bytes, lock_id: LockId, *, now: datetime, hub: int
) -> decision.Granted | decision.Denied:
    """What the cloud's own rule says, in the hub's words.

    Of people without any right at its locks the hub is told nothing, so to it they are unknown.
    """
    here = {lock.id for lock in state.locks if lock.hub_id == states.hub(hub).id}
    told = {
        person_id
        for group in state.groups
        if group.lock_ids & here
        for person_id in group.person_ids
    }
    holder = next(
        (
            (held.credential, state.people[held.credential.person_id])
            for held in state.credentials
            if held.digest == digest and held.credential.person_id in told
        ),
        None,
    )
    decided = access.decide(
        subscribed=True,
        holder=holder,
        groups=state.access_groups(),
        lock_id=lock_id,
        zone=ZoneInfo(state.time_zone),
        now=now,
        holidays=state.holidays,
    )
    match decided:
        case Allowed():
            assert holder is not None
            return decision.Granted(privileges=int(holder[1].privileges))
        case Denied():
            return decision.Denied(DenyReason[decided.reason.name])
        case _:
            assert_never(decided)


@pytest.mark.invariant("A5", "E5")
@given(states.states(), states.MOMENTS)
def test_a_lock_alone_opens_to_whom_the_cloud_would(state: SiteState, now: datetime) -> None:
    """Tags and digital keys with explicit offline access, and PINs where there is a keypad.

    The lock's code on its list agrees with the reference rule.
    """
    for lock in state.locks:
        if lock.hub_id != states.hub().id:
            continue
        compiled = compile_hub(state, states.hub(), states.SECRETS)
        data = compiled.sections[compiled.lists[lock.id]]
        (held_list,) = sections.read(SectionKind.OFFLINE_LIST, data)
        assert isinstance(held_list, OfflineList)
        for held in state.credentials:
            alone = offline.decide_offline(
                held_list,
                {},
                held.digest,
                memory_days=7,
                at_s=to_seconds(now),
                clock_trusted=True,
            )
            online = reference(state, held.digest, lock.id, now=now, hub=0)
            is_pin = held.credential.kind is CredentialKind.PIN
            listed = lock.door.keypad if is_pin else held.offline
            expected = listed and isinstance(online, decision.Granted)
            assert isinstance(alone, offline.Opens) == expected


def test_every_section_fits_and_everybody_is_in_one(crowd: SiteState, crowded: Compiled) -> None:
    """5,000 people: sections of at most 12 KiB, a manifest of at most 16, nobody twice."""
    manifest = Manifest(
        hub_id=bytes(16),
        site_id=bytes(16),
        epoch=1,
        revision=1,
        time_zone=crowded.time_zone,
        roots=crowded.roots,
    )

    told = [
        p.person_id.hex()
        for p in states.items(crowded, SectionKind.PEOPLE)
        if isinstance(p, Person)
    ]
    assert max(map(len, crowded.sections.values())) <= sections.SECTION_BYTES_MAX
    assert len(wire.encode(manifest)) <= cbor.MESSAGE_BYTES_MAX - 200  # the signature needs room
    assert sorted(told) == sorted(crowd.people)


def add_a_tag(state: SiteState, number: int) -> SiteState:
    """Give somebody another tag."""
    return replace(
        state, credentials=(*state.credentials, states.held(90_000, person_number=number))
    )


def end_a_stay(state: SiteState, number: int) -> SiteState:
    """Let somebody's stay end."""
    ending = states.person(number, ends_at=states.NOON)
    return replace(state, people={**state.people, ending.id: ending})


def take_away(state: SiteState, number: int) -> SiteState:
    """Delete somebody."""
    gone = PersonId(states.name("person", number))
    return replace(
        state,
        people={key: each for key, each in state.people.items() if key != gone},
        credentials=tuple(c for c in state.credentials if c.credential.person_id != gone),
        groups=tuple(replace(g, person_ids=g.person_ids - {gone}) for g in state.groups),
    )


def move_to_all_groups(state: SiteState, number: int) -> SiteState:
    """Put somebody into every group."""
    mover = PersonId(states.name("person", number))
    return replace(
        state, groups=tuple(replace(g, person_ids=g.person_ids | {mover}) for g in state.groups)
    )


@pytest.mark.parametrize("edit", [add_a_tag, end_a_stay, take_away, move_to_all_groups])
@pytest.mark.parametrize("number", range(0, MANY, 2_000))
def test_an_edit_of_one_person_moves_at_most_two_people_sections(
    crowd: SiteState, crowded: Compiled, edit: Callable[[SiteState, int], SiteState], number: int
) -> None:
    """Everything else the hub holds already, whoever is edited."""
    edited = compile_hub(edit(crowd, number), states.hub(), states.SECRETS)

    moved = edited.sections.keys() - crowded.sections.keys()
    assert 1 <= len(moved) <= 2
    assert moved <= hashes(edited, SectionKind.PEOPLE)


def test_growing_from_one_to_many_never_moves_more_than_two_sections() -> None:
    """Also while buckets are dividing: each newcomer moves at most two people sections."""
    before = compile_hub(states.crowd(0), states.hub(), states.SECRETS)
    for count in range(1, 400):
        now = compile_hub(states.crowd(count), states.hub(), states.SECRETS)
        moved = hashes(now, SectionKind.PEOPLE) - hashes(before, SectionKind.PEOPLE)
        assert len(moved) <= 2, count
        before = now


def test_above_300_sections_the_manifest_names_index_sections() -> None:
    """Two levels lead to everybody, and each level fits into its message."""
    crowd = states.crowd(13_000)
    state = replace(
        crowd, groups=tuple(replace(g, person_ids=frozenset(crowd.people)) for g in crowd.groups)
    )

    compiled = compile_hub(state, states.hub(), states.SECRETS)

    assert {root.kind for root in compiled.roots} == {SectionKind.INDEX}
    assert max(map(len, compiled.sections.values())) <= sections.SECTION_BYTES_MAX
    assert sum(1 for _ in states.items(compiled, SectionKind.PEOPLE)) == 13_000


def test_a_hub_is_told_what_it_needs_and_nothing_else() -> None:
    """People, groups, schedules and locks of other hubs stay unknown to it."""
    state = states.state(
        people={p.id: p for p in map(states.person, range(3))},
        credentials=tuple(map(states.held, range(3))),
        groups=(
            states.group(0, people=[0], locks=[0, 1]),
            states.group(1, people=[1], locks=[1], schedule=0),
            states.group(2, people=[2], locks=[]),
        ),
        schedules={ScheduleId(states.name("schedule", 0)): Schedule.always()},
        locks=(states.lock(0), states.lock(1, hub_number=1)),
    )

    everything = b"".join(compile_hub(state, states.hub(), states.SECRETS).sections.values())

    for kind, ours, theirs in [("person", 0, 1), ("group", 0, 1), ("lock", 0, 1), ("group", 0, 2)]:
        assert bytes.fromhex(states.name(kind, ours)) in everything
        assert bytes.fromhex(states.name(kind, theirs)) not in everything
    assert bytes.fromhex(states.name("schedule", 0)) not in everything
    assert states.digest(2) not in everything


def test_hub_and_lock_open_their_halves_of_a_ticket_to_the_same_link_key() -> None:
    """Each half opens with its owner's own key, and only the lock learns the tag key."""
    state = states.crowd(1, locks=1)
    state = replace(state, locks=(states.lock(0, ticket_number=3),))
    hub = states.hub(epoch=3)
    compiled = compile_hub(state, hub, states.SECRETS)
    (settings,) = states.items(compiled, SectionKind.LOCKS)
    assert isinstance(settings, LockSettings)
    site_id, hub_id = bytes.fromhex(states.SITE), bytes.fromhex(hub.id)
    controller = states.CONTROLLER_KEY.public_key()

    seal_key = sealing.seal_key(
        states.x25519(0), controller, site_id=site_id, lock_id=settings.lock_id, epoch=1
    )
    lock_half = sealing.unseal(
        seal_key, sealing.LockTicket, settings.lock_ticket, purpose=sealing.LOCK_TICKET
    )
    hub_half = sealing.unseal(
        sealing.hub_key(states.HUB_KEY, controller, hub_id=hub_id),
        sealing.HubTicket,
        settings.hub_ticket,
        purpose=sealing.HUB_TICKET,
    )

    assert lock_half.tag_key == states.SECRETS.tag_key
    assert (lock_half.hub_id, lock_half.number) == (hub_id, hub_half.number) == (hub_id, 3)
    assert hub_half.link_key == sealing.link_key(seal_key, hub_id=hub_id, number=3)
    assert states.SECRETS.tag_key not in b"".join(compiled.sections.values())


def test_an_offline_list_holds_offline_grants_with_their_times() -> None:
    """Explicit grants only, each with its end and the schedules it may open by."""
    morning = Window(weekday=0, start_min=480, end_min=720)
    evening = Window(weekday=0, start_min=720, end_min=1080)
    state = states.state(
        people={
            p.id: p
            for p in [states.person(0, ends_at=states.NOON), states.person(1), states.person(2)]
        },
        credentials=(
            states.held(0, offline=True, ends_at=states.NOON + timedelta(days=1)),
            states.held(1, offline=True),
            states.held(2),
        ),
        groups=(
            states.group(0, people=[0, 2], locks=[0], schedule=0),
            states.group(1, people=[0], locks=[0], schedule=1),
            states.group(2, people=[1], locks=[0]),
        ),
        schedules={
            ScheduleId(states.name("schedule", 0)): Schedule.of([morning]),
            ScheduleId(states.name("schedule", 1)): Schedule.of([evening]),
        },
        locks=(states.lock(0),),
    )

    found = offline_list(state)

    windows = [(w.start_min, w.end_min) for times in found.schedules for w in times.windows]
    assert windows == [(480, 720), (720, 1080)]
    assert {g.credential_digest: (g.schedules, g.ends_at_s) for g in found.grants} == {
        states.digest(0): ((0, 1), to_seconds(states.NOON)),
        states.digest(1): (None, None),
    }


@pytest.mark.invariant("A1")
def test_the_revoked_are_purged_by_name_newest_first_and_the_rest_by_time() -> None:
    """What the lock's rows name is named; what they do not is older than what is purged before."""
    purges = tuple(states.revoked(n, states.NOON + timedelta(seconds=n)) for n in range(20))
    state = states.state(locks=(states.lock(0, purges=purges, purged_at=states.NOON),))

    found = offline_list(state)

    assert found.purge == tuple(states.digest(n) for n in range(19, -1, -1))
    assert found.purge_before_s == to_seconds(states.NOON) + 1


@pytest.mark.invariant("A1", "A9")
def test_who_may_open_a_lock_again_is_not_purged_there() -> None:
    """Which lock forgets whom follows from the rights as they are now."""
    purges = (states.revoked(0),)
    state = states.state(
        people={states.person(0).id: states.person(0)},
        credentials=(states.held(0),),
        groups=(states.group(0, people=[0], locks=[0]),),
        locks=(states.lock(0, purges=purges), states.lock(1, purges=purges)),
    )

    assert offline_list(state, 0).purge == ()
    assert offline_list(state, 1).purge == (states.digest(0),)


def test_holidays_stand_in_a_list_only_where_something_observes_them() -> None:
    """A schedule of a grant, or the one by which the lock stays open, and none else."""
    window = Window(weekday=0, start_min=480, end_min=720)
    observing = Schedule.of([window], observes_holidays=True)
    schedule_id = ScheduleId(states.name("schedule", 0))
    office = DoorSettings(office=OfficeMode.SCHEDULED, office_schedule_id=schedule_id)
    state = states.state(
        people={states.person(0).id: states.person(0)},
        credentials=(states.held(0, offline=True),),
        groups=(
            states.group(0, people=[0], locks=[0], schedule=0),
            states.group(1, people=[0], locks=[1]),
        ),
        schedules={schedule_id: observing},
        locks=(states.lock(0), states.lock(1), states.lock(2, door=office)),
        holidays=(Holiday(starts_on=date(2026, 12, 25), days=2),),
    )
    told = (sections.Holiday(day=(date(2026, 12, 25) - date(1970, 1, 1)).days, days=2),)

    assert [offline_list(state, number).holidays for number in range(3)] == [told, None, told]


def test_the_fullest_list_fits_into_a_section() -> None:
    """360 grants with frames and privileges, six schedules, 40 holidays, 20 purged."""
    windows = [
        Window(weekday=day, start_min=start, end_min=start + 130)
        for day in range(7)
        for start in (300, 600, 900, 1200)
    ]
    far = datetime(2099, 12, 31, tzinfo=UTC)

    def schedule(number: int) -> Schedule:
        return Schedule.of(
            [replace(w, end_min=w.end_min + number) for w in windows],
            observes_holidays=True,
            starts_on=states.NOON.date(),
            ends_on=far.date(),
        )

    def guest(number: int) -> access.Person:
        return states.person(
            number, starts_at=states.NOON, ends_at=far, privileges=access.Privilege(7)
        )

    state = states.state(
        time_zone="America/Argentina/ComodRivadavia",
        people={p.id: p for p in map(guest, range(360))},
        credentials=tuple(states.held(n, offline=True, ends_at=far) for n in range(360)),
        groups=tuple(states.group(n, people=range(360), locks=[0], schedule=n) for n in range(6)),
        schedules={ScheduleId(states.name("schedule", n)): schedule(n) for n in range(6)},
        locks=(states.lock(0, purges=tuple(map(states.revoked, range(1_000, 1_020)))),),
        holidays=tuple(
            Holiday(starts_on=states.NOON.date() + timedelta(days=n * 40), days=31)
            for n in range(40)
        ),
    )

    found = offline_list(state)

    assert (len(found.grants), len(found.schedules)) == (360, 6)
    assert len(found.holidays or ()) == 40
