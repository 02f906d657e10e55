"""When a hub is told again, and how much one hub may say."""

from datetime import UTC, datetime

from gateway import allowance
from gateway.allowance import Allowance
from gateway.port import Behind
from gateway.publishing import HUBS_MAX, Resends


class Clock:
    """A link clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        """Its seconds."""
        return self.now_s

    def utc(self) -> datetime:
        """An instant."""
        return datetime(2026, 1, 1, tzinfo=UTC)


def behind(hub_id: str = "a", *, lease: int = 1, revision: int = 1) -> Behind:
    """A hub that lacks something."""
    return Behind(hub_id=hub_id, lease_number=lease, revision=revision)


def test_a_hub_that_stays_behind_is_told_ever_more_slowly() -> None:
    """At once, after 5 s, and then the pause doubles to a minute."""
    clock = Clock()
    resends = Resends(clock)
    told = []
    for second in range(300):
        clock.now_s = float(second)
        if resends.due([behind()]):
            told.append(second)

    assert told == [0, 5, 15, 35, 75, 135, 195, 255]


def test_what_is_wanted_anew_is_told_at_once() -> None:
    """A greater number makes the pause begin anew."""
    clock = Clock()
    resends = Resends(clock)
    resends.due([behind()])
    clock.now_s = 1

    assert resends.due([behind(lease=2)]) == ["a"]
    assert resends.due([behind(lease=2, revision=2)]) == ["a"]
    assert resends.due([behind(lease=2, revision=2)]) == []


def test_who_says_hello_is_told_at_once() -> None:
    """It may have missed everything; the others' pauses go on."""
    resends = Resends(Clock())
    resends.due([behind("a"), behind("b")])

    resends.forget("a")

    assert resends.due([behind("a"), behind("b")]) == ["a"]


def test_resends_are_bounded() -> None:
    """Who was told longest ago is forgotten first."""
    resends = Resends(Clock())

    resends.due([behind(str(number)) for number in range(HUBS_MAX + 1)])

    assert resends.due([behind("1"), behind("0")]) == ["0"]


def test_a_hub_may_say_much_at_once_and_then_a_steady_stream() -> None:
    """400 messages at once, 100 a second for ever; whoever waits earns no more than that."""
    said = Allowance()

    def count(now_s: float) -> int:
        return sum(said.take("a", now_s=now_s) for _ in range(1_000))

    assert count(0) == allowance.MESSAGES_AT_ONCE
    assert count(1) == 100
    assert count(1.5) == 50
    assert count(100) == allowance.MESSAGES_AT_ONCE


def test_one_hubs_flood_takes_nothing_from_another() -> None:
    """Each hub has its own allowance, and those of hubs long gone are forgotten."""
    said = Allowance()
    while said.take("mad", now_s=0):
        pass

    assert said.take("calm", now_s=0)
    for number in range(allowance.HUBS_MAX):
        said.take(str(number), now_s=0)
    assert said.take("mad", now_s=0)
