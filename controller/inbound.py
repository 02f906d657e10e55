"""The cloud, as the gateway sees it: implements ``gateway.port.Controller``."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.access.enrolments import note_presented
from controller.activity.service import Arrival, Audience, take_in
from controller.db.engine import Database, is_passing
from controller.delivery import commands
from controller.delivery import repository as delivery
from controller.delivery.seals import Signed, all_signed, signed
from controller.delivery.service import Delivery
from controller.hardware.release import Departures
from controller.keys import Keys
from controller.ports import Bus, Calendar, LinkClock, Overloaded, Threads
from controller.sync import queries
from controller.sync import repository as sync
from controller.sync.repository import HubNumbers
from controller.sync.service import WAKE_HUBS
from gateway.port import Behind, Downlink, Unavailable, Uplink
from gateway.protocol.messages import Ack, Ask, Batch, Greeting, Reply, Status, Welcome

KEY_LIFE_S: Final = 10.0  # how long a retired hub may still be heard
KEYS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class _HeldKey:
    key: Ed25519PublicKey
    until_s: float


class Inbound:
    """Takes what hubs say to the features, and gives what is to be said to hubs."""

    def __init__(
        self,
        database: Database,
        documents: Delivery,
        *,
        keys: Keys,
        calendar: Calendar,
        link_clock: LinkClock,
        threads: Threads,
        bus: Bus,
        departures: Departures,
        audience: Audience,
    ) -> None:
        self._db = database
        self._delivery = documents
        self._keys = keys
        self._calendar = calendar
        self._link_clock = link_clock
        self._threads = threads
        self._bus = bus
        self._departures = departures
        self._audience = audience
        self._device_keys: OrderedDict[str, _HeldKey] = OrderedDict()

    async def admit(self, hub_id: str) -> bool:
        """Return whether the hub is in service: claimed and not retired."""
        with _as_unavailable():
            async with self._db.read() as tx:
                return await sync.device_key(tx, hub_id) is not None

    async def device_key(self, hub_id: str) -> Ed25519PublicKey | None:
        """Return the key that signs what this hub says; None if it is nobody's hub now."""
        now_s = self._link_clock.now()
        held = self._device_keys.get(hub_id)
        if held is not None and now_s < held.until_s:
            return held.key
        with _as_unavailable():
            async with self._db.read() as tx:
                raw = await sync.device_key(tx, hub_id)
        self._device_keys.pop(hub_id, None)
        if raw is None:
            return None
        key = Ed25519PublicKey.from_public_bytes(raw)
        self._device_keys[hub_id] = _HeldKey(key, now_s + KEY_LIFE_S)
        if len(self._device_keys) > KEYS_MAX:
            self._device_keys.popitem(last=False)
        return key

    async def hand_in(self, uplinks: Sequence[Uplink]) -> Sequence[Downlink]:
        """Take messages in one transaction and return the answers; they exist after the commit."""
        asks = [(up.hub_id, up.message) for up in uplinks if isinstance(up.message, Ask)]
        rest = [uplink for uplink in uplinks if not isinstance(uplink.message, Ask)]
        with _as_unavailable():
            hubs = await self._write(rest) if rest else {}
            answers = [
                signed(uplink.hub_id, answer, self._keys.signing)
                for uplink in rest
                if uplink.hub_id in hubs
                and (answer := self._answer(uplink, hubs[uplink.hub_id])) is not None
            ]
            return [*answers, *(await self._delivery.sections(asks) if asks else ())]

    async def behind(self, *, after: str, limit: int) -> Sequence[Behind]:
        """Return online hubs that lack a lease or a revision, by id."""
        with _as_unavailable():
            async with self._db.read() as tx:
                now = self._calendar.now()
                return await queries.behind(tx, now=now, after=after, limit=limit)

    async def documents(self, hub_ids: Sequence[str]) -> Sequence[Downlink]:
        """Return the newest lease of each hub, then its manifest where one may be sent."""
        with _as_unavailable():
            return await self._delivery.documents(hub_ids)

    async def commands(self) -> Sequence[Downlink]:
        """Return the commands that wait for online hubs, each exactly once."""
        with _as_unavailable():
            claimed = await commands.claim(
                self._db,
                now=self._calendar.now(),
                speed=self._calendar.speed,
                utc=self._link_clock.utc(),
            )
        return [
            signed(command.hub_id, command.message(self._keys.agreement), self._keys.signing)
            for command in claimed
        ]

    async def greetings(self) -> Sequence[Downlink]:
        """Return one greeting for every hub in service."""
        with _as_unavailable():
            async with self._db.read() as tx:
                hub_ids = await delivery.in_service(tx)
            greeting = Greeting(utc_ms=_ms(self._link_clock.utc()))
            messages: list[tuple[str, Signed]] = [(hub_id, greeting) for hub_id in hub_ids]
            return await self._threads.run(all_signed, messages, self._keys.signing)

    async def presence(self, *, online: Sequence[str], offline: Sequence[str]) -> None:
        """Note who came and who went, and see at once what those who came lack."""
        with _as_unavailable():
            async with self._db.write() as tx:
                now = self._calendar.now()
                await sync.presence(tx, online=online, offline=offline, now=now)
                tx.on_commit(lambda: self._bus.wake(WAKE_HUBS))

    async def presence_unknown(self) -> None:
        """Note that nobody knows who is online: the broker is out of reach."""
        with _as_unavailable():
            async with self._db.write() as tx:
                await sync.presence_unknown(tx, now=self._calendar.now())

    async def _write(self, uplinks: Sequence[Uplink]) -> dict[str, HubNumbers]:
        """Write what the messages say and return the numbers of the hubs in service after it."""
        now = self._calendar.now()
        async with self._db.write() as tx:
            hubs = await sync.numbers(tx, {uplink.hub_id for uplink in uplinks})
            known = [(hubs[up.hub_id], up.message) for up in uplinks if up.hub_id in hubs]
            reports = [(hub.id, said) for hub, said in known if isinstance(said, Status)]
            hubs = await sync.confirm(tx, reports, hubs, now=now)
            places = {(hubs[hub_id].site_id, hub_id) for hub_id, _ in reports if hub_id in hubs}
            await self._departures.finish(tx, places, now=now)
            arrivals = [
                Arrival(site_id=hub.site_id, hub_id=hub.id, batch=said)
                for hub, said in known
                if isinstance(said, Batch)
            ]
            happened = await take_in(tx, arrivals, now=now)
            await self._audience.note(tx, happened, now=now)
            await note_presented(tx, arrivals, now=now)
            for hub, said in known:
                if isinstance(said, Reply):
                    await commands.finish(tx, hub.site_id, hub.id, said, now=now)
            if any(hubs[hub_id].is_behind for hub_id, _ in reports):
                tx.on_commit(lambda: self._bus.wake(WAKE_HUBS))
        return hubs

    def _answer(self, uplink: Uplink, hub: HubNumbers) -> Welcome | Ack | None:
        """Return the answer that counts as contact; a reply to a command needs none."""
        if isinstance(uplink.message, Batch):
            return Ack(
                batch_hash=sha256(uplink.raw).digest(),
                lease_number=hub.lease_wanted,
                revision=hub.revision_wanted,
            )
        if isinstance(uplink.message, Status):
            return Welcome(
                nonce=uplink.message.nonce,
                epoch=hub.epoch,
                lease_number=hub.lease_wanted,
                revision=hub.revision_wanted,
                calendar_ms=_ms(self._calendar.now()),
                speed=self._calendar.speed,
                utc_ms=_ms(self._link_clock.utc()),
            )
        return None


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """Tell the gateway to come again where the database or the load is at fault, not the call."""
    try:
        yield
    except Exception as error:
        if is_passing(error) or isinstance(error, Overloaded):
            raise Unavailable(type(error).__name__) from error
        raise


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
