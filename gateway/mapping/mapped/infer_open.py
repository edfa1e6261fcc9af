"""Opens a sample of a partner's tables: what it is, in which encoding and with which delimiter, as its bytes tell."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.any_table import is_page, read_any
from gateway.mapping.dbf import Records
from gateway.mapping.delimited import ANY_DELIMITER, read_text
from gateway.mapping.encodings import OLD, detect, mark_of
from gateway.mapping.mapped.infer_words import best_field, measured, said
from gateway.mapping.tables import Table
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

_HEAD: Final = 65_536
_ROWS: Final = 60


class Opened(msgspec.Struct, frozen=True):
    """A sample's container (as `kind_of` tells it), its encoding and delimiter where it has them, and its tables.

    `sure`: how sure the encoding is; below 1 it was told by letters, below 0.7 by which reading has known words.
    """

    container: str
    tables: tuple[Table, ...]
    encoding: str = ""
    delimiter: str = ""
    sure: float = 1.0


def opened(body: bytes, limits: Limits) -> Opened:
    """Read the tables of a sample. Raises Rejected for what is no table, and `encoding_unknown` when nothing tells the letters."""
    kind = kind_of(body)
    if kind != "text" or is_page(body):
        tables = read_any(body, limits)
        return Opened(kind, tables, tables[0].encoding if tables and isinstance(tables[0], Records) else "")
    encoding, sure = _encoding(body)
    delimiter = _delimiter(body[len(mark_of(body)[0]) :].decode(encoding, "replace"))
    return Opened(kind, (read_text(body, limits, encoding, delimiter),), encoding, delimiter, sure)


def _encoding(body: bytes) -> tuple[str, float]:
    """The encoding and how sure it is. Raises Rejected when neither the letters nor known words tell it."""
    found = detect(body).encoding
    if found:
        return found, 1.0 if found.startswith("utf") else 0.9
    words = {encoding: _known(body[:_HEAD].decode(encoding, "replace")) for encoding in OLD}
    best = max(words, key=lambda encoding: words[encoding])
    if not words[best] or list(words.values()).count(words[best]) > 1:
        raise Rejected(Problem(code="encoding_unknown"))
    return best, 0.6


def _known(text: str) -> int:
    """How many fields of the first lines say something that is known."""
    cells = {cell for line in text.splitlines()[:_ROWS] for cell in line.split(_delimiter(text)) if not cell.isascii()}
    return sum(best_field(said(cell)) is not None or bool(measured(cell)) for cell in cells)


def _delimiter(text: str) -> str:
    """The delimiter by which the first rows are the most alike."""
    if len(line := text[:8].partition("\n")[0].strip()) == 5 and line.lower().startswith("sep="):
        return line[4]
    return max(ANY_DELIMITER, key=lambda one: _evenness(_split(text, one)))


def _split(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text[:_HEAD], newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if len(rows) == _ROWS:
                break
    except csv.Error:
        return rows
    return rows


def _evenness(rows: Sequence[Sequence[str]]) -> int:
    """How many rows are as wide as most, in thousandths, then how wide these are; 1 when there is one column only."""
    widths = Counter(len(row) for row in rows if any(row) and not row[0].startswith("="))
    wide = {width: count for width, count in widths.items() if width > 1}
    if not wide:
        return 1
    width = max(wide, key=lambda one: (wide[one], one))
    return 1000 * wide[width] // sum(widths.values()) * 1000 + min(width, 999)
