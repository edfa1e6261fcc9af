"""The text half of the table reader: a delimited file of whatever encoding and delimiter becomes the same table as a sheet."""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, Literal, cast

import msgspec

from gateway.domain.mappings import encoding_named
from gateway.domain.problems import Problem, Rejected
from gateway.mapping.cells import Cell
from gateway.mapping.encodings import KIN, detect, mark_of, nearest
from gateway.mapping.tables import Table
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

Known = Callable[[Sequence[Sequence[str]]], int]
"""How many words of a format's header stand in the best of these rows, 0 when none of them is its header."""

DELIMITERS: Final = (";", "\t", ",")
ANY_DELIMITER: Final = (";", "\t", "|", ",")
"""Where no header is known, in this order: a comma is a decimal one more often than not."""
_OLD: Final = ("cp1251", "cp866", "koi8-r")
"""Encodings that say nothing of themselves: believed when the header's words are known in one of them alone, else by the letters."""

_HEAD: Final = 65_536
_HEAD_ROWS: Final = 60
_EVEN: Final = 0.8
"""The share of rows with equally many fields that makes a delimiter believed."""


class Lines(Table, frozen=True, array_like=True):
    """A delimited text: `lines` tells on which line of the file each of `rows` begins; every row is as wide as the widest."""

    lines: list[int]

    def where(self, row: int, column: int) -> str:
        """The name of a field, for instance `line 17, column 6`; one below the last row is where it ought to stand."""
        below = row - len(self.lines) + 1
        return f"line {self.lines[row] if below <= 0 else self.lines[-1] + below}, column {column + 1}"

    def span(self, column: int, first: int, last: int) -> str:
        """The name of a run of fields of one column, for instance `lines 2-745, column 6`."""
        return f"lines {self.lines[first]}-{self.lines[last]}, column {column + 1}"


class _Layout(msgspec.Struct, frozen=True, order=True):
    """How a text is to be read, and how many known words its header then has."""

    words: int
    delimiter: str = ";"


def is_delimited(body: bytes, known: Known) -> bool:
    """Tell by the first rows whether this is a delimited text with a header that `known` knows."""
    if not body or kind_of(body) != "text":
        return False
    return any(_layout(head, known).words for head in _heads(body).values())


def read_delimited(body: bytes, limits: Limits, known: Known) -> Lines:
    """The one table of a delimited text, without rows that are empty at its end.

    Raises Rejected: `encoding_unknown`, `header_not_found`, `csv_structure` with the line, `csv_too_large`, `file_too_large`.
    """
    if len(body) > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", values={"limit": str(limits.file_bytes)}))
    encoding, layout = _choose(_heads(body), known, body)
    return _lines(body, encoding, layout.delimiter, limits)


def read_text(body: bytes, limits: Limits, encoding: str = "", delimiter: str = "", quote: str = '"') -> Lines:
    """The same for a text whose words nobody knows, with a header or without.

    `encoding`: empty when the letters must tell it; a mark in the file wins. `delimiter`: empty when it is the one by which most rows have
    equally many fields. `quote`: empty where quotes are characters like any other. Raises Rejected with the same codes.
    """
    if len(body) > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", values={"limit": str(limits.file_bytes)}))
    encoding = mark_of(body)[1] or (encoding_named(encoding) if encoding else detect(body).encoding)
    if not encoding:
        raise Rejected(Problem(code="encoding_unknown"))
    return _lines(body, encoding, delimiter, limits, quote)


def _lines(body: bytes, encoding: str, delimiter: str, limits: Limits, quote: str = '"') -> Lines:
    text = _decode(body, encoding)
    if (at := text.find("\0")) >= 0:
        raise _broken(text.count("\n", 0, at) + 1)
    return _table(text, delimiter or _told(text) or _evenest(text[:_HEAD], quote), limits, quote)


def _heads(body: bytes) -> dict[str, str]:
    """The beginning of the text in every encoding that it may have; whether all of it can be read so is seen later."""
    mark, told = mark_of(body)
    head = body[len(mark) : len(mark) + _HEAD]
    encodings = (told,) if told else ("utf-8",) if _is_utf8(body) else _OLD
    return {encoding: codecs.getincrementaldecoder(encoding)("replace").decode(head) for encoding in encodings}


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _choose(heads: dict[str, str], known: Known, body: bytes) -> tuple[str, _Layout]:
    """The encoding and the layout in which the header is known, by the letters where it is known in more than one encoding.

    Raises Rejected when it is known in none, or the letters say nothing.
    """
    layouts = {encoding: _layout(head, known) for encoding, head in heads.items()}
    most = max(layout.words for layout in layouts.values())
    best = [encoding for encoding, layout in layouts.items() if layout.words == most]
    if len(best) > 1:
        seen = detect(body).encoding
        best = [encoding for encoding in best if encoding == KIN.get(seen, seen)]
        if not best:
            raise Rejected(Problem(code="encoding_unknown"))
    if not most:
        raise Rejected(Problem(code="header_not_found", where="line 1"))
    return nearest(body, best[0]) if best[0] in _OLD else best[0], layouts[best[0]]


