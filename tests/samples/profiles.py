"""What makes the rules about days of interval values say each of their codes."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from gateway.domain.judging import judge
from gateway.domain.profile import Plausible, Profile
from gateway.domain.readings import IntervalBlock, MeterReading, Reading, Step, written
from tests.domain.build import OCTOBER, meter, register, strict

NOVEMBER = OCTOBER + timedelta(days=15)
MONDAY = date(2022, 10, 3)
HOURS = [Decimal(n) for n in range(10, 34)]
DIP = [10] * 7 + [100, 50, 50, 100] + [10] * 13


def day(values: Iterable[Decimal | int | str | None], on: date = MONDAY, code: str = "A+", step: Step = Step.HOUR) -> IntervalBlock:
    """The values of one day."""
    told = written(None if value is None else Decimal(value) for value in values)
    return IntervalBlock(register=code, step=step, day=on, written=told, where=f"{on}")


def judged(*blocks: IntervalBlock, by: Profile | None = None) -> Callable[[], Iterable[str]]:
    """The codes that judging these days yields."""
    new = MeterReading(meter="20300109", readings=(), period="2022-10", blocks=blocks)
    return lambda: [problem.code for problem in judge(new, meter(register()), by or strict(), OCTOBER).problems]


def peaks(*hours: int, dip: float = 0.1) -> Profile:
    """A profile that knows in which hours power is charged."""
    return strict(plausible=msgspec.structs.replace(Plausible(), peak_hours=hours, dip=dip))


def month(value: str, days: int = 31, **more: Any) -> IntervalBlock:
    """October in days, each with this value."""
    told = written([Decimal(value)] * days + [None] * (31 - days))
    return IntervalBlock(register="A+", step=Step.DAY, day=date(2022, 10, 1), written=told, where="days", **more)


def beside(*blocks: IntervalBlock, value: str = "1310", **more: Any) -> MeterReading:
    """A dial read in October beside interval values of the same period."""
    reading = Reading(register="A+", value=Decimal(value), where="at A+")
    return MeterReading(meter="20300109", readings=(reading,), period="2022-10", blocks=blocks, where="meter", **more)


def compared() -> Iterable[str]:
    """A dial that moved 310 and interval values of 31."""
    return [problem.code for problem in judge(beside(month("1")), meter(register(last="1000")), strict(), NOVEMBER).problems]


SAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "interval_in_future": judged(day(HOURS, on=OCTOBER.date() + timedelta(days=1))),
    "interval_spike": judged(day([10] * 5 + [99] + [10] * 18)),
    "intervals_differ": compared,
    "interval_flat": judged(day([*range(10, 20), *[7] * 6, *range(20, 28)])),
    "day_repeated": judged(day(HOURS), day(HOURS, on=MONDAY + timedelta(days=1))),
    "peak_dip": judged(day(DIP), by=peaks(8, 9)),
}
