"""A hub claims its place over HTTPS."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from controller.clock import SystemLinkClock
from controller.db.engine import Database
from controller.db.tables.hardware import hubs
from controller.db.tables.records import audit_records
from controller.domain.ids import HubId
from controller.domain.subscription import Kind
from controller.hardware.claim import Claims
from controller.hardware.device_api import DeviceApi
from controller.hardware.service import DeviceAddresses
from controller.pki import Authority
from controller.sync import repository as sync
from controller.sync.service import WAKE_HUBS
from gateway.protocol import claim, cose, wire
from gateway.protocol.claim import (
    CA_PATH,
    CONTENT_TYPE,
    EXTERNAL,
    PATH,
    ClaimRequest,
    ClaimResponse,
)
from gateway.protocol.messages import Status
from tests.controller.people.ground import FOREIGN, KEYS, NOW, OWN, STICKER, Ground, served

SECRET = claim.code_secret(STICKER)
NONCE = bytes(range(16))
HUB = {"name": "Hub", "serial": "IQ-77", "activation_code": STICKER}


class Device:
    """A hub with keys of its own and a code on its sticker."""

    def __init__(self, serial: str, fingerprint: bytes, *, secret: bytes = SECRET) -> None:
        self.serial = serial
        self.fingerprint = fingerprint
        self.secret = secret
        self.signing = Ed25519PrivateKey.generate()
        self.agreement = X25519PrivateKey.generate()

    def request(self) -> ClaimRequest:
        """Return an honest claim."""
        blank = ClaimRequest(
            serial=self.serial,
            csr=csr(),
            device_key=self.signing.public_key().public_bytes_raw(),
            agreement_key=self.agreement.public_key().public_bytes_raw(),
            nonce=NONCE,
            mac=bytes(32),
        )
        return self.maced(blank)

    def maced(self, request: ClaimRequest) -> ClaimRequest:
        """Return a claim with the MAC of this device's sticker."""
        mac = claim.request_mac(request, secret=self.secret, ca_fingerprint=self.fingerprint)
        return replace(request, mac=mac)

    def signed(self, request: ClaimRequest) -> bytes:
        """Return a claim as it is sent."""
        return cose.sign(wire.encode(request), self.signing, EXTERNAL)


def csr() -> bytes:
    """Return a certificate request that names somebody else's hub."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "*")])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.DER)


@dataclass(kw_only=True)
class Listener:
    """The HTTPS listener for devices beside the served sites."""

    ground: Ground
    authority: Authority
    session: ClientSession
    url: str

    def device(self, hub: Any, **more: Any) -> Device:
        """Return the device that a hub is registered for."""
        return Device(hub["serial"], self.authority.fingerprint, **more)

    async def send(self, data: bytes, content_type: str = CONTENT_TYPE) -> tuple[int, bytes]:
        """Send a claim and return status and body."""
        headers = {"Content-Type": content_type}
        async with self.session.post(self.url + PATH, data=data, headers=headers) as response:
            return response.status, await response.read()

    async def row(self, hub: Any) -> Any:
        """Return the row of a hub."""
        async with self.ground.db.read() as tx:
            return (await tx.execute(select(hubs).where(hubs.c.id == hub["id"]))).one()


@pytest.fixture
async def listener(database: Database, tmp_path: Path) -> AsyncIterator[Listener]:
    """A listener with a certificate of the installation's own authority."""
    async with listening(database, tmp_path) as made:
        yield made


@asynccontextmanager
async def listening(
    database: Database, tmp_path: Path, *, kind: Kind = Kind.PAID
) -> AsyncIterator[Listener]:
    """Serve devices beside two sites."""
    async with served(database, kind=kind) as ground:
        authority = Authority(tmp_path, public_host="127.0.0.1", now=SystemLinkClock().utc())
        addresses = DeviceAddresses(
            public_host="127.0.0.1",
            claim_port=8443,
            broker_host="broker.example",
            broker_port=8883,
            ca_fingerprint=authority.fingerprint,
        )
        claims = Claims(
            keys=KEYS,
            authority=authority,
            addresses=addresses,
            entitlement=ground.services.entitlement,
            sync=ground.services.sync,
            audit=ground.services.audit,
            link=ground.link,
        )
        api = DeviceApi(claims, ground.db, ground.calendar, ground.link)
        context = ssl.create_default_context(cafile=str(authority.certificate_path))
        async with ClientSession(connector=TCPConnector(ssl=context)) as session:
            server = TestServer(api.application(), scheme="https")
            await server.start_server(ssl=authority.server_context())
            url = str(server.make_url("")).rstrip("/")
            yield Listener(ground=ground, authority=authority, session=session, url=url)
            await server.close()


