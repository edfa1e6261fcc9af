"""Rows of a registry as people and programs send them, CSV or a JSON object a line: each is a `Line`, or all that is wrong with it."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import SERVICES
from gateway.domain.readings import REGISTERS
from gateway.domain.supply import Line
from gateway.domain.windows import month
from gateway.mapping.cells import CellError, text_code, typed_number

COLUMNS: Final = Line.__struct_fields__
REQUIRED: Final = ("agreement", "point", "meter", "register", "digits")
_YES, _NO = ("true", "1", "yes", "y", "да", "так"), ("false", "0", "no", "n", "нет", "ні")
_SHOWN: Final = 40
_object: Final = msgspec.json.Decoder(dict[str, str | int | float | bool | None])


class Row(NamedTuple):
    """A row of a file and the line it begins in; line 1 is the first. `problems`: what is wrong with it, then `line` is None."""

    number: int
    line: Line | None
    problems: tuple[Problem, ...] = ()


class _WrongError(ValueError):
    """A cell does not say what its column wants."""


def csv_rows(lines: Iterable[str]) -> Iterator[Row]:
    """The rows below a header of column names, separated by semicolons, commas or tabs.

    Raises Rejected when the header lacks a column, repeats one or has one that nobody knows.
    """
    rest = iter(lines)
    head = next(rest, "")
    reader = csv.reader(chain([head], rest), delimiter=max(";\t,", key=head.count), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise Rejected(_unreadable(1, error)) from error
    _check_header(names)
    ended = False
    while not ended:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            ended = True
        except csv.Error as error:
            yield Row(number, None, (_unreadable(number, error),))
        else:
            if any(map(str.strip, cells)):
                yield _row(number, dict(zip(names, cells, strict=True))) if len(cells) == len(names) else _uneven(number, cells, names)


def _uneven(number: int, cells: list[str], names: list[str]) -> Row:
    told = {"count": str(len(cells)), "expected": str(len(names))}
    return Row(number, None, (Problem(code="registry_cells", where=f"line {number}", values=told),))


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
        row = _row(number, {name: "" if cell is None else _plain(cell) for name, cell in told.items() if name in COLUMNS})
        yield Row(number, None, (*strange, *row.problems)) if strange else row


def _plain(cell: str | float | bool) -> str:  # noqa: FBT001 - a value of JSON
    """A value of JSON as it would stand in a cell."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return f"{Decimal(repr(cell)):f}" if isinstance(cell, float) else str(cell)


def _check_header(names: list[str]) -> None:
    wrong = [Problem(code="registry_column", where="line 1", values={"column": name[:_SHOWN]}) for name in names if name not in COLUMNS]
    wrong += [Problem(code="column_missing", where="line 1", values={"column": name}) for name in REQUIRED if name not in names]
    wrong += [
        Problem(code="column_repeated", where="line 1", values={"column": name[:_SHOWN]})
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    if wrong:
        raise Rejected(*wrong)


def _row(number: int, cells: Mapping[str, str]) -> Row:
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, cell in cells.items():
        where, text = f"line {number}, {name}", cell.strip()
        try:
            if text:
                fields[name] = _READERS[name](text)
        except CellError as error:
            problems.append(error.at(where))
        except _WrongError as error:
            values = {"column": name, "value": text[:_SHOWN], "wanted": str(error)}
            problems.append(Problem(code="registry_cell", where=where, values=values))
    problems += [
        Problem(code="registry_cell_empty", where=f"line {number}, {name}", values={"column": name})
        for name in REQUIRED
        if not cells.get(name, "").strip()
    ]
    if problems:
        return Row(number, None, tuple(problems))
    line = Line(**fields)
    nonsense = [msgspec.structs.replace(one, where=f"line {number}, {one.where}") for one in _nonsense(line)]
    return Row(number, None if nonsense else line, tuple(nonsense))


def _nonsense(line: Line) -> Iterator[Problem]:
    """What each cell may say and all of them together must not; `where` is the column."""
    for column, lacks, beside in (
        ("last_period", not line.last_period and line.last is not None, "last"),
        ("last", line.last is None and bool(line.last_period), "last_period"),
        ("location", not line.location and bool(line.location_name), "location_name"),
    ):
        if lacks:
            yield Problem(code="registry_incomplete", where=column, values={"column": column, "beside": beside})
    if line.last is not None and not 0 <= line.last < Decimal(10) ** line.digits:
        yield Problem(code="too_many_digits", where="last", values={"value": f"{line.last:f}", "digits": str(line.digits)})
    if line.installed_on and line.removed_on and line.removed_on < line.installed_on:
        yield Problem(
            code="registry_cell",
            where="removed_on",
            values={"column": "removed_on", "value": line.removed_on.isoformat(), "wanted": f"≥ {line.installed_on}"},
        )


def _register(text: str) -> str:
    if text not in REGISTERS:
        raise _WrongError("A+, A+:night, R+, heat, volume …")
    return text


def _places(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most):
            raise _WrongError(f"{least}…{most}")
        return int(text)

    return read


def _ratio(text: str) -> Decimal:
    ratio = typed_number(text)
    if ratio <= 0:
        raise _WrongError("> 0")
    return ratio


def _losses(text: str) -> Decimal:
    losses = typed_number(text)
    if not -1 < losses < 1:
        raise _WrongError("0.05 = 5 %")
    return losses


def _period(text: str) -> str:
    try:
        month(text)
    except ValueError:
        raise _WrongError("YYYY-MM") from None
    return text


def _open(text: str) -> bool:
    if text.lower() not in _YES + _NO:
        raise _WrongError("true / false")
    return text.lower() in _YES


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _WrongError("YYYY-MM-DD") from None


def _service(text: str) -> str:
    if text not in SERVICES:
        raise _WrongError(", ".join(SERVICES))
    return text


def _title(text: str) -> str:
    if len(text) > 500 or not text.isprintable():
        raise _WrongError("≤ 500")
    return text


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("agreement", "location", "point", "meter", "party_code"), text_code),
    **dict.fromkeys(("party", "location_name", "point_name", "model"), _title),
    **dict.fromkeys(("party_window_day", "window_day"), _places(1, 31)),
    **dict.fromkeys(("since", "installed_on", "removed_on", "verify_by"), _date),
    **dict.fromkeys(("ratio", "ratio_voltage"), _ratio),
    **dict.fromkeys(("losses_constant", "last"), typed_number),
    "register": _register,
    "digits": _places(1, 15),
    "decimals": _places(0, 6),
    "service": _service,
    "losses": _losses,
    "entry_open": _open,
    "last_period": _period,
}
