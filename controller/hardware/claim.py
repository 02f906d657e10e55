"""A hub claims its place: it pins the cloud, and the cloud pins it.

Whoever knows the code on the sticker may claim a registered serial once. After that the place
belongs to the device key of that claim: the same device may ask again, because its answer may have
been lost on the way, until it first reports over the device link, when the secret is forgotten.
Everybody else is a stranger until somebody at the site replaces the hub. Strangers learn nothing:
not whether the serial is known, nor what was wrong.

A serial may be registered at several sites, since anybody can type it. The claim decides: it goes
to the place whose code the device proves, and only then is the serial in service and the free week
counted.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Row, select, update
from sqlalchemy.exc import IntegrityError

from controller.audit.service import Audit
from controller.db.engine import Session
from controller.db.tables.hardware import hubs, locks
from controller.domain.hardware import ClaimRefused, InvalidDeviceKey, SerialInService
from controller.domain.roles import Actor, ActorKind
from controller.hardware.service import DeviceAddresses
from controller.keys import Keys
from controller.pki import Authority
from controller.ports import LinkClock
from controller.subscriptions.entitlement import Entitlement
from controller.sync.changes import Touched
from controller.sync.service import Sync
from gateway.protocol import cbor, claim, cose, sealing, wire
from gateway.protocol.claim import ClaimRequest, ClaimResponse
from gateway.protocol.errors import ProtocolError

NOBODYS_SECRET: Final = bytes(32)  # what an unknown serial is compared with
PLACES_MAX: Final = 100  # sites at which somebody has typed one serial
RECORDED_MAX: Final = 10  # of them, that learn of a claim with a wrong code
_PAYLOAD: Final = 2  # place in a COSE_Sign1
_NO_MAC: Final = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Answers the claims of hubs."""

    keys: Keys
    authority: Authority
    addresses: DeviceAddresses
    entitlement: Entitlement
    sync: Sync
    audit: Audit
    link: LinkClock

    async def claim(self, tx: Session, request: ClaimRequest, *, now: datetime) -> bytes | None:
        """Give a hub its place and return the answer; nothing if the claim is refused.

        A refusal is no exception, so that its audit record is committed.

        Raises:
            CsrRefused: The hub is who it says, and its certificate request cannot be signed.
            InvalidDeviceKey: Likewise for its agreement key.
            HubHadFreeWeek: Likewise, and it would bring the site a second free week.
        """
        rows = await _waiting(tx, request.serial)
        row = self._proved(request, rows)
        if row is None or row.device_key not in (None, request.device_key):
            for each in rows[:RECORDED_MAX] if row is None else [row]:
                await self._record(tx, each, now=now, refused=ClaimRefused.code)
            return None
        answer = self._answer(row, request, secret=self._secret(row))
        await self.entitlement.admit_hub_serial(tx, row.site_id, row.serial, now=now)
        if not await _pin(tx, row, request, now=now):
            await self._record(tx, row, now=now, refused=SerialInService.code)
            return None
        await self.sync.request_revision(tx, row.site_id, Touched.hubs(row.id))
        await self._record(tx, row, now=now)
        return wire.encode(answer)

    def _proved(self, request: ClaimRequest, rows: Sequence[Row[Any]]) -> Row[Any] | None:
        """Return the first place whose code the device has proved, in the same time for all."""
        candidates: list[Row[Any] | None] = [*rows] if rows else [None]
        found = None
        for row in candidates:
            expected = claim.request_mac(
                request,
                secret=NOBODYS_SECRET if row is None else self._secret(row),
                ca_fingerprint=self.addresses.ca_fingerprint,
            )
            if hmac.compare_digest(request.mac, expected) and found is None:
                found = row
        return found

    def _secret(self, row: Row[Any]) -> bytes:
        return self.keys.unseal_claim_secret(row.claim_secret, serial=row.serial)

    def _answer(self, row: Row[Any], request: ClaimRequest, *, secret: bytes) -> ClaimResponse:
        hub_id = bytes.fromhex(row.id)
        _require_agreement(self.keys, request, hub_id)
        der = self.authority.sign_hub(request.csr, hub_id=row.id, now=self.link.utc())
        answer = ClaimResponse(
            hub_id=hub_id,
            site_id=bytes.fromhex(row.site_id),
            epoch=row.epoch + 1,
            certificate=x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM),
            signing_key=self.keys.signing.public_key().public_bytes_raw(),
            agreement_key=self.keys.agreement.public_key().public_bytes_raw(),
            broker_host=self.addresses.broker_host,
            broker_port=self.addresses.broker_port,
            mac=_NO_MAC,
        )
        mac = claim.response_mac(answer, request_nonce=request.nonce, secret=secret)
        return replace(answer, mac=mac)

    async def _record(
        self, tx: Session, row: Row[Any], *, now: datetime, refused: str | None = None
    ) -> None:
        hub = Actor(kind=ActorKind.SYSTEM, account_id=None, name=f"hub {row.serial}")
        await self.audit.record(
            tx,
            hub,
            "hub_claimed",
            site_id=row.site_id,
            object_kind="hub",
            object_id=row.id,
            now=now,
            facts={"serial": row.serial, "epoch": row.epoch + (refused is None)},
            refused=refused,
        )