async def test_the_ca_is_the_one_that_the_qr_code_names(listener: Listener) -> None:
    """A device fetches the CA without trust and compares it with the fingerprint."""
    async with listener.session.get(listener.url + CA_PATH) as response:
        der = await response.read()

    assert response.status == HTTPStatus.OK
    assert hashlib.sha256(der).digest() == listener.authority.fingerprint


async def test_a_claim_gives_the_hub_all_that_it_pins(listener: Listener) -> None:
    """The answer is proved with the sticker's secret and names keys, broker and certificate."""
    hub = await listener.ground.hub()
    device = listener.device(hub)
    request = device.request()

    status, body = await listener.send(device.signed(request))

    answer = wire.decode(ClaimResponse, body)
    assert status == HTTPStatus.OK
    assert answer.mac == claim.response_mac(answer, request_nonce=NONCE, secret=SECRET)
    assert (answer.hub_id.hex(), answer.site_id.hex(), answer.epoch) == (hub["id"], OWN, 1)
    assert answer.signing_key == KEYS.signing.public_key().public_bytes_raw()
    assert answer.agreement_key == KEYS.agreement.public_key().public_bytes_raw()
    assert (answer.broker_host, answer.broker_port) == ("broker.example", 8883)
    certificate = x509.load_pem_x509_certificate(answer.certificate)
    root = x509.load_pem_x509_certificate(listener.authority.certificate_pem)
    certificate.verify_directly_issued_by(root)
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == hub["id"]
    wanted = x509.load_der_x509_csr(request.csr).public_key()
    assert certificate.public_key() == wanted


async def test_a_claim_pins_the_hub_and_asks_for_its_documents(listener: Listener) -> None:
    """The cloud pins both keys, raises the epoch and wants lease and revision of this hub."""
    hub, other = await listener.ground.hub(), await listener.ground.hub()
    device = listener.device(hub)
    request = device.request()
    before = await listener.ground.revisions()
    with listener.ground.bus.subscribe(WAKE_HUBS) as waiter:
        status, _ = await listener.send(device.signed(request))
        woken = await waiter.wait(timeout_s=5)

    row = await listener.row(hub)
    after = await listener.ground.revisions()
    assert status == HTTPStatus.OK
    assert woken
    assert (row.device_key, row.agreement_key) == (request.device_key, request.agreement_key)
    assert (row.epoch, row.claimed_at, row.lease_wanted) == (1, NOW, 2)
    assert after[hub["id"]] == before[hub["id"]] + 1
    assert after[other["id"]] == before[other["id"]]
    shown = await listener.ground.call("GET", f"/sites/{OWN}/hubs/{hub['id']}")
    assert (shown.body["claim"], shown.body["sync"]["state"]) == (None, "pending")


async def test_a_lost_answer_can_be_asked_for_again(listener: Listener) -> None:
    """The device that has the place may claim again, in a new epoch; nobody else may."""
    hub = await listener.ground.hub()
    device, thief = listener.device(hub), listener.device(hub)
    await listener.send(device.signed(device.request()))

    stolen, _ = await listener.send(thief.signed(thief.request()))
    status, body = await listener.send(device.signed(device.request()))

    assert stolen == HTTPStatus.FORBIDDEN
    assert status == HTTPStatus.OK
    assert wire.decode(ClaimResponse, body).epoch == 2
    assert (await listener.row(hub)).device_key == device.request().device_key


async def test_the_secret_is_forgotten_at_the_first_report(listener: Listener) -> None:
    """Once the hub has reported, its answer has arrived, and not even it may claim again."""
    hub = await listener.ground.hub()
    device = listener.device(hub)
    await listener.send(device.signed(device.request()))
    report = Status(
        nonce=NONCE,
        epoch=1,
        lease_number=0,
        revision=0,
        subscribed=False,
        firmware="1.0",
        entries_waiting=0,
        locks=(),
    )
    async with listener.ground.db.write() as tx:
        known = await sync.numbers(tx, [hub["id"]])
        await sync.confirm(tx, [(HubId(hub["id"]), report)], known, now=NOW)

    status, _ = await listener.send(device.signed(device.request()))

    assert status == HTTPStatus.FORBIDDEN
    assert (await listener.row(hub)).claim_secret is None


