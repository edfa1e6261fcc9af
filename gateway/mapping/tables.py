"""The one reader of tables: a workbook's bytes become sheets of cells, each cell with the name its sender knows it by."""

import threading
import time as clock
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.cells import Cell
from gateway.mapping.child import children
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits


class Table(msgspec.Struct, frozen=True, array_like=True):
    """A sheet: the first cell of `rows` stands at (row, column), both counted from 0; an empty cell is an empty text.

    `problems`: cells that hold no value that can be trusted, by their place; there `rows` may say anything.
    """

    name: str
    hidden: bool
    row: int
    column: int
    rows: list[list[Cell]]
    problems: list[Problem]

    def where(self, row: int, column: int) -> str:
        """The name of a cell of `rows`, for instance `Sheet1!D17`."""
        return f"{self.name}!{letters(self.column + column)}{self.row + row + 1}"

    def span(self, column: int, first: int, last: int) -> str:
        """The name of a run of cells of one column of `rows`, for instance `Sheet1!D17:D40`."""
        letter = letters(self.column + column)
        return f"{self.name}!{letter}{self.row + first + 1}:{letter}{self.row + last + 1}"


@lru_cache(maxsize=1024)
def letters(column: int) -> str:
    """The letters of a column counted from 0."""
    text = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        text = chr(65 + letter) + text
    return text


def number_of(letters: str) -> int:
    """The number of a column counted from 1; of a name that no sheet has, too large a number."""
    number = 0
    for letter in letters[:8]:
        number = number * 26 + ord(letter) - 64
    return number


def look(body: bytes, limits: Limits) -> tuple[Table, ...]:
    """What `read_tables` gives, for formats that only wonder whether a file is theirs; empty when the file cannot be read.

    The file is read once, however many ask: what was found, be it a refusal, is kept for this thread until `read_tables` takes it.
    """
    return _looked.keep(body, limits, lambda: _read(body, limits))


def kept(body: bytes) -> tuple[Table, ...]:
    """What was found of the file that formats have just looked at; empty when none did. Raises Rejected with what it was refused for."""
    if _looked.body is not body:
        return ()
    if _looked.problems:
        raise Rejected(*_looked.problems)
    return _looked.tables


def read_tables(body: bytes, limits: Limits) -> tuple[Table, ...]:
    """Every worksheet of an xlsx, xls or ods workbook, hidden ones marked. Raises Rejected."""
    return _looked.take() if _looked.at(body, limits) else _read(body, limits)


def read_sheets(task: str, body: bytes, limits: Limits) -> tuple[Table, ...]:
    """The sheets that a child finds in a file by one of its tasks. Raises Rejected."""
    return children.read(task, body, limits, _decode)


class Looked(threading.local):
    """The file that this thread looked at last, and its sheets or the problems it was refused with."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.limits: Limits | None = None
        self.tables: tuple[Table, ...] = ()
        self.problems: tuple[Problem, ...] = ()

    def at(self, body: bytes, limits: Limits) -> bool:
        """Whether it is this file, read within these limits."""
        return self.body is body and self.limits == limits

    def keep(self, body: bytes, limits: Limits, read: Callable[[], tuple[Table, ...]]) -> tuple[Table, ...]:
        """Read a file unless it was read last, and keep what is found; nothing for one that is refused."""
        if not self.at(body, limits):
            self.tables, self.problems = (), ()
            try:
                self.tables = read()
            except Rejected as refused:
                self.problems = refused.problems
            self.body, self.limits = body, limits
        return self.tables

    def take(self) -> tuple[Table, ...]:
        """Give away what was found. Raises Rejected with what the file was refused for."""
        tables, problems = self.tables, self.problems
        self.body, self.limits, self.tables, self.problems = None, None, (), ()
        if problems:
            raise Rejected(*problems)
        return tables


_looked: Final = Looked()


def _read(body: bytes, limits: Limits) -> tuple[Table, ...]:
    kind = kind_of(body)
    if kind not in ("xlsx", "xls", "ods", "zip"):
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))
    if len(body) > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", values={"limit": str(limits.file_bytes)}))
    if kind == "xls" and _ENCRYPTED in body:
        raise Rejected(Problem(code="xlsx_encrypted"))
    if kind == "xls" and not any(stream in body for stream in _WORKBOOKS):
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))
    started = clock.monotonic()
    try:
        return read_sheets("xlsx" if kind == "zip" else kind, body, limits)
    except Rejected as refused:
        left = limits.child_seconds - (clock.monotonic() - started)
        if kind in ("xls", "ods") or refused.problems[0].code != "file_too_costly" or left < 1:
            raise
        children.read("explain", body, msgspec.structs.replace(limits, child_seconds=left), _decode)
        raise


_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_WORKBOOKS: Final = ("Workbook".encode("utf-16-le"), "Book".encode("utf-16-le"), "WORKBOOK".encode("utf-16-le"), "BOOK".encode("utf-16-le"))


def _dated(code: int, data: memoryview) -> date | time | timedelta:
    return _moment(code, str(data, "ascii"))


@lru_cache(maxsize=4096)
def _moment(code: int, text: str) -> date | time | timedelta:
    if code == 4:
        return timedelta(seconds=float(text))
    kinds: dict[int, type[datetime | date | time]] = {1: datetime, 2: date, 3: time}
    return kinds[code].fromisoformat(text)


class _Sheet(msgspec.Struct, frozen=True, array_like=True):
    name: str
    hidden: bool
    row: int
    column: int
    rows: msgspec.Raw
    problems: list[Problem]


_sheets: Final = msgspec.msgpack.Decoder(list[_Sheet])
_cells: Final = msgspec.msgpack.Decoder(ext_hook=_dated)


def _decode(result: msgspec.Raw) -> tuple[Table, ...]:
    return tuple(Table(one.name, one.hidden, one.row, one.column, _cells.decode(one.rows), one.problems) for one in _sheets.decode(result))
