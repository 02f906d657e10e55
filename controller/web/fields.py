"""Fields that the bodies of several features have."""

from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

NAME_MAX: Final = 100
JOINERS: Final = str.maketrans("", "", "\u200c\u200d")  # invisible, but Persian and emoji need them


def printable(text: str) -> str:
    """Return a text, or refuse one with characters that are not seen or that turn its direction."""
    if not text.translate(JOINERS).isprintable():
        raise ValueError("holds characters that cannot be shown; leave them out")
    return text


PRINTABLE: Final = AfterValidator(printable)


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_MAX),
    PRINTABLE,
]
Start = Annotated[
    AwareDatetime | None, Field(description="First instant inside, RFC 3339 with an offset.")
]
End = Annotated[
    AwareDatetime | None, Field(description="First instant outside, RFC 3339 with an offset.")
]
