"""Access states of sites that the tests of delivery start from."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import strategies as st

from controller.delivery.compile import HubState, Part
from controller.delivery.items import Holder, HubIdentity, Secrets
from controller.domain.access import Credential, CredentialKind, Person, Privilege
from controller.domain.hardware import DoorSettings, OfficeMode
from controller.domain.ids import (
    CredentialId,
    GroupId,
    HubId,
    LockId,
    PersonId,
    ScheduleId,
    SiteId,
)
from controller.domain.schedule import Holiday, Schedule, Window
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked, SiteState
from gateway.protocol import sections
from gateway.protocol.messages import Root, SectionKind
from gateway.protocol.sections import Item

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
ZONE: Final = "Europe/Amsterdam"


def name(kind: str, number: int) -> str:
    """An id: always the same for the same thing."""
    return sha256(f"{kind} {number}".encode()).hexdigest()[:32]


def digest(number: int) -> bytes:
    """What the credential of this number is called on the link."""
    return bytes.fromhex(name("digest", number))


def x25519(number: int) -> X25519PrivateKey:
    """A private key: always the same for the same number."""
    return X25519PrivateKey.from_private_bytes(sha256(f"key {number}".encode()).digest())


SITE: Final = SiteId(name("site", 0))
CONTROLLER_KEY: Final = x25519(1_000)
SECRETS: Final = Secrets(agreement=CONTROLLER_KEY, tag_key=b"the site's tag key, 32 bytes all")
HUB_KEY: Final = x25519(2_000)


def hub(number: int = 0, *, epoch: int = 1) -> HubIdentity:
    """A hub; all have the same key."""
    return HubIdentity(
        id=HubId(name("hub", number)),
        epoch=epoch,
        agreement_key=HUB_KEY.public_key().public_bytes_raw(),
    )


def lock(number: int, *, hub_number: int = 0, **changes: Any) -> Lock:
    """A lock of a hub."""
    values: dict[str, Any] = {
        "id": LockId(name("lock", number)),
        "hub_id": HubId(name("hub", hub_number)),
        "serial": f"L{number:06}",
        "public_key": x25519(number).public_key().public_bytes_raw(),
        "pairing": b"pairing",
        "capacity": 360,
        "door": DoorSettings(open_s=6),
        "epoch": 1,
    }
    return Lock(**values | changes)


def person(number: int, *, subscribed: bool = True, **changes: Any) -> Person:
    """A person."""
    return Person(id=PersonId(name("person", number)), subscribed=subscribed, **changes)


def held(
    number: int, *, person_number: int | None = None, offline: bool = False, **changes: Any
) -> HeldCredential:
    """A tag of a person."""
    owner = number if person_number is None else person_number
    credential = Credential(
        id=CredentialId(name("credential", number)),
        person_id=PersonId(name("person", owner)),
        kind=CredentialKind.TAG,
    )
    return HeldCredential(
        credential=replace(credential, **changes), digest=digest(number), offline=offline
    )


def group(
    number: int,
    *,
    people: Any = (),
    locks: Any = (),
    schedule: int | None = None,
    **changes: Any,
) -> Group:
    """A group, by the numbers of those in it."""
    return Group(
        id=GroupId(name("group", number)),
        schedule_id=None if schedule is None else ScheduleId(name("schedule", schedule)),
        person_ids=frozenset(PersonId(name("person", each)) for each in people),
        lock_ids=frozenset(LockId(name("lock", each)) for each in locks),
        **changes,
    )


def revoked(number: int, at: datetime = NOON) -> Revoked:
    """A credential whose rights were reduced."""
    return Revoked(digest=digest(number), revoked_at=at)


def state(**changes: Any) -> SiteState:
    """A site with nothing in it, with some things changed."""
    values: dict[str, Any] = {
        "site_id": SITE,
        "time_zone": ZONE,
        "people": {},
        "credentials": (),
        "groups": (),
        "schedules": {},
        "locks": (),
        "revoked": (),
    }
    return SiteState(**values | changes)


def crowd(count: int, *, locks: int = 4) -> SiteState:
    """A site of many people with a tag each, in one of ten groups, at one hub."""
    return state(
        people={PersonId(name("person", n)): person(n) for n in range(count)},
        credentials=tuple(held(n) for n in range(count)),
        groups=tuple(
            group(number, people=range(number, count, 10), locks=range(locks))
            for number in range(10)
        ),
        locks=tuple(lock(number) for number in range(locks)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The access state of one hub, opened up."""

    roots: tuple[Root, ...]
    sections: Mapping[bytes, bytes]  # by hash; all that the roots lead to
    lists: Mapping[LockId, bytes]  # hash of each lock's offline list
    time_zone: str


