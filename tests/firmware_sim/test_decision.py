"""What the hub decides, as tables and against a second, slower statement of the rule."""

import re
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
from gateway.protocol.sections import (
    HOLIDAY,
    Credential,
    Group,
    Holiday,
    Item,
    Person,
    Schedule,
    Times,
    Window,
)
from tests.firmware_sim.cloud import DAY, NOON, ident, weekly

TAG, DOOR, OTHER_DOOR = ident("tag"), ident("door"), ident("other door")
ROOT = Path(__file__).parents[2]
UTC_ZONE = ZoneInfo("UTC")
TODAY = NOON // DAY
WHOLE_WEEK = tuple(Window(weekday=day, start_min=0, end_min=1440) for day in range(7))
AT_ALL_HOURS = weekly(*WHOLE_WEEK)


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


def group(
    *locks: bytes,
    schedule: str | None = None,
    starts_at_s: int | None = None,
    ends_at_s: int | None = None,
    name: str = "group",
) -> Group:
    """Return the group."""
    return Group(
        group_id=ident(name),
        lock_ids=locks or (DOOR,),
        schedule_id=ident(schedule) if schedule else None,
        starts_at_s=starts_at_s,
        ends_at_s=ends_at_s,
    )


def schedule(name: str, times: Times) -> Schedule:
    """Return a schedule that a group may name."""
    return Schedule(schedule_id=ident(name), times=times)


def decided(
    *items: Item,
    at_s: int = NOON,
    zone: ZoneInfo | None = UTC_ZONE,
    clock_trusted: bool = True,
) -> Decision:
    """Return the decision on the tag at the door."""
    return decide(tables.build(items), TAG, DOOR, at_s=at_s, zone=zone, clock_trusted=clock_trusted)


BLOCKED = Credential(credential_digest=TAG, blocked=True, ends_at_s=NOON - 9)
EXPIRED = Credential(credential_digest=TAG, blocked=False, ends_at_s=NOON)
ENDED: dict[str, object] = {"ends_at_s": NOON, "subscribed": False, "group_ids": ()}
NOT_YET = {**ENDED, "starts_at_s": NOON + 1}
NEVER = schedule("never", weekly())

