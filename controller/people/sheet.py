"""People as a sheet (CSV, RFC 4180): one person a line, the first line names the columns."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from controller.domain.errors import Invalid
from controller.domain.instants import to_text
from controller.domain.people import SitePerson
from controller.people.forms import PersonIn, names_of

LINES_MAX: Final = 10_000
CELL_MAX: Final = 1_000
ERRORS_MAX: Final = 1_000
COLUMNS: Final = (
    "name",
    "email",
    "is_guest",
    "subscribed",
    "starts_at",
    "expires_at",
    "privileges",
)
_YES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "'")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineError:
    """What is wrong with one line."""

    line: int  # in the file, from 1
    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A person to be, and where it stands."""

    number: int
    person: PersonIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All lines that say something, and what is wrong with the others."""

    lines: tuple[Line, ...]
    errors: tuple[LineError, ...]


class InvalidSheet(Invalid):
    """A file that cannot be read line by line."""

    code = "invalid_sheet"


def read(data: bytes) -> Sheet:
    """Return the people of a sheet, with an error for every line that cannot be taken.

    Raises:
        InvalidSheet: It is not UTF-8, has no heading of ours, or too many lines.
    """
    rows = csv.reader(io.StringIO(_text(data), newline=""), strict=True)
    lines: list[Line] = []
    errors: list[LineError] = []
    columns: Sequence[str] | None = None
    try:
        for row in rows:
            if columns is None:
                columns = _columns(row)
                continue
            if not any(cell.strip() for cell in row):
                continue
            if len(lines) + len(errors) >= LINES_MAX:
                raise InvalidSheet(
                    f"body: a sheet has at most {LINES_MAX} people. Divide it.",
                    field="body",
                    lines_max=LINES_MAX,
                )
            found = _person(columns, row, rows.line_num)
            if isinstance(found, PersonIn):
                lines.append(Line(number=rows.line_num, person=found))
            else:
                errors += found
    except csv.Error as error:
        raise InvalidSheet(
            f"body: line {rows.line_num} is no CSV: {error}.", field="body", line=rows.line_num
        ) from error
    if columns is None:
        raise InvalidSheet("body: the sheet is empty.", field="body")
    return Sheet(lines=tuple(lines), errors=tuple(errors))


def write(people: Iterable[SitePerson]) -> str:
    """Return people as a sheet that ``read`` takes.

    A cell that a spreadsheet would take for a formula is led by an apostrophe, as spreadsheets do
    it themselves; ``read`` takes it off again.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for person in people:
        writer.writerow(_tamed(cell) for cell in _cells(person))
    return out.getvalue()


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidSheet(
            f"body: line {line} is not UTF-8. Save the sheet as CSV UTF-8.", field="body", line=line
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InvalidSheet(f"body: line {line} holds a NUL.", field="body", line=line)
    return text


def _columns(row: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in row]
    unknown = [name for name in columns if name not in COLUMNS]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if unknown or twice or "name" not in columns:
        shown = ", ".join((unknown or twice or ["name is missing"])[:5])[:200]
        raise InvalidSheet(
            f"body: the first line names the columns, each once, out of {', '.join(COLUMNS)}; "
            f"name must be there. Not so: {shown}.",
            field="body",
            line=1,
        )
    return columns


def _person(columns: Sequence[str], row: Sequence[str], line: int) -> PersonIn | list[LineError]:
    if len(row) != len(columns):
        text = f"has {len(row)} cells, the first line {len(columns)}"
        return [LineError(line=line, field="line", message=text)]
    cells = dict(zip(columns, (cell.strip() for cell in row), strict=True))
    if long := [name for name, cell in cells.items() if len(cell) > CELL_MAX]:
        text = f"is longer than {CELL_MAX} characters"
        return [LineError(line=line, field=name, message=text) for name in long]
    try:
        return PersonIn.model_validate_json(json.dumps(_values(cells)))
    except ValidationError as error:
        return [
            LineError(line=line, field=str(one["loc"][0]), message=one["msg"])
            for one in error.errors(include_url=False, include_input=False)
        ]


def _values(cells: dict[str, str]) -> dict[str, object]:
    """Return what stands in the cells, as it would stand in a body; an empty cell says nothing."""
    values: dict[str, object] = {}
    for name, cell in cells.items():
        if not cell:
            continue
        if name in ("is_guest", "subscribed"):
            values[name] = _YES.get(cell.lower(), cell)
        elif name == "privileges":
            values[name] = cell.split()
        else:
            values[name] = cell[1:] if cell[:2] in _TAMED else cell
    return values


_TAMED: Final = {f"'{sign}" for sign in _FORMULA}


def _cells(person: SitePerson) -> list[str]:
    return [
        person.name,
        person.email or "",
        str(person.is_guest).lower(),
        str(person.subscribed_at is not None).lower(),
        to_text(person.starts_at) if person.starts_at else "",
        to_text(person.expires_at) if person.expires_at else "",
        " ".join(names_of(person.privileges)),
    ]


def _tamed(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
