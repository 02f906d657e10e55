"""Buckets fill with time, empty with requests and are bounded in number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.web.problems import Refusal
from controller.web.rate_limit import Allowance, RateLimiter
from tests.controller.web.demo import HandClock

FIVE = Allowance(burst=5, per_s=0.5)


def allowed(limiter: RateLimiter, key: str) -> bool:
    """Whether one more request is let through."""
    try:
        limiter.take(key, FIVE)
    except Refusal:
        return False
    return True


@given(waits=st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_no_stretch_of_time_lets_more_through_than_the_allowance(waits: list[float]) -> None:
    """From the first request on, at most burst + rate x time are let through."""
    link = HandClock()
    limiter = RateLimiter(link)
    started_s, count = link.now_s, 0
    for wait in waits:
        link.now_s += wait
        count += allowed(limiter, "one")

        assert count <= FIVE.burst + FIVE.per_s * (link.now_s - started_s) + 1e-6


def test_who_waits_as_told_is_let_through() -> None:
    """Retry-After is long enough."""
    link = HandClock()
    limiter = RateLimiter(link)
    for _ in range(5):
        limiter.take("one", FIVE)
    with pytest.raises(Refusal) as refusal:
        limiter.take("one", FIVE)
    link.now_s += float(refusal.value.headers["Retry-After"])

    assert allowed(limiter, "one")


def test_one_key_does_not_use_up_another() -> None:
    """Each account and address has its own bucket."""
    limiter = RateLimiter(HandClock())
    while allowed(limiter, "one"):
        pass

    assert allowed(limiter, "two")


def test_the_memory_is_bounded() -> None:
    """Past the limit the key unseen for longest is forgotten, and only that."""
    limiter = RateLimiter(HandClock(), buckets_max=2)
    for key in ("old", "busy"):
        while allowed(limiter, key):
            pass
    assert not allowed(limiter, "busy")
    limiter.take("new", FIVE)

    assert not allowed(limiter, "busy")
    assert allowed(limiter, "old")
