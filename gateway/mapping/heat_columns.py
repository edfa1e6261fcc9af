"""The columns of an archive: its header found by words and units, and the values of a column read all at once, each text once."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from itertools import islice
from typing import Final

import msgspec

from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import INTERVALS, Step, Unit
from gateway.domain.units import DECIMALS, UNITS, convert, factor
from gateway.mapping.cells import NUMBER, Cell, CellError, Written, cell_number
from gateway.mapping.crosswalk import fold, lookup
from gateway.mapping.mapped.units import WORDS
from gateway.mapping.tables import Table

Value = str | CellError
"""What a cell is read as: a number as blocks carry it, empty where it says that there is no value."""

FAULTS: Final = {"U": 1, "D": 2, "G": 4, "g": 8, "E": 16}
"""Bits of the fault letters in the code of an interval."""

_KEYS: Final = ("meter", "circuit", "kind", "day", "clock")
_INTEGRATORS: Final = ("heat_first", "heat_last")
_CODES: Final = tuple(code for code in INTERVALS if "@" not in code)
_GUESSED: Final = frozenset({"heat"})
"""Columns whose unit is worth a hint when the header does not say it: Gcal and GJ are both usual."""
ROWS: Final = 40
"""Among so many first rows of a table a header is looked for."""
_LEAST: Final = 3
"""Names that make a row a header."""
_REMEMBERED: Final = 1024
_LONGEST: Final = 100
_WIDEST: Final = 200
"""So many texts of a row are looked at: no header has as many, and each costs some microseconds."""
_SHOWN: Final = 60
_LARGEST_CODE: Final = 2**31 - 1
_ZERO: Final = Decimal(0)
_ROUGH: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_plain: Final = re.compile(rf"^{NUMBER}$", re.MULTILINE).findall
_behind: Final = re.compile(r"[0-9][0-9 \u00a0\u2007\u2009\u202f]*(?:[.,][0-9]+)?-").fullmatch
_unit: Final = re.compile(r"(.+)[,(\[]([^,()\[\]]+)[)\]]?").fullmatch
"""Words and, behind the last comma or bracket, their unit; blanks must be single ones."""
_letters: Final = re.compile(r"[UDGgE]+(?:[\s,;+/]+[UDGgE]+)*").fullmatch


class Column(msgspec.Struct, frozen=True):
    """A column that is known: the row and column of its words or its unit, what it holds and in which unit, empty for the register's own.

    `unknown`: a unit that its quantity does not have.
    """

    row: int
    index: int
    field: str
    unit: str = ""
    unknown: str = ""


class Header(msgspec.Struct, frozen=True):
    """A header and where it stands in `rows`; what belongs to it are the rows from `first` up to `last`, that one not.

    `strange`: columns with words that are not known. `twice`: columns that mean what one before them means.
    """

    row: int
    first: int
    last: int
    columns: dict[str, Column]
    strange: tuple[int, ...]
    twice: tuple[Column, ...]

    @property
    def values(self) -> tuple[Column, ...]:
        """The columns of interval values, in the order of the codes."""
        return tuple(self.columns[code] for code in _CODES if code in self.columns)

    @property
    def integrators(self) -> tuple[Column, ...]:
        """The columns of what the heat integrator showed at the beginning and at the end of a row's interval."""
        return tuple(self.columns[field] for field in _INTEGRATORS if field in self.columns)


