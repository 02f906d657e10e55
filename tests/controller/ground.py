"""A database with two sites, and hubs that speak for themselves: what the device link is tested on.

Each site has 2 hubs with 2 locks each; person n holds tag n and may open all locks of the site.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Table, insert, select, text, update

from controller import keys as key_file
from controller.audit.service import Audit
from controller.bus import ProcessBus
from controller.chance import RandomIds, SystemRandomness
from controller.db.engine import Database, Session
from controller.db.tables.access import access_groups, group_locks, group_people
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.people import credentials, people
from controller.db.tables.sites import sites
from controller.db.tables.subscriptions import subscriptions
from controller.delivery.service import Delivery
from controller.domain.happenings import Happening
from controller.domain.ids import SiteId
from controller.hardware.release import Departures
from controller.inbound import Inbound
from controller.keys import Keys
from controller.sync.changes import Touched
from controller.sync.service import Sync
from controller.threads import PoolThreads
from gateway.port import Downlink, Uplink
from gateway.protocol import cose, wire
from gateway.protocol.messages import (
    Ask,
    Batch,
    Entry,
    EntryKind,
    LockStatus,
    Reply,
    Status,
)
from gateway.protocol.topics import DownKind, Topic, UpKind
from gateway.session import Received

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDS: Final = NOW + timedelta(days=7)
GRACE: Final = timedelta(hours=24)
PEOPLE: Final = 3
PATIENCE_S: Final = 10.0

Said = Status | Batch | Ask | Reply
Message = TypeVar("Message")


def name(kind: str, *numbers: int) -> str:
    """An id: always the same for the same thing."""
    return sha256(f"{kind} {numbers}".encode()).hexdigest()[:32]


@dataclass
class Clocks:
    """Both clocks; they stand until they are set."""

    calendar: datetime = NOW
    monotonic_s: float = 1_000.0
    real: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    speed: int = 1

    def pass_by(self, seconds: float) -> None:
        """Let real time pass."""
        self.monotonic_s += seconds
        self.real += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Calendar:
    """The calendar of some clocks."""

    clocks: Clocks

    @property
    def speed(self) -> int:
        """Its speed."""
        return self.clocks.speed

    def now(self) -> datetime:
        """Its instant."""
        return self.clocks.calendar


@dataclass(frozen=True)
class LinkClock:
    """The link clock of some clocks."""

    clocks: Clocks

    def now(self) -> float:
        """Its seconds."""
        return self.clocks.monotonic_s

    def utc(self) -> datetime:
        """Its instant."""
        return self.clocks.real


@dataclass
class Hub:
    """A hub that signs what it says."""

    site: int
    number: int
    controller: Keys
    acknowledged: Counter[bytes] = field(default_factory=Counter)

    @property
    def id(self) -> str:
        """Its id."""
        return name("hub", self.site, self.number)

    @property
    def key(self) -> Ed25519PrivateKey:
        """Its own key."""
        return Ed25519PrivateKey.from_private_bytes(sha256(self.id.encode()).digest())

    def lock_id(self, number: int = 0) -> bytes:
        """The id of one of its locks."""
        return bytes.fromhex(name("lock", self.site, self.number, number))

    def signed(self, kind: UpKind, message: Said) -> bytes:
        """A message as it goes out."""
        topic = Topic(hub_id=self.id, kind=kind)
        return cose.sign(wire.encode(message), self.key, cose.external_data(topic))

    def uplink(self, kind: UpKind, message: Said) -> Uplink:
        """A message as the gateway hands it in."""
        raw = self.signed(kind, message)
        return Uplink(hub_id=self.id, kind=kind, raw=raw, message=message)

    def received(self, kind: UpKind, payload: bytes) -> Received:
        """A message as the broker brings it; its PUBACKs are counted."""

        def acknowledge() -> None:
            self.acknowledged[payload] += 1

        return Received(hub_id=self.id, kind=kind, payload=payload, acknowledge=acknowledge)

    def read(self, downlink: Downlink, kind: type[Message]) -> Message:
        """A message from the controller, if it is for this hub."""
        topic = Topic(hub_id=self.id, kind=downlink.kind)
        public = self.controller.signing.public_key()
        payload = cose.verify(downlink.data, [public], cose.external_data(topic))
        return wire.decode(kind, payload)

    def status(self, *, lease: int = 0, revision: int = 0, **changes: Any) -> Status:
        """How it stands: by default as after its claim."""
        values: dict[str, Any] = {
            "nonce": bytes(16),
            "epoch": 1,
            "lease_number": lease,
            "revision": revision,
            "subscribed": lease > 0,
            "firmware": "test 1",
            "entries_waiting": 0,
            "locks": (),
        }
        return Status(**values | changes)

    def lock_status(self, number: int = 0, **changes: Any) -> LockStatus:
        """How one of its locks stands."""
        values: dict[str, Any] = {
            "lock_id": self.lock_id(number),
            "online": True,
            "paired": True,
            "log_epoch": 1,
        }
        return LockStatus(**values | changes)

    def entry(self, sequence: int, **changes: Any) -> Entry:
        """One entry of one of its locks."""
        values: dict[str, Any] = {
            "lock_id": self.lock_id(),
            "log_epoch": 1,
            "sequence": sequence,
            "kind": EntryKind.OPENED_BY_HUB,
            "at_s": int(NOW.timestamp()) + sequence,
            "clock_trusted": True,
            "credential_digest": tag(self.site, 0),
        }
        return Entry(**values | changes)

    def batch(self, *sequences: int, **changes: Any) -> Batch:
        """Entries of one of its locks."""
        return Batch(entries=tuple(self.entry(sequence, **changes) for sequence in sequences))


def tag(site: int, number: int) -> bytes:
    """What a tag is called on the link."""
    return bytes.fromhex(name("digest", site, number))


class Audience:
    """Hears what is new."""

    def __init__(self) -> None:
        self.heard: list[Happening] = []

    async def note(self, _tx: Session, happenings: Sequence[Happening], *, now: datetime) -> None:
        """Keep it, if it is committed or not."""
        assert now.tzinfo is not None
        self.heard += happenings


class Line:
    """The broker, as the gateway sees it: what hubs say goes in, what they hear comes out."""

    def __init__(self) -> None:
        self.is_connected = True
        self.published: list[Downlink] = []
        self._inbox: asyncio.Queue[Received] = asyncio.Queue(10_000)

    def bring(self, *received: Received) -> None:
        """Let messages arrive."""
        for each in received:
            self._inbox.put_nowait(each)

    async def receive(self, *, limit: int) -> Sequence[Received]:
        """What has arrived."""
        batch = [await self._inbox.get()]
        while len(batch) < limit and not self._inbox.empty():
            batch.append(self._inbox.get_nowait())
        return batch

    async def publish(self, hub_id: str, kind: DownKind, payload: bytes) -> bool:
        """Note what a hub hears."""
        self.published.append(Downlink(hub_id=hub_id, kind=kind, data=payload))
        return self.is_connected

    def heard(self, hub: Hub, kind: DownKind) -> list[Downlink]:
        """What a hub has heard of a kind."""
        return [each for each in self.published if (each.hub_id, each.kind) == (hub.id, kind)]


@dataclass
class Ground:
    """An open database with two sites, and the cloud's end of the device link on it."""

    db: Database
    clocks: Clocks
    keys: Keys
    bus: ProcessBus
    inbound: Inbound
    audience: "Audience"

    @property
    def dialect(self) -> str:
        """Which database it is."""
        return self.db._writers.engine.dialect.name

    def hub(self, site: int = 0, number: int = 0) -> Hub:
        """One of the hubs."""
        return Hub(site=site, number=number, controller=self.keys)

    async def rows(self, table: Table, **equal: Any) -> list[Any]:
        """Rows of a table."""
        statement = select(table).where(*(table.c[key] == value for key, value in equal.items()))
        async with self.db.read() as tx:
            return list(await tx.execute(statement))

    async def row(self, table: Table, **equal: Any) -> Any:
        """The one row of a table."""
        (found,) = await self.rows(table, **equal)
        return found

    async def change(self, table: Table, where: dict[str, Any], **values: Any) -> None:
        """Set columns as another feature would."""
        condition = (table.c[key] == value for key, value in where.items())
        async with self.db.write() as tx:
            await tx.execute(update(table).where(*condition).values(**values))

    async def touch(self, *touched: Touched, site: int = 0) -> None:
        """Ask for what an edit of these reaches, as other features do."""
        async with self.db.write() as tx:
            await Sync(self.bus).request_revision(tx, SiteId(name("site", site)), touched)

    async def run(self, *statements: str) -> None:
        """Run statements of SQL."""
        async with self.db.write() as tx:
            for statement in statements:
                await tx.execute(text(statement))

    async def fail_commits(self) -> None:
        """Let every transaction that stores an entry fail at its very end, in COMMIT."""
        if self.dialect == "sqlite":
            await self.run(
                "CREATE TABLE never (id INTEGER PRIMARY KEY)",
                "CREATE TABLE broken (id INTEGER REFERENCES never(id)"
                " DEFERRABLE INITIALLY DEFERRED)",
                "CREATE TRIGGER break_commit AFTER INSERT ON entries"
                " BEGIN INSERT INTO broken VALUES (1); END",
            )
        else:
            await self.run(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no commit' USING ERRCODE = 'P0001'; END $$",
                "CREATE CONSTRAINT TRIGGER break_commit AFTER INSERT ON entries "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
            )

    async def heal_commits(self) -> None:
        """Let them succeed again."""
        on = "" if self.dialect == "sqlite" else " ON entries"
        await self.run(f"DROP TRIGGER break_commit{on}")

    async def fill_up(self) -> None:
        """Let the disk be full: nothing that grows can be written."""
        if self.dialect == "sqlite":
            await self.run("PRAGMA max_page_count = 1")
        else:
            await self.run(
                'CREATE FUNCTION "full"() RETURNS trigger LANGUAGE plpgsql AS '
                "$$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$",
                "CREATE TRIGGER disk BEFORE INSERT ON entries "
                'FOR EACH STATEMENT EXECUTE FUNCTION "full"()',
            )

    async def make_room(self) -> None:
        """Let there be room on the disk again."""
        if self.dialect == "sqlite":
            await self.run("PRAGMA max_page_count = 1000000")
        else:
            await self.run("DROP TRIGGER disk ON entries")

    async def refuse_entry(self, sequence: int) -> None:
        """Let one entry be refused by the database, whenever it comes."""
        if self.dialect == "sqlite":
            await self.run(
                f"CREATE TRIGGER poison BEFORE INSERT ON entries WHEN NEW.sequence = {sequence}"
                " BEGIN SELECT RAISE(ABORT, 'poison'); END"
            )
        else:
            await self.run(
                f"ALTER TABLE entries ADD CONSTRAINT poison CHECK (sequence <> {sequence})"
            )

    async def restore(self) -> None:
        """Undo the three faults above: on PostgreSQL the next test has the same tables."""
        if self.dialect == "postgresql":
            await self.run(
                "DROP FUNCTION IF EXISTS refuse CASCADE",
                'DROP FUNCTION IF EXISTS "full" CASCADE',
                "ALTER TABLE entries DROP CONSTRAINT IF EXISTS poison",
            )

    async def tell(self, hub: Hub, kind: UpKind, message: Said) -> list[Downlink]:
        """Hand in one message and return the answers."""
        return list(await self.inbound.hand_in([hub.uplink(kind, message)]))


