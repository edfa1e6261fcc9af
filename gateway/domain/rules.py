"""When a reading may be believed: one pure function per rule, its name is the problem's code (product.md V-01..V-22).

Rules about interval values stand in `interval_rules.py`, about what can physically pass in `limits.py`.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from gateway.domain import belief, interval_rules
from gateway.domain.cases import (
    Case,
    Objection,
    Rule,
    Value,
    advances,
    allowed,
    beside,
    exactly,
    finer,
    span,
    text,
    used,
)
from gateway.domain.intervals import exact_sum, holds
from gateway.domain.limits import flow_exceeded, power_exceeded
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import ESTIMATED, EXACT, REGISTERS, WHOLE, Quality, Quantity, Zone
from gateway.domain.supply import Register, unsigned
from gateway.domain.windows import CutOff, bounds, day_read, local_day, next_after, open_on, opening, period_of

_NO_VALUE: Final = (Quality.MISSING, Quality.NO_READ)


def entry_closed(case: Case) -> Iterator[Objection]:
    """Billing lets no reading of the period in for this object or meter: any status but «Ожидание» (F-046)."""
    if not case.meter.entry_in(case.period) and not case.told.unbound:
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


def not_admitted(case: Case) -> Iterator[Objection]:
    """The meter was read, or has interval values of a day, before its first act of admission (V-01); the profile says what it weighs."""
    first = case.meter.admitted_on
    if first is None or first == date.min:
        return
    where = _told_between(case, date.min, first - _DAY)
    if where is not None:
        yield where, {"meter": case.meter.serial, "day": first.isoformat()}


def meter_failed(case: Case) -> Iterator[Objection]:
    """The meter was read, or has interval values of a day, on which it does not work by an act; each act is told once."""
    for one in case.meter.failures:
        where = _told_between(case, one.first, one.last or date.max)
        if where is not None:
            last = "…" if one.last is None else one.last.isoformat()
            told = {"meter": case.meter.serial, "number": unsigned(one.number)}
            yield where, told | {"first": one.first.isoformat(), "last": last}


def verification_expired(case: Case) -> Iterator[Objection]:
    """The meter ought to have been verified before the reading was taken; whether it counts is the utility's word (V-18, F-030, F-033)."""
    if case.meter.verify_by is not None and day_read(case.at, case.timing.zone) > case.meter.verify_by:
        yield case.new.where, {"meter": case.meter.serial, "day": case.meter.verify_by.isoformat()}


def point_closed(case: Case) -> Iterator[Objection]:
    """Something was used after the last day of the usage point (V-19)."""
    if case.meter.point_closed_on is not None and _used_after(case, case.meter.point_closed_on):
        yield case.new.where, {"point": case.meter.point, "day": case.meter.point_closed_on.isoformat()}


def agreement_closed(case: Case) -> Iterator[Objection]:
    """Something was used after the last day of the agreement (V-19)."""
    if case.meter.agreement_closed_on is not None and _used_after(case, case.meter.agreement_closed_on):
        yield case.new.where, {"agreement": case.meter.agreement, "day": case.meter.agreement_closed_on.isoformat()}


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
        if value.reading.value.copy_abs() >= span(case, value):
            yield value.reading.where, {"value": text(value.reading.value), "digits": str(value.register.digits)}


def too_many_decimals(case: Case) -> Iterator[Objection]:
    """The dial has fewer places after the point (V-02, F-062); a value that already contains ratio or losses is not read from it."""
    for value in case.values:
        if finer(value.reading.value, value.register.decimals) and not (value.reading.ratio_applied or value.reading.losses_applied):
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
    for value, advance, usual in advances(case):
        if advance > EXACT.multiply(usual, exactly(case.profile.plausible.high)):
            yield value.reading.where, beside(case, value, advance, usual)


def consumption_low(case: Case) -> Iterator[Objection]:
    """A small part of the usual consumption of this register, but not none (V-07)."""
    for value, advance, usual in advances(case):
        if 0 < advance < EXACT.multiply(usual, exactly(case.profile.plausible.low)):
            yield value.reading.where, beside(case, value, advance, usual)


