"""The rules of offline lists and of what a lock's memory must forget."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.access import Allowed, Credential, CredentialKind, Person, decide
from controller.domain.ids import CredentialId, GroupId, HubId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.offline import (
    OfflineSchedulesFull,
    offline_list,
    require_room,
    to_forget,
    why_not_listed,
)
from controller.domain.schedule import Schedule, Window
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked, SiteState

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Madrid")
LOCKS = tuple(LockId(f"lock{number}") for number in range(2))
SCHEDULES = tuple(ScheduleId(f"schedule{number}") for number in range(3))

hours = st.integers(-48, 48).map(lambda hour: NOW + timedelta(hours=hour))
ends = st.none() | hours
windows = st.builds(
    lambda weekday, start, length: Window(
        weekday=weekday, start_min=start, end_min=min(start + length, 1440)
    ),
    st.integers(0, 6),
    st.integers(0, 1439),
    st.integers(1, 1440),
)
schedules = st.sets(windows, min_size=1, max_size=5).map(Schedule.of)


def lock(lock_id: LockId, *, capacity: int = 39) -> Lock:
    """Return a lock."""
    return Lock(
        id=lock_id,
        hub_id=HubId("hub"),
        serial=lock_id,
        public_key=bytes(32),
        pairing=b"",
        capacity=capacity,
        open_s=5,
        memory_days=7,
        epoch=1,
    )


@st.composite
def states(draw: st.DrawFn) -> SiteState:
    """A small site in any state."""
    people = {
        PersonId(f"p{number}"): Person(
            id=PersonId(f"p{number}"), subscribed=draw(st.booleans()), ends_at=draw(ends)
        )
        for number in range(draw(st.integers(1, 4)))
    }
    credentials = tuple(
        HeldCredential(
            credential=Credential(
                id=CredentialId(f"c{number}"),
                person_id=draw(st.sampled_from(sorted(people))),
                kind=CredentialKind.TAG,
                blocked=draw(st.booleans()),
                ends_at=draw(ends),
            ),
            digest=bytes([number]) * 16,
            offline=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 5)))
    )
    groups = tuple(
        Group(
            id=GroupId(f"g{number}"),
            schedule_id=draw(st.none() | st.sampled_from(SCHEDULES)),
            person_ids=frozenset(draw(st.sets(st.sampled_from(sorted(people))))),
            lock_ids=frozenset(draw(st.sets(st.sampled_from(LOCKS)))),
        )
        for number in range(draw(st.integers(0, 4)))
    )
    revoked = draw(st.dictionaries(st.integers(0, 7), hours))
    return SiteState(
        site_id=SiteId("site"),
        time_zone=str(ZONE),
        people=people,
        credentials=credentials,
        groups=groups,
        schedules={schedule_id: draw(schedules) for schedule_id in SCHEDULES},
        locks=tuple(lock(lock_id) for lock_id in LOCKS),
        revoked=tuple(
            Revoked(digest=bytes([number]) * 16, revoked_at=at)
            for number, at in sorted(revoked.items())
        ),
    )


@pytest.mark.invariant("A7")
@given(states(), st.sampled_from(LOCKS), hours)
def test_a_list_opens_exactly_what_the_rules_open(
    state: SiteState, lock_id: LockId, now: datetime
) -> None:
    """A credential with offline access opens by the list at the instants at which it may open."""
    grants = {grant.holder.credential.id: grant for grant in offline_list(state, lock_id)}
    for held in state.credentials:
        grant = grants.get(held.credential.id)
        by_list = (
            grant is not None
            and (grant.ends_at is None or now < grant.ends_at)
            and (grant.schedule is None or grant.schedule.contains(now.astimezone(ZONE)))
        )
        by_rule = decide(
            subscribed=True,
            holder=(held.credential, state.people[held.credential.person_id]),
            groups=state.access_groups(),
            lock_id=lock_id,
            zone=ZONE,
            now=now,
        )

        assert by_list == (held.offline and isinstance(by_rule, Allowed))


@given(states(), st.sampled_from(LOCKS))
def test_whoever_is_not_listed_has_a_reason(state: SiteState, lock_id: LockId) -> None:
    """Each credential with offline access is on the list or has a reason, and never both."""
    listed = {grant.holder.credential.id for grant in offline_list(state, lock_id)}

    for held in state.credentials:
        if held.offline:
            reason = why_not_listed(state, held, lock_id)
            assert (reason is None) == (held.credential.id in listed)


@pytest.mark.invariant("A1")
@given(states(), st.sampled_from(LOCKS))
def test_a_revoked_credential_is_forgotten_unless_it_has_a_right(
    state: SiteState, lock_id: LockId
) -> None:
    """What was revoked is told to every lock where it has no right without an end."""
    told = {revoked.digest for revoked in to_forget(state, lock_id)}
    held = {one.digest: one for one in state.credentials}

    for revoked in state.revoked:
        one = held.get(revoked.digest)
        entitled = False
        if one is not None and not one.credential.blocked:
            person = state.people[one.credential.person_id]
            entitled = (
                person.subscribed
                and one.credential.ends_at is None
                and person.ends_at is None
                and any(
                    person.id in group.person_ids and lock_id in group.lock_ids
                    for group in state.groups
                )
            )
        assert (revoked.digest in told) == (not entitled)


@given(states(), st.sampled_from(LOCKS))
def test_the_newest_revocation_comes_first(state: SiteState, lock_id: LockId) -> None:
    """Whoever cuts what must be forgotten cuts the oldest; equal instants keep one order."""
    told = to_forget(state, lock_id)

    assert list(told) == sorted(
        sorted(told, key=lambda one: one.digest), key=lambda one: one.revoked_at, reverse=True
    )


def in_groups(several: Sequence[Schedule]) -> SiteState:
    """Return a site with one person who is in a group for each schedule."""
    person = PersonId("p")
    schedule_ids = [ScheduleId(f"s{number}") for number in range(len(several))]
    tag = Credential(id=CredentialId("c"), person_id=person, kind=CredentialKind.TAG)
    return SiteState(
        site_id=SiteId("site"),
        time_zone=str(ZONE),
        people={person: Person(id=person, subscribed=True)},
        credentials=(HeldCredential(credential=tag, digest=bytes(16), offline=True),),
        groups=tuple(
            Group(
                id=GroupId(schedule_id),
                schedule_id=schedule_id,
                person_ids=frozenset({person}),
                lock_ids=frozenset(LOCKS),
            )
            for schedule_id in schedule_ids
        ),
        schedules=dict(zip(schedule_ids, several, strict=True)),
        locks=(),
        revoked=(),
    )


@given(st.lists(schedules, min_size=1, max_size=3), hours)
def test_the_times_of_several_groups_are_merged(several: list[Schedule], now: datetime) -> None:
    """A person in several groups may open while any is open, in as few windows as can be."""
    (grant,) = offline_list(in_groups(several), LOCKS[0])

    local = now.astimezone(ZONE)
    merged = grant.schedule or Schedule.always()
    assert merged.contains(local) == any(one.contains(local) for one in several)
    for first, second in pairwise(merged.windows):
        assert first.weekday < second.weekday or first.end_min < second.start_min


def test_a_whole_week_is_at_all_times() -> None:
    """Two halves that make a week need no place among a list's schedules."""
    halves = [
        Schedule.of(Window(weekday=day, start_min=start, end_min=start + 720) for day in range(7))
        for start in (0, 720)
    ]

    (grant,) = offline_list(in_groups(halves), LOCKS[0])

    assert grant.schedule is None


def test_groups_that_make_too_many_windows_are_refused() -> None:
    """28 windows of one group and another's between them do not fit into a lock."""
    fine = [
        Schedule.of(
            Window(
                weekday=number % 7, start_min=start + 100 * number, end_min=start + 100 * number + 1
            )
            for number in range(14)
        )
        for start in (0, 50)
    ]
    require_room(in_groups(fine), lock(LOCKS[0]), name="Door")
    more = Schedule.of([Window(weekday=6, start_min=1438, end_min=1439)])

    with pytest.raises(OfflineSchedulesFull) as caught:
        require_room(in_groups([*fine, more]), lock(LOCKS[0]), name="Door")

    assert caught.value.facts["windows"] == 29
