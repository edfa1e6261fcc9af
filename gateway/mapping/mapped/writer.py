"""A mapping backwards: readings become the table that the same document reads, as delimited text or DBF."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from itertools import count
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.cases import text
from gateway.domain.intervals import exact_sum
from gateway.domain.mappings import UNITS, Control
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Misconfigured
from gateway.domain.readings import EXACT, MeterReading, Reading
from gateway.mapping.cells import CellError, number
from gateway.mapping.dbf import Field as DbfField
from gateway.mapping.dbf_writer import write_dbf
from gateway.mapping.mapped.header import Slot, places
from gateway.mapping.mapped.partner import Codes

FORMULA: Final = ("=", "+", "-", "@")
"""A text that begins so is taken for a formula by spreadsheets and for a control row by readers, so it is not written."""
_NOON: Final = time(12)
_DBF: Final = {"value": ("N", 20, 6), "previous": ("N", 20, 6), "": ("N", 20, 6), "day": ("D", 8, 0)}
_TEXT: Final = ("C", 64, 0)

Cell = str | Decimal | date | None
Row = Mapping[Slot, Cell]
"""A row of a table: its cells by what they are for."""


class UnwritableError(Exception):
    """A reading that the table has no way to say: `field` is what cannot be said, `written` as it would have to stand there."""

    def __init__(self, field: str, written: object) -> None:
        """Keep what it was."""
        super().__init__(f"{field}_unwritable: {str(written)[:40]}")
        self.field, self.written = field, str(written)


class Writer:
    """Writes the rows of a `register` mapping; days are told in the document's zone, else in `zone`."""

    def __init__(self, document: Document, codes: Codes, zone: str) -> None:
        """Lay the columns out: those with a number at their place, the others around them. Raises Misconfigured for rows of time."""
        if document.layout != "register":
            raise Misconfigured(f"mapping {document.name!r}: rows of time are only read")
        self.document, self.codes = document, codes
        self.zone = ZoneInfo(document.zone_name or zone)
        self.file = document.file
        told = dict(places(document))
        taken = {place - 1 for place in told.values() if isinstance(place, int)}
        free = (column for column in count() if column not in taken)
        self.columns: dict[Slot, int] = {slot: place - 1 if isinstance(place, int) else next(free) for slot, place in told.items()}
        self.names = {self.columns[slot]: str(place) if isinstance(place, int) else place[0] for slot, place in told.items()}
        self.width = max(self.names) + 1
        self.registers = {column.register: ("", at) for at, column in enumerate(document.values, 1)}

    def rows(self, one: MeterReading, row_key: str = "") -> list[Row]:
        """The rows that say a meter reading: one for each value, or one for all where each register has a column.

        Raises UnwritableError.
        """
        told = self._whose(one) | {("row_key", 0): row_key}
        if not self.document.values:
            return [self._checked(told | self._value(reading)) for reading in one.readings]
        values: dict[Slot, Cell] = {}
        for reading in one.readings:
            slot = self.registers.get(reading.register)
            if slot is None or self.document.values[slot[1] - 1].volume != reading.volume:
                raise UnwritableError("register", reading.register)
            values[slot] = self._amount(reading, self.document.values[slot[1] - 1].unit or self.document.unit)
        return [self._checked(told | values)] if values else []

    def write(self, rows: Sequence[Row]) -> bytes:
        """The whole table: header, rows, control row. Raises Rejected for what a DBF cannot hold, each at its record and field."""
        cells = [self._line(row) for row in rows]
        if self.file.written == "dbf":
            kinds = {column: _DBF.get(slot[0], _TEXT) for slot, column in self.columns.items()}
            fields = [DbfField(self.names[column], *kinds[column]) for column in sorted(self.names)]
            return write_dbf(fields, ([line[column] for column in sorted(self.names)] for line in cells), self.file.encoding or "cp866")
        lines = [[self.names.get(column, "") for column in range(self.width)]] if self.file.header else []
        lines += [list(map(self._text, line)) for line in cells]
        if self.document.control is not None:
            lines.append(self._control(rows, self.document.control))
        delimiter = self.file.delimiter or ";"
        return "".join(f"{delimiter.join(line)}\r\n" for line in lines).encode(self.file.encoding or "utf-8")

    def _whose(self, one: MeterReading) -> dict[Slot, Cell]:
        code = self.codes.back(one.meter, one.point, one.agreement)
        at = one.at.astimezone(self.zone) if one.at is not None else None
        return {
            ("meter", 0): code.meter,
            ("point", 0): code.point,
            ("agreement", 0): code.agreement,
            ("location", 0): one.location,
            ("period", 0): one.period,
            ("day", 0): None if at is None else at.date(),
            ("clock", 0): None if at is None or at.time() == _NOON else f"{at:%H:%M}",
        }

    def _value(self, reading: Reading) -> dict[Slot, Cell]:
        document = self.document
        quantity, _, zone = reading.register.partition(":")
        words = document.quantities.get(quantity, ("",))[0], document.zones.get(zone, ("",))[0]
        by_words = "quantity" in document.columns and words[0] and (words[1] or not zone)
        if not ("register" in document.columns or by_words or reading.register == document.register):
            raise UnwritableError("register", reading.register)
        previous = reading.previous
        return {
            ("register", 0): self.codes.register_back(reading.register),
            ("quantity", 0): words[0],
            ("zone", 0): words[1],
            ("value", 0): self._amount(reading, document.unit),
            ("previous", 0): None if previous is None else in_unit(previous, document.unit),
        }

    def _amount(self, reading: Reading, unit: str) -> Decimal:
        """The value as the table's values are: with the ratio and losses that they contain, and no others."""
        applied = self.document.applied
        if (reading.ratio_applied, reading.losses_applied) != (applied.ratio, applied.losses):
            raise UnwritableError("value", reading.value)
        return in_unit(reading.value, unit)

    def _checked(self, row: Row) -> Row:
        for slot, cell in row.items():
            if slot in self.columns and isinstance(cell, str) and not self._holds(cell):
                raise UnwritableError(slot[0], cell)
        return row

    def _holds(self, cell: str) -> bool:
        """Whether a code can stand in the table as it is: another one would be another meter's."""
        try:
            cell.encode(self.file.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        plain = cell.isprintable() and cell == cell.strip() and not cell.startswith(FORMULA)
        return plain and '"' not in cell and (self.file.delimiter or ";") not in cell

    def _line(self, row: Row) -> list[Cell]:
        line: list[Cell] = [None] * self.width
        for slot, column in self.columns.items():
            line[column] = row.get(slot)
        return line

    def _text(self, cell: Cell) -> str:
        if isinstance(cell, Decimal):
            return text(cell).replace(".", self.file.decimal)
        return f"{cell:%d.%m.%Y}" if isinstance(cell, date) else cell or ""

    def _control(self, rows: Sequence[Row], control: Control) -> list[str]:
        cells = [""] * max(self.width, control.count, *control.sums.values())
        for field, place in control.sums.items():
            told = (row.get((field, 0)) for row in rows)
            cells[place - 1] = self._text(exact_sum(cell for cell in told if isinstance(cell, Decimal)))
        if control.count:
            cells[control.count - 1] = str(len(rows))
        return [f"{control.mark}{cells[0]}", *cells[1:]]


def in_unit(value: Decimal, unit: str) -> Decimal:
    """A value of the register in a unit of a table, exact. Raises UnwritableError where it would have too many places."""
    _, times, by = UNITS.get(unit, ("", Decimal(1), Decimal(1)))
    try:
        told = text(EXACT.scaleb(EXACT.multiply(value, by), -_zeros(times)))
        return number(told)
    except CellError as error:
        raise UnwritableError("value", value) from error


def _zeros(power: Decimal) -> int:
    """How many zeros a power of ten has."""
    return power.adjusted()