def zero_consumption(case: Case) -> Iterator[Objection]:
    """Nothing was consumed since the last value (V-06; the household manual shows it accepted)."""
    for value in case.values:
        if value.previous is not None and value.reading.value == value.previous:
            yield value.reading.where, {"value": text(value.reading.value)}


def zone_missing(case: Case) -> Iterator[Objection]:
    """All zones and kinds of a meter must come together, otherwise nothing is passed (V-11, F-050).

    One that came but could not be read is told of at its own place and not missed here; so are interval values.
    """
    if not case.profile.reading.together or (not case.new.readings and (case.new.blocks or _is_spoilt(case))):
        return
    came = {value.register.id for value in case.values}
    for register in case.meter.registers:
        if register.id not in came and not any(problem.values.get("register") == register.code for problem in case.new.problems):
            yield case.new.where, {"register": register.code, "meter": case.meter.serial}


def _is_spoilt(case: Case) -> bool:
    """Whether the translator refuses this for what is of no register that has a dial."""
    return any(problem.severity is Severity.ERROR and "register" not in problem.values for problem in case.new.problems)


def intervals_missing_for_category(case: Case) -> Iterator[Objection]:
    """From a price category on, a reading of A+ wants interval values of its period beside it, which may still come (F-083)."""
    least, category = case.profile.reading.intervals_from_category, case.meter.price_category
    if not least or category is None or category < least or not case.period:
        return
    told = WHOLE in case.amounts or (case.period, WHOLE) in case.stored
    if not told and any(REGISTERS[value.register.code].quantity is Quantity.ACTIVE_RECEIVED for value in case.values):
        yield case.new.where, {"meter": case.meter.serial, "category": str(category), "period": case.period}


def estimated_too_long(case: Case) -> Iterator[Objection]:
    """Nobody has read this dial for too many periods in a row: each value was estimated or put in for another (V-20)."""
    for value in case.values:
        if value.reading.quality in ESTIMATED:
            count = belief.in_a_row(value.register, case.period)
            if count > case.profile.plausible.estimated:
                yield value.reading.where, {"register": value.register.code, "count": str(count)}


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
        if previous is None or typed <= previous or finer(typed, 0):
            continue
        black = EXACT.divide_int(typed, _THOUSAND)
        if previous <= black and (typed >= span(case, value) or (previous >= 10 and black <= EXACT.add(previous, previous))):
            yield value.reading.where, {"value": text(typed), "cubic_metres": text(black)}


def red_digits_suspected(case: Case) -> Iterator[Objection]:
    """Decimals on a water dial without them are its red digits, which are not handed in (F-062)."""
    for value in _volumes(case):
        if value.register.decimals == 0 and finer(value.reading.value, 0):
            black = value.reading.value.to_integral_value(rounding="ROUND_FLOOR")
            yield value.reading.where, {"value": text(value.reading.value), "cubic_metres": text(black)}


def zones_differ(case: Case) -> Iterator[Objection]:
    """The zones of a quantity did not advance by what its register that runs round the clock did (V-12)."""
    if len(case.values) < 3:
        return
    whole, zones = _by_zone(case.values)
    for quantity, value in whole.items():
        parts = zones.get(quantity, [])
        if len(parts) < 2 or len(parts) < sum(_zone_of(register, quantity) for register in case.meter.registers):
            continue
        advance = _advance(value)
        steps = [_advance(part) for part in parts]
        if advance is None or None in steps:
            continue
        total = exact_sum(step for step in steps if step is not None)
        unit = Decimal(1).scaleb(-min(one.register.decimals for one in (value, *parts)))
        if abs(EXACT.subtract(advance, total)) > allowed(case.profile, advance, unit, len(parts) + 1):
            yield value.reading.where, {"register": value.register.code, "total": text(advance), "zones": text(total)}


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


