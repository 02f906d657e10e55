"""Real firmware at the served sites: hubs claim, locks are paired, all of them talk to the cloud.

Only the broker between them is left out, and time passes by hand.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from typing_extensions import override

from controller.delivery.service import Delivery
from controller.domain.ids import SiteId
from controller.hardware.claim import Claims
from controller.hardware.release import Departures
from controller.inbound import Inbound
from controller.pki import Authority
from controller.threads import PoolThreads
from firmware_sim.hub.state import HubIdentity
from firmware_sim.inputs import Press, Received
from firmware_sim.lock.state import LockIdentity
from firmware_sim.outputs import Publish
from gateway.port import Downlink, Uplink
from gateway.protocol import cbor, claim, wire
from gateway.protocol.claim import ClaimRequest, ClaimResponse
from gateway.protocol.messages import Ask, Batch, Reply, Status
from gateway.protocol.topics import UpKind
from tests.controller.ground import Audience
from tests.controller.people.ground import ADDRESSES, KEYS, OWN, STICKER, Ground
from tests.firmware_sim.cloud import Cloud, secret
from tests.firmware_sim.world import Hub, Lock, World

_MESSAGES: dict[UpKind, type[Batch | Ask | Reply | Status]] = {
    UpKind.BATCH: Batch,
    UpKind.ASK: Ask,
    UpKind.REPLY: Reply,
}
ROUNDS_MAX = 200


class Building(World):
    """Hubs and locks that talk to a real cloud."""

    def __init__(self, ground: Ground, inbound: Inbound, claims: Claims) -> None:
        super().__init__()
        self.ground = ground
        self.inbound = inbound
        self.claims = claims
        self._outbox: deque[tuple[Hub, Publish]] = deque()
        self._told: set[tuple[str, int, int]] = set()

    async def claimed(self, made: Any) -> Hub:
        """Have a device claim the place of a registered hub."""
        hub = Hub(identity=await self._claim(made), cloud=cast("Cloud", None))
        self.hubs.append(hub)
        self.power_on(hub)
        await self.settled()
        return hub

    async def replaced(self, made: Any, hub: Hub) -> Hub:
        """Have another device claim the place of a hub, and hang up its locks with it."""
        self.power_off(hub)
        self.hubs.remove(hub)
        new = Hub(identity=await self._claim(made), cloud=cast("Cloud", None))
        self.hubs.append(new)
        for lock in list(hub.locks):
            self.reach(new, lock)
        self.power_on(new)
        await self.settled()
        return new

    async def mounted(
        self, made: Any, hub: Hub, *, site: SiteId = OWN, by: str = "ada", **more: object
    ) -> tuple[Any, Lock]:
        """Register a factory-fresh lock, mount it within reach of its hub and press it."""
        name = str(len(self.locks))
        identity = LockIdentity(
            serial=f"LOCK-{name}",
            key=secret(f"lock {name}"),
            sticker_secret=claim.code_secret(STICKER),
            capacity=39,
        )
        lock = Lock(name=name, identity=identity, hub=hub)
        hub.locks.append(lock)
        self.locks.append(lock)
        self.power_on(lock)
        return await self.registered(lock, made, site=site, by=by, **more), lock

    async def registered(
        self, lock: Lock, made: Any, *, site: SiteId = OWN, by: str = "ada", **more: object
    ) -> Any:
        """Register a lock that is there at a hub of a site and press it."""
        public = X25519PrivateKey.from_private_bytes(lock.identity.key).public_key()
        known = {
            "serial": lock.identity.serial,
            "public_key": public.public_bytes_raw().hex(),
            "capacity": lock.identity.capacity,
        }
        shown = await self.ground.lock(made, site=site, by=by, **known | more)
        self.tell(lock, Press())
        await self.pass_by(30)
        return shown

    def reach(self, hub: Hub, lock: Lock) -> None:
        """Bring a lock into the reach of another hub's radio."""
        lock.hub.locks.remove(lock)
        hub.locks.append(lock)
        lock.hub = hub

    async def pass_by(self, seconds: int) -> None:
        """Let time pass, for everybody."""
        for _ in range(seconds):
            step = timedelta(seconds=1)
            self.ground.calendar.at += step
            self.ground.link.at += step
            self.ground.link.now_s += 1
            self.run(1)
            await self.settled()

    async def settled(self) -> None:
        """Carry messages until nobody has anything to say."""
        there = [hub.identity.hub_id.hex() for hub in self.hubs if hub.state and hub.has_uplink]
        gone = [hub.identity.hub_id.hex() for hub in self.hubs if not hub.has_uplink]
        await self.inbound.presence(online=there, offline=gone)
        for _ in range(ROUNDS_MAX):
            said, self._outbox = self._outbox, deque()
            for hub, publish in said:
                self._bring(await self.inbound.hand_in([_uplink(hub, publish)]))
            lacking = await self.inbound.behind(after="", limit=100)
            new = {(one.hub_id, one.lease_number, one.revision) for one in lacking} - self._told
            self._told |= new
            self._bring(await self.inbound.documents([hub_id for hub_id, _, _ in sorted(new)]))
            self._bring(await self.inbound.commands())
            if not self._outbox and not new:
                return
        raise AssertionError("they never stop talking")

    @override
    def _to_cloud(self, hub: Hub, publish: Publish) -> None:
        self._outbox.append((hub, publish))

    def _bring(self, downlinks: Any) -> None:
        for each in downlinks:
            assert isinstance(each, Downlink)
            for hub in self.hubs:
                if hub.identity.hub_id.hex() == each.hub_id and hub.state:
                    self.deliver(hub, Received(kind=each.kind, payload=each.data))

    async def _claim(self, made: Any) -> HubIdentity:
        name = f"{made['serial']} {len(self.hubs)} {made['version']}"
        device = Ed25519PrivateKey.from_private_bytes(secret(f"device {name}"))
        agreement = X25519PrivateKey.from_private_bytes(secret(f"agreement {name}"))
        blank = ClaimRequest(
            serial=made["serial"],
            csr=_csr(),
            device_key=device.public_key().public_bytes_raw(),
            agreement_key=agreement.public_key().public_bytes_raw(),
            nonce=bytes(16),
            mac=bytes(32),
        )
        mac = claim.request_mac(
            blank,
            secret=claim.code_secret(STICKER),
            ca_fingerprint=self.claims.addresses.ca_fingerprint,
        )
        request = ClaimRequest(
            **{name: getattr(blank, name) for name in blank.__slots__} | {"mac": mac}
        )
        async with self.ground.db.write() as tx:
            answer = await self.claims.claim(tx, request, now=self.ground.calendar.now())
        assert answer is not None, "the claim was refused"
        given = wire.decode(ClaimResponse, answer)
        return HubIdentity(
            serial=made["serial"],
            hub_id=given.hub_id,
            site_id=given.site_id,
            epoch=given.epoch,
            device_key=device.private_bytes_raw(),
            agreement_key=agreement.private_bytes_raw(),
            controller_signing_key=given.signing_key,
            controller_agreement_key=given.agreement_key,
        )


