"""The claim, over real TLS, with a cloud that is right and with clouds that are not."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware_sim import provision
from firmware_sim.chance import SystemChance
from firmware_sim.provision import ClaimRefusedError, Provisioned, QrCode, Sticker
from gateway.protocol import cbor, claim, cose, wire
from gateway.protocol.claim import ClaimRequest, ClaimResponse
from tests.firmware_sim.cloud import ident, secret
from tests.firmware_sim.pki import Authority, authority, pem_of, signed

STICKER = Sticker(serial="IQ-1", activation_code="ABCD-EFGH-JKMN-PQRS")


class Claims:
    """A claim server."""

    def __init__(self, ca: Authority, *, code: str = STICKER.activation_code) -> None:
        self.ca = ca
        self.secret = claim.code_secret(code)
        self.requests: list[ClaimRequest] = []
        self.answers = True

    async def authority(self, _request: web.Request) -> web.Response:
        """Answer the CA."""
        return web.Response(body=self.ca.der)

    async def claim(self, request: web.Request) -> web.Response:
        """Answer a claim as the cloud does."""
        data = await request.read()
        body = cbor.decode(data)[2]
        claimed = wire.decode(ClaimRequest, body)
        cose.verify(data, [Ed25519PublicKey.from_public_bytes(claimed.device_key)], claim.EXTERNAL)
        self.requests.append(claimed)
        if not self.answers:
            raise web.HTTPServiceUnavailable
        csr = x509.load_der_x509_csr(claimed.csr)
        key = csr.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        response = ClaimResponse(
            hub_id=ident("hub"),
            site_id=ident("site"),
            epoch=1,
            certificate=signed(self.ca, key, ident("hub").hex()),
            signing_key=secret("signing"),
            agreement_key=secret("agreement"),
            broker_host="127.0.0.1",
            broker_port=8883,
            mac=bytes(32),
        )
        mac = claim.response_mac(response, request_nonce=claimed.nonce, secret=self.secret)
        return web.Response(body=wire.encode(replace(response, mac=mac)))


@asynccontextmanager
async def serving(claims: Claims, folder: Path, *, tls_by: Authority) -> AsyncIterator[str]:
    """Serve over TLS and yield the claim's address."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "server.pem").write_bytes(pem_of(key) + signed(tls_by, key.public_key(), "server"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    app = web.Application()
    app.router.add_get(claim.CA_PATH, claims.authority)
    app.router.add_post(claim.PATH, claims.claim)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"https://127.0.0.1:{port}{claim.PATH}"
    finally:
        await runner.cleanup()


async def claimed(url: str, folder: Path, *, fingerprint: str) -> Provisioned:
    """Claim the hub of the sticker."""
    async with aiohttp.ClientSession() as session:
        return await provision.provision(
            STICKER,
            QrCode(claim_url=url, ca_fingerprint=fingerprint),
            folder=folder / "hub",
            session=session,
            chance=SystemChance(),
        )


async def test_a_hub_is_claimed_and_found_again(tmp_path: Path) -> None:
    """It pins what the cloud said, and its certificate fits its key."""
    claims = Claims(authority())
    async with serving(claims, tmp_path, tls_by=claims.ca) as url:
        done = await claimed(url, tmp_path, fingerprint=claims.ca.fingerprint)

    (request,) = claims.requests
    sent = replace(request, mac=b"")
    fingerprint = bytes.fromhex(claims.ca.fingerprint)
    mac = claim.request_mac(sent, secret=claims.secret, ca_fingerprint=fingerprint)
    assert request.mac == mac
    assert done.identity.hub_id == ident("hub")
    assert done.identity.controller_signing_key == secret("signing")
    assert provision.load(tmp_path / "hub") == done
    ssl.create_default_context().load_cert_chain(done.tls_file)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "hub").iterdir())


async def test_another_fingerprint_ends_it_before_a_word_is_said(tmp_path: Path) -> None:
    """Somebody in between has a CA of his own: the hub does not even send its claim."""
    claims = Claims(authority())
    async with serving(claims, tmp_path, tls_by=claims.ca) as url:
        with pytest.raises(ClaimRefusedError, match="fingerprint"):
            await claimed(url, tmp_path, fingerprint=authority().fingerprint)

    assert claims.requests == []


async def test_the_right_ca_does_not_help_who_is_not_signed_by_it(tmp_path: Path) -> None:
    """Somebody in between shows the cloud's CA and has no certificate of it."""
    claims = Claims(authority())
    async with serving(claims, tmp_path, tls_by=authority()) as url:
        with pytest.raises(ClaimRefusedError, match="no answer"):
            await claimed(url, tmp_path, fingerprint=claims.ca.fingerprint)

    assert claims.requests == []


async def test_who_does_not_know_the_sticker_is_not_believed(tmp_path: Path) -> None:
    """The answer's MAC is not the activation code's: nothing is pinned."""
    claims = Claims(authority(), code="0000-0000-0000-0000")
    async with serving(claims, tmp_path, tls_by=claims.ca) as url:
        with pytest.raises(ClaimRefusedError, match="activation code"):
            await claimed(url, tmp_path, fingerprint=claims.ca.fingerprint)

    assert provision.load(tmp_path / "hub") is None


async def test_a_lost_answer_loses_nothing(tmp_path: Path) -> None:
    """The hub asks again with the same keys, to which its place belongs by now."""
    claims = Claims(authority())
    claims.answers = False
    async with serving(claims, tmp_path, tls_by=claims.ca) as url:
        with pytest.raises(ClaimRefusedError, match="503"):
            await claimed(url, tmp_path, fingerprint=claims.ca.fingerprint)
        claims.answers = True

        await claimed(url, tmp_path, fingerprint=claims.ca.fingerprint)

    first, second = claims.requests
    assert (first.device_key, first.agreement_key) == (second.device_key, second.agreement_key)
    assert first.nonce != second.nonce
