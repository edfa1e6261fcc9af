"""The file comes back marked: the sender's own workbook with its wrong cells coloured and commented, and a list of everything wrong."""

import re
import time
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

import msgspec

from gateway import texts
from gateway.domain.problems import Problem, Rejected
from gateway.mapping import plain_workbook
from gateway.mapping.child import children
from gateway.mapping.marks import Area, in_workbook, marking
from gateway.mapping.package import name_of
from gateway.mapping.tables import Table, read_tables
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits
from gateway.texts import Language

_LEAST: Final = 1.0
"""Seconds that must be left for another try at a file."""
_LINE: Final = re.compile(r"line ([1-9][0-9]{0,6})(?:, column ([1-9][0-9]{0,3}))?").fullmatch


def marked(body: bytes, file_name: str, problems: Sequence[Problem], language: Language, limits: Limits) -> bytes | None:
    """The workbook (.xlsx) in which a sender finds every problem at its cell; None when nothing is wrong or its kind has no cells.

    His own workbook where it can be edited: an .xlsx with at most `limits.mark_cells` cells on the sheets to be marked and no macros.
    Else a new one with the same values; a file that cannot even be read comes back as the list alone. At most `limits.file_problems`
    problems are told. Costs no more than reading a file may (`child_seconds`, `child_memory`).
    """
    kind = kind_of(body) if body else "binary"
    if not problems or kind not in ("xlsx", "xls", "text"):
        return None
    until = time.monotonic() + limits.child_seconds
    told = marking(problems, language, limits.file_problems, in_workbook)
    if kind == "xlsx" and len(body) <= limits.file_bytes:
        try:
            return children.read("mark", msgspec.msgpack.encode((body, told)), limits, msgspec.msgpack.Decoder(bytes).decode)
        except Rejected:
            pass
    tables = _cells(body, limits, until - time.monotonic())
    if kind == "text":
        sheet = name_of(PurePath(file_name).stem or texts.word("marked.data", language), ())
        tables = tuple(msgspec.structs.replace(table, name=sheet) for table in tables[:1])
        told = marking(problems, language, limits.file_problems, lambda where: _in_text(where, sheet))
    return plain_workbook.write(tables, told)


def _cells(body: bytes, limits: Limits, left: float) -> tuple[Table, ...]:
    """The cells of a file in the time that is left, none when they cannot be read."""
    if left < _LEAST:
        return ()
    try:
        return read_tables(body, msgspec.structs.replace(limits, child_seconds=left))
    except Rejected:
        return ()


def _in_text(where: str, sheet: str) -> Area | None:
    """The area of a place in a text file: `line 17, column 6`, or a whole line."""
    found = _LINE(where)
    if found is None:
        return None
    row, column = int(found[1]), int(found[2] or 1)
    return Area(sheet, row, column, row, column, whole=found[2] is None)
