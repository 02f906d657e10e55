"""Which keys a phone may have."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.digital_keys import InvalidPhoneKey, public_key

SMALL_ORDER = [
    "01" + "00" * 31,  # order 1
    "ec" + "ff" * 30 + "7f",  # 2
    "00" * 32,  # 4
    "00" * 31 + "80",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # 8
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


@given(st.binary(min_size=32, max_size=32))
def test_every_real_key_is_taken(seed: bytes) -> None:
    """What a phone makes is accepted, in either case."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()

    assert public_key(key.hex()) == key
    assert public_key(key.hex().upper()) == key


@pytest.mark.parametrize("text", SMALL_ORDER)
def test_a_key_of_small_order_is_refused(text: str) -> None:
    """For each of the eight such points anybody can make a signature."""
    with pytest.raises(InvalidPhoneKey, match="small order"):
        public_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "02" + "00" * 31,  # on no curve
        "ed" + "ff" * 30 + "7f",  # 0, written as the prime itself
        "ee" + "ff" * 30 + "7f",  # 1, written as the prime and one
        "01" + "00" * 30 + "80",  # the neutral point with a sign that it has not
        "ff" * 32,
    ],
)
def test_what_is_no_point_is_refused(text: str) -> None:
    """Bytes that encode no point, or not in the one way that there is, are no key."""
    with pytest.raises(InvalidPhoneKey, match="no Ed25519 public key"):
        public_key(text)


@pytest.mark.parametrize(("text", "says"), [("", "0"), ("ab" * 31, "31"), ("ab" * 33, "33")])
def test_another_length_is_refused(text: str, says: str) -> None:
    """The refusal says how long the key was."""
    with pytest.raises(InvalidPhoneKey, match=f"has {says}"):
        public_key(text)


@pytest.mark.parametrize("text", ["x" * 64, "abc"])
def test_what_is_not_hexadecimal_is_refused(text: str) -> None:
    """Other letters, or half a byte."""
    with pytest.raises(InvalidPhoneKey, match="hexadecimal"):
        public_key(text)
