"""The rules of offline lists and of what a lock's memory must forget."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.access import (
    NO_PRIVILEGE,
    Allowed,
    Credential,
    CredentialKind,
    Person,
    Privilege,
    decide,
)
from controller.domain.hardware import DoorSettings
from controller.domain.ids import CredentialId, GroupId, HubId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.offline import (
    SCHEDULES_MAX,
    OfflineGrant,
    OfflineList,
    OfflineListFull,
    OfflineRules,
    OfflineSchedulesFull,
    Unlisted,
    to_forget,
)
from controller.domain.schedule import HOLIDAY, Holiday, Schedule, Window
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked, SiteState

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Madrid")
LOCKS = tuple(LockId(f"lock{number}") for number in range(2))
SCHEDULES = tuple(ScheduleId(f"schedule{number}") for number in range(8))
KINDS = (CredentialKind.TAG, CredentialKind.DIGITAL_KEY, CredentialKind.PIN)

hours = st.integers(-48, 48).map(lambda hour: NOW + timedelta(hours=hour))
ends = st.none() | hours
mostly = st.sampled_from([True, True, True, False])
windows = st.builds(
    lambda weekday, start, length: Window(
        weekday=weekday, start_min=start, end_min=min(start + length, 1440)
    ),
    st.integers(0, HOLIDAY),
    st.integers(0, 1439),
    st.integers(1, 1440),
)


def lock(lock_id: LockId, *, capacity: int = 39, keypad: bool = True) -> Lock:
    """Return a lock."""
    return Lock(
        id=lock_id,
        hub_id=HubId("hub"),
        serial=lock_id,
        public_key=bytes(32),
        pairing=b"",
        capacity=capacity,
        door=DoorSettings(keypad=keypad),
        epoch=1,
    )


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """A schedule of a window a day at most, within the days around now or at any time."""
    chosen = {
        window.weekday: window for window in sorted(draw(st.sets(windows, min_size=1, max_size=5)))
    }
    return Schedule(
        windows=tuple(sorted(chosen.values())),
        observes_holidays=draw(st.booleans()),
        starts_on=draw(st.none() | st.sampled_from([date(2026, 3, 1), date(2026, 3, 2)])),
        ends_on=draw(st.none() | st.sampled_from([date(2026, 3, 2), date(2026, 3, 3)])),
    )


@st.composite
def states(draw: st.DrawFn) -> SiteState:
    """A small site in any state; its first lock may be tiny."""
    people = {
        PersonId(f"p{number}"): Person(
            id=PersonId(f"p{number}"),
            subscribed=draw(mostly),
            subscribed_at=draw(hours),
            starts_at=draw(ends),
            ends_at=draw(ends),
            privileges=Privilege(draw(st.integers(0, 7))),
        )
        for number in range(draw(st.integers(1, 4)))
    }
    held = tuple(
        HeldCredential(
            credential=Credential(
                id=CredentialId(f"c{number}"),
                person_id=draw(st.sampled_from(sorted(people))),
                kind=draw(st.sampled_from(KINDS)),
                blocked=not draw(mostly),
                ends_at=draw(ends),
            ),
            digest=bytes([number]) * 16,
            offline=draw(mostly),
        )
        for number in range(draw(st.integers(1, 6)))
    )
    groups = tuple(
        Group(
            id=GroupId(f"g{number}"),
            schedule_id=draw(st.none() | st.sampled_from(SCHEDULES)),
            person_ids=frozenset(draw(st.sets(st.sampled_from(sorted(people)), min_size=1))),
            lock_ids=frozenset(draw(st.sets(st.sampled_from(LOCKS), min_size=1))),
            starts_at=draw(ends),
            ends_at=draw(ends),
        )
        for number in range(draw(st.integers(1, 8)))
    )
    tiny = lock(LOCKS[0], capacity=draw(st.integers(1, 4)), keypad=draw(st.booleans()))
    return SiteState(
        site_id=SiteId("site"),
        time_zone=str(ZONE),
        people=people,
        credentials=held,
        groups=groups,
        schedules={schedule_id: draw(schedules()) for schedule_id in SCHEDULES},
        locks=(tiny, lock(LOCKS[1], capacity=360)),
        revoked=(),
        holidays=tuple(
            Holiday(starts_on=day, days=1)
            for day in sorted(draw(st.sets(st.sampled_from([date(2026, 3, d) for d in (1, 2, 3)]))))
        ),
    )


def opens(
    grants: Collection[OfflineGrant], held: HeldCredential, now: datetime, state: SiteState
) -> bool:
    """Return whether a list opens to a credential, as a lock with the time would judge."""
    local = now.astimezone(ZONE)
    return any(
        grant.holder == held
        and (grant.starts_at is None or grant.starts_at <= now)
        and (grant.ends_at is None or now < grant.ends_at)
        and (
            grant.schedules is None
            or any(schedule.contains(local, state.holidays) for schedule in grant.schedules)
        )
        for grant in grants
    )


@pytest.mark.invariant("A7")
@settings(max_examples=300)
@given(states(), hours)
def test_a_list_opens_exactly_when_the_rules_do(state: SiteState, now: datetime) -> None:
    """Whom a list names it lets in at the very instants at which the cloud would; nobody else."""
    rules = OfflineRules(state)
    for each in state.locks:
        found = rules.list_of(each)
        for held in state.credentials:
            by_rule = decide(
                subscribed=True,
                holder=(held.credential, state.people[held.credential.person_id]),
                groups=state.access_groups(),
                lock_id=each.id,
                zone=ZONE,
                now=now,
                holidays=state.holidays,
            )
            is_listed = held.credential.id in found.credential_ids

            assert opens(found.grants, held, now, state) == (
                is_listed and isinstance(by_rule, Allowed)
            )


@pytest.mark.invariant("A7")
@given(states())
def test_every_candidate_is_listed_or_has_a_reason(state: SiteState) -> None:
    """Never both, never neither; only room or time keeps out whoever has a right."""
    rules = OfflineRules(state)
    for each in state.locks:
        found = rules.list_of(each)
        for held in state.credentials:
            why = rules.why_not(held, each) or found.left_out.get(held.credential.id)

            assert (why is None) == (held.credential.id in found.credential_ids)
            if held.credential.kind is CredentialKind.PIN and not each.door.keypad:
                assert why is Unlisted.NO_KEYPAD


@pytest.mark.invariant("A7")
@given(states())
def test_a_list_fits_and_drops_no_explicit_credential(state: SiteState) -> None:
    """Slots and schedules are never exceeded; where explicit ones have no room, it is refused."""
    rules = OfflineRules(state)
    for each in state.locks:
        found = rules.list_of(each)
        left_out = {
            held.credential.id
            for held in state.credentials
            if held.credential.kind is not CredentialKind.PIN
            and found.left_out.get(held.credential.id)
            in {Unlisted.NO_SLOT, Unlisted.SCHEDULE_LIMIT}
        }

        assert len(found.grants) <= each.capacity
        assert len(found.schedules) <= SCHEDULES_MAX
        try:
            rules.require_room(each, name="Door")
        except (OfflineListFull, OfflineSchedulesFull):
            assert left_out
        else:
            assert not left_out


@pytest.mark.invariant("A7")
@given(states(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(state: SiteState, chance: object) -> None:
    """The same rows in any order give the same lists and the same reasons."""

    def shuffled(things: Collection[object]) -> list[object]:
        mixed = list(things)
        chance.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis hands in a Random
        return mixed

    other = replace(
        state,
        people=dict(shuffled(state.people.items())),  # type: ignore[arg-type]  # pairs stay pairs
        credentials=tuple(shuffled(state.credentials)),  # type: ignore[arg-type]  # as they were
        groups=tuple(shuffled(state.groups)),  # type: ignore[arg-type]  # likewise
    )

    for each in state.locks:
        assert OfflineRules(other).list_of(each) == OfflineRules(state).list_of(each)


@given(states(), st.integers(1, 6))
def test_a_part_of_the_site_is_enough(state: SiteState, capacity: int) -> None:
    """Explicit credentials and as many of the first PINs as there are slots decide a list."""
    rules, here = OfflineRules(state), lock(LOCKS[0], capacity=capacity)
    live = [held for held in state.credentials if rules.why_not(held, here) in {None, *_TIMELESS}]
    pins = [held for held in live if held.credential.kind is CredentialKind.PIN]
    first = sorted(pins, key=rules.first_in_line)[:capacity]
    part = replace(
        state, credentials=tuple(held for held in live if held in first or held not in pins)
    )

    assert OfflineRules(part).list_of(here).grants == rules.list_of(here).grants


_TIMELESS = (Unlisted.NEVER_VALID,)


def site(*people: Person, groups: tuple[Group, ...], **changes: object) -> SiteState:
    """Return a site whose people each hold one credential, given as ``credentials``."""
    values: dict[str, object] = {
        "site_id": SiteId("site"),
        "time_zone": str(ZONE),
        "people": {person.id: person for person in people},
        "credentials": tuple(held(person) for person in people),
        "groups": groups,
        "schedules": {},
        "locks": (),
        "revoked": (),
    }
    return SiteState(**values | changes)  # type: ignore[arg-type]  # the fields, by name


def somebody(number: int, **changes: object) -> Person:
    """Return a person who was subscribed on day ``number``."""
    values: dict[str, object] = {
        "id": PersonId(f"p{number:03}"),
        "subscribed": True,
        "subscribed_at": NOW + timedelta(days=number),
    }
    return Person(**values | changes)  # type: ignore[arg-type]  # the fields, by name


def held(
    person: Person, *, kind: CredentialKind = CredentialKind.TAG, offline: bool = True
) -> HeldCredential:
    """Return what a person holds."""
    credential = Credential(id=CredentialId(f"{kind} {person.id}"), person_id=person.id, kind=kind)
    digest = credential.id.encode().ljust(16)[-16:]
    return HeldCredential(credential=credential, digest=digest, offline=offline)


def pin(person: Person) -> HeldCredential:
    """Return a person's PIN."""
    return held(person, kind=CredentialKind.PIN, offline=False)


