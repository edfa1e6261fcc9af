"""When interval values may be believed: the rules about blocks of them (product.md V-09, V-10, V-15, V-21, V-25, V-26)."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import groupby, islice
from operator import eq
from typing import Final

from gateway.domain.cases import Case, Objection, Rule, allowed, exactly, text
from gateway.domain.intervals import MINUTES, exact_sum, expected, total, within
from gateway.domain.problems import Severity
from gateway.domain.readings import EXACT, REGISTERS, WHOLE, IntervalBlock, Quantity, Step, Unit, consumption
from gateway.domain.supply import Register
from gateway.domain.windows import days_in, local_day, month

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_HOURS: Final = 24
_TELLING: Final = 4
"""A day of so many different values does not come twice by chance; one of lamps that are on or off does."""
_NEAR: Final = 1e-9
"""By which share a first look in floats may err, and never does: what it lets through is judged exactly."""

_Dials = tuple[Decimal, Decimal, int]
"""What the dials of a quantity advanced, one unit of them, and how many they are."""


def interval_count_wrong(case: Case) -> Iterator[Objection]:
    """A block must have a value's place for every interval of its day, month or year: 23, 24 or 25 hours by the zone (V-10)."""
    for block in case.new.blocks:
        wanted = expected(block.step, block.day, case.profile.zone)
        if block.count != wanted:
            yield block.where, {"day": block.day.isoformat(), "count": str(block.count), "expected": str(wanted)}


def interval_negative(case: Case) -> Iterator[Objection]:
    """Amounts of electricity and water are never below zero; in the archive of a heat meter reverse flow and differences may be."""
    if not case.new.blocks or any(problem.code == interval_negative.__name__ for problem in case.new.problems):
        return
    for block in case.new.blocks:
        kind = REGISTERS.get(block.register)
        if kind is None or kind.unit is Unit.GCAL or "-" not in block.written:
            continue
        low = min((value for value in block.values if value is not None), default=_ZERO)
        if low < 0:
            yield block.where, {"value": text(low), "day": block.day.isoformat()}


def interval_missing(case: Case) -> Iterator[Objection]:
    """Intervals without a value: they are not counted as zero, so the amount of the period is too small (V-10)."""
    for code, blocks in case.amounts.items():
        lacking = [(block, missing) for block in blocks if (missing := block.missing)]
        if lacking:
            first = lacking[0][0]
            told = {"register": code, "count": str(sum(n for _, n in lacking)), "day": first.day.isoformat()}
            yield first.where, told


def interval_outside_period(case: Case) -> Iterator[Objection]:
    """Values outside the period are kept and not counted for it; heat reports may run from the 16th to the 15th."""
    if not case.period or not case.amounts:
        return
    first = month(case.period)
    for code, blocks in case.amounts.items():
        outside = [block for block in blocks if not within(block, first)]
        if outside:
            yield outside[0].where, {"register": code, "period": case.period, "day": outside[0].day.isoformat()}


def interval_in_future(case: Case) -> Iterator[Objection]:
    """A value of a day that has not begun when it came, in the utility's zone: nobody can have measured it (V-21); the first is told."""
    if not case.new.blocks:
        return
    last = local_day(case.arrival, case.timing.zone) + timedelta(days=case.profile.plausible.ahead)
    for block in case.new.blocks:
        if (day := _ahead(block, last)) is not None:
            yield block.where, {"register": block.register, "day": day.isoformat()}
            return


def intervals_differ(case: Case) -> Iterator[Objection]:
    """The interval values of a whole period do not come to what its dial advanced, both with ratio and losses (V-12).

    The dial is read beside them or was read for this period before; a file that holds a part of the period is not compared.
    """
    if not case.period or case.profile.reading.per_period == "many" or not (case.amounts or case.stored):
        return
    for code, where, interval, (integral, unit, count) in _wholes(case):
        if abs(EXACT.subtract(integral, interval)) > allowed(case.profile, integral, unit, count):
            told = {"register": code, "integral": text(integral), "interval": text(interval)}
            yield where, told | {"delta": text(EXACT.subtract(integral, interval)), "unit": text(unit)}


def interval_spike(case: Case) -> Iterator[Objection]:
    """The highest value of a day stands far above its third highest: a gap made good in one hour, or a typing error (V-09).

    (max - third) / third, over a day of values; a day whose third highest is zero has no such share. The highest spike is told.
    """
    limit = exactly(case.profile.plausible.spike)
    for code, blocks in case.profiles.items():
        spikes = [(*spike, block) for block in blocks if (spike := _spike(block.written, limit))]
        if spikes:
            share, high, block = max(spikes, key=lambda one: one[0])
            told = {"register": code, "value": text(high), "day": block.day.isoformat(), "count": str(len(spikes))}
            yield block.where, told | {"share": f"{share * 100:.0f}"}


