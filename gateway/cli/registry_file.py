"""Reads a registry file: CSV whose columns are the fields of `gateway.store.supply.Line`, with every problem at its line."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway import texts
from gateway.domain.problems import Misconfigured
from gateway.domain.profile import SERVICES
from gateway.domain.readings import REGISTERS
from gateway.domain.supply import key
from gateway.domain.windows import month
from gateway.mapping.cells import CellError, text_code, typed_number
from gateway.store.supply import Line

REQUIRED: Final = ("agreement", "point", "meter", "register", "digits")
LONGEST: Final = 64 * 1024 * 1024
_YES, _NO = ("true", "1", "yes", "y", "да", "так"), ("false", "0", "no", "n", "нет", "ні")


class Trouble(NamedTuple):
    """What is wrong at a line of the file; line 1 is the header."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        """As it is printed."""
        return f"line {self.line}, {self.column}: {self.text}" if self.column else f"line {self.line}: {self.text}"


def read_registry(path: Path) -> tuple[list[Line], list[Trouble]]:
    """Read every row, and say all that is wrong at once. Raises Misconfigured when it is no such file at all."""
    if path.stat().st_size > LONGEST:
        raise Misconfigured(f"{path}: longer than {LONGEST // 1024 // 1024} MiB: bring it in parts")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: not UTF-8 (byte {error.start}): save it as CSV UTF-8") from error
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(";\t,", key=head.count), strict=True)
    lines: list[tuple[int, Line]] = []
    troubles: list[Trouble] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_header(path, names)
        before = reader.line_num
        for cells in reader:
            number, before = before + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                found = _line(number, names, cells)
                if isinstance(found, Line):
                    lines.append((number, found))
                else:
                    troubles += found
    except csv.Error as error:
        troubles.append(Trouble(reader.line_num, "", f"no CSV: {error}"))
    troubles += _contradictions(lines)
    if not lines and not troubles:
        troubles.append(Trouble(1, "", "there is no row below the header"))
    return [line for _, line in lines], sorted(troubles)


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


def _contradictions(lines: list[tuple[int, Line]]) -> Iterator[Trouble]:
    """Lines that say different things of the same agreement, point or meter, or name a register twice."""
    first: dict[tuple[str, ...], tuple[int, Line]] = {}
    groups = (
        (("agreement",), ("party", "party_code", "window_day")),
        (("party_code",), ("party", "party_window_day")),
        (("agreement", "location"), ("location_name",)),
        (("agreement", "point"), ("point_name", "location", "service")),
        (("agreement", "point", "since"), ("ratio", "ratio_voltage", "losses", "losses_constant")),
        (("agreement", "point", "meter"), ("entry_open", "model", "installed_on", "removed_on", "verify_by")),
    )
    for number, line in lines:
        for names, told in groups:
            told_apart = [str(getattr(line, name) or "") for name in names]
            if not any(told_apart):
                continue
            place = (names[-1], *(key(value) if value else "" for value in told_apart))
            earlier, other = first.setdefault(place, (number, line))
            for name in told:
                if getattr(other, name) != getattr(line, name):
                    yield Trouble(number, name, f"differs from line {earlier}, which is about the same {names[-1]}")
        place = ("register", key(line.agreement), key(line.point), key(line.meter), line.register)
        earlier, _ = first.setdefault(place, (number, line))
        if earlier != number:
            yield Trouble(number, "register", f"{line.register} of this meter stands in line {earlier} already")


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