def read_request(data: bytes) -> ClaimRequest:
    """Return a claim whose sender holds the device key that it carries.

    Raises:
        ClaimRefused: It is no claim, or another key signed it.
    """
    try:
        message = cbor.decode(data)
        payload = message[_PAYLOAD] if type(message) is list and len(message) > _PAYLOAD else None
        if type(payload) is not bytes:
            raise refusal()
        request = wire.decode(ClaimRequest, payload)
        key = Ed25519PublicKey.from_public_bytes(request.device_key)
        cose.verify(data, [key], claim.EXTERNAL)
    except ProtocolError as error:
        raise refusal() from error
    return request


def refusal() -> ClaimRefused:
    """Return what every stranger hears."""
    return ClaimRefused(
        "The claim is refused. Register the hub's serial and activation code at the site first, "
        "and check that the hub was shown this cloud's address."
    )


async def _waiting(tx: Session, serial: str) -> Sequence[Row[Any]]:
    """Return the places of hubs in service that a serial may claim, oldest first."""
    found = await tx.execute(
        select(hubs)
        .where(
            hubs.c.serial == serial, hubs.c.retired_at.is_(None), hubs.c.claim_secret.is_not(None)
        )
        .order_by(hubs.c.created_at, hubs.c.id)
        .limit(PLACES_MAX)
    )
    return found.all()


async def _pin(tx: Session, row: Row[Any], request: ClaimRequest, *, now: datetime) -> bool:
    """Give the place to a device key, unless another claim was faster, here or elsewhere.

    Every lock of the place gets a new ticket, and so a radio link that the device before does not
    know.
    """
    one = update(hubs).where(
        hubs.c.site_id == row.site_id,
        hubs.c.id == row.id,
        hubs.c.epoch == row.epoch,
        hubs.c.claim_secret == row.claim_secret,
    )
    claimed = one.values(
        claimed_at=now,
        device_key=request.device_key,
        agreement_key=request.agreement_key,
        epoch=row.epoch + 1,
        # The device starts with nothing, whatever the one before had confirmed.
        lease_wanted=hubs.c.lease_wanted + 1,
        lease_signed_at=now,
        lease_confirmed=0,
        revision_confirmed=0,
        subscribed_confirmed=None,
        confirmed_at=None,
    )
    try:
        async with tx.savepoint():
            pinned = await tx.execute(claimed)
    except IntegrityError:  # the serial is in service elsewhere
        return False
    if pinned.rowcount == 0:
        return False
    await tx.execute(
        update(locks)
        .where(locks.c.site_id == row.site_id, locks.c.hub_id == row.id)
        .values(ticket_number=locks.c.ticket_number + 1)
    )
    return True


def _require_agreement(keys: Keys, request: ClaimRequest, hub_id: bytes) -> None:
    try:
        public = X25519PublicKey.from_public_bytes(request.agreement_key)
        sealing.hub_key(keys.agreement, public, hub_id=hub_id)
    except ProtocolError as error:
        raise InvalidDeviceKey("agreement_key: it agrees on nothing secret.") from error
