"""Carry-over conserves value exactly, in integers."""

from fractions import Fraction
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchers.carry_over import NOTHING, Balance, Segment, carry_over

RATES = st.integers(min_value=1, max_value=1_000_000_000)
SECONDS = st.integers(min_value=1, max_value=3_000_000_000)
SEGMENTS = st.builds(Segment, seconds=SECONDS, rate=RATES)
BALANCES = st.builds(
    Balance,
    segments=st.lists(SEGMENTS, min_size=1, max_size=5).map(tuple),
    rest=st.integers(min_value=0, max_value=999_999_999),
)
SMALL = st.builds(
    Balance,
    segments=st.lists(
        st.builds(Segment, seconds=st.integers(1, 9), rate=st.integers(1, 9)),
        min_size=1,
        max_size=4,
    ).map(tuple),
    rest=st.integers(0, 8),
)


@given(SMALL, st.integers(0, 40))
def test_seconds_are_used_in_their_order(balance: Balance, elapsed_s: int) -> None:
    """Second by second, the first segments go first; with the last second goes the rest."""
    worth = list(chain.from_iterable(repeat(part.rate, part.seconds) for part in balance.segments))

    left = balance.after(elapsed_s)

    assert left.seconds == len(worth[elapsed_s:])
    assert left.value == (sum(worth[elapsed_s:]) + balance.rest if worth[elapsed_s:] else 0)


@given(BALANCES, st.data())
def test_using_time_in_two_steps_is_using_it_in_one(balance: Balance, data: st.DataObject) -> None:
    """However often one looks, the same is left."""
    first = data.draw(st.integers(0, balance.seconds))
    second = data.draw(st.integers(0, balance.seconds))

    assert balance.after(first).after(second) == balance.after(first + second)


@pytest.mark.invariant("V4")
@given(BALANCES, SECONDS, RATES)
def test_a_conversion_conserves_value(left: Balance, term_s: int, rate: int) -> None:
    """Old value plus the voucher's is the new value, exactly; the rest is less than a second."""
    carried = carry_over(left, term_s=term_s, rate=rate, same_terms=False)

    paid = Fraction(left.value) + Fraction(term_s) * rate
    assert Fraction(carried.balance.seconds) * rate + carried.balance.rest == paid
    assert 0 <= carried.balance.rest < rate
    assert carried.converted
    assert carried.carried_s == Fraction(left.value, rate).__floor__()


@pytest.mark.invariant("V4", "V5")
@given(BALANCES, SECONDS, RATES)
def test_the_same_terms_carry_second_for_second(left: Balance, term_s: int, rate: int) -> None:
    """Neither a second nor a unit is won or lost, whatever the rates are."""
    carried = carry_over(left, term_s=term_s, rate=rate, same_terms=True)

    assert carried.balance.seconds == left.seconds + term_s
    assert carried.balance.value == left.value + term_s * rate
    assert carried.balance.rest == left.rest
    assert carried.balance.after(left.seconds).value == term_s * rate + left.rest
    assert not carried.converted


@pytest.mark.invariant("V6")
@given(left=BALANCES | st.just(NOTHING), term_s=SECONDS, rate=RATES, same_terms=st.booleans())
def test_a_voucher_gives_at_least_its_term(
    *, left: Balance, term_s: int, rate: int, same_terms: bool
) -> None:
    """Whatever is carried over comes on top."""
    carried = carry_over(left, term_s=term_s, rate=rate, same_terms=same_terms)

    assert carried.carried_s >= 0
    assert carried.balance.seconds == term_s + carried.carried_s


@pytest.mark.parametrize("same_terms", [True, False])
def test_nothing_left_carries_nothing(*, same_terms: bool) -> None:
    """Without a balance the voucher's term is all there is."""
    carried = carry_over(NOTHING, term_s=86_400, rate=7, same_terms=same_terms)

    assert carried.balance == Balance(segments=(Segment(seconds=86_400, rate=7),), rest=0)
    assert not carried.converted


def test_the_example_of_the_page_is_right() -> None:
    """Ten days of 10 users at 50 become 3 days 8 hours at 150, behind a voucher of 30 days."""
    left = Balance(segments=(Segment(seconds=864_000, rate=50),), rest=0)

    carried = carry_over(left, term_s=2_592_000, rate=150, same_terms=False)

    assert carried.carried_s == 288_000
    assert carried.balance == Balance(segments=(Segment(seconds=2_880_000, rate=150),), rest=0)


def test_equal_rates_make_one_segment() -> None:
    """A hundred vouchers alike do not make a hundred segments."""
    left = Balance(segments=(Segment(seconds=1, rate=3), Segment(seconds=2, rate=5)), rest=1)

    carried = carry_over(left, term_s=4, rate=5, same_terms=True)

    assert carried.balance.segments == (
        Segment(seconds=1, rate=3),
        Segment(seconds=6, rate=5),
    )


@pytest.mark.parametrize(("seconds", "rate"), [(0, 1), (-1, 1), (1, 0), (1, -1)])
def test_an_empty_segment_does_not_exist(seconds: int, rate: int) -> None:
    """A segment without seconds or value is a programmer's mistake."""
    with pytest.raises(ValueError, match="at least one second"):
        Segment(seconds=seconds, rate=rate)


def test_a_negative_rest_does_not_exist() -> None:
    """A debt is never carried over."""
    with pytest.raises(ValueError, match="never negative"):
        Balance(segments=(), rest=-1)


def test_time_is_not_used_backwards() -> None:
    """Negative elapsed time would create value."""
    with pytest.raises(ValueError, match="backwards"):
        NOTHING.after(-1)
