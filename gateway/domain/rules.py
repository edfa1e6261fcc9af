"""When a reading may be believed: one pure function per rule, its name is the problem's code (product.md V-01..V-16)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

import msgspec

from gateway.domain import belief
from gateway.domain.intervals import expected, within
from gateway.domain.problems import Problem, Severity
from gateway.domain.profile import Profile
from gateway.domain.readings import EXACT, REGISTERS, WHOLE, IntervalBlock, MeterReading, Quality, Reading, Unit, consumption
from gateway.domain.sources import UNTOLD, Told
from gateway.domain.supply import Meter, Register
from gateway.domain.windows import CutOff, Timing, bounds, day_read, local_day, month, next_after, open_on, opening, period_of


class Value(msgspec.Struct, frozen=True, gc=False):
    """One reading beside its register.

    `known`: the value that stood before it as the registry knows it. `previous`: the one it is compared with, which the sender
    may declare. `consumption`: what both imply, below zero for a value that went backwards. None: not known.
    """

    reading: Reading
    register: Register
    known: Decimal | None
    previous: Decimal | None
    consumption: Decimal | None


class Case(msgspec.Struct, frozen=True, gc=False):
    """All that the rules may look at: what came, the meter it is about, its period (empty: not settled), and when it came.

    `timing`: when its readings are taken. `amounts`: the blocks that make up the period's amounts, by code. `told`: who read the meter.
    """

    new: MeterReading
    meter: Meter
    values: tuple[Value, ...]
    period: str
    at: datetime
    arrival: datetime
    profile: Profile
    timing: Timing
    amounts: Mapping[str, Sequence[IntervalBlock]] = {}
    told: Told = UNTOLD


_NO_VALUE: Final = (Quality.MISSING, Quality.NO_READ)
Objection = tuple[str, dict[str, str]]
Rule = Callable[[Case], Iterator[Objection]]


def entry_closed(case: Case) -> Iterator[Objection]:
    """Billing lets no reading in for this object or meter: any status but «Ожидание» (F-046)."""
    if not case.meter.entry_open and not case.told.unbound:
        yield case.new.where, {"meter": case.meter.serial}


def period_closed(case: Case) -> Iterator[Objection]:
    """Billing has closed the period: values stay open only until then (F-052)."""
    if case.period and case.period <= case.meter.closed and not case.told.known_to_billing:
        yield case.new.where, {"period": case.period, "meter": case.meter.serial}


def meter_removed(case: Case) -> Iterator[Objection]:
    """The meter was exchanged before the reading was taken: its final reading was its last (V-01)."""
    if case.meter.removed_on is not None and day_read(case.at, case.timing.zone) > case.meter.removed_on:
        yield case.new.where, {"meter": case.meter.serial, "day": case.meter.removed_on.isoformat()}


def meter_not_installed(case: Case) -> Iterator[Objection]:
    """The meter did not hang there yet when the reading was taken (V-01)."""
    if case.meter.installed_on is not None and day_read(case.at, case.timing.zone) < case.meter.installed_on:
        yield case.new.where, {"meter": case.meter.serial, "day": case.meter.installed_on.isoformat()}


def verification_expired(case: Case) -> Iterator[Objection]:
    """The meter ought to have been verified before the reading was taken; whether it counts is the utility's word (V-18, F-030, F-033)."""
    if case.meter.verify_by is not None and day_read(case.at, case.timing.zone) > case.meter.verify_by:
        yield case.new.where, {"meter": case.meter.serial, "day": case.meter.verify_by.isoformat()}


def window_not_open(case: Case) -> Iterator[Objection]:
    """The reading came before the window of its period; arrival decides (V-03, F-057)."""
    if case.period and not case.told.unbound and case.arrival < bounds(case.timing, case.period)[0]:
        yield case.new.where, _window(case)


