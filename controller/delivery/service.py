"""Leases, manifests and sections, made from the rows as they are when a hub needs them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from controller.access.queries import site_state
from controller.db.engine import Database
from controller.delivery import repository
from controller.delivery.compile import Compiled, Secrets, compile_hub
from controller.delivery.repository import Wanted
from controller.delivery.seals import signed
from controller.delivery.shelf import Shelf
from controller.domain.instants import to_seconds
from controller.keys import Keys
from controller.ports import Calendar, Overloaded, Threads
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
        return [
            *leases,
            *(
                signed(hub.hub.id, _manifest(hub, compiled), self._keys.signing)
                for hub, compiled in await self._compiled(lacking, now=now)
            ),
        ]

    async def sections(self, asks: Sequence[tuple[str, Ask]]) -> list[Downlink]:
        """Return the sections asked for that stand in the asking hub's own present manifest.

        A hub that asks for others of the present revision holds a manifest that was compiled before
        an upgrade. It gets the present one: if it has confirmed this revision once and its flash
        has failed since, nobody else would tell it.
        """
        now = self._calendar.now()
        async with self._db.read() as tx:
            hubs = await repository.wanted(tx, {hub_id for hub_id, _ in asks})
        held: dict[str, tuple[Wanted, Compiled]] = {
            hub.hub.id: (hub, compiled) for hub, compiled in await self._compiled(hubs, now=now)
        }
        answers = []
        for hub_id, ask in asks:
            if hub_id not in held:
                continue
            hub, compiled = held[hub_id]
            served = [name for name in ask.hashes if name in compiled.sections]
            answers += [
                Downlink(hub_id=hub_id, kind=DownKind.SECTION, data=compiled.sections[name])
                for name in served
            ]
            if len(served) < len(ask.hashes) and ask.revision == hub.revision_wanted:
                answers.append(signed(hub_id, _manifest(hub, compiled), self._keys.signing))
        return answers

    async def _compiled(
        self, hubs: Iterable[Wanted], *, now: datetime
    ) -> list[tuple[Wanted, Compiled]]:
        """Return the states of the hubs whose site is subscribed."""
        ready = []
        missing: defaultdict[str, list[str]] = defaultdict(list)
        for hub in hubs:
            if not hub.is_subscribed(now):
                continue
            compiled = self._shelf.get(hub)
            if compiled is not None:
                ready.append((hub, compiled))
            else:
                missing[hub.site_id].append(hub.hub.id)
        for hub_ids in missing.values():  # a site at a time: that is what memory has to hold
            ready += await self._compile(hub_ids, now=now)
        return ready

    async def _compile(
        self, hub_ids: Collection[str], *, now: datetime
    ) -> list[tuple[Wanted, Compiled]]:
        """Compile for hubs of one site, from one view of it, and note the lists of their locks."""
        async with self._db.read() as tx:
            hubs = [hub for hub in await repository.wanted(tx, hub_ids) if hub.is_subscribed(now)]
            if not hubs:
                return []
            state = await site_state(tx, hubs[0].site_id)
            lists = {hub.hub.id: await repository.lists_wanted(tx, hub) for hub in hubs}
        secrets = Secrets(
            agreement=self._keys.agreement, tag_key=self._keys.tag_key(hubs[0].site_id)
        )
        done = []
        for hub in hubs:
            try:
                compiled = await self._threads.run(compile_hub, state, hub.hub, secrets)
            except Overloaded:
                raise
            except Exception:  # of one hub; the others' revocations must not wait for it
                log.exception("hub_compile_failed", hub_id=hub.hub.id)
                continue
            if compiled.lists != lists[hub.hub.id]:
                async with self._db.write() as session:
                    await repository.want_lists(session, hub, compiled.lists)
            self._shelf.put(hub, compiled)
            done.append((hub, compiled))
        return done


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


def _manifest(hub: Wanted, compiled: Compiled) -> Manifest:
    return Manifest(
        hub_id=bytes.fromhex(hub.hub.id),
        site_id=bytes.fromhex(hub.site_id),
        epoch=hub.hub.epoch,
        revision=hub.revision_wanted,
        time_zone=compiled.time_zone,
        roots=compiled.roots,
    )
