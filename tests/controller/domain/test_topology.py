"""What hangs on what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.errors import DomainError, NotFound
from controller.domain.ids import RepeaterId
from controller.domain.topology import (
    LOCKS_PER_HUB_MAX,
    REPEATERS_IN_A_ROW_MAX,
    REPEATERS_PER_HUB_MAX,
    HubFull,
    RepeaterChainTooLong,
    RepeaterCycle,
    RepeatersFull,
    chain,
    require_new_place,
    require_parent,
    require_place,
    require_room_for_lock,
)
from gateway.protocol import messages

NAMES = [RepeaterId(name) for name in "abcdefgh"]
MAYBE = st.one_of(st.none(), st.sampled_from(NAMES))
STEPS = st.lists(st.tuples(st.sampled_from(["add", "hang"]), st.sampled_from(NAMES), MAYBE))


@given(STEPS)
def test_whatever_is_allowed_keeps_every_hub_a_tree(
    steps: list[tuple[str, RepeaterId, RepeaterId | None]],
) -> None:
    """After any steps: 6 repeaters at most, 3 in a row at most, all of them hang on the hub.

    And nothing is refused that would have kept it so.
    """
    parents: dict[RepeaterId, RepeaterId | None] = {}
    for step, repeater_id, parent_id in steps:
        if (repeater_id in parents) is (step == "add"):
            continue
        after = parents | {repeater_id: parent_id}
        try:
            if step == "add":
                require_new_place(parents, parent_id, hub_name="Hub")
            else:
                require_place(parents, repeater_id, parent_id)
        except DomainError:
            assert not is_sound(after)
        else:
            assert is_sound(after)
            parents = after


def is_sound(parents: dict[RepeaterId, RepeaterId | None]) -> bool:
    """Whether repeaters hang as they may, found out by walking down from the hub."""
    level = [each for each, parent in parents.items() if parent is None]
    reached, rows = list(level), 1 if level else 0
    while level := [each for each, parent in parents.items() if parent in level]:
        reached += level
        rows += 1
    return (
        sorted(reached) == sorted(parents)
        and len(parents) <= REPEATERS_PER_HUB_MAX
        and rows <= REPEATERS_IN_A_ROW_MAX
    )


def test_a_refusal_says_what_the_most_is() -> None:
    """Limit, use and remedy stand in the facts."""
    full = dict.fromkeys(NAMES[:6])
    with pytest.raises(RepeatersFull) as repeaters:
        require_new_place(full, None, hub_name="Lobby")
    with pytest.raises(HubFull) as locks:
        require_room_for_lock(LOCKS_PER_HUB_MAX, hub_name="Lobby")

    assert repeaters.value.facts == {"limit": 6, "used": 6, "remedy": "add_hub"}
    assert locks.value.facts == {"limit": 16, "used": 16, "remedy": "add_hub"}
    require_room_for_lock(LOCKS_PER_HUB_MAX - 1, hub_name="Lobby")


def test_the_cloud_and_the_link_agree_on_how_many_locks_a_hub_serves() -> None:
    """Nothing is registered that no manifest can name."""
    assert messages.LOCKS_PER_HUB_MAX == LOCKS_PER_HUB_MAX


def test_a_chain_moves_with_all_that_hangs_on_it() -> None:
    """Two in a row find a place below one, none below two others and none below themselves."""
    a, b, c, d = NAMES[:4]
    parents = {a: None, b: a, c: None, d: c}

    with pytest.raises(RepeaterChainTooLong) as refusal:
        require_place(parents, c, b)
    require_place(parents, c, a)
    with pytest.raises(RepeaterCycle):
        require_place(parents, c, d)

    assert (refusal.value.facts["field"], refusal.value.facts["used"]) == ("parent_id", 4)
    assert chain(parents, d) == [d, c]


def test_a_repeater_of_another_hub_is_none_of_this_one() -> None:
    """Only what is of the hub can be hung on."""
    with pytest.raises(NotFound):
        require_parent({NAMES[0]: None}, NAMES[1])
