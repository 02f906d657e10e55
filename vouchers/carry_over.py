"""How much of a running subscription carries over to the next. Integers only.

Time is worth value units by its rate. A balance is what is still unused: segments of seconds,
each with its own rate, used in their order, and a rest that is too small to be a second.

Source: docs/algorithms/carry-over.md.
"""

from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of seconds that are worth the same each."""

    seconds: int  # > 0
    rate: int  # value units per second, >= 1

    def __post_init__(self) -> None:
        if self.seconds < 1 or self.rate < 1:
            raise ValueError(f"a segment needs at least one second and one unit: {self}")

    @property
    def value(self) -> int:
        """Value units of the whole segment."""
        return self.seconds * self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Time not yet used: segments in the order in which they are used, and a rest."""

    segments: tuple[Segment, ...]
    rest: int  # value units, less than one second at the rate of the conversion that left it

    def __post_init__(self) -> None:
        if self.rest < 0:
            raise ValueError(f"a rest is never negative: {self.rest}")

    @property
    def seconds(self) -> int:
        """Seconds that the segments last."""
        return sum(segment.seconds for segment in self.segments)

    @property
    def value(self) -> int:
        """Value units of all segments and the rest."""
        return sum(segment.value for segment in self.segments) + self.rest

    def after(self, elapsed_s: int) -> Self:
        """Return what is left when ``elapsed_s`` seconds have been used.

        Nothing at all is left at or after the end: a rest does not outlive the last second.
        """
        if elapsed_s < 0:
            raise ValueError(f"time is not used backwards: {elapsed_s}")
        left: list[Segment] = []
        for segment in self.segments:
            used_s = min(elapsed_s, segment.seconds)
            elapsed_s -= used_s
            if used_s < segment.seconds:
                left.append(Segment(seconds=segment.seconds - used_s, rate=segment.rate))
        return type(self)(segments=tuple(left), rest=self.rest if left else 0)


NOTHING: Final = Balance(segments=(), rest=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryOver:
    """The balance after a redemption, and how it came about."""

    balance: Balance
    term_s: int  # what the voucher added
    carried_s: int  # what the unused time became
    left_s: int  # what the unused time was
    left_value: int  # what it was worth, the rest included
    converted: bool  # by value, because plan or users differ; otherwise second for second


def carry_over(left: Balance, *, term_s: int, rate: int, same_terms: bool) -> CarryOver:
    """Put a voucher's term behind what is left.

    Args:
        left: The unused balance at the instant of the redemption.
        term_s: Seconds that the voucher adds.
        rate: Value units per second of the voucher.
        same_terms: Plan and users are those of the balance; it then carries second for second.

    Source: docs/algorithms/carry-over.md, steps 3 to 5.
    """
    if same_terms or not left.segments:
        balance = Balance(segments=_appended(left.segments, term_s, rate), rest=left.rest)
        carried_s = left.seconds
    else:
        carried_s, rest = divmod(left.value, rate)
        balance = Balance(segments=(Segment(seconds=carried_s + term_s, rate=rate),), rest=rest)
    return CarryOver(
        balance=balance,
        term_s=term_s,
        carried_s=carried_s,
        left_s=left.seconds,
        left_value=left.value,
        converted=not same_terms and bool(left.segments),
    )


def _appended(segments: tuple[Segment, ...], term_s: int, rate: int) -> tuple[Segment, ...]:
    if segments and segments[-1].rate == rate:
        last = Segment(seconds=segments[-1].seconds + term_s, rate=rate)
        return (*segments[:-1], last)
    return (*segments, Segment(seconds=term_s, rate=rate))
