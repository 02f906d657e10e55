"""A claim proves to both ends that the other stands where the sticker and the QR are."""

import hashlib
import hmac
from dataclasses import fields, replace
from typing import Any

import cbor2
import pytest
from cddl_verifier import Validator

from gateway.protocol import claim, wire
from gateway.protocol.claim import ClaimRequest, ClaimResponse
from gateway.protocol.errors import ProtocolError
from tests.gateway.protocol import examples
from tests.gateway.protocol.examples import CA_FINGERPRINT, CLAIM_REQUEST, CLAIM_RESPONSE, NONCE
from tests.gateway.protocol.test_cddl import CDDL

SECRET = claim.code_secret(examples.HUB_CODE)


def request_mac(request: ClaimRequest, **changes: bytes) -> bytes:
    """Return the MAC of a request, with the true secrets unless told otherwise."""
    known = {"secret": SECRET, "ca_fingerprint": CA_FINGERPRINT, **changes}
    return claim.request_mac(request, **known)


def response_mac(response: ClaimResponse, **changes: bytes) -> bytes:
    """Return the MAC of a response, with the true secrets unless told otherwise."""
    known = {"secret": SECRET, "request_nonce": NONCE, **changes}
    return claim.response_mac(response, **known)


def altered(value: Any) -> list[Any]:
    """Return the values that differ in one byte or, of a number, by one."""
    if isinstance(value, int):
        return [value + 1]
    raw = value.encode() if isinstance(value, str) else value
    flipped = [raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :] for i in range(len(raw))]
    return [text.decode() for text in flipped] if isinstance(value, str) else flipped


def test_macs_are_what_the_documents_say() -> None:
    """Both MACs are HMAC-SHA-256 over a CBOR list, put together here by hand."""
    q = CLAIM_REQUEST
    asked = [b"request", b"IQ-0001", q.csr, q.device_key, q.agreement_key, NONCE, CA_FINGERPRINT]
    body = {key: value for key, value in wire.to_map(CLAIM_RESPONSE).items() if key != 9}
    answered = [b"response", NONCE, cbor2.dumps(body, canonical=True)]

    for parts, rule, mac in (
        (asked, "claim-request-mac", CLAIM_REQUEST.mac),
        (answered, "claim-response-mac", CLAIM_RESPONSE.mac),
    ):
        covered = cbor2.dumps(parts)
        assert hmac.new(SECRET, covered, hashlib.sha256).digest() == mac
        assert Validator(CDDL).validate(covered, root_type=rule).valid


@pytest.mark.parametrize("name", [f.name for f in fields(ClaimRequest) if f.name != "mac"])
def test_request_mac_covers(name: str) -> None:
    """Any other byte in any field of a request needs another MAC."""
    for value in altered(getattr(CLAIM_REQUEST, name)):
        assert request_mac(replace(CLAIM_REQUEST, **{name: value})) != CLAIM_REQUEST.mac


@pytest.mark.parametrize("name", [f.name for f in fields(ClaimResponse) if f.name != "mac"])
def test_response_mac_covers(name: str) -> None:
    """Any other byte in any field of an answer needs another MAC."""
    for value in altered(getattr(CLAIM_RESPONSE, name)):
        assert response_mac(replace(CLAIM_RESPONSE, **{name: value})) != CLAIM_RESPONSE.mac


def test_macs_need_the_sticker_the_cloud_and_the_question() -> None:
    """Another sticker, another cloud's CA or another question makes another MAC."""
    for value in altered(SECRET):
        assert request_mac(CLAIM_REQUEST, secret=value) != CLAIM_REQUEST.mac
        assert response_mac(CLAIM_RESPONSE, secret=value) != CLAIM_RESPONSE.mac
    for value in altered(CA_FINGERPRINT):
        assert request_mac(CLAIM_REQUEST, ca_fingerprint=value) != CLAIM_REQUEST.mac
    for value in altered(NONCE):
        assert response_mac(CLAIM_RESPONSE, request_nonce=value) != CLAIM_RESPONSE.mac


def test_mac_itself_is_not_covered() -> None:
    """A MAC is computed before it is filled in."""
    assert request_mac(replace(CLAIM_REQUEST, mac=bytes(32))) == CLAIM_REQUEST.mac
    assert response_mac(replace(CLAIM_RESPONSE, mac=bytes(32))) == CLAIM_RESPONSE.mac


@pytest.mark.parametrize(
    "typed", ["7k3mw9qxt2rd", "7K3M W9QX T2RD", " 7k3m-w9qx-t2rd ", "7-K-3-M-W-9-Q-X-T-2-R-D"]
)
def test_a_code_may_be_typed_as_one_likes(typed: str) -> None:
    """Case, dashes and spaces make no difference."""
    assert claim.code_secret(typed) == SECRET


def test_letters_that_look_like_digits_are_digits() -> None:
    """O is 0, I and L are 1, as on every Crockford code."""
    assert claim.code_secret("OoIiLl234567") == claim.code_secret("001111234567")


@pytest.mark.parametrize(
    "code", ["", "7K3M-W9QX-T2R", "7" * 33, "7K3M-W9QX-T2RU", "7K3M-W9QX-T2RÉ", "7K3M_W9QX_T2RD"]
)
def test_what_no_sticker_has_is_refused(code: str) -> None:
    """Too few or too many symbols, or one outside the alphabet, is refused with the bounds."""
    with pytest.raises(ProtocolError, match="12 to 32 letters and digits"):
        claim.code_secret(code)
