"""The unit that a column's header names, held against the unit in which a mapping reads it."""

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

import msgspec

from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem
from gateway.domain.readings import INTERVALS, REGISTERS
from gateway.domain.readings import UNITS as DIALS
from gateway.domain.units import UNITS
from gateway.mapping.cells import Cell
from gateway.mapping.crosswalk import fold
from gateway.mapping.mapped.header import Header, carried
from gateway.mapping.tables import Table

WORDS: Final = msgspec.toml.decode((files(__package__) / "units.toml").read_bytes(), type=dict[str, tuple[str, ...]])
_OWN: Final = tuple(dict.fromkeys(map(str, DIALS.values())))
"""Units of what dials show."""
_NAMES: Final = {fold(word): unit for own in reversed(_OWN) for unit in UNITS[own] for word in WORDS[unit]}
_UNIT_COLUMN: Final = frozenset(
    map(fold, ("ед. изм.", "ед.", "единица измерения", "единицы измерения", "од. вим.", "од. виміру", "одиниця виміру", "unit", "units"))
)
_TITLE: Final = 200
_between: Final = re.compile(r"[\s,;()\[\]]+").split
_POWER: Final = fold("кВт")
"""A title that says it tells the power that is allowed more often than what the values are."""
_behind: Final = re.compile(r".*[,(\[]\s*([^,()\[\]]+?)\s*[)\]]?\s*", re.DOTALL).fullmatch


def is_unit(text: str) -> bool:
    """Whether a text is a unit and nothing else."""
    return fold(text) in _NAMES


def behind(text: str) -> re.Match[str] | None:
    """What stands behind the last comma or in the last brackets of a header, as the first group."""
    return _behind(text)


def unit_of(text: str) -> tuple[str, str]:
    """The unit that a header names behind a comma, in brackets or as its last words, and the header without it; empty when none."""
    if found := _behind(text):
        unit = _NAMES.get(fold(found[1]), "")
        return (unit, text[: found.start(1)]) if unit else ("", text)
    parts = text.split()
    for count in (1, 2, 3):
        tail = "".join(parts[-count:])
        if count <= len(parts) and len(tail) > 1 and (unit := _NAMES.get(fold(tail), "")):
            return unit, " ".join(parts[:-count])
    return "", text


def of_rows(table: Table, header: Header) -> tuple[str, int | None]:
    """The unit that the header of the values names, empty for none, and the column in which each row names its own."""
    if header.row < 0:
        return "", None
    row, value = table.rows[header.row], header.column("value")
    title = row[value] if value is not None and value < len(row) else ""
    column = next((at for at, cell in enumerate(row) if isinstance(cell, str) and fold(cell[:_TITLE]) in _UNIT_COLUMN), None)
    return (unit_of(title)[0] if isinstance(title, str) else ""), column


def unit_named(cell: Cell) -> str:
    """The unit that a cell is, empty for what is none."""
    return _NAMES.get(fold(cell), "") if isinstance(cell, str) and len(cell) <= _TITLE else ""


def in_title(text: str, own: str) -> Iterator[str]:
    """The units in which values of a register's own unit may be, that a title names anywhere: «расход, тыс. кВт·ч, октябрь 2026»."""
    words = [word for word in _between(text) if word]
    taken = False
    for word, following in zip(words, [*words[1:], ""], strict=True):
        pair = _NAMES.get(fold(word + following)) if following and not taken else None
        alone = "" if taken or len(word) < 2 or fold(word) == _POWER else _NAMES.get(fold(word), "")
        taken = pair is not None
        if (unit := pair or alone) in UNITS[own]:
            yield unit


def differing(table: Table, header: Header, document: Document) -> Iterator[Problem]:
    """Columns of values whose header names another unit than the document reads them in: a thousandth would be taken for the whole."""
    if header.row < 0:
        return
    above = carried(table.rows[header.row - 1]) if header.row else []
    for column, expected in _read_in(header, document):
        own = table.rows[header.row][column] if column < len(table.rows[header.row]) else ""
        texts = [text for text in (own, above[column] if column < len(above) else "") if isinstance(text, str)]
        named = next((unit for text in texts if (unit := _NAMES.get(fold(text)) or unit_of(text)[0])), "")
        if named and named not in expected:
            told = {"column": " ".join(texts[:1])[:60], "written": named, "expected": ", ".join(expected)}
            yield Problem(code="unit_differs", where=table.where(header.row, column), values=told)


def _read_in(header: Header, document: Document) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The columns of values with the units in which they are read; where the rows say the register, units that need no conversion."""
    kinds = INTERVALS if document.layout == "series" else REGISTERS
    for number, one in enumerate(document.values, 1):
        if (column := header.slots.get(("", number))) is not None:
            yield column, (one.unit or document.unit or kinds[one.register].unit,)
    by_rows = header.column("quantity") is not None or header.column("register") is not None
    own = (str(kinds[document.register].unit),) if document.register and not by_rows else _OWN
    for field in ("value", "previous"):
        if not document.values and (column := header.column(field)) is not None:
            yield column, (document.unit,) if document.unit else own