TABLE: list[tuple[DenyReason | None, tuple[Item, ...]]] = [
    (None, (somebody(), group())),
    (DenyReason.UNKNOWN_CREDENTIAL, (somebody(credentials=()), group())),
    (DenyReason.CREDENTIAL_BLOCKED, (somebody(credentials=(BLOCKED,), **ENDED), group())),
    (DenyReason.CREDENTIAL_EXPIRED, (somebody(credentials=(EXPIRED,), **NOT_YET), group())),
    (DenyReason.PERSON_NOT_YET, (somebody(**NOT_YET), group())),
    (DenyReason.PERSON_EXPIRED, (somebody(**ENDED), group())),
    (DenyReason.PERSON_UNSUBSCRIBED, (somebody(subscribed=False, group_ids=()), group())),
    (DenyReason.NO_ACCESS_TO_LOCK, (somebody(group_ids=()), group())),
    (DenyReason.NO_ACCESS_TO_LOCK, (somebody(), group(OTHER_DOOR))),
    (DenyReason.OUTSIDE_SCHEDULE, (somebody(), group(schedule="never"), NEVER)),
    (DenyReason.OUTSIDE_SCHEDULE, (somebody(), group(schedule="unheard of"))),
    (DenyReason.OUTSIDE_SCHEDULE, (somebody(), group(starts_at_s=NOON + 1))),
    (DenyReason.OUTSIDE_SCHEDULE, (somebody(), group(ends_at_s=NOON))),
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


def test_a_start_is_the_first_instant_inside() -> None:
    """Of a stay and of a group: one second earlier it opens nothing."""
    stay = (somebody(starts_at_s=NOON), group())
    framed = (somebody(), group(starts_at_s=NOON))

    assert decided(*stay, at_s=NOON - 1) == Denied(DenyReason.PERSON_NOT_YET)
    assert decided(*framed, at_s=NOON - 1) == Denied(DenyReason.OUTSIDE_SCHEDULE)
    assert decided(*stay) == decided(*framed) == Granted()


def test_a_group_that_ends_leaves_the_others() -> None:
    """The lock hears the end of the last group that grants, and none if one has none."""
    names = ("short", "long", "endless", "closed")
    member = somebody(group_ids=tuple(ident(name) for name in names))
    short = group(name="short", ends_at_s=NOON + 1)
    long = group(name="long", ends_at_s=NOON + 9)
    closed = group(name="closed", schedule="never")

    assert decided(member, short, closed, NEVER) == Granted(ends_at_s=NOON + 1)
    assert decided(member, short, long) == Granted(ends_at_s=NOON + 9)
    assert decided(member, short, long, at_s=NOON + 1) == Granted(ends_at_s=NOON + 9)
    assert decided(member, short, long, group(name="endless")) == Granted()
    assert decided(replace(member, ends_at_s=NOON + 5), short, long) == Granted(ends_at_s=NOON + 5)


def test_a_grant_tells_the_privileges() -> None:
    """The lock must know what the person may do there beyond opening."""
    assert decided(somebody(privileges=5), group()) == Granted(privileges=5)


def test_without_wall_time_only_a_schedule_is_uncertain() -> None:
    """Nobody knows the wall time: rights at all times count, scheduled ones do not."""
    always = schedule("always", AT_ALL_HOURS)
    scheduled = (somebody(), group(schedule="always"), always)

    assert decided(somebody(), group(), zone=None) == Granted()
    assert decided(somebody(), group(), clock_trusted=False) == Granted()
    assert decided(*scheduled) == Granted()
    assert decided(*scheduled, zone=None) == Denied(DenyReason.CLOCK_UNCERTAIN)
    assert decided(*scheduled, clock_trusted=False) == Denied(DenyReason.CLOCK_UNCERTAIN)


def test_a_lower_bound_of_the_time_shows_what_is_over_and_not_what_is_to_come() -> None:
    """An end that has passed has passed; a beginning that has not been seen may have been."""
    uncertain = Denied(DenyReason.CLOCK_UNCERTAIN)

    def at_a_floor(*items: Item) -> Decision:
        return decided(*items, clock_trusted=False)

    assert at_a_floor(somebody(starts_at_s=NOON + 1), group()) == uncertain
    assert at_a_floor(somebody(), group(starts_at_s=NOON + 1)) == uncertain
    assert at_a_floor(somebody(starts_at_s=NOON), group(starts_at_s=NOON)) == Granted()
    assert at_a_floor(somebody(ends_at_s=NOON), group()) == Denied(DenyReason.PERSON_EXPIRED)
    assert at_a_floor(somebody(), group(ends_at_s=NOON)) == Denied(DenyReason.OUTSIDE_SCHEDULE)


NOON_ONLY = Window(weekday=(TODAY + 3) % 7, start_min=720, end_min=721)  # day 0 was a Thursday
HOLIDAY_NOON = Window(weekday=HOLIDAY, start_min=720, end_min=721)
YESTERDAY_FOR_TWO = Holiday(day=TODAY - 1, days=2)

DAYS: list[tuple[Times, tuple[Holiday, ...], bool]] = [
    (weekly(NOON_ONLY), (), True),
    (weekly(NOON_ONLY), (YESTERDAY_FOR_TWO,), True),  # it does not mind holidays
    (weekly(HOLIDAY_NOON), (YESTERDAY_FOR_TWO,), False),
    (Times(windows=(NOON_ONLY,), observes_holidays=True), (), True),
    (Times(windows=(NOON_ONLY,), observes_holidays=True), (YESTERDAY_FOR_TWO,), False),
    (Times(windows=(NOON_ONLY,), observes_holidays=True), (Holiday(day=TODAY - 2, days=2),), True),
    (Times(windows=(NOON_ONLY,), observes_holidays=True), (Holiday(day=TODAY + 1, days=9),), True),
    (Times(windows=(HOLIDAY_NOON,), observes_holidays=True), (YESTERDAY_FOR_TWO,), True),
    (Times(windows=(HOLIDAY_NOON,), observes_holidays=True), (), False),
    (replace(AT_ALL_HOURS, from_day=TODAY), (), True),
    (replace(AT_ALL_HOURS, from_day=TODAY + 1), (), False),
    (replace(AT_ALL_HOURS, until_day=TODAY + 1), (), True),
    (replace(AT_ALL_HOURS, until_day=TODAY), (), False),
    (replace(AT_ALL_HOURS, until_day=0), (), False),
]


@pytest.mark.invariant("A6")
@pytest.mark.parametrize(("times", "holidays", "opens"), DAYS)
def test_dates_and_holidays(times: Times, holidays: tuple[Holiday, ...], *, opens: bool) -> None:
    """First and last day, and the eighth weekday, at noon of a day like any other."""
    items: tuple[Item, ...] = (somebody(), group(schedule="s"), schedule("s", times), *holidays)
    wanted = Granted() if opens else Denied(DenyReason.OUTSIDE_SCHEDULE)

    assert decided(*items) == wanted


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

    assert contains(weekly(*windows), at_s=at_s, zone=ZoneInfo(zone), holidays=()) is is_inside


@pytest.mark.invariant("A6")
def test_a_day_without_midnight_begins_at_its_first_instant() -> None:
    """A window over the whole Sunday is open from the instant at which Sunday begins."""
    sunday = weekly(Window(weekday=6, start_min=0, end_min=1440))
    first_s = int(datetime(2027, 9, 5, 4, tzinfo=UTC).timestamp())

    assert not contains(sunday, at_s=first_s - 1, zone=ZoneInfo(SANTIAGO), holidays=())
    assert contains(sunday, at_s=first_s, zone=ZoneInfo(SANTIAGO), holidays=())


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
        (DenyReason.PERSON_NOT_YET, at_s < (person.starts_at_s or 0)),
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
    open_now = [each for each in mine if is_open(each, items, at_s)]
    if not open_now:
        return Denied(DenyReason.OUTSIDE_SCHEDULE)
    forever = at_s + 10**9
    end = min(
        credential.ends_at_s or forever,
        person.ends_at_s or forever,
        max(each.ends_at_s or forever for each in open_now),
    )
    return Granted(None if end == forever else end, person.privileges or 0)


def is_open(each: Group, items: list[Item], at_s: int) -> bool:
    """Judge a group by trying every window on every day of the week."""
    if not (each.starts_at_s or 0) <= at_s < (each.ends_at_s or at_s + 1):
        return False
    if each.schedule_id is None:
        return True
    local = datetime.fromtimestamp(at_s, UTC)
    minute = local.hour * 60 + local.minute
    named = {s.schedule_id: s.times for s in items if isinstance(s, Schedule)}
    times = named.get(each.schedule_id, weekly())
    days = {h.day + n for h in items if isinstance(h, Holiday) for n in range(h.days)}
    weekday = local.weekday()
    if times.observes_holidays and at_s // DAY in days:
        weekday = HOLIDAY
    dates = range(times.from_day or 0, times.until_day or 10**6)
    return at_s // DAY in dates and any(
        w.weekday == day == weekday and minute in range(w.start_min, w.end_min)
        for w, day in product(times.windows, range(8))
    )