class Words:
    """What the header and the rows of an archive may say, by a document of the layout `archive`.

    `first`: the first name of each column; `steps`: first words in the column `kind` -> what a row lasts; `dials`: those of an integrator's
    state; `passed`: first words of rows that are no data; `days`: first words of a header that is repeated among the rows.
    """

    def __init__(self, document: Document) -> None:
        """Fold all words once."""
        columns = {field: place for field, place in document.columns.items() if not isinstance(place, int)}
        every = columns | {one.register: one.column for one in document.values if not isinstance(one.column, int)}
        self.first = {field: words[0] for field, words in every.items()}
        self.kinds: dict[str, str] = {kind: words[0] for kind, words in document.kinds.items()}
        self.units: dict[str, str] = {one.register: one.unit for one in document.values}
        self.steps = {word: Step(kind) for kind, words in document.kinds.items() if kind != "dial" for word in map(fold, words)}
        self.dials = frozenset(map(fold, document.kinds.get("dial", ())))
        self.passed = frozenset(map(fold, document.passed))
        self.days = frozenset(fold(words.split()[0]) for words in columns.get("day", ()))
        self._names = lookup(every)
        self._prefixes = tuple(sorted(map(fold, document.prefixes), key=len, reverse=True))
        self._known: dict[str, tuple[str, str, str] | None] = {}

    def known(self, rows: Sequence[Sequence[Cell]]) -> int:
        """How many words of the header stand in the best of the first rows; 0 when none of them can be the header."""
        told = [row for row in rows[:ROWS] if list(map(type, row)).count(str) >= _LEAST]
        return max((_weight(self._columns(row, 0)) for row in told), default=0)

    def find(self, table: Table) -> Header | None:
        """The header among the first rows of a table, None when there is none."""
        rows = range(min(len(table.rows), ROWS - table.row))
        return next((found for row in rows if (found := self.header(table, row)) is not None), None)

    def header(self, table: Table, index: int) -> Header | None:
        """The header that a row is, None when it is none; units may stand in the row below it."""
        row = table.rows[index]
        found = self._columns(row, index)
        if not _weight(found):
            return None
        columns: dict[str, Column] = {}
        twice = tuple(column for column in found if columns.setdefault(column.field, column) is not column)
        below = table.rows[index + 1] if index + 1 < len(table.rows) else []
        units = _units_below(columns, below, index + 1)
        columns |= units
        for field in _INTEGRATORS:
            if "heat" in columns and field in columns and not columns[field].unit:
                columns[field] = msgspec.structs.replace(columns[field], unit=columns["heat"].unit)
        named = {column.index for column in found}
        strange = tuple(place for place, cell in enumerate(row) if cell != "" and place not in named)
        return Header(index, index + (2 if units else 1), len(table.rows), columns, strange, twice)

    def problems(self, table: Table, header: Header, *, named: bool) -> Iterator[Problem]:
        """What is wrong with a header: errors that let nothing be read, and hints about columns passed over.

        `named`: the meter is told elsewhere.
        """
        missing = [field for field in ("meter", "day") if field not in header.columns and not (named and field == "meter")]
        values = [] if header.values or header.integrators else [next(iter(self.units), "heat")]
        for field in [*missing, *values]:
            yield Problem(code="column_missing", where=table.where(header.row, 0), values={"column": self.first.get(field, field)})
        for column in header.columns.values():
            if column.unknown:
                told = {"unit": column.unknown[:_SHOWN], "column": self.first[column.field]}
                yield Problem(code="unit_unknown", where=table.where(column.row, column.index), values=told)
        for column in header.twice:
            told = {"column": self.first[column.field]}
            yield Problem(code="column_repeated", where=table.where(column.row, column.index), values=told)
        for field in _GUESSED & header.columns.keys():
            column = header.columns[field]
            if not (column.unit or column.unknown):
                told = {"column": self.first[field], "unit": WORDS[own_unit(field)][0]}
                yield Problem(code="unit_assumed", where=table.where(column.row, column.index), severity=Severity.HINT, values=told)
        for index in header.strange:
            told = {"column": " ".join(str(table.rows[header.row][index]).split())[:_SHOWN]}
            yield Problem(code="column_unknown", where=table.where(header.row, index), severity=Severity.HINT, values=told)

    def meaning(self, words: str) -> tuple[str, str, str] | None:
        """What words of a header mean: field, unit, unit that is not known; None for words that mean nothing to us."""
        if len(words) > _LONGEST:
            return None
        if words not in self._known:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            self._known[words] = self.named(words)
        return self._known[words]

    def named(self, words: str) -> tuple[str, str, str] | None:
        """The same, of words of any length that are not remembered."""
        bare = " ".join(words.split())
        field = self._field(bare)
        if field is not None:
            return field, self.units.get(field, ""), ""
        parts = _unit(bare)
        name, told = parts.groups() if parts else bare.rpartition(" ")[::2]
        field = self._field(name)
        if field is None:
            return None
        unit = units_of(field).get(fold(told))
        if unit is not None:
            return field, unit, ""
        if field in _KEYS or field == "faults":
            return field, "", ""
        return (field, self.units.get(field, ""), told.strip()) if parts else None

    def _columns(self, row: Sequence[Cell], index: int) -> list[Column]:
        texts = ((place, cell) for place, cell in enumerate(row) if isinstance(cell, str) and 0 < len(cell) <= _LONGEST)
        return [Column(index, place, *found) for place, cell in islice(texts, _WIDEST) if (found := self.meaning(cell)) is not None]

    def _field(self, words: str) -> str | None:
        folded = fold(words)
        field = self._names.get(folded)
        if field is not None:
            return field
        known, prefixes = self._names, self._prefixes
        return next((known[rest] for one in prefixes if folded.startswith(one) and (rest := folded[len(one) :]) in known), None)


