"""The file comes back marked: the sender's own workbook with its wrong cells coloured and commented, and a list of everything wrong."""

import codecs
import re
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

import msgspec

from gateway import texts
from gateway.domain.problems import Problem, Rejected
from gateway.mapping import plain_workbook
from gateway.mapping.any_table import is_page, is_workbook, only_file, read_any
from gateway.mapping.child import children
from gateway.mapping.dbf import read_dbf
from gateway.mapping.delimited import read_delimited
from gateway.mapping.marks import Area, in_workbook, marking
from gateway.mapping.package import name_of
from gateway.mapping.tables import Table
from gateway.mapping.zip_gate import Kind, kind_of
from gateway.settings import Limits
from gateway.texts import Language

_LEAST: Final = 1.0
"""Seconds that must be left for another try at a file."""
_LINES: Final = re.compile(r"lines? ([1-9][0-9]{0,6})(?:-([1-9][0-9]{0,6}))?(?:, column ([1-9][0-9]{0,3}))?").fullmatch
_RECORDS: Final = re.compile(r"records? ([1-9][0-9]{0,8})(?:-([1-9][0-9]{0,8}))?, (.+)").fullmatch
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORDS: Final = re.compile(r"(?=[\W\d_]*+[^\W\d_])[\w .,;:/()°№+%'’«»*-]++").fullmatch


def marked(body: bytes, file_name: str, problems: Sequence[Problem], language: Language, limits: Limits) -> bytes | None:
    """The workbook (.xlsx) in which a sender finds every problem at its cell; None when nothing is wrong or its kind has no cells.

    His own workbook where it can be edited: an .xlsx with at most `limits.mark_cells` cells on the sheets to be marked and no macros.
    Else a new one with the same values, whatever kind of table it was, alone in an archive or not; a file that cannot even be read comes
    back as the list alone. At most `limits.file_problems` problems are told. Costs no more than reading a file may (`child_seconds`,
    `child_memory`).
    """
    body = _unpacked(body, limits)
    kind = _kind(body)
    if not problems or kind is None:
        return None
    if kind == "text":
        return _text_marked(body, file_name, problems, language, limits)
    if kind == "dbf":
        return _records_marked(body, problems, language, limits)
    until = time.monotonic() + limits.child_seconds
    told = marking(problems, language, limits.file_problems, in_workbook)
    if kind == "xlsx" and len(body) <= limits.file_bytes:
        try:
            return children.read("mark", msgspec.msgpack.encode((body, told)), limits, msgspec.msgpack.Decoder(bytes).decode)
        except Rejected:
            pass
    return plain_workbook.write(_tables(body, limits, until - time.monotonic()), told)


def _unpacked(body: bytes, limits: Limits) -> bytes:
    """The one file of an archive; any other file, and an archive of several, as it is."""
    try:
        return only_file(body, limits) if body and kind_of(body) == "zip" else body
    except Rejected:
        return body


def _kind(body: bytes) -> Kind | None:
    """The kind of a file that has cells, a page being `html`; None for any other."""
    kind = kind_of(body) if body else None
    if kind in ("html", "xml", "text") and (is_page(body) or is_workbook(body)):
        return "html"
    return "text" if body.startswith(_WIDE) else kind if kind in ("xlsx", "xls", "ods", "dbf", "text") else None


def _tables(body: bytes, limits: Limits, left: float) -> tuple[Table, ...]:
    """The cells of a workbook in the time that is left, none when they cannot be read."""
    if left < _LEAST:
        return ()
    try:
        return read_any(body, msgspec.structs.replace(limits, child_seconds=left))
    except Rejected:
        return ()


def _text_marked(body: bytes, file_name: str, problems: Sequence[Problem], language: Language, limits: Limits) -> bytes:
    """A delimited text as one sheet that bears the file's name."""
    sheet = name_of(PurePath(file_name).stem or texts.word("marked.data", language), ())
    try:
        found = read_delimited(body, limits, _wordy)
    except Rejected:
        return plain_workbook.write((), marking(problems, language, limits.file_problems, lambda _: None))
    told = marking(problems, language, limits.file_problems, lambda where: _in_text(where, sheet, found.lines))
    return plain_workbook.write((msgspec.structs.replace(found, name=sheet),), told)


def _records_marked(body: bytes, problems: Sequence[Problem], language: Language, limits: Limits) -> bytes:
    """A DBF as one sheet."""
    sheet = name_of(texts.word("marked.data", language), ())
    try:
        found = read_dbf(body, limits)
    except Rejected:
        return plain_workbook.write((), marking(problems, language, limits.file_problems, lambda _: None))
    rows = {number: row for row, number in enumerate(found.numbers, 1)}
    columns = {found.where(0, column): column + 1 for column in range(len(found.fields))}

    def locate(where: str) -> Area | None:
        place = _RECORDS(where)
        if place is None or place[3] not in columns:
            return None
        top, bottom = (rows.get(int(number), 1) for number in (place[1], place[2] or place[1]))
        return Area(sheet, min(top, bottom), columns[place[3]], max(top, bottom), columns[place[3]])

    told = marking(problems, language, limits.file_problems, locate)
    return plain_workbook.write((msgspec.structs.replace(found, name=sheet),), told)


def _wordy(rows: Sequence[Sequence[str]]) -> int:
    """How many fields of the best row are words: what tells an encoding and a delimiter where no header is looked for."""
    return max((sum(_WORDS(field) is not None for field in row) for row in rows), default=0)


def _in_text(where: str, sheet: str, lines: Sequence[int]) -> Area | None:
    """The area of a place in a text: `line 17, column 6`, `lines 2-745, column 6`, or a whole line. `lines`: where each row begins."""
    found = _LINES(where)
    if found is None:
        return None
    top, bottom = (max(1, bisect_right(lines, int(line))) for line in (found[1], found[2] or found[1]))
    column = int(found[3] or 1)
    return Area(sheet, min(top, bottom), column, max(top, bottom), column, whole=found[3] is None)
