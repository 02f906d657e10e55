"""Passwords: Argon2id, in threads, and the same work whether or not there is an account."""

import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from controller.domain.errors import Invalid
from controller.ports import Randomness, Threads

LENGTH_MIN: Final = 15  # without a second factor
LENGTH_MAX: Final = 128
SALT_BYTES: Final = 16
MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1


class BadPassword(Invalid):
    """A new password that is too short or too long."""

    code = "password_length"


class Passwords:
    """Hashes and verifies."""

    def __init__(self, threads: Threads, randomness: Randomness) -> None:
        self._threads = threads
        self._randomness = randomness
        self._hasher = PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, salt_len=SALT_BYTES
        )
        self._nobodys = self._hashed("")

    async def hash(self, password: str) -> str:
        """Return what is stored instead of a new password.

        Raises:
            BadPassword: It has fewer than 15 or more than 128 characters.
        """
        if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
            raise BadPassword(
                f"password: it must have {LENGTH_MIN} to {LENGTH_MAX} characters; this one has "
                f"{len(password)}. A few words make a good one.",
                field="password",
                minimum=LENGTH_MIN,
                maximum=LENGTH_MAX,
            )
        return await self._threads.run(self._hashed, _normal(password))

    async def fits(self, password: str, stored: str | None) -> bool:
        """Return whether a password is the one that was stored; with nothing stored it never is.

        Either way it takes one hash of work, so that the time does not tell who has an account.
        """
        against = self._nobodys if stored is None else stored
        fits = await self._threads.run(self._fits, _normal(password), against)
        return fits and stored is not None

    def _hashed(self, password: str) -> str:
        return self._hasher.hash(password, salt=self._randomness.token_bytes(SALT_BYTES))

    def _fits(self, password: str, stored: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerificationError:
            return False


def _normal(password: str) -> str:
    """Return the password in one spelling, whatever the keyboard makes of its accents."""
    return unicodedata.normalize("NFKC", password)
