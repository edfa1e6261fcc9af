"""The archive of heat meters (contractor manual): one file, many meters, hours, days and months of each of their heat inputs."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import CIRCUITS, MeterReading, Step
from gateway.domain.supply import key
from gateway.mapping import Envelope, Format
from gateway.mapping.cells import Cell, CellError, cell_code
from gateway.mapping.crosswalk import fold
from gateway.mapping.delimited import is_delimited, read_delimited
from gateway.mapping.heat_columns import WORDS, Header, Written, find_header, header_at, header_problems, known_words
from gateway.mapping.heat_meter import HeatMeter, Sheet
from gateway.mapping.heat_moments import read_day
from gateway.mapping.sheet_owner import named, owner
from gateway.mapping.tables import Table, look, read_tables
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

_STEPS: Final = {fold(word): Step(step) for step, words in WORDS.kinds.items() for word in words}
_INTEGRATOR: Final = frozenset(map(fold, WORDS.integrator))
_PASSED: Final = frozenset(map(fold, WORDS.passed))
"""First words of rows that are totals or means."""
_DATE: Final = frozenset(fold(words.split()[0]) for words in WORDS.columns["day"])
"""First words of a header that is repeated among the rows."""
_REPORTS: Final = 1000
"""So many tables may stand one below another in a sheet."""
_circuit: Final = re.compile(r"[^0-9]{0,20}([0-9])(?:[.,]0)?[^0-9]{0,20}").fullmatch

Meters = dict[str, HeatMeter]


class HeatArchive(Format, frozen=True, kw_only=True):
    """Reads .xlsx, .xls and delimited text whose header is found by its words; a wrong cell refuses its meter and no other."""

    limits: Limits = Limits()

    def sniff(self, body: bytes, file_name: str) -> bool:  # noqa: ARG002 - names are not trusted
        """Tell by the first rows whether this is a table with the columns of a heat archive."""
        if body and kind_of(body) in ("xlsx", "xls"):
            return any(known_words(table.rows) for table in _shown(look(body, self.limits)))
        return is_delimited(body, known_words)

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:
        """One MeterReading per meter with the blocks of all its heat inputs; hints about columns that are passed over.

        Raises Rejected when there is no header, a column or its unit is not known, or nothing stands below.
        """
        tables = _shown(self._tables(body))
        found = [
            (table, headers) for table in tables if (header := find_header(table)) is not None and (headers := _stacked(table, header))
        ]
        if not found:
            raise Rejected(Problem(code="header_not_found", where=tables[0].name if tables else ""))
        problems: list[Problem] = []
        sheets: list[Sheet] = []
        for table, headers in found:
            for header, number in zip(headers, _numbers(table, headers, envelope.meter), strict=True):
                objections = [*header_problems(table, header, named=bool(number))]
                errors = [problem for problem in objections if problem.severity is Severity.ERROR]
                problems += objections if header is headers[0] else errors
                sheets += [] if errors else [Sheet(table, header, number)]
        if any(problem.severity is Severity.ERROR for problem in problems):
            raise Rejected(*problems)
        meters: Meters = {}
        for sheet in sheets:
            _read(sheet, meters)
        if not meters:
            raise Rejected(Problem(code="nothing_to_take", where=sheets[0].place(-1, "heat")))
        return self._told(problems, meters.values(), envelope)

    def _tables(self, body: bytes) -> tuple[Table, ...]:
        if kind_of(body) == "text":
            return (read_delimited(body, self.limits, known_words),)
        return read_tables(body, self.limits)

    def _told(self, problems: list[Problem], meters: Iterable[HeatMeter], envelope: Envelope) -> Iterator[MeterReading | Problem]:
        yield from problems
        count = len(problems)
        for meter in meters:
            reading = meter.reading(envelope)
            count += len(reading.problems)
            if count > self.limits.file_problems:
                limit = str(self.limits.file_problems)
                raise Rejected(*reading.problems[: self.limits.file_problems], Problem(code="too_many_problems", values={"limit": limit}))
            yield reading


def _shown(tables: Iterable[Table]) -> list[Table]:
    return [table for table in tables if not table.hidden and table.rows]


def _stacked(table: Table, header: Header) -> list[Header]:
    """The header and the same one further down, where reports of several meters stand one below another. Raises Rejected for too many."""
    day = header.columns.get("day")
    if "meter" in header.columns or day is None:
        return [header]
    words = table.rows[header.row][day.index]
    below = [row for row in range(header.first, len(table.rows)) if table.rows[row][day.index] == words]
    if len(below) > _REPORTS:
        raise Rejected(Problem(code="too_many_readings", where=table.where(header.row, 0), values={"limit": str(_REPORTS)}))
    headers = [header, *(found for row in below if (found := header_at(table, row)) is not None)]
    for place, following in enumerate(headers[1:]):
        last = following.row
        while last > headers[place].first and not _is_data(table.rows[last - 1], headers[place]):
            last -= 1
        headers[place] = msgspec.structs.replace(headers[place], last=last)
    return headers


def _is_data(row: Sequence[Cell], header: Header) -> bool:
    """Whether a row is one of values and not of a title."""
    readable = not isinstance(read_day(row[header.columns["day"].index]), CellError)
    return readable or sum(row[column.index] != "" for column in header.values) > 1


def _numbers(table: Table, headers: Sequence[Header], told: str) -> Iterator[str]:
    """The meter of each header without a column for it: a cell above names it, else the header before, the sheet's name, the channel."""
    number, above = named(table) or told, 0
    for header in headers:
        cells = ((row, column) for row in range(above, header.row) for column in range(len(table.rows[row])))
        number = "" if "meter" in header.columns else owner(table, cells).meter or number
        above = header.last
        yield number


