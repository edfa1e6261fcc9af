"""Words of headers and cells as they are compared, and what the hidden sheet of a template says of whose it is."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from gateway.domain.problems import Problem, Rejected
from gateway.domain.supply import key
from gateway.domain.windows import month
from gateway.mapping.cells import CellError, cell_code
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


def lookup(words: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
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
