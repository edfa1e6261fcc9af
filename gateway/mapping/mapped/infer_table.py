"""The table in a sample: where its header stands, over one row or two, which rows are data, totals, a control row or a tail."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.mapping.cells import MISSING, Cell
from gateway.mapping.crosswalk import fold
from gateway.mapping.mapped.header import carried
from gateway.mapping.mapped.infer_columns import Column, cell_kind, shape_of
from gateway.mapping.mapped.infer_words import SHIPPED, Said, best_field, said, said_under
from gateway.mapping.mapped.reader import is_numbering
from gateway.mapping.mapped.units import is_unit
from gateway.mapping.tables import Table

_ROWS: Final = 60
_LOOKED: Final = 2000
"""So many rows of data are looked at."""
_WIDEST: Final = 200
_TWO: Final = 0.6
"""A row above must say so much more than the header alone, to be a part of it."""
_PASSED: Final = frozenset(map(fold, SHIPPED.passed))
_TOTAL_WORDS: Final = frozenset(map(fold, ("всього", "итог", "сумма", "сума", "підсумок", "sum", "totals", "среднее", "середнє", "всего:")))


class Sample(msgspec.Struct, frozen=True):
    """A table as it is understood. `header`: the row of column names, -1 for none; `two`: whether the row above is a part of it.

    `data`: the rows of data that were looked at; `totals`: first words of rows of sums; `tail`: first words of rows below the last row of
    data; `control`: the row that begins with `=`, None without. `titles`: texts above the header.
    """

    table: Table
    header: int
    two: bool
    columns: tuple[Column, ...]
    data: tuple[int, ...]
    totals: tuple[str, ...]
    tail: tuple[str, ...]
    control: int | None
    titles: tuple[str, ...]


def sample_of(table: Table) -> Sample:
    """Understand a table that is not empty."""
    header, two = _header(table)
    rows = range(header + 1, len(table.rows))
    control = _control(table, header)
    totals, data = [], []
    for row in rows:
        cells = table.rows[row]
        if (
            row == control
            or not any(cell != "" for cell in cells)
            or is_numbering(table, header, row)
            or (header >= 0 and cells == table.rows[header])
        ):
            continue
        word = _first_word(cells)
        if fold(word) in _PASSED or fold(word) in _TOTAL_WORDS:
            totals.append(word)
        else:
            data.append(row)
    data, tail = _tail(table, data)
    looked = data[:_LOOKED]
    return Sample(
        table,
        header,
        two,
        tuple(_columns(table, header, looked, two=two)),
        tuple(looked),
        tuple(dict.fromkeys(totals)),
        tuple(dict.fromkeys(tail)),
        control,
        tuple(_titles(table, header - two if header >= 0 else 0)),
    )


def weight(sample: Sample) -> float:
    """How much of a table is understood; to choose among sheets."""
    return sum(best[1] for column in sample.columns if (best := best_field(column.said))) * 10 + min(len(sample.data), 9)


def _header(table: Table) -> tuple[int, bool]:
    """The row that says most, and whether it needs the row above."""
    best: tuple[float, int, bool] = (0.0, -1, False)
    for index in range(min(len(table.rows), _ROWS)):
        row = table.rows[index][:_WIDEST]
        if not _is_words(row) or index + 1 >= len(table.rows):
            continue
        alone = sum(_says(said(_text(cell))) for cell in row if _text(cell))
        two = _with_above(table, index)
        both = two > alone + _TWO
        score = two if both else alone
        if score > best[0] + 0.01:
            best = score, index, both
    if best[0] >= 1:
        return (best[1] + 1, True) if _is_units(table, best[1] + 1) else best[1:]
    return (0, False) if _stands_out(table) else (-1, False)


def _is_units(table: Table, index: int) -> bool:
    """Whether a row holds nothing but units."""
    cells = [_text(cell) for cell in table.rows[index] if cell != ""] if index < len(table.rows) else []
    return bool(cells) and all(map(is_unit, cells))


def _with_above(table: Table, index: int) -> float:
    """What a row says together with the one above it, cell by cell; nothing when no cell of that one is all there is of its column."""
    if not index:
        return 0.0
    above, row = table.rows[index - 1][:_WIDEST], table.rows[index][:_WIDEST]
    below = any(_text(over) and not _text(cell) for over, cell in zip(above, row, strict=True))
    if not below or sum(bool(_text(cell)) for cell in above) < 2 or not _is_words(above):
        return 0.0
    return sum(_says(said_under(over, _text(cell))) for over, cell in zip(carried(above), row, strict=True) if over or _text(cell))


def _says(one: Said) -> float:
    """How much a cell looks like a column's name."""
    best = best_field(one)
    worth = best[1] if best else 0.0
    if one.unit or one.reading or one.other:
        worth = max(worth, 0.6)
    return max(worth, 0.5 if one.register or one.zone is not None else 0.0)