def _read(sheet: Sheet, meters: Meters) -> None:
    """Give every row of a sheet to its meter."""
    groups: dict[tuple[Written, Written, Written], list[int]] = {}
    for row, cells in enumerate(zip(sheet.column("meter"), sheet.column("circuit"), sheet.column("kind"), strict=True)):
        if cells in groups:
            groups[cells].append(row)
        else:
            groups[cells] = [row]
    days = sheet.column("day")
    passed = {cell for cell in set(days) if (word := _first_word(cell)) in _PASSED or word in _DATE}
    for (number, circuit, kind), rows in groups.items():
        told = [row for row in rows if days[row] not in passed and (days[row] != "" or sheet.filled(row))]
        if told and _first_word(kind) not in _PASSED and _first_word(number) not in _PASSED:
            _group(sheet, _meter(sheet, number, told[0], meters), circuit, kind, told)


def _meter(sheet: Sheet, number: Written, row: int, meters: Meters) -> HeatMeter:
    where = sheet.place(row, "meter")
    try:
        if isinstance(number, CellError):
            raise number
        code = cell_code(number)
    except CellError as error:
        return meters.setdefault(where, HeatMeter("", where, error.at(where)))
    if not code:
        return meters.setdefault("", HeatMeter("", where, Problem(code="meter_missing", where=where)))
    known = meters.get(f"#{key(code)}")
    return known or meters.setdefault(f"#{key(code)}", HeatMeter(code, where))


def _group(sheet: Sheet, meter: HeatMeter, circuit: Written, kind: Written, rows: list[int]) -> None:
    """Give the rows of one meter, heat input and kind to the meter, each with its moment."""
    for row in rows if sheet.wrong else ():
        meter.problems += sheet.wrong.get(row, ())
    number, word, days = _circuit_of(circuit), _first_word(kind), sheet.column("day")
    step = _STEPS.get(word)
    if isinstance(number, CellError):
        meter.problems.append(number.at(sheet.place(rows[0], "circuit")))
        return
    if step is None and kind != "" and word not in _INTEGRATOR:
        meter.problems.append(CellError("archive_kind_unknown", kind).at(sheet.place(rows[0], "kind")))
        return
    states = {cell for cell in {days[row] for row in rows} if word in _INTEGRATOR or _first_word(cell) in _INTEGRATOR}
    if states:
        shown = [row for row in rows if days[row] in states]
        meter.states += [(sheet, number, row, None if row in sheet.unread else sheet.moments[row]) for row in shown]
        rows = [row for row in rows if days[row] not in states]
    if sheet.unread:
        meter.problems += [sheet.unread[row].at(sheet.place(row, "day")) for row in rows if row in sheet.unread]
        rows = [row for row in rows if row not in sheet.unread]
    meter.rows(sheet, number, step).extend(rows)


def _circuit_of(cell: Written) -> int | CellError:
    """The number of a heat input: an empty cell is the first, words about the number are passed over."""
    if isinstance(cell, CellError):
        return cell
    text = str(cell).strip()
    found = _circuit(text)
    number = int(found[1]) if found else 0 if text else 1
    return number if number in CIRCUITS else CellError("circuit_unknown", cell)


def _first_word(cell: Written) -> str:
    return fold(cell.split()[0]) if isinstance(cell, str) and cell.strip() else ""
