"""Reads one table of hours and days into blocks of a day each, with everything that is wrong with it by its cells."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

import msgspec

from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import IntervalBlock, Step, written
from gateway.domain.windows import shift
from gateway.mapping import Envelope
from gateway.mapping.cells import Cell, CellError, cell_number
from gateway.mapping.hour_grid import Grid, Slot, has_value, quantity
from gateway.mapping.hours import HOURS, odd_days
from gateway.mapping.titles import other_month

DAY: Final = "%d.%m.%Y"

_day: Final = itemgetter(1)
_plain: Final = re.compile(rb"\[(?:\[(?:[0-9]{1,15}\.[0-9]{1,6}[,\]])+[,\]])+").fullmatch


class IntervalSheet:
    """What one table says of its meter.

    `first`: first day of the month that most of its dates lie in. `blocks`: a day each, in their order; a day whose cells are all empty
    has none, nor has one with a wrong cell. `touched`: whether there is any value in the table at all.
    """

    def __init__(self, grid: Grid, envelope: Envelope, expected: date | None) -> None:
        """Read it; `expected` is the first day of the month that is told beside the table."""
        self.grid, self.table, self.envelope = grid, grid.table, envelope
        self.spoilt = {problem.where: problem for problem in grid.table.problems}
        self.first, self.whole = _month_of(grid.days)
        self.odd = odd_days(envelope.zone, self.first)
        self.blocks: list[IntervalBlock] = []
        self.problems: list[Problem] = list(grid.problems)
        self.blank: list[tuple[int, date]] = []
        self.touched = False
        if not self._foreign():
            days = self._days(expected)
            self._read(days)
            if self.touched:
                self._titles()
            if self.spoilt:
                edges = [(grid.axis, slot.position) for slot in grid.slots] + [(line, grid.head) for line, _ in days]
                self.problems += [self.spoilt[where] for place in edges if (where := grid.where(*place)) in self.spoilt]

    def repeated(self, day: date) -> Problem:
        """The problem of a day that stands in several places, at its place here."""
        line = next(line for line, one in self.grid.days if one == day)
        return Problem(code="date_repeated", where=self.grid.where(line, self.grid.head), values={"day": f"{day:{DAY}}"})

    def _foreign(self) -> bool:
        """Whether the sheet's name or a cell above the values says that another quantity is measured."""
        marks = {(row, column): said for row, column in self.grid.above() if (said := quantity(self.table.rows[row][column]))}
        named = quantity(self.table.name)
        other = next((at for at, said in marks.items() if said != self.grid.register), None)
        if self.grid.register in (named, *marks.values()) or (named == "" and other is None):
            return False
        self.touched = any(self._valued(line) for line, _ in self.grid.days)
        where = self.table.where(*other) if other is not None else self.table.name
        written = str(self.table.rows[other[0]][other[1]]) if other is not None else self.table.name
        self.problems = [Problem(code="channel_not_allowed", where=where, values={"channel": written[:40]})]
        return True

    def _titles(self) -> None:
        """Titles that name another month than the days: nobody knows which of them was copied from last month's file."""
        cells = [(self.table.where(row, column), self.table.rows[row][column]) for row, column in self.grid.above()]
        other = other_month([*cells, (self.table.name, self.table.name)], self.first)
        if other is not None:
            told = {"title": f"{other[1]:%Y-%m}", "written": f"{self.first:%Y-%m}"}
            self.problems.append(Problem(code="title_differs", where=other[0], severity=Severity.WARNING, values=told))

    def _days(self, expected: date | None) -> Sequence[tuple[int, date]]:
        """The days that are read: of this month and each once; what is wrong with the others counts only when they hold values."""
        grid, head = self.grid, self.grid.head
        if expected is not None and expected != self.first:
            where = grid.between(grid.days[0][0], head, grid.days[-1][0], head)
            told = {"written": f"{self.first:%Y-%m}", "expected": f"{expected:%Y-%m}"}
            self.problems.append(Problem(code="period_differs", where=where, values=told))
        if self.whole and not grid.undated:
            return grid.days
        taken: dict[date, int] = {}
        for line, day in grid.days:
            if day.replace(day=1) != self.first:
                if self._valued(line):
                    told = {"day": f"{day:{DAY}}", "period": f"{self.first:%Y-%m}"}
                    self._object("date_out_of_period", line, head, **told)
            elif day in taken and self._valued(line):
                if self._valued(taken[day]):
                    self._object("date_repeated", line, head, day=f"{day:{DAY}}")
                taken[day] = line
            else:
                taken.setdefault(day, line)
        self._undated()
        self._missing(taken)
        return [(line, day) for day, line in taken.items()]

    def _undated(self) -> None:
        """Values under what is no day."""
        grid, head = self.grid, self.grid.head
        for line in grid.undated:
            where = grid.where(line, head)
            if where in self.spoilt:
                self.problems.append(self.spoilt[where])
            else:
                wrong = [slot.position for slot in grid.slots if has_value(grid.lines[line][slot.position])]
                self.touched = self.touched or bool(wrong)
                for position in wrong:
                    self._object("date_invalid", line, position, value=str(grid.lines[line][head])[:40])

    def _missing(self, taken: dict[date, int]) -> None:
        """Days of the month that no line is for, each run of them told where it ought to stand."""
        missing = [
            day for number in range((shift(self.first, 1) - self.first).days) if (day := self.first + timedelta(number)) not in taken
        ]
        for first, last in _runs(missing):
            after = min((line for day, line in taken.items() if day > last), default=self.grid.days[-1][0] + 1)
            self._object("day_missing", after, self.grid.head, day=_from_to(first, last))

    def _read(self, days: Sequence[tuple[int, date]]) -> None:
        slots = self.grid.slots
        again = next((slot for slot in slots if slot.again), None)
        once = [slot for slot in slots if not slot.again]
        if again is not None and not self.grid.marked_again and (again.hour, 1) not in self.odd.values():
            self._object("hour_repeated", self.grid.axis, again.position, hour=HOURS[again.hour])
            again = None
        pick, lines = _picker(once), self.grid.lines
        ordered = sorted(days, key=_day)
        cells = [pick(lines[line]) for line, _ in ordered]
        good = None if self.spoilt else _exact(cells)
        for index, (line, day) in enumerate(ordered):
            if day in self.odd:
                self._odd(line, day, once, again)
                continue
            values = good[index : index + 1] if good is not None else None if self.spoilt else _exact(cells[index : index + 1])
            if values:
                self._keep(line, day, values[0])
            else:
                self._slowly(line, day, once)
            if again is not None:
                self._absent(line, day, again)
        if self.blank and self.touched:
            told = {"days": ", ".join(_from_to(*run) for run in _runs([day for _, day in self.blank])), "count": str(len(self.blank))}
            where = self.grid.where(self.blank[0][0], self.grid.head)
            self.problems.append(Problem(code="days_blank", where=where, severity=Severity.WARNING, values=told))
        if len(once) < 24:
            self.blocks = []

    def _odd(self, line: int, day: date, once: Sequence[Slot], again: Slot | None) -> None:
        """A day of 23 or 25 hours."""
        hour, change = self.odd[day]
        if change < 0:
            self._absent(line, day, *[slot for slot in once if slot.hour == hour], *([again] if again else []))
            self._slowly(line, day, [slot for slot in once if slot.hour != hour])
        elif again is not None and again.hour == hour:
            self._slowly(line, day, self.grid.slots)
        else:
            before = len(self.blocks)
            self._slowly(line, day, once)
            if len(self.blocks) > before:
                self.blocks.pop()
                self._object("hour_missing", line, self.grid.head, hours=f"{HOURS[hour]}*")

    def _absent(self, line: int, day: date, *slots: Slot) -> None:
        """An hour that the day has not must be left empty: a value there is one too many, be it 0."""
        for slot in slots:
            cell = self.grid.lines[line][slot.position]
            if cell != "" and has_value(cell):
                self.touched = True
                self._object("hour_absent", line, slot.position, hour=HOURS[slot.hour], day=f"{day:{DAY}}")

    def _slowly(self, line: int, day: date, slots: Sequence[Slot]) -> None:
        """Read a day cell by cell: some are empty, texts or wrong."""
        values: list[Decimal | None] = []
        empty, known = True, len(self.problems)
        for slot in slots:
            where, cell = "", self.grid.lines[line][slot.position]
            if self.spoilt or cell != "":
                where = self.grid.where(line, slot.position)
                empty = False if cell != "" or where in self.spoilt else empty
            values.append(self._value(cell, where, day) if where else None)
        if empty:
            self.blank.append((line, day))
            return
        self.touched = True
        if len(self.problems) == known:
            self._keep(line, day, written(values))

    def _value(self, cell: Cell, where: str, day: date) -> Decimal | None:
        if where in self.spoilt:
            self.problems.append(self.spoilt[where])
            return None
        try:
            value = cell_number(cell)
        except CellError as error:
            self.problems.append(error.at(where))
            return None
        if value is not None and value < 0:
            told = {"value": f"{value:f}", "day": f"{day:{DAY}}", "register": self.grid.register}
            self.problems.append(Problem(code="interval_negative", where=where, values=told))
        return value

    def _keep(self, line: int, day: date, values: str) -> None:
        self.touched = True
        block = IntervalBlock(
            register=self.grid.register,
            step=Step.HOUR,
            day=day,
            written=values,
            ratio_applied=self.envelope.ratio_applied,
            losses_applied=self.envelope.losses_applied,
            where=self.grid.span(line),
        )
        self.blocks.append(block)

    def _valued(self, line: int) -> bool:
        """Whether there is a value in a line at all; a table that has one is meant to be read."""
        valued = any(has_value(self.grid.lines[line][slot.position]) for slot in self.grid.slots)
        self.touched = self.touched or valued
        return valued

    def _object(self, code: str, line: int, position: int, **values: str) -> None:
        self.problems.append(Problem(code=code, where=self.grid.where(line, position), values=values))


