"""The instant of a step: all of time and chance that firmware gets to see."""

import hashlib
from dataclasses import dataclass
from typing import Final

ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """When a step happens, and chance that no other step gets."""

    mono_s: float  # the device's link clock: real seconds, from anywhere
    entropy: bytes  # 32 fresh unpredictable bytes

    def fresh_id(self, use: str) -> bytes:
        """Return 16 unpredictable bytes for one use within this step."""
        return hashlib.sha256(self.entropy + use.encode()).digest()[:ID_BYTES]
