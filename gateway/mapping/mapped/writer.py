"""A mapping's table: the rows that say readings, as delimited text or DBF that the same document reads."""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import count
from typing import Final

from gateway.domain.cases import text
from gateway.domain.intervals import exact_sum
from gateway.domain.mappings import Control
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Misconfigured
from gateway.domain.readings import MeterReading
from gateway.mapping.crosswalk import fold
from gateway.mapping.dbf import Field as DbfField
from gateway.mapping.dbf_writer import write_dbf
from gateway.mapping.mapped.backwards import Backwards, Row, UnwritableError
from gateway.mapping.mapped.backwards import Cell as Told
from gateway.mapping.mapped.header import Slot, places
from gateway.mapping.mapped.partner import Codes

FORMULA: Final = ("=", "+", "-", "@")
"""A text that begins so is taken for a formula by spreadsheets and for a control row by readers, so it is not written."""
_NOON: Final = time(12)
_DBF: Final = {"value": ("N", 20, 6), "previous": ("N", 20, 6), "": ("N", 20, 6), "day": ("D", 8, 0)}
_TEXT: Final = ("C", 64, 0)

Cell = str | Decimal | date | None
"""A cell as it stands in the table."""


class Writer(Backwards):
    """Writes the rows of a `register` mapping; days are told in the document's zone, else in `zone`."""

    def __init__(self, document: Document, codes: Codes, zone: str) -> None:
        """Lay the columns out: those with a number at their place, the others around them. Raises Misconfigured for what is only read."""
        super().__init__(document, codes, zone)
        if document.file.rows:
            raise Misconfigured(f"mapping {document.name!r}: XML and JSON are only read")
        self.file = document.file
        told = dict(places(document))
        taken = {place - 1 for place in told.values() if isinstance(place, int)}
        free = (column for column in count() if column not in taken)
        self.columns: dict[Slot, int] = {slot: place - 1 if isinstance(place, int) else next(free) for slot, place in told.items()}
        self.names = {self.columns[slot]: str(place) if isinstance(place, int) else place[0] for slot, place in told.items()}
        self.width = max(self.names) + 1
        self._check_names()
        self._in_order = sorted(self.columns, key=self.columns.__getitem__)
        self._passed = frozenset(map(fold, document.passed))

    def _check_names(self) -> None:
        """Raises Misconfigured for what the document says of a table and a table of its kind cannot have."""
        document, file = self.document, self.file
        if file.written == "dbf" and document.control is not None:
            raise Misconfigured(f"mapping {document.name!r}: control: a DBF has no control row")
        for name in self.names.values() if file.header and file.written == "text" else ():
            if not self._can_stand(name):
                raise Misconfigured(f"mapping {document.name!r}: columns: the header {name!r} cannot stand in such a text")

    def rows(self, one: MeterReading, row_key: str = "") -> list[Row]:
        """The rows that say a meter reading, whose codes can stand in the table as they are. Raises UnwritableError."""
        return [self._checked(row) for row in super().rows(one, row_key)]

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

    def _checked(self, row: Row) -> Row:
        for slot, cell in row.items():
            if slot in self.columns and isinstance(cell, str) and not self._holds(cell):
                raise UnwritableError(slot[0], cell)
        first = next((slot for slot in self._in_order if row.get(slot) not in (None, "")), None)
        cell = row[first] if first is not None else None
        if first is not None and isinstance(cell, str) and self._is_no_data(cell):
            raise UnwritableError(first[0], cell)
        return row

    def _is_no_data(self, first: str) -> bool:
        """Whether a reader would take a row that begins so for a total or the control row."""
        control = self.document.control
        return fold(first.split(maxsplit=1)[0]) in self._passed or (control is not None and first.startswith(control.mark))

    def _holds(self, cell: str) -> bool:
        """Whether a code can stand in the table as it is: another one would be another meter's."""
        return self._can_stand(cell) and cell == cell.strip() and not cell.startswith(FORMULA) and '"' not in cell

    def _can_stand(self, cell: str) -> bool:
        """Whether the encoding has all its letters, and none of them would be taken for the end of it."""
        try:
            cell.encode(self.file.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return cell.isprintable() and (self.file.delimiter or ";") not in cell

    def _line(self, row: Row) -> list[Cell]:
        line: list[Cell] = [None] * self.width
        for slot, column in self.columns.items():
            line[column] = _plain(slot, row.get(slot))
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


def _plain(slot: Slot, cell: Told) -> Cell:
    """A cell of a table, where a moment is told as its day and, but for noon, its hour."""
    if not isinstance(cell, datetime):
        return cell
    if slot[0] == "day":
        return cell.date()
    return None if cell.time() == _NOON else f"{cell:%H:%M}"