def _evenest(head: str, quote: str) -> str:
    """The first delimiter by which nearly all rows have equally many fields, else the one by which most of them do.

    A control row (`=3;210,75`) has fewer fields than the rows that it counts, and as many decimal commas.
    """
    best, share = ";", 0.0
    for delimiter in ANY_DELIMITER:
        lines = io.StringIO(head, newline="")
        reader = csv.reader(lines, delimiter=delimiter, quotechar=quote or None, quoting=_quoting(quote))
        try:
            rows = [len(row) for row in islice(reader, _HEAD_ROWS) if row and not row[0].startswith("=")]
        except csv.Error:
            continue
        found = max((count for size, count in Counter(rows).items() if size > 1), default=0) / max(len(rows), 1)
        if found >= _EVEN:
            return delimiter
        best, share = max((best, share), (delimiter, found), key=lambda one: one[1])
    return best


def _layout(head: str, known: Known) -> _Layout:
    """The delimiter by which the most words of the header are known; `sep=;` on the first line says it."""
    told = _told(head)
    best = _Layout(0)
    for delimiter in (told,) if told else DELIMITERS:
        try:
            rows = list(islice(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), _HEAD_ROWS))
        except csv.Error:
            continue
        best = max(best, _Layout(known(rows), delimiter), key=lambda layout: layout.words)
    return best


def _quoting(quote: str) -> Literal[0, 3]:
    return csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE


def _told(text: str) -> str:
    """The delimiter that the first line names the way spreadsheets do."""
    line = text[:8].splitlines()[:1]
    return line[0][4] if line and len(line[0]) == 5 and line[0].lower().startswith("sep=") and line[0][4] in ANY_DELIMITER else ""


def _decode(body: bytes, encoding: str) -> str:
    mark = mark_of(body)[0]
    try:
        return body[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, len(mark) + error.start) + 1
        raise Rejected(Problem(code="encoding_unknown", where=f"line {line}")) from error


def _table(text: str, delimiter: str, limits: Limits, quote: str) -> Lines:
    if text.count(delimiter) > 2 * limits.sheet_cells:
        raise _large(limits.sheet_cells)
    if text.count("\n") + text.count("\r") > 4 * limits.sheet_rows:
        raise _large(limits.sheet_rows)
    rows, lines = _rows(text, delimiter, quote)
    if _told(text):
        del rows[0], lines[0]
    while rows and not any(rows[-1]):
        del rows[-1], lines[-1]
    width = max(map(len, rows), default=0)
    for size, limit in ((len(rows), limits.sheet_rows), (width, limits.sheet_columns), (width * len(rows), limits.sheet_cells)):
        if size > limit:
            raise _large(limit)
    _check_fields(text, rows, lines, limits.cell_characters, quote)
    for row in rows:
        if len(row) < width:
            row.extend([""] * (width - len(row)))
    return Lines("", False, 0, 0, rows, [], lines)


def _rows(text: str, delimiter: str, quote: str) -> tuple[list[list[Cell]], list[int]]:
    """Every row and the line on which it begins; a quote that is never closed runs into the reader's own limit of a field."""
    whole = io.StringIO(text, newline="")
    reader = csv.reader(whole, delimiter=delimiter, quotechar=quote or None, quoting=_quoting(quote), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    begin = 1
    try:
        if not quote or quote not in text:
            rows.extend(reader)
            lines.extend(range(1, len(rows) + 1))
        for row in reader:
            rows.append(row)
            lines.append(begin)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise _broken(begin if lines else len(rows) + 1) from error
    return cast("list[list[Cell]]", rows), lines


def _check_fields(text: str, rows: list[list[Cell]], lines: list[int], longest: int, quote: str) -> None:
    """Refuse a field of too many characters; looked for only where a line is longer than that or a row has several lines."""
    if (not quote or quote not in text) and max(map(len, text.split("\n"))) <= longest:
        return
    for row, line in zip(rows, lines, strict=True):
        if max((len(str(cell)) for cell in row), default=0) > longest:
            raise _large(longest, line)


def _broken(line: int) -> Rejected:
    return Rejected(Problem(code="csv_structure", where=f"line {line}"))


def _large(limit: int, line: int = 0) -> Rejected:
    return Rejected(Problem(code="csv_too_large", where=f"line {line}" if line else "", values={"limit": str(limit)}))