def _exact(days: Sequence[Sequence[Cell]]) -> list[str] | None:
    """The values of days whose cells are nothing but good numbers, in their shortest text; None when one cell is anything else.

    All at once, since a call for each of a million cells would cost more than reading the file.
    """
    text = msgspec.json.encode(days)
    return text.replace(b".0,", b",").replace(b".0]", b"]")[2:-2].decode("ascii").split("],[") if _plain(text) else None


def _month_of(days: tuple[tuple[int, date], ...]) -> tuple[date, bool]:
    """First day of the month that most of the days lie in, and whether they are the days of that month, each once."""
    first = Counter(day.replace(day=1) for _, day in days).most_common(1)[0][0]
    count = (shift(first, 1) - first).days
    return first, len(days) == count and {day for _, day in days} == {first + timedelta(days=number) for number in range(count)}


def _picker(slots: Sequence[Slot]) -> Callable[[Sequence[Cell]], Any]:
    """What takes the cells of these slots out of a line at once."""
    positions = [slot.position for slot in slots]
    if not positions:
        return lambda line: line[:0]
    if positions == list(range(positions[0], positions[0] + len(positions))):
        return itemgetter(slice(positions[0], positions[-1] + 1))
    return itemgetter(*positions)


def _runs(days: Iterable[date]) -> list[tuple[date, date]]:
    """Days that follow each other, as the first and the last of each run."""
    runs: list[tuple[date, date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = runs[-1][0], day
        else:
            runs.append((day, day))
    return runs


def _from_to(first: date, last: date) -> str:
    return f"{first:{DAY}}" if first == last else f"{first:{DAY}}–{last:{DAY}}"
