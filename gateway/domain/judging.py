"""The verdict on one meter reading: its period, instant, registers and previous values settled, and every rule asked."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.domain.calendars import WEEKDAYS, Calendar
from gateway.domain.cases import Case, Value, used
from gateway.domain.intervals import amounts, profiles, total
from gateway.domain.problems import Problem, Severity
from gateway.domain.profile import Profile
from gateway.domain.readings import INTERVALS, REGISTERS, AtFrom, MeterReading, Quantity, Reading
from gateway.domain.rules import check, duplicate_reading
from gateway.domain.sources import UNTOLD, Told
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import Meter, Register
from gateway.domain.windows import CutOff, Timing, bounds, day_read, days_in, open_periods, period_end, period_of

_FIRST_INSTANT: Final = datetime(1990, 1, 1, tzinfo=UTC)
_CLOCK_SLACK: Final = timedelta(days=1)
"""How far ahead of our clock a sender's may be: a reading taken later than that has not been taken."""
_NONE: Final = Decimal(0)
_UNKNOWN: Final[Mapping[tuple[str, str], Decimal]] = MappingProxyType({})
_NOTHING: Final[Mapping[int, Decimal]] = MappingProxyType({})


class Judged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A meter reading with everything settled and its first status: accepted, needs_review or rejected.

    `period` is empty when it could not be settled. `duplicate`: the same values are known already, nothing need be written or sent.
    `earlier_wanted`: registers that already have a later value, so that the value before this one has to be looked up;
    judge again with what was found. `volumes`: amounts of the period that the interval values add up to, for the registers that the
    registry knows of the meter.
    """

    new: MeterReading
    meter: Meter
    period: str
    at: datetime
    at_from: AtFrom
    values: tuple[Value, ...]
    problems: tuple[Problem, ...]
    status: ReadingStatus
    duplicate: bool = False
    earlier_wanted: tuple[int, ...] = ()
    volumes: tuple[Value, ...] = ()


def judge(
    new: MeterReading,
    meter: Meter,
    profile: Profile,
    arrival: datetime,
    earlier: Mapping[int, Decimal | None] = _NOTHING,
    calendar: Calendar = WEEKDAYS,
    told: Told = UNTOLD,
    stored: Mapping[tuple[str, str], Decimal] = _UNKNOWN,
) -> Judged:
    """Judge one meter reading that arrived at `arrival`. `calendar`: the one that the profile names. `told`: who read the meter.

    `stored`: as in a Case.

    `earlier`: by register id, the last value that was read before this reading, for the registers of `earlier_wanted`
    (None: there is none). Without it such a register is judged as if nothing were known before.
    """
    timing = profile.timing(meter.service, meter.window_day, calendar)
    period, problems = _settle_period(new, timing, arrival, unbound=told.unbound)
    if new.problems:
        problems = [*new.problems, *problems]
    at, at_from = _settle_at(new, period, profile, arrival)
    meter = meter.on(day_read(at, profile.zone)) if len(meter.terms) > 1 else meter
    if new.at is not None and at is not new.at:
        problems = [*problems, Problem(code="at_invalid", where=new.where, values={"value": new.at.isoformat()})]
    values, wanted, strange = _values(new, meter, period, at, profile, earlier)
    problems += strange
    if new.blocks:
        problems = [*problems, *_strangers(new, meter)]
    case = Case(new, meter, tuple(values), period, at, arrival, profile, timing, amounts(new.blocks), told, profiles(new.blocks), stored)
    problems += check(case)
    volumes = _volumes(case) if new.blocks and period else ()
    if not values and not volumes and not any(problem.severity is Severity.ERROR for problem in problems):
        problems.append(Problem(code="value_missing", where=new.where))
    return Judged(
        new=new,
        meter=meter,
        period=period,
        at=at,
        at_from=at_from,
        values=case.values,
        problems=tuple(problems),
        status=verdict(problems) if problems else ReadingStatus.ACCEPTED,
        duplicate=any(problem.code == duplicate_reading.__name__ for problem in problems),
        earlier_wanted=tuple(wanted),
        volumes=volumes,
    )


def _values(
    new: MeterReading, meter: Meter, period: str, at: datetime, profile: Profile, earlier: Mapping[int, Decimal | None]
) -> tuple[list[Value], list[int], list[Problem]]:
    """Each reading beside its register, the registers whose value before it must be looked up, and readings of registers it has not."""
    values: list[Value] = []
    wanted: list[int] = []
    problems: list[Problem] = []
    for reading in new.readings:
        register = meter.register(reading.register)
        if register is None:
            problems.append(Problem(code="register_unknown", where=reading.where, values=_names(reading, meter)))
        elif any(value.register is register for value in values):
            problems.append(Problem(code="register_repeated", where=reading.where, values=_names(reading, meter)))
        elif not meter.serial and period:
            values.append(amount(msgspec.structs.replace(reading, volume=True), meter, period))
        else:
            if register.id in earlier:
                known = earlier[register.id]
            elif _stands_after(register, period, at, profile):
                known = None
                wanted.append(register.id)
            else:
                known = _known(register, period, at, profile)
            values.append(_value(reading, register, known, meter, profile))
    return values, wanted, problems


def verdict(problems: Iterable[Problem]) -> ReadingStatus:
    """The status that problems of these weights lead to."""
    weights = {problem.severity for problem in problems}
    if Severity.ERROR in weights:
        return ReadingStatus.REJECTED
    return ReadingStatus.NEEDS_REVIEW if Severity.NEEDS_REVIEW in weights else ReadingStatus.ACCEPTED


def _settle_period(new: MeterReading, timing: Timing, arrival: datetime, *, unbound: bool) -> tuple[str, list[Problem]]:
    """The period told, else the only one that is open; when none is, the month of arrival, to which the window then objects.

    Of a window with a cut-off day a period that is over gives way to the one that is open. What no window binds has the period told, else
    the month in which it was read.
    """
    if new.period:
        try:
            over = bounds(timing, new.period)[1] <= arrival
        except ValueError:
            return "", [Problem(code="period_invalid", where=new.where, values={"period": new.period})]
        moves = over and isinstance(timing.window, CutOff) and not unbound
        return open_periods(timing, arrival)[0] if moves else new.period, []
    if unbound:
        if new.at is not None and _is_taken(new.at, arrival):
            return f"{day_read(new.at, timing.zone):%Y-%m}", []
        return period_of(arrival, timing.zone), []
    fitting = open_periods(timing, arrival)
    if len(fitting) > 1:
        return "", [Problem(code="period_ambiguous", where=new.where, values={"periods": ", ".join(fitting)})]
    return fitting[0] if fitting else period_of(arrival, timing.zone), []


def _is_taken(at: datetime, arrival: datetime) -> bool:
    """Whether a reading that arrives then can have been taken at an instant."""
    return _FIRST_INSTANT <= at <= arrival + _CLOCK_SLACK


def _settle_at(new: MeterReading, period: str, profile: Profile, arrival: datetime) -> tuple[datetime, AtFrom]:
    """The instant told, unless no reading can have been taken then; else by the profile."""
    if new.at is not None and _is_taken(new.at, arrival):
        return new.at, new.at_from
    if profile.reading.at == "period_end" and period:
        return period_end(period, profile.zone), AtFrom.PERIOD_END
    return arrival, AtFrom.ARRIVAL


def _stands_after(register: Register, period: str, at: datetime, profile: Profile) -> bool:
    """Whether the registry's last value is later than this reading, so that it cannot be its previous value."""
    if register.last is None or not period or period > register.last_period:
        return False
    if period < register.last_period:
        return True
    return profile.reading.per_period == "many" and register.last_at is not None and at < register.last_at


