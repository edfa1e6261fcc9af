"""Rows of a registry as people and programs send them, CSV or a JSON object a line: each is a `Line`, or all that is wrong with it."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import IO, Any, Final, NamedTuple

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import REGISTERS, Quantity
from gateway.domain.supply import Line
from gateway.mapping.cells import CellError
from gateway.mapping.registry_cells import READERS, WrongError

COLUMNS: Final = Line.__struct_fields__
REQUIRED: Final = ("agreement", "point", "register", "digits")
_SHOWN: Final = 40
_LONGEST: Final = 65_536
_object: Final = msgspec.json.Decoder(dict[str, str | int | float | bool | None])


class Row(NamedTuple):
    """A row of a file and the line it begins in; line 1 is the first. `problems`: what is wrong with it, then `line` is None.

    `agreement`: the one that it names, as it stands there; empty when the row cannot be told.
    """

    number: int
    line: Line | None
    problems: tuple[Problem, ...] = ()
    agreement: str = ""


def text_lines(body: IO[bytes]) -> Iterator[str]:
    """The lines of a body. Raises Rejected for bytes that are no UTF-8, and for a line too long to be a row."""
    for number, line in enumerate(iter(partial(body.readline, _LONGEST), b""), 1):
        if len(line) == _LONGEST:
            told = {"reason": f"more than {_LONGEST} bytes"}
            raise Rejected(Problem(code="registry_unreadable", where=f"line {number}", values=told))
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise Rejected(Problem(code="registry_encoding", where=f"line {number}")) from None


def csv_rows(lines: Iterable[str]) -> Iterator[Row]:
    """The rows below a header of column names, separated by semicolons, commas or tabs.

    Raises Rejected when the header lacks a column, repeats one or has one that nobody knows.
    """
    for number, cells in csv_cells(lines, COLUMNS, REQUIRED):
        yield Row(number, None, (cells,)) if isinstance(cells, Problem) else row_of(number, cells)


def csv_cells(lines: Iterable[str], columns: Sequence[str], required: Sequence[str]) -> Iterator[tuple[int, dict[str, str] | Problem]]:
    """The cells of each row by column, or why it cannot be read, with the line it begins in. Raises Rejected for a wrong header."""
    rest = iter(lines)
    head = next(rest, "")
    reader = csv.reader(chain([head], rest), delimiter=max(";\t,", key=head.count), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise Rejected(_unreadable(1, error)) from error
    check_header(names, columns=columns, required=required)
    ended = False
    while not ended:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            ended = True
        except csv.Error as error:
            yield number, _unreadable(number, error)
        else:
            if any(map(str.strip, cells)):
                yield number, dict(zip(names, cells, strict=True)) if len(cells) == len(names) else _uneven(number, cells, names)


def _uneven(number: int, cells: list[str], names: list[str]) -> Problem:
    told = {"count": str(len(cells)), "expected": str(len(names))}
    return Problem(code="registry_cells", where=f"line {number}", values=told)


def _unreadable(number: int, error: Exception) -> Problem:
    return Problem(code="registry_unreadable", where=f"line {number}", values={"reason": str(error)[:100]})


def json_rows(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of a text with a JSON object a line, whose keys are the columns."""
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            told = _object.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            yield Row(number, None, (_unreadable(number, error),))
            continue
        strange = [
            Problem(code="registry_column", where=f"line {number}", values={"column": name[:_SHOWN]})
            for name in told
            if name not in COLUMNS
        ]
        row = row_of(number, {name: "" if cell is None else _plain(cell) for name, cell in told.items() if name in COLUMNS})
        yield Row(number, None, (*strange, *row.problems)) if strange else row


