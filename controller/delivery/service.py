"""Leases, manifests and sections, made from the rows as they are when a hub needs them."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.db.engine import Database, ReadSession
from controller.delivery import repository
from controller.delivery.compile import HubState, Part
from controller.delivery.items import Secrets
from controller.delivery.parts import read_parts
from controller.delivery.repository import Wanted
from controller.delivery.seals import all_signed, signed
from controller.delivery.shelf import Shelf
from controller.domain.ids import HubId, SiteId
from controller.domain.instants import to_seconds
from controller.keys import Keys
from controller.ports import Calendar, Overloaded, Threads
from controller.sync import changes, lists
from controller.sync.lists import WantedList
from gateway.port import Downlink
from gateway.protocol.messages import Ask, Lease, Manifest
from gateway.protocol.topics import DownKind

log = structlog.get_logger()


class Delivery:
    """Serves what hubs lack."""

    def __init__(
        self,
        database: Database,
        *,
        keys: Keys,
        calendar: Calendar,
        threads: Threads,
        offline_grace: timedelta,
    ) -> None:
        self._db = database
        self._keys = keys
        self._calendar = calendar
        self._threads = threads
        self._offline_grace = offline_grace
        self._shelf = Shelf()
        self._turns: WeakValueDictionary[SiteId, asyncio.Lock] = WeakValueDictionary()

    async def documents(self, hub_ids: Collection[str]) -> list[Downlink]:
        """Return the newest lease of each hub, then its manifest if it lacks one it may have.

        While a site is unsubscribed nothing but leases leaves.
        """
        now = self._calendar.now()
        async with self._db.read() as tx:
            hubs = await repository.wanted(tx, hub_ids)
        leases = [
            signed(hub.hub.id, lease(hub, self._offline_grace, now=now), self._keys.signing)
            for hub in hubs
        ]
        lacking = [hub for hub in hubs if hub.revision_confirmed < hub.revision_wanted]
        ready = await self._compiled(lacking, now=now)
        manifests = await self._threads.run(_manifests, ready, self._keys.signing) if ready else []
        return [*leases, *manifests]

    async def sections(self, asks: Sequence[tuple[str, Ask]]) -> list[Downlink]:
        """Return the sections asked for that stand in the asking hub's own present manifest.

        A hub that asks for others of the present revision holds a manifest that was compiled before
        an upgrade. It gets the present one: if it has confirmed this revision once and its flash
        has failed since, nobody else would tell it.
        """
        now = self._calendar.now()
        async with self._db.read() as tx:
            hubs = await repository.wanted(tx, {hub_id for hub_id, _ in asks})
        held: dict[str, tuple[Wanted, HubState]] = {
            hub.hub.id: (hub, state) for hub, state in await self._compiled(hubs, now=now)
        }
        answers = []
        for hub_id, ask in asks:
            if hub_id not in held:
                continue
            hub, state = held[hub_id]
            found = [state.section(name) for name in ask.hashes]
            answers += [
                Downlink(hub_id=hub_id, kind=DownKind.SECTION, data=data)
                for data in found
                if data is not None
            ]
            if None in found and ask.revision == hub.revision_wanted:
                answers.append(signed(hub_id, _manifest(hub, state), self._keys.signing))
        return answers

    async def _compiled(
        self, hubs: Iterable[Wanted], *, now: datetime
    ) -> list[tuple[Wanted, HubState]]:
        """Return the states of the hubs whose site is subscribed."""
        ready = []
        missing: defaultdict[SiteId, set[HubId]] = defaultdict(set)
        for hub in hubs:
            if not hub.is_subscribed(now):
                continue
            state = self._shelf.get(hub)
            if state is not None:
                ready.append((hub, state))
            else:
                missing[hub.site_id].add(hub.hub.id)
        for site_id, hub_ids in missing.items():  # one at a time: that is what memory has to hold
            turn = self._turns.setdefault(site_id, asyncio.Lock())
            async with turn:  # or two would compile the same at once
                ready += await self._compile(site_id, hub_ids, now=now)
        return ready

    async def _compile(
        self, site_id: SiteId, hub_ids: Collection[HubId], *, now: datetime
    ) -> list[tuple[Wanted, HubState]]:
        """Compile for hubs of one site, from one view of it, and note the lists of their locks."""
        async with self._db.read() as tx:
            everyone = await repository.wanted_at(tx, site_id)
            mine = [hub for hub in everyone if hub.hub.id in hub_ids and hub.is_subscribed(now)]
            ready = [(hub, state) for hub in mine if (state := self._shelf.get(hub)) is not None]
            asked = [hub for hub in mine if self._shelf.get(hub) is None]
            if not asked:
                return ready
            work = await self._read(tx, site_id, asked)
            known = await lists.wanted(tx, site_id, {hub.hub.id for hub in asked})
        secrets = Secrets(agreement=self._keys.agreement, tag_key=self._keys.tag_key(site_id))
        done = []
        for hub in asked:
            try:
                state = await self._threads.run(
                    work.states[hub.hub.id].updated, work.parts[hub.hub.id], secrets
                )
            except Overloaded:
                raise
            except Exception:  # of one hub; the others' revocations must not wait for it
                log.exception("hub_compile_failed", hub_id=hub.hub.id)
                continue
            done.append((hub, state))
        wanted = [each for hub, state in done for each in _lists(hub, state)]
        if moved := [each for each in wanted if known.get(each.lock_id) != each.hash]:
            async with self._db.write() as session:
                await lists.want(session, site_id, moved, now=now)
        for hub, state in done:
            self._shelf.put(hub, state, number=work.number)
        for hub in everyone:
            self._shelf.confirm(hub, number=work.number)
        return [*ready, *done]

    async def _read(self, tx: ReadSession, site_id: SiteId, asked: Sequence[Wanted]) -> "_Work":
        """Read what these hubs lack: what was touched since they were compiled, or everything."""
        number = await changes.newest(tx, site_id)
        held = {hub.hub.id: self._shelf.newest(hub.hub) for hub in asked}
        since = min((each.number for each in held.values() if each is not None), default=number)
        touched = await changes.touched_since(tx, site_id, since)
        states: dict[HubId, HubState] = {}
        new: set[HubId] = set()
        for hub in asked:
            before = held[hub.hub.id]
            if before is None or touched is None:
                new.add(hub.hub.id)
                states[hub.hub.id] = HubState(hub=hub.hub)
            else:
                states[hub.hub.id] = before.state
        parts = await read_parts(tx, site_id, states, touched or (), new=new)
        return _Work(states=states, parts=parts, number=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What hubs of a site are compiled from: their states, and what is new since."""

    states: Mapping[HubId, HubState]
    parts: Mapping[HubId, Part]
    number: int  # of the newest change