def compile_hub(site: SiteState, identity: HubIdentity, secrets: Secrets) -> Compiled:
    """What a hub is told of a site: the whole of it, compiled from nothing."""
    return opened(HubState(hub=identity).updated(whole(site, identity), secrets))


def opened(compiled: HubState) -> Compiled:
    """A state with all that its roots lead to."""
    found: dict[bytes, bytes] = {}
    roots = list(compiled.roots)
    for root in roots:
        data = compiled.section(root.hash)
        assert data is not None
        found[root.hash] = data
        if root.kind is SectionKind.INDEX:
            roots.extend(r for r in sections.read(root.kind, data) if isinstance(r, Root))
    return Compiled(
        roots=compiled.roots,
        sections=found,
        lists={lock_id: each.hash for lock_id, each in compiled.lists.items()},
        time_zone=compiled.time_zone,
    )


def whole(site: SiteState, identity: HubIdentity) -> Part:
    """All of a site, as what is to be compiled for one hub."""
    locks = {each.id: each for each in site.locks if each.hub_id == identity.id}
    held_by: defaultdict[PersonId, list[HeldCredential]] = defaultdict(list)
    member_of: defaultdict[PersonId, set[GroupId]] = defaultdict(set)
    for one in site.credentials:
        held_by[one.credential.person_id].append(one)
    for each in site.groups:
        for person_id in each.person_ids:
            member_of[person_id].add(each.id)
    return Part(
        site_id=site.site_id,
        time_zone=site.time_zone,
        locks=dict(locks),
        groups={each.id: each for each in site.groups},
        people={
            each.id: Holder(
                person=each,
                credentials=tuple(held_by[each.id]),
                group_ids=frozenset(member_of[each.id]),
            )
            for each in site.people.values()
        },
        schedules=site.schedules,
        holidays=site.holidays,
        lists=replace(site, locks=tuple(locks.values())),
    )


def items(compiled: Compiled, kind: SectionKind) -> Iterator[Item]:
    """What is in the sections of a kind that the roots lead to."""
    roots = list(compiled.roots)
    for root in roots:
        found = sections.read(root.kind, compiled.sections[root.hash])
        if root.kind is SectionKind.INDEX:
            roots.extend(each for each in found if isinstance(each, Root))
        if root.kind is kind:
            yield from found


MOMENTS: Final = st.integers(-400 * 86_400, 400 * 86_400).map(
    lambda seconds: NOON + timedelta(seconds=seconds)
)
ENDS: Final = st.none() | MOMENTS
WINDOWS: Final = st.builds(
    lambda day, ends: Window(weekday=day, start_min=min(ends), end_min=max(ends)),
    st.integers(0, 7),
    st.sets(st.integers(0, 1439), min_size=2, max_size=2),
)
DAYS: Final = st.none() | st.integers(-400, 400).map(lambda n: (NOON + timedelta(days=n)).date())
HOLIDAYS: Final = st.lists(
    st.builds(
        Holiday,
        starts_on=st.integers(-400, 400).map(lambda n: (NOON + timedelta(days=n)).date()),
        days=st.integers(1, 31),
    ),
    max_size=3,
    unique_by=lambda holiday: holiday.starts_on,
)


