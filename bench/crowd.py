"""A site with many people at one hub, and the controller that speaks for it."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware_sim.hub.state import HubIdentity
from firmware_sim.inputs import Received
from gateway.protocol import cose, frames, sealing, sections, wire
from gateway.protocol.messages import Lease, Manifest, SectionKind
from gateway.protocol.sections import (
    HOLIDAY,
    Credential,
    DoorSettings,
    Group,
    Holiday,
    LockSettings,
    OfficeMode,
    OfflineGrant,
    OfflineList,
    Person,
    Schedule,
    Section,
    Times,
    Window,
)
from gateway.protocol.topics import DownKind, Topic

LOCKS: Final = 16
GROUPS: Final = 200
SCHEDULES: Final = 40
HOLIDAYS: Final = 40
PEOPLE_PER_SECTION: Final = 90
ROOTS_PER_INDEX: Final = 250
LISTED: Final = 360
NOW_S: Final = 1_795_424_400  # Monday 2026-11-23 09:00 UTC
DAY_S: Final = 86_400
PAIRING: Final = bytes(300)  # the hub only hands it on
DEVICE_KEY: Final = b"\x03" * 32
SITE_ID, HUB_ID = b"S" * 16, b"H" * 16

_DOOR: Final = DoorSettings(
    open_s=5,
    extended_open_s=20,
    memory_days=7,
    left_open_s=60,
    office=OfficeMode.NONE,
    toggle=False,
    privacy=False,
    keypad=False,
    free_locker=False,
)


def name_of(kind: str, number: int) -> bytes:
    """Return 16 bytes that stand for a thing."""
    return hashlib.sha256(f"{kind} {number}".encode()).digest()[:16]


class Site:
    """Who may open what at the hub, and the controller that says so."""

    def __init__(self, people: int) -> None:
        self._signing = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
        self._agreement = X25519PrivateKey.from_private_bytes(b"\x02" * 32)
        self.identity = HubIdentity(
            serial="IQ-1",
            hub_id=HUB_ID,
            site_id=SITE_ID,
            epoch=1,
            device_key=DEVICE_KEY,
            agreement_key=b"\x04" * 32,
            controller_signing_key=self._signing.public_key().public_bytes_raw(),
            controller_agreement_key=self._agreement.public_key().public_bytes_raw(),
        )
        self.lock_ids = [name_of("lock", number) for number in range(LOCKS)]
        self.link_keys = {lock_id: lock_id * 4 for lock_id in self.lock_ids}
        crowd = [_person(number) for number in range(people)]
        self._people = [
            sections.build(SectionKind.PEOPLE, tuple(crowd[first : first + PEOPLE_PER_SECTION]))
            for first in range(0, people, PEOPLE_PER_SECTION)
        ]
        self._others = [*self._rules(), *self._locks()]
        self.revision = 0

    def signed(self, kind: DownKind, message: object) -> Received:
        """Return a message as the hub receives it."""
        external = cose.external_data(Topic(hub_id=HUB_ID.hex(), kind=kind))
        payload = cose.sign(wire.encode(message), self._signing, external)
        return Received(kind=kind, payload=payload)

    def lease(self) -> Received:
        """Return a lease that does not end in this benchmark."""
        end_s = NOW_S + 1000 * DAY_S
        lease = Lease(
            hub_id=HUB_ID,
            site_id=SITE_ID,
            epoch=1,
            number=1,
            subscribed=True,
            ends_at_s=end_s,
            serve_until_s=end_s,
            revision=1,
        )
        return self.signed(DownKind.LEASE, lease)

    def published(self) -> tuple[Received, dict[bytes, bytes]]:
        """Return the manifest of the next revision, and all sections by hash."""
        self.revision += 1
        leaves = [*self._others, *self._people]
        roots = [section.root for section in leaves]
        index = [
            sections.build(SectionKind.INDEX, tuple(roots[first : first + ROOTS_PER_INDEX]))
            for first in range(0, len(roots), ROOTS_PER_INDEX)
        ]
        manifest = Manifest(
            hub_id=HUB_ID,
            site_id=SITE_ID,
            epoch=1,
            revision=self.revision,
            time_zone="Europe/Madrid",
            roots=tuple(section.root for section in index),
        )
        named = {section.hash: section.data for section in [*index, *leaves]}
        return self.signed(DownKind.MANIFEST, manifest), named

    def block(self, number: int) -> None:
        """Block the tag of somebody in a section that differs from edit to edit."""
        place = number * 7 % len(self._people)
        first, *others = sections.read(SectionKind.PEOPLE, self._people[place].data)
        assert isinstance(first, Person)
        held = tuple(replace(each, blocked=not each.blocked) for each in first.credentials)
        changed = replace(first, credentials=held)
        self._people[place] = sections.build(SectionKind.PEOPLE, (changed, *others))

    def ask(self, number: int) -> tuple[bytes, bytes, bytes]:
        """Return digest, lock and frame of a question; now and then nobody has the tag."""
        digest = name_of("tag", number * 31 % (len(self._people) * PEOPLE_PER_SECTION + 9))
        lock_id = self.lock_ids[number % LOCKS]
        ask = frames.Ask(challenge=name_of("challenge", number), credential_digest=digest)
        frame = frames.protect(ask, lock_id=lock_id, link_key=self.link_keys[lock_id])
        return digest, lock_id, frames.encode(frame)

    def _rules(self) -> Iterator[Section]:
        schedules = tuple(
            Schedule(schedule_id=name_of("schedule", number), times=_times(number))
            for number in range(SCHEDULES)
        )
        groups = tuple(
            Group(
                group_id=name_of("group", number),
                lock_ids=tuple(self.lock_ids[number % 8 :: 2]),
                schedule_id=name_of("schedule", number % SCHEDULES) if number % 5 else None,
                ends_at_s=NOW_S + number * DAY_S if number % 3 else None,
            )
            for number in range(GROUPS)
        )
        today = NOW_S // DAY_S
        days = tuple(Holiday(day=today + 9 * number, days=2) for number in range(HOLIDAYS))
        yield sections.build(SectionKind.SCHEDULES, schedules[: SCHEDULES // 2])
        yield sections.build(SectionKind.SCHEDULES, schedules[SCHEDULES // 2 :])
        yield sections.build(SectionKind.HOLIDAYS, days)
        for first in range(0, GROUPS, 50):
            yield sections.build(SectionKind.GROUPS, groups[first : first + 50])

    def _locks(self) -> Iterator[Section]:
        agreement_key = X25519PrivateKey.from_private_bytes(self.identity.agreement_key)
        hub_key = sealing.hub_key(self._agreement, agreement_key.public_key(), hub_id=HUB_ID)
        for number, lock_id in enumerate(self.lock_ids):
            ticket = sealing.HubTicket(lock_id=lock_id, number=1, link_key=self.link_keys[lock_id])
            settings = LockSettings(
                lock_id=lock_id,
                serial=f"LK-{number}",
                door=_DOOR,
                pairing=PAIRING,
                lock_ticket=bytes(72),
                hub_ticket=sealing.seal(hub_key, ticket, purpose=sealing.HUB_TICKET),
            )
            grants = tuple(
                OfflineGrant(credential_digest=name_of("tag", each), schedules=(0,))
                for each in range(LISTED)
            )
            listed = OfflineList(
                lock_id=lock_id,
                time_zone="Europe/Madrid",
                schedules=(_times(0),),
                grants=grants,
                purge=(),
            )
            yield sections.build(SectionKind.LOCKS, (settings,))
            yield sections.build(SectionKind.OFFLINE_LIST, (listed,))


def _times(number: int) -> Times:
    windows = tuple(
        Window(weekday=day, start_min=first, end_min=first + 180 + number)
        for day in range(HOLIDAY + 1)
        for first in (420, 780)
    )
    return Times(windows=windows, observes_holidays=True, from_day=NOW_S // DAY_S - number)


def _person(number: int) -> Person:
    credential = Credential(credential_digest=name_of("tag", number), blocked=number % 50 == 49)
    groups = tuple(name_of("group", (number * 7 + each * 13) % GROUPS) for each in range(3))
    return Person(
        person_id=name_of("person", number),
        subscribed=True,
        group_ids=groups[: 1 + number % 3],
        credentials=(credential,),
        ends_at_s=NOW_S + DAY_S if number % 10 == 0 else None,
    )