def interval_flat(case: Case) -> Iterator[Objection]:
    """The same value, not zero, many times in a row, also over midnight: a mean put in for each hour, or a meter that hangs (V-15)."""
    length = case.profile.plausible.flat
    if length < 2:
        return
    for code, blocks in case.profiles.items():
        values = _in_a_row(blocks)
        found = _run(length).search(values) if _may_hang(values, length) else None
        if found is not None:
            block = _block_at(blocks, found.string.count(",", 0, found.start(1)))
            told = {"register": code, "value": text(Decimal(found[1])), "count": str(found[0].lstrip(",").count(",") + 1)}
            yield block.where, told | {"day": block.day.isoformat()}


def day_repeated(case: Case) -> Iterator[Objection]:
    """A day has the values of another day of the same file, one by one: a profile that was copied and not measured (V-25)."""
    for code, blocks in case.profiles.items():
        first: dict[str, IntervalBlock] = {}
        again = [(first[block.written], block) for block in blocks if first.setdefault(block.written, block) is not block]
        again = [(one, block) for one, block in again if len(set(block.written.split(","))) >= _TELLING]
        if again:
            one, block = again[0]
            told = {"register": code, "day": block.day.isoformat(), "other_day": one.day.isoformat(), "count": str(len(again))}
            yield block.where, told


def peak_dip(case: Case) -> Iterator[Objection]:
    """Less active energy in the hours in which power is charged than in the hour before them and in the hour after them (V-26).

    Each stretch of peak hours by itself: its mean hour over the working days that came whole, held against the lower of both hours around
    it over the same days. A load that only rises or falls through a stretch has no dip.
    """
    hours = case.profile.plausible.peak_hours
    if not hours or not case.profiles:
        return
    floor = EXACT.subtract(_ONE, exactly(case.profile.plausible.dip))
    for code, blocks in case.profiles.items():
        whole = [block for block in blocks if case.timing.calendar.works(block.day) and _is_regular(block)]
        if not whole or REGISTERS[code].quantity is not Quantity.ACTIVE_RECEIVED:
            continue
        for first, last in _may_dip(whole, _stretches(hours), float(floor)):
            around = min(_mean(whole, first - 1, first), _mean(whole, last + 1, last + 2))
            peak = _mean(whole, first, last + 1)
            if 0 <= peak < EXACT.multiply(around, floor):
                share = _ONE - peak / around
                told = {"register": code, "hours": f"{first:02}-{last + 1:02}", "share": f"{share * 100:.0f}"}
                yield whole[0].where, told | {"count": str(len(whole))}


RULES: Final[dict[Rule, Severity]] = {
    interval_count_wrong: Severity.ERROR,
    interval_negative: Severity.ERROR,
    interval_in_future: Severity.ERROR,
    interval_missing: Severity.WARNING,
    interval_outside_period: Severity.HINT,
    intervals_differ: Severity.WARNING,
    interval_spike: Severity.WARNING,
    interval_flat: Severity.WARNING,
    day_repeated: Severity.WARNING,
    peak_dip: Severity.WARNING,
}
"""Rules that a reading without blocks need not be asked about, with their own weights."""


def _wholes(case: Case) -> Iterator[tuple[str, str, Decimal, _Dials]]:
    """What interval values come to for the whole period with ratio and losses and without the constant part, beside its dials.

    By code, with its place; a code whose dials did not advance in the period, or that has no value for some of it, is not told.
    """
    meter = case.meter
    for code, blocks in case.amounts.items():
        dials = _dials(case, code) if code in REGISTERS else None
        if dials is not None and _is_whole(blocks, case.period, case.profile.zone):
            first = blocks[0]
            ratio = _ONE if first.ratio_applied else meter.ratio
            losses = _ZERO if first.losses_applied else meter.losses
            yield code, first.where, consumption(total(blocks, case.period) or _ZERO, _ZERO, ratio, losses), dials
    for (period, code), amount in case.stored.items():
        if period == case.period and code not in case.amounts and case.values and (dials := _dials(case, code)) is not None:
            yield code, case.new.where, EXACT.subtract(amount, meter.losses_constant if code == WHOLE else _ZERO), dials


def _is_whole(blocks: Sequence[IntervalBlock], period: str, zone: str) -> bool:
    """Whether there is a value for every interval of a period."""
    first, last = days_in(period)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    step = blocks[0].step
    daily = 1 if step is Step.DAY else 0
    wanted = 1 if step is Step.MONTH else sum(daily or expected(step, day, zone) for day in days)
    there = (within(block, first) for block in blocks)
    return sum(len(values) - values.count("") for values in there) == wanted


def _dials(case: Case, code: str) -> _Dials | None:
    """What the dials of a quantity advanced in the period, with ratio and losses, one unit of them, and how many they are.

    The register that runs round the clock, else all zones; None where one of them has no advance for this period.
    """
    kind = REGISTERS[code]
    own = [one for one in case.meter.registers if _of(one, kind.quantity, kind.circuit)]
    chosen = [one for one in own if one.code == code] or own
    read = {value.register.id: value for value in case.values}
    amounts: list[Decimal] = []
    for register in chosen:
        value = read.get(register.id)
        ratio, losses = case.meter.ratio, case.meter.losses
        if value is not None:
            before, now = value.previous, value.reading.value
            ratio = _ONE if value.reading.ratio_applied else ratio
            losses = _ZERO if value.reading.losses_applied else losses
        elif register.last_period == case.period:
            before, now = register.before, register.last or _ZERO
        else:
            return None
        if before is None:
            return None
        amounts.append(consumption(now, before, ratio, losses))
    if not amounts:
        return None
    step = _ONE.scaleb(-min(register.decimals for register in chosen))
    return exact_sum(amounts), consumption(step, _ZERO, case.meter.ratio, case.meter.losses), len(amounts)


