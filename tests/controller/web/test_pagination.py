"""A cursor carries any key of a list and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.web.pagination import BadCursor, decoded, encoded, page_of


@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            st.integers(-(2**63), 2**63 - 1),
        ),
        max_size=4,
    )
)
def test_a_cursor_gives_its_key_back(key: list[str | int]) -> None:
    """Whatever a list is ordered by survives the way to the client and back."""
    cursor = encoded(tuple(key))

    assert decoded(cursor, *(type(part) for part in key)) == tuple(key)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    """Nothing a client makes up gets past as a key of another kind."""
    try:
        key = decoded(text, str, int)
    except BadCursor:
        return

    assert key is not None
    assert [type(part) for part in key] == [str, int]


def test_true_is_no_integer() -> None:
    """JSON's true does not pass for a number."""
    with pytest.raises(BadCursor):
        decoded("W3RydWVd", int)  # [true]


@pytest.mark.parametrize("key", ["a\0", "\ud800", 2**63, -(2**63) - 1])
def test_what_no_database_takes_is_refused(key: str | int) -> None:
    """A cursor made up to hurt is 422, not a failure."""
    with pytest.raises(BadCursor):
        decoded(encoded((key,)), type(key))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True).map(sorted), st.integers(1, 10))
def test_pages_add_up_to_the_list(numbers: list[int], limit: int) -> None:
    """Following the cursors shows every item once, in order, and ends."""
    seen: list[int] = []
    cursor = None
    while True:
        after = decoded(cursor, int)
        rest = [number for number in numbers if after is None or number > int(after[0])]
        page = page_of(rest[: limit + 1], limit, lambda number: (number,))
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == numbers
