"""The control row: what a file says of itself must be true, or nothing of it is taken."""

from collections.abc import Sequence
from decimal import Decimal

from gateway.domain.intervals import exact_sum
from gateway.domain.mappings import Control, Field
from gateway.domain.problems import Problem, Rejected
from gateway.mapping.cells import Cell, CellError, cell_number
from gateway.mapping.mapped.reader import Rows


def verify(rows: Rows, control: Control) -> None:
    """Hold the control row against the rows above it. Raises Rejected with everything that is not true, or when there is none."""
    number = rows.control
    if number is None:
        if control.needed:
            last = max(len(rows.table.rows) - 1, 0)
            raise Rejected(Problem(code="control_row_missing", where=rows.where(last, 0), values={"mark": control.mark}))
        return
    told = [_bare(cell, control.mark) for cell in rows.table.rows[number]]
    data = list(rows.numbers())
    problems: list[Problem] = []
    unread: list[Problem] = []
    if control.count:
        problems += _differs(rows, number, control.count, told, Decimal(len(data)))
    for field, place in control.sums.items():
        problems += _differs(rows, number, place, told, _sum(rows, data, field, unread))
    problems += unread if problems else []
    if problems:
        raise Rejected(*problems)


def _bare(cell: Cell, mark: str) -> Cell:
    return cell.removeprefix(mark).strip() if isinstance(cell, str) else cell


def _sum(rows: Rows, data: Sequence[int], field: Field, unread: list[Problem]) -> Decimal:
    """What the cells of a field add up to; one that is no number counts nothing and goes to `unread`: it may be why the sum differs."""
    column = rows.columns.get(field)
    found: list[Decimal] = []
    for row in data if column is not None else ():
        try:
            found.append(cell_number(rows.cell(row, column or 0)) or Decimal(0))
        except CellError as error:
            unread.append(error.at(rows.where(row, column or 0)))
    return exact_sum(found)


def _differs(rows: Rows, number: int, place: int, told: Sequence[Cell], counted: Decimal) -> list[Problem]:
    where = rows.where(number, place - 1)
    written = told[place - 1] if place <= len(told) else ""
    try:
        said = cell_number(written)
    except CellError as error:
        return [error.at(where)]
    if said == counted:
        return []
    return [Problem(code="control_row_differs", where=where, values={"written": str(written)[:40], "counted": f"{counted:f}"})]
