"""What makes the middle of the line say its codes about interval values."""

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from gateway.domain.judging import judge
from gateway.domain.readings import IntervalBlock, MeterReading, Step, written
from gateway.domain.status import ReadingStatus
from gateway.pipeline.blocks import gather, settle
from gateway.store.corrections import Row
from gateway.store.intake import new_id
from gateway.store.intervals import Beside
from gateway.store.supply import Known
from tests.domain.build import OCTOBER, meter, register, strict

DAY = date(2022, 10, 1)
METER = meter(register("A+"))


def block(*values: str | None, day: date = DAY) -> IntervalBlock:
    """Hours of a day, the last value repeated."""
    told = [None if value is None else Decimal(value) for value in values]
    return IntervalBlock(register="A+", step=Step.HOUR, day=day, written=written(tuple(told + told[-1:] * (24 - len(told)))))


def brought(*blocks: IntervalBlock) -> MeterReading:
    """These blocks of the one meter."""
    return MeterReading(meter=METER.serial, readings=(), period="2022-10", blocks=blocks)


def judged(*blocks: IntervalBlock) -> Callable[[], Iterable[str]]:
    """The codes that judging these blocks yields."""
    return lambda: [problem.code for problem in judge(brought(*blocks), METER, strict(), OCTOBER).problems]


def row(**more: Any) -> Row:
    """An accepted row that brings one block."""
    known = Known(METER, "20300109", "1", "1", "", "legal_entity")
    fields: dict[str, Any] = {"new": brought(block("1")), "status": ReadingStatus.ACCEPTED, "known": known, "period": "2022-10"}
    return Row(id=new_id(), **(fields | more))


def twice() -> Iterable[str]:
    """One day of one meter in two rows of a file."""
    rows = [row(), row()]
    gather(rows, [False, False])
    return [problem.code for problem in rows[1].problems]


def changed() -> Iterable[str]:
    """A day that says something else than the archive taken before."""
    told = row()
    settle(told, Beside(changed=[("A+", DAY)]))
    return [problem.code for problem in told.problems]


SAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "interval_count_wrong": judged(IntervalBlock(register="A+", step=Step.HOUR, day=DAY, written=written((Decimal(1),)))),
    "interval_missing": judged(block("1", None)),
    "interval_outside_period": judged(block("1"), block("1", day=date(2022, 9, 30))),
    "interval_negative": judged(block("-1")),
    "interval_repeated": twice,
    "archive_changed": changed,
}
