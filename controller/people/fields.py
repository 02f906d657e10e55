"""Fields that the bodies of several features have."""

from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

NAME_MAX: Final = 100


def printable(text: str) -> str:
    """Return a text, or refuse one with control characters."""
    if not text.isprintable():
        raise ValueError("holds characters that cannot be shown; leave them out")
    return text


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_MAX),
    AfterValidator(printable),
]
End = Annotated[
    AwareDatetime | None, Field(description="First instant outside, RFC 3339 with an offset.")
]