def everybody(*people: Person, name: str = "g", **changes: object) -> Group:
    """Return a group of people at the first lock."""
    values: dict[str, object] = {
        "id": GroupId(name),
        "schedule_id": None,
        "person_ids": frozenset(person.id for person in people),
        "lock_ids": frozenset(LOCKS[:1]),
    }
    return Group(**values | changes)  # type: ignore[arg-type]  # the fields, by name


def names(found: OfflineList) -> set[str]:
    """Return whom a list names."""
    return {str(grant.holder.credential.id) for grant in found.grants}


def test_pins_fill_what_explicit_credentials_leave_first_come_first_served() -> None:
    """Three slots, one tag: the two PINs whose holders were subscribed first are listed."""
    people = [somebody(number) for number in (3, 1, 2, 0)]
    tag = held(people[0])
    state = site(
        *people,
        groups=(everybody(*people),),
        credentials=(tag, *(pin(person) for person in people)),
    )

    found = OfflineRules(state).list_of(lock(LOCKS[0], capacity=3))

    assert names(found) == {"tag p003", "pin p000", "pin p001"}
    assert found.left_out == {"pin p002": Unlisted.NO_SLOT, "pin p003": Unlisted.NO_SLOT}


def test_an_explicit_credential_displaces_the_last_pin() -> None:
    """A lock full of PINs has room for a tag: who came last gives way."""
    people = [somebody(number) for number in range(3)]
    pins = tuple(pin(person) for person in people)
    state = site(*people, groups=(everybody(*people),), credentials=pins)
    here = lock(LOCKS[0], capacity=3)
    before = OfflineRules(state).list_of(here)

    rules = OfflineRules(replace(state, credentials=(*pins, held(people[0]))))
    rules.require_room(here, name="Door")
    after = rules.list_of(here)

    assert names(before) - names(after) == {"pin p002"}
    assert names(after) - names(before) == {"tag p000"}


