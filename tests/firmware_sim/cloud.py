"""The controller's side for tests: it signs real messages and commits entries into a dict."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware_sim.hub.state import HubIdentity
from firmware_sim.inputs import Received
from firmware_sim.lock.state import LockIdentity
from firmware_sim.outputs import Publish
from firmware_sim.phone import Phone
from gateway.protocol import cose, phone, sealing, sections, wire
from gateway.protocol.messages import (
    Ack,
    Ask,
    Batch,
    Command,
    Entry,
    Greeting,
    Lease,
    Manifest,
    Reply,
    SectionKind,
    Status,
    Welcome,
)
from gateway.protocol.sealing import OrderKind
from gateway.protocol.sections import (
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
from gateway.protocol.topics import DownKind, Topic, UpKind

M = TypeVar("M")

NOON = 1_800_000_000 - 1_800_000_000 % 86_400 + 12 * 3600  # a day in 2027
FAR = NOON + 365 * 86_400
DAY = 86_400
DOOR = DoorSettings(
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


def ident(text: str) -> bytes:
    """Return 16 bytes that stand for a name."""
    return hashlib.sha256(text.encode()).digest()[:16]


def weekly(*windows: Window) -> Times:
    """Return times that know neither holidays nor dates."""
    return Times(windows=windows, observes_holidays=False)


def secret(text: str) -> bytes:
    """Return 32 bytes that stand for a secret."""
    return hashlib.sha256(b"secret " + text.encode()).digest()


@dataclass
class Plan:
    """The access state of one hub, as an administrator would think of it."""

    zone: str = "UTC"
    schedules: dict[str, Times] = field(default_factory=dict)
    holidays: tuple[Holiday, ...] = ()
    groups: dict[str, tuple[tuple[str, ...], str | None]] = field(default_factory=dict)
    people: tuple[Person, ...] = ()
    lists: dict[str, OfflineList] = field(default_factory=dict)
    doors: dict[str, DoorSettings] = field(default_factory=dict)  # by lock, DOOR for the others
    people_per_section: int = 50
    with_index: bool = False


class Cloud:
    """One site's controller. It is honest; tests that want a liar take its keys away."""

    def __init__(self, site: str) -> None:
        self.site_id = ident(f"site {site}")
        self.signing_key = Ed25519PrivateKey.from_private_bytes(secret(f"signing {site}"))
        self.agreement_key = X25519PrivateKey.from_private_bytes(secret(f"agreement {site}"))
        self.tag_key = secret(f"tag {site}")
        self.epoch = 1
        self.speed = 1
        self.plans: dict[bytes, Plan] = {}
        self.lock_names: dict[bytes, dict[str, LockIdentity]] = {}
        self.leases: dict[bytes, Lease] = {}
        self.revisions: dict[bytes, int] = {}
        self.sections: dict[bytes, bytes] = {}
        self.entries: dict[tuple[bytes, int, int], Entry] = {}
        self.copies = 0  # entries that came although they were committed
        self.statuses: dict[bytes, Status] = {}
        self.confirmed: dict[bytes, int] = {}  # the greatest revision that a hub ever confirmed
        self.replies: list[Reply] = []
        self.asked: list[int] = []  # how many hashes each ASK had
        self.is_acking = True
        self.sections_until_silent = 1000
        self.order_number = 0

    def lock_id(self, name: str) -> bytes:
        """Return the id of a lock."""
        return ident(f"lock {name}")

    def digest(self, tag: bytes) -> bytes:
        """Return what a tag is called at this site."""
        return sealing.tag_digest(tag, self.tag_key)

    def pin_digest(self, pin: str) -> bytes:
        """Return what a PIN is called at this site."""
        return sealing.pin_digest(pin, self.tag_key)

    def phone(self, name: str, *, expires_at_s: int = FAR) -> Phone:
        """Return somebody's phone with a document."""
        blank = Phone(key=secret(f"phone {name}"))
        document = phone.AccessDocument(
            site_id=self.site_id,
            credential_id=ident(f"phone {name}"),
            public_key=blank.public_key,
            issued_at_s=NOON,
            expires_at_s=expires_at_s,
        )
        return replace(blank, document=phone.issue(document, self.signing_key))

    def phone_digest(self, of: Phone) -> bytes:
        """Return what a digital key is called at this site."""
        return sealing.phone_digest(of.public_key, self.tag_key)

    def hub_identity(self, name: str) -> HubIdentity:
        """Claim a hub."""
        identity = HubIdentity(
            serial=f"HUB-{name}",
            hub_id=ident(f"hub {name}"),
            site_id=self.site_id,
            epoch=self.epoch,
            device_key=secret(f"device {name}"),
            agreement_key=secret(f"agreement {name}"),
            controller_signing_key=self.signing_key.public_key().public_bytes_raw(),
            controller_agreement_key=self.agreement_key.public_key().public_bytes_raw(),
        )
        self.plans[identity.hub_id] = Plan()
        self.lock_names[identity.hub_id] = {}
        self.revisions[identity.hub_id] = 0
        return identity

    def signed(self, hub_id: bytes, kind: DownKind, message: object) -> Received:
        """Return a message as the hub receives it."""
        topic = Topic(hub_id=hub_id.hex(), kind=kind)
        payload = cose.sign(wire.encode(message), self.signing_key, cose.external_data(topic))
        return Received(kind=kind, payload=payload)

    def lease(
        self,
        hub_id: bytes,
        *,
        subscribed: bool = True,
        ends_at_s: int = FAR,
        grace_s: int = DAY,
    ) -> Received:
        """Sign the next lease."""
        held = self.leases.get(hub_id)
        lease = Lease(
            hub_id=hub_id,
            site_id=self.site_id,
            epoch=self.epoch,
            number=held.number + 1 if held else 1,
            subscribed=subscribed,
            ends_at_s=ends_at_s,
            serve_until_s=ends_at_s + grace_s,
            revision=self.revisions[hub_id],
        )
        self.leases[hub_id] = lease
        return self.signed(hub_id, DownKind.LEASE, lease)

    def manifest(self, hub_id: bytes, *, revise: bool = True) -> Received:
        """Compile the plan and sign the manifest of the next (or the present) revision."""
        if revise:
            self.revisions[hub_id] += 1
        compiled = self.compile(hub_id)
        self.sections.update({section.hash: section.data for section in compiled})
        if self.plans[hub_id].with_index:
            index = sections.build(SectionKind.INDEX, tuple(each.root for each in compiled))
            self.sections[index.hash] = index.data
            compiled = [index]
        manifest = Manifest(
            hub_id=hub_id,
            site_id=self.site_id,
            epoch=self.epoch,
            revision=self.revisions[hub_id],
            time_zone=self.plans[hub_id].zone,
            roots=tuple(section.root for section in compiled),
        )
        return self.signed(hub_id, DownKind.MANIFEST, manifest)

    def compile(self, hub_id: bytes) -> list[Section]:
        """Return the sections of a hub's plan."""
        plan = self.plans[hub_id]
        locks = tuple(
            self.settings(hub_id, name, lock) for name, lock in self.lock_names[hub_id].items()
        )
        schedules = tuple(
            Schedule(schedule_id=ident(f"schedule {name}"), times=times)
            for name, times in plan.schedules.items()
        )
        groups = tuple(
            Group(
                group_id=ident(f"group {name}"),
                lock_ids=tuple(self.lock_id(lock) for lock in names),
                schedule_id=ident(f"schedule {schedule}") if schedule else None,
            )
            for name, (names, schedule) in plan.groups.items()
        )
        size = plan.people_per_section
        return [
            sections.build(SectionKind.SCHEDULES, schedules),
            sections.build(SectionKind.HOLIDAYS, plan.holidays),
            sections.build(SectionKind.GROUPS, groups),
            sections.build(SectionKind.LOCKS, locks),
            *(
                sections.build(SectionKind.PEOPLE, plan.people[first : first + size])
                for first in range(0, len(plan.people), size)
            ),
            *(sections.build(SectionKind.OFFLINE_LIST, (each,)) for each in plan.lists.values()),
        ]

    def settings(self, hub_id: bytes, name: str, lock: LockIdentity) -> LockSettings:
        """Return what the hub must know of a lock."""
        lock_id, plan = self.lock_id(name), self.plans[hub_id]
        public = X25519PrivateKey.from_private_bytes(lock.key).public_key()
        hub = X25519PrivateKey.from_private_bytes(secret(f"agreement {self._name(hub_id)}"))
        pairing = sealing.Pairing(
            site_id=self.site_id,
            lock_id=lock_id,
            epoch=self.epoch,
            agreement_key=self.agreement_key.public_key().public_bytes_raw(),
            signing_key=self.signing_key.public_key().public_bytes_raw(),
        )
        seal_key = sealing.seal_key(
            self.agreement_key, public, site_id=self.site_id, lock_id=lock_id, epoch=self.epoch
        )
        hub_key = sealing.hub_key(self.agreement_key, hub.public_key(), hub_id=hub_id)
        link_key = sealing.link_key(seal_key, hub_id=hub_id, number=1)
        lock_ticket = sealing.LockTicket(hub_id=hub_id, number=1, tag_key=self.tag_key)
        hub_ticket = sealing.HubTicket(lock_id=lock_id, number=1, link_key=link_key)
        return LockSettings(
            lock_id=lock_id,
            serial=lock.serial,
            door=plan.doors.get(name, DOOR),
            pairing=sealing.sign_pairing(pairing, lock.sticker_secret),
            lock_ticket=sealing.seal(seal_key, lock_ticket, purpose=sealing.LOCK_TICKET),
            hub_ticket=sealing.seal(hub_key, hub_ticket, purpose=sealing.HUB_TICKET),
        )

    def command(
        self,
        hub_id: bytes,
        name: str,
        *,
        issued_ms: int,
        until_ms: int,
        number: int | None = None,
        kind: OrderKind = OrderKind.OPEN,
        seconds: int | None = None,
    ) -> tuple[bytes, Received]:
        """Sign an order to a lock."""
        self.order_number += 1
        number = number or self.order_number
        command_id = ident(f"command {self.order_number}")
        lock = self.lock_names[hub_id][name]
        seal_key = sealing.seal_key(
            self.agreement_key,
            X25519PrivateKey.from_private_bytes(lock.key).public_key(),
            site_id=self.site_id,
            lock_id=self.lock_id(name),
            epoch=self.epoch,
        )
        order = sealing.LockOrder(
            command_id=command_id, number=number, until_ms=until_ms, kind=kind, seconds=seconds
        )
        command = Command(
            command_id=command_id,
            lock_id=self.lock_id(name),
            issued_ms=issued_ms,
            ttl_s=10,
            sealed=sealing.seal(seal_key, order, purpose=sealing.LOCK_ORDER),
        )
        return command_id, self.signed(hub_id, DownKind.COMMAND, command)

    def greeting(self, hub_id: bytes, *, utc_ms: int) -> Received:
        """Sign what a gateway says when it starts."""
        return self.signed(hub_id, DownKind.GREETING, Greeting(utc_ms=utc_ms))

    def hear(
        self, identity: HubIdentity, publish: Publish, *, calendar_ms: int, utc_ms: int
    ) -> list[Received]:
        """Return the answers to a hub's message."""
        hub_id = identity.hub_id
        key = Ed25519PrivateKey.from_private_bytes(identity.device_key).public_key()
        topic = Topic(hub_id=hub_id.hex(), kind=publish.kind)
        payload = cose.verify(publish.payload, [key], cose.external_data(topic))
        match publish.kind:
            case UpKind.BATCH:
                return self._commit(hub_id, publish.payload, wire.decode(Batch, payload))
            case UpKind.ASK:
                ask = wire.decode(Ask, payload)
                self.asked.append(len(ask.hashes))
                served = ask.hashes[: self.sections_until_silent]
                self.sections_until_silent -= len(served)
                return [
                    Received(kind=DownKind.SECTION, payload=self.sections[name]) for name in served
                ]
            case UpKind.REPLY:
                self.replies.append(wire.decode(Reply, payload))
                return []
            case _:
                status = wire.decode(Status, payload)
                self.statuses[hub_id] = status
                self.confirmed[hub_id] = max(self.confirmed.get(hub_id, 0), status.revision)
                welcome = self._welcome(hub_id, status.nonce, calendar_ms, utc_ms)
                return [welcome, *self._what_lacks(hub_id, status)]

    def _commit(self, hub_id: bytes, message: bytes, batch: Batch) -> list[Received]:
        if not self.is_acking:
            return []
        for entry in batch.entries:
            key = (entry.lock_id, entry.log_epoch, entry.sequence)
            self.copies += key in self.entries
            self.entries.setdefault(key, entry)
        lease = self.leases.get(hub_id)
        ack = Ack(
            batch_hash=hashlib.sha256(message).digest(),
            lease_number=lease.number if lease else 0,
            revision=self.revisions[hub_id],
        )
        return [self.signed(hub_id, DownKind.ACK, ack)]

    def _welcome(self, hub_id: bytes, nonce: bytes, calendar_ms: int, utc_ms: int) -> Received:
        lease = self.leases.get(hub_id)
        welcome = Welcome(
            nonce=nonce,
            epoch=self.epoch,
            lease_number=lease.number if lease else 0,
            revision=self.revisions[hub_id],
            calendar_ms=calendar_ms,
            speed=self.speed,
            utc_ms=utc_ms,
        )
        return self.signed(hub_id, DownKind.WELCOME, welcome)

    def _what_lacks(self, hub_id: bytes, status: Status) -> list[Received]:
        """Return the documents that the hub lacks: lease first, access only while subscribed."""
        lacking = []
        lease = self.leases.get(hub_id)
        if lease is not None and status.lease_number < lease.number:
            lacking.append(self.signed(hub_id, DownKind.LEASE, lease))
        if lease is not None and lease.subscribed and status.revision < self.revisions[hub_id]:
            lacking.append(self.manifest(hub_id, revise=False))
        return lacking

    def _name(self, hub_id: bytes) -> str:
        return next(name for name in map(str, range(100)) if ident(f"hub {name}") == hub_id)


