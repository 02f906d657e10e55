"""One step while it is being computed. It lives within a step function and never leaves it."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from firmware_sim.instant import Instant
from firmware_sim.outputs import FlashDelete, FlashWrite, Output

S = TypeVar("S")


@dataclass(slots=True)
class Turn(Generic[S]):
    """The state so far and the outputs so far."""

    state: S
    instant: Instant
    outputs: list[Output] = field(default_factory=list)

    def emit(self, *outputs: Output) -> None:
        """Add outputs."""
        self.outputs.extend(outputs)

    def finish(self) -> tuple[S, tuple[Output, ...]]:
        """Return the step's result: what must be durable comes before what shows."""
        is_flash = [isinstance(output, FlashWrite | FlashDelete) for output in self.outputs]
        pairs = list(zip(is_flash, self.outputs, strict=True))
        flash = [output for first, output in pairs if first]
        return self.state, (*flash, *(output for first, output in pairs if not first))
