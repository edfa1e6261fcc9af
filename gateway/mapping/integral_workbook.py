"""The integral workbook of the legal-entity manual, 5.2: one row per meter, quantity and zone; only the current reading is filled in."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from importlib.resources import files
from typing import Final

import msgspec

from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import REGISTERS, MeterReading, Reading
from gateway.domain.supply import Meter, key
from gateway.mapping import Envelope, Format, within_limit
from gateway.mapping.any_table import is_by_words, look_any, read_by_words
from gateway.mapping.cells import Cell, CellError, cell_code, cell_number
from gateway.mapping.crosswalk import Columns, fold, lookup, read_columns, told
from gateway.mapping.tables import Table, letters
from gateway.settings import Limits
from gateway.texts import Language

COLUMNS: Final[Columns] = read_columns((files(__package__) / "integral_workbook.toml").read_bytes())
_NOWHERE: Final = -1
"""Column of a field that the header does not name: an empty cell is put at the end of each row."""
_QUANTITIES: Final = lookup(COLUMNS.quantities)
_ZONES: Final = lookup(COLUMNS.zones)


class IntegralWorkbook(Format, frozen=True, kw_only=True):
    """Reads workbooks, pages and delimited text whose header is found by its words; rows without a new value are passed over."""

    limits: Limits = Limits()

    def sniff(self, body: bytes, file_name: str) -> bool:  # noqa: ARG002 - names are not trusted
        """Tell whether this is a workbook with the header of the integral list."""
        return is_by_words(body, _named) or any(map(COLUMNS.header, _shown(look_any(body, self.limits))))

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:
        """One MeterReading per meter. Raises Rejected when there is no header, no new value, or the template is another's."""
        tables = read_by_words(body, self.limits, COLUMNS.known)
        envelope = _meta(tables, envelope)
        shown = _shown(tables)
        headed = [(table, *found) for table in shown if (found := COLUMNS.header(table)) is not None]
        if not headed:
            raise Rejected(Problem(code="header_not_found", where=shown[0].name if shown else ""))
        meters: dict[tuple[str, str, str], _Meter] = {}
        for table, row, columns in headed:
            _Sheet(table, row, columns).read(meters)
        if not meters:
            raise Rejected(Problem(code="nothing_to_take", where=headed[0][0].name))
        return within_limit([meter.reading(envelope) for meter in meters.values()], self.limits)


def template(meters: Sequence[Meter], *, agreement: str, period: str, language: Language) -> bytes:
    """The workbook of an agreement for a period, to be filled in by people."""
    from gateway.mapping.integral_template import write  # noqa: PLC0415 - the writer of workbooks is slow to import and wanted only here

    return write(meters, COLUMNS, agreement=agreement, period=period, language=language)


def _named(rows: Sequence[Sequence[Cell]]) -> int:
    """The names of a text's header; lists of other kinds have many of them, and no object."""
    return COLUMNS.known(rows, "location", *COLUMNS.needed)


def _shown(tables: Sequence[Table]) -> list[Table]:
    return [table for table in tables if not table.hidden and table.rows]


def _meta(tables: tuple[Table, ...], envelope: Envelope) -> Envelope:
    """Fill agreement and period from the hidden sheet. Raises Rejected when it contradicts the envelope or names another template."""
    version = str(COLUMNS.version)
    written = told(tables, template=COLUMNS.template, version=version, agreement=envelope.agreement, period=envelope.period)
    agreement, period = (getattr(envelope, name) or written.get(name, ("", ""))[0] for name in ("agreement", "period"))
    return msgspec.structs.replace(envelope, agreement=agreement, period=period)


class _Meter:
    """What the rows of one meter have said so far."""

    __slots__ = ("code", "location", "problems", "readings", "where")

    def __init__(self, code: str, location: str, where: str) -> None:
        self.code, self.location, self.where = code, location, where
        self.readings: dict[str, Reading] = {}
        self.problems: list[Problem] = []

    def reading(self, envelope: Envelope) -> MeterReading:
        return MeterReading(
            meter=self.code,
            readings=tuple(self.readings.values()),
            agreement=envelope.agreement,
            location=self.location,
            period=envelope.period,
            where=self.where,
            problems=tuple(self.problems),
        )


