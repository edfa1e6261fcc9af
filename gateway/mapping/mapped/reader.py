"""Cells of a mapped table as what they mean: codes, exact numbers in the register's unit, periods, days; each with its place."""

import re
from collections.abc import Callable, Hashable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.mappings import Field
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem
from gateway.domain.readings import Step
from gateway.mapping.cells import Cell, CellError, cell_code, cell_number
from gateway.mapping.crosswalk import fold
from gateway.mapping.delimited import Lines
from gateway.mapping.mapped.header import Header
from gateway.mapping.moments import Clock, Day, read_clock, read_day
from gateway.mapping.tables import Table

_NOON: Final = time(12)
_NOWHERE: Final = 1 << 20
_offset: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})", re.ASCII).fullmatch
_stamped: Final = re.compile(r"(\S{6,10})(?:[T,]\s*|\s+)(\d{1,2}):(\d{2})(?::\d{2}(?:\.\d+)?)?").fullmatch
_minuted: Final = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?").fullmatch
_whole: Final = re.compile(r"(?:(0[1-9]|1[0-2])(20[0-9]{2})|(20[0-9]{2})(0[1-9]|1[0-2]))(?:\.0)?").fullmatch
_short: Final = re.compile(r"(0[1-9]|1[0-2])([0-9]{2})").fullmatch

Alike = Callable[[list[Cell]], Hashable]

_day_of: Final = lru_cache(maxsize=1024)(read_day)
_clock_of: Final = lru_cache(maxsize=256, typed=True)(read_clock)


