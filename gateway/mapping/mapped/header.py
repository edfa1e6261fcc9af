"""Where the fields of a mapping stand in a table: by the words of its header, over one row or two, or by their numbers."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from gateway.domain.mappings import WHAT, WHOSE, Field
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem
from gateway.mapping.cells import Cell
from gateway.mapping.crosswalk import fold
from gateway.mapping.tables import Table

ROWS: Final = 60
"""Among so many first rows of a table a header is looked for."""
_WIDEST: Final = 1024
_LONGEST: Final = 200
_LOST: Final = frozenset({"", "value", "previous", "meter", "point"})
"""Of two columns of these only one would be read."""
_nth: Final = re.compile(r"\[\d+\]")
"""What tells the elements of one name apart: `value[2]/@v`."""
_unit: Final = re.compile(r"(.+?)\s*[,(\[]\s*[^,()\[\]]+[)\]]?\s*").fullmatch
"""Words and, behind a comma or in brackets, their unit."""

Slot = tuple[str, int]
"""What a column is for: a field and 0, or nothing and the number of one of the document's `values`, from 1; `previous` and
`meter` with that number are what its register showed before and whose it is."""


class Header(msgspec.Struct, frozen=True):
    """The row of a table that its column names stand in, -1 without one, and the column of each thing that a document looks for."""

    row: int
    slots: Mapping[Slot, int]

    def column(self, field: Field) -> int | None:
        """The column of a field, None where the table has none."""
        return self.slots.get((field, 0))


class Meaning(msgspec.Struct, frozen=True):
    """What a word is for, several values having one column of their meter; `rank`: its place among the words of a document."""

    rank: int
    slots: tuple[Slot, ...]


def words_of(document: Document) -> dict[str, Meaning]:
    """Every folded word of a document -> what its column is for."""
    found: dict[str, Meaning] = {}
    for slot, place in places(document):
        for word in () if isinstance(place, int) else dict.fromkeys(map(fold, place)):
            known = found.get(word)
            found[word] = Meaning(len(found), (slot,)) if known is None else Meaning(known.rank, (*known.slots, slot))
    return found


def header_of(table: Table, document: Document) -> Header | None:
    """The first row that holds all that the document cannot do without, None when there is none; by numbers alone it is before the rows."""
    if not document.file.header:
        return Header(-1, {slot: place - 1 for slot, place in places(document) if isinstance(place, int)})
    names = words_of(document)
    for index in range(min(len(table.rows), ROWS)):
        header = _at(table, index, names, document)
        if header is not None and not _lacking(header, document):
            return header
    return None


def missing(table: Table, document: Document) -> list[Problem]:
    """What the row that looks most like the header lacks; `header_not_found` when no row looks like one."""
    names = words_of(document)
    found = [header for index in range(min(len(table.rows), ROWS)) if (header := _at(table, index, names, document)) is not None]
    best = max(found, key=lambda header: len(header.slots), default=None)
    if best is None or len(best.slots) < 2:
        return [Problem(code="header_not_found", where=table.where(0, 0) if table.rows else table.name)]
    where = table.where(best.row, 0)
    return [Problem(code="column_missing", where=where, values={"column": name}) for name in _lacking(best, document)]


def known(rows: Sequence[Sequence[Cell]], document: Document, *told: Field) -> int:
    """How many of a document's columns the best of these rows names, for telling delimiters apart.

    It is 0 when none of them can be the header, or it lacks one of the fields `told`.
    """
    table = Table("", False, 0, 0, [list(row) for row in rows[:ROWS]], [])
    header = header_of(table, document)
    return len(header.slots) if header is not None and all(header.column(field) is not None for field in told) else 0


def places(document: Document) -> Iterator[tuple[Slot, int | tuple[str, ...]]]:
    """What each column of a document is for, with its number or words."""
    for field, place in document.columns.items():
        yield (field, 0), place
    for number, column in enumerate(document.values, 1):
        yield ("", number), column.column
        if column.previous:
            yield ("previous", number), column.previous
        if column.meter:
            yield ("meter", number), column.meter


def _at(table: Table, index: int, names: Mapping[str, Meaning], document: Document) -> Header | None:
    row = table.rows[index]
    if not any(isinstance(cell, str) and cell for cell in row[:_WIDEST]):
        return None
    slots: dict[Slot, int] = {slot: place - 1 for slot, place in places(document) if isinstance(place, int)}
    ranks: dict[Slot, int] = dict.fromkeys(slots, -1)
    for column, found in _named(table, index, names):
        for slot in found.slots:
            if slot not in ranks or found.rank < ranks[slot]:
                slots[slot], ranks[slot] = column, found.rank
    return Header(index, slots)


def _named(table: Table, index: int, names: Mapping[str, Meaning]) -> Iterator[tuple[int, Meaning]]:
    """The columns of a row that may be the header that a document names, and what they are for."""
    above = carried(table.rows[index - 1]) if index else ()
    for column, cell in enumerate(table.rows[index][:_WIDEST]):
        found = next((names[words] for words in readings(cell, above[column] if column < len(above) else "") if words in names), None)
        if found is not None:
            yield column, found


def repeated(table: Table, header: Header, document: Document, data: Callable[[], Iterable[int]]) -> Iterator[Problem]:
    """Columns called as that of a value or a meter is, that say something else: it would be lost. `data`: the rows of data."""
    if header.row < 0:
        return
    names = words_of(document)
    for column, found in _named(table, header.row, names):
        first = header.slots[found.slots[0]]
        title = str(table.rows[header.row][column]).strip()
        told = title and column != first and found.slots[0][0] in _LOST
        if told and any(column < len(row) and row[column] not in ("", row[first]) for row in map(table.rows.__getitem__, data())):
            yield Problem(code="column_repeated", where=table.where(header.row, column), values={"column": title[:60]})


def readings(cell: Cell, above: str) -> Iterator[str]:
    """The words that a cell may be read as: its own, without a unit, and behind those of the cell that spans it above."""
    if not isinstance(cell, str) or len(cell) > _LONGEST:
        return
    told = cell.strip()
    if told:
        yield fold(told)
        if bare := _unit(told):
            yield fold(bare[1])
        if _nth.search(told):
            yield fold(_nth.sub("", told))
    if above:
        yield fold(f"{above} {told}")


def carried(row: Sequence[Cell]) -> list[str]:
    """The cells of a row as they look: a merged cell stands in its first column and is meant for those to its right."""
    found: list[str] = []
    last = ""
    for cell in row[:_WIDEST]:
        last = cell.strip() if isinstance(cell, str) and len(cell) <= _LONGEST and cell.strip() else last
        found.append(last)
    return found


def _lacking(header: Header, document: Document) -> list[str]:
    """The names of columns without which nothing can be read."""
    wanted: list[Field] = [] if document.values or document.across else ["value"]
    wanted += ["day"] if document.layout == "series" else []
    lacking = [_name(document, (field, 0)) for field in wanted if header.column(field) is None]
    what: list[Field] = [field for field in WHAT if field in document.columns]
    if what and not (document.values or document.register) and all(header.column(field) is None for field in what):
        lacking.append(_name(document, (what[0], 0)))
    if document.values and not any(("", number) in header.slots for number, _ in enumerate(document.values, 1)):
        lacking.append(_name(document, ("", 1)))
    for number, column in enumerate(document.values, 1):
        if column.meter and ("", number) in header.slots and ("meter", number) not in header.slots:
            lacking.append(_name(document, ("meter", number)))
    whose = [field for field in WHOSE if field in document.columns]
    if whose and all(header.column(field) is None for field in whose):
        lacking.append(_name(document, (whose[0], 0)))
    return lacking


def _name(document: Document, slot: Slot) -> str:
    place = dict(places(document))[slot]
    return str(place) if isinstance(place, int) else place[0]
