"""Whole seconds UTC and aware instants, converted exactly."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)


def to_seconds(instant: datetime) -> int:
    """Return the whole seconds UTC since 1970, rounded down.

    Raises:
        ValueError: The instant names no zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"an instant needs a time zone: {instant}")
    return (instant - EPOCH) // SECOND


def from_seconds(seconds: int) -> datetime:
    """Return the instant, in UTC."""
    return EPOCH + timedelta(seconds=seconds)


def whole_second(instant: datetime) -> datetime:
    """Return the last whole second at or before an instant, in UTC."""
    return from_seconds(to_seconds(instant))


def to_text(instant: datetime) -> str:
    """Return an instant for a person or a fact: ``2026-03-01T09:00:00Z``."""
    return whole_second(instant).isoformat().replace("+00:00", "Z")
