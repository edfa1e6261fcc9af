"""Rows of a history, old values from before: each is an `OldValue`, or all that is wrong with it."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from gateway.domain.problems import Problem
from gateway.domain.recall import OldValue
from gateway.mapping.cells import typed_number
from gateway.mapping.registry_cells import READERS
from gateway.mapping.registry_rows import csv_cells, read_cells

COLUMNS: Final = OldValue.__struct_fields__
REQUIRED: Final = ("agreement", "register", "date", "value")
_READERS: Final = {name: READERS[name] for name in ("agreement", "meter", "point", "register")} | {
    "date": READERS["since"],
    "value": typed_number,
}


class HistoryRow(NamedTuple):
    """A row of a file and the line it begins in. `problems`: what is wrong with it, then `told` is None."""

    number: int
    told: OldValue | None
    problems: tuple[Problem, ...] = ()


def history_rows(lines: Iterable[str]) -> Iterator[HistoryRow]:
    """The rows below a header of column names, separated as a registry's. Raises Rejected for a wrong header."""
    for number, cells in csv_cells(lines, COLUMNS, REQUIRED):
        yield HistoryRow(number, None, (cells,)) if isinstance(cells, Problem) else _row(number, cells)


def _row(number: int, cells: dict[str, str]) -> HistoryRow:
    fields, problems = read_cells(number, cells, _READERS, REQUIRED)
    if not any(cells.get(name, "").strip() for name in ("meter", "point")):
        problems.append(Problem(code="registry_cell_empty", where=f"line {number}, meter", values={"column": "meter"}))
    return HistoryRow(number, None, tuple(problems)) if problems else HistoryRow(number, OldValue(**fields))