def window_closed(case: Case) -> Iterator[Objection]:
    """The reading came after the window of its period; arrival decides, and the period that takes it now is named (V-03, F-053)."""
    if case.period and not case.told.unbound and case.arrival >= bounds(case.timing, case.period)[1]:
        day = local_day(case.arrival, case.timing.zone)
        now = (*open_on(case.timing, day), next_after(case.timing, day))[0]
        told = {"next_period": now.period, "next_opens": now.first.isoformat(), "next_closes": now.last.isoformat()}
        yield case.new.where, _window(case) | told


def counted_later(case: Case) -> Iterator[Objection]:
    """The reading came after the cut-off day, so the next period takes it (household manual 4.2, F-042)."""
    if not isinstance(case.timing.window, CutOff) or case.told.unbound:
        return
    meant = case.new.period or period_of(case.arrival, case.timing.zone)
    if case.period > meant:
        yield case.new.where, {"period": meant, "closed": opening(case.timing, meant).last.isoformat(), "next_period": case.period}


def too_many_digits(case: Case) -> Iterator[Objection]:
    """The dial has fewer places before the point (V-02, F-030)."""
    for value in case.values:
        if value.reading.value.copy_abs() >= _span(case, value):
            yield value.reading.where, {"value": text(value.reading.value), "digits": str(value.register.digits)}


def too_many_decimals(case: Case) -> Iterator[Objection]:
    """The dial has fewer places after the point (V-02, F-062); a value that already contains ratio or losses is not read from it."""
    for value in case.values:
        if _finer(value.reading.value, value.register.decimals) and not (value.reading.ratio_applied or value.reading.losses_applied):
            yield value.reading.where, {"value": text(value.reading.value), "decimals": str(value.register.decimals)}


def value_missing(case: Case) -> Iterator[Objection]:
    """The sender says itself that there is no value: what stands in its place is nobody's reading."""
    for value in case.values:
        if value.reading.quality in _NO_VALUE:
            yield value.reading.where, {"register": value.register.code}


def value_negative(case: Case) -> Iterator[Objection]:
    """An integrating register never stands below zero."""
    for value in case.values:
        if value.reading.value < 0:
            yield value.reading.where, {"value": text(value.reading.value)}


def reading_decreased(case: Case) -> Iterator[Objection]:
    """The value stands below the last one and no roll-over explains it (V-04).

    GV-5: a cabinet read 444 -> 435 as a roll-over of six digits and printed 12 billion kWh; that reading is named here, never applied.
    """
    for value in case.values:
        if value.previous is not None and value.reading.value < value.previous and not _near_rollover(case, value, value.previous):
            yield value.reading.where, _backwards(case, value, value.previous)


def rollover_suspected(case: Case) -> Iterator[Objection]:
    """The last value stood in the top tenth of the dial and the new one in the bottom tenth: a person decides (V-05)."""
    for value in case.values:
        if value.previous is not None and value.reading.value < value.previous and _near_rollover(case, value, value.previous):
            yield value.reading.where, _backwards(case, value, value.previous)


def consumption_high(case: Case) -> Iterator[Objection]:
    """Many times the usual consumption of this register (V-07; GV-17: 450 -> 012441 was 144 million kWh)."""
    for value, advance, usual in _advances(case):
        if advance > EXACT.multiply(usual, Decimal(case.profile.plausible.high)):
            yield value.reading.where, _beside(case, value, advance, usual)


def consumption_low(case: Case) -> Iterator[Objection]:
    """A small part of the usual consumption of this register, but not none (V-07)."""
    for value, advance, usual in _advances(case):
        if 0 < advance < EXACT.multiply(usual, Decimal(case.profile.plausible.low)):
            yield value.reading.where, _beside(case, value, advance, usual)


def zero_consumption(case: Case) -> Iterator[Objection]:
    """Nothing was consumed since the last value (V-06; the household manual shows it accepted)."""
    for value in case.values:
        if value.previous is not None and value.reading.value == value.previous:
            yield value.reading.where, {"value": text(value.reading.value)}


