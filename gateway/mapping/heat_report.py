"""The heat report in XML: one meter or many, a row of pairs for each day of each heat input, integrators at both ends of the period."""

import re
from collections.abc import Iterator
from time import thread_time
from typing import Final

import msgspec

from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import MeterReading, Step
from gateway.mapping import Envelope, Format
from gateway.mapping.cells import Cell, CellError
from gateway.mapping.heat_columns import Words
from gateway.mapping.heat_meter import Sheet
from gateway.mapping.heat_rows import Meters, meter_of, read_rows, told
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.moments import read_day
from gateway.mapping.report_parts import Line, Part, read_parts
from gateway.mapping.tables import Table
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

_HEAD: Final = 65_536
"""So many bytes are looked at to tell what a file is."""
_reported: Final = re.compile(rb"<(?:[\w.-]{1,40}:)?(?:daily_data(?:_list)?|RECORDS_CAP)[\s>/]").search
_SHOWN: Final = 60
_LAYOUTS: Final = 1_000
_NAMES: Final = 200
"""So many names of values a file may have: no header has as many."""
_ARCHIVE: Final = Words(shipped("heat_archive"))
"""The words of the archive: a report says the same in elements."""
_KEYS: Final = tuple(_ARCHIVE.first[field] for field in ("meter", "circuit", "kind", "day"))
_METER, _CIRCUIT, _KIND, _DAY = range(len(_KEYS))
_HEAT, _BEGUN = (_ARCHIVE.first[field] for field in ("heat", "heat_first"))
_DAILY: Final = _ARCHIVE.kinds[Step.DAY]
_STATE: Final = _ARCHIVE.kinds["dial"]
_AGGREGATE: Final = "Agg"
"""Behind the name of what an integrator shows."""


class HeatReport(Format, frozen=True, kw_only=True):
    """Reads XML in UTF-8, UTF-16 or windows-1251, as it declares; a wrong row refuses its meter and no other."""

    limits: Limits = Limits()

    def sniff(self, body: bytes, file_name: str) -> bool:  # noqa: ARG002 - names are not trusted
        """Tell by the first elements whether this is a heat report."""
        if not body or kind_of(body) not in ("xml", "text"):
            return False
        return _reported(body[:_HEAD].replace(b"\0", b"")) is not None

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:
        """One MeterReading per meter with the blocks of all its heat inputs; hints about names that are passed over.

        Raises Rejected when the XML cannot be read, no value has a name that is known, or there is no row.
        """
        if (kind := kind_of(body)) not in ("xml", "text"):
            raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))
        rows = _Rows(self.limits)
        for part in read_parts(body, self.limits, thread_time() + self.limits.child_seconds):
            rows.add(part, envelope.meter)
        table = rows.table()
        header = _ARCHIVE.header(table, 0)
        if len(table.rows) == 1:
            raise Rejected(Problem(code="nothing_to_take"))
        if header is None:
            raise Rejected(Problem(code="column_missing", where=table.places[1], values={"column": _HEAT}))
        problems = list(_ARCHIVE.problems(table, header, named=True))
        if any(problem.severity is Severity.ERROR for problem in problems):
            raise Rejected(*problems)
        sheet, meters = Sheet(table, header, ""), Meters()
        read_rows(sheet, meters, _ARCHIVE)
        numbers = sheet.column("meter")
        for at, problem in rows.wrong:
            row = max(at - header.first, 0)
            meter_of(sheet, numbers[row], row, meters).problems.append(problem)
        if not meters:
            raise Rejected(Problem(code="nothing_to_take"))
        return told(problems, meters.values(), envelope, self.limits)


class _Report(Table, frozen=True, array_like=True):
    """Rows of pairs as a table. `places`: of each row; `heads`: where its meter and heat input are told, if anywhere; `names`: of each
    column; `other`: places of cells that are named otherwise.
    """

    places: list[str]
    heads: list[tuple[str, str]]
    names: list[str]
    other: dict[tuple[int, int], str]

    def where(self, row: int, column: int) -> str:
        """The place of a value: that of its row and its name, for instance `/report/daily_data_list[1]/daily_data[14]/Q`."""
        if column in (_METER, _CIRCUIT):
            return self.heads[row][column] or self.places[row]
        place = self.other.get((row, column))
        return place or (self.places[row] if column in (_KIND, _DAY) else f"{self.places[row]}/{self.names[column]}")

    def span(self, column: int, first: int, last: int) -> str:
        """The places of a run of values, for instance `/report/daily_data_list[1]/daily_data[1..30]/Q`."""
        begin, end = self.where(first, column), self.where(last, column)
        head, _, number = self.places[first].rpartition("[")
        same, _, other = self.places[last].rpartition("[")
        if first == last or head != same or not head:
            return begin if first == last else f"{begin} … {end}"
        return f"{head}[{number.removesuffix(']')}..{other.removesuffix(']')}]/{self.names[column]}"


class _Layout(msgspec.Struct, frozen=True):
    """Where the values of rows with the same names go. `twice`: names that say again what one before them says; `other`: names that
    differ from that of their column.
    """

    columns: tuple[int, ...]
    twice: tuple[str, ...]
    other: tuple[tuple[int, str], ...]


