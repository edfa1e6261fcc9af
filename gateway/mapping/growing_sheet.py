"""A sheet as it grows in the child cell by cell, within the limits: for the kinds of file that we walk ourselves."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.cells import Cell
from gateway.mapping.tables import letters
from gateway.mapping.workbook import Sheet, dated
from gateway.settings import Limits

_MIDNIGHT: Final = datetime(1900, 1, 1, tzinfo=UTC)


class GrowingSheet:
    """The cells of one sheet and what is wrong with them; places are counted from 0."""

    def __init__(self, name: str, limits: Limits, *, hidden: bool = False) -> None:
        self.name, self.limits, self.hidden = name, limits, hidden
        self.rows: list[list[Any]] = []
        self.width = 0
        self.problems: list[Problem] = []

    def put(self, row: int, column: int, value: Cell, count: int = 1) -> None:
        """Set `count` cells beside each other; an empty one needs no room. Raises Rejected when the sheet grows over a limit."""
        if value == "":
            return
        limits = self.limits
        if column + count > limits.sheet_columns:
            raise self._over("xlsx_too_wide", limits.sheet_columns)
        if row >= limits.sheet_rows:
            raise self._over("xlsx_too_long", limits.sheet_rows)
        self.width = max(self.width, column + count)
        if self.width * max(row + 1, len(self.rows)) > limits.sheet_cells:
            raise self._over("xlsx_too_many_cells", limits.sheet_cells)
        if isinstance(value, str) and len(value) > limits.cell_characters:
            raise self._over("xlsx_string_too_long", limits.cell_characters)
        self.rows.extend([] for _ in range(row + 1 - len(self.rows)))
        cells = self.rows[row]
        cells.extend([""] * (column - len(cells)))
        cells[column : column + count] = [dated(value)] * count

    def repeat(self, row: int, count: int) -> None:
        """Write a row that has something in it below itself, `count` times. Raises Rejected as `put` does."""
        if count and row < len(self.rows) and self.rows[row]:
            if row + count >= self.limits.sheet_rows:
                raise self._over("xlsx_too_long", self.limits.sheet_rows)
            if self.width * (row + count + 1) > self.limits.sheet_cells:
                raise self._over("xlsx_too_many_cells", self.limits.sheet_cells)
            self.rows.extend(list(self.rows[row]) for _ in range(count))

    def objects(self, code: str, row: int, column: int, **values: str) -> None:
        """Tell what is wrong with a cell."""
        if len(self.problems) < self.limits.file_problems:
            self.problems.append(Problem(code=code, where=f"{self.name}!{letters(column)}{row + 1}"[:100], values=values))

    def sheet(self) -> Sheet:
        """The sheet as it goes to the parent, every row as wide as the widest."""
        for cells in self.rows:
            cells.extend([""] * (self.width - len(cells)))
        return Sheet(self.name, self.hidden, 0, 0, self.rows, self.problems)

    def _over(self, code: str, limit: int) -> Rejected:
        return Rejected(Problem(code=code, where=self.name[:100], values={"limit": str(limit)}))


def within(grids: list[GrowingSheet], limits: Limits) -> list[Sheet]:
    """The sheets of a file that together keep to the limit of cells. Raises Rejected."""
    if sum(len(grid.rows) * grid.width for grid in grids) > limits.sheet_cells:
        raise Rejected(Problem(code="xlsx_too_many_cells", values={"limit": str(limits.sheet_cells)}))
    return [grid.sheet() for grid in grids]


def moment(text: str) -> Cell:
    """A day or a moment in ISO 8601 as a sheet has it: midnight is the day itself; what is neither stays a text.

    A moment of the days by which sheets begin to count is a time of day.
    """
    try:
        found = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return text
    if found.tzinfo is not None:
        return text
    if found.date() in (date(1899, 12, 30), date(1899, 12, 31), date(1904, 1, 1)) and found.time() != time():
        return found.time()
    return found.date() if found.time() == time() else found


def clock(hours: int, minutes: int, seconds: float) -> Cell:
    """A time of day, or a length of time of a day and more."""
    length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return length if length >= timedelta(days=1) else (_MIDNIGHT + length).time()