def zone_missing(case: Case) -> Iterator[Objection]:
    """All zones and kinds of a meter must come together, otherwise nothing is passed (V-11, F-050).

    One that came but could not be read is told of at its own place and not missed here.
    """
    if not case.profile.reading.together or (case.new.blocks and not case.new.readings):
        return
    came = {value.register.id for value in case.values}
    for register in case.meter.registers:
        if register.id not in came and not any(problem.values.get("register") == register.code for problem in case.new.problems):
            yield case.new.where, {"register": register.code, "meter": case.meter.serial}


def previous_differs(case: Case) -> Iterator[Objection]:
    """The previous value that the sender declares is not the one the registry knows (F-055: it may be changed, but not unseen)."""
    for value in case.values:
        told = value.reading.previous
        if told is not None and value.known is not None and told != value.known:
            yield value.reading.where, {"value": text(told), "previous": text(value.known)}


def litres_suspected(case: Case) -> Iterator[Objection]:
    """A whole water value that only makes sense divided by a thousand looks like litres (V-14, F-062).

    It does when a thousandth of it follows the last value, and it either does not fit the dial or would be a leap of a thousand times.
    """
    for value in _volumes(case):
        typed, previous = value.reading.value, value.previous
        if previous is None or typed <= previous or _finer(typed, 0):
            continue
        black = EXACT.divide_int(typed, _THOUSAND)
        if previous <= black and (typed >= _span(case, value) or (previous >= 10 and black <= EXACT.add(previous, previous))):
            yield value.reading.where, {"value": text(typed), "cubic_metres": text(black)}


def red_digits_suspected(case: Case) -> Iterator[Objection]:
    """Decimals on a water dial without them are its red digits, which are not handed in (F-062)."""
    for value in _volumes(case):
        if value.register.decimals == 0 and _finer(value.reading.value, 0):
            black = value.reading.value.to_integral_value(rounding="ROUND_FLOOR")
            yield value.reading.where, {"value": text(value.reading.value), "cubic_metres": text(black)}


def duplicate_reading(case: Case) -> Iterator[Objection]:
    """The same values of the same registers were taken for this period before (V-16); nothing is sent again."""
    if not case.values or not case.period:
        return
    many = case.profile.reading.per_period == "many"
    for value in case.values:
        known = value.register
        if known.last_period != case.period or known.last != value.reading.value or (many and known.last_at != case.at):
            return
    yield case.new.where, {"period": case.period, "meter": case.meter.serial}


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


RULES: Final[dict[Rule, Severity]] = {
    entry_closed: Severity.ERROR,
    period_closed: Severity.ERROR,
    meter_removed: Severity.ERROR,
    meter_not_installed: Severity.ERROR,
    verification_expired: Severity.WARNING,
    window_not_open: Severity.ERROR,
    window_closed: Severity.ERROR,
    counted_later: Severity.WARNING,
    value_missing: Severity.ERROR,
    too_many_digits: Severity.ERROR,
    too_many_decimals: Severity.ERROR,
    value_negative: Severity.ERROR,
    reading_decreased: Severity.ERROR,
    rollover_suspected: Severity.NEEDS_REVIEW,
    consumption_high: Severity.WARNING,
    consumption_low: Severity.HINT,
    zero_consumption: Severity.WARNING,
    zone_missing: Severity.ERROR,
    previous_differs: Severity.WARNING,
    litres_suspected: Severity.HINT,
    red_digits_suspected: Severity.HINT,
    duplicate_reading: Severity.HINT,
    interval_count_wrong: Severity.ERROR,
    interval_negative: Severity.ERROR,
    interval_missing: Severity.WARNING,
    interval_outside_period: Severity.HINT,
}
"""Every rule with its weight unless the profile says otherwise."""

_THOUSAND: Final = Decimal(1000)
_ONE: Final = Decimal(1)
_ZERO: Final = Decimal(0)


