"""The calendar as a device keeps it: told from outside, run on its own link clock, never back."""

from dataclasses import dataclass, replace
from typing import Annotated, Final

from firmware_sim.instant import Instant
from gateway.protocol.wire import Key, Range, Uint

MARK_EVERY_MS: Final = 10 * 60 * 1000  # of calendar; what a power cut may cost at speed 1
MARK_PAUSE_S: Final = 10.0  # of link clock; a fast calendar must not wear the flash out
SPEED_MAX: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What flash keeps of the calendar, so that no reboot sets it back."""

    calendar_ms: Annotated[Uint, Key(1)]
    speed: Annotated[int, Range(1, SPEED_MAX), Key(2)]
    untrusted_s: Annotated[Uint, Key(3)] = 0  # uptime used up, all boots together, without the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """A reading and how fast it runs. Told to go back, it stands still until time catches up."""

    anchor_ms: int
    anchor_s: float
    speed: int
    floor_ms: int
    trusted: bool  # told since boot; before that it is a lower bound only
    mark: Mark
    marked_s: float

    def at_ms(self, instant: Instant) -> int:
        """Return the reading in milliseconds UTC."""
        run_ms = int((instant.mono_s - self.anchor_s) * 1000 * self.speed)
        return max(self.floor_ms, self.anchor_ms + run_ms)

    def at_s(self, instant: Instant) -> int:
        """Return the reading in whole seconds UTC."""
        return self.at_ms(instant) // 1000

    def told(self, calendar_ms: int, speed: int, instant: Instant) -> "Calendar":
        """Return the calendar after somebody trusted has said what time it is."""
        return replace(
            self,
            anchor_ms=calendar_ms,
            anchor_s=instant.mono_s,
            speed=speed,
            floor_ms=self.at_ms(instant),
            trusted=True,
        )

    def is_mark_due(self, instant: Instant) -> bool:
        """Return whether the reading is worth a flash write by now."""
        ahead_ms = self.at_ms(instant) - self.mark.calendar_ms
        pause_s = instant.mono_s - self.marked_s
        return ahead_ms >= MARK_EVERY_MS and pause_s >= MARK_PAUSE_S

    def marked(self, instant: Instant, *, untrusted_s: int = 0) -> "Calendar":
        """Return the calendar with a mark of this instant, which the caller writes to flash."""
        mark = Mark(calendar_ms=self.at_ms(instant), speed=self.speed, untrusted_s=untrusted_s)
        return replace(self, mark=mark, marked_s=instant.mono_s)


def booted(mark: Mark | None, instant: Instant) -> Calendar:
    """Return the calendar of a device that has just got power: at its mark, and not trusted."""
    mark = mark or Mark(calendar_ms=0, speed=1)
    return Calendar(
        anchor_ms=mark.calendar_ms,
        anchor_s=instant.mono_s,
        speed=mark.speed,
        floor_ms=mark.calendar_ms,
        trusted=False,
        mark=mark,
        marked_s=instant.mono_s,
    )
