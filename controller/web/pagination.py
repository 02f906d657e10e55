"""Pages of long lists, by cursor: stable while rows come and go.

A handler takes ``cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT``, asks its query for
``limit + 1`` rows after ``decoded(cursor)`` and answers ``page_of(rows, limit, key)``.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, TypeVar

from pydantic import Field

from controller.domain.errors import Invalid
from controller.web.models import Out

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200
CURSOR_LENGTH_MAX: Final = 500

Item = TypeVar("Item")
Key = str | int
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX, description="Items at most.")]
Cursor = Annotated[
    str | None,
    Field(max_length=CURSOR_LENGTH_MAX, description="next_cursor of the page before."),
]


class BadCursor(Invalid):
    """A cursor that no page of ours named."""

    code = "cursor_invalid"

    def __init__(self) -> None:
        super().__init__(
            "cursor: not one of ours; take next_cursor of the page before, unchanged.",
            field="cursor",
        )


class Page(Out, Generic[Item]):
    """One page; without ``next_cursor`` it is the last."""

    items: list[Item]
    next_cursor: str | None = None


def page_of(
    found: Sequence[Item], limit: int, key: Callable[[Item], tuple[Key, ...]]
) -> Page[Item]:
    """Return the page of at most ``limit`` of the items found, which may be one more.

    Args:
        found: In the order of the list, up to ``limit + 1`` of them.
        limit: Items on a page.
        key: What the list is ordered by; it must tell any two items apart.
    """
    items = list(found[:limit])
    more = len(found) > limit
    return Page(items=items, next_cursor=encoded(key(items[-1])) if more else None)


def encoded(key: tuple[Key, ...]) -> str:
    """Return the cursor for what comes after ``key``."""
    return urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decoded(cursor: str | None, *kinds: type[Key]) -> tuple[Key, ...] | None:
    """Return the key after which the page starts, or nothing for the first page.

    Args:
        cursor: From the request.
        kinds: ``str`` or ``int`` for each part of the key.

    Raises:
        BadCursor: It is not one of ours.
    """
    if cursor is None:
        return None
    try:
        parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise BadCursor from error
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise BadCursor
    if not all(_can_be_asked(part) for part in parts):
        raise BadCursor
    return tuple(parts)


def _can_be_asked(part: Key) -> bool:
    """Whether every database takes a part of a key: no NUL, no half character, 64 bits."""
    if isinstance(part, str):
        return "\0" not in part and not any("\ud800" <= letter <= "\udfff" for letter in part)
    return -(2**63) <= part < 2**63
