"""What stands in a column: days, months, hours, numbers, codes or words, as its cells themselves tell."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

import msgspec

from gateway.mapping.cells import MISSING, Cell, CellError, cell_code, cell_number
from gateway.mapping.mapped.infer_words import Said
from gateway.mapping.mapped.reader import stamp
from gateway.mapping.moments import read_clock, read_day

Kind = Literal["empty", "day", "month", "clock", "number", "code", "word", "mixed"]
_hourlike: Final = re.compile(r"\d{1,2}(?::\d{2}){1,2}|\d{1,2}(?::[03]0)?\s*[-–—]\s*\d{1,2}(?::[03]0)?").fullmatch
_zero: Final = re.compile(r"0\d+").fullmatch
_MOST: Final = 0.8
_SHORT: Final = 40
_LONGEST: Final = 200


class Shape(msgspec.Struct, frozen=True):
    """What the filled cells of a column are. `numbers`: of every row, None where there is none. `zeros`: a code begins with a zero.

    `whole`: no number has decimals. `comma`, `point`: a text of the column writes decimals so.
    """

    kind: Kind
    filled: int
    distinct: int
    numbers: tuple[Decimal | None, ...] = ()
    zeros: bool = False
    whole: bool = True
    comma: bool = False
    point: bool = False


class Column(msgspec.Struct, frozen=True):
    """A column: its header's own words, those of the cell that spans it above, what they say, its cells below and what these are."""

    place: int
    own: str
    above: str
    said: Said
    cells: tuple[Cell, ...]
    shape: Shape

    @property
    def title(self) -> str:
        """The column as a person is told of it."""
        words = " ".join(filter(None, (self.above if self.above != self.own else "", self.own)))
        return f"«{words}»" if words else f"column {self.place + 1}"


def shape_of(cells: Sequence[Cell]) -> Shape:
    """Look at the cells of a column; marks for "no value" are no cells."""
    filled = [cell for cell in cells if not (isinstance(cell, str) and cell.strip().lower() in MISSING)]
    if not filled:
        return Shape("empty", 0, 0, (None,) * len(cells))
    counts = Counter(map(cell_kind, filled))
    zeros = any(isinstance(cell, str) and _zero(cell.strip()) for cell in filled)
    kind = max(counts, key=lambda one: counts[one])
    if counts["month"] + counts["day"] > counts[kind]:
        kind = "day"
    if kind in ("code", "number", "word") and zeros and counts["number"] + counts["code"] >= _MOST * len(filled):
        kind = "code"
    elif counts[kind] < _MOST * len(filled):
        codes = counts["code"] + counts["number"]
        kind = "code" if codes >= _MOST * len(filled) else "mixed"
    texts = [cell for cell in filled if isinstance(cell, str)]
    numbers = tuple(map(_number, cells))
    return Shape(
        kind,
        len(filled),
        len({str(cell).strip() for cell in filled}),
        numbers,
        zeros,
        all(one is None or one == one.to_integral_value() for one in numbers),
        any("," in text for text in texts),
        any("." in text for text in texts),
    )


def never_falls(first: Iterable[Decimal | None], second: Iterable[Decimal | None]) -> tuple[int, int, bool]:
    """Of the rows that have both numbers: how many, in how many the second is above the first, and whether it is nowhere below."""
    both = [(one, two) for one, two in zip(first, second, strict=True) if one is not None and two is not None]
    return len(both), sum(two > one for one, two in both), all(two >= one for one, two in both)


def _number(cell: Cell) -> Decimal | None:
    try:
        return cell_number(cell)
    except CellError:
        return None


def cell_kind(cell: Cell) -> Kind:
    """What one cell is."""
    if isinstance(cell, str):
        return "empty" if cell.strip().lower() in MISSING else _of_text(cell.strip()[:_LONGEST])
    if isinstance(cell, date):
        return "day"
    if isinstance(cell, time | timedelta):
        return "clock"
    return "word" if isinstance(cell, bool) else "number"


@lru_cache(maxsize=8192)
def _of_text(text: str) -> Kind:
    if _hourlike(text) and not isinstance(read_clock(text, halves=True), CellError):
        return "clock"
    if _number(text) is not None:
        return "number"
    if stamp(text) is not None:
        return "day"
    found = read_day(text, halves=True)
    if not isinstance(found, CellError):
        return "month" if found.month else "day"
    try:
        code = cell_code(text)
    except CellError:
        return "word"
    digits = sum(map(str.isdigit, code))
    is_code = digits and len(code) <= _SHORT and (digits * 3 >= len(code.replace(" ", "")) or code.replace("-", "").isalnum())
    return "code" if is_code else "word"
