"""The moments of an archive's rows: dates and hours as devices write them, and the places in blocks that they come to."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.intervals import MINUTES, expected
from gateway.domain.readings import Step
from gateway.mapping.cells import CellError, Written
from gateway.mapping.crosswalk import fold
from gateway.mapping.months import MONTHS

MISSING: Final = -1
"""Place of an interval that no row tells of."""

_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet's serial dates know no zone
_SERIALS: Final = (32_874, 109_575)
"""Serial numbers of the years from 1990 to 2199."""
_YEARS: Final = range(1990, 2200)
_dotted: Final = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})").match
_iso: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})").match
_month: Final = re.compile(r"(\d{1,2})[./-](\d{4})").fullmatch
_iso_month: Final = re.compile(r"(\d{4})-(\d{1,2})").fullmatch
_named: Final = re.compile(r"([^\W\d]+)\.?\s+(\d{4})(?:\s*(?:г|р)\.?)?").fullmatch
_behind: Final = re.compile(r"[Tt,;\s]++(\S.*)").fullmatch
_hour: Final = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(?::(\d{2})(?:\.\d+)?)?").fullmatch
_range: Final = re.compile(r"(\d{1,2})(?::00)?\s*[-–—]\s*(\d{1,2})(?::00)?").fullmatch
_half: Final = re.compile(r"(\d{1,2})[:.](00|30)\s*[-–—]\s*(\d{1,2})[:.](00|30)").fullmatch
_DAY: Final = 1440


class Clock(msgspec.Struct, frozen=True):
    """An hour as it is written, 0 to 24. `whole`: both ends are written, so that it is known to be the beginning.

    `half`: it is half past. `short`: the ends that are written are half an hour apart.
    """

    hour: int
    whole: bool = False
    half: bool = False
    short: bool = False


class Day(msgspec.Struct, frozen=True):
    """A date as it is written, with the hour that stands in the same cell. `month`: only the month is told."""

    day: date
    clock: Clock | None = None
    month: bool = False


class Moment(msgspec.Struct, frozen=True, gc=False):
    """The moment of a row as it is written. `told`: an hour is written at all; `whole`: both of its ends are; `month`: no day is.

    `half`, `short`: as in a Clock.
    """

    day: date
    hour: int = 0
    told: bool = False
    whole: bool = False
    month: bool = False
    half: bool = False
    short: bool = False

    @property
    def minutes(self) -> int:
        """Minutes since midnight, 0 to 1440."""
        return self.hour * 60 + self.half * 30

    def fits(self, step: Step) -> bool:
        """Whether an interval of this step may begin or end at the moment."""
        if step is Step.HOUR:
            return not (self.half or self.short)
        return step is not Step.HALF_HOUR or self.short or not self.whole

    def label(self, step: Step) -> str:
        """The moment as people are told of it."""
        if step is Step.MONTH:
            return f"{self.day:%Y-%m}"
        return f"{self.day} {self.hour:02}:{self.half * 30:02}" if step in MINUTES else self.day.isoformat()

    def instant(self, zone: str) -> datetime:
        """The moment itself, in UTC."""
        clock = time(self.hour % 24, self.half * 30)
        return datetime.combine(self.day + timedelta(days=self.hour // 24), clock, ZoneInfo(zone)).astimezone(UTC)


in_time: Final = attrgetter("day", "hour", "half")
"""By this moments are in order."""


class Placed(msgspec.Struct, frozen=True):
    """Rows in their blocks. `blocks`: first day of each -> the row of every interval, MISSING where there is none.

    `twice`: rows of an interval that has one already; `nowhere`: rows of an hour that the day does not have when clocks are put forward.
    """

    blocks: dict[date, list[int]]
    twice: list[int]
    nowhere: list[int]


def moment(day: Day | CellError, clock: Clock | CellError | None) -> Moment | CellError:
    """What the cells of a row say together; the hour of its own column outranks the one beside the date."""
    if isinstance(day, CellError):
        return day
    if isinstance(clock, CellError):
        return clock
    hour = clock or day.clock
    if hour is None:
        return Moment(day.day, month=day.month)
    return Moment(day.day, hour.hour, told=True, whole=hour.whole, half=hour.half, short=hour.short)


def read_day(cell: Written, *, halves: bool = False) -> Day | CellError:
    """The date of a cell: a date, a serial number, `01.10.2026`, `2026-10-01`, `октябрь 2026`, each with an hour or without.

    `halves`: the hour may be half past.
    """
    try:
        found = _day(cell, halves)
    except CellError as error:
        return error
    except (ValueError, OverflowError):
        found = None
    return found if found is not None and found.day.year in _YEARS else CellError("moment_invalid", cell)


def read_clock(cell: Written, *, halves: bool = False) -> Clock | CellError | None:
    """The hour of a cell, None for an empty one: a time, a number from 0 to 24, `01:00`, `23-24`; with `halves` `01:30`, `1:00-1:30`."""
    try:
        return _clock(cell, halves)
    except CellError as error:
        return error


def step_of(moments: Sequence[Moment]) -> Step | None:
    """The step that the distances of moments tell; None when there is one moment only and it says neither hour nor month.

    A few halves among many hours are mistakes, and do not make a table one of half-hours.
    """
    if any(one.month for one in moments):
        return Step.MONTH
    if 3 * sum(one.half or one.short for one in moments) > len(moments):
        return Step.HALF_HOUR
    if any(one.whole or one.hour not in (0, 24) for one in moments):
        return Step.HOUR
    days = sorted({one.day for one in moments})
    if len(days) < 2:
        return None
    far = all((second - first).days >= 28 and second.month != first.month for first, second in pairwise(days))
    return Step.MONTH if far else Step.DAY


def labels(moments: Iterable[Moment]) -> frozenset[int]:
    """Which of the hours occur that only a beginning (0) or only an end (24) can be."""
    return frozenset({one.hour for one in moments if not (one.whole or one.half)}) & {0, 24}


def at_ends(moments: Sequence[Moment], others: frozenset[int], step: Step = Step.HOUR) -> bool | None:
    """Whether these hours are the ends of their intervals; None when their labels do not tell. `others`: labels of the whole table.

    By default an hour is the beginning, 00:00 to 23:00. It is the end where 24:00 occurs, or where the hours go from 01:00, half-hours
    from 00:30, to 00:00 of a later day and no further.
    """
    if all(one.whole for one in moments):
        return False
    own = labels(moments) or others
    if len(own) != 1:
        return None
    first, last = min(moments, key=in_time), max(moments, key=in_time)
    return 24 in own or (first.minutes == MINUTES[step] and last.minutes == 0 and last.day > first.day)


def place_hours(
    rows: Iterable[int], moments: Mapping[int, Moment] | Sequence[Moment], zone: str, *, ends: bool, step: Step = Step.HOUR
) -> Placed:
    """Put hourly rows into local days; the hour that comes twice in autumn is taken twice, in the order of the rows.

    `step`: hours or half-hours.
    """
    placed, length = Placed({}, [], []), MINUTES[step]
    regular = _DAY // length
    for row in rows:
        one = moments[row]
        day, minutes = one.day, one.hour * 60 + one.half * 30
        if ends and not one.whole:
            day, minutes = (day, minutes - length) if minutes else (day - timedelta(days=1), _DAY - length)
        slots = placed.blocks.get(day)
        if slots is None:
            slots = placed.blocks[day] = [MISSING] * expected(step, day, zone)
        index = minutes // length
        if len(slots) == regular and slots[index] == MISSING:
            slots[index] = row
            continue
        places = [index for index, other in enumerate(_walls(day, zone, length)) if other == minutes]
        free = next((index for index in places if slots[index] == MISSING), None)
        if free is not None:
            slots[free] = row
        else:
            (placed.twice if places else placed.nowhere).append(row)
    return placed


def place_days(rows: Iterable[int], moments: Mapping[int, Moment] | Sequence[Moment], step: Step, zone: str) -> Placed:
    """Put daily rows into months, monthly rows into years."""
    placed = Placed({}, [], [])
    for row in rows:
        told = moments[row].day
        day, index = (told.replace(day=1), told.day - 1) if step is Step.DAY else (date(told.year, 1, 1), told.month - 1)
        slots = placed.blocks.setdefault(day, [MISSING] * expected(step, day, zone))
        if slots[index] == MISSING:
            slots[index] = row
        else:
            placed.twice.append(row)
    return placed


def gaps(blocks: dict[date, list[int]], step: Step, zone: str) -> list[tuple[str, str, int]]:
    """Runs of intervals without a row between the first and the last that have one: beginning of the first, of the last, how many."""
    days = sorted(blocks)
    starts = [_start(day, step, zone) for day in days]
    there = [start + index for start, day in zip(starts, days, strict=True) for index, row in enumerate(blocks[day]) if row != MISSING]
    if not there or len(there) == there[-1] - there[0] + 1:
        return []
    runs = [(before + 1, after - 1) for before, after in pairwise(there) if after - before > 1]
    return [(_label(first, step, zone), _label(last, step, zone), last - first + 1) for first, last in runs]


@lru_cache(maxsize=4096)
def _start(day: date, step: Step, zone: str) -> int:
    """The number of a block's first interval in the count of all intervals of its step."""
    if step is Step.HOUR:
        return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) // 3600
    return day.toordinal() if step is Step.DAY else day.year * 12


