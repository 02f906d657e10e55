"""Ids and random bytes."""

import re

from controller.chance import RandomIds, SystemRandomness


def test_ids_are_32_hex_digits_and_differ() -> None:
    """An id has 128 bits as lower-case hex."""
    ids = RandomIds(SystemRandomness())
    drawn = {ids.new() for _ in range(1000)}

    assert len(drawn) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in drawn)