async def lay(database: Database, folder: Path, threads: PoolThreads) -> Ground:
    """Fill a database and return it with the cloud's end of the link."""
    clocks, bus, audience = Clocks(), ProcessBus(), Audience()
    keys = key_file.load(folder / "keys", SystemRandomness(), first_start=True)
    async with database.write() as tx:
        for table, rows in _rows(keys):
            await tx.execute(insert(table), rows)
    delivery = Delivery(
        database, keys=keys, calendar=Calendar(clocks), threads=threads, offline_grace=GRACE
    )
    inbound = Inbound(
        database,
        delivery,
        keys=keys,
        calendar=Calendar(clocks),
        link_clock=LinkClock(clocks),
        threads=threads,
        bus=bus,
        departures=Departures(sync=Sync(bus), audit=Audit(RandomIds(SystemRandomness()))),
        audience=audience,
    )
    return Ground(
        db=database, clocks=clocks, keys=keys, bus=bus, inbound=inbound, audience=audience
    )


def _rows(keys: Keys) -> list[tuple[Table, list[dict[str, Any]]]]:
    found: dict[Table, list[dict[str, Any]]] = {
        table: [] for table in (sites, subscriptions, hubs, locks, people, credentials)
    }
    found |= {table: [] for table in (access_groups, group_people, group_locks)}
    for site in (0, 1):
        site_id = SiteId(name("site", site))
        found[sites].append(_site(site_id))
        found[subscriptions].append(_subscription(site_id))
        group = {"site_id": site_id, "group_id": name("group", site)}
        found[access_groups].append(
            {
                "site_id": site_id,
                "id": group["group_id"],
                "name": "All",
                "created_at": NOW,
                "version": 1,
            }
        )
        for number in (0, 1):
            hub = Hub(site=site, number=number, controller=keys)
            found[hubs].append(_hub(site_id, hub))
            for each in (0, 1):
                found[locks].append(_lock(site_id, hub, each))
                found[group_locks].append(group | {"lock_id": hub.lock_id(each).hex()})
        for number in range(PEOPLE):
            found[people].append(_person(site_id, site, number))
            found[credentials].append(_tag(site_id, site, number))
            found[group_people].append(group | {"person_id": name("person", site, number)})
    return list(found.items())


