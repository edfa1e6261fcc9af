"""Writes tables of dBase III (level 0x03) for those who take nothing newer; what does not fit is told, nothing is ever cut."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.mapping.cells import Cell, CellError
from gateway.mapping.dbf import FIELD, HEADER, Field

Value = Cell | Decimal | None

_DRIVERS: Final = {"cp866": 0x65, "cp1251": 0xC9}
_VERSION: Final = 3
_LARGEST: Final = {"C": 254, "N": 20, "F": 20, "D": 8, "L": 1}
_EPOCH: Final = date(1980, 1, 1)
_MOST: Final = 128
"""Fields of a dBase III table."""
_control: Final = re.compile(r"[\0-\x1f\x7f]").search
_number: Final = re.compile(r"-?[0-9]{1,20}(?:[.,][0-9]{1,20})?").fullmatch


def write_dbf(fields: Sequence[Field], rows: Iterable[Sequence[Value]], encoding: str = "cp866", *, day: date = _EPOCH) -> bytes:
    """A table with a row of values for each record: text, exact numbers (as text too), dates and booleans; None and "" are empty.

    `day`: that of the last change, which the header tells. Raises Misconfigured for fields or an encoding that the format does not have,
    and Rejected with a problem for each value that does not fit (`dbf_value_too_long`), has other characters than the encoding
    (`dbf_value_foreign`) or is of another kind than its field (`dbf_value_kind`).
    """
    head = b"".join(_field(field, encoding) for field in fields)
    if not 0 < len(fields) <= _MOST or len({field.name.upper() for field in fields}) < len(fields):
        raise Misconfigured(f"a DBF table has 1 to {_MOST} fields, each of another name")
    problems: list[Problem] = []
    records: list[bytes] = []
    for row, values in enumerate(rows, 1):
        parts = [b" "]
        for field, value in zip(fields, values, strict=True):
            try:
                parts.append(_written(field, value, encoding))
            except CellError as error:
                problems.append(error.at(f"record {row}, field {field.name}"))
        records.append(b"".join(parts))
    if problems:
        raise Rejected(*problems)
    start, length = HEADER.size + len(head) + 1, 1 + sum(field.width for field in fields)
    year = day.year - 1900
    header = HEADER.pack(_VERSION, year % 256, day.month, day.day, len(records), start, length, 0, _DRIVERS.get(encoding, 0))
    return b"".join((header, head, b"\r", *records, b"\x1a"))


def _field(field: Field, encoding: str) -> bytes:
    """How a field is described. Raises Misconfigured."""
    largest = _LARGEST.get(field.kind, 0)
    room = field.width - 2 if field.kind in "NF" else 0
    fixed = field.kind in "DL" and field.width != largest
    if not 0 < field.width <= largest or fixed or not 0 <= field.decimals <= max(room, 0):
        raise Misconfigured(f"no DBF table has a field {field.name!r} {field.kind}({field.width},{field.decimals})")
    try:
        name = field.name.encode(encoding)
    except (LookupError, UnicodeEncodeError) as error:
        raise Misconfigured(f"the field {field.name!r} of a DBF table cannot be written in {encoding!r}") from error
    if not 0 < len(name) <= 10 or field.name != field.name.strip() or not field.name.isprintable():
        raise Misconfigured(f"{field.name!r} is no name of a field: 1 to 10 bytes are")
    return FIELD.pack(name, field.kind.encode("ascii"), field.width, field.decimals, 0)


def _written(field: Field, value: Value, encoding: str) -> bytes:
    """A value as its field holds it. Raises CellError."""
    if value is None or value == "":
        return b" " * field.width
    match field.kind:
        case "C" if isinstance(value, str):
            return _text(value, field.width, encoding)
        case "N" | "F" if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool):
            return _right(value, field)
        case "D" if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat().replace("-", "").encode("ascii")
        case "L" if isinstance(value, bool):
            return b"T" if value else b"F"
    raise CellError("dbf_value_kind", value)


def _text(value: str, width: int, encoding: str) -> bytes:
    try:
        text = value.encode(encoding)
    except UnicodeEncodeError as error:
        raise CellError("dbf_value_foreign", value[error.start]) from error
    if control := _control(value):
        raise CellError("dbf_value_foreign", control[0].encode("unicode_escape").decode("ascii"))
    if len(text) > width:
        raise CellError("dbf_value_too_long", value, width)
    return text.ljust(width)


def _right(value: str | int | Decimal, field: Field) -> bytes:
    """A number to the right, with all the decimals of its field; a text is written as it stands when it can be."""
    if isinstance(value, Decimal) and not value.is_finite():
        raise CellError("number_not_finite", value)
    text = value.replace(",", ".") if isinstance(value, str) else f"{value:f}" if isinstance(value, Decimal) else str(value)
    if not _number(text):
        raise CellError("dbf_value_kind", value)
    whole, _, decimals = text.partition(".")
    if len(decimals.rstrip("0")) > field.decimals:
        raise CellError("dbf_value_too_long", value, field.decimals)
    if not isinstance(value, str) or len(decimals) > field.decimals:
        decimals = decimals[: field.decimals].ljust(field.decimals, "0")
        text = f"{whole}.{decimals}" if decimals else whole
    if len(text) > field.width:
        raise CellError("dbf_value_too_long", value, field.width)
    return text.rjust(field.width).encode("ascii")
