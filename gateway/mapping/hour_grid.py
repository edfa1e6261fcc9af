"""Finds the hours and the days along the edges of a table, whichever way round they stand and whatever stands about them."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from gateway.domain.problems import Problem
from gateway.mapping.any_table import look_any
from gateway.mapping.cells import Cell, CellError, cell_number
from gateway.mapping.crosswalk import META, fold, lookup
from gateway.mapping.hours import HOURS, Label, day, day_of_1904, hour
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.tables import Table
from gateway.settings import Limits

TEMPLATE: Final = "interval"
"""Name by which the hidden sheet of our own template says what it is."""

REGISTER: Final = "A+"
"""Interval values may be given for «А+» only (legal-entity manual, 5.3), unless a mapping says which register a table is of."""
_SNIFFED: Final = 5
"""So many sheets are looked at to tell what a workbook is."""
_LINES: Final = 60
"""So many rows and columns may stand before the table."""
_REACH: Final = 100
_HOURS, _DAYS = 20, 5
"""Fewer labels than these make no table of hours and days."""
_WIDEST: Final = 60
_TOTALS: Final = tuple(
    fold(word) for word in ("итог", "всего", "сутки", "за сутки", "сумма", "разом", "усього", "всього", "доба", "за добу", "total", "sum")
)
_QUANTITIES: Final = {
    word: quantity for word, quantity in lookup(shipped("integral_workbook").quantities).items() if quantity[1:] in ("+", "-")
}

Lines = Sequence[Sequence[Cell]]
"""A table line by line, each along the hours: columns when the hours go down, rows when they go across."""


class Slot(msgspec.Struct, frozen=True, gc=False):
    """One step along the hours: its position in every line, the hour that begins there, whether it is the second of two equal ones."""

    position: int
    hour: int
    again: bool


class Grid(msgspec.Struct, frozen=True):
    """A table of hours and days.

    `axis`: number of the line that holds the hours; `head`: position at which the lines of days say their day. `days`: line -> day;
    `undated`: lines among the days and after them that say none. `problems`: what is wrong with the labels.
    `marked_again`: whether the second of two equal hours says that it is. `register`: what its values are of.
    """

    table: Table
    across: bool
    lines: Lines
    axis: int
    head: int
    slots: tuple[Slot, ...]
    days: tuple[tuple[int, date], ...]
    undated: tuple[int, ...]
    problems: tuple[Problem, ...]
    marked_again: bool = False
    register: str = REGISTER

    def where(self, line: int, position: int) -> str:
        """The name of a cell."""
        return place(self.table, line, position, across=self.across)

    def span(self, line: int) -> str:
        """The name of the cells of a line that hold values, from the first to the last."""
        first, last = self.slots[0].position, self.slots[-1].position
        return self.between(line, first, line, last) if self.across else self.table.span(line, first, last)

    def between(self, line: int, position: int, last_line: int, last_position: int) -> str:
        """The name of the cells from one to another."""
        return f"{self.where(line, position)}:{self.where(last_line, last_position).rpartition('!')[2]}"

    def above(self) -> Iterator[tuple[int, int]]:
        """Row and column of every cell that stands above the first value."""
        last = self.days[0][0] if self.across else self.slots[0].position
        for row in range(min(last, _LINES)):
            for column in range(len(self.table.rows[row])):
                yield row, column


def place(table: Table, line: int, position: int, *, across: bool) -> str:
    """The name of a cell by its line and its position in it."""
    return table.where(line, position) if across else table.where(position, line)


def quantity(cell: Cell) -> str:
    """What a cell says is measured: `A+`, `A-`, `R+`, `R-`; empty when it says no such thing."""
    return _QUANTITIES.get(fold(cell), "") if isinstance(cell, str) and 0 < len(cell) <= 40 else ""


def has_value(cell: Cell) -> bool:
    """Tell whether a cell holds a number."""
    try:
        return cell_number(cell) is not None
    except CellError:
        return False


def is_hourly(body: bytes, limits: Limits) -> bool:
    """Tell whether a workbook is one of hours and days: by its hidden sheet or by what its first sheets hold."""
    tables = look_any(body, limits)
    meant = next((row[1] for table in tables if table.name == META for row in table.rows if row[0] == "template" and len(row) > 1), "")
    shown = [table for table in tables if not table.hidden and table.name != META]
    return meant == TEMPLATE or (not meant and any(find(table) is not None for table in shown[:_SNIFFED]))


def find(table: Table, month: date | None = None, register: str = REGISTER) -> Grid | None:
    """The table of hours and days in a sheet, None when there is none.

    `month`: the one that is expected; bare numbers are days counted from 1904 only when that makes them days of it. `register`: what its
    values are of; a mark of another one ends the table.
    """
    if not table.rows:
        return None
    rows = table.rows[:_REACH]
    plain: list[tuple[_Way, int, int]] = []
    for way in (_Way(tuple(zip(*rows, strict=True)), across=False), _Way(table.rows, across=True)):
        for axis, line in enumerate(way.lines[:_LINES]):
            found = _hours(line[:_REACH]) if len(line) >= _HOURS else None
            if found is None:
                continue
            first, numbers = found
            if numbers:
                plain.append((way, axis, first))
            elif (grid := _crossed(table, way, axis, first, month, register)) is not None:
                return grid
    grids = (_crossed(table, way, axis, first, month, register) for way, axis, first in plain)
    return next((grid for grid in grids if grid is not None), None)


class _Way:
    """A table seen one way round; however many axes are tried, the days about its edge are read once."""

    def __init__(self, lines: Lines, *, across: bool) -> None:
        self.lines, self.across = lines, across
        self._dated: dict[int, list[bool]] = {}

    def days(self, axis: int, position: int) -> int:
        """How many of the lines below an axis say a day at this position."""
        if position not in self._dated:
            self._dated[position] = [found is not None for found in _days_of(self.lines[: _LINES + _WIDEST], position)]
        return sum(self._dated[position][axis + 1 : axis + 1 + _WIDEST])


def _hours(line: Sequence[Cell]) -> tuple[int, bool] | None:
    """Position of the first label if this line holds hours, and whether all its labels are numbers, as values might be too."""
    labels = [(position, label) for position, cell in enumerate(line) if cell != "" and (label := hour(cell)) is not None]
    if len({label.hour for _, label in labels}) < _HOURS:
        return None
    return labels[0][0], all(label.number for _, label in labels)


def _in_order(labels: Sequence[Cell]) -> bool:
    """Tell whether labels are the 24 hours, one after the other."""
    found = [hour(cell) for cell in labels]
    return [label and (label.hour, label.mark) for label in found] == [(begins, "") for begins in range(24)]


def _crossed(table: Table, way: _Way, axis: int, first: int, month: date | None, register: str) -> Grid | None:
    """The grid of an axis of hours and the days that cross it, None when not enough of these do."""
    lines, across, best, head = way.lines, way.across, 0, -1
    for position in range(min(first, _LINES) - 1, -1, -1):
        count = way.days(axis, position)
        if count > best:
            best, head = count, position
    if best < _DAYS:
        return None
    days, undated = _dated(lines, axis, head, month)
    line = lines[axis]
    if axis == 0 and days[0][0] == 1 and len(line) - first == 24 and _in_order(line[first:]):
        slots = tuple(Slot(position, begins, again=False) for begins, position in enumerate(range(first, first + 24)))
        return Grid(table, across, lines, axis, head, slots, days, undated, (), register=register)
    slots, problems, marked = _Walk(table, lines, axis, days, register, across=across).run(first)
    return Grid(table, across, lines, axis, head, slots, days, undated, problems, marked, register)


def _days_of(lines: Lines, position: int) -> list[date | None]:
    return [day(line[position]) if line[position] != "" else None for line in lines]


def _dated(lines: Lines, axis: int, head: int, month: date | None) -> tuple[tuple[tuple[int, date], ...], tuple[int, ...]]:
    days: list[tuple[int, date]] = []
    undated: list[int] = []
    for number, found in enumerate(_days_of(lines[axis + 1 :], head), axis + 1):
        if found is not None:
            days.append((number, found))
        elif days and is_total(lines[number][head]):
            break
        elif days:
            undated.append(number)
    if month is not None and not any(_same_month(one, month) for _, one in days):
        later = [(number, day_of_1904(lines[number][head], one)) for number, one in days]
        if any(_same_month(one, month) for _, one in later):
            days = later
    return tuple(days), tuple(undated)


def _same_month(one: date, other: date) -> bool:
    return (one.year, one.month) == (other.year, other.month)


def is_total(cell: Cell) -> bool:
    """Tell whether a label ends its axis: «Итого», «Сутки», «Всего»."""
    return isinstance(cell, str) and cell != "" and fold(cell[:40]).startswith(_TOTALS)


class _Walk:
    """Goes along the hours and says what is wrong with them."""

    def __init__(self, table: Table, lines: Lines, axis: int, days: Sequence[tuple[int, date]], register: str, *, across: bool) -> None:
        self.table, self.lines, self.axis, self.across, self.register = table, lines, axis, across, register
        self.before = [number for number in range(days[0][0]) if number != axis]
        self.days = [number for number, _ in days]
        self.slots: list[Slot] = []
        self.problems: list[Problem] = []
        self.marked = True

    def run(self, first: int) -> tuple[tuple[Slot, ...], tuple[Problem, ...], bool]:
        """The slots in their order. A label that is none is wrong only where there are values beside it."""
        line = self.lines[self.axis]
        for position in range(first, len(line)):
            cell = line[position]
            if is_total(cell):
                break
            label = hour(cell) if cell != "" else None
            if label is not None and not self._foreign(position):
                self._take(position, label)
            elif label is None and quantity(cell) not in ("", self.register):
                self._end(position)
                break
            elif label is None and self._valued(position):
                self._object("hour_invalid", position, value=str(cell)[:40])
        taken = {slot.hour for slot in self.slots}
        if missing := [HOURS[one] for one in range(24) if one not in taken]:
            edge = [place(self.table, self.axis, one, across=self.across) for one in (first, self._last(first))]
            where = f"{edge[0]}:{edge[1].rpartition('!')[2]}"
            self.problems.append(Problem(code="hour_missing", where=where, values={"hours": ", ".join(missing)}))
        return tuple(self.slots), tuple(self.problems), self.marked

    def _take(self, position: int, label: Label) -> None:
        last = self.slots[-1].hour if self.slots else -1
        found, again = label.hour, label.mark == "*"
        if label.mark in ("A", "B"):
            again = label.mark == "B"
            found = last + (not again) if found in (last, last + 1, last + 2) else found
        if found >= 24:
            self._object("hour_invalid", position, value=str(self.lines[self.axis][position])[:40])
        elif found == 0 and [slot.hour for slot in self.slots] == [23]:
            self._object("hour_unordered", self.slots.pop().position, hour=HOURS[23])
            self.slots.append(Slot(position, found, again=False))
        elif found == last and (again or not any(slot.again for slot in self.slots)):
            self.marked = self.marked and again
            self.slots.append(Slot(position, found, again=True))
        elif any(slot.hour == found for slot in self.slots):
            self._object("hour_repeated", position, hour=HOURS[found])
        elif found < last or again:
            self._object("hour_unordered", position, hour=HOURS[found])
        else:
            self.slots.append(Slot(position, found, again=False))

    def _foreign(self, position: int) -> bool:
        """Whether a label beside the hour says that this step is of another quantity; its values are refused."""
        for number in self.before:
            if quantity(self.lines[number][position]) not in ("", self.register):
                if self._valued(position):
                    self._refuse(number, position)
                return True
        return False

    def _end(self, position: int) -> None:
        """From here on stands another quantity."""
        if any(self._valued(later) for later in range(position, len(self.lines[self.axis]))):
            self._refuse(self.axis, position)

    def _refuse(self, line: int, position: int) -> None:
        where = place(self.table, line, position, across=self.across)
        written = str(self.lines[line][position])[:40]
        self.problems.append(Problem(code="channel_not_allowed", where=where, values={"channel": written}))

    def _valued(self, position: int) -> bool:
        return any(has_value(self.lines[number][position]) for number in self.days)

    def _last(self, first: int) -> int:
        return self.slots[-1].position if self.slots else first

    def _object(self, code: str, position: int, **values: str) -> None:
        self.problems.append(Problem(code=code, where=place(self.table, self.axis, position, across=self.across), values=values))
