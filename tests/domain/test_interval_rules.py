"""Rules about days of interval values: when each fires, when it does not, and at its edge."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.judging import judge
from gateway.domain.problems import Problem
from gateway.domain.profile import Plausible, Profile
from gateway.domain.readings import IntervalBlock, MeterReading, Step
from tests.domain.build import OCTOBER, local, meter, register, strict
from tests.samples.profiles import DIP, HOURS, MONDAY, day, peaks


def found(*blocks: IntervalBlock, by: Profile | None = None, arrival: str = "2022-11-10T12:00:00") -> dict[str, Problem]:
    """The problems of these days, by code."""
    new = MeterReading(meter="20300109", readings=(), period="2022-10", blocks=blocks)
    judged = judge(new, meter(register()), by or strict(), local(arrival, "Europe/Moscow"))
    return {problem.code: problem for problem in judged.problems}


def plausible(**changes: float) -> Profile:
    return strict(plausible=msgspec.structs.replace(Plausible(), **changes))


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([10, 10, 10, 28], None),
        ([10, 10, 10, 29], "190"),
        ([10, 10, 29, 29], "190"),
        ([10, 29, 29, 29], None),
        ([0, 0, 0, 29], None),
        ([20, 10, 5, 15], None),
        ([10, None, None, 29], None),
    ],
    ids=["at the limit", "above it", "two hours high", "three hours high", "nothing else used", "within", "two values"],
)
def test_the_highest_value_of_a_day_is_held_against_the_third_highest(values: list[int | None], share: str | None) -> None:
    problem = found(day([*values, *[None] * 20])).get("interval_spike")
    assert (problem.values["share"] if problem else None) == share


def test_the_highest_spike_is_told_with_the_number_of_such_days() -> None:
    days = [day([high, *[10] * 23], on=MONDAY + timedelta(days=n)) for n, high in enumerate((50, 90, 20))]
    problem = found(*days)["interval_spike"]
    assert (problem.where, problem.values["value"], problem.values["count"]) == ("2022-10-04", "90", "2")
    assert "interval_spike" not in found(*days, by=plausible(spike=8.0))


def repeat(value: str, times: int) -> list[Decimal]:
    """So many equal values among others."""
    return [*HOURS[:3], *[Decimal(value)] * times, *HOURS[3 : 24 - times]]


@pytest.mark.parametrize(
    ("value", "times", "fires"), [("7.5", 5, False), ("7.5", 6, True), ("0", 6, False), ("0.000", 9, False), ("0.001", 6, True)]
)
def test_six_equal_values_in_a_row_are_a_flat_line(*, value: str, times: int, fires: bool) -> None:
    problem = found(day(repeat(value, times))).get("interval_flat")
    assert (problem is not None) is fires
    if problem:
        assert (problem.values["count"], problem.values["value"]) == (str(times), value)


def test_a_flat_line_goes_on_over_midnight_and_ends_at_a_day_that_is_missing() -> None:
    five = [Decimal(5)] * 3
    evening, morning = day([*HOURS[:21], *five]), [*five, *HOURS[:21]]
    assert found(evening, day(morning, on=MONDAY + timedelta(days=1)))["interval_flat"].where == "2022-10-03"
    assert "interval_flat" not in found(evening, day(morning, on=MONDAY + timedelta(days=2)))
    assert found(day(HOURS), day(repeat("5", 8), on=MONDAY + timedelta(days=3)))["interval_flat"].where == "2022-10-06"


@pytest.mark.parametrize(("flat", "fires"), [(0, False), (3, True), (4, False)])
def test_how_long_a_flat_line_is_stands_in_the_profile(*, flat: int, fires: bool) -> None:
    assert ("interval_flat" in found(day(repeat("5", 3)), by=plausible(flat=flat))) is fires


@given(st.lists(st.sampled_from(["0", "0.0", "1", "10", "2.5", "12.25"]), min_size=24, max_size=24), st.integers(2, 7))
def test_a_flat_line_is_found_exactly_where_there_is_one(values: list[str], length: int) -> None:
    longest = run = 0
    for before, value in zip([None, *values], values, strict=False):
        run = run + 1 if value == before else 1
        longest = max(longest, run if Decimal(value) else 0)
    assert ("interval_flat" in found(day(values), by=plausible(flat=length))) is (longest >= length)


@pytest.mark.parametrize(
    ("values", "fires"),
    [(HOURS, True), ([5, 6, 7, 8] * 6, True), ([0] * 8 + [5] * 8 + [6] * 8, False), ([0] * 24, False)],
    ids=["a profile", "four values", "three values", "nothing"],
)
def test_a_day_with_the_values_of_another_day_is_pointed_out(*, values: Iterable[Decimal], fires: bool) -> None:
    told = list(values)
    problem = found(day(told), day(told, on=MONDAY + timedelta(days=7))).get("day_repeated")
    assert (problem is not None) is fires
    if problem:
        assert (problem.values["day"], problem.values["other_day"]) == ("2022-10-10", "2022-10-03")
    assert "day_repeated" not in found(day(told), day([*told[1:], 99], on=MONDAY + timedelta(days=7)))


@pytest.mark.parametrize(
    ("peak", "share"), [(91, None), (90, None), (89, "11"), (0, "100")], ids=["less than a tenth", "a tenth", "more", "nothing at all"]
)
def test_peak_hours_far_below_the_hours_around_them_are_pointed_out(peak: int, share: str | None) -> None:
    values = [10] * 7 + [100, peak, peak, 120] + [10] * 13
    problem = found(day(values), by=peaks(8, 9)).get("peak_dip")
    assert (problem.values["share"] if problem else None) == share


@pytest.mark.parametrize(
    ("values", "on", "hours"),
    [
        (DIP, MONDAY, ()),
        (DIP, date(2022, 10, 2), (8, 9)),
        (list(range(100, 76, -1)), MONDAY, (8, 9)),
        ([10] * 7 + [100, 50, None, 100] + [10] * 13, MONDAY, (8, 9)),
        ([50, *[100] * 23], MONDAY, (0,)),
        ([*[100] * 23, 50], MONDAY, (23,)),
    ],
    ids=["no hours told", "a Sunday", "a load that falls", "a value missing", "no hour before", "no hour after"],
)
def test_what_is_no_dip(values: list[int | None], on: date, hours: tuple[int, ...]) -> None:
    assert "peak_dip" not in found(day(values, on=on), by=peaks(*hours))


def test_a_dip_is_of_active_energy_received_only_and_in_any_step_of_a_day() -> None:
    halves = [half for value in DIP for half in (value / 2, value / 2)]
    one = day([str(half) for half in halves], step=Step.HALF_HOUR)
    assert found(one, by=peaks(8, 9))["peak_dip"].values["hours"] == "08-10"
    assert "peak_dip" not in found(day(DIP, code="R+"), by=peaks(8, 9))


@pytest.mark.parametrize(
    ("arrival", "fires"), [("2022-10-03T00:00:00", False), ("2022-10-02T23:59:59", True)], ids=["the day has begun", "it has not"]
)
def test_a_value_of_a_day_to_come_is_an_error(*, arrival: str, fires: bool) -> None:
    problem = found(day(HOURS), arrival=arrival).get("interval_in_future")
    assert (problem is not None) is fires
    assert "interval_in_future" not in found(day([None] * 24), arrival=arrival)


@pytest.mark.parametrize(
    ("step", "on", "values", "told"),
    [
        (Step.DAY, date(2022, 10, 1), [1] * 25 + [None] * 6, None),
        (Step.DAY, date(2022, 10, 1), [1] * 25 + [None, 1] + [None] * 4, "2022-10-27"),
        (Step.DAY, date(2022, 11, 1), [1] * 30, "2022-11-01"),
        (Step.MONTH, date(2022, 1, 1), [1] * 10 + [None] * 2, None),
        (Step.MONTH, date(2022, 1, 1), [1] * 11 + [None], "2022-11-01"),
        (Step.MONTH, date(2021, 1, 1), [1] * 12, None),
        (Step.MONTH, date(2023, 1, 1), [1] * 12, "2023-01-01"),
    ],
)
def test_days_and_months_to_come_are_found_in_their_blocks(step: Step, on: date, values: list[int | None], told: str | None) -> None:
    problem = found(day(values, on=on, step=step), arrival=f"{OCTOBER:%Y-%m-%d}T12:00:00").get("interval_in_future")
    assert (problem.values["day"] if problem else None) == told


def test_how_far_ahead_values_may_lie_stands_in_the_profile() -> None:
    tomorrow = day(HOURS, on=date(2022, 10, 26))
    assert "interval_in_future" in found(tomorrow, arrival="2022-10-25T12:00:00")
    assert "interval_in_future" not in found(tomorrow, by=plausible(ahead=1), arrival="2022-10-25T12:00:00")