class _Sheet:
    """Reads the rows below a header into meters."""

    def __init__(self, table: Table, header: int, columns: dict[str, int]) -> None:
        for field in COLUMNS.needed:
            if field not in columns:
                where = f"{table.name}!{table.row + header + 1}" if type(table) is Table else table.where(header, 0).partition(",")[0]
                raise Rejected(Problem(code="column_missing", where=where, values={"column": COLUMNS.columns[field][0]}))
        self.table, self.header, self.columns = table, header, columns
        self.places = {field: f"{table.name}!{letters(table.column + column)}" for field, column in columns.items()}
        self.is_sheet = type(table) is Table
        self.spoilt = {problem.where: problem for problem in table.problems}
        self.registers: dict[tuple[Cell, Cell], str] = {}
        self.known: dict[tuple[Cell, Cell], _Meter] = {}

    def read(self, meters: dict[tuple[str, str, str], _Meter]) -> None:
        current, serial, quantity = (self.columns[field] for field in ("current", "meter", "quantity"))
        location, zone, previous = (self.columns.get(field, _NOWHERE) for field in ("location", "zone", "previous"))
        place, spoilt, known, registers = self.places["current"], self.spoilt, self.known, self.registers
        is_sheet = self.is_sheet
        short = _NOWHERE in (location, zone, previous)
        for number, cells in enumerate(self.table.rows[self.header + 1 :], self.table.row + self.header + 2):
            row = [*cells, ""] if short else cells
            where = f"{place}{number}" if is_sheet else self._place("current", number)
            if row[current] == "" and where not in spoilt:
                continue
            value, problem = self._value(row[current], where)
            if value is None and problem is None:
                continue
            meter = known.get((row[serial], row[location])) or self._meter(row[serial], row[location], number, meters)
            code = registers.get((row[quantity], row[zone])) or self._register((row[quantity], row[zone]), number, meter)
            if problem is not None:
                meter.problems.append(msgspec.structs.replace(problem, values=problem.values | {"register": code}) if code else problem)
            if spoilt or type(row[previous]) is not float:
                self._guard(row[previous], number, meter)
            if code in meter.readings:
                meter.problems.append(Problem(code="register_repeated", where=where, values={"register": code, "meter": meter.code}))
            elif value is not None and code:
                written = " ".join(str(cell).strip() for cell in (row[quantity], row[zone]) if cell != "")
                meter.readings[code] = Reading(register=code, code=written, value=value, where=where)

    def _place(self, field: str, number: int) -> str:
        """The name of a cell of a row; of a sheet's row without one its number."""
        if self.is_sheet or field not in self.columns:
            return f"{self.places.get(field, '')}{number}"
        return self.table.where(number - self.table.row - 1, self.columns[field])

    def _value(self, cell: Cell, where: str) -> tuple[Decimal | None, Problem | None]:
        if where in self.spoilt:
            return None, self.spoilt[where]
        try:
            return cell_number(cell), None
        except CellError as error:
            return None, error.at(where)

    def _guard(self, cell: Cell, number: int, meter: _Meter) -> None:
        """The value accepted before is shown for people and never taken; one that cannot be read is worth a warning."""
        problem = self._value(cell, self._place("previous", number))[1]
        if problem is not None:
            meter.problems.append(msgspec.structs.replace(problem, severity=Severity.WARNING))

    def _meter(self, cell: Cell, location: Cell, number: int, meters: dict[tuple[str, str, str], _Meter]) -> _Meter:
        problems: list[Problem] = []
        where = self._place("meter", number)
        code = self._code(cell, where, problems)
        if not code and not problems:
            problems.append(Problem(code="value_missing", where=where))
        object_code = self._code(location, self._place("location", number), problems)
        row = str(number) if problems else ""
        meter = meters.setdefault((_key(object_code), _key(code), row), _Meter(code, object_code, where))
        meter.problems += problems
        if not self.spoilt and not problems:
            self.known[cell, location] = meter
        return meter

    def _code(self, cell: Cell, where: str, problems: list[Problem]) -> str:
        try:
            if where in self.spoilt:
                problems.append(self.spoilt[where])
                return ""
            return cell_code(cell)
        except CellError as error:
            problems.append(error.at(where))
            return ""

    def _register(self, cells: tuple[Cell, Cell], number: int, meter: _Meter) -> str:
        quantity, zone = _QUANTITIES.get(fold(str(cells[0]))), _ZONES.get(fold(str(cells[1])))
        code = "" if quantity is None or zone is None else f"{quantity}:{zone}" if zone else quantity
        if code in REGISTERS:
            self.registers[cells] = code
            return code
        wrong = "quantity" if quantity is None or "zone" not in self.places else "zone"
        values = {"register": " ".join(str(cell) for cell in cells).strip()[:60], "meter": meter.code}
        meter.problems.append(Problem(code="register_unknown", where=self._place(wrong, number), values=values))
        return ""


def _key(code: str) -> str:
    return (code.lstrip("0") or "0") if code.isascii() and code.isdigit() else key(code)
