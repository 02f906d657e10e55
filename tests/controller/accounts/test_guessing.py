"""Failures are counted, and waited off."""

import pytest

from controller.accounts.guessing import Failures, GuessLimit
from controller.domain.errors import TooMany
from tests.controller.subscriptions.world import HandClock

THREE = Failures(name="three", burst=3, per_hour=6)
ANNA = ((THREE, "anna"),)


def test_so_many_failures_and_no_more() -> None:
    """After the burst every further guess is refused, and the wait is said."""
    limit = GuessLimit(HandClock())

    for _ in range(3):
        limit.require(ANNA)
        limit.failed(ANNA)

    with pytest.raises(TooMany) as refused:
        limit.require(ANNA)
    assert refused.value.facts["retry_after_s"] == 600


def test_asking_is_no_failure() -> None:
    """Whoever never fails is never held up."""
    limit = GuessLimit(HandClock())

    for _ in range(100):
        limit.require(ANNA)


def test_others_are_not_held_up() -> None:
    """One account's failures do not count for another, nor for another secret."""
    limit = GuessLimit(HandClock())
    other = Failures(name="other", burst=1, per_hour=1)
    for _ in range(3):
        limit.failed(ANNA)

    limit.require(((THREE, "bob"),))
    limit.require(((other, "anna"),))


def test_a_debt_of_simultaneous_guesses_is_waited_off() -> None:
    """Guesses that ran at the same moment overdraw, and the wait grows by as much."""
    clock = HandClock()
    limit = GuessLimit(clock)
    for _ in range(5):
        limit.failed(ANNA)

    clock.now_s += 1799
    with pytest.raises(TooMany):
        limit.require(ANNA)
    clock.now_s += 1
    limit.require(ANNA)


def test_memory_is_bounded() -> None:
    """Beyond the bound, whoever failed longest ago is forgotten."""
    limit = GuessLimit(HandClock(), remembered_max=2)
    for name in ("anna", "bob", "carl"):
        for _ in range(3):
            limit.failed(((THREE, name),))

    limit.require(ANNA)
    with pytest.raises(TooMany):
        limit.require(((THREE, "bob"),))
