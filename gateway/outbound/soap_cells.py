"""How the fields of a reading are written into the simple types of XML Schema."""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from zeep import xsd

Cell = Callable[[Any], str]
"""Writes a field's value as the text of an element; raises ValueError for one that cannot be written there."""

KINDS: Final = {
    **dict.fromkeys(("key", "agreement", "point", "meter", "register", "unit", "quality"), "text"),
    **dict.fromkeys(("value", "previous", "consumption"), "decimal"),
    "period": "month",
    "at": "moment",
    "revision": "count",
    "volume": "flag",
}
"""Every field that a row may carry, by what it is."""
OF_MAPPING: Final = {"quantity": "text", "zone": "text", "day": "day", "clock": "clock"}
"""The fields that only a mapping knows."""
OF_VALUE: Final = frozenset({"register", "value", "unit", "previous", "consumption", "quality", "volume"})
"""Fields of one register's value; the others are the reading's own."""
_UNWRITABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
SPECIAL: Final = re.compile(r"[\x00-\x1f&<>\"\ud800-\udfff\ufffe\uffff]")


def cell_of(field: str, target: Any, zone: ZoneInfo) -> Cell:
    """How a field is written into an element of that type. Raises ValueError when it cannot be."""
    kind = KINDS.get(field) or OF_MAPPING[field]
    builtin = next((one for one in _BUILTINS if isinstance(target, one)), None)
    try:
        write = _CELLS[kind, builtin]
    except KeyError:
        raise ValueError(f"cannot be written as {target.name}") from None
    return (lambda moment: write(moment.astimezone(zone))) if kind in _MOMENTS else write


def text(value: str) -> str:
    """Write a text, escaped. Raises ValueError."""
    if not SPECIAL.search(value):
        return value
    if _UNWRITABLE.search(value):
        raise ValueError("holds a character that XML cannot carry")
    return escape(value, {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


def _digits(value: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ValueError(f"{value!r} is no whole number")
    return value


def _number(value: Decimal) -> str:
    written = str(value)
    return format(value, "f") if "E" in written else written


def _flag(value: object) -> str:
    return "true" if value else "false"


def _moment(value: datetime) -> str:
    return value.isoformat()


def _date(value: datetime) -> str:
    return value.date().isoformat()


def _hour(value: datetime) -> str:
    return value.strftime("%H:%M")


_MOMENTS: Final = frozenset({"moment", "day", "clock"})
_BUILTINS: Final = (
    xsd.DateTime,
    xsd.Date,
    xsd.Time,
    xsd.gYearMonth,
    xsd.Boolean,
    xsd.Integer,
    xsd.Decimal,
    xsd.Double,
    xsd.Float,
    xsd.String,
)
_CELLS: Final[dict[tuple[str, Any], Cell]] = {
    ("text", xsd.String): text,
    ("text", xsd.Integer): _digits,
    ("decimal", xsd.Decimal): _number,
    ("decimal", xsd.Double): _number,
    ("decimal", xsd.Float): _number,
    ("decimal", xsd.String): _number,
    ("month", xsd.String): text,
    ("month", xsd.gYearMonth): text,
    ("month", xsd.Date): lambda month: f"{month}-01",
    ("moment", xsd.DateTime): _moment,
    ("moment", xsd.Date): _date,
    ("moment", xsd.String): _moment,
    ("day", xsd.DateTime): _moment,
    ("day", xsd.Date): _date,
    ("day", xsd.String): _date,
    ("clock", xsd.Time): lambda moment: f"{moment:%H:%M:%S}",
    ("clock", xsd.String): _hour,
    ("count", xsd.Integer): str,
    ("count", xsd.Decimal): str,
    ("count", xsd.String): str,
    ("flag", xsd.Boolean): _flag,
    ("flag", xsd.String): _flag,
}
