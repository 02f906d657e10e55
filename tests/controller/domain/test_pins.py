"""How long PINs are, how one is drawn, and which ones may be chosen."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import pins
from controller.domain.pins import CODES_PER_PIN, InvalidPin, PinsExhausted

NUMBERS = 256**pins.RANDOM_BYTES


@pytest.mark.parametrize(
    ("live", "digits"),
    [
        (1, 6),
        (50, 6),
        (51, 7),
        (500, 7),
        (501, 8),
        (5_000, 8),
        (5_001, 9),
        (50_000, 9),
        (50_001, 10),
        (500_000, 10),
    ],
)
def test_a_pin_is_as_long_as_the_number_of_pins_asks(live: int, digits: int) -> None:
    """Six digits do for 50 PINs, and each more for ten times as many."""
    assert pins.digits_for(live) == digits


def test_more_pins_than_ten_digits_allow_are_refused() -> None:
    """Beyond half a million PINs a guess would hit too often."""
    with pytest.raises(PinsExhausted):
        pins.digits_for(500_001)


@pytest.mark.invariant("A13")
@given(st.integers(1, 500_000))
def test_whoever_guesses_hits_one_pin_in_20_000_codes_at_best(live: int) -> None:
    """However many PINs a site has, the codes of the length of a new one are 20,000 times more."""
    digits = pins.digits_for(live)

    assert 10**digits / live >= CODES_PER_PIN
    assert digits == 6 or 10 ** (digits - 1) / live < CODES_PER_PIN


@pytest.mark.invariant("A13")
@given(st.integers(6, 10), st.integers(0, NUMBERS - 1))
def test_every_code_is_drawn_by_as_many_numbers_as_the_next(digits: int, number: int) -> None:
    """The numbers that draw a PIN are a whole multiple of all codes, and each takes its turn."""
    codes = 10**digits
    whole = NUMBERS // codes * codes

    pin = pins.drawn(digits, number.to_bytes(pins.RANDOM_BYTES))

    assert pin == (f"{number % codes:0{digits}}" if number < whole else None)


@pytest.mark.invariant("A13")
@pytest.mark.parametrize("digits", [6, 7, 8, 9, 10])
def test_the_numbers_left_over_draw_nothing(digits: int) -> None:
    """The last number of a whole round draws the last code, the one after it none."""
    codes = 10**digits
    whole = NUMBERS // codes * codes

    assert pins.drawn(digits, (whole - 1).to_bytes(8)) == "9" * digits
    assert pins.drawn(digits, whole.to_bytes(8)) is None
    assert pins.drawn(digits, (NUMBERS - 1).to_bytes(8)) is None


@pytest.mark.parametrize(
    "pin",
    [
        "000000",
        "777777777",
        "121212",
        "1212121",
        "123123",
        "4711471147",
        "123456",
        "567890",
        "890123",
        "987654",
        "3210987",
        "0123456789",
    ],
)
def test_repetitions_and_sequences_are_refused(pin: str) -> None:
    """What anybody would try first is no PIN, and the refusal does not repeat it."""
    with pytest.raises(InvalidPin) as refused:
        pins.require_choosable(pin, digits=6)

    assert pin not in refused.value.facts.values()
    assert "000000, 121212 and 123456" in refused.value.message


@pytest.mark.parametrize(
    "pin",
    ["", "48291", "48291504736", "48291a", "４８２９１５", "48 915", "+48291", "-48291"],  # noqa: RUF001
)
def test_what_is_no_pin_is_refused(pin: str) -> None:
    """Six to ten of the digits on the keypad, and nothing else."""
    with pytest.raises(InvalidPin):
        pins.require_choosable(pin, digits=6)


def test_a_pin_shorter_than_new_ones_are_is_refused() -> None:
    """At a site that makes PINs of seven digits nobody chooses six."""
    with pytest.raises(InvalidPin) as refused:
        pins.require_choosable("482915", digits=7)

    assert refused.value.facts == {"field": "pin", "digits_min": 7, "digits_max": 10}
    pins.require_choosable("4829150", digits=7)


@given(st.integers(0, 10**6 - 1))
def test_few_pins_are_refused(number: int) -> None:
    """A chosen PIN is refused only if it goes round within its half, or counts."""
    pin = f"{number:06}"
    rounds = any(pin == (pin[:n] * 6)[:6] for n in (1, 2, 3))
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    simple = rounds or steps in ({1}, {9})

    try:
        pins.require_choosable(pin, digits=6)
    except InvalidPin:
        assert simple
    else:
        assert not simple
