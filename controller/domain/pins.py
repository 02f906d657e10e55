"""PINs: how long they are, how one is drawn, and which ones a person may choose.

Whoever tries codes at a keypad must not get anywhere, so there are at least 20,000 possible codes
for each PIN of the site. A site with more PINs therefore makes longer ones.

Source: docs/algorithms/pins.md.
"""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from controller.domain.errors import Invalid, Refused
from controller.domain.people import SiteCredential

DIGITS_MIN: Final = 6
DIGITS_MAX: Final = 10  # as many as the device link carries
CODES_PER_PIN: Final = 20_000
NOT_AGAIN: Final = timedelta(days=90)  # a revoked PIN is nobody's for so long
RANDOM_BYTES: Final = 8


class PinsSwitchedOff(Refused):
    """The site makes no PINs, or lets nobody choose one."""

    code = "pins_switched_off"


class PinsExhausted(Refused):
    """No PIN is left that nobody has or had lately."""

    code = "pins_exhausted"


class PinTaken(Refused):
    """The chosen PIN opens doors of this site already, or did so lately."""

    code = "pin_taken"


class PinWithheld(Refused):
    """An admin has a say in the PIN, so its holder makes no other."""

    code = "pin_withheld"


class InvalidPin(Invalid):
    """The chosen PIN is none, too short, or the first that anybody would try."""

    code = "invalid_pin"


def digits_for(live: int) -> int:
    """Return how many digits a new PIN has at a site that has ``live`` PINs with it.

    Raises:
        PinsExhausted: So many PINs would be too easy to guess at any length.
    """
    for digits in range(DIGITS_MIN, DIGITS_MAX + 1):
        if 10**digits >= live * CODES_PER_PIN:
            return digits
    raise exhausted()


def exhausted() -> PinsExhausted:
    """Return the refusal of a PIN for which there is no room."""
    return PinsExhausted(
        "The site has too many PINs, or has had too many lately. Delete some that nobody needs.",
        remedy="delete_pin",
    )


def drawn(digits: int, random: bytes) -> str | None:
    """Return the PIN that random bytes make, each as likely as the other; None: draw again.

    Args:
        digits: Of the PIN, at most 10.
        random: 8 bytes that nobody can guess.
    """
    assert len(random) == RANDOM_BYTES
    codes = 10**digits
    number, numbers = int.from_bytes(random), 256**RANDOM_BYTES
    if number >= numbers - numbers % codes:
        return None  # the last few numbers would make the first codes more likely
    return f"{number % codes:0{digits}}"


def require_renewable(before: SiteCredential | None, *, now: datetime) -> None:
    """Refuse its holder another PIN where the one before opens nothing any more.

    Raises:
        PinWithheld: It is blocked, or its end has come.
    """
    if before is None:
        return
    is_over = before.ends_at is not None and now >= before.ends_at
    if is_over or before.blocked_at is not None:
        raise PinWithheld(
            "Your PIN is blocked or has come to its end. Ask an admin for another one.",
            remedy="ask_admin",
        )


def require_choosable(pin: str, *, digits: int) -> None:
    """Refuse a PIN that nobody should have chosen.

    Args:
        pin: What was typed. No refusal repeats it.
        digits: How many a new PIN of the site has.

    Raises:
        InvalidPin: It has another form, too few digits, or is a repetition or a sequence.
    """
    facts = {"field": "pin", "digits_min": digits, "digits_max": DIGITS_MAX}
    if not (pin.isascii() and pin.isdecimal() and digits <= len(pin) <= DIGITS_MAX):
        raise InvalidPin(f"pin: choose {digits} to {DIGITS_MAX} digits.", **facts)
    if _repeats(pin) or _runs(pin):
        raise InvalidPin(
            "pin: repetitions and sequences, such as 000000, 121212 and 123456, are what a thief "
            "tries first. Choose another.",
            **facts,
        )


def _repeats(pin: str) -> bool:
    """Return whether it is one block again and again, the last one perhaps cut short."""
    blocks = range(1, len(pin) // 2 + 1)
    return any(pin == (pin[:size] * len(pin))[: len(pin)] for size in blocks)


def _runs(pin: str) -> bool:
    """Return whether it counts up or down; after 9 comes 0."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    return steps in ({1}, {9})