def _plain(cell: str | float | bool) -> str:  # noqa: FBT001 - a value of JSON
    """A value of JSON as it would stand in a cell."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return f"{Decimal(repr(cell)):f}" if isinstance(cell, float) else str(cell)


def check_header(names: list[str], number: int = 1, *, columns: Sequence[str] = COLUMNS, required: Sequence[str] = REQUIRED) -> None:
    """Raises Rejected when the columns named in line `number` are not these, those of a registry unless told."""
    where = f"line {number}"
    wrong = [Problem(code="registry_column", where=where, values={"column": name[:_SHOWN]}) for name in names if name not in columns]
    wrong += [Problem(code="column_missing", where=where, values={"column": name}) for name in required if name not in names]
    wrong += [
        Problem(code="column_repeated", where=where, values={"column": name[:_SHOWN]})
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    if wrong:
        raise Rejected(*wrong)


def read_cells(
    number: int, cells: Mapping[str, str], readers: Mapping[str, Callable[[str], Any]], required: Iterable[str]
) -> tuple[dict[str, Any], list[Problem]]:
    """What the cells of line `number` say by column, empty ones left out, and all that is wrong with them."""
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, cell in cells.items():
        where, text = f"line {number}, {name}", cell.strip()
        try:
            if text:
                fields[name] = readers[name](text)
        except CellError as error:
            problems.append(error.at(where))
        except WrongError as error:
            values = {"column": name, "value": text[:_SHOWN], "wanted": str(error)}
            problems.append(Problem(code="registry_cell", where=where, values=values))
    problems += [
        Problem(code="registry_cell_empty", where=f"line {number}, {name}", values={"column": name})
        for name in required
        if not cells.get(name, "").strip()
    ]
    return fields, problems


def row_of(number: int, cells: Mapping[str, str]) -> Row:
    """The row whose cells these are, by column, each as a text."""
    fields, problems = read_cells(number, cells, READERS, REQUIRED)
    agreement = fields.get("agreement", "")
    if problems:
        return Row(number, None, tuple(problems), agreement)
    line = Line(**fields)
    nonsense = [msgspec.structs.replace(one, where=f"line {number}, {one.where}") for one in _nonsense(line, fields.keys())]
    return Row(number, None if nonsense else line, tuple(nonsense), agreement)


_BESIDE: Final = (
    ("last_period", ("last",)),
    ("last", ("last_period",)),
    ("branch", ("branch_title",)),
    ("location", ("location_name", "location_address", "max_power", "voltage", "grid_company", "boundary", "location_status")),
    ("meter", ("meter_ids", "model", "max_flow", "admitted_on", "verified_on", "verify_by")),
    ("entry_period", ("entry_status", "location_status")),
    ("removed_on", ("final",)),
)
"""A column that must say something where one of these does."""
_ORDER: Final = (("installed_on", "removed_on"), ("signed_on", "closed_on"), ("verified_on", "verify_by"))


def _nonsense(line: Line, told: AbstractSet[str]) -> Iterator[Problem]:
    """What each cell may say and all of them together must not; `where` is the column, `told` are the columns that say something."""
    beside = [(column, next((other for other in others if other in told), "")) for column, others in _BESIDE if column not in told]
    if "party" not in told and "party_code" not in told:
        beside.append(("party", next((other for other in ("party_tax_number", "party_emails") if other in told), "")))
    for column, other in beside:
        if other:
            yield Problem(code="registry_incomplete", where=column, values={"column": column, "beside": other})
    for column in ("last", "initial", "final"):
        value = getattr(line, column) if column in told else None
        if value is not None and not 0 <= value < Decimal(10) ** line.digits:
            yield Problem(code="too_many_digits", where=column, values={"value": f"{value:f}", "digits": str(line.digits)})
    for earlier, later in _ORDER:
        if earlier in told and later in told and getattr(line, later) < getattr(line, earlier):
            yield _wanted(later, getattr(line, later).isoformat(), f"≥ {getattr(line, earlier)}")
    if line.scheme and REGISTERS[line.register].quantity is not Quantity.HEAT:
        yield _wanted("register", line.register, "heat, heat@2 … (scheme)")


def _wanted(column: str, value: str, wanted: str) -> Problem:
    return Problem(code="registry_cell", where=column, values={"column": column, "value": value, "wanted": wanted})
