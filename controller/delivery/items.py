"""What hubs and locks are told of one thing, as the wire language has it.

Pure, and functions of the rows alone: the same rows give the same bytes at every instant and on
every machine, which is what keeps a lock's offline list as it is while a subscription ends and
comes back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from controller.delivery.seals import lock_seal_key
from controller.domain.access import Person
from controller.domain.hardware import DoorSettings
from controller.domain.ids import GroupId, HubId, SiteId
from controller.domain.instants import to_seconds
from controller.domain.offline import OfflineGrant, OfflineRules, to_forget
from controller.domain.schedule import Holiday, Schedule
from controller.domain.site_state import Group, HeldCredential, Lock, SiteState
from gateway.protocol import sealing, sections
from gateway.protocol.messages import SectionKind
from gateway.protocol.sections import LIST_BYTES_MAX, Section


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
class Holder:
    """A person with everything that opens doors."""

    person: Person
    credentials: tuple[HeldCredential, ...]
    group_ids: frozenset[GroupId]


def schedule_item(schedule_id: str, schedule: Schedule) -> sections.Schedule:
    """Return a schedule that groups follow."""
    return sections.Schedule(schedule_id=bytes.fromhex(schedule_id), times=times(schedule))


def holiday_item(holiday: Holiday) -> sections.Holiday:
    """Return a holiday of the site."""
    return sections.Holiday(day=_day(holiday.starts_on), days=holiday.days)


def group_item(group: Group) -> sections.Group:
    """Return a group whose locks are those of one hub."""
    return sections.Group(
        group_id=bytes.fromhex(group.id),
        lock_ids=tuple(bytes.fromhex(lock_id) for lock_id in sorted(group.lock_ids)),
        schedule_id=None if group.schedule_id is None else bytes.fromhex(group.schedule_id),
        starts_at_s=_seconds(group.starts_at),
        ends_at_s=_seconds(group.ends_at),
    )


def person_item(holder: Holder, here: Iterable[GroupId]) -> sections.Person | None:
    """Return a person at a hub; None for one who holds no credential or has no right there.

    Args:
        holder: The person.
        here: The person's groups with a lock of the hub.
    """
    group_ids = tuple(sorted(bytes.fromhex(group_id) for group_id in here))
    if not group_ids or not holder.credentials:
        return None
    person = holder.person
    return sections.Person(
        person_id=bytes.fromhex(person.id),
        subscribed=person.subscribed,
        group_ids=group_ids,
        credentials=tuple(
            sections.Credential(
                credential_digest=held.digest,
                blocked=held.credential.blocked,
                ends_at_s=_seconds(held.credential.ends_at),
            )
            for held in sorted(holder.credentials, key=lambda held: held.digest)
        ),
        ends_at_s=_seconds(person.ends_at),
        starts_at_s=_seconds(person.starts_at),
        privileges=int(person.privileges) or None,
    )


def lock_item(
    site_id: SiteId, lock: Lock, office: Schedule | None, hub: HubIdentity, secrets: Secrets
) -> sections.LockSettings:
    """Return settings and tickets of a lock.

    Another device in the hub's place, or another hub, has a greater number, and so link keys that
    the one before it never had.

    Raises:
        ProtocolError: The key of hub or lock agrees on nothing secret.
    """
    key, hub_id = bytes.fromhex(lock.id), bytes.fromhex(hub.id)
    hub_key = sealing.hub_key(
        secrets.agreement, X25519PublicKey.from_public_bytes(hub.agreement_key), hub_id=hub_id
    )
    seal_key = lock_seal_key(
        secrets.agreement,
        site_id=site_id,
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
    return sections.LockSettings(
        lock_id=key,
        serial=lock.serial,
        door=_door(lock.door, office, free_locker=lock.free_locker),
        pairing=lock.pairing,
        lock_ticket=sealing.seal(seal_key, lock_ticket, purpose=sealing.LOCK_TICKET),
        hub_ticket=sealing.seal(hub_key, hub_ticket, purpose=sealing.HUB_TICKET),
    )


def offline_list(
    state: SiteState, rules: OfflineRules, lock: Lock, office: Schedule | None
) -> Section:
    """Return what a lock holds for offline use.

    Args:
        state: The site, or as much of it as ``OfflineRules`` needs for this lock, with the holders
            of what the lock is to forget.
        rules: Those of the state.
        lock: One of its locks.
        office: When the lock may stay open by itself.
    """
    held = rules.list_of(lock)
    schedules = sorted(held.schedules, key=_order)
    forgotten = to_forget(replace(state, revoked=lock.purges), lock.id)
    newest_first = sorted(forgotten, key=lambda revoked: revoked.digest)
    newest_first.sort(key=lambda revoked: revoked.revoked_at, reverse=True)
    holidays = None
    if any(
        schedule is not None and schedule.observes_holidays for schedule in (*schedules, office)
    ):
        in_order = sorted(state.holidays, key=lambda holiday: holiday.starts_on)
        holidays = tuple(holiday_item(holiday) for holiday in in_order) or None
    section = sections.build(
        SectionKind.OFFLINE_LIST,
        (
            sections.OfflineList(
                lock_id=bytes.fromhex(lock.id),
                time_zone=state.time_zone,
                schedules=tuple(times(schedule) for schedule in schedules),
                grants=tuple(_grant(grant, schedules) for grant in held.grants),
                purge=tuple(revoked.digest for revoked in newest_first),
                purge_before_s=None if lock.purged_at is None else to_seconds(lock.purged_at) + 1,
                holidays=holidays,
            ),
        ),
    )
    assert len(section.data) <= LIST_BYTES_MAX, "the fullest list fits"
    return section


def times(schedule: Schedule) -> sections.Times:
    """Return when a schedule is open."""
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


def _grant(grant: OfflineGrant, schedules: Sequence[Schedule]) -> sections.OfflineGrant:
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


def _door(
    door: DoorSettings, office: Schedule | None, *, free_locker: bool
) -> sections.DoorSettings:
    return sections.DoorSettings(
        open_s=door.open_s,
        extended_open_s=door.extended_open_s,
        memory_days=door.memory_days,
        left_open_s=door.left_open_s,
        office=sections.OfficeMode[door.office.name],
        toggle=door.toggle,
        privacy=door.privacy,
        keypad=door.keypad,
        free_locker=free_locker,
        office_times=None if office is None else times(office),
    )


def _order(schedule: Schedule) -> tuple[object, ...]:
    """Return what sorts schedules, always in the same order."""
    told = times(schedule)
    return schedule.windows, told.observes_holidays, told.from_day or 0, told.until_day or 0


def _day(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _seconds(instant: datetime | None) -> int | None:
    return None if instant is None else to_seconds(instant)
