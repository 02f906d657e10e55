"""Voucher codes: 25 symbols in five groups, for instance ``7K3QF-ZX0MB-…``.

Twenty-four symbols of Crockford's base 32 carry 120 random bits, the last is a check symbol.

The check symbol is one parity symbol over the field of 32 elements. Read a code as the digits
d1 … d25; it is a code when d1·a^24 + d2·a^23 + … + d25·a^0 = 0, where ``a`` generates the field.
``a`` has order 31, so all 25 weights differ and none is zero: one wrong symbol changes the sum,
and so does a swap of any two unequal symbols, neighbours or not. A check modulo 31 would let 0
pass for Z, and one modulo 37 would need symbols that the alphabet lacks.
"""

import hmac
from dataclasses import dataclass, field
from typing import Final

from vouchers.errors import WrongCheckSymbol, WrongLength, WrongSymbol

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SYMBOLS: Final = 25
GROUP: Final = 5
RANDOM_BYTES: Final = 15
DIGEST_BYTES: Final = 32
KEY_BYTES_MIN: Final = 32  # as long as the digest, so that the key is not the weaker part

_BITS: Final = 5  # in a symbol
_FIELD: Final = 0b100101  # x^5 + x^2 + 1: primitive, so that x has order 31
_VALUES: Final = {
    symbol: value for value, upper in enumerate(ALPHABET) for symbol in (upper, upper.lower())
} | {"O": 0, "o": 0, "I": 1, "i": 1, "L": 1, "l": 1}
_SEPARATORS: Final = frozenset(
    "-\u2010\u2011\u2012\u2013\u2014\u2212"
)  # what editors make of a dash


@dataclass(frozen=True, slots=True)
class Code:
    """A voucher code that has passed its check. Its ``repr`` keeps it out of logs."""

    symbols: str = field(repr=False)  # 25 of ALPHABET, without dashes

    def grouped(self) -> str:
        """Return the code as it is printed: five groups of five with dashes."""
        return "-".join(self.symbols[at : at + GROUP] for at in range(0, SYMBOLS, GROUP))


def generate(random_bytes: bytes) -> Code:
    """Return the code that 15 random bytes stand for.

    Args:
        random_bytes: From a cryptographic source, 15 bytes, used for no other code.
    """
    if len(random_bytes) != RANDOM_BYTES:
        raise ValueError(f"a code is made of {RANDOM_BYTES} random bytes, not {len(random_bytes)}")
    number = int.from_bytes(random_bytes)
    values = [number >> _BITS * place & 31 for place in reversed(range(SYMBOLS - 1))]
    values.append(_times_a(_weighted_sum(values)))
    return Code("".join(ALPHABET[value] for value in values))


def parse(text: str) -> Code:
    """Return the code that a person typed.

    Spaces and dashes are skipped, lower case is taken as upper, O as 0, I and L as 1.

    Raises:
        WrongLength: There are not 25 symbols.
        WrongSymbol: A symbol is none of the alphabet; ``position`` counts from 1.
        WrongCheckSymbol: A symbol was mistyped or two were swapped.
    """
    symbols = [sign for sign in text if sign not in _SEPARATORS and not sign.isspace()]
    if len(symbols) != SYMBOLS:
        raise WrongLength(
            f"A voucher code has {SYMBOLS} letters and digits; this one has {len(symbols)}. "
            "Compare it with the voucher group by group.",
            expected=SYMBOLS,
            found=len(symbols),
        )
    for position, symbol in enumerate(symbols, start=1):
        if symbol not in _VALUES:
            raise WrongSymbol(
                f"Symbol {position} of the code is {symbol!r}, which no voucher code contains. "
                f"Look at group {(position - 1) // GROUP + 1} of the voucher again.",
                position=position,
                symbol=symbol,
            )
    values = [_VALUES[symbol] for symbol in symbols]
    if _weighted_sum(values) != 0:
        raise WrongCheckSymbol(
            "The code contains a typing error: a wrong symbol, or two that changed places. "
            "Compare it with the voucher group by group."
        )
    return Code("".join(ALPHABET[value] for value in values))


def digest(code: Code, key: bytes) -> bytes:
    """Return what is stored and looked up instead of the code: HMAC-SHA-256, 32 bytes.

    Args:
        code: The code.
        key: At least 32 secret bytes, kept outside the database that holds the digests.
    """
    if len(key) < KEY_BYTES_MIN:
        raise ValueError(f"the voucher key has {len(key)} bytes and needs {KEY_BYTES_MIN}")
    return hmac.digest(key, code.symbols.encode("ascii"), "sha256")


def _weighted_sum(values: list[int]) -> int:
    """Return the sum of values by descending powers of ``a``, by Horner's rule."""
    total = 0
    for value in values:
        total = _times_a(total) ^ value
    return total


def _times_a(value: int) -> int:
    doubled = value << 1
    return doubled ^ _FIELD if doubled >> _BITS else doubled
