"""What one hub must know, compiled from the rows of its site.

Pure, and a function of the rows alone: the same rows give the same bytes at every instant and on
every machine, which is what keeps a lock's offline list as it is while a subscription ends and
comes back.

Source: docs/algorithms/delivery.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from controller.delivery.buckets import divide
from controller.delivery.seals import lock_seal_key
from controller.domain.ids import HubId, LockId, PersonId
from controller.domain.instants import to_seconds
from controller.domain.offline import OfflineGrant, OfflineRules, to_forget
from controller.domain.schedule import Schedule
from controller.domain.site_state import Group, HeldCredential, Lock, SiteState
from gateway.protocol import sealing, sections
from gateway.protocol.messages import ROOTS_MAX, Root, SectionKind
from gateway.protocol.sections import LIST_BYTES_MAX, PURGE_MAX, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class HubIdentity:
    """The hub that is compiled for."""

    id: HubId
    epoch: int
    agreement_key: bytes  # X25519, 32 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What sealing for this site's hubs and locks takes."""

    agreement: X25519PrivateKey  # the controller's
    tag_key: bytes  # the site's


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The access state of one hub."""

    roots: tuple[Root, ...]
    sections: Mapping[bytes, bytes]  # by hash; all that the roots lead to
    lists: Mapping[LockId, bytes]  # hash of each lock's offline list
    time_zone: str

    @property
    def size(self) -> int:
        """Return the bytes of all sections."""
        return sum(len(data) for data in self.sections.values())


def compile_hub(state: SiteState, hub: HubIdentity, secrets: Secrets) -> Compiled:
    """Return what the hub must know: its locks, and who may open them when."""
    mine = (lock for lock in state.locks if lock.hub_id == hub.id)
    locks = sorted(mine, key=lambda lock: lock.id)
    here = {lock.id for lock in locks}
    groups = [group for group in state.groups if group.lock_ids & here]
    rules = OfflineRules(state)
    lists = {lock.id: _offline_list(state, rules, lock) for lock in locks}
    found = [
        *divide(SectionKind.SCHEDULES, _schedules(state, groups)),
        *divide(SectionKind.HOLIDAYS, _holidays(state)),
        *divide(SectionKind.GROUPS, _groups(groups, here)),
        *divide(SectionKind.PEOPLE, _people(state, groups)),
        *divide(SectionKind.LOCKS, _locks(state, locks, hub, secrets)),
        *lists.values(),
    ]
    top = found
    if len(found) > ROOTS_MAX:
        top = divide(SectionKind.INDEX, [(section.hash, section.root) for section in found])
        assert len(top) <= ROOTS_MAX, "two levels name some 50,000 sections"
        found = [*top, *found]
    return Compiled(
        roots=tuple(section.root for section in top),
        sections={section.hash: section.data for section in found},
        lists={lock_id: section.hash for lock_id, section in lists.items()},
        time_zone=state.time_zone,
    )


def _schedules(
    state: SiteState, groups: Iterable[Group]
) -> Iterable[tuple[bytes, sections.Schedule]]:
    for schedule_id in {group.schedule_id for group in groups if group.schedule_id is not None}:
        key = bytes.fromhex(schedule_id)
        times = _times(state.schedules[schedule_id])
        yield key, sections.Schedule(schedule_id=key, times=times)


def _holidays(state: SiteState) -> Iterable[tuple[bytes, sections.Holiday]]:
    for holiday in state.holidays:
        day = _day(holiday.starts_on)
        yield day.to_bytes(4), sections.Holiday(day=day, days=holiday.days)


def _groups(groups: Iterable[Group], here: set[LockId]) -> Iterable[tuple[bytes, sections.Group]]:
    for group in groups:
        key = bytes.fromhex(group.id)
        lock_ids = tuple(bytes.fromhex(lock_id) for lock_id in sorted(group.lock_ids & here))
        schedule_id = bytes.fromhex(group.schedule_id) if group.schedule_id is not None else None
        yield (
            key,
            sections.Group(
                group_id=key,
                lock_ids=lock_ids,
                schedule_id=schedule_id,
                starts_at_s=_seconds(group.starts_at),
                ends_at_s=_seconds(group.ends_at),
            ),
        )


def _people(state: SiteState, groups: Iterable[Group]) -> Iterable[tuple[bytes, sections.Person]]:
    """Return those with a credential and a right at some lock of the hub."""
    member_of: defaultdict[PersonId, list[bytes]] = defaultdict(list)
    for group in groups:
        for person_id in group.person_ids:
            member_of[person_id].append(bytes.fromhex(group.id))
    held_by: defaultdict[PersonId, list[HeldCredential]] = defaultdict(list)
    for held in state.credentials:
        held_by[held.credential.person_id].append(held)
    for person_id in member_of.keys() & held_by.keys():
        person = state.people[person_id]
        key = bytes.fromhex(person_id)
        yield (
            key,
            sections.Person(
                person_id=key,
                subscribed=person.subscribed,
                group_ids=tuple(sorted(member_of[person_id])),
                credentials=tuple(
                    sections.Credential(
                        credential_digest=held.digest,
                        blocked=held.credential.blocked,
                        ends_at_s=_seconds(held.credential.ends_at),
                    )
                    for held in sorted(held_by[person_id], key=lambda held: held.digest)
                ),
                ends_at_s=_seconds(person.ends_at),
                starts_at_s=_seconds(person.starts_at),
                privileges=int(person.privileges) or None,
            ),
        )


def _locks(
    state: SiteState, locks: Iterable[Lock], hub: HubIdentity, secrets: Secrets
) -> Iterable[tuple[bytes, sections.LockSettings]]:
    """Return settings and tickets.

    Another device in the hub's place, or another hub, has a greater number, and so link keys that
    the one before it never had.
    """
    hub_id = bytes.fromhex(hub.id)
    hub_key = sealing.hub_key(
        secrets.agreement, X25519PublicKey.from_public_bytes(hub.agreement_key), hub_id=hub_id
    )
    for lock in locks:
        key = bytes.fromhex(lock.id)
        seal_key = lock_seal_key(
            secrets.agreement,
            site_id=state.site_id,
            lock_id=lock.id,
            public_key=lock.public_key,
            epoch=lock.epoch,
        )
        number = lock.ticket_number
        lock_ticket = sealing.LockTicket(hub_id=hub_id, number=number, tag_key=secrets.tag_key)
        hub_ticket = sealing.HubTicket(
            lock_id=key,
            number=number,
            link_key=sealing.link_key(seal_key, hub_id=hub_id, number=number),
        )
        yield (
            key,
            sections.LockSettings(
                lock_id=key,
                serial=lock.serial,
                door=_door(state, lock),
                pairing=lock.pairing,
                lock_ticket=sealing.seal(seal_key, lock_ticket, purpose=sealing.LOCK_TICKET),
                hub_ticket=sealing.seal(hub_key, hub_ticket, purpose=sealing.HUB_TICKET),
            ),
        )


def _offline_list(state: SiteState, rules: OfflineRules, lock: Lock) -> Section:
    held = rules.list_of(lock)
    schedules = sorted(held.schedules, key=_order)
    to_purge = sorted(to_forget(state, lock.id), key=lambda revoked: revoked.digest)
    to_purge.sort(key=lambda revoked: revoked.revoked_at, reverse=True)
    too_many = to_purge[PURGE_MAX:]
    observes_holidays = any(schedule.observes_holidays for schedule in schedules)
    section = sections.build(
        SectionKind.OFFLINE_LIST,
        (
            sections.OfflineList(
                lock_id=bytes.fromhex(lock.id),
                time_zone=state.time_zone,
                schedules=tuple(_times(schedule) for schedule in schedules),
                grants=tuple(_grant(grant, schedules) for grant in held.grants),
                purge=tuple(revoked.digest for revoked in to_purge[:PURGE_MAX]),
                purge_before_s=to_seconds(too_many[0].revoked_at) + 1 if too_many else None,
                holidays=_holidays_of(state) if observes_holidays else None,
            ),
        ),
    )
    assert len(section.data) <= LIST_BYTES_MAX, "the fullest list fits"
    return section


def _holidays_of(state: SiteState) -> tuple[sections.Holiday, ...] | None:
    return tuple(holiday for _, holiday in sorted(_holidays(state))) or None


def _grant(grant: OfflineGrant, schedules: list[Schedule]) -> sections.OfflineGrant:
    places = None
    if grant.schedules is not None:
        places = tuple(sorted(schedules.index(schedule) for schedule in grant.schedules))
    return sections.OfflineGrant(
        credential_digest=grant.holder.digest,
        schedules=places,
        ends_at_s=_seconds(grant.ends_at),
        starts_at_s=_seconds(grant.starts_at),
        privileges=int(grant.privileges) or None,
    )


def _times(schedule: Schedule) -> sections.Times:
    return sections.Times(
        windows=tuple(
            sections.Window(
                weekday=window.weekday, start_min=window.start_min, end_min=window.end_min
            )
            for window in schedule.windows
        ),
        observes_holidays=schedule.observes_holidays,
        from_day=None if schedule.starts_on is None else _day(schedule.starts_on),
        until_day=None if schedule.ends_on is None else _day(schedule.ends_on) + 1,
    )


def _day(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _door(state: SiteState, lock: Lock) -> sections.DoorSettings:
    door = lock.door
    return sections.DoorSettings(
        open_s=door.open_s,
        extended_open_s=door.extended_open_s,
        memory_days=door.memory_days,
        left_open_s=door.left_open_s,
        office=sections.OfficeMode[door.office.name],
        toggle=door.toggle,
        privacy=door.privacy,
        keypad=door.keypad,
        free_locker=lock.free_locker,
        office_times=(
            _times(state.schedules[door.office_schedule_id]) if door.office_schedule_id else None
        ),
    )


def _order(schedule: Schedule) -> tuple[object, ...]:
    """Return what sorts schedules, always in the same order."""
    times = _times(schedule)
    return schedule.windows, times.observes_holidays, times.from_day or 0, times.until_day or 0


def _seconds(instant: datetime | None) -> int | None:
    return None if instant is None else to_seconds(instant)