def _is_words(row: Sequence[Cell]) -> bool:
    """Whether a row may be one of names: words in most of its cells, or words first and then codes."""
    filled = [cell for cell in row if cell != ""]
    names = [cell for cell in filled if _text(cell) and cell_kind(cell) in ("word", "code", "mixed")]
    wordy = [cell for cell in names if any(map(str.isalpha, _text(cell)))]
    return len(wordy) >= 1 and len(filled) >= 2 and (len(wordy) * 2 >= len(filled) or any(_first_day(cell) for cell in wordy))


def _first_day(cell: Cell) -> bool:
    best = best_field(said(_text(cell)))
    return best is not None and best[0] in ("day", "clock")


def _stands_out(table: Table) -> bool:
    """Whether the first row alone holds no number or day, and the rows below do."""
    first, below = table.rows[0][:_WIDEST], table.rows[1:_ROWS]
    values = ("number", "day", "month", "clock")
    told = [cell_kind(cell) for cell in first if cell != ""]
    return (
        len(told) > 1
        and not any(kind in values for kind in told)
        and any(shape_of(list(column)).kind in values for column in zip(*below, strict=False))
    )


def _columns(table: Table, header: int, data: Sequence[int], *, two: bool) -> Iterator[Column]:
    width = max((len(row) for row in table.rows[: _ROWS + _LOOKED]), default=0)
    row = table.rows[header] if header >= 0 else []
    above = carried(table.rows[header - 1]) if two else []
    for place in range(min(width, _WIDEST)):
        own = _text(row[place]) if place < len(row) else ""
        over = above[place] if place < len(above) else ""
        cells = tuple(table.rows[number][place] if place < len(table.rows[number]) else "" for number in data)
        told, under = said(own), said_under(over, own)
        if over and (not own or _says(under) >= _says(told) or under.reading or under.unit):
            told = under
        yield Column(place, own, over, told, cells, shape_of(cells))


def _control(table: Table, header: int) -> int | None:
    """The last filled row when it begins with `=`."""
    for number in range(len(table.rows) - 1, header, -1):
        first = next((cell for cell in table.rows[number] if cell != ""), "")
        if first != "":
            return number if str(first).startswith("=") else None
    return None


def _tail(table: Table, data: list[int]) -> tuple[list[int], list[str]]:
    """Rows at the end with hardly anything in them: who signed, when it was printed."""
    usual = sorted(_filled(table.rows[row]) for row in data)[len(data) // 2] if data else 0
    tail: list[str] = []
    while len(data) > 1 and _filled(table.rows[data[-1]]) * 2 < usual and not _same_shape(table, data):
        tail.append(_first_word(table.rows[data[-1]]))
        data = data[:-1]
    return data, tail


def _same_shape(table: Table, data: Sequence[int]) -> bool:
    """Whether the first cell of the last row is of the kind of the first cell of the first row."""
    kinds = [shape_of(table.rows[row][:1]).kind for row in (data[0], data[-1])]
    return kinds[0] == kinds[1] and kinds[0] != "word"


def _filled(row: Sequence[Cell]) -> int:
    return sum(cell != "" for cell in row)


def _titles(table: Table, until: int) -> Iterator[str]:
    return (text for row in table.rows[: max(until, 0)] for cell in row[:_WIDEST] if (text := _text(cell)))


def _text(cell: Cell) -> str:
    return cell.strip() if isinstance(cell, str) and len(cell) <= 200 and cell.strip().lower() not in MISSING else ""


def _first_word(row: Sequence[Cell]) -> str:
    cell = next((cell for cell in row if cell != ""), "")
    return cell.split()[0].strip(".,:;") if isinstance(cell, str) and cell.strip() else ""
