"""What acts about a meter do to a verdict: before its admission, on the days of its failure, and where interval values stand in them."""

from datetime import date

import msgspec
import pytest

from gateway.domain.intervals import holds
from gateway.domain.judging import judge
from gateway.domain.problems import Severity
from gateway.domain.readings import IntervalBlock, Step
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import Failure
from tests.domain.build import meter, register, sent, strict, verdict, weights
from tests.samples.profiles import NOVEMBER, month


@pytest.mark.parametrize(("day", "fires"), [(24, False), (25, False), (26, True)])
def test_a_meter_counts_from_the_day_of_its_admission(*, day: int, fires: bool) -> None:
    one = meter(register(last="1430"), admitted_on=date(2022, 10, day))
    judged = verdict({"A+": "1500"}, one)
    assert ("not_admitted" in weights(judged)) is fires
    heavy = verdict({"A+": "1500"}, one, strict(severity={"not_admitted": Severity.ERROR}))
    assert (heavy.status is ReadingStatus.REJECTED) is fires


def test_an_act_of_any_day_there_is_can_be_judged_by() -> None:
    """An act may say the first day there is: a day before it is none, and no reading may stumble over it."""
    for day in (date.min, date.max):
        one = meter(register(last="1430"), admitted_on=day, failures=(Failure("1", day, None), Failure("2", day, day)))
        assert ("not_admitted" in weights(verdict({"A+": "1500"}, one))) is (day == date.max)


@pytest.mark.parametrize(
    ("first", "last", "fires"), [(25, None, True), (26, None, False), (1, 24, False), (1, 25, True)], ids=["open", "later", "over", "ends"]
)
def test_on_the_days_of_a_failure_a_person_decides(*, first: int, last: int | None, fires: bool) -> None:
    failure = Failure("7", date(2022, 10, first), None if last is None else date(2022, 10, last))
    judged = verdict({"A+": "1500"}, meter(register(last="1430"), failures=(Failure("6", date(2021, 1, 1), date(2021, 1, 2)), failure)))
    assert (judged.status is ReadingStatus.NEEDS_REVIEW) is fires
    told = [problem.values["number"] for problem in judged.problems if problem.code == "meter_failed"]
    assert told == ["7"] * fires


@pytest.mark.parametrize(
    ("step", "written", "first", "last", "there"),
    [
        (Step.HOUR, "1" + ",1" * 23, (2022, 9, 1), (2022, 10, 1), True),
        (Step.HOUR, "1" + ",1" * 23, (2022, 10, 2), (2022, 10, 3), False),
        (Step.HOUR, "," * 23, (2022, 10, 1), (2022, 10, 1), False),
        (Step.DAY, "1,1,,1" + "," * 27, (2022, 10, 3), (2022, 10, 3), False),
        (Step.DAY, "1,1,,1" + "," * 27, (2022, 10, 3), (2022, 10, 4), True),
        (Step.DAY, "1,1,,1" + "," * 27, (2022, 10, 5), (9999, 12, 31), False),
        (Step.DAY, "1,1,,1" + "," * 27, (1, 1, 1), (2022, 9, 30), False),
        (Step.MONTH, ",1" + "," * 10, (2022, 10, 31), (2022, 11, 1), False),
        (Step.MONTH, "," * 9 + "1,,", (2022, 10, 31), (2022, 11, 1), True),
    ],
)
def test_a_block_has_a_value_of_a_stretch_of_days(
    *, step: Step, written: str, first: tuple[int, int, int], last: tuple[int, int, int], there: bool
) -> None:
    day = date(2022, 1, 1) if step is Step.MONTH else date(2022, 10, 1)
    block = IntervalBlock(register="A+", step=step, day=day, written=written)
    assert holds(block, date(*first), date(*last)) is there


def test_hours_of_a_failure_are_told_where_they_stand() -> None:
    block = month("0.01")
    new = msgspec.structs.replace(sent({}), blocks=(block,))
    failure = Failure("7", date(2022, 10, 1), date(2022, 10, 1))
    found = judge(new, meter(register(), failures=(failure,)), strict(), NOVEMBER).problems
    assert [problem.where for problem in found if problem.code == "meter_failed"] == [block.where]