class Rows:
    """The rows of one table below its header, without those that are no data."""

    def __init__(self, table: Table, header: Header, document: Document, zone: str) -> None:
        """Look through them once: totals, repeated headers and the control row are passed over."""
        self.table, self.header, self.document, self.zone = table, header, document, zone
        self.spoilt = {problem.where: problem for problem in table.problems}
        self.passed = frozenset(map(fold, document.passed))
        self.columns = {field: column for (field, number), column in header.slots.items() if field and not number}
        self.control = self._control()
        self.end = self._end()
        self.halves = document.layout == "series" and document.step in ("", Step.HALF_HOUR)
        clock = self.columns.get("clock", -1)
        self.stamped = any(isinstance(row[clock], datetime) for row in table.rows if 0 <= clock < len(row))
        """Whether hours are whole dates with a time, as formulas leave them; a midnight among them is a date alone."""

    def numbers(self) -> Iterator[int]:
        """The rows of data."""
        rows = self.table.rows
        first = rows[self.header.row] if self.header.row >= 0 else None
        columns = [column for column in self.header.slots.values() if column >= 0]
        for number in range(self.header.row + 1, len(rows)):
            row = rows[number]
            if number == self.control or row == first or is_numbering(self.table, self.header.row, number):
                continue
            if all(row[column] == "" for column in columns if column < len(row)):
                continue
            if not self.is_total(row[0] if row[0] != "" else next(cell for cell in row if cell != "")):
                yield number

    def is_total(self, cell: Cell) -> bool:
        """Whether a cell begins with a word of what is no data."""
        return _first_word(cell) in self.passed

    def cell(self, row: int, column: int) -> Cell:
        """A cell as it stands in the file. Raises CellError with the problem of one that cannot be trusted."""
        cells = self.table.rows[row]
        if self.spoilt and (problem := self.spoilt.get(self.table.where(row, column))) is not None:
            raise CellError(problem.code, problem.values.get("value", ""))
        return cells[column] if column < len(cells) else ""

    @cached_property
    def what(self) -> Alike | None:
        """What takes those cells from a row by which rows of one register are known; None where a cell may not be what it seems."""
        return self._alike("register", "quantity", "zone")

    @cached_property
    def whose(self) -> Alike | None:
        """The same by which rows of one meter, period and instant are known."""
        return self._alike("meter", "point", "agreement", "location", "period", "day", "clock")

    @cached_property
    def _plain(self) -> int:
        """So many first columns every row has, each cell of which is what it seems; 0 where one may not be."""
        data = self.table.rows[self.header.row + 1 :]
        return 0 if self.spoilt or any(bool in set(map(type, row)) for row in data) else min(map(len, data), default=0)

    def _alike(self, *fields: Field) -> Alike | None:
        columns = [column for field in fields if (column := self.columns.get(field)) is not None]
        if self._plain <= max(columns, default=0):
            return None
        return itemgetter(*columns) if columns else lambda _: ""

    def moved(self, row: int) -> list[Problem]:
        """What is wrong with a row of a text that goes on behind the header: a delimiter within a field has moved those behind it."""
        cells = self.table.rows[row]
        column = next((at for at in range(self.end, len(cells)) if cells[at] != ""), None)
        return [] if column is None else [Problem(code="csv_structure", where=self.where(row, column))]

    def reads(self, row: int, column: int) -> bool:
        """Whether a cell is for sure a number or empty, without a look at it closer."""
        cells = self.table.rows[row]
        return not self.spoilt and (column >= len(cells) or cells[column] == "" or type(cells[column]) is float)

    def where(self, row: int, column: int) -> str:
        """The place of a cell as its sender knows it."""
        return self.table.where(row, column)

    def code(self, row: int, field: Field, problems: list[Problem]) -> str:
        """The code in a field's cell; what is wrong with it goes to `problems`."""
        column = self.columns.get(field)
        return "" if column is None else self.code_at(row, column, problems)

    def code_at(self, row: int, column: int, problems: list[Problem]) -> str:
        """The code in a cell; what is wrong with it goes to `problems`."""
        try:
            return cell_code(self.cell(row, column))
        except CellError as error:
            problems.append(error.at(self.where(row, column)))
            return ""

    def amount(self, row: int, column: int, problems: list[Problem], register: str = "") -> Decimal | None:
        """The number in a cell; None where the cell says that there is none. `register`: whose value it is, as far as it is known."""
        try:
            return cell_number(self.cell(row, column))
        except CellError as error:
            problem = error.at(self.where(row, column))
            told = problem.values | {"register": register} if register else problem.values
            problems.append(msgspec.structs.replace(problem, values=told))
            return None

    def day(self, row: int, problems: list[Problem]) -> Day | None:
        """The day of a row, None where none is told."""
        column = self.columns.get("day")
        if column is None:
            return None
        try:
            cell = self.cell(row, column)
        except CellError as error:
            problems.append(error.at(self.where(row, column)))
            return None
        found = None if cell == "" else _day_of(self._here(cell), halves=self.halves)
        if isinstance(found, CellError):
            problems.append(found.at(self.where(row, column)))
            return None
        return found

    def stamp(self, row: int) -> datetime | None:
        """The moment of a row that is told to the minute, without a zone; None where there are none or they are zero."""
        column, clock = self.columns.get("day"), self.columns.get("clock")
        if column is None:
            return None
        try:
            cell = self._here(self.cell(row, column))
            minute = None if clock is None else minute_of(self.cell(row, clock))
        except CellError:
            return None
        day = _day_of(cell) if minute is not None else None
        if minute is None or not isinstance(day, Day) or day.month or day.clock is not None:
            return stamp(cell)
        return datetime.combine(day.day, minute)

    def _here(self, cell: Cell) -> Cell:
        return in_zone(cell, self.zone) if type(cell) is str and cell else cell

    def clock(self, row: int, problems: list[Problem]) -> Clock | None:
        """The hour of a row in a column of its own, None where none is told."""
        column = self.columns.get("clock")
        if column is None:
            return None
        try:
            cell = self.cell(row, column)
            midnight = self.stamped and isinstance(cell, date) and not isinstance(cell, datetime)
            found = Clock(0) if midnight else _clock_of(cell, halves=self.halves)
        except CellError as error:
            found = error
        if isinstance(found, CellError):
            problems.append(found.at(self.where(row, column)))
            return None
        return found

    def period(self, row: int, problems: list[Problem]) -> str:
        """The period that a row names: `2025-10`, `10.2025`, `октябрь 2025`, `1025` or a day of it; empty where it names none."""
        column = self.columns.get("period")
        try:
            cell = self.cell(row, column) if column is not None else ""
        except CellError as error:
            problems.append(error.at(self.where(row, column or 0)))
            return ""
        if column is None or cell == "":
            return ""
        if (period := period_of(cell)) is None:
            problems.append(CellError("period_invalid", cell).at(self.where(row, column)))
            return ""
        return period

    def _end(self) -> int:
        """Behind which column of a text nothing has a name; a sheet may have notes there."""
        if not isinstance(self.table, Lines) or self.header.row < 0:
            return _NOWHERE
        heads = self.table.rows[max(self.header.row - 1, 0) : self.header.row + 1]
        return 1 + max(at for row in heads for at, cell in enumerate(row) if cell != "")

    def _control(self) -> int | None:
        """The last filled row when it begins with the mark of a control row."""
        if self.document.control is None:
            return None
        for number in range(len(self.table.rows) - 1, self.header.row, -1):
            first = next((cell for cell in self.table.rows[number] if cell != ""), "")
            if first != "":
                return number if str(first).startswith(self.document.control.mark) else None
        return None


