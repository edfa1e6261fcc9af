"""The column document: which words of a table's header name which field, so that a table is read whatever its order and extra columns."""

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Final

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.domain.supply import key
from gateway.domain.windows import month
from gateway.mapping.cells import Cell, CellError, cell_code
from gateway.mapping.tables import Table

META: Final = "_meta"
"""Name of the hidden sheet in which a template says whose it is."""

_LOOK_ALIKES: Final = str.maketrans("АВЕЁКМНОРСТУХІЅ", "ABEEKMHOPCTYXIS")
_SHORT: Final = 100
_NOISE: Final = re.compile(r"[\s\u00a0\u2009\u202f.,:;()/№#*'ʼ’\"«»_]+|(?<=\w)[-–—](?=\w)")


def fold(words: str) -> str:
    """Words as they are compared: no case, no blanks, no punctuation, letters of one shape alike; a sign at the end stays."""
    return _folded(words) if len(words) <= _SHORT else _fold(words)


def _fold(words: str) -> str:
    return _NOISE.sub("", words.upper().translate(_LOOK_ALIKES)).replace("−", "-").replace("–", "-")


_folded: Final = lru_cache(maxsize=8192)(_fold)
"""Names of columns and words in cells come again and again."""


class Columns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A column document. `least`: names that make a row a header; `needed`: fields without which nothing can be read.

    `columns`, `quantities`, `zones`: what is meant -> the words for it.
    """

    template: str
    version: int
    sheet_rows: int
    least: int
    needed: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    quantities: dict[str, tuple[str, ...]]
    zones: dict[str, tuple[str, ...]]

    @cached_property
    def names(self) -> dict[str, str]:
        """Every folded name of a column -> its field."""
        return lookup(self.columns)

    def known(self, rows: Sequence[Sequence[Cell]], *told: str) -> int:
        """How many names stand in the best of the first rows; 0 when none of them is a header, or none that has the fields `told`."""
        found = (_fields(row, self.names).keys() for row in rows[: self.sheet_rows])
        most = max((len(fields) for fields in found if fields >= set(told)), default=0)
        return most if most >= self.least else 0

    def header(self, table: Table) -> tuple[int, dict[str, int]] | None:
        """The header's row in `rows` and the column of each field in it; None when no row among the first holds enough of the names."""
        for index, row in enumerate(table.rows[: max(0, self.sheet_rows - table.row)]):
            found = _fields(row, self.names)
            if len(found) >= self.least:
                return index, found
        return None


_LEARNED: Final = msgspec.json.Decoder(Columns)
"""As in `domain/profile.py`: a type is learned on import, before there are threads."""


def lookup(words: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Every folded word -> what it means."""
    return {fold(word): meaning for meaning, several in words.items() for word in several}


def told(tables: Sequence[Table], **expected: str) -> dict[str, tuple[str, str]]:
    """What a template's hidden sheet says: name -> what is written and its place; empty without that sheet.

    Raises Rejected when it contradicts what is expected (an empty text expects nothing), or names no period.
    """
    table = next((table for table in tables if table.name == META), None)
    found: dict[str, tuple[str, str]] = {}
    for index, row in enumerate(table.rows if table is not None else ()):
        if table is not None and len(row) > 1 and isinstance(row[0], str):
            try:
                found[row[0]] = cell_code(row[1]), table.where(index, 1)
            except CellError as error:
                raise Rejected(error.at(table.where(index, 1))) from error
    for name, wanted in expected.items():
        written, where = found.get(name, ("", META))
        if written and wanted and key(written) != key(wanted):
            raise Rejected(Problem(code="template_mismatch", where=where, values={"name": name, "written": written, "expected": wanted}))
    period, where = found.get("period", ("", META))
    try:
        if period:
            month(period)
    except ValueError as error:
        raise Rejected(Problem(code="period_invalid", where=where, values={"period": period})) from error
    return found


def read_columns(document: bytes) -> Columns:
    """Read a column document (TOML). Raises Misconfigured naming the wrong key."""
    try:
        return msgspec.toml.decode(document, type=Columns)
    except msgspec.DecodeError as error:
        raise Misconfigured(f"columns: {error}") from error


def _fields(row: Sequence[Cell], names: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for column, cell in enumerate(row):
        field = names.get(fold(cell)) if isinstance(cell, str) and 0 < len(cell) <= 200 else None
        if field is not None:
            found.setdefault(field, column)
    return found
