"""Tables of dBase III and IV, as billings, banks and settlement centres exchange them: bytes become the same table as a sheet."""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import accumulate, compress
from typing import Final

import msgspec

from gateway.domain.mappings import encoding_named
from gateway.domain.problems import Problem, Rejected, Severity
from gateway.mapping.cells import Cell
from gateway.mapping.encodings import detect
from gateway.mapping.tables import Table
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

HEADER: Final = struct.Struct("<4BL2H16x2B2x")
"""Version, year, month, day, number of records, length of the header, length of a record, flags, language driver."""
FIELD: Final = struct.Struct("<11sc4x3B13x")
"""Name, kind, width, decimals, flags."""
DRIVERS: Final = {0x26: "cp866", 0x65: "cp866", 0xC9: "cp1251"}
"""Language drivers that are believed; any other byte is what a program left there, and says nothing."""

_FOX: Final = (0x30, 0x31, 0x32)
_BACKLINK: Final = 263
"""What Visual FoxPro keeps behind its fields: the path of a database."""
_BINARY: Final = {"I": struct.Struct("<i"), "Y": struct.Struct("<q"), "T": struct.Struct("<2i")}
_NULLABLE: Final = 2
_DAY_ZERO: Final = 1_721_425
"""The Julian day before 1 January of the year 1, by which FoxPro counts days."""
_BLOCK: Final = 512
_SAMPLE: Final = 4_096
_SYSTEM: Final = "0"
"""The kind of a field that FoxPro keeps for itself."""
_LIVE, _DELETED, _END = b" ", b"*", b"\x1a"
_BLANKED: Final = bytes(max(byte, 32) for byte in range(256))
_ODD: Final = (b"*", b"e", b"E", b"+", b"\0", b"\n.", b"\n-.", b".\n")
"""What is seen of numbers, a line each, that are not written as everybody writes them, or did not fit."""
_number: Final = re.compile(r"[-+]?[0-9]{0,20}(?:\.[0-9]{0,20})?(?:[eE][-+]?0?[0-9]{1,2})?").fullmatch
_LOGICAL: Final[dict[str, Cell]] = {**dict.fromkeys("TtYy", True), **dict.fromkeys("FfNn", False), "?": ""}


class Field(msgspec.Struct, frozen=True):
    """A field of a table: `kind` is the letter of dBase (C text, N and F number, D day, L yes or no), `width` counts bytes."""

    name: str
    kind: str
    width: int
    decimals: int = 0


class Records(Table, frozen=True, array_like=True):
    """A table of records: the first of `rows` holds the names of the fields, `numbers` the record that each row is, 0 for the first.

    Numbers are text, exact as written; days are dates, marks of yes and no booleans. `deleted`: how many records are marked as
    deleted and passed over, though counted. `labels`: the fields' names, with the position where a name occurs twice.
    """

    fields: tuple[Field, ...]
    labels: tuple[str, ...]
    numbers: list[int]
    deleted: int
    encoding: str

    def where(self, row: int, column: int) -> str:
        """The name of a value, for instance `record 17, field SUMMA`; one below the last record is where it ought to stand."""
        below = row - len(self.numbers) + 1
        number = self.numbers[row] if below <= 0 else self.numbers[-1] + below
        return f"record {number}, {_label(self.labels, column)}" if row else _label(self.labels, column)

    def span(self, column: int, first: int, last: int) -> str:
        """The name of a run of values of one field, for instance `records 2-745, field SUMMA`."""
        return f"records {self.numbers[first]}-{self.numbers[last]}, {_label(self.labels, column)}"


class _Raw(msgspec.Struct, frozen=True):
    """A field as the file describes it."""

    name: bytes
    kind: str
    width: int
    decimals: int
    flags: int

    def is_whole(self) -> bool:
        """Whether it is one of FoxPro's binary fields that always hold a value."""
        return self.kind in _BINARY and self.width == _BINARY[self.kind].size and not self.flags & _NULLABLE


class _Column(msgspec.Struct, frozen=True):
    """A field, where it stands in a record, and whether it can be read."""

    raw: _Raw
    span: slice
    readable: bool


class _Layout(msgspec.Struct, frozen=True):
    """Where everything stands: `start` of the first record, `length` of each, `count` of them."""

    columns: tuple[_Column, ...]
    start: int
    length: int
    count: int