def _site(site_id: SiteId) -> dict[str, Any]:
    return {
        "id": site_id,
        "name": "Depot",
        "time_zone": "Europe/Amsterdam",
        "buy_from": "the shop",
        "created_at": NOW,
        "version": 1,
    }


def _subscription(site_id: SiteId) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "plan": "pro",
        "users": 10,
        "kind": "free_week",
        "started_at": NOW,
        "ends_at": ENDS,
        "segments": [],
        "rest": 0,
        "catalogue_version": 1,
        "expired": False,
        "cancelled": False,
        "version": 1,
    }


def _hub(site_id: SiteId, hub: Hub) -> dict[str, Any]:
    agreement = X25519PrivateKey.from_private_bytes(sha256(b"agreement").digest())
    return {
        "site_id": site_id,
        "id": hub.id,
        "serial": f"H{hub.site}{hub.number}",
        "name": f"Hub {hub.number}",
        "created_at": NOW,
        "claimed_at": NOW,
        "device_key": hub.key.public_key().public_bytes_raw(),
        "agreement_key": agreement.public_key().public_bytes_raw(),
        "epoch": 1,
        "lease_wanted": 1,
        "lease_confirmed": 0,
        "lease_signed_at": NOW,
        "revision_wanted": 1,
        "revision_confirmed": 0,
        "version": 1,
    }


