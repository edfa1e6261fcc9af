"""What interval values come to: how many a block must hold, and what they add up to for a period."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.readings import INTERVALS, REGISTERS, Aggregation, IntervalBlock, Step
from gateway.domain.windows import month, shift

MINUTES: Final = {Step.QUARTER: 15, Step.HALF_HOUR: 30, Step.HOUR: 60}
"""Steps whose block is a local day."""
_COARSE_FIRST: Final = (Step.MONTH, Step.DAY, Step.HOUR, Step.HALF_HOUR, Step.QUARTER)
_DIGITS: Final = 60
"""Enough for a sum of any values that a gate lets in: nothing is rounded."""


@lru_cache(maxsize=4096)
def expected(step: Step, day: date, zone: str) -> int:
    """How many values a block that begins on `day` has: 23, 24 or 25 hours, 28 to 31 days, 12 months; 0 when none begins there."""
    if step in MINUTES:
        here = ZoneInfo(zone)
        start, end = (datetime.combine(one, time(), here) for one in (day, day + timedelta(days=1)))
        return int((end.timestamp() - start.timestamp()) // 60) // MINUTES[step]
    if step is Step.DAY:
        return (shift(day, 1) - day).days if day.day == 1 else 0
    return 12 if (day.month, day.day) == (1, 1) else 0


def spans(block: IntervalBlock, zone: str) -> Iterator[tuple[datetime, datetime]]:
    """Beginning and end of each interval of a block, in its zone: hours by the clock that runs on, days and months by the calendar."""
    here = ZoneInfo(zone)
    if block.step in MINUTES:
        begins, step = datetime.combine(block.day, time(), here).astimezone(UTC), timedelta(minutes=MINUTES[block.step])
        edges = [(begins + number * step).astimezone(here) for number in range(block.count + 1)]
    else:
        days = (shift(block.day, n) if block.step is Step.MONTH else block.day + timedelta(days=n) for n in range(block.count + 1))
        edges = [datetime.combine(day, time(), here) for day in days]
    yield from pairwise(edges)


def within(block: IntervalBlock, first: date) -> Sequence[str]:
    """The values of a block that lie in the month beginning on `first`, as written; an empty text where there is none."""
    day = block.day
    if day.year != first.year or (block.step is not Step.MONTH and day.month != first.month):
        return ()
    values = block.written.split(",")
    return values[first.month - 1 : first.month] if block.step is Step.MONTH else values


def holds(block: IntervalBlock, first: date, last: date) -> bool:
    """Whether a block has a value of any day from `first` to `last`; a value of a month is one of each of its days."""
    if block.step in MINUTES:
        return first <= block.day <= last and bool(block.written.strip(","))
    if block.step is Step.DAY:
        begin, end = (first - block.day).days, (last - block.day).days
    else:
        begin, end = ((day.year - block.day.year) * 12 + day.month - block.day.month for day in (first, last))
    return any(block.written.split(",")[max(begin, 0) : max(end + 1, 0)])


def amounts(blocks: Iterable[IntervalBlock]) -> dict[str, list[IntervalBlock]]:
    """The blocks that make up a period's amount, by code: only of codes whose values may be added up, each in its coarsest step.

    A file that holds hours and days of one register says the same amount twice; the days are what its meter itself summed up.
    """
    found: dict[str, dict[Step, list[IntervalBlock]]] = {}
    for block in blocks:
        kind = INTERVALS.get(block.register)
        if kind is not None and kind.aggregation is Aggregation.SUM:
            found.setdefault(block.register, {}).setdefault(block.step, []).append(block)
    return {code: next(steps[step] for step in _COARSE_FIRST if step in steps) for code, steps in found.items()}


def profiles(blocks: Iterable[IntervalBlock]) -> dict[str, list[IntervalBlock]]:
    """The blocks of days of what is billed (electricity, water, heat) by code, in the order of their days, each code in its finest step."""
    found: dict[str, dict[Step, list[IntervalBlock]]] = {}
    for block in blocks:
        if block.step in MINUTES and block.register in REGISTERS and block.register in INTERVALS:
            found.setdefault(block.register, {}).setdefault(block.step, []).append(block)
    finest = {code: steps[min(steps, key=MINUTES.__getitem__)] for code, steps in found.items()}
    return {code: sorted(days, key=lambda block: block.day) for code, days in finest.items()}


def total(blocks: Iterable[IntervalBlock], period: str) -> Decimal | None:
    """The exact sum of the values that lie in a period (`YYYY-MM`), None when not one does."""
    first = month(period)
    values = [value for block in blocks for value in within(block, first) if value]
    return exact_sum(map(Decimal, values)) if values else None


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """Add up without rounding."""
    with localcontext(prec=_DIGITS):
        return sum(values, Decimal(0))
