"""How long to wait before the next try."""

from typing import Final

from gateway.ports import Randomness

_DOUBLINGS_MAX: Final = 20  # every cap is reached by then, and a float never overflows
_CHANCE_BYTES: Final = 6


def full_jitter_s(attempt: int, *, base_s: float, cap_s: float, randomness: Randomness) -> float:
    """Return seconds to wait, anywhere from 0 to the doubled base.

    Spreading over the whole range is what keeps everybody who lost the same peer from coming
    back in the same instant.

    Args:
        attempt: Failures in a row so far, from 0.
        base_s: Upper end after the first failure.
        cap_s: Upper end that doubling never passes.
        randomness: Where chance comes from.
    """
    chance = int.from_bytes(randomness.token_bytes(_CHANCE_BYTES)) / 256**_CHANCE_BYTES
    return chance * min(cap_s, base_s * 2.0 ** min(attempt, _DOUBLINGS_MAX))