def _label(number: int, step: Step, zone: str) -> str:
    if step is Step.HOUR:
        here = datetime.fromtimestamp(number * 3600 + 1800, ZoneInfo(zone))
        return f"{here:%Y-%m-%d %H:00}"
    return date.fromordinal(number).isoformat() if step is Step.DAY else f"{number // 12}-{number % 12 + 1:02}"


def hours(day: date, zone: str) -> tuple[int, ...]:
    """The hours of a local day as its clock shows them, one of them left out or twice where clocks are changed."""
    return tuple(minutes // 60 for minutes in _walls(day, zone, 60))


@lru_cache(maxsize=4096)
def _walls(day: date, zone: str, length: int) -> tuple[int, ...]:
    """The beginnings of a local day's intervals in minutes as its clock shows them."""
    here = ZoneInfo(zone)
    start = datetime.combine(day, time(), here).timestamp()
    count = expected(Step.HOUR, day, zone) * 60 // length
    shown = (datetime.fromtimestamp(start + 60 * length * n, here) for n in range(count))
    return tuple(one.hour * 60 + one.minute for one in shown)


def _day(cell: Written, halves: bool) -> Day | None:  # noqa: FBT001 - handed on as it was told
    if isinstance(cell, CellError):
        raise cell
    if isinstance(cell, str):
        return _written_day(cell.strip(), halves)
    if isinstance(cell, (int, float)) and not isinstance(cell, bool) and _SERIALS[0] <= cell <= _SERIALS[1]:
        moment = _EPOCH + timedelta(days=cell)
        return Day(moment.date()) if cell == int(cell) else _moment(moment, halves)
    if isinstance(cell, datetime):
        return _moment(cell, halves)
    return Day(cell) if isinstance(cell, date) else None


def _moment(moment: datetime, halves: bool) -> Day | None:  # noqa: FBT001 - as above
    """A date with an hour; sheets keep it as a fraction, so it may be some milliseconds off."""
    near = moment + timedelta(seconds=30)
    return Day(near.date(), Clock(near.hour, half=near.minute == 30)) if near.minute == 0 or (halves and near.minute == 30) else None


def _written_day(text: str, halves: bool) -> Day | None:  # noqa: FBT001 - as above
    if found := _dotted(text):
        day, month, year = (int(part) for part in found.groups())
        year += 0 if year > 99 else 2000
    elif found := _iso(text):
        year, month, day = (int(part) for part in found.groups())
    else:
        return _written_month(text)
    behind = text[found.end() :].strip().removesuffix("г.").removesuffix("р.")
    if not behind:
        return Day(date(year, month, day))
    clock = _behind(text[found.end() :])
    return Day(date(year, month, day), _clock(clock[1], halves)) if clock else None


def _written_month(text: str) -> Day | None:
    if found := _month(text):
        return Day(date(int(found[2]), int(found[1]), 1), month=True)
    if found := _iso_month(text):
        return Day(date(int(found[1]), int(found[2]), 1), month=True)
    found = _named(text)
    number = MONTHS.get(fold(found[1])) if found else None
    return Day(date(int(found[2]), number, 1), month=True) if found and number else None


def _clock(cell: Written, halves: bool) -> Clock | None:  # noqa: FBT001 - as above
    if isinstance(cell, CellError):
        raise cell
    if isinstance(cell, str):
        return _written_clock(cell.strip(), cell, halves)
    minutes = -1
    if isinstance(cell, datetime | time):
        minutes = round(cell.hour * 60 + cell.minute + cell.second / 60 + cell.microsecond / 6e7)
    elif isinstance(cell, date) and cell.month == cell.day + 1:  # a sheet takes `1-2` for the first of February
        return Clock(cell.day, whole=True)
    elif isinstance(cell, timedelta):
        minutes = round(cell.total_seconds() / 60)
    elif isinstance(cell, (int, float)) and not isinstance(cell, bool):
        minutes = round(cell * 1440) if 0 < cell < 1 else int(cell) * 60 if cell == int(cell) else -1
    if minutes % (30 if halves else 60) or not 0 <= minutes <= _DAY:
        raise CellError("moment_invalid", cell)
    return Clock(minutes // 60, half=minutes % 60 == 30)


def _written_clock(text: str, cell: Written, halves: bool) -> Clock | None:  # noqa: FBT001 - as above
    if not text:
        return None
    if halves and (found := _half(text)):
        start, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
        if start < _DAY and ((end or _DAY) == start + 30):
            return Clock(start // 60, whole=True, half=start % 60 == 30, short=True)
    if (found := _range(text)) and (int(found[2]) == int(found[1]) + 1 <= 24 or (int(found[1]), int(found[2])) == (23, 0)):
        return Clock(int(found[1]), whole=True)
    found = _hour(text)
    if found is None or int(found[1]) > 24 or int(found[2] or 0) not in ((0, 30) if halves else (0,)) or int(found[3] or 0):
        raise CellError("moment_invalid", cell)
    if found[2] == "30" and found[1] == "24":
        raise CellError("moment_invalid", cell)
    return Clock(int(found[1]), half=found[2] == "30")
