"""Access states of sites that the tests of delivery start from."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import strategies as st

from controller.delivery.compile import Compiled, HubIdentity, Secrets
from controller.domain.access import Credential, CredentialKind, Person
from controller.domain.hardware import DoorSettings
from controller.domain.ids import (
    CredentialId,
    GroupId,
    HubId,
    LockId,
    PersonId,
    ScheduleId,
    SiteId,
)
from controller.domain.schedule import Schedule, Window
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


def person(number: int, *, subscribed: bool = True, ends_at: datetime | None = None) -> Person:
    """A person."""
    return Person(id=PersonId(name("person", number)), subscribed=subscribed, ends_at=ends_at)


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


def group(number: int, *, people: Any = (), locks: Any = (), schedule: int | None = None) -> Group:
    """A group, by the numbers of those in it."""
    return Group(
        id=GroupId(name("group", number)),
        schedule_id=None if schedule is None else ScheduleId(name("schedule", schedule)),
        person_ids=frozenset(PersonId(name("person", each)) for each in people),
        lock_ids=frozenset(LockId(name("lock", each)) for each in locks),
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
    st.integers(0, 6),
    st.sets(st.integers(0, 1439), min_size=2, max_size=2),
)


def _apart(windows: list[Window]) -> list[Window]:
    """Those windows that overlap none before them."""
    kept: list[Window] = []
    for window in sorted(windows):
        last = kept[-1] if kept else None
        if not last or last.weekday != window.weekday or last.end_min <= window.start_min:
            kept.append(window)
    return kept


SCHEDULES: Final = st.lists(WINDOWS, min_size=1, max_size=4).map(_apart).map(Schedule.of)


@st.composite
def states(draw: st.DrawFn) -> SiteState:
    """Small sites: up to 6 people with up to 12 tags, 4 groups, 3 schedules, 2 hubs, 4 locks."""
    people = draw(st.lists(st.tuples(st.booleans(), ENDS), max_size=6))
    tags = draw(
        st.lists(
            st.tuples(st.integers(0, max(0, len(people) - 1)), st.booleans(), st.booleans(), ENDS),
            max_size=12 if people else 0,
        )
    )
    calendar = draw(st.lists(SCHEDULES, max_size=3))
    schedule_numbers = st.none() | st.sampled_from(range(len(calendar))) if calendar else st.none()
    groups = draw(
        st.lists(
            st.tuples(
                st.sets(st.sampled_from(range(len(people)))) if people else st.just(set()),
                st.sets(st.integers(0, 3)),
                schedule_numbers,
            ),
            max_size=4,
        )
    )
    return state(
        people={
            PersonId(name("person", n)): person(n, subscribed=subscribed, ends_at=ends_at)
            for n, (subscribed, ends_at) in enumerate(people)
        },
        credentials=tuple(
            held(n, person_number=owner, offline=offline, blocked=blocked, ends_at=ends_at)
            for n, (owner, offline, blocked, ends_at) in enumerate(tags)
        ),
        groups=tuple(
            group(n, people=members, locks=doors, schedule=schedule)
            for n, (members, doors, schedule) in enumerate(groups)
        ),
        schedules={ScheduleId(name("schedule", n)): each for n, each in enumerate(calendar)},
        locks=tuple(lock(n, hub_number=n % 2) for n in range(4)),
        revoked=tuple(revoked(n) for n in draw(st.sets(st.integers(0, 15)))),
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
        locks=tuple(turn(original.locks)),
        revoked=tuple(turn(original.revoked)),
    )
