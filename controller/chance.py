"""Randomness and ids of the running program."""

import secrets

from controller.ports import Randomness

ID_BYTES = 16


class SystemRandomness:
    """The operating system's generator."""

    def token_bytes(self, count: int, /) -> bytes:
        """Return ``count`` bytes that nobody can guess."""
        return secrets.token_bytes(count)


class RandomIds:
    """Ids of 128 random bits: they tell nothing and need no agreement."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness

    def new(self) -> str:
        """Return a fresh id as 32 lower-case hex characters."""
        return self._randomness.token_bytes(ID_BYTES).hex()