def apart(tables: Iterable[Table]) -> list[Problem]:
    """What is wrong with tables of records and with no single cell: a record that is cut off, records that the header miscounts."""
    found = (problem for table in tables if isinstance(table, Records) for problem in table.problems)
    return [problem for problem in found if ", field " not in problem.where]


def read_dbf(body: bytes, limits: Limits, encoding: str = "") -> Records:
    """The one table of a DBF file. `encoding`: what the sender's profile says, for a file whose language driver does not.

    Memo and binary fields are read as empty and told (`dbf_field_unreadable`, a warning); a header that miscounts its records or its own
    length is told, and every whole record is read. Raises Rejected: `file_too_large`, `file_type_mismatch`, `dbf_structure` with the
    field or record, `csv_too_large`, `encoding_unknown`.
    """
    if len(body) > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", values={"limit": str(limits.file_bytes)}))
    kind = kind_of(body)
    if kind != "dbf":
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))
    problems: list[Problem] = []
    layout = _layout(body, limits, problems)
    encoding = _encoding(body, layout, encoding)
    fields = tuple(_field(column, encoding) for column in layout.columns)
    names = [field.name for field in fields]
    labels = tuple(name if names.count(name) == 1 else f"{name} ({at})" for at, name in enumerate(names, 1))
    flags = body[layout.start : layout.start + layout.count * layout.length : layout.length]
    numbers = [0, *compress(range(1, layout.count + 1), map(_LIVE[0].__eq__, flags))]
    table = Records("", False, 0, 0, [list(names)], problems, fields, labels, numbers, flags.count(_DELETED), encoding)
    problems += [
        _warning("dbf_field_unreadable", table.where(0, at), kind=column.raw.kind)
        for at, column in enumerate(layout.columns)
        if not column.readable
    ]
    reader = _Reader(layout, encoding, limits.file_problems - len(problems))
    for first in range(0, layout.count, _BLOCK):
        block = body[layout.start + first * layout.length : layout.start + min(first + _BLOCK, layout.count) * layout.length]
        table.rows.extend(reader.block(block, flags[first : first + _BLOCK]))
    problems += [Problem(code=code, where=table.where(row, at), values=values) for code, row, at, values in reader.found]
    return table


def _layout(body: bytes, limits: Limits, problems: list[Problem]) -> _Layout:
    """The fields and the records as they really are; what the header says wrongly is told. Raises Rejected."""
    version, _, _, _, told, start, length, _, _ = HEADER.unpack_from(body)
    raw, end = _fields(body, start, limits)
    widths = [one.width for one in raw]
    clipper = [one.width + 256 * one.decimals * (one.kind == "C") for one in raw]
    if 1 + sum(widths) != length == 1 + sum(clipper):  # a text of more than 255 bytes, as Clipper writes it
        widths = clipper
    places = [1, *accumulate(widths, initial=1)][1:]
    if (over := next((at for at, place in enumerate(places) if place > length), None)) is not None:
        raise _broken(f"field {over}")

    def fits(one: int) -> bool:
        rest = body[one + told * length :].strip(b"\0")
        ends = rest[:1] == _END if one != end else not rest.strip(_END)
        return one >= end - 1 and ends and _count(body, one, length, told)[:2] == (True, told)

    starts = (start, end, end + (_BACKLINK if version in _FOX else 1))
    real = next(filter(fits, starts), start)
    if real != start:
        problems.append(_warning("dbf_header_differs", told=str(start), found=str(real)))
    whole, count, cut = _count(body, real, length, told)
    if not whole:
        raise _broken(f"record {count + 1}")
    if count + cut != told:
        problems.append(Problem(code="dbf_records_differ", values={"told": str(told), "found": str(count)}))
    if cut:
        problems.append(Problem(code="dbf_record_cut", where=f"record {count + 1}"))
    for size, limit in ((count + 1, limits.sheet_rows), (len(raw) * (count + 1), limits.sheet_cells)):
        if size > limit:
            raise Rejected(Problem(code="csv_too_large", values={"limit": str(limit)}))
    columns = tuple(
        _Column(one, slice(place, place + width), one.kind in "CNFDL" or (version in _FOX and one.is_whole()))
        for one, place, width in zip(raw, places, widths, strict=False)
        if one.kind != _SYSTEM
    )
    return _Layout(columns, real, length, count)