def _lists(hub: Wanted, state: HubState) -> list[WantedList]:
    return [
        WantedList(
            lock_id=lock_id,
            hub_id=hub.hub.id,
            revision=hub.revision_wanted,
            hash=section.hash,
            data=section.data,
        )
        for lock_id, section in state.lists.items()
    ]


def lease(hub: Wanted, offline_grace: timedelta, *, now: datetime) -> Lease:
    """Return the newest lease of a hub."""
    is_subscribed = hub.is_subscribed(now)
    ends_at_s = to_seconds(hub.ends_at)
    grace_s = int(offline_grace.total_seconds()) if is_subscribed else 0
    return Lease(
        hub_id=bytes.fromhex(hub.hub.id),
        site_id=bytes.fromhex(hub.site_id),
        epoch=hub.hub.epoch,
        number=hub.lease_wanted,
        subscribed=is_subscribed,
        ends_at_s=ends_at_s,
        serve_until_s=ends_at_s + grace_s,
        revision=hub.revision_wanted,
    )


def _manifests(
    ready: Sequence[tuple[Wanted, HubState]], key: Ed25519PrivateKey
) -> Sequence[Downlink]:
    """Return the signed manifests of many hubs; it belongs into a thread."""
    return all_signed([(hub.hub.id, _manifest(hub, state)) for hub, state in ready], key)


def _manifest(hub: Wanted, state: HubState) -> Manifest:
    return Manifest(
        hub_id=bytes.fromhex(hub.hub.id),
        site_id=bytes.fromhex(hub.site_id),
        epoch=hub.hub.epoch,
        revision=hub.revision_wanted,
        time_zone=state.time_zone,
        roots=state.roots,
    )
