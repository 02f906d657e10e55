"""What an edit costs until every hub could be told, at sites of growing size.

One site of 50 hubs with four locks each. Everybody is in one of ten groups, and each group has all
locks: so an edit of anybody reaches all hubs, and each of them knows everybody. Thirty people have
offline access at every lock.
"""

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Table, insert, update

from bench.installation import Installation
from bench.report import Line
from controller.bus import ProcessBus
from controller.db.engine import Session
from controller.db.tables.access import access_groups, group_locks, group_people, schedules
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.people import credentials, people
from controller.delivery.service import Delivery
from controller.domain.ids import SiteId
from controller.domain.instants import whole_second
from controller.sync.changes import Touched
from controller.sync.service import Sync
from controller.threads import PoolThreads
from gateway.protocol import cose, sections, wire
from gateway.protocol.messages import Ask, Manifest, Root, SectionKind
from gateway.protocol.sections import SECTION_BYTES_MAX
from gateway.protocol.topics import DownKind, Topic

HUBS: Final = 50
LOCKS_PER_HUB: Final = 4
GROUPS: Final = 10
OFFLINE: Final = 30
ROWS_AT_ONCE: Final = 2_000
SECTIONS_MAX: Final = 2  # of people, that an edit of one person moves at a hub
EDIT_MS_MAX: Final = 1_000.0  # until the hubs have confirmed; here it is until they could be told
NOW: Final = whole_second(datetime.now(UTC))
KEY: Final = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done."""

    people: Sequence[int] = (100, 1_000, 10_000, 50_000)
    edits: int = 7  # of each kind


async def measure(folder: Path, size: Size) -> list[Line]:
    """Return what a compile of everything and edits of one thing take."""
    made = await Installation.make(folder)
    threads = PoolThreads()
    try:
        lines: list[Line] = []
        for count in size.people:
            (site,) = await made.add_sites(1, owners=0)
            await _furnish(made, site.id, count)
            lines += await _edits(_Site.of(made, site.id, threads), count, size.edits)
        return lines
    finally:
        threads.close()
        await made.db.close()


@dataclass(kw_only=True)
class _Site:
    """A site, with what its hubs hold."""

    made: Installation
    id: SiteId
    delivery: Delivery
    hub_ids: list[str]
    held: dict[str, set[bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, made: Installation, site_id: SiteId, threads: PoolThreads) -> "_Site":
        delivery = Delivery(
            made.db,
            keys=made.keys,
            calendar=_Calendar(),
            threads=threads,
            offline_grace=timedelta(hours=24),
        )
        hub_ids = [_name("hub", site_id, n) for n in range(HUBS)]
        return cls(made=made, id=site_id, delivery=delivery, hub_ids=hub_ids)

    async def ready(self) -> int:
        """Compile for all hubs, give them what they lack, and return the most people sections."""
        manifests = {}
        for found in await self.delivery.documents(self.hub_ids):
            if found.kind is DownKind.MANIFEST:
                manifests[found.hub_id] = self._read(found.hub_id, found.data)
        return max([await self._pull(hub_id, each) for hub_id, each in manifests.items()])

    async def _pull(self, hub_id: str, manifest: Manifest) -> int:
        held, wanted, moved = self.held.get(hub_id), list(manifest.roots), 0
        present: set[bytes] = set()
        lacking: list[Root] = []
        while wanted or lacking:
            lacking += [root for root in wanted if held is None or root.hash not in held]
            present.update(root.hash for root in wanted)
            wanted, some, lacking = [], lacking[:4], lacking[4:]
            if held is None:  # the first time all of it would be pulled: not what is measured
                some = [root for root in some if root.kind is SectionKind.INDEX]
            if not some:
                continue
            ask = Ask(revision=manifest.revision, hashes=tuple(root.hash for root in some))
            answers = await self.delivery.sections([(hub_id, ask)])
            for root, answer in zip(some, answers, strict=True):
                assert len(answer.data) <= SECTION_BYTES_MAX or root.kind is not SectionKind.PEOPLE
                moved += root.kind is SectionKind.PEOPLE
                if root.kind is SectionKind.INDEX:
                    index = sections.read(SectionKind.INDEX, answer.data)
                    wanted += [each for each in index if isinstance(each, Root)]
        self.held[hub_id] = present | (held or set())
        return moved

    def _read(self, hub_id: str, data: bytes) -> Manifest:
        key = self.made.keys.signing.public_key()
        topic = Topic(hub_id=hub_id, kind=DownKind.MANIFEST)
        return wire.decode(Manifest, cose.verify(data, [key], cose.external_data(topic)))


class _Calendar:
    """A calendar that stands still."""

    speed: int = 1

    def now(self) -> datetime:
        return NOW


Edit = Callable[[Session, SiteId, int], Coroutine[Any, Any, list[Touched]]]


async def _edits(site: _Site, count: int, rounds: int) -> list[Line]:
    started = time.perf_counter()
    await site.ready()
    whole_ms = (time.perf_counter() - started) * 1000
    lines = [Line(what=f"{count:,} people, all {HUBS} hubs anew", rounds=[whole_ms], unit="ms")]
    sync = Sync(ProcessBus())
    for what, edit in (("person", _person), ("group", _group), ("schedule", _schedule)):
        took_ms, moved = [], []
        for number in range(rounds):
            started = time.perf_counter()
            async with site.made.db.write() as tx:
                touched = await edit(tx, site.id, number)
                await sync.request_revision(tx, site.id, touched)
            moved.append(await site.ready())
            took_ms.append((time.perf_counter() - started) * 1000)
        lines.append(
            Line(
                what=f"{count:,} people, one {what} edited",
                rounds=took_ms,
                unit="ms",
                limit=whole_ms,
                limit_is=f"all anew; at most {max(moved)} people sections a hub moved",
                bar=EDIT_MS_MAX,
            )
        )
        assert what != "person" or max(moved) <= SECTIONS_MAX
    return lines


async def _person(tx: Session, site_id: SiteId, number: int) -> list[Touched]:
    """Let somebody's stay end some day."""
    person_id = _name("person", site_id, OFFLINE + number)
    one = update(people).where(people.c.site_id == site_id, people.c.id == person_id)
    await tx.execute(one.values(expires_at=NOW + timedelta(days=1 + number)))
    return Touched.people(person_id)