def _lock(site_id: SiteId, hub: Hub, number: int) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "id": hub.lock_id(number).hex(),
        "hub_id": hub.id,
        "serial": f"L{hub.site}{hub.number}{number}",
        "name": f"Door {number}",
        "public_key": lock_key(hub, number).public_key().public_bytes_raw(),
        "pairing": b"pairing",
        "capacity": 39,
        "open_s": 6,
        "memory_days": 7,
        "epoch": 1,
        "order_number": 0,
        "created_at": NOW,
        "paired": False,
        "log_epoch": 0,
        "version": 1,
    }


def lock_key(hub: Hub, number: int = 0) -> X25519PrivateKey:
    """The key made in one of the hub's locks."""
    return X25519PrivateKey.from_private_bytes(sha256(hub.lock_id(number)).digest())


def _person(site_id: SiteId, site: int, number: int) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "id": name("person", site, number),
        "name": f"Person {number}",
        "subscribed_at": NOW,
        "created_at": NOW,
        "version": 1,
    }


def _tag(site_id: SiteId, site: int, number: int) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "id": name("tag", site, number),
        "person_id": name("person", site, number),
        "kind": "tag",
        "digest": tag(site, number),
        "label": "",
        "offline": number == 0,
        "created_at": NOW,
        "version": 1,
    }


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)
