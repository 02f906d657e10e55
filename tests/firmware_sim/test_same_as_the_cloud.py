"""The hub's decision is the cloud's, on what the cloud compiles of the same rows."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from controller.domain import access as reference
from controller.domain.access import NO_PRIVILEGE, Person, Privilege
from controller.domain.ids import LockId, PersonId, ScheduleId
from controller.domain.instants import from_seconds, to_seconds
from controller.domain.schedule import HOLIDAY, Holiday, Schedule, Window
from controller.domain.site_state import Group, HeldCredential, SiteState
from firmware_sim.hub import access
from firmware_sim.hub.decision import Decision, Denied, Granted, decide
from firmware_sim.hub.state import Access
from gateway.protocol.messages import DenyReason, Manifest
from tests.controller.delivery import states
from tests.controller.delivery.states import Compiled, compile_hub
from tests.firmware_sim.test_clock_changes import changes

HUBS: Final = (0, 1)
ZONES: Final = (
    "Europe/Madrid",
    "America/Santiago",  # days without a midnight
    "Africa/Casablanca",  # back and forth around Ramadan
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Apia",  # a day left out
    "Asia/Kathmandu",  # never
)
YEAR_S: Final = 366 * 86_400
NOW_S: Final = to_seconds(datetime(2026, 11, 22, tzinfo=UTC))
NEAR: Final = st.sampled_from([0, 0, -1, 1, -1800, 1800, 3600, -3600, 86_400, -86_400])


def rarely(usual: Any, otherwise: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw something else than usual one time in six: who is flawed in all ways tests little."""
    return st.integers(0, 5).flatmap(lambda drawn: otherwise if drawn == 5 else st.just(usual))


@st.composite
def moments(draw: st.DrawFn, zone: str) -> int:
    """Draw an instant, as likely as not close to a change of the zone's clocks."""
    near = [change.at_s for change in changes(zone) if abs(change.at_s - NOW_S) < 3 * YEAR_S]
    is_near = draw(st.booleans())
    if near and is_near:
        return draw(st.sampled_from(near)) + draw(NEAR)
    return NOW_S + draw(st.integers(-YEAR_S, YEAR_S))


@st.composite
def windows(draw: st.DrawFn, now: datetime) -> Window:
    """Draw a window, as likely as not of today, that begins or ends about now or far from it."""
    minute = now.hour * 60 + now.minute
    start_min = draw(st.sampled_from([0, 0, minute - 1, minute, minute + 1, 720]))
    end_min = draw(st.sampled_from([1440, 1440, minute, minute + 1, 750]))
    start_min = min(max(start_min, 0), 1439)
    return Window(
        weekday=draw(st.sampled_from([now.weekday(), HOLIDAY, now.weekday(), 0, 6])),
        start_min=start_min,
        end_min=min(max(end_min, start_min + 1), 1440),
    )


@st.composite
def schedules(draw: st.DrawFn, now: datetime) -> Schedule:
    """Draw windows of any weekday, with holidays or without, now and then with dates."""
    kept: list[Window] = []
    for window in sorted(draw(st.lists(windows(now), min_size=1, max_size=6))):
        if not kept or kept[-1].weekday != window.weekday or kept[-1].end_min <= window.start_min:
            kept.append(window)
    days = st.integers(-1, 1).map(lambda days: now.date() + timedelta(days=days))
    return Schedule(
        windows=tuple(kept),
        observes_holidays=draw(st.booleans()),
        starts_on=draw(rarely(None, days)),
        ends_on=draw(st.none() | days),
    )


@st.composite
def sites(draw: st.DrawFn) -> tuple[SiteState, datetime]:
    """Draw a small site and an instant: stays, blocks, frames, holidays and dates around it."""
    zone = draw(st.sampled_from(ZONES))
    now_s = draw(moments(zone))
    now = datetime.fromtimestamp(now_s, ZoneInfo(zone))
    ends = rarely(None, NEAR.map(lambda seconds: from_seconds(now_s + seconds)))
    to_come = st.integers(0, 3).map(lambda hours: from_seconds(now_s + 3600 * hours))
    calendar = {
        ScheduleId(states.name("schedule", number)): draw(schedules(now))
        for number in range(draw(st.integers(1, 3)))
    }
    holidays = st.builds(
        Holiday,
        starts_on=st.integers(-2, 1).map(lambda days: now.date() + timedelta(days=days)),
        days=st.integers(1, 3),
    )
    people = {
        PersonId(states.name("person", number)): Person(
            id=PersonId(states.name("person", number)),
            subscribed=draw(rarely(usual=True, otherwise=st.just(value=False))),
            starts_at=draw(ends),
            ends_at=draw(ends),
            privileges=draw(st.sampled_from([NO_PRIVILEGE, Privilege(1), Privilege(6)])),
        )
        for number in range(draw(st.integers(1, 4)))
    }
    state = states.state(
        time_zone=zone,
        people=people,
        credentials=tuple(
            states.held(
                number,
                person_number=number % len(people),
                blocked=draw(rarely(usual=False, otherwise=st.just(value=True))),
                ends_at=draw(ends),
            )
            for number in range(draw(st.integers(1, 6)))
        ),
        groups=tuple(
            draw(groups(number, people, list(calendar), starts=ends, ends=ends | to_come))
            for number in range(draw(st.integers(1, 4)))
        ),
        schedules=calendar,
        locks=tuple(states.lock(number, hub_number=number % len(HUBS)) for number in range(3)),
        holidays=tuple(draw(st.lists(holidays, max_size=2))),
    )
    return state, from_seconds(now_s)


