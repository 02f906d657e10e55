"""What bodies and answers are made of.

A request body derives from ``In``: unknown fields are refused and nothing is converted silently.
An answer derives from ``Out``; one that people edit derives from ``Versioned`` and gets an ETag.
"""

from typing import Annotated, Any, Final, NewType

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

ID_PATTERN: Final = "^[0-9a-f]{32}$"
ID: Final = Field(pattern=ID_PATTERN)
"""For ids in bodies: ``Annotated[PersonId, ID]``. Ids in paths have it already."""


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


WHOLE: Final = BeforeValidator(_whole)
"""Lets 5.0 pass as the integer that JSON Schema says it is.

Write it last, ``Annotated[int, Field(ge=1, le=100), WHOLE]``, or the bounds vanish from the
document. Always give both bounds: the database has 64 bits.
"""


CsvFile = NewType("CsvFile", bytes)
"""A body that is a sheet: ``text/csv``, at most 10 MiB, as it was sent."""


class In(BaseModel):
    """A request body, or a part of one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Out(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(frozen=True)


class Versioned(Out):
    """An answer with an ETag; edits send it back as If-Match."""

    version: Annotated[int, Field(ge=1, description="Grows with each edit; also the ETag.")]


class FieldError(Out):
    """One thing that is wrong with a request."""

    where: Annotated[str, Field(alias="in", examples=["body"])]
    field: Annotated[str, Field(examples=["schedule.start_min"])]
    code: Annotated[str, Field(examples=["missing"])]
    message: str
    remedy: str | None = None

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Problem(Out):
    """Why a request was refused (RFC 9457); ``code`` is for machines and stays the same."""

    type: Annotated[str, Field(examples=["urn:doorward:problem:not_found"])]
    title: str
    status: int
    code: Annotated[str, Field(examples=["not_found"])]
    detail: str
    errors: list[FieldError] | None = None
    facts: dict[str, Any] | None = None