@lru_cache(maxsize=1024)
def _first_word(cell: Cell) -> str:
    return fold(cell.split()[0]) if isinstance(cell, str) and cell.strip() else ""


@lru_cache(maxsize=1024)
def minute_of(cell: Cell) -> time | None:
    """A time of the day with minutes, a sheet's or written: `10:15`, `9:05:30`; None where the minutes are zero."""
    if isinstance(cell, str):
        found = _minuted(cell.strip())
        cell = time(int(found[1]), int(found[2])) if found and int(found[1]) < 24 and int(found[2]) < 60 else ""
    return cell.replace(second=0, microsecond=0) if isinstance(cell, time) and cell.minute else None


@lru_cache(maxsize=4096)
def in_zone(text: str, zone: str) -> str:
    """A moment with an offset, `2026-10-20T10:15:00+03:00`, as clocks of a zone show it; any other text as it is."""
    if _offset(text.strip()) is None:
        return text
    try:
        return f"{datetime.fromisoformat(text.strip()).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return text


@lru_cache(maxsize=1024)
def stamp(cell: Cell) -> datetime | None:
    """A date with hours and minutes, a sheet's or written: `20.10.2026 10:15`, `2026-10-20T10:15:00`; None where the minutes are zero."""
    if isinstance(cell, str):
        found = _stamped(cell.strip())
        day = _day_of(found[1]) if found else None
        if not found or not isinstance(day, Day) or day.month or not (int(found[3]) and int(found[2]) < 24 and int(found[3]) < 60):
            return None
        return datetime.combine(day.day, time(int(found[2]), int(found[3])))
    return cell.replace(second=0, microsecond=0) if isinstance(cell, datetime) and cell.minute and cell.tzinfo is None else None


def is_numbering(table: Table, header: int, row: int) -> bool:
    """Whether a row right below the header does nothing but number the columns: 1, 2, 3."""
    if header < 0 or row != header + 1:
        return False
    told = [str(cell).strip().removesuffix(".0") for cell in table.rows[row] if cell != ""]
    return len(told) > 2 and told == [str(number) for number in range(1, len(told) + 1)]


@lru_cache(maxsize=1024)
def instant(day: date, clock: Clock | None, zone: str) -> datetime:
    """When a reading of a day was taken: at its hour when one is told, else at noon."""
    here = ZoneInfo(zone)
    if clock is None:
        return datetime.combine(day, _NOON, here)
    return (
        datetime.combine(day, time(clock.hour % 24), here)
        if clock.hour < 24
        else datetime.combine(date.fromordinal(day.toordinal() + 1), time(), here)
    )


@lru_cache(maxsize=256)
def period_of(cell: Cell) -> str | None:
    """The month that a cell names, `YYYY-MM`; None when it names none."""
    if isinstance(cell, str) and (short := _short(cell.strip())):
        return f"20{short[2]}-{short[1]}"
    if whole := _whole(str(cell).strip()):
        return f"{whole[2] or whole[3]}-{whole[1] or whole[4]}"
    found = read_day(cell)
    return None if isinstance(found, CellError) else f"{found.day:%Y-%m}"
