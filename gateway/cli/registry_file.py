"""Reads a registry file: CSV whose columns are the fields of `gateway.store.feed.Line`, with every problem at its line."""

import csv
from array import array
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from gateway import texts
from gateway.domain.problems import Misconfigured
from gateway.domain.profile import SERVICES
from gateway.domain.readings import REGISTERS
from gateway.domain.windows import month
from gateway.mapping.cells import CellError, text_code, typed_number
from gateway.store.feed import Clash, Line

REQUIRED: Final = ("agreement", "point", "meter", "register", "digits")
LIMIT: Final = 1000
"""So many problems of a file are told."""
_YES, _NO = ("true", "1", "yes", "y", "да", "так"), ("false", "0", "no", "n", "нет", "ні")


class Trouble(NamedTuple):
    """What is wrong at a line of the file; line 1 is the header."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        """As it is printed."""
        return f"line {self.line}, {self.column}: {self.text}" if self.column else f"line {self.line}: {self.text}"


class RegistryFile:
    """A registry file that is read row by row, however long it is.

    `troubles`: what is wrong, at most LIMIT; `numbers`: the line of the file that each good row came from.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path
        self.troubles: list[Trouble] = []
        self.numbers = array("L")

    def lines(self) -> Iterator[Line]:
        """Every good row. Raises Misconfigured when it is no such file at all."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                yield from self._rows(file)
        except UnicodeDecodeError as error:
            raise Misconfigured(f"{self.path}: not UTF-8 ({error.reason}): save it as CSV UTF-8") from error
        if not self.numbers and not self.troubles:
            self.troubles.append(Trouble(1, "", "there is no row below the header"))

    def _rows(self, file: TextIO) -> Iterator[Line]:
        head = file.readline()
        reader = csv.reader(chain([head], file), delimiter=max(";\t,", key=head.count), strict=True)
        try:
            names = [name.strip().lower() for name in next(reader, [])]
            _check_header(self.path, names)
            before = reader.line_num
            for cells in reader:
                number, before = before + 1, reader.line_num
                found = _line(number, names, cells) if any(map(str.strip, cells)) else []
                if isinstance(found, Line):
                    self.numbers.append(number)
                    yield found
                else:
                    self.troubles += found
                if len(self.troubles) >= LIMIT:
                    self.troubles = [*self.troubles[:LIMIT], Trouble(number, "", f"{LIMIT} problems: the rest was not read")]
                    return
        except csv.Error as error:
            self.troubles.append(Trouble(reader.line_num, "", f"no CSV: {error}"))

    def clash(self, clash: Clash) -> Trouble:
        """The trouble of a row that contradicts an earlier one."""
        number, earlier = self.numbers[clash.row], self.numbers[clash.earlier]
        if clash.kind == "register":
            return Trouble(number, "register", f"{clash.field} of this meter stands in line {earlier} already")
        return Trouble(number, clash.field, f"differs from line {earlier}, which is about the same {clash.kind}")


def _check_header(path: Path, names: list[str]) -> None:
    known = Line.__struct_fields__
    wrong = [f"there is no column {name!r}" for name in names if name not in known]
    wrong += [f"the column {name!r} is missing" for name in REQUIRED if name not in names]
    wrong += [f"the column {name!r} stands twice" for name in sorted(set(names)) if names.count(name) > 1]
    if wrong:
        raise Misconfigured(f"{path}: {'; '.join(wrong)}. Columns: {', '.join(known)}")


def _line(number: int, names: list[str], cells: list[str]) -> Line | list[Trouble]:
    if len(cells) != len(names):
        return [Trouble(number, "", f"{len(cells)} cells, the header has {len(names)}")]
    fields: dict[str, Any] = {}
    troubles: list[Trouble] = []
    for name, cell in zip(names, cells, strict=True):
        try:
            if cell.strip():
                fields[name] = _READERS[name](cell.strip())
            elif name in REQUIRED:
                troubles.append(Trouble(number, name, "is empty"))
        except CellError as error:
            troubles.append(Trouble(number, name, texts.problem(error.code, "en", error.values)[0]))
        except ValueError as error:
            troubles.append(Trouble(number, name, str(error)))
    if not troubles:
        line = Line(**fields)
        troubles = [Trouble(number, column, text) for column, text in _nonsense(line)]
        return troubles or line
    return troubles


def _nonsense(line: Line) -> Iterator[tuple[str, str]]:
    """What each cell may say and all of them together must not."""
    if line.last is not None and not line.last_period:
        yield "last_period", "is empty, but there is a last value"
    if line.last_period and line.last is None:
        yield "last", "is empty, but there is a last period"
    if line.last is not None and not 0 <= line.last < Decimal(10) ** line.digits:
        yield "last", f"{line.last} does not fit a dial of {line.digits} digits"
    if line.installed_on and line.removed_on and line.removed_on < line.installed_on:
        yield "removed_on", "is before installed_on"
    if line.location_name and not line.location:
        yield "location", "is empty, but there is a location_name"


def _register(text: str) -> str:
    if text not in REGISTERS:
        raise ValueError(f"{text!r} is no register; known: {', '.join(REGISTERS)}")
    return text


def _places(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most):
            raise ValueError(f"{text!r}: a whole number from {least} to {most} is wanted")
        return int(text)

    return read


def _ratio(text: str) -> Decimal:
    ratio = typed_number(text)
    if ratio <= 0:
        raise ValueError(f"{text!r}: more than 0 is wanted")
    return ratio


def _losses(text: str) -> Decimal:
    losses = typed_number(text)
    if not -1 < losses < 1:
        raise ValueError(f"{text!r}: a fraction is wanted, 0.05 for 5 %")
    return losses


def _period(text: str) -> str:
    try:
        month(text)
    except ValueError:
        raise ValueError(f"{text!r} is no period: YYYY-MM is wanted") from None
    return text


def _open(text: str) -> bool:
    if text.lower() not in _YES + _NO:
        raise ValueError(f"{text!r}: true or false is wanted")
    return text.lower() in _YES


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day: YYYY-MM-DD is wanted") from None


def _service(text: str) -> str:
    if text not in SERVICES:
        raise ValueError(f"{text!r} is no service; known: {', '.join(SERVICES)}")
    return text


def _title(text: str) -> str:
    if len(text) > 500 or not text.isprintable():
        raise ValueError("longer than 500 characters, or not all of it can be printed")
    return text


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "agreement": text_code,
    "party": _title,
    "location": text_code,
    "location_name": _title,
    "point": text_code,
    "point_name": _title,
    "meter": text_code,
    "register": _register,
    "digits": _places(1, 15),
    "decimals": _places(0, 6),
    "party_code": text_code,
    "party_window_day": _places(1, 31),
    "window_day": _places(1, 31),
    "service": _service,
    "since": _date,
    "ratio": _ratio,
    "ratio_voltage": _ratio,
    "losses": _losses,
    "losses_constant": typed_number,
    "model": _title,
    "installed_on": _date,
    "removed_on": _date,
    "verify_by": _date,
    "entry_open": _open,
    "last": typed_number,
    "last_period": _period,
}
