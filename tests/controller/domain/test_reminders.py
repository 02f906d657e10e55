"""Reminders: 28, 7 and 1 day before the end, at nine by the clock on the wall."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.reminders import due, next_at, planned
from controller.domain.subscription import cancel
from tests.controller.domain.builders import DAY, NOON, SECOND, free_week, paid

MADRID = ZoneInfo("Europe/Madrid")
AUCKLAND = ZoneInfo("Pacific/Auckland")


def utc(month: int, day: int, hour: int) -> datetime:
    """An instant of 2026 in UTC."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


def test_they_are_due_at_nine_site_time() -> None:
    """Summer time in between moves the instant, not the hour on the wall."""
    subscription = paid(NOON, term_days=60)  # ends on 30 April at 14:00 in Madrid

    assert [(r.days_before, r.due_at) for r in planned(subscription, zone=MADRID)] == [
        (28, utc(4, 2, 7)),
        (7, utc(4, 23, 7)),
        (1, utc(4, 29, 7)),
    ]
    assert [r.due_at for r in planned(paid(term_days=30), zone=MADRID)] == [
        utc(3, 3, 8),
        utc(3, 24, 8),
        utc(3, 30, 7),
    ]


def test_the_sites_own_date_counts() -> None:
    """Where the end falls on the next day, the reminders count from that day."""
    subscription = paid(NOON, term_days=30)  # ends on 1 April at 01:00 in Auckland

    reminders = planned(subscription, zone=AUCKLAND)

    assert reminders[-1].due_at == datetime(2026, 3, 31, 9, tzinfo=AUCKLAND)


def test_a_short_subscription_is_not_reminded_of_what_was_before_it() -> None:
    """A free week made at noon has the last reminder only."""
    assert [r.days_before for r in planned(free_week(), zone=MADRID)] == [1]
    assert planned(paid(term_days=1), zone=MADRID) == ()


def test_each_goes_out_once() -> None:
    """It is due from its instant on until it is sent."""
    subscription = paid(term_days=60)
    at = utc(4, 2, 7)

    assert due(subscription, zone=MADRID, sent_days=None, now=at - SECOND) is None
    first = due(subscription, zone=MADRID, sent_days=None, now=at)
    assert first is not None
    assert first.days_before == 28
    assert due(subscription, zone=MADRID, sent_days=28, now=at + DAY) is None
    second = due(subscription, zone=MADRID, sent_days=28, now=utc(4, 23, 7))
    assert second is not None
    assert second.days_before == 7


def test_after_a_pause_only_the_latest_goes_out() -> None:
    """A worker that slept for a month does not send two at once, nor the older one later."""
    subscription = paid(term_days=60)
    now = utc(4, 29, 8)

    latest = due(subscription, zone=MADRID, sent_days=None, now=now)

    assert latest is not None
    assert latest.days_before == 1
    assert due(subscription, zone=MADRID, sent_days=1, now=now) is None


def test_what_has_ended_is_not_announced() -> None:
    """Neither after the end nor after a cancelling."""
    subscription = paid(term_days=60)
    cancelled = cancel(subscription, reason="x", now=NOON + DAY).subscription

    for ended, now in ((subscription, subscription.ends_at), (cancelled, NOON + DAY)):
        assert due(ended, zone=MADRID, sent_days=None, now=now) is None
        assert next_at(ended, zone=MADRID, now=now) is None


def test_a_timer_knows_when_to_look_again() -> None:
    """The next instant is strictly later, and there is none after the last."""
    subscription = paid(term_days=60)

    assert next_at(subscription, zone=MADRID, now=NOON) == utc(4, 2, 7)
    assert next_at(subscription, zone=MADRID, now=utc(4, 2, 7)) == utc(4, 23, 7)
    assert next_at(subscription, zone=MADRID, now=utc(4, 29, 7)) is None


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Santiago", "Asia/Kathmandu"])
@given(term_days=st.integers(1, 400))
def test_nine_is_nine_everywhere(zone: str, term_days: int) -> None:
    """Whatever the zone and the season, the wall shows 09:00 and the end is ahead."""
    subscription = paid(term_days=term_days)

    for reminder in planned(subscription, zone=ZoneInfo(zone)):
        local = reminder.due_at.astimezone(ZoneInfo(zone))
        assert (local.hour, local.minute) == (9, 0)
        assert subscription.started_at <= reminder.due_at < subscription.ends_at