def test_a_pin_that_needs_a_seventh_schedule_waits_and_others_pass_it() -> None:
    """It is left out with the reason, and whoever comes after it has its place."""
    people = [somebody(number) for number in range(SCHEDULES_MAX + 2)]
    groups = tuple(
        everybody(person, name=f"g{number}", schedule_id=SCHEDULES[number])
        for number, person in enumerate(people[:-1])
    )
    calendar = {
        schedule_id: Schedule.of([Window(weekday=0, start_min=number, end_min=600)])
        for number, schedule_id in enumerate(SCHEDULES)
    }
    state = site(
        *people,
        groups=(*groups, everybody(people[-1], name="last")),
        schedules=calendar,
        credentials=tuple(pin(person) for person in people),
    )

    found = OfflineRules(state).list_of(lock(LOCKS[0]))

    assert found.left_out == {f"pin p{SCHEDULES_MAX:03}": Unlisted.SCHEDULE_LIMIT}
    assert f"pin p{SCHEDULES_MAX + 1:03}" in names(found)


DAY = timedelta(days=1)
FRAMES: list[tuple[list[tuple[int | None, int | None, int | None]], int]] = [
    ([(None, None, None)], 1),
    ([(None, None, 0), (None, None, 1)], 1),  # one frame, two schedules
    ([(None, None, 0), (None, None, None)], 1),  # at all times
    ([(0, 2, None), (3, 5, None)], 2),
    ([(0, 2, None), (0, 2, 1)], 1),
    ([(0, 5, None), (1, 3, None)], 1),  # one within the other
    ([(0, 5, 0), (1, 3, None)], 2),  # it opens more
    ([(0, 5, 0), (1, 3, 0)], 1),
    ([(0, 5, None), (1, 3, 0)], 1),
    ([(0, 3, None), (1, 5, None)], 2),
    ([(9, 12, None)], 0),  # after the person has gone
]


