"""Hours and days as people write them along the edges of a table, and the local days that have not 24 hours."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.windows import shift
from gateway.mapping.cells import Cell

HOURS: Final = tuple(f"{hour:02}-{hour + 1:02}" for hour in range(24))
"""The hours of a day as the legal-entity manual, 5.3.1, writes them: the value of «23-24» ends at midnight."""

_DASH: Final = r"\s*[-‐‑‒–—−]\s*"
_MARK: Final = r"\s*([*aAbBаАбБвВ]?)"
_range: Final = re.compile(rf"([0-9]{{1,2}})(?::00)?{_DASH}([0-9]{{1,2}})(?::00)?{_MARK}").fullmatch
_clock: Final = re.compile(r"([0-9]{1,2}):00(?::00)?").fullmatch
_bare: Final = re.compile(rf"([0-9]{{1,2}}){_MARK}").fullmatch
_numbers: Final = re.compile(r"([0-9]{1,2})[./-]([0-9]{1,2})[./-]([0-9]{4}|[0-9]{2})(?:\s*г\.?)?(?:\s+0?0:00(?::00)?)?").fullmatch
_iso: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[T ]00:00(?::00)?)?").fullmatch
_BLANKS: Final = " \t\r\n\u00a0\u2007\u2009\u202f"
_LONGEST: Final = 24
_EPOCH: Final = date(1899, 12, 30)
_FIRST_SERIAL, _LAST_SERIAL = 36_526, 73_050
"""The days from 2000 to 2099 as the numbers by which a sheet counts them."""
_OF_1904: Final = timedelta(days=1462)


class Label(msgspec.Struct, frozen=True, gc=False):
    """A label of the hour that begins at `hour`: 0 to 23.

    `mark`: `*` for the second of two equal hours in autumn, `A` or `B` for a bare number with a letter (`2А`, `2Б`), which counts either
    the hour's beginning or its end. `number`: written as nothing but a number, as values are too.
    """

    hour: int
    mark: str = ""
    number: bool = False


def hour(cell: Cell) -> Label | None:
    """Read a label of an hour: a range, or else the instant at which the hour ends. None when it is no such label.

    `0-1`, `00-01`, `00:00–01:00`, `6`, `6:00`, a time of day, `24:00` and `00:00` for the last hour, `02-03*`, `2А`, and the date that a
    spreadsheet makes of `1-2` (1 February, or 2 January where months come first).
    """
    if isinstance(cell, str):
        return _text_hour(cell.strip(_BLANKS)) if len(cell) <= _LONGEST else None
    if isinstance(cell, (float, int)):
        return Label(int(cell) - 1, number=True) if cell in _ENDS and not isinstance(cell, bool) else None
    if isinstance(cell, date) and (not isinstance(cell, datetime) or cell.time() == time()):
        return Label(min(cell.day, cell.month)) if abs(cell.day - cell.month) == 1 and cell.year >= _NO_YEAR else _no_date(cell)
    if isinstance(cell, timedelta):
        return _ending(round(cell.total_seconds()))
    clock = cell.time() if isinstance(cell, datetime) else cell
    return _ending(round(clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6))


def _no_date(cell: date) -> Label | None:
    return Label(23) if cell.year < _NO_YEAR else None


_ENDS: Final = frozenset(range(1, 25))
_NO_YEAR: Final = 1905
"""Both countings of days, from 1900 and from 1904, give 24:00 a date before this year."""


@lru_cache(maxsize=1024)
def _text_hour(text: str) -> Label | None:
    if found := _range(text):
        start, end = int(found[1]), int(found[2]) or 24
        if end != start + 1 or end > 24:
            return None
        return Label(start, "*" if _mark(found[3]) in ("*", "B") else "")
    if found := _clock(text):
        return _ending(int(found[1]) * 3600)
    if found := _bare(text):
        number, mark = int(found[1]), _mark(found[2])
        if mark in ("A", "B") and number <= 24:
            return Label(number, mark)
        return Label(number - 1, mark, number=not mark) if number in _ENDS else None
    return None


def _mark(written: str) -> str:
    return written if written in ("", "*") else "A" if written in "aAаА" else "B"


def _ending(seconds: int) -> Label | None:
    whole, rest = divmod(seconds, 3600)
    return Label((whole or 24) - 1) if not rest and whole <= 24 else None


def day(cell: Cell) -> date | None:
    """Read a label of a day: a date, a text (`01.02.2021`, `1.2.21`, `2021-02-01`) or the bare number by which a sheet counts days."""
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    if isinstance(cell, str):
        return _text_day(cell.strip(_BLANKS)) if len(cell) <= _LONGEST else None
    if isinstance(cell, float) and _FIRST_SERIAL <= cell < _LAST_SERIAL and cell == int(cell):
        return _EPOCH + timedelta(days=int(cell))
    return None


def day_of_1904(cell: Cell, found: date) -> date:
    """What a day's label means when its sheet counts days from 1904, as far as that can make a difference: in a bare number."""
    return found + _OF_1904 if isinstance(cell, float) else found


@lru_cache(maxsize=1024)
def _text_day(text: str) -> date | None:
    if found := _numbers(text):
        number, month, year = (int(part) for part in found.groups())
    elif found := _iso(text):
        year, month, number = (int(part) for part in found.groups())
    else:
        return None
    try:
        return date(year + 2000 if year < 100 else year, month, number)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def odd_days(zone: str, first: date) -> dict[date, tuple[int, int]]:
    """The days of the month beginning on `first` that have not 24 hours, each with the hour that it lacks (-1) or has twice (1)."""
    here, found = ZoneInfo(zone), {}
    for number in range((shift(first, 1) - first).days):
        one = first + timedelta(days=number)
        start, end = (datetime.combine(edge, time(), here).astimezone(UTC) for edge in (one, one + timedelta(days=1)))
        change = int((end - start).total_seconds()) // 3600 - 24
        if change in (-1, 1):
            walls = [(start + timedelta(hours=hours)).astimezone(here).hour for hours in range(24 + change)]
            odd = set(range(24)) - set(walls) if change < 0 else {wall for wall in walls if walls.count(wall) > 1}
            found[one] = (odd.pop(), change)
    return found