def read_values(cells: Iterable[Written], unit: str = "", own: str = "") -> dict[Written, Value]:
    """What each different cell of a column is worth in the register's `own` unit; a cell that is no number is a CellError."""
    different = set(cells)
    texts = {cell: cell for cell in different if type(cell) is str}
    floats = {repr(cell).removesuffix(".0"): cell for cell in different if type(cell) is float}
    found: dict[Written, Value] = {"": ""}
    for written in (texts, floats):
        for text in _plain("\n".join(written)):
            if text in written:
                found[written[text]] = text.replace(",", ".") if text[0] != "-" else _text(Decimal(text.replace(",", ".")))
    for cell in different - found.keys():
        found[cell] = _text(_odd(cell))
    if unit and unit != own:
        for cell, value in found.items():
            if isinstance(value, str) and value:
                found[cell] = f"{convert(Decimal(value), unit, own):f}"
    return found


def _text(value: Decimal | CellError | None) -> Value:
    """A number as blocks carry it; nothing is below zero by a sign alone."""
    return "" if value is None else f"{value or _ZERO:f}" if isinstance(value, Decimal) else value


def _weight(columns: list[Column]) -> int:
    fields = {column.field for column in columns}
    return len(fields) if len(fields) >= _LEAST and not fields <= set(_KEYS) else 0


def own_unit(field: str) -> str:
    """The unit of a column's register."""
    return str(Unit.GCAL if field in _INTEGRATORS else INTERVALS[field].unit)


@lru_cache(maxsize=64)
def units_of(field: str) -> Mapping[str, str]:
    """Every folded word for a unit that a column may have -> the unit."""
    return {} if field in _KEYS else {fold(word): unit for unit in UNITS[own_unit(field)] for word in WORDS[unit]}


def _units_below(columns: Mapping[str, Column], row: Sequence[Cell], index: int) -> dict[str, Column]:
    """The columns whose unit stands below their words; none when that row holds anything but units."""
    told = {place: cell for place, cell in enumerate(row) if cell != ""}
    found: dict[str, Column] = {}
    for column in columns.values():
        cell = told.pop(column.index, "")
        unit = units_of(column.field).get(fold(cell.strip("()[] "))) if isinstance(cell, str) and cell else None
        if unit is not None:
            found[column.field] = Column(index, column.index, column.field, unit)
        elif cell != "":
            return {}
    return {} if told else found


def dial(value: Decimal, cell: Written, field: str, unit: str) -> Decimal:
    """A converted state of an integrator with as many places as its dial has: what was written tells how many."""
    if factor(unit, own_unit(field)).by == 1:
        return value
    places = len(re.split("[.,]", str(cell), maxsplit=1)[-1].rstrip()) if re.search("[.,]", str(cell)) else 0
    return value.quantize(Decimal(1).scaleb(-min(places, DECIMALS)), context=_ROUGH)


def read_faults(cells: Iterable[Written]) -> dict[Written, Value]:
    """The fault code of each different cell: letters are bits (FAULTS), a whole number is the bits themselves."""
    return {cell: _text(_faults(cell)) for cell in set(cells)} | {"": ""}


def _odd(cell: Written) -> Decimal | CellError | None:
    """A cell that is not written as machines write numbers: blanks, a minus behind, a mark for no value, or no number at all."""
    if isinstance(cell, CellError):
        return cell
    try:
        if isinstance(cell, str) and _behind(bare := cell.strip()):
            number = cell_number(bare[:-1].strip())
            return None if number is None else -number or _ZERO
        return cell_number(cell)
    except CellError as error:
        return error


def _faults(cell: Written) -> Decimal | CellError | None:
    written = cell.strip().replace("\u0415", "E") if isinstance(cell, str) else cell
    if isinstance(written, str) and _letters(written):
        return Decimal(sum({FAULTS[letter] for letter in written if letter in FAULTS}))
    value = _odd(written)
    if isinstance(value, Decimal):
        whole = value.to_integral_value()
        return whole if value == whole and 0 <= value <= _LARGEST_CODE else CellError("fault_unknown", cell)
    return CellError("fault_unknown", cell) if isinstance(value, CellError) and value.code == "not_a_number" else value
