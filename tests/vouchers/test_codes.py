"""Voucher codes: what is accepted, what is caught before any look-up, what is stored."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchers.codes import ALPHABET, RANDOM_BYTES, SYMBOLS, Code, digest, generate, parse
from vouchers.errors import CodeError, WrongCheckSymbol, WrongLength, WrongSymbol

RANDOM = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
KEY = bytes(range(32))
SAMPLES = [generate(bytes(start + step * 17 & 255 for step in range(15))) for start in range(8)]


@given(RANDOM)
def test_a_printed_code_is_read_back(random_bytes: bytes) -> None:
    """What is printed for 15 random bytes is a code, and the same one."""
    code = generate(random_bytes)

    assert parse(code.grouped()) == code
    assert len(code.symbols) == SYMBOLS
    assert set(code.symbols) <= set(ALPHABET)
    assert [len(group) for group in code.grouped().split("-")] == [5, 5, 5, 5, 5]


@pytest.mark.invariant("V13")
@given(RANDOM, RANDOM)
def test_other_random_bytes_make_another_code(one: bytes, other: bytes) -> None:
    """No two draws of 120 bits share a code, so codes are as unique as the draws."""
    assert (generate(one) == generate(other)) == (one == other)


def test_known_bytes_make_a_known_code() -> None:
    """The code of given bytes never changes, or printed vouchers would be lost."""
    assert generate(bytes(15)).grouped() == "00000-00000-00000-00000-00000"
    assert generate(bytes(range(15))).grouped() == "000G4-0R40M-30E20-9185G-R38ED"
    assert generate(b"\xff" * 15).grouped() == "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZW"


@pytest.mark.parametrize("length", [0, 14, 16])
def test_a_code_needs_120_bits(length: int) -> None:
    """Fewer or more random bytes are a programmer's mistake."""
    with pytest.raises(ValueError, match="15 random bytes"):
        generate(bytes(length))


@pytest.mark.parametrize("code", SAMPLES, ids=range(len(SAMPLES)))
def test_every_wrong_symbol_is_caught(code: Code) -> None:
    """Each of the 31 other symbols at each of the 25 places fails the check."""
    for place, symbol in itertools.product(range(SYMBOLS), ALPHABET):
        if symbol != code.symbols[place]:
            with pytest.raises(WrongCheckSymbol):
                parse(code.symbols[:place] + symbol + code.symbols[place + 1 :])


@pytest.mark.parametrize("code", SAMPLES, ids=range(len(SAMPLES)))
def test_every_swap_is_caught(code: Code) -> None:
    """Any two unequal symbols that change places, neighbours or not, fail the check."""
    swapped = 0
    for first, second in itertools.combinations(range(SYMBOLS), 2):
        symbols = list(code.symbols)
        symbols[first], symbols[second] = symbols[second], symbols[first]
        if symbols[first] != symbols[second]:
            swapped += 1
            with pytest.raises(WrongCheckSymbol):
                parse("".join(symbols))

    assert swapped > SYMBOLS


def test_every_pair_of_neighbours_is_caught_when_swapped() -> None:
    """Whichever two symbols stand side by side, first, in the middle or last, a swap is caught."""
    for pair, at in itertools.product(itertools.permutations(ALPHABET, 2), (0, 11, 22)):
        number = sum(
            ALPHABET.index(symbol) << 5 * (SYMBOLS - 2 - at - offset)
            for offset, symbol in enumerate(pair)
        )
        symbols = generate(number.to_bytes(RANDOM_BYTES)).symbols
        assert symbols[at : at + 2] == "".join(pair)
        with pytest.raises(WrongCheckSymbol):
            parse(symbols[:at] + symbols[at + 1] + symbols[at] + symbols[at + 2 :])