def check(case: Case) -> list[Problem]:
    """Every objection to these readings; none of severity `error` or `needs_review` means they may be billed."""
    found: list[Problem] = []
    for rule, weight in RULES.items():
        for where, values in rule(case):
            code = rule.__name__
            found.append(Problem(code=code, where=where, severity=case.profile.severity.get(code, weight), values=values))
    return found


def text(value: Decimal) -> str:
    """A decimal as people write it: plain digits with a point, no exponent, no zeros behind the last decimal (231.000 is 231)."""
    plain = f"{value:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain == "-0" else plain


def used(meter: Meter, reading: Reading, value: Decimal, previous: Decimal) -> Decimal:
    """Return the consumption between two values of a register, with the ratio and losses that `value` does not contain yet."""
    ratio = _ONE if reading.ratio_applied else meter.ratio
    if reading.losses_applied:
        return consumption(value, previous, ratio)
    constant = meter.losses_constant if reading.register == WHOLE else _ZERO
    return consumption(value, previous, ratio, meter.losses, constant)


@lru_cache(maxsize=32)
def _dial(digits: int) -> Decimal:
    return Decimal(10) ** digits


def _span(case: Case, value: Value) -> Decimal:
    """The first value its dial cannot show, in the units of the reading: with the ratio and losses that the reading contains."""
    span = _dial(value.register.digits)
    if value.reading.ratio_applied:
        span = EXACT.multiply(span, case.meter.ratio)
    return EXACT.multiply(span, EXACT.add(_ONE, case.meter.losses)) if value.reading.losses_applied else span


def _finer(value: Decimal, decimals: int) -> bool:
    """Whether more places after the point carry information: 233.000 has none."""
    plain = f"{value:f}"
    point = plain.find(".")
    return point >= 0 and len(plain) - point - 1 > decimals and bool(plain[point + 1 + decimals :].strip("0"))


def _near_rollover(case: Case, value: Value, previous: Decimal) -> bool:
    tenth = EXACT.scaleb(_span(case, value), -1)
    return previous >= EXACT.multiply(9, tenth) and value.reading.value < tenth


def _backwards(case: Case, value: Value, previous: Decimal) -> dict[str, str]:
    over = used(case.meter, value.reading, EXACT.add(value.reading.value, _span(case, value)), previous)
    return {"value": text(value.reading.value), "previous": text(previous), "as_rollover": text(over)}


def _advances(case: Case) -> Iterator[tuple[Value, Decimal, Decimal]]:
    """Dials that moved on, how far, and how far they usually would have in that time; only where both differ by enough to matter."""
    for value in case.values:
        register = value.register
        corrects = case.period == register.last_period and case.profile.reading.per_period == "one"
        since, daily = (register.before_at, register.daily) if corrects else (register.last_at, belief.usual(register))
        product = value.reading.ratio_applied or value.reading.losses_applied
        if value.previous is None or since is None or daily is None or daily <= 0 or product:
            continue
        days = Decimal((case.at - since) / timedelta(days=1))
        advance, usual = EXACT.subtract(value.reading.value, value.previous), EXACT.multiply(daily, days)
        if days >= 1 and advance >= 0 and abs(advance - usual) > case.profile.plausible.least:
            yield value, advance, usual


def _beside(case: Case, value: Value, advance: Decimal, usual: Decimal) -> dict[str, str]:
    """What both would be with ratio and losses."""
    told = (used(case.meter, value.reading, one, _ZERO) for one in (advance, usual.quantize(_ONE)))
    return {"value": text(value.reading.value), **dict(zip(("consumption", "usual"), map(text, told), strict=True))}


def _window(case: Case) -> dict[str, str]:
    days = opening(case.timing, case.period)
    return {"period": case.period, "opens": days.first.isoformat(), "closes": days.last.isoformat()}


def _volumes(case: Case) -> Iterator[Value]:
    return (value for value in case.values if value.register.code.startswith("volume"))