def _fields(body: bytes, start: int, limits: Limits) -> tuple[list[_Raw], int]:
    """The fields as they are described, and where the records may begin. Raises Rejected."""
    found: list[_Raw] = []
    at = HEADER.size
    while body[at : at + 1] != b"\r" and at != start:
        if at + FIELD.size > len(body):
            raise _broken(f"field {len(found) + 1}")
        name, kind, width, decimals, flags = FIELD.unpack_from(body, at)
        name = name.partition(b"\0")[0]
        if not b" " < kind < b"\x7f" or not width or not name.strip():
            raise _broken(f"field {len(found) + 1}")
        found.append(_Raw(name, kind.decode("ascii").upper(), width, decimals, flags))
        if len(found) > limits.sheet_columns:
            raise Rejected(Problem(code="csv_too_large", values={"limit": str(limits.sheet_columns)}))
        at += FIELD.size
    if all(one.kind == _SYSTEM for one in found):
        raise _broken("field 1")
    return found, at + 1


def _count(body: bytes, start: int, length: int, told: int) -> tuple[bool, int, bool]:
    """Whether every record from `start` on begins as one does, how many are whole, and whether one more is cut off.

    What stands behind the records that the header counts is only read when it looks like more of them.
    """
    flags = body[start::length]
    begun = len(flags) - len(flags.lstrip(_LIVE + _DELETED))
    ended = flags[begun : begun + 1] in (b"", _END)
    more = begun > told and ended and body[start + told * length :].strip(b" \0\x1a") != b""
    wanted = begun if more else min(begun, told)
    whole = max(0, len(body) - start) // length
    return ended or begun >= told, min(wanted, whole), wanted > whole


def _encoding(body: bytes, layout: _Layout, told: str) -> str:
    """The driver's encoding unless the letters surely say another, then what was told, then what the letters say. Raises Rejected."""
    driver, sample = DRIVERS.get(body[29], ""), _sample(body, layout)
    seen = detect(sample).encoding
    if driver and (not sample or seen in ("", driver)):
        return driver
    encoding = encoding_named(told) if told else seen
    if not encoding or encoding.startswith("utf-16"):
        raise Rejected(Problem(code="encoding_unknown"))
    return encoding.removesuffix("-sig")


def _sample(body: bytes, layout: _Layout) -> bytes:
    """Names and texts that are not ASCII, each without half a letter at its end, as many as are enough to tell an encoding."""
    found = dict.fromkeys(column.raw.name for column in layout.columns)
    texts = [column.span for column in layout.columns if column.raw.kind == "C"]
    end, size = layout.start + layout.count * layout.length, 0
    for at in range(layout.start, end if not body[layout.start : end].isascii() else 0, layout.length):
        record = body[at : at + layout.length]
        new = [text for span in texts if not (text := record[span].rstrip()).isascii() and text not in found]
        found.update(dict.fromkeys(new))
        size += sum(map(len, new))
        if size > _SAMPLE:
            break
    return b" ".join(_whole(one.translate(_BLANKED)) for one in found if not one.isascii())


