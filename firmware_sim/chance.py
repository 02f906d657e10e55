"""Chance of the running program."""

import os


class SystemChance:
    """The operating system's generator."""

    def token_bytes(self, count: int, /) -> bytes:
        """Return ``count`` bytes that nobody can guess."""
        return os.urandom(count)