def person(
    name: str,
    *digests: bytes,
    groups: tuple[str, ...] = (),
    subscribed: bool = True,
    ends_at_s: int | None = None,
    privileges: int | None = None,
) -> Person:
    """Return somebody with tags."""
    return Person(
        person_id=ident(f"person {name}"),
        subscribed=subscribed,
        group_ids=tuple(ident(f"group {group}") for group in groups),
        credentials=tuple(
            Credential(credential_digest=digest, blocked=False) for digest in digests
        ),
        ends_at_s=ends_at_s,
        privileges=privileges,
    )


def blocked(someone: Person) -> Person:
    """Return the same person with every tag blocked."""
    return replace(
        someone,
        credentials=tuple(replace(each, blocked=True) for each in someone.credentials),
    )


def offline_list(
    lock_id: bytes,
    *grants: OfflineGrant,
    zone: str = "UTC",
    schedules: tuple[Times, ...] = (),
    purge: tuple[bytes, ...] = (),
    purge_before_s: int | None = None,
    holidays: tuple[Holiday, ...] | None = None,
) -> OfflineList:
    """Return what a lock may open by itself."""
    return OfflineList(
        lock_id=lock_id,
        time_zone=zone,
        schedules=schedules,
        grants=grants,
        purge=purge,
        purge_before_s=purge_before_s,
        holidays=holidays,
    )