async def test_a_replaced_hub_is_claimed_by_the_new_device_only(listener: Listener) -> None:
    """After a swap the new device gets the place in a new epoch, and the old one is a stranger."""
    hub = await listener.ground.hub()
    old = listener.device(hub)
    await listener.send(old.signed(old.request()))
    code = "2345-6789-ABCD"
    swapped = await listener.ground.call(
        "POST",
        f"/sites/{OWN}/hubs/{hub['id']}/replacement",
        {"serial": hub["serial"], "activation_code": code},
        if_match=1,
    )
    assert swapped.status == HTTPStatus.OK
    new = listener.device(hub, secret=claim.code_secret(code))

    turned_away, _ = await listener.send(old.signed(old.request()))
    status, body = await listener.send(new.signed(new.request()))

    assert turned_away == HTTPStatus.FORBIDDEN
    assert status == HTTPStatus.OK
    assert wire.decode(ClaimResponse, body).epoch == 2


async def test_one_of_several_devices_gets_the_place(listener: Listener) -> None:
    """Of five who claim one place at once with its code, one wins."""
    hub = await listener.ground.hub()
    devices = [listener.device(hub) for _ in range(5)]

    answers = await asyncio.gather(
        *(listener.send(device.signed(device.request())) for device in devices)
    )

    assert sorted(status for status, _ in answers) == [200, 403, 403, 403, 403]
    row = await listener.row(hub)
    winner = next(d for d, (status, _) in zip(devices, answers, strict=True) if status == 200)
    assert row.device_key == winner.signing.public_key().public_bytes_raw()
    assert row.epoch == 1


async def refused_claims(listener: Listener, hub: Any) -> dict[str, bytes]:
    """Return claims that must be refused, by what is wrong with them."""
    honest = listener.device(hub)
    unknown = Device("IQ-NOWHERE", listener.authority.fingerprint)
    guessing = listener.device(hub, secret=claim.code_secret("0000-0000-0000"))
    misled = Device(hub["serial"], bytes(32))
    nobodys = Device("IQ-NOWHERE", listener.authority.fingerprint, secret=bytes(32))
    thief = listener.device(hub)
    request = honest.request()
    return {
        "unknown serial": unknown.signed(unknown.request()),
        "unknown serial, the secret of nobody": nobodys.signed(nobodys.request()),
        "wrong code": guessing.signed(guessing.request()),
        "the secret of nobody": Device(
            hub["serial"], listener.authority.fingerprint, secret=bytes(32)
        ).signed(request),
        "shown another cloud": misled.signed(misled.request()),
        "signed by another key": thief.signed(request),
        "another certificate request": honest.signed(replace(request, csr=csr())),
        "another agreement key": honest.signed(replace(request, agreement_key=bytes(32))),
        "another nonce": honest.signed(replace(request, nonce=bytes(16))),
        "for another topic": cose.sign(wire.encode(request), honest.signing, b"doorward/1 else"),
        "no message": b"garbage",
        "nothing": b"",
        "an empty list": b"\x80",
        "unsigned": wire.encode(request),
    }


async def test_strangers_all_hear_the_same(listener: Listener) -> None:
    """Whatever is wrong, the answer is the same bytes, and the place stays free."""
    hub = await listener.ground.hub()
    claims = await refused_claims(listener, hub)

    answers = {name: await listener.send(data) for name, data in claims.items()}

    assert len(set(answers.values())) == 1, answers
    ((status, body),) = set(answers.values())
    assert status == HTTPStatus.FORBIDDEN
    assert b"claim_refused" in body
    row = await listener.row(hub)
    assert (row.device_key, row.epoch, row.claimed_at) == (None, 0, None)


@pytest.mark.invariant("L6")
async def test_claims_are_audited(listener: Listener) -> None:
    """A claim leaves one record, and one with a wrong code a record of the refusal."""
    hub = await listener.ground.hub()
    device = listener.device(hub)
    guessing = listener.device(hub, secret=claim.code_secret("0000-0000-0000"))

    await listener.send(guessing.signed(guessing.request()))
    await listener.send(device.signed(device.request()))

    at: dict[str, object] = {"action": "hub_claimed", "site_id": OWN, "object_id": hub["id"]}
    assert await listener.ground.count(audit_records, **at, refused="claim_refused") == 1
    assert await listener.ground.count(audit_records, **at, refused=None) == 1


