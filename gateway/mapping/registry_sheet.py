"""A registry as a workbook: the same columns in its first sheet that is not hidden, read row by row."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.cells import Cell, CellError, cell_number
from gateway.mapping.registry_rows import Row, check_header, row_of
from gateway.mapping.tables import Table, read_tables
from gateway.settings import Limits

_PERIODS: Final = ("entry_period", "last_period")
_MIDNIGHT: Final = "T00:00:00"


def sheet_rows(body: bytes, limits: Limits) -> Iterator[Row]:
    """The rows below the header of an .xlsx or .xls. A row is numbered as in the sheet.

    Raises Rejected when it is no workbook that may be read, or its header lacks a column, repeats one or has one that nobody knows.
    """
    table = next((table for table in read_tables(body, limits) if not table.hidden), None)
    if table is None or not table.rows:
        raise Rejected(Problem(code="file_empty"))
    names = [str(cell).strip().lower() for cell in table.rows[0]]
    check_header([name for name in names if name], table.row + 1)
    wrong = {problem.where: problem for problem in table.problems}
    for row in range(1, len(table.rows)):
        found = _row(table, row, names, wrong)
        if found is not None:
            yield found


def _row(table: Table, row: int, names: list[str], wrong: dict[str, Problem]) -> Row | None:
    """One row, None when it is empty; a cell that holds no value that can be trusted, or stands under no name, refuses it."""
    number = table.row + row + 1
    cells: dict[str, str] = {}
    problems = [wrong[where] for column in range(len(names)) if wrong and (where := table.where(row, column)) in wrong]
    for column, (name, cell) in enumerate(zip(names, table.rows[row], strict=False)):
        if cell == "":
            continue
        try:
            cells[name] = _text(cell, name)
        except CellError as error:
            problems.append(error.at(table.where(row, column)))
        if not name:
            where = table.where(row, column)
            problems.append(Problem(code="registry_column", where=where, values={"column": where}))
    if problems:
        told = tuple(_placed(problem, number) for problem in problems)
        return Row(number, None, told, cells.get("agreement", "").strip())
    return row_of(number, cells) if any(map(str.strip, cells.values())) else None


def _text(cell: Cell, name: str) -> str:
    """A cell as a text file would have it. Raises CellError: a number of more than 15 digits has lost its last ones in the sheet."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (int, float)):
        return f"{cell_number(cell):f}"
    if isinstance(cell, date):
        day = cell.date() if isinstance(cell, datetime) and cell.isoformat().endswith(_MIDNIGHT) else cell
        return day.strftime("%Y-%m") if name in _PERIODS else day.isoformat()
    return str(cell)


def _placed(problem: Problem, number: int) -> Problem:
    """The same problem where problems of a registry stand: a line first."""
    return Problem(code=problem.code, where=f"line {number}, {problem.where}", values=problem.values)