def _whole(text: bytes) -> bytes:
    """A text in UTF-8 without the half of a letter that its end may be."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return text[: error.start] if error.reason == "unexpected end of data" else text
    return text


class _Reader:
    """Turns blocks of records into rows, column by column; `found` are the values that are none: code, row, column, facts."""

    def __init__(self, layout: _Layout, encoding: str, room: int) -> None:
        self.columns, self.length, self.encoding, self.room = layout.columns, layout.length, encoding, room
        starts = [*(column.span.start for column in layout.columns), layout.length]
        ends = [0, *(column.span.stop for column in layout.columns)]
        gaps = [start - end for start, end in zip(starts, ends, strict=True)]
        widths = [end - start for start, end in zip(starts, ends[1:], strict=False)]
        self.record = struct.Struct("".join(f"{gap}x{width}s" for gap, width in zip(gaps, [*widths, 0], strict=True)))
        self.found: list[tuple[str, int, int, dict[str, str]]] = []
        self.row = 1

    def block(self, block: bytes, flags: bytes) -> Iterator[list[Cell]]:
        """The rows of the records that are not deleted."""
        records = self.record.iter_unpack(block)
        values = list(zip(*(compress(records, map(_LIVE[0].__eq__, flags)) if _DELETED in flags else records), strict=True))[:-1]
        columns = [self._column(at, found) for at, found in enumerate(values)]
        self.row += flags.count(_LIVE)
        return map(list, zip(*columns, strict=True))

    def _column(self, at: int, values: Sequence[bytes]) -> Iterable[Cell]:
        column = self.columns[at]
        if not column.readable:
            return [""] * len(values)
        match column.raw.kind:
            case "C":
                return self._texts(at, values)
            case "N" | "F":
                return self._numbers(at, values)
            case "D":
                return self._each(values, _day)
            case "L":
                return self._each(values, lambda text: _LOGICAL.get(text, text))
            case kind:
                return [_binary(kind, _BINARY[kind].unpack(value)) for value in values]

    def _texts(self, at: int, values: Sequence[bytes]) -> Iterable[Cell]:
        """All in one go where no value is odd."""
        together = b"\n".join(map(bytes.rstrip, values))
        if b"\0" not in together and together.count(b"\n") == len(values) - 1:
            with suppress(UnicodeDecodeError):
                return together.decode(self.encoding).split("\n")
        found = list(map(self._text, values))
        self._objects("encoding_unknown", at, [row for row, value in enumerate(found) if "\ufffd" in value], [])
        return found

    def _text(self, value: bytes) -> str:
        bare = value.partition(b"\0")[0].rstrip()
        return (_whole(bare) if self.encoding == "utf-8" else bare).decode(self.encoding, "replace")

    def _numbers(self, at: int, values: Sequence[bytes]) -> Iterable[Cell]:
        together = b"\n".join(map(bytes.strip, values))
        if together.isascii() and not any(odd in b"\n%b\n" % together for odd in _ODD) and together.count(b"\n") == len(values) - 1:
            return together.decode("ascii").split("\n")
        found = [self._text(value).strip() for value in values]
        self._objects("dbf_overflow", at, [row for row, value in enumerate(found) if value and not value.strip("*")], found)
        return ["" if value and not value.strip("*") else _plain(value) for value in found]

    def _each(self, values: Sequence[bytes], read: Callable[[str], Cell]) -> Iterable[Cell]:
        """The same value is read once."""
        cells = {value: read(self._text(value).strip()) for value in set(values)}
        return map(cells.__getitem__, values)

    def _objects(self, code: str, at: int, rows: Iterable[int], values: Sequence[str]) -> None:
        for row in rows:
            if len(self.found) < self.room:
                self.found.append((code, self.row + row, at, {"value": values[row]} if values else {}))


def _day(text: str) -> Cell:
    """A date, an empty text for none; anything else stays the text that it is."""
    if not text.strip("0"):
        return ""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])) if len(text) == 8 and text.isascii() and text.isdigit() else text
    except ValueError:
        return text


def _plain(text: str) -> str:
    """A number as everybody writes it: `.5` and `1.5E+003` are such as some programs leave; what is no number stays as it is."""
    if not _number(text) or not any(char.isdigit() for char in text):
        return text
    try:
        return f"{Decimal(text):f}"
    except InvalidOperation:
        return text


def _binary(kind: str, parts: tuple[int, ...]) -> Cell:
    """FoxPro's whole numbers, sums of money and moments; a moment of nothing is empty."""
    if kind == "I":
        return str(parts[0])
    if kind == "Y":
        return f"{Decimal(parts[0]).scaleb(-4):f}"
    try:
        return datetime.fromordinal(parts[0] - _DAY_ZERO) + timedelta(milliseconds=parts[1]) if any(parts) else ""
    except (ValueError, OverflowError):
        return f"{parts[0]} {parts[1]}"


def _field(column: _Column, encoding: str) -> Field:
    raw, width = column.raw, column.span.stop - column.span.start
    name = (_whole(raw.name) if encoding == "utf-8" else raw.name).decode(encoding, "replace").strip()
    return Field(name, raw.kind, width, 0 if raw.kind == "C" else raw.decimals)


def _label(labels: Sequence[str], column: int) -> str:
    return f"field {labels[column] if column < len(labels) else column + 1}"


def _broken(where: str) -> Rejected:
    return Rejected(Problem(code="dbf_structure", where=where))


def _warning(code: str, where: str = "", **values: str) -> Problem:
    return Problem(code=code, where=where, severity=Severity.WARNING, values=values)