class _Rows:
    """The rows of all parts below one header: what stands under one name, or names that mean the same, is one column.

    `wrong`: what is wrong with a row as a whole, with its number, the header being 0.
    """

    def __init__(self, limits: Limits) -> None:
        self.wrong: list[tuple[int, Problem]] = []
        self._limits = limits
        self._rows: list[list[Cell]] = [list(_KEYS)]
        self._places: list[str] = [""]
        self._heads: list[tuple[str, str]] = [("", "")]
        self._names = [*_KEYS]
        self._other: dict[tuple[int, int], str] = {}
        self._columns: dict[object, int] = {}
        self._layouts: dict[tuple[str, tuple[str, ...]], _Layout] = {}

    def add(self, part: Part, meter: str) -> None:
        """Take in a part. `meter`: whose it is when it does not say so."""
        (number, where), (circuit, beside) = part.find("meter"), part.find("circuit")
        keys, heads = (number or meter, circuit), (where, beside)
        for line in part.rows:
            self._row(line, (*keys, _DAILY if part.daily else ""), heads)
        found: dict[str, int] = {}
        for edge, line in part.states.items():
            at = found[edge] = self._row(_integrators(line), (*keys, _STATE), heads, _AGGREGATE)
            date, where = part.find(edge)
            if date:
                self._rows[at][_DAY], self._other[at, _DAY] = date, where
                if isinstance(error := read_day(date), CellError):
                    self._wrong(at, error.at(where))
        if "start" in found:
            self._begin(found["start"], found.get("end", 0))

    def table(self) -> _Report:
        """All rows, each as wide as the header, which is the first."""
        width = len(self._names)
        if width * len(self._rows) > self._limits.sheet_cells:
            raise _large("values", self._limits.sheet_cells)
        for row in self._rows:
            row.extend([""] * (width - len(row)))
        return _Report("", False, 0, 0, self._rows, [], self._places, self._heads, self._names, self._other)

    def _row(self, line: Line, keys: tuple[str, str, str], heads: tuple[str, str], aside: str = "") -> int:
        """Take in a row and tell its number. `aside`: what stands behind names and is no part of them."""
        at = len(self._rows)
        layout = self._layouts.get((aside, line.names)) or self._layout(line, aside)
        row: list[Cell] = [*keys, *[""] * (len(self._names) - len(keys))]
        for column, value in zip(layout.columns, line.values, strict=True):
            row[column] = value
        self._rows.append(row)
        self._places.append(line.where)
        self._heads.append(heads)
        for column, name in layout.other:
            self._other[at, column] = f"{line.where}/{name}"
        for name in layout.twice:
            self._wrong(at, Problem(code="column_repeated", where=f"{line.where}/{name}", values={"column": name}))
        for odd in line.odd:
            self._wrong(at, Problem(code="report_pair_invalid", where=line.where, values={"value": odd}))
        return at

    def _layout(self, line: Line, aside: str) -> _Layout:
        columns = tuple([self._column(name.removesuffix(aside), line.where) for name in line.names])
        named = [(column, name[:_SHOWN]) for column, name in zip(columns, line.names, strict=True)]
        seen: set[int] = set()
        twice: list[str] = []
        for column, name in named:
            twice += [name] if column in seen else []
            seen.add(column)
        layout = _Layout(columns, tuple(twice), tuple((column, name) for column, name in named if name != self._names[column]))
        if len(self._layouts) < _LAYOUTS:
            self._layouts[aside, line.names] = layout
        return layout

    def _wrong(self, at: int, problem: Problem) -> None:
        self.wrong.append((at, problem))
        if len(self.wrong) > self._limits.file_problems:
            limit = str(self._limits.file_problems)
            raise Rejected(*(one for _, one in self.wrong), Problem(code="too_many_problems", values={"limit": limit}))

    def _column(self, name: str, where: str) -> int:
        """The column of a name; one of its own when no name before it means the same."""
        known = self._columns.get(name)
        if known is not None:
            return known
        means = _ARCHIVE.meaning(name)
        if means is not None and means[0] in ("day", "clock"):
            column = _DAY
        elif means is not None and means in self._columns:
            column = self._columns[means]
        else:
            column = len(self._names)
            if column == _NAMES:
                raise _large("names", _NAMES)
            self._names.append(name[:_SHOWN])
            self._rows[0].append(name)
            self._other[0, column] = f"{where}/{name[:_SHOWN]}"
        self._columns[name] = column
        if means is not None:
            self._columns.setdefault(means, column)
        return column

    def _begin(self, start: int, end: int) -> None:
        """Put what the heat integrator showed at the beginning beside what it showed at the end; alone it is no reading."""
        heat, row = self._columns.get(_ARCHIVE.meaning(_HEAT)), self._rows[start]
        if heat is None or heat >= len(row) or not row[heat]:
            return
        value, row[heat] = row[heat], ""
        if end:
            where = self._other.get((start, heat), f"{self._places[start]}/{self._names[heat]}")
            column, last = self._column(_BEGUN, where), self._rows[end]
            last.extend([""] * (column + 1 - len(last)))
            last[column], self._other[end, column] = value, where


def _integrators(line: Line) -> Line:
    """What integrators show; where some names say that they are of integrators, only these."""
    told = [pair for pair in zip(line.names, line.values, strict=True) if pair[0].endswith(_AGGREGATE)]
    return Line(line.where, tuple([name for name, _ in told]), [value for _, value in told], line.odd) if told else line


def _large(reason: str, limit: int) -> Rejected:
    return Rejected(Problem(code="xml_too_large", values={"reason": reason, "limit": str(limit)}))