@pytest.mark.parametrize(
    "typed",
    [
        "000g4-0r40m-30e20-9185g-r38ed",
        " 000G4 0R40M 30E20 9185G R38ED\n",
        "000G40R40M30E209185GR38ED",
        "OooG4-oR4OM-3OE2O-9l85G-R38ED",
        "000G4-0R40M-30E20-9I85G-R38ED",
        "000G4-0R40M-30E20-9L85G-R38ED",
        "000G4-0R40M-30E20-9i85G-R38ED",
        "000G4\u20140R40M\u201130E20\u22129185G\u00a0R38ED",
        "0-0-0-G-4-0-R-4-0-M-3-0-E-2-0-9-1-8-5-G-R-3-8-E-D",
    ],
)
def test_a_code_is_read_however_it_is_typed(typed: str) -> None:
    """Spaces, dashes of any editor, lower case, O for 0 and I or L for 1 are accepted."""
    assert parse(typed).symbols == "000G40R40M30E209185GR38ED"


@pytest.mark.parametrize(
    ("typed", "error", "facts"),
    [
        ("", WrongLength, {"expected": 25, "found": 0}),
        ("000G4-0R40M-30E20-9185G-R38E", WrongLength, {"expected": 25, "found": 24}),
        ("000G4-0R40M-30E20-9185G-R38ED-0", WrongLength, {"expected": 25, "found": 26}),
        ("000G4-0R40M-30E20-9185G-R38EU", WrongSymbol, {"position": 25, "symbol": "U"}),
        ("0%0G4-0R40M-30E20-9185G-R38ED", WrongSymbol, {"position": 2, "symbol": "%"}),
        ("00\u0660G4-0R40M-30E20-9185G-R38ED", WrongSymbol, {"position": 3, "symbol": "\u0660"}),
        ("000G4-0R40M-30E20-9\u013185G-R38ED", WrongSymbol, {"position": 17, "symbol": "\u0131"}),
        ("000G4-0R40M-30E20-9185G-R38EK", WrongCheckSymbol, {}),
    ],
)
def test_a_typing_error_is_named(
    typed: str, error: type[CodeError], facts: dict[str, object]
) -> None:
    """The refusal tells length, symbol with position, or that the check fails."""
    with pytest.raises(error) as refusal:
        parse(typed)

    assert type(refusal.value) is error
    assert refusal.value.facts == facts
    assert "group" in refusal.value.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongLength, "voucher_code_length"),
        (WrongSymbol, "voucher_code_symbol"),
        (WrongCheckSymbol, "voucher_code_check"),
    ],
)
def test_every_refusal_has_its_code(error: type[CodeError], code: str) -> None:
    """Machines tell the refusals apart by codes that never change."""
    assert error.code == code


@given(st.text(max_size=60))
def test_any_text_is_a_code_or_a_refusal(text: str) -> None:
    """Nothing a person can type raises anything but a refusal."""
    try:
        code = parse(text)
    except CodeError:
        return
    assert parse(code.grouped()) == code


@pytest.mark.invariant("V13")
def test_what_is_stored_is_a_keyed_digest() -> None:
    """The digest is HMAC-SHA-256 under the key: without the key a dump tells no code."""
    code = generate(bytes(range(15)))

    stored = digest(code, KEY)

    assert stored.hex() == "8c0bc2e449555d9d2cd088a490593a68cac827b5454d0a5186c2f7cc8ec2bb05"
    assert stored != digest(code, KEY[::-1])
    assert stored != digest(generate(bytes(15)), KEY)


@pytest.mark.invariant("V13")
def test_a_short_key_is_refused() -> None:
    """A key weaker than the digest would make the dump guessable."""
    with pytest.raises(ValueError, match="needs 32"):
        digest(generate(bytes(15)), KEY[:31])


@pytest.mark.invariant("V13")
def test_a_code_stays_out_of_logs() -> None:
    """Neither repr nor str of a code shows a symbol of it."""
    code = generate(bytes(range(15)))

    assert repr(code) == str(code) == "Code()"