def _apart(windows: list[Window]) -> list[Window]:
    """Those windows that overlap none before them."""
    kept: list[Window] = []
    for window in sorted(windows):
        last = kept[-1] if kept else None
        if not last or last.weekday != window.weekday or last.end_min <= window.start_min:
            kept.append(window)
    return kept


SCHEDULES: Final = st.builds(
    Schedule,
    windows=st.lists(WINDOWS, min_size=1, max_size=4).map(_apart).map(tuple),
    observes_holidays=st.booleans(),
    starts_on=DAYS,
    ends_on=DAYS,
)


@st.composite
def states(draw: st.DrawFn) -> SiteState:
    """Small sites: up to 6 people, 12 credentials, 4 groups, 3 schedules, 2 hubs, 4 locks."""
    people = draw(
        st.lists(st.tuples(st.booleans(), ENDS, ENDS, st.sampled_from(range(8))), max_size=6)
    )
    calendar = draw(st.lists(SCHEDULES, max_size=3))
    some_schedule = st.none()
    if calendar:
        some_schedule |= st.sampled_from(range(len(calendar)))
    groups = draw(
        st.lists(
            st.tuples(
                st.sets(st.sampled_from(range(len(people)))) if people else st.just(set()),
                st.sets(st.integers(0, 3)),
                some_schedule,
                ENDS,
                ENDS,
            ),
            max_size=4,
        )
    )
    return state(
        people={
            PersonId(name("person", n)): person(
                n,
                subscribed=subscribed,
                starts_at=starts_at,
                ends_at=ends_at,
                privileges=Privilege(privileges),
            )
            for n, (subscribed, starts_at, ends_at, privileges) in enumerate(people)
        },
        credentials=draw(_credentials(len(people))),
        groups=tuple(
            group(n, people=members, locks=doors, schedule=number, starts_at=start, ends_at=end)
            for n, (members, doors, number, start, end) in enumerate(groups)
        ),
        schedules={ScheduleId(name("schedule", n)): each for n, each in enumerate(calendar)},
        holidays=tuple(sorted(draw(HOLIDAYS), key=lambda holiday: holiday.starts_on)),
        locks=tuple([draw(_locks(n, some_schedule)) for n in range(4)]),
    )


@st.composite
def _credentials(draw: st.DrawFn, people: int) -> tuple[HeldCredential, ...]:
    kinds = st.sampled_from(list(CredentialKind))
    owners = st.integers(0, max(0, people - 1))
    drawn = draw(
        st.lists(
            st.tuples(owners, kinds, st.booleans(), st.booleans(), ENDS),
            max_size=12 if people else 0,
        )
    )
    return tuple(
        held(n, person_number=owner, kind=kind, offline=offline, blocked=blocked, ends_at=ends_at)
        for n, (owner, kind, offline, blocked, ends_at) in enumerate(drawn)
    )


@st.composite
def _locks(draw: st.DrawFn, number: int, some_schedule: st.SearchStrategy[int | None]) -> Lock:
    office = draw(some_schedule)
    return lock(
        number,
        hub_number=number % 2,
        door=DoorSettings(
            keypad=draw(st.booleans()),
            office=OfficeMode.BY_HAND if office is None else OfficeMode.EASY,
            office_schedule_id=None if office is None else ScheduleId(name("schedule", office)),
        ),
        purges=tuple(revoked(n) for n in draw(st.sets(st.integers(0, 15)))),
        purged_at=draw(ENDS),
    )


def shuffled(original: SiteState, order: list[int]) -> SiteState:
    """The same rows in another order."""

    def turn(things: Any) -> Any:
        ranks = itertools.cycle(order or [0])
        return [thing for _, _, thing in sorted((next(ranks), -n, t) for n, t in enumerate(things))]

    return replace(
        original,
        people=dict(turn(original.people.items())),
        credentials=tuple(turn(original.credentials)),
        groups=tuple(turn(original.groups)),
        schedules=dict(turn(original.schedules.items())),
        locks=tuple(
            replace(each, purges=tuple(turn(each.purges))) for each in turn(original.locks)
        ),
    )
