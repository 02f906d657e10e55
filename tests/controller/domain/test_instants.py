"""Instants and whole seconds."""

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.instants import from_seconds, to_seconds, to_text, whole_second
from controller.domain.reminders import planned
from controller.domain.subscription import expire
from tests.controller.domain.builders import DAY, NOON, paid, plan_product, redeem

INSTANT = NOON + timedelta(milliseconds=999)


@given(st.integers(-4_000_000_000, 4_102_444_800), st.integers(0, 999_999))
def test_seconds_are_rounded_down(seconds: int, microseconds: int) -> None:
    """Before and after 1970, whatever the fraction."""
    instant = from_seconds(seconds) + timedelta(microseconds=microseconds)

    assert to_seconds(instant) == seconds
    assert whole_second(instant) == from_seconds(seconds)


def test_an_instant_without_a_zone_is_refused() -> None:
    """A naive time would mean another instant on another machine."""
    with pytest.raises(ValueError, match="time zone"):
        to_seconds(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


def test_text_is_utc() -> None:
    """Facts and messages show whole seconds of UTC."""
    elsewhere = INSTANT.astimezone(timezone(timedelta(hours=5, minutes=45)))

    assert to_text(elsewhere) == "2026-03-01T12:00:00Z"


@pytest.fixture
def process_zone() -> Iterator[None]:
    """Puts the process's time zone back after a test that changes it."""
    before = os.environ.get("TZ")
    yield
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.invariant("V15")
@pytest.mark.usefixtures("process_zone")
def test_the_processs_time_zone_does_not_matter() -> None:
    """A life with carry-over, expiry and reminders is the same under every TZ."""
    lives = set()
    for zone in ("UTC", "Pacific/Kiritimati", "America/St_Johns", "Europe/Madrid"):
        os.environ["TZ"] = zone
        time.tzset()
        renewed = redeem(paid(), plan_product(users=11, rate=89), now=INSTANT + 9 * DAY)
        expired = expire(renewed, now=renewed.ends_at)
        lives.add(
            repr(
                (
                    renewed,
                    expired,
                    planned(renewed, zone=ZoneInfo("Europe/Madrid")),
                    to_text(INSTANT),
                )
            )
        )

    assert len(lives) == 1