def _csr() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    built = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _uplink(hub: Hub, publish: Publish) -> Uplink:
    payload = cbor.decode(publish.payload)
    assert isinstance(payload, list)
    kind = _MESSAGES.get(publish.kind, Status)
    return Uplink(
        hub_id=hub.identity.hub_id.hex(),
        kind=publish.kind,
        raw=publish.payload,
        message=wire.decode(kind, payload[2]),
    )


@asynccontextmanager
async def built(ground: Ground, folder: Path) -> AsyncIterator[Building]:
    """Give the served sites a cloud's end of the link."""
    threads = PoolThreads()
    delivery = Delivery(
        ground.db,
        keys=KEYS,
        calendar=ground.calendar,
        threads=threads,
        offline_grace=timedelta(hours=24),
    )
    inbound = Inbound(
        ground.db,
        delivery,
        keys=KEYS,
        calendar=ground.calendar,
        link_clock=ground.link,
        threads=threads,
        bus=ground.bus,
        departures=Departures(sync=ground.services.sync, audit=ground.services.audit),
        audience=Audience(),
    )
    claims = Claims(
        keys=KEYS,
        authority=Authority(folder / "ca", public_host="127.0.0.1", now=ground.link.utc()),
        addresses=ADDRESSES,
        entitlement=ground.services.entitlement,
        sync=ground.services.sync,
        audit=ground.services.audit,
        link=ground.link,
    )
    yield Building(ground, inbound, claims)
    threads.close()
