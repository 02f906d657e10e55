"""What is around a lock: door, case and battery, whose contacts it hears; and its crystal."""

import asyncio
from dataclasses import dataclass
from typing import Final

from firmware_sim.inputs import BatteryAt, CaseOpened, DoorMoved

PPM: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How everything stands."""

    is_open: bool = False
    case_is_open: bool = False
    battery: int = 100  # per cent

    def told(self) -> tuple[DoorMoved, CaseOpened, BatteryAt]:
        """Return what the contacts say."""
        return (
            DoorMoved(is_open=self.is_open),
            CaseOpened(is_open=self.case_is_open),
            BatteryAt(percent=self.battery),
        )


class DriftingClock:
    """A lock's monotonic clock, which runs a little fast or slow and never jumps."""

    def __init__(self) -> None:
        self._rate = 1.0
        self._real_s = 0.0
        self._mono_s = 0.0

    def now(self) -> float:
        """Return the lock's monotonic seconds."""
        real_s = asyncio.get_running_loop().time()
        return self._mono_s + (real_s - self._real_s) * self._rate

    def drift(self, ppm: int) -> None:
        """Run so many millionths too fast from now on; too slow below zero."""
        self._mono_s, self._real_s = self.now(), asyncio.get_running_loop().time()
        self._rate = 1 + ppm * PPM