async def test_a_request_that_cannot_be_signed_is_told_to_its_hub(listener: Listener) -> None:
    """Whoever knows the code is told what is wrong, and may try again."""
    hub = await listener.ground.hub()
    device = listener.device(hub)
    bad_csr = device.maced(replace(device.request(), csr=b"no request"))
    bad_key = device.maced(replace(device.request(), agreement_key=bytes(32)))

    for request, code in ((bad_csr, b"csr_refused"), (bad_key, b"invalid_device_key")):
        status, body = await listener.send(device.signed(request))
        assert status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert code in body

    assert (await listener.row(hub)).device_key is None
    status, _ = await listener.send(device.signed(device.request()))
    assert status == HTTPStatus.OK


async def test_a_retired_hub_cannot_claim(listener: Listener) -> None:
    """A hub out of service is as unknown as any other."""
    hub = await listener.ground.hub()
    await listener.ground.call("DELETE", f"/sites/{OWN}/hubs/{hub['id']}", if_match=1)
    device = listener.device(hub)

    status, _ = await listener.send(device.signed(device.request()))

    assert status == HTTPStatus.FORBIDDEN


async def test_other_requests_are_refused_clearly(listener: Listener) -> None:
    """Another type, a body beyond 16 KiB and another path get problems of their own."""
    wrong_type, _ = await listener.send(b"{}", content_type="application/json")
    too_large, _ = await listener.send(b"x" * 20_000)
    async with listener.session.get(listener.url + "/else") as response:
        nowhere = response.status

    assert (wrong_type, too_large, nowhere) == (415, 413, 404)


async def test_claims_of_one_address_are_limited(listener: Listener) -> None:
    """An address that keeps asking is told to wait, and is heard again later."""
    statuses = [(await listener.send(b""))[0] for _ in range(201)]

    assert statuses[-1] == HTTPStatus.TOO_MANY_REQUESTS
    assert set(statuses[:-1]) == {403}
    listener.ground.link.now_s += 1
    assert (await listener.send(b""))[0] == HTTPStatus.FORBIDDEN


async def test_a_guessed_serial_blocks_nobody(listener: Listener) -> None:
    """Of the sites that expect a serial the one gets the hub whose code is on its sticker."""
    ground = listener.ground
    path = {site: f"/sites/{site}/hubs" for site in (OWN, FOREIGN)}
    body = {"name": "Hub", "serial": "IQ-77"}
    guessed = await ground.call(
        "POST", path[FOREIGN], body | {"activation_code": "2345-6789-ABCD"}, by="bob"
    )
    mine = await ground.call("POST", path[OWN], body | {"activation_code": STICKER})
    device = listener.device(mine.body)

    status, answer = await listener.send(device.signed(device.request()))

    assert (guessed.status, mine.status, status) == (201, 201, HTTPStatus.OK)
    assert wire.decode(ClaimResponse, answer).site_id.hex() == OWN
    assert (await listener.row(guessed.body)).claimed_at is None


async def test_a_serial_is_in_service_once(listener: Listener) -> None:
    """Whoever has the code may expect the hub at two sites, and gets it at one."""
    ground = listener.ground
    first = await ground.call("POST", f"/sites/{OWN}/hubs", HUB)
    ground.calendar.at += timedelta(seconds=1)
    second = await ground.call("POST", f"/sites/{FOREIGN}/hubs", HUB, by="bob")
    devices = [listener.device(first.body) for _ in range(4)]

    answers = await asyncio.gather(
        *(listener.send(device.signed(device.request())) for device in devices)
    )

    assert sorted(status for status, _ in answers) == [200, 403, 403, 403]
    rows = [await listener.row(hub.body) for hub in (first, second)]
    assert [row.claimed_at is not None for row in rows] == [True, False]


@pytest.mark.invariant("V10")
async def test_the_free_week_counts_from_the_claim(database: Database, tmp_path: Path) -> None:
    """Typing a serial spends nothing; claiming in one site's free week does, for good."""
    async with listening(database, tmp_path, kind=Kind.FREE_WEEK) as listener:
        ground = listener.ground
        mine = await ground.call("POST", f"/sites/{OWN}/hubs", HUB)
        ground.calendar.at += timedelta(seconds=1)
        await ground.call("POST", f"/sites/{FOREIGN}/hubs", HUB, by="bob")
        device = listener.device(mine.body)
        status, _ = await listener.send(device.signed(device.request()))
        retired = await ground.call(
            "DELETE", f"/sites/{OWN}/hubs/{mine.body['id']}", if_match=mine.body["version"]
        )

        refused, body = await listener.send(device.signed(device.request()))

    assert (mine.status, status, retired.status) == (201, HTTPStatus.OK, 204)
    assert refused == HTTPStatus.CONFLICT
    assert b"hub_had_free_week" in body