def _of(register: Register, quantity: Quantity, circuit: int) -> bool:
    kind = REGISTERS[register.code]
    return kind.quantity is quantity and kind.circuit == circuit


def _ahead(block: IntervalBlock, today: date) -> date | None:
    """The first day after today for which the block has a value, for a block of months the first of such a month."""
    if block.step in MINUTES:
        return block.day if block.day > today and block.written.strip(",") else None
    if block.step is Step.DAY:
        begun, step = (today - block.day).days + 1, block.day
    else:
        begun, step = (today.year - block.day.year) * 12 + today.month - block.day.month + 1, block.day
    places = range(max(begun, 0), block.count)
    if not places:
        return None
    values = block.written.split(",")
    place = next((place for place in places if values[place]), None)
    if place is None:
        return None
    return step + timedelta(days=place) if block.step is Step.DAY else step.replace(month=place % 12 + 1)


def _spike(written: str, limit: Decimal) -> tuple[Decimal, Decimal] | None:
    """By which share the highest value exceeds the third highest, and the highest; None where that is within the limit."""
    told = list(filter(None, written.split(",")))
    rough = sorted(map(float, told))
    if len(rough) < 3 or rough[-3] <= 0 or rough[-1] - rough[-3] < rough[-3] * float(limit) * (1 - _NEAR):
        return None
    values = sorted(map(Decimal, told))
    excess = EXACT.subtract(values[-1], values[-3])
    return (excess / values[-3], values[-1]) if excess > EXACT.multiply(values[-3], limit) else None


@lru_cache(maxsize=16)
def _run(length: int) -> re.Pattern[str]:
    """So many equal texts in a row between commas, none of them a zero."""
    return re.compile(rf"(?:^|,)(?!-?0*\.?0*(?:,|$))([^,]++)(?:,\1(?=,|$)){{{length - 1},}}")


def _may_hang(values: str, length: int) -> bool:
    """Whether some value is the same as the one so many places on: a first look that costs no search."""
    told = values.split(",")
    return any(map(eq, told, islice(told, length - 1, None)))


def _in_a_row(blocks: Sequence[IntervalBlock]) -> str:
    """The values of these days in one text, with a place without a value where a day is missing."""
    parts: list[str] = []
    for before, block in zip((None, *blocks), blocks, strict=False):
        if before is not None and block.day - before.day != timedelta(days=1):
            parts.append("")
        parts.append(block.written)
    return ",".join(parts)


def _block_at(blocks: Sequence[IntervalBlock], place: int) -> IntervalBlock:
    """The block in which a place of `_in_a_row` lies."""
    end = 0
    for before, block in zip((None, *blocks), blocks, strict=False):
        end += block.count + (before is not None and block.day - before.day != timedelta(days=1))
        if place < end:
            return block
    return blocks[-1]


def _is_regular(block: IntervalBlock) -> bool:
    """Whether a day has 24 hours and a value for each of its intervals."""
    return block.count * MINUTES[block.step] == _HOURS * 60 and not block.missing


def _stretches(hours: Sequence[int]) -> list[tuple[int, int]]:
    """First and last hour of each run of hours that has an hour of the same day before it and one after it."""
    runs = [[hour for _, hour in group] for _, group in groupby(enumerate(sorted(set(hours))), lambda one: one[1] - one[0])]
    return [(run[0], run[-1]) for run in runs if run[0] > 0 and run[-1] < _HOURS - 1]


def _may_dip(blocks: Sequence[IntervalBlock], stretches: Sequence[tuple[int, int]], floor: float) -> list[tuple[int, int]]:
    """The stretches of hours whose mean may lie so far below the hours around it."""
    each = 60 // MINUTES[blocks[0].step]
    sums = list(map(sum, zip(*(map(float, block.written.split(",")) for block in blocks), strict=True)))

    def mean(first: int, end: int) -> float:
        return sum(sums[first * each : end * each]) / (end - first)

    return [
        (first, last)
        for first, last in stretches
        if mean(first, last + 1) <= min(mean(first - 1, first), mean(last + 1, last + 2)) * floor * (1 + _NEAR)
    ]


def _mean(blocks: Sequence[IntervalBlock], first: int, end: int) -> Decimal:
    """The mean hour from one hour of the day to another, over these days."""
    each = 60 // MINUTES[blocks[0].step]
    amount = exact_sum(Decimal(value) for block in blocks for value in block.written.split(",")[first * each : end * each])
    return amount / (len(blocks) * (end - first))