instants = st.none() | st.integers(NOON - 2, NOON + 2)
windows = st.lists(
    st.builds(
        Window,
        weekday=st.integers(0, 7),
        start_min=st.integers(700, 722),
        end_min=st.integers(719, 740),
    ),
    max_size=3,
).map(tuple)
days = st.none() | st.integers(TODAY - 1, TODAY + 2)
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
            starts_at_s=instants,
            privileges=st.sampled_from([None, 0, 3]),
        ),
        max_size=3,
    ),
    st.lists(
        st.builds(
            Group,
            group_id=st.sampled_from([ident("g1"), ident("g2")]),
            lock_ids=st.sampled_from([(DOOR,), (OTHER_DOOR,), (DOOR, OTHER_DOOR)]),
            schedule_id=st.sampled_from([None, ident("s1"), ident("s2")]),
            starts_at_s=instants,
            ends_at_s=instants,
        ),
        max_size=2,
        unique_by=lambda each: each.group_id,
    ),
    st.lists(
        st.builds(
            Schedule,
            schedule_id=st.sampled_from([ident("s1"), ident("s2")]),
            times=st.builds(
                Times,
                windows=windows,
                observes_holidays=st.booleans(),
                from_day=days,
                until_day=days,
            ),
        ),
        max_size=2,
        unique_by=lambda each: each.schedule_id,
    ),
    st.lists(
        st.builds(Holiday, day=st.integers(TODAY - 2, TODAY + 1), days=st.integers(1, 3)),
        max_size=2,
    ),
)


@pytest.mark.invariant("A5")
@given(state=states, at_s=st.integers(NOON - 3, NOON + 3))
def test_it_decides_as_the_plain_statement_of_the_rule(
    state: tuple[list[Person], list[Group], list[Schedule], list[Holiday]], at_s: int
) -> None:
    """Tables that look up say what a search through everything says."""
    items: list[Item] = [*state[0], *state[1], *state[2], *state[3]]

    assert decided(*items, at_s=at_s) == reference(items, at_s)


IN_ORDER = (
    DenyReason.UNKNOWN_CREDENTIAL,
    DenyReason.CREDENTIAL_BLOCKED,
    DenyReason.CREDENTIAL_EXPIRED,
    DenyReason.PERSON_NOT_YET,
    DenyReason.PERSON_EXPIRED,
    DenyReason.PERSON_UNSUBSCRIBED,
    DenyReason.NO_ACCESS_TO_LOCK,
    DenyReason.OUTSIDE_SCHEDULE,
    DenyReason.CLOCK_UNCERTAIN,
)


def test_the_page_lists_every_reason() -> None:
    """docs/algorithms/tag-decision.md names each reason of a hub, in the order of the checks."""
    page = (ROOT / "docs" / "algorithms" / "tag-decision.md").read_text()

    rows = re.findall(r"^\| \d \| .* \| `([A-Z_]+)` \|$", page, re.MULTILINE)

    assert rows == [reason.name for reason in IN_ORDER]
    assert list(dict.fromkeys(reason for reason, _ in TABLE if reason)) == list(IN_ORDER[:-1])