@st.composite
def groups(
    draw: st.DrawFn,
    number: int,
    people: Iterable[PersonId],
    calendar: list[ScheduleId],
    *,
    starts: st.SearchStrategy[Any],
    ends: st.SearchStrategy[Any],
) -> Group:
    """Draw a group of some people at some locks, at times or at all times, framed or not."""
    made = states.group(number, locks=draw(st.sets(st.integers(0, 2), min_size=1)))
    return replace(
        made,
        person_ids=frozenset(draw(st.sets(st.sampled_from(sorted(people)), min_size=1))),
        schedule_id=draw(st.sampled_from([*calendar, *calendar, None])),
        starts_at=draw(starts),
        ends_at=draw(ends),
    )


def loaded(compiled: Compiled) -> Access:
    """Return the access state as the hub's firmware reads it from what it was sent."""
    manifest = Manifest(
        hub_id=bytes(16),
        site_id=bytes(16),
        epoch=1,
        revision=1,
        time_zone=compiled.time_zone,
        roots=compiled.roots,
    )
    found = access.read(manifest, compiled.sections, {})
    assert found is not None
    return found


def expected(
    state: SiteState, held: HeldCredential, lock_id: LockId, hub: int, now: datetime
) -> Decision:
    """Return what the cloud says, in the hub's words.

    Whoever has a right at none of a hub's locks is unknown to it.
    """
    credential = held.credential
    here = {lock.id for lock in state.locks if lock.hub_id == states.hub(hub).id}
    is_told = held in state.credentials and any(
        credential.person_id in group.person_ids and group.lock_ids & here for group in state.groups
    )
    person = state.people.get(credential.person_id)
    zone = ZoneInfo(state.time_zone)
    decided = reference.decide(
        subscribed=True,
        holder=(credential, person) if is_told and person is not None else None,
        groups=state.access_groups(),
        lock_id=lock_id,
        zone=zone,
        now=now,
        holidays=state.holidays,
    )
    match decided:
        case reference.Denied():
            return Denied(DenyReason[decided.reason.name])
        case reference.Allowed():
            assert person is not None
            granting = [
                group.ends_at
                for group in state.access_groups()
                if person.id in group.person_ids
                and lock_id in group.lock_ids
                and group.shut_by(now, zone=zone, holidays=state.holidays) is None
            ]
            last = None if None in granting else max(end for end in granting if end)
            ends = [end for end in (credential.ends_at, person.ends_at, last) if end is not None]
            end = min(ends, default=None)
            return Granted(None if end is None else to_seconds(end), int(person.privileges))
        case _:
            assert_never(decided)


@pytest.mark.invariant("A5", "A6")
@settings(max_examples=120)
@given(site=sites())
def test_the_hub_decides_as_the_cloud(site: tuple[SiteState, datetime]) -> None:
    """Every credential at every lock of every hub: the same verdict and the same reason.

    The grant also tells when it is over, and the person's privileges.
    """
    state, drawn = site
    for number in HUBS:
        hub = states.hub(number)
        held = loaded(compile_hub(state, hub, states.SECRETS))
        cases = product(
            [lock for lock in state.locks if lock.hub_id == hub.id],
            [*state.credentials, states.held(99)],
            [drawn + timedelta(seconds=seconds) for seconds in (-3600, -1, 0, 60, 3600)],
        )
        for lock, credential, now in cases:
            verdict = decide(
                held.tables,
                credential.digest,
                bytes.fromhex(lock.id),
                at_s=to_seconds(now),
                zone=held.zone,
            )
            assert verdict == expected(state, credential, lock.id, number, now)
            event(verdict.reason.name if isinstance(verdict, Denied) else "GRANTED")