def _known(register: Register, period: str, at: datetime, profile: Profile) -> Decimal | None:
    """The value before this reading: the last one, or, when this reading corrects or repeats the last one, the one before it.

    A reading whose period is not settled is compared with nothing: it may be meant for any.
    """
    if not period and register.last_period:
        return None
    corrects = period == register.last_period and (profile.reading.per_period == "one" or at == register.last_at)
    return register.before if corrects else register.last


def _value(reading: Reading, register: Register, known: Decimal | None, meter: Meter, profile: Profile) -> Value:
    told = reading.previous
    previous = told if told is not None and (known is None or profile.reading.previous == "declared") else known
    consumption = None if previous is None else used(meter, reading, reading.value, previous)
    return Value(reading, register, known, previous, consumption)


def amount(reading: Reading, meter: Meter, period: str) -> Value:
    """An amount of a period beside its register: consumption is the amount with the ratio and losses that it does not contain yet.

    They are those of the period's last day, whenever the amount was handed in.
    """
    meter = meter.on(days_in(period)[1])
    register = meter.register(reading.register) or Register(id=0, code=reading.register, digits=0, decimals=0)
    return Value(reading, register, None, None, used(meter, reading, reading.value, _NONE))


def _measured(meter: Meter) -> set[tuple[Quantity, int]]:
    """What a meter measures by the registry, zones aside: quantity and circuit."""
    kinds = (REGISTERS[register.code] for register in meter.registers if register.code in REGISTERS)
    return {(kind.quantity, kind.circuit) for kind in kinds}


def _strangers(new: MeterReading, meter: Meter) -> Iterable[Problem]:
    """Interval values of what this meter does not measure; all that the archive of a heat meter holds belongs to one of its circuits."""
    measured = _measured(meter)
    heat = {circuit for quantity, circuit in measured if quantity is Quantity.HEAT}
    told: set[str] = set()
    for block in new.blocks:
        kind = INTERVALS.get(block.register)
        known = kind is not None and (
            (kind.quantity, kind.circuit) in measured or (kind.circuit in heat and block.register not in REGISTERS)
        )
        if not known and block.register not in told:
            told.add(block.register)
            yield Problem(code="register_unknown", where=block.where, values={"register": block.register, "meter": meter.serial})


def _volumes(case: Case) -> tuple[Value, ...]:
    """The amounts of the period, but for registers whose dial was read too."""
    measured, dials = _measured(case.meter), {value.register.code for value in case.values}
    found = []
    for code, blocks in case.amounts.items():
        kind = INTERVALS[code]
        amount_ = (
            total(blocks, case.period) if code not in dials and (kind.quantity, kind.circuit) in measured and code in REGISTERS else None
        )
        if amount_ is not None:
            first, last = blocks[0], blocks[-1]
            reading = Reading(
                register=code,
                value=amount_,
                ratio_applied=first.ratio_applied,
                losses_applied=first.losses_applied,
                where=_from_to(first.where, last.where),
                volume=True,
            )
            found.append(amount(reading, case.meter, case.period))
    return tuple(found)


def _from_to(first: str, last: str) -> str:
    """The place from the beginning of one block to the end of another: `Sheet1!B2:AF25`."""
    return first if first == last or ":" not in last else f"{first.partition(':')[0]}:{last.rpartition(':')[2]}"


def _names(reading: Reading, meter: Meter) -> dict[str, str]:
    return {"register": reading.register, "meter": meter.serial}
