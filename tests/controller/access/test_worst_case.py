"""What the cloud says that a lock may still do after a revocation, held against real firmware."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.access.held_lists import read_grants
from controller.domain.instants import from_seconds
from controller.domain.worst_case import Before, Opening, Place, Way, latest, openings, over_at
from firmware_sim.lock.door import PATIENCE_S
from gateway.protocol import sections
from gateway.protocol.messages import EntryKind, SectionKind
from gateway.protocol.sections import OfflineGrant
from tests.firmware_sim.cloud import DAY, NOON, offline_list
from tests.firmware_sim.scene import ANN, BEN, Scene, scene

GRACE_S = DAY
ENDS_S = NOON + 20 * DAY
SERVE_UNTIL_S = ENDS_S + GRACE_S
MEMORY_DAYS = 7
SECOND = timedelta(seconds=1)
OPENED = {EntryKind.OPENED_BY_HUB, EntryKind.OPENED_BY_LIST, EntryKind.OPENED_BY_MEMORY}


@dataclass
class Site:
    """A site with one lock, and what its cloud knows of a revocation."""

    scene: Scene
    revoked_s: int | None = None
    revision: int = 0
    hub_confirmed_s: int | None = None
    opened_s: dict[bytes, int] = field(default_factory=dict)
    lists: list[bytes] = field(default_factory=list)  # that the lock may hold, oldest first

    @property
    def now_s(self) -> int:
        """The calendar."""
        return int(self.scene.world.calendar_s)

    @property
    def has_confirmed(self) -> bool:
        """Whether hub and lock are known to hold what was compiled for the revocation."""
        return self.hub_confirmed_s is not None and self.holds_what_is_wanted

    @property
    def holds_what_is_wanted(self) -> bool:
        """Whether the lock is known to hold the newest list."""
        status = self.scene.cloud.statuses[self.scene.hub.identity.hub_id]
        (lock,) = status.locks
        return lock.list_hash == hashlib.sha256(self.wanted).digest()

    @property
    def wanted(self) -> bytes:
        """The newest list."""
        plan = self.scene.cloud.plans[self.scene.hub.identity.hub_id]
        wanted = plan.lists[self.scene.lock.name]
        return sections.build(SectionKind.OFFLINE_LIST, (wanted,)).data

    def grant(self, *grants: OfflineGrant) -> None:
        """Let the lock hold these grants and no others."""
        plan = self.scene.cloud.plans[self.scene.hub.identity.hub_id]
        lock_id = self.scene.cloud.lock_id(self.scene.lock.name)
        plan.lists = {self.scene.lock.name: offline_list(lock_id, *grants)}
        self.scene.publish()
        self.learn()

    def revoke(self, tag: bytes) -> None:
        """Take all rights from a tag."""
        cloud, hub_id = self.scene.cloud, self.scene.hub.identity.hub_id
        plan, name = cloud.plans[hub_id], self.scene.lock.name
        plan.people = tuple(
            one
            for one in plan.people
            if all(each.credential_digest != cloud.digest(tag) for each in one.credentials)
        )
        before = plan.lists[name]
        grants = tuple(one for one in before.grants if one.credential_digest != cloud.digest(tag))
        plan.lists[name] = replace(before, grants=grants, purge=(cloud.digest(tag),))
        self.scene.publish()
        self.revoked_s, self.revision = self.now_s, cloud.revisions[hub_id]
        self.learn()

    def learn(self) -> None:
        """Note what the hub has told by now."""
        cloud, hub_id = self.scene.cloud, self.scene.hub.identity.hub_id
        if self.wanted not in self.lists:
            self.lists.append(self.wanted)
        heard = cloud.confirmed.get(hub_id, 0) >= self.revision
        if self.revoked_s is not None and heard and self.hub_confirmed_s is None:
            self.hub_confirmed_s = self.now_s
        for entry in cloud.entries.values():
            if entry.kind is EntryKind.OPENED_BY_HUB and entry.credential_digest is not None:
                known = self.opened_s.get(entry.credential_digest, 0)
                self.opened_s[entry.credential_digest] = max(known, entry.at_s)

    def place(self, tag: bytes) -> Place:
        """Return the lock as the cloud judges it."""
        self.learn()
        digest = self.scene.cloud.digest(tag)
        opened_s = self.opened_s.get(digest)
        return Place(
            hub_confirmed_at=_instant(self.hub_confirmed_s),
            serve_until=from_seconds(SERVE_UNTIL_S),
            memory_days=MEMORY_DAYS,
            lists=tuple(
                frozenset(grant.ends_at for grant in read_grants(data).get(digest, ()))
                for data in self.lists
            ),
            opened_at=_instant(opened_s),
        )

    def openings(self, tag: bytes) -> tuple[Opening, ...]:
        """Return what the cloud says may still happen, for a tag that had no end."""
        if self.has_confirmed:
            return ()
        return openings(self.place(tag), Before(ends_at=None), now=from_seconds(self.now_s))

    def opens_just_before(self, tag: bytes, until: datetime) -> bool:
        """Hold a tag to the lock so that it gives up its hub and decides a second before."""
        self._wait_for(until - SECOND - timedelta(seconds=PATIENCE_S))
        return self.tap(tag)

    def opens_at(self, tag: bytes, instant: datetime) -> bool:
        """Hold a tag to the lock at an instant."""
        self._wait_for(instant)
        return self.tap(tag)

    def tap(self, tag: bytes) -> bool:
        """Hold a tag to the lock and tell if it opens."""
        return self.scene.world.tap(self.scene.lock, tag).kind in OPENED

    def _wait_for(self, instant: datetime) -> None:
        seconds = instant.timestamp() - self.scene.world.calendar_s
        assert seconds >= 0, "time does not go back"
        self.scene.world.skip(seconds)


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else from_seconds(seconds)


def site(*grants: OfflineGrant) -> Site:
    """Return a site whose lock holds these grants."""
    made = Site(scene())
    made.scene.renew(ends_at_s=ENDS_S, grace_s=GRACE_S)
    made.grant(*grants)
    return made


def granted(made: Scene, tag: bytes, ends_at_s: int | None = None) -> OfflineGrant:
    """Return a grant for a tag."""
    return OfflineGrant(credential_digest=made.cloud.digest(tag), ends_at_s=ends_at_s)


def bound(found: tuple[Opening, ...], way: Way) -> datetime:
    """Return when a way ends that does."""
    until = ways(found)[way]
    assert until is not None
    return until


def ways(found: tuple[Opening, ...]) -> dict[Way, datetime | None]:
    """Return until when each way is open."""
    return {one.way: one.until for one in found}


@pytest.mark.invariant("A1")
def test_a_lock_out_of_reach_opens_by_its_list_until_the_grant_ends() -> None:
    """To the second, and no longer."""
    made = site()
    made = site(granted(made.scene, BEN, ends_at_s=NOON + 9 * DAY))
    made.scene.lock.has_radio = False
    made.revoke(BEN)

    until = bound(made.openings(BEN), Way.LIST)

    assert until == from_seconds(NOON + 9 * DAY)
    assert made.opens_just_before(BEN, until)
    assert not made.opens_at(BEN, until)
    assert ways(made.openings(BEN)).keys() == set()


@pytest.mark.invariant("A1")
def test_a_grant_without_an_end_opens_until_the_lock_is_reached() -> None:
    """For years if nobody reaches it; and never again once it has confirmed the new list."""
    made = site()
    made = site(granted(made.scene, BEN))
    made.scene.lock.has_radio = False
    made.revoke(BEN)

    found = made.openings(BEN)

    assert ways(found)[Way.LIST] is None
    assert latest(found) is None
    assert made.opens_at(BEN, from_seconds(made.now_s + 15 * DAY))
    made.scene.lock.has_radio = True
    made.scene.world.run(60)
    assert made.openings(BEN) == ()
    made.scene.lock.has_radio = False
    assert not made.tap(BEN)


@pytest.mark.invariant("A1")
def test_a_lock_out_of_reach_opens_by_memory_so_many_days_after_a_known_opening() -> None:
    """To the second, and no longer; nothing else is said to be open for longer than is true."""
    made = site()
    assert made.tap(ANN)
    made.scene.lock.has_radio = False
    made.scene.world.run(30)
    made.revoke(ANN)

    found = made.openings(ANN)
    until = bound(found, Way.MEMORY)

    assert until == from_seconds(NOON + MEMORY_DAYS * DAY)
    assert made.hub_confirmed_s is not None
    untold = bound(found, Way.UNTOLD)
    assert untold == from_seconds(made.hub_confirmed_s + MEMORY_DAYS * DAY)
    assert made.opens_just_before(ANN, until)
    assert not made.opens_at(ANN, until)
    assert not made.opens_at(ANN, untold)
    assert made.openings(ANN) == ()


@pytest.mark.invariant("A1")
def test_an_opening_that_the_cloud_was_not_told_of_stays_within_what_it_said() -> None:
    """The entry never came; the lock opens by it, and not beyond the bound."""
    made = site()
    made.scene.cloud.is_acking = False  # entries are lost on the way
    made.scene.world.skip(2 * DAY)
    assert made.tap(ANN)
    opened_at = from_seconds(made.now_s)
    made.scene.lock.has_radio = False
    made.scene.world.run(10)
    made.revoke(ANN)

    found = made.openings(ANN)

    assert ways(found).keys() == {Way.UNTOLD}
    assert made.opens_just_before(ANN, opened_at + timedelta(days=MEMORY_DAYS))
    assert not made.opens_at(ANN, bound(found, Way.UNTOLD))


@pytest.mark.invariant("A1")
def test_a_hub_that_has_not_heard_lets_in_until_it_falls_silent() -> None:
    """Its lease is the bound; the lock then remembers what it let in at last."""
    made = site()
    assert made.tap(ANN)
    made.scene.world.cut_uplink(made.scene.hub)
    made.revoke(ANN)

    found = ways(made.openings(ANN))
    last = from_seconds(SERVE_UNTIL_S)

    assert found == {
        Way.HUB: last,
        Way.MEMORY: from_seconds(NOON + MEMORY_DAYS * DAY),
        Way.UNTOLD: last + timedelta(days=MEMORY_DAYS),
    }
    made.scene.world.skip(SERVE_UNTIL_S - 1 - made.scene.world.calendar_s)
    assert made.scene.world.tap(made.scene.lock, ANN).kind is EntryKind.OPENED_BY_HUB
    made.scene.world.run(10)
    made.scene.lock.has_radio = False
    assert made.opens_just_before(ANN, last + timedelta(days=MEMORY_DAYS) - SECOND)
    assert not made.opens_at(ANN, last + timedelta(days=MEMORY_DAYS))


@pytest.mark.invariant("A1")
@given(
    st.lists(st.sampled_from(["tap", "radio", "uplink", "minute", "day", "two days"]), max_size=10),
    st.integers(0, 10),
    st.none() | st.integers(0, 12),
)
@settings(max_examples=100)
def test_no_lock_opens_beyond_what_is_said(
    script: list[str], revoked_after: int, listed_until: int | None
) -> None:
    """Whatever happened before: never after the bound, and nowhere once hub and lock confirmed."""
    made = site()
    if listed_until is not None:
        made = site(granted(made.scene, ANN, ends_at_s=NOON + listed_until * DAY))
    said = []  # instants from which on it is shut
    for number, step in enumerate([*script, "end"]):
        if number == min(revoked_after, len(script)):
            made.revoke(ANN)
        play(made, step)
        if made.revoked_s is not None:
            found = made.openings(ANN)
            said.append(latest(found) if found else from_seconds(made.now_s))

    shut_at = min((instant for instant in said if instant is not None), default=None)
    if shut_at is not None:
        made.scene.world.skip(max(0, shut_at.timestamp() - made.scene.world.calendar_s))
        for has_radio in (True, False):
            made.scene.lock.has_radio = has_radio
            assert not made.tap(ANN)


def play(made: Site, step: str) -> None:
    """Let one thing happen."""
    world, hub, lock = made.scene.world, made.scene.hub, made.scene.lock
    match step:
        case "tap":
            world.tap(lock, ANN)
        case "radio":
            lock.has_radio = not lock.has_radio
        case "uplink":
            (world.cut_uplink if hub.has_uplink else world.restore_uplink)(hub)
        case "day" | "two days":
            world.skip(DAY if step == "day" else 2 * DAY)
        case _:
            pass
    world.run(60)


@pytest.mark.invariant("A1")
def test_a_list_that_a_lock_got_unheard_is_not_taken_for_another() -> None:
    """Ann is listed, the lock takes it and cannot say so; when she is off it again, it is unsure.

    The list that is wanted then is the one that the lock confirmed last.
    """
    made = site()
    lock, hub = made.scene.lock, made.scene.hub
    lock.has_radio = False
    hub.frames.clear()
    made.grant(granted(made.scene, ANN))
    made.scene.replay(lock, hub.frames)  # it hears, and is not heard
    made.grant()

    assert not made.scene.cloud.statuses[hub.identity.hub_id].locks[0].list_hash
    assert made.opens_at(ANN, from_seconds(made.now_s + 60))
    lock.has_radio = True
    made.scene.world.run(60)
    assert made.holds_what_is_wanted
    lock.has_radio = False
    assert not made.tap(ANN)


LISTED = frozenset({from_seconds(NOON + DAY)})
BEFORE = Before(ends_at=from_seconds(NOON + 2 * DAY))
BASE = Place(
    hub_confirmed_at=from_seconds(NOON),
    serve_until=from_seconds(SERVE_UNTIL_S),
    memory_days=MEMORY_DAYS,
    lists=(frozenset(),),
    opened_at=from_seconds(NOON - DAY),
)


@pytest.mark.parametrize(
    ("place", "before", "expected"),
    [
        (BASE, BEFORE, {Way.MEMORY: 2, Way.UNTOLD: 2}),  # never beyond the end that was told
        (BASE, Before(ends_at=None), {Way.MEMORY: 6, Way.UNTOLD: 7}),
        (replace(BASE, memory_days=0), BEFORE, {}),
        (replace(BASE, lists=(LISTED,)), BEFORE, {Way.LIST: 1}),  # listed is not remembered
        (
            replace(BASE, lists=(LISTED, frozenset())),
            BEFORE,
            {Way.LIST: 1, **dict.fromkeys([Way.MEMORY, Way.UNTOLD], 2)},
        ),
        (
            replace(BASE, lists=(LISTED, frozenset({from_seconds(NOON + 3 * DAY)}))),
            BEFORE,
            {Way.LIST: 3},  # the later of two lists, both of which it may hold
        ),
        (replace(BASE, lists=None, memory_days=0), BEFORE, {Way.LIST: None}),
        (
            replace(BASE, lists=(frozenset({None}),)),
            Before(ends_at=None, document_until=from_seconds(NOON + 3 * DAY)),
            {Way.LIST: 3},  # a phone whose document is over opens nothing
        ),
        (replace(BASE, hub_confirmed_at=None, memory_days=0), BEFORE, {Way.HUB: 2}),
        (replace(BASE, lists=(frozenset({from_seconds(NOON)}),)), BEFORE, {}),  # over already
    ],
)
def test_the_bound_is_the_earliest_of_what_is_certain(
    place: Place, before: Before, expected: dict[Way, int | None]
) -> None:
    """Ends that were told, an access document's end and the end of a grant close every way."""
    found = ways(openings(place, before, now=from_seconds(NOON)))

    assert found == {
        way: None if day is None else from_seconds(NOON + day * DAY)
        for way, day in expected.items()
    }


def test_what_ran_out_was_over_when_it_ran_out() -> None:
    """Not when somebody looked."""
    place = replace(BASE, lists=(LISTED,))

    assert over_at(place, BEFORE, revoked_at=from_seconds(NOON - 60)) == from_seconds(NOON + DAY)
    assert over_at(
        replace(BASE, memory_days=0), BEFORE, revoked_at=from_seconds(NOON - 60)
    ) == from_seconds(NOON)
