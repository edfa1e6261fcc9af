"""How many values a block has and what they add up to."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from gateway.domain.intervals import amounts, expected, total
from gateway.domain.judging import Judged, amount, judge
from gateway.domain.profile import Plausible
from gateway.domain.readings import INTERVALS, Aggregation, IntervalBlock, MeterReading, Reading, Step, consumption, written
from gateway.domain.supply import Meter, Terms
from tests.domain.build import OCTOBER, meter, register, strict


@pytest.mark.parametrize(
    ("step", "day", "zone", "count"),
    [
        (Step.HOUR, date(2022, 10, 1), "Europe/Moscow", 24),
        (Step.HALF_HOUR, date(2022, 10, 1), "Europe/Moscow", 48),
        (Step.QUARTER, date(2022, 10, 1), "Europe/Moscow", 96),
        (Step.HOUR, date(2026, 3, 29), "Europe/Kyiv", 23),
        (Step.HOUR, date(2026, 10, 25), "Europe/Kyiv", 25),
        (Step.QUARTER, date(2026, 10, 25), "Europe/Kyiv", 100),
        (Step.HOUR, date(2026, 10, 25), "Asia/Irkutsk", 24),
        (Step.HOUR, date(2011, 3, 27), "Europe/Moscow", 23),
        (Step.DAY, date(2024, 2, 1), "UTC", 29),
        (Step.DAY, date(2024, 2, 2), "UTC", 0),
        (Step.MONTH, date(2024, 1, 1), "UTC", 12),
        (Step.MONTH, date(2024, 2, 1), "UTC", 0),
    ],
)
def test_a_block_has_as_many_values_as_its_day_month_or_year_has_intervals(step: Step, day: date, zone: str, count: int) -> None:
    assert expected(step, day, zone) == count


def block(code: str, value: str = "1", day: date = date(2022, 10, 1), step: Step = Step.HOUR, **more: Any) -> IntervalBlock:
    return IntervalBlock(
        register=code, step=step, day=day, written=written((Decimal(value),) * expected(step, day, "Europe/Moscow")), **more
    )


@pytest.mark.parametrize("code", sorted(INTERVALS))
def test_only_sums_are_ever_added_up(code: str) -> None:
    summed = INTERVALS[code].aggregation is Aggregation.SUM
    assert bool(amounts([block(code)])) is summed
    [shown] = (
        [judged(heat_meter(), block(code))] if code not in ("A+", "A-", "R+", "R-", "volume") else [judged(electric_meter(), block("A+"))]
    )
    for value in shown.volumes:
        assert INTERVALS[value.register.code].aggregation is Aggregation.SUM


def heat_meter() -> Meter:
    return meter(*(register("heat" if number == 1 else f"heat@{number}", digits=7) for number in range(1, 7)))


def electric_meter() -> Meter:
    return meter(register("A+:day"), register("A+:night"), ratio="20", losses="0.05")


def judged(of: Meter, *blocks: IntervalBlock) -> Judged:
    return judge(
        MeterReading(meter=of.serial, readings=(), period="2022-10", blocks=blocks), of, strict(plausible=Plausible(flat=0)), OCTOBER
    )


def test_the_amount_of_electricity_gets_the_ratio_and_losses_it_lacks() -> None:
    [value] = judged(electric_meter(), block("A+")).volumes
    assert (value.register.code, value.reading.value, value.consumption) == (
        "A+",
        Decimal(24),
        consumption(Decimal(24), Decimal(0), Decimal(20), Decimal("0.05")),
    )
    [value] = judged(electric_meter(), block("A+", ratio_applied=True, losses_applied=True)).volumes
    assert value.consumption == Decimal(24)


def test_what_the_registry_does_not_bill_is_kept_and_not_sent() -> None:
    said = judged(
        heat_meter(),
        block("heat", where="S!E2:E25"),
        block("heat", day=date(2022, 10, 2), where="S!E26:E49"),
        block("M1"),
        block("t1"),
        block("t1@2"),
    )
    assert [(value.register.code, value.reading.value, value.reading.where) for value in said.volumes] == [
        ("heat", Decimal(48), "S!E2:E49")
    ]
    assert [problem.code for problem in said.problems] == []


def test_a_sum_rounds_nothing() -> None:
    values = ("999999999999999.999999", "0.000001")
    blocks = [block("A+", value, date(2022, 10, number)) for number, value in enumerate(values, 1)]
    assert total(blocks, "2022-10") == 24 * (Decimal(values[0]) + Decimal(values[1]))


def test_values_outside_the_period_do_not_count() -> None:
    inside, outside = block("A+"), block("A+", day=date(2022, 9, 30), where="S!A1")
    said = judged(meter(register("A+")), inside, outside)
    assert [value.reading.value for value in said.volumes] == [Decimal(24)]
    assert [(problem.code, problem.where, str(problem.severity)) for problem in said.problems] == [
        ("interval_outside_period", "S!A1", "hint")
    ]
    assert total([outside], "2022-10") is None


def test_an_amount_has_the_terms_of_its_period_whenever_it_comes() -> None:
    """Losses change to 5 % in November; October's hours handed in after that, and what is added up with earlier files, have October's."""
    terms = (Terms(date(1900, 1, 1), losses=Decimal("0.003742")), Terms(date(2022, 11, 1), losses=Decimal("0.05")))
    one = meter(register("A+", digits=6), terms=terms).on(date.max)
    assert one.losses == Decimal("0.05")
    reading = Reading(register="A+", value=Decimal(1000), volume=True)
    assert [amount(reading, one, period).consumption for period in ("2022-10", "2022-11")] == [Decimal("1003.742"), Decimal("1050.00")]
