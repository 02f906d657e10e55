"""Reads what of a site has to be compiled anew for some of its hubs, and no more.

What was touched leads to what else has to be read: a group that has got its first lock at a hub
leads to all its people, a person leads to the lists of the locks that may hold a credential.

Source: docs/algorithms/delivery.md.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import select

from controller.access import part_rows as rows
from controller.access.offline_rows import state_of_locks
from controller.access.queries import holidays_of
from controller.db.engine import ReadSession
from controller.db.tables.people import credentials
from controller.db.tables.sites import sites
from controller.delivery.compile import HubState, Part
from controller.delivery.items import Holder
from controller.domain.access import CredentialKind
from controller.domain.ids import GroupId, HubId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.site_state import HeldCredential, Lock, Revoked, SiteState
from controller.sync.changes import Kind, Touched, in_batches
from gateway.protocol import sections

PEOPLE_MAX: Final = 50  # of more that are touched nobody asks on which lists they stand
LOCKS_AT_ONCE: Final = 64  # whose lists are compiled from rows read together


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ids:
    """What was touched, by kind."""

    people: frozenset[PersonId]
    groups: frozenset[GroupId]
    schedules: frozenset[ScheduleId]
    locks: frozenset[LockId]
    holidays: bool

    @classmethod
    def of(cls, touched: Iterable[Touched]) -> "_Ids":
        ids: defaultdict[Kind, set[Any]] = defaultdict(set)
        for each in touched:
            ids[each.kind].add(each.item_id)
        return cls(
            people=frozenset(ids[Kind.PERSON]),
            groups=frozenset(ids[Kind.GROUP]),
            schedules=frozenset(ids[Kind.SCHEDULE]),
            locks=frozenset(ids[Kind.LOCK]),
            holidays=bool(ids[Kind.HOLIDAYS]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hub:
    """A hub on the way from what was touched to what has to be compiled."""

    before: HubState
    is_new: bool  # it is compiled from nothing
    part: Part
    after: HubState  # with locks and groups as they are now


async def read_parts(
    tx: ReadSession,
    site_id: SiteId,
    states: Mapping[HubId, HubState],
    touched: Collection[Touched],
    *,
    new: Collection[HubId],
) -> dict[HubId, Part]:
    """Return what brings the states of some hubs up to this view of their site.

    Args:
        tx: The view.
        site_id: The site.
        states: The states as they are; of a new hub the empty one.
        touched: What was touched since.
        new: Those of the hubs that are compiled from nothing.
    """
    ids = _Ids.of(touched)
    hubs = await _with_doors(tx, site_id, states, ids, new)
    hubs = await _with_people(tx, site_id, hubs, ids)
    hubs = await _with_schedules(tx, site_id, hubs, ids)
    hubs = await _with_lists(tx, site_id, hubs, ids)
    return {hub.before.hub.id: hub.part for hub in hubs}


async def _with_doors(
    tx: ReadSession,
    site_id: SiteId,
    states: Mapping[HubId, HubState],
    ids: _Ids,
    new: Collection[HubId],
) -> list[_Hub]:
    """Read the locks, and the groups that may have come to a hub or gone from it."""
    lock_ids = ids.locks | await rows.locks_of_hubs(tx, site_id, new)
    locks = await rows.locks_by(tx, site_id, lock_ids)
    group_ids = ids.groups | await rows.groups_with(tx, site_id, lock_ids)
    for state in states.values():
        group_ids |= {g.id for g in state.groups.values() if not lock_ids.isdisjoint(g.lock_ids)}
    groups = await rows.groups_by(tx, site_id, group_ids)
    zone = (await tx.execute(select(sites.c.time_zone).where(sites.c.id == site_id))).scalar_one()
    holidays = await holidays_of(tx, site_id) if ids.holidays or new else None
    found = []
    told: dict[tuple[PersonId, frozenset[GroupId]], bytes | None] = {}
    for hub_id, state in states.items():
        is_new = hub_id in new
        part = Part(
            site_id=site_id,
            time_zone=zone,
            locks=_of_hub(hub_id, lock_ids, locks, state),
            groups={group_id: groups.get(group_id) for group_id in group_ids},
            people={},
            schedules={},
            holidays=holidays if is_new or ids.holidays else None,
            lists=None,
            told=told,
        )
        found.append(_Hub(before=state, is_new=is_new, part=part, after=state.with_doors(part)))
    return found


def _of_hub(
    hub_id: HubId, lock_ids: Collection[LockId], locks: Mapping[LockId, Lock], state: HubState
) -> dict[LockId, Lock | None]:
    """Return the locks that a hub serves, and as gone those that it served."""
    mine: dict[LockId, Lock | None] = {
        lock_id: None for lock_id in lock_ids if lock_id in state.locks
    }
    return mine | {lock.id: lock for lock in locks.values() if lock.hub_id == hub_id}


async def _with_people(tx: ReadSession, site_id: SiteId, hubs: list[_Hub], ids: _Ids) -> list[_Hub]:
    """Read who was touched, and the people of the groups that came to a hub or went from it."""
    come = {hub.before.hub.id: hub.after.groups.keys() - hub.before.groups for hub in hubs}
    members = await rows.members_of(tx, site_id, set().union(*come.values()))
    redone: dict[HubId, frozenset[PersonId]] = {}
    for hub in hubs:
        joined = (members.get(group_id, set()) for group_id in come[hub.before.hub.id])
        went = hub.before.groups.keys() - hub.after.groups
        left = hub.before.members(went) if went else set()
        redone[hub.before.hub.id] = ids.people.union(left, *joined)
    everybody = frozenset().union(*redone.values())
    holders = await _holders(tx, site_id, everybody)
    return [
        replace(
            hub,
            part=replace(
                hub.part, people={each: holders.get(each) for each in redone[hub.before.hub.id]}
            ),
        )
        for hub in hubs
    ]


async def _holders(
    tx: ReadSession, site_id: SiteId, person_ids: Collection[PersonId]
) -> dict[PersonId, Holder]:
    found: dict[PersonId, Holder] = {}
    for some in in_batches(person_ids):
        known = await rows.people_by(tx, site_id, some)
        held = await rows.credentials_of(tx, site_id, some)
        groups = await rows.groups_of(tx, site_id, some)
        for person_id, person in known.items():
            found[person_id] = Holder(
                person=person,
                credentials=tuple(held.get(person_id, ())),
                group_ids=frozenset(groups.get(person_id, ())),
            )
    return found


async def _with_schedules(
    tx: ReadSession, site_id: SiteId, hubs: list[_Hub], ids: _Ids
) -> list[_Hub]:
    """Read the schedules that were touched, and those that a hub has not followed before."""
    wanted: set[ScheduleId] = set(ids.schedules)
    for hub in hubs:
        wanted |= hub.after.followed | hub.after.in_office
    known: set[ScheduleId] = set.intersection(*(set(hub.before.schedules) for hub in hubs))
    schedules = await rows.schedules_by(tx, site_id, wanted - (known - ids.schedules))
    return [replace(hub, part=replace(hub.part, schedules=schedules)) for hub in hubs]


async def _with_lists(tx: ReadSession, site_id: SiteId, hubs: list[_Hub], ids: _Ids) -> list[_Hub]:
    """Read what the lists are compiled from that may have changed."""
    asked: dict[HubId, set[LockId]] = {}
    doubtful: dict[HubId, set[LockId]] = {}
    for hub in hubs:
        hub_id = hub.before.hub.id
        asked[hub_id] = _by_doors(hub, ids)
        surely, perhaps = _by_people(hub, ids)
        asked[hub_id] |= surely
        doubtful[hub_id] = perhaps - asked[hub_id]
    purged = await rows.purges_at(tx, site_id, set().union(*doubtful.values()))
    for hub in hubs:
        digests = _digests(hub, ids)
        asked[hub.before.hub.id] |= {
            lock_id
            for lock_id in doubtful[hub.before.hub.id]
            if _has_moved(hub.before.locks[lock_id].purges, purged.get(lock_id, ()), digests)
        }
    state_of: dict[LockId, SiteState] = {}
    everywhere = sorted(set().union(*asked.values()))
    for at in range(0, len(everywhere), LOCKS_AT_ONCE):
        some = everywhere[at : at + LOCKS_AT_ONCE]
        state_of |= dict.fromkeys(some, await _state_of(tx, site_id, some))
    return [
        replace(hub, part=replace(hub.part, lists=_narrowed(asked[hub.before.hub.id], state_of)))
        for hub in hubs
    ]


def _by_doors(hub: _Hub, ids: _Ids) -> set[LockId]:
    """Return the locks of a hub whose lists what was touched leads to without people."""
    if hub.is_new or ids.holidays or len(ids.people) > PEOPLE_MAX:
        return set(hub.after.locks)
    followers = {
        group.id
        for state in (hub.before, hub.after)
        for group in state.groups.values()
        if group.schedule_id in ids.schedules
    }
    group_ids = followers | hub.part.groups.keys()
    in_office = {
        lock.id
        for lock in hub.after.locks.values()
        if lock.door.office_schedule_id in ids.schedules
    }
    doors = hub.before.doors(group_ids) | hub.after.doors(group_ids)
    return (doors | in_office | ids.locks | hub.part.locks.keys()) & hub.after.locks.keys()


def _by_people(hub: _Hub, ids: _Ids) -> tuple[set[LockId], set[LockId]]:
    """Return the locks whose lists people lead to: surely, and if they were to forget them."""
    surely: set[LockId] = set()
    perhaps: set[LockId] = set()
    for person_id in ids.people if len(ids.people) <= PEOPLE_MAX else ():
        told, holder = hub.before.person(person_id), hub.part.people[person_id]
        group_ids = set() if told is None else {GroupId(each.hex()) for each in told.group_ids}
        group_ids |= set() if holder is None else holder.group_ids
        doors = hub.before.doors(group_ids) | hub.after.doors(group_ids)
        doors &= hub.after.locks.keys() & hub.before.lists.keys()
        if holder is not None and any(_can_be_listed(held) for held in holder.credentials):
            surely |= doors
            continue
        digests = _digests_of(told, holder)
        for lock_id in doors:
            data = hub.before.lists[lock_id].data
            named = any(digest in data for digest in digests)
            (surely if named else perhaps).add(lock_id)
    return surely, perhaps


def _digests(hub: _Hub, ids: _Ids) -> set[bytes]:
    """Return the credentials of those who were touched, as they were told and as they are."""
    if len(ids.people) > PEOPLE_MAX:
        return set()
    pairs = ((hub.before.person(each), hub.part.people[each]) for each in ids.people)
    return set().union(*(_digests_of(told, holder) for told, holder in pairs))


def _digests_of(told: sections.Person | None, holder: Holder | None) -> set[bytes]:
    before = () if told is None else told.credentials
    now = () if holder is None else holder.credentials
    return {each.credential_digest for each in before} | {held.digest for held in now}


def _can_be_listed(held: HeldCredential) -> bool:
    return held.offline or held.credential.kind is CredentialKind.PIN


def _has_moved(
    before: tuple[Revoked, ...], now: tuple[Revoked, ...], digests: Collection[bytes]
) -> bool:
    """Return whether what a lock must forget may be another by now."""
    return before != now or any(revoked.digest in digests for revoked in now)


async def _state_of(tx: ReadSession, site_id: SiteId, lock_ids: Collection[LockId]) -> SiteState:
    """Return what decides some lists: who may be on them, and who must be forgotten."""
    purged = await rows.purges_at(tx, site_id, lock_ids)
    digests = {revoked.digest for each in purged.values() for revoked in each}
    forgotten = select(credentials).where(
        credentials.c.site_id == site_id, credentials.c.digest.in_(digests), credentials.c.usable
    )
    held = list(await tx.execute(forgotten)) if digests else []
    return await state_of_locks(tx, site_id, lock_ids, and_also=held)


def _narrowed(
    lock_ids: Collection[LockId], state_of: Mapping[LockId, SiteState]
) -> SiteState | None:
    """Return the part of the state that decides the lists of one hub's locks."""
    if not lock_ids:
        return None
    states = list({id(state): state for state in map(state_of.__getitem__, lock_ids)}.values())
    groups = [
        replace(group, lock_ids=here)
        for state in states
        for group in state.groups
        if (here := group.lock_ids.intersection(lock_ids))
    ]
    person_ids = frozenset().union(*(group.person_ids for group in groups))
    return replace(
        states[0],
        people={each: s.people[each] for s in states for each in person_ids & s.people.keys()},
        credentials=tuple(
            held
            for s in states
            for held in s.credentials
            if held.credential.person_id in person_ids
        ),
        groups=tuple(groups),
        schedules={key: each for s in states for key, each in s.schedules.items()},
        locks=tuple(lock for s in states for lock in s.locks if lock.id in lock_ids),
    )
