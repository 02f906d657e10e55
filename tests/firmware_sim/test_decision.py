"""What the hub decides, as tables and against a second, slower statement of the rule."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.hub import tables
from firmware_sim.hub.decision import Decision, Denied, Granted, decide
from firmware_sim.schedule import contains, zone_named
from gateway.protocol.messages import DenyReason
from gateway.protocol.sections import Credential, Group, Item, Person, Schedule, Window
from tests.firmware_sim.cloud import NOON, ident

TAG, DOOR, OTHER_DOOR = ident("tag"), ident("door"), ident("other door")
ROOT = Path(__file__).parents[2]
UTC_ZONE = ZoneInfo("UTC")


def somebody(**changes: object) -> Person:
    """Return a person whom nothing keeps from opening."""
    credential = Credential(credential_digest=TAG, blocked=False)
    whole = Person(
        person_id=ident("ann"),
        subscribed=True,
        group_ids=(ident("group"),),
        credentials=(credential,),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # the caller's words are checked by the test


def group(*locks: bytes, schedule: str | None = None) -> Group:
    """Return the group."""
    return Group(
        group_id=ident("group"),
        lock_ids=locks or (DOOR,),
        schedule_id=ident(schedule) if schedule else None,
    )


def decided(*items: Item, at_s: int = NOON, zone: ZoneInfo | None = UTC_ZONE) -> Decision:
    """Return the decision on the tag at the door."""
    return decide(tables.build(items), TAG, DOOR, at_s=at_s, zone=zone)


BLOCKED = Credential(credential_digest=TAG, blocked=True, ends_at_s=NOON - 9)
EXPIRED = Credential(credential_digest=TAG, blocked=False, ends_at_s=NOON)
ENDED = {"ends_at_s": NOON, "subscribed": False, "group_ids": ()}
NEVER = Schedule(schedule_id=ident("never"), windows=())

TABLE: list[tuple[DenyReason | None, tuple[Item, ...]]] = [
    (None, (somebody(), group())),
    (DenyReason.UNKNOWN_CREDENTIAL, (somebody(credentials=()), group())),
    (DenyReason.CREDENTIAL_BLOCKED, (somebody(credentials=(BLOCKED,), **ENDED), group())),
    (DenyReason.CREDENTIAL_EXPIRED, (somebody(credentials=(EXPIRED,), **ENDED), group())),
    (DenyReason.PERSON_EXPIRED, (somebody(**ENDED), group())),
    (DenyReason.PERSON_UNSUBSCRIBED, (somebody(subscribed=False, group_ids=()), group())),
    (DenyReason.NO_ACCESS_TO_LOCK, (somebody(group_ids=()), group())),
    (DenyReason.NO_ACCESS_TO_LOCK, (somebody(), group(OTHER_DOOR))),
    (DenyReason.OUTSIDE_SCHEDULE, (somebody(), group(schedule="never"), NEVER)),
    (DenyReason.OUTSIDE_SCHEDULE, (somebody(), group(schedule="unheard of"))),
]


@pytest.mark.invariant("A5")
@pytest.mark.parametrize(("reason", "items"), TABLE)
def test_the_first_check_that_fails_names_the_reason(
    reason: DenyReason | None, items: tuple[Item, ...]
) -> None:
    """Whatever else would fail too, the earlier reason is the one that is said."""
    wanted = Denied(reason) if reason else Granted()

    assert decided(*items) == wanted


def test_an_end_is_the_first_instant_outside() -> None:
    """One second earlier it still opens."""
    items = (somebody(ends_at_s=NOON), group())

    assert decided(*items, at_s=NOON - 1) == Granted(ends_at_s=NOON)
    assert decided(*items, at_s=NOON) == Denied(DenyReason.PERSON_EXPIRED)


def test_without_wall_time_only_a_schedule_is_uncertain() -> None:
    """Nobody knows the wall time: rights at all times count, scheduled ones do not."""
    always = Schedule(
        schedule_id=ident("always"),
        windows=tuple(Window(weekday=day, start_min=0, end_min=1440) for day in range(7)),
    )

    assert decided(somebody(), group(), zone=None) == Granted()
    assert decided(somebody(), group(schedule="always"), always) == Granted()
    assert decided(somebody(), group(schedule="always"), always, zone=None) == Denied(
        DenyReason.CLOCK_UNCERTAIN
    )


MADRID = "Europe/Madrid"
SANTIAGO = "America/Santiago"
NIGHT = (Window(weekday=6, start_min=120, end_min=180),)  # Sunday 02:00 to 03:00
FIRST_HOUR = (Window(weekday=6, start_min=0, end_min=60),)

WALL_TIMES = [
    (MADRID, NIGHT, "2027-03-28T00:59:59", False),  # 01:59:59, then the clocks go to 03:00
    (MADRID, NIGHT, "2027-03-28T01:00:00", False),
    (MADRID, NIGHT, "2027-10-30T23:59:59", False),  # 01:59:59 summer time
    (MADRID, NIGHT, "2027-10-31T00:00:00", True),  # 02:00 for the first time
    (MADRID, NIGHT, "2027-10-31T00:59:59", True),
    (MADRID, NIGHT, "2027-10-31T01:00:00", True),  # 02:00 for the second time
    (MADRID, NIGHT, "2027-10-31T01:59:59", True),
    (MADRID, NIGHT, "2027-10-31T02:00:00", False),  # 03:00
    (SANTIAGO, FIRST_HOUR, "2027-09-05T03:59:59", False),  # Saturday 23:59:59; no 00:00 follows
    (SANTIAGO, FIRST_HOUR, "2027-09-05T04:00:00", False),  # Sunday begins with 01:00
    ("UTC", FIRST_HOUR, "2027-09-05T00:00:00", True),
    ("UTC", FIRST_HOUR, "2027-09-05T00:59:59", True),
    ("UTC", FIRST_HOUR, "2027-09-05T01:00:00", False),
    ("Asia/Kathmandu", FIRST_HOUR, "2027-09-04T18:15:00", True),  # 00:00 at +05:45
    ("Asia/Kathmandu", FIRST_HOUR, "2027-09-04T18:14:59", False),
]


@pytest.mark.invariant("A6")
@pytest.mark.parametrize(("zone", "windows", "utc", "is_inside"), WALL_TIMES)
def test_schedules_follow_wall_time(
    zone: str, windows: tuple[Window, ...], utc: str, *, is_inside: bool
) -> None:
    """Skipped hours cannot be met, repeated ones are met twice, ends are outside."""
    at_s = int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp())

    assert contains(windows, at_s=at_s, zone=ZoneInfo(zone)) is is_inside


@pytest.mark.invariant("A6")
def test_a_day_without_midnight_begins_at_its_first_instant() -> None:
    """A window over the whole Sunday is open from the instant at which Sunday begins."""
    sunday = (Window(weekday=6, start_min=0, end_min=1440),)
    first_s = int(datetime(2027, 9, 5, 4, tzinfo=UTC).timestamp())

    assert not contains(sunday, at_s=first_s - 1, zone=ZoneInfo(SANTIAGO))
    assert contains(sunday, at_s=first_s, zone=ZoneInfo(SANTIAGO))


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_an_unknown_zone_is_no_zone(name: str) -> None:
    """A hub whose time zone data is too old does not guess."""
    assert zone_named(name) is None


def reference(items: list[Item], at_s: int) -> Decision:
    """Decide by searching everything, as slowly and plainly as possible."""
    people = [each for each in items if isinstance(each, Person)]
    held = [(p, c) for p in people for c in p.credentials if c.credential_digest == TAG]
    if not held:
        return Denied(DenyReason.UNKNOWN_CREDENTIAL)
    person, credential = held[-1]
    checks = [
        (DenyReason.CREDENTIAL_BLOCKED, credential.blocked),
        (DenyReason.CREDENTIAL_EXPIRED, not at_s < (credential.ends_at_s or at_s + 1)),
        (DenyReason.PERSON_EXPIRED, not at_s < (person.ends_at_s or at_s + 1)),
        (DenyReason.PERSON_UNSUBSCRIBED, not person.subscribed),
    ]
    for reason, fails in checks:
        if fails:
            return Denied(reason)
    groups = [each for each in items if isinstance(each, Group)]
    mine = [g for g in groups if g.group_id in person.group_ids and DOOR in g.lock_ids]
    if not mine:
        return Denied(DenyReason.NO_ACCESS_TO_LOCK)
    named = {each.schedule_id: each.windows for each in items if isinstance(each, Schedule)}
    local = datetime.fromtimestamp(at_s, UTC)
    minute = local.hour * 60 + local.minute
    for each, day in product(mine, range(7)):
        windows = named.get(each.schedule_id or b"", ())
        if each.schedule_id is None or any(
            w.weekday == day == local.weekday() and w.start_min <= minute < w.end_min
            for w in windows
        ):
            ends = (credential.ends_at_s, person.ends_at_s)
            return Granted(min((end for end in ends if end is not None), default=None))
    return Denied(DenyReason.OUTSIDE_SCHEDULE)


instants = st.none() | st.integers(NOON - 2, NOON + 2)
windows = st.lists(
    st.builds(
        Window,
        weekday=st.integers(0, 6),
        start_min=st.integers(700, 722),
        end_min=st.integers(719, 740),
    ),
    max_size=3,
).map(tuple)
group_ids = st.lists(st.sampled_from([ident("g1"), ident("g2")]), max_size=2, unique=True)
states = st.tuples(
    st.lists(
        st.builds(
            Person,
            person_id=st.just(ident("p")),
            subscribed=st.booleans(),
            group_ids=group_ids.map(tuple),
            credentials=st.lists(
                st.builds(
                    Credential,
                    credential_digest=st.sampled_from([TAG, ident("else")]),
                    blocked=st.booleans(),
                    ends_at_s=instants,
                ),
                max_size=2,
            ).map(tuple),
            ends_at_s=instants,
        ),
        max_size=3,
    ),
    st.lists(
        st.builds(
            Group,
            group_id=st.sampled_from([ident("g1"), ident("g2")]),
            lock_ids=st.sampled_from([(DOOR,), (OTHER_DOOR,), (DOOR, OTHER_DOOR)]),
            schedule_id=st.sampled_from([None, ident("s1"), ident("s2")]),
        ),
        max_size=2,
        unique_by=lambda each: each.group_id,
    ),
    st.lists(
        st.builds(
            Schedule, schedule_id=st.sampled_from([ident("s1"), ident("s2")]), windows=windows
        ),
        max_size=2,
        unique_by=lambda each: each.schedule_id,
    ),
)


@pytest.mark.invariant("A5")
@given(state=states, at_s=st.integers(NOON - 3, NOON + 3))
def test_it_decides_as_the_plain_statement_of_the_rule(
    state: tuple[list[Person], list[Group], list[Schedule]], at_s: int
) -> None:
    """Tables that look up say what a search through everything says."""
    items: list[Item] = [*state[0], *state[1], *state[2]]

    assert decided(*items, at_s=at_s) == reference(items, at_s)


def test_the_page_lists_every_reason() -> None:
    """docs/algorithms/tag-decision.md names each DenyReason, in the order of the checks."""
    page = (ROOT / "docs" / "algorithms" / "tag-decision.md").read_text()
    places = [page.find(f"`{reason.name}`") for reason in DenyReason]

    assert -1 not in places
    assert places == sorted(places)