@pytest.mark.parametrize(("rights", "slots"), FRAMES)
def test_each_frame_of_time_takes_a_slot(
    rights: list[tuple[int | None, int | None, int | None]], slots: int
) -> None:
    """Rights with one frame share it; a right within another, or out of the stay, needs none."""

    def instant(day: int | None) -> datetime | None:
        return None if day is None else NOW + day * DAY

    pia = somebody(0, ends_at=NOW + 8 * DAY, privileges=Privilege.OFFICE)
    groups = tuple(
        everybody(
            pia,
            name=f"g{number}",
            schedule_id=None if schedule is None else SCHEDULES[schedule],
            starts_at=instant(start),
            ends_at=instant(end),
        )
        for number, (start, end, schedule) in enumerate(rights)
    )
    calendar = {
        SCHEDULES[number]: Schedule.of([Window(weekday=number, start_min=0, end_min=60)])
        for number in range(2)
    }

    found = OfflineRules(site(pia, groups=groups, schedules=calendar)).list_of(lock(LOCKS[0]))

    assert len(found.grants) == slots
    assert all(grant.ends_at and grant.ends_at <= NOW + 8 * DAY for grant in found.grants)
    assert all(grant.privileges == Privilege.OFFICE for grant in found.grants)
    if not slots:
        assert set(found.left_out.values()) == {Unlisted.NEVER_VALID}


def test_a_list_keeps_the_schedules_of_the_site_as_they_are() -> None:
    """Two groups' schedules stand beside each other; nobody merges their windows."""
    pia = somebody(0)
    calendar = {
        SCHEDULES[number]: Schedule.of(
            [Window(weekday=0, start_min=60 * number, end_min=60 * number + 90)]
        )
        for number in range(2)
    }
    groups = tuple(
        everybody(pia, name=f"g{number}", schedule_id=SCHEDULES[number]) for number in range(2)
    )

    (grant,) = (
        OfflineRules(site(pia, groups=groups, schedules=calendar)).list_of(lock(LOCKS[0])).grants
    )

    assert grant.schedules == frozenset(calendar.values())
    assert grant.group_ids == ("g0", "g1")
    assert grant.privileges == NO_PRIVILEGE


def test_a_schedule_that_is_open_all_week_takes_no_place() -> None:
    """It is the same as no schedule."""
    pia = somebody(0)
    group = everybody(pia, schedule_id=SCHEDULES[0])
    state = site(pia, groups=(group,), schedules={SCHEDULES[0]: Schedule.always()})

    (grant,) = OfflineRules(state).list_of(lock(LOCKS[0])).grants

    assert grant.schedules is None


@pytest.mark.invariant("A1")
@given(states(), st.dictionaries(st.integers(0, 7), hours), st.sampled_from(LOCKS))
def test_what_was_revoked_is_forgotten_unless_a_right_has_no_limit(
    state: SiteState, noted: dict[int, datetime], lock_id: LockId
) -> None:
    """A memory knows no dates: whoever has any is told to be forgotten, and who is not does not."""
    revoked = tuple(
        Revoked(digest=bytes([number]) * 16, revoked_at=at) for number, at in sorted(noted.items())
    )
    told = to_forget(replace(state, revoked=revoked), lock_id)
    forgotten = {each.digest for each in told}
    known = {held.digest: held for held in state.credentials}
    for each in revoked:
        holder = known.get(each.digest)
        opens_always = holder is not None and _has_a_right_for_ever(state, holder, lock_id)
        assert (each.digest in forgotten) == (not opens_always)
    instants = [each.revoked_at for each in told]
    assert instants == sorted(instants, reverse=True)


def _has_a_right_for_ever(state: SiteState, holder: HeldCredential, lock_id: LockId) -> bool:
    """Return whether one right at a lock holds long ago and in far future, whatever the hour."""
    person = state.people[holder.credential.person_id]
    far = NOW - timedelta(days=10_000), NOW + timedelta(days=10_000)

    def holds(start: datetime | None, end: datetime | None) -> bool:
        return (start is None or start <= far[0]) and (end is None or far[1] < end)

    return (
        person.subscribed
        and not holder.credential.blocked
        and holds(person.starts_at, person.ends_at)
        and holds(None, holder.credential.ends_at)
        and any(
            person.id in group.person_ids
            and lock_id in group.lock_ids
            and holds(group.starts_at, group.ends_at)
            and schedule.starts_on is None
            and schedule.ends_on is None
            for group in state.groups
            for schedule in [state.schedule_of(group)]
        )
    )
