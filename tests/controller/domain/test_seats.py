"""Who keeps a seat."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.errors import Invalid
from controller.domain.ids import PersonId
from controller.domain.seats import Holder, Standing, seat
from tests.controller.domain.builders import NOON, SECOND

HOLDERS = st.lists(
    st.builds(
        Holder,
        person_id=st.text("abc", min_size=1, max_size=4).map(PersonId),
        standing=st.sampled_from(Standing),
        subscribed_at=st.integers(0, 3).map(lambda day: NOON + day * timedelta(days=1)),
    ),
    max_size=12,
    unique_by=lambda holder: holder.person_id,
)


def person(name: str, standing: Standing = Standing.OTHER, *, after_s: int = 0) -> Holder:
    """Somebody who was subscribed so many seconds after noon."""
    return Holder(
        person_id=PersonId(name), standing=standing, subscribed_at=NOON + after_s * SECOND
    )


CROWD = [
    person("late", after_s=9),
    person("owner", Standing.OWNER, after_s=99),
    person("twin b", after_s=5),
    person("admin", Standing.ADMIN, after_s=50),
    person("twin a", after_s=5),
    person("early", after_s=1),
]


def test_the_order_is_owner_admins_earliest_then_id() -> None:
    """The rest are named too, whoever has the better claim first."""
    seating = seat(CROWD, seats=4)

    assert seating.kept == ("owner", "admin", "early", "twin a")
    assert seating.unseated == ("twin b", "late")


def test_the_redeemer_may_choose_others() -> None:
    """The chosen keep their seats, the rule gives away what is left."""
    seating = seat(CROWD, seats=3, chosen=[PersonId("late"), PersonId("twin b")])

    assert set(seating.kept) == {"late", "twin b", "owner"}
    assert seating.unseated == ("admin", "early", "twin a")


@pytest.mark.parametrize(
    ("chosen", "facts"),
    [
        (["stranger"], {"field": "keep", "person_ids": ["stranger"]}),
        (["late", "early"], {"field": "keep", "seats": 1, "chosen": 2}),
    ],
)
def test_an_impossible_choice_is_refused(chosen: list[PersonId], facts: object) -> None:
    """Only holders can be chosen, and no more than there are seats."""
    with pytest.raises(Invalid) as refusal:
        seat(CROWD, seats=1, chosen=chosen)

    assert refusal.value.facts == facts


@given(HOLDERS, st.integers(0, 15), st.data())
def test_nobody_is_dropped_and_nobody_is_doubled(
    holders: list[Holder], seats: int, data: st.DataObject
) -> None:
    """Exactly as many as fit keep a seat, the chosen among them, in whatever order they come."""
    everybody = [holder.person_id for holder in holders]
    chosen = data.draw(st.lists(st.sampled_from(everybody), unique=True)) if everybody else []
    chosen = chosen[:seats]

    seating = seat(holders, seats=seats, chosen=chosen)

    assert sorted(seating.kept + seating.unseated) == sorted(everybody)
    assert len(seating.kept) == min(seats, len(everybody))
    assert set(chosen) <= set(seating.kept)
    assert seat(holders[::-1], seats=seats, chosen=chosen[::-1]) == seating
