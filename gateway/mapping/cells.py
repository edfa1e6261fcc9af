"""How a written number or code is read: one ASCII grammar for the whole product, and its laxer form for people and sheets."""

import math
import re
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Final

from gateway.domain.problems import Problem, Severity

NUMBER: Final = r"-?[0-9]{1,15}(?:[.,][0-9]{1,6})?"
"""The grammar of numbers in JSON and text files, as a regular expression; the whole text must match."""

Cell = str | float | int | bool | date | time | timedelta
"""What a sheet may hold; a `datetime` is a `date`."""

_plain: Final = re.compile(NUMBER).fullmatch
_grouped: Final = re.compile(r"-?[0-9]{1,3}(?:[ \u00a0\u2007\u2009\u202f][0-9]{3})+(?:[.,][0-9]{1,6})?").fullmatch
_noisy: Final = re.compile(r"-?[0-9]{1,15}[.,][0-9]{10,20}").fullmatch
"""A number as programs write what a sheet holds in binary: `0,12000000000000001`."""
_long: Final = re.compile(r"-?([0-9]+)(?:[.,][0-9]+)?").fullmatch
_BLANKS: Final = " \t\r\n\u00a0\u2007\u2009\u202f"
_GAPS: Final = str.maketrans("", "", _BLANKS)
_ENDLESS: Final = frozenset({"nan", "snan", "inf", "infinity", "-nan", "-snan", "-inf", "-infinity", "+inf", "+infinity"})
_ERRORS: Final = frozenset({"#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#GETTING_DATA", "#SPILL!", "#CALC!"})
MISSING: Final = frozenset({"", "-", "--", "---", "–", "—", "#", "н/д", "нд", "н.д.", "n/a"})
"""Marks by which a sheet says that there is no value; compared in lower case without blanks around."""

_DIGITS: Final = 15
_DECIMALS: Final = 6
_CODE: Final = 100
_LARGEST: Final = 10**_DIGITS
_ZERO: Final = Decimal(0)
_NOISE: Final = Decimal("1e-9")
_MICRO: Final = Decimal("0.000001")


class CellError(ValueError):
    """A text or cell is not what it must be; `code` names the problem, `values` are the facts for its text."""

    def __init__(self, code: str, written: object, limit: int = 0) -> None:
        """Keep what was written, no longer than a person wants to see."""
        super().__init__(code)
        self.code = code
        text = str(written)
        self.values = {"value": text if len(text) <= 40 else text[:39] + "…"} | ({"limit": str(limit)} if limit else {})

    def at(self, where: str, severity: Severity = Severity.ERROR) -> Problem:
        """The same as a problem of the place `where`."""
        return Problem(code=self.code, where=where, severity=severity, values=self.values)


Written = Cell | CellError
"""A cell as it stands in the file; one that cannot be trusted is what is wrong with it."""


def number(text: str) -> Decimal:
    """Read a number as JSON and text files carry it. Raises CellError."""
    if _plain(text) is None:
        raise _objection(text)
    return _exact(text)


def typed_number(text: str) -> Decimal:
    """Read a number as people type it: blanks around it and blanks between thousands are allowed (`012 441,00`). Raises CellError.

    What binary arithmetic has left behind the ninth place is rounded away.
    """
    bare = text.strip(_BLANKS)
    if _plain(bare) is not None:
        return _exact(bare)
    if _grouped(bare) is not None:
        return number(bare.translate(_GAPS))
    if _noisy(bare) is not None and (whole := _without_noise(Decimal(bare.replace(",", ".")))) is not None:
        return whole
    raise _objection(bare)


def cell_number(value: Cell | None) -> Decimal | None:
    """Read a sheet's cell as a number; a mark for "no value" is None. Raises CellError.

    A float is what its shortest text says; binary noise below 1e-9 is rounded away, more than six decimals are refused.
    """
    if isinstance(value, float):
        return _from_float(value)
    if value is None:
        return None
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CellError("not_a_number", value)
    if abs(value) >= _LARGEST:
        raise CellError("number_too_long", value, _DIGITS)
    return Decimal(value)


def cell_code(value: Cell | None) -> str:
    """Read a sheet's cell as a code, as written; an empty cell is an empty code. Raises CellError.

    A number of more than 15 digits has lost its last ones in the sheet; a code that the sheet has turned into a date is lost whole.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        code = value.strip(_BLANKS)
        if code in _ERRORS:
            raise CellError("cell_error", code)
        return text_code(code)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
        raise CellError("cell_not_text", value)
    return str(int(value)) if value == int(value) else repr(value)


def text_code(code: str) -> str:
    """Return a code written as text unless it is too long to be one or holds characters that nobody can see. Raises CellError."""
    if len(code) > _CODE:
        raise CellError("code_too_long", code, _CODE)
    if not code.isprintable() and not code.replace("\u00a0", "").replace("\u2009", "").replace("\u202f", "").isprintable():
        raise CellError("code_unprintable", code.encode("unicode_escape").decode("ascii"))
    return code


def _exact(text: str) -> Decimal:
    return Decimal(text.replace(",", ".")) or _ZERO


def _from_text(value: str) -> Decimal | None:
    bare = value.strip(_BLANKS)
    if bare.lower() in MISSING:
        return None
    if bare in _ERRORS:
        raise CellError("cell_error", bare)
    return typed_number(bare)


def _from_float(value: float) -> Decimal:
    if not math.isfinite(value):
        raise CellError("number_not_finite", value)
    if abs(value) >= _LARGEST:
        raise CellError("number_too_long", repr(value), _DIGITS)
    text = repr(value).removesuffix(".0")
    if _plain(text) is not None:
        return _exact(text)
    whole = _without_noise(Decimal(text))
    if whole is None:
        raise CellError("number_too_long", repr(value), _DECIMALS)
    return whole


def _without_noise(exact: Decimal) -> Decimal | None:
    """A number whose places behind the sixth are what binary arithmetic leaves behind, without them; None when they say something."""
    rounded = exact.quantize(_MICRO)
    return _exact(f"{rounded.normalize():f}") if abs(rounded - exact) < _NOISE else None


def _objection(text: str) -> CellError:
    if text.lower() in _ENDLESS:
        return CellError("number_not_finite", text)
    digits = _long(text)
    if digits is None:
        return CellError("not_a_number", text)
    return CellError("number_too_long", text, _DIGITS if len(digits[1]) > _DIGITS else _DECIMALS)