async def _group(tx: Session, site_id: SiteId, number: int) -> list[Touched]:
    """Let a group end some day."""
    group_id = _name("group", site_id, 1)
    one = update(access_groups).where(
        access_groups.c.site_id == site_id, access_groups.c.id == group_id
    )
    await tx.execute(one.values(ends_at=NOW + timedelta(days=1 + number)))
    return Touched.groups(group_id)


async def _schedule(tx: Session, site_id: SiteId, number: int) -> list[Touched]:
    """Let a schedule begin at another time."""
    schedule_id = _name("schedule", site_id, 0)
    one = update(schedules).where(schedules.c.site_id == site_id, schedules.c.id == schedule_id)
    await tx.execute(one.values(windows=[[0, 60 + number, 1_000]]))
    return Touched.schedules(schedule_id)


async def _furnish(made: Installation, site_id: SiteId, count: int) -> None:
    """Write the rows of a site; past the services, which would take an hour."""
    site = {"site_id": site_id}
    hub_ids = [_name("hub", site_id, n) for n in range(HUBS)]
    lock_ids = [_name("lock", site_id, n) for n in range(HUBS * LOCKS_PER_HUB)]
    await _write(made, hubs, [site | _hub(each) for each in hub_ids])
    served = zip(lock_ids, [each for each in hub_ids for _ in range(LOCKS_PER_HUB)], strict=True)
    await _write(made, locks, [site | _lock(*each) for each in served])
    await furnish_people(made, site_id, count, lock_ids)


async def furnish_people(
    made: Installation, site_id: SiteId, count: int, lock_ids: Sequence[str]
) -> None:
    """Write people with tags in groups that open all of some locks."""
    site = {"site_id": site_id}
    group_ids = [_name("group", site_id, n) for n in range(GROUPS)]
    person_ids = [_name("person", site_id, n) for n in range(count)]
    schedule_id = _name("schedule", site_id, 0)
    await _write(
        made,
        schedules,
        [site | {"id": schedule_id, "name": "Hours", "windows": [[0, 60, 1_000]], "version": 1}],
    )
    await _write(
        made,
        access_groups,
        [
            site
            | {
                "id": each,
                "name": each,
                "schedule_id": None if n else schedule_id,
                "created_at": NOW,
                "version": 1,
            }
            for n, each in enumerate(group_ids)
        ],
    )
    rows = [site | {"group_id": group, "lock_id": lock} for group in group_ids for lock in lock_ids]
    await _write(made, group_locks, rows)
    await _write(made, people, [site | _holder(each) for each in person_ids])
    tags = [site | _tag(each, offline=n < OFFLINE) for n, each in enumerate(person_ids)]
    await _write(made, credentials, tags)
    await _write(
        made,
        group_people,
        [
            site | {"group_id": group_ids[n % GROUPS], "person_id": each}
            for n, each in enumerate(person_ids)
        ],
    )


async def _write(made: Installation, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    waiting = iter(rows)
    while some := list(islice(waiting, ROWS_AT_ONCE)):
        async with made.db.write() as tx:
            await tx.execute(insert(table), some)


def _name(kind: str, site_id: SiteId, number: int) -> str:
    return sha256(f"{kind} {site_id} {number}".encode()).hexdigest()[:32]


def _hub(hub_id: str) -> dict[str, Any]:
    return {
        "id": hub_id,
        "serial": hub_id,
        "name": "Hub",
        "created_at": NOW,
        "claimed_at": NOW,
        "device_key": KEY,
        "agreement_key": KEY,
        "epoch": 1,
        "lease_wanted": 1,
        "lease_confirmed": 1,
        "lease_signed_at": NOW,
        "revision_wanted": 1,
        "revision_confirmed": 0,
        "version": 1,
    }


def _lock(lock_id: str, hub_id: str) -> dict[str, Any]:
    return {
        "id": lock_id,
        "hub_id": hub_id,
        "serial": lock_id,
        "name": "Door",
        "public_key": KEY,
        "pairing": b"pairing",
        "capacity": 39,
        "open_s": 6,
        "memory_days": 7,
        "epoch": 1,
        "order_number": 0,
        "created_at": NOW,
        "paired": True,
        "log_epoch": 1,
        "version": 1,
    }


def _holder(person_id: str) -> dict[str, Any]:
    return {
        "id": person_id,
        "name": "Pat",
        "subscribed_at": NOW,
        "created_at": NOW,
        "version": 1,
    }


def _tag(person_id: str, *, offline: bool) -> dict[str, Any]:
    return {
        "id": person_id,
        "person_id": person_id,
        "kind": "tag",
        "digest": bytes.fromhex(person_id),
        "label": "",
        "offline": offline,
        "created_at": NOW,
        "version": 1,
    }