RULES: Final[dict[Rule, Severity]] = {
    entry_closed: Severity.ERROR,
    period_closed: Severity.ERROR,
    meter_removed: Severity.ERROR,
    meter_not_installed: Severity.ERROR,
    not_admitted: Severity.WARNING,
    meter_failed: Severity.NEEDS_REVIEW,
    verification_expired: Severity.WARNING,
    point_closed: Severity.NEEDS_REVIEW,
    agreement_closed: Severity.NEEDS_REVIEW,
    window_not_open: Severity.ERROR,
    window_closed: Severity.ERROR,
    counted_later: Severity.WARNING,
    value_missing: Severity.ERROR,
    too_many_digits: Severity.ERROR,
    too_many_decimals: Severity.ERROR,
    value_negative: Severity.ERROR,
    reading_decreased: Severity.ERROR,
    rollover_suspected: Severity.NEEDS_REVIEW,
    power_exceeded: Severity.ERROR,
    flow_exceeded: Severity.ERROR,
    consumption_high: Severity.WARNING,
    consumption_low: Severity.HINT,
    zero_consumption: Severity.WARNING,
    zone_missing: Severity.ERROR,
    intervals_missing_for_category: Severity.WARNING,
    estimated_too_long: Severity.WARNING,
    previous_differs: Severity.WARNING,
    litres_suspected: Severity.HINT,
    red_digits_suspected: Severity.HINT,
    zones_differ: Severity.WARNING,
    duplicate_reading: Severity.HINT,
    **interval_rules.RULES,
}
"""Every rule with its weight unless the profile says otherwise."""

_THOUSAND: Final = Decimal(1000)
_DAY: Final = timedelta(days=1)


def check(case: Case) -> list[Problem]:
    """Every objection to these readings; none of severity `error` or `needs_review` means they may be billed."""
    found: list[Problem] = []
    for rule, weight in RULES.items():
        for where, values in rule(case):
            code = rule.__name__
            found.append(Problem(code=code, where=where, severity=case.profile.severity.get(code, weight), values=values))
    return found


def _near_rollover(case: Case, value: Value, previous: Decimal) -> bool:
    tenth = EXACT.scaleb(span(case, value), -1)
    return previous >= EXACT.multiply(9, tenth) and value.reading.value < tenth


def _backwards(case: Case, value: Value, previous: Decimal) -> dict[str, str]:
    over = used(case.meter, value.reading, EXACT.add(value.reading.value, span(case, value)), previous)
    return {"value": text(value.reading.value), "previous": text(previous), "as_rollover": text(over)}


def _window(case: Case) -> dict[str, str]:
    days = opening(case.timing, case.period)
    return {"period": case.period, "opens": days.first.isoformat(), "closes": days.last.isoformat()}


def _volumes(case: Case) -> Iterator[Value]:
    return (value for value in case.values if value.register.code.startswith("volume"))


def _told_between(case: Case, first: date, last: date) -> str | None:
    """Where a dial read on one of these days is told, else the first block with a value of one; None when nothing is of these days."""
    if case.values and first <= day_read(case.at, case.timing.zone) <= last:
        return case.new.where
    return next((block.where for block in case.new.blocks if holds(block, first, last)), None)


def _used_after(case: Case, day: date) -> bool:
    """Whether a dial was read after a day and had moved, or a block of a later day holds more than zeros."""
    if day_read(case.at, case.timing.zone) > day and any(
        value.previous is None or value.reading.value > value.previous for value in case.values
    ):
        return True
    return any(block.day > day and block.written.strip("0.,-") for block in case.new.blocks)


def _by_zone(values: Sequence[Value]) -> tuple[dict[Quantity, Value], dict[Quantity, list[Value]]]:
    """Registers that run round the clock and registers of zones, by quantity."""
    whole: dict[Quantity, Value] = {}
    zones: dict[Quantity, list[Value]] = {}
    for value in values:
        kind = REGISTERS[value.register.code]
        if kind.zone is Zone.ALL:
            whole[kind.quantity] = value
        else:
            zones.setdefault(kind.quantity, []).append(value)
    return whole, zones


def _zone_of(register: Register, quantity: Quantity) -> bool:
    kind = REGISTERS[register.code]
    return kind.quantity is quantity and kind.zone is not Zone.ALL


def _advance(value: Value) -> Decimal | None:
    """How far a dial moved, in its own units; None where that is not known or the value is a product."""
    if value.previous is None or value.reading.ratio_applied or value.reading.losses_applied:
        return None
    return EXACT.subtract(value.reading.value, value.previous)
