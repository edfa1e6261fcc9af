"""The verdict on one meter reading: its period, instant, registers and previous value."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from gateway.domain.judging import judge
from gateway.domain.judging import verdict as sum_up
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import AtFrom, Quantity, Reading
from gateway.domain.sources import Told
from gateway.domain.status import ReadingStatus
from gateway.domain.totals import totals
from gateway.domain.windows import Range
from tests.domain.build import OCTOBER, local, meter, profile, register, sent, strict, verdict, weights

EARLY = datetime(2022, 11, 10, tzinfo=UTC)
"""October and November are both open."""


def test_a_period_that_is_told_stands() -> None:
    assert verdict({"A+": "5"}, meter(register()), arrival=EARLY).period == "2022-10"


def test_a_period_that_is_not_told_is_the_only_one_open() -> None:
    judged = verdict({"A+": "5"}, meter(register()), period="")
    assert (judged.period, judged.status) == ("2022-10", ReadingStatus.ACCEPTED)


def test_a_period_must_be_told_when_two_are_open() -> None:
    judged = verdict({"A+": "5.5"}, meter(register(last="5.5")), period="", arrival=EARLY)
    assert set(weights(judged)) == {"period_ambiguous", "too_many_decimals"}
    assert (judged.period, judged.status) == ("", ReadingStatus.REJECTED)
    assert judged.problems[0].values == {"periods": "2022-10, 2022-11"}
    assert judged.values[0].previous is None


@pytest.mark.parametrize(
    ("at", "period", "found"),
    [
        ("2022-09-30T12:00+03:00", "2022-09", set()),
        ("2022-10-01T00:00+03:00", "2022-09", set()),
        ("2022-10-01T00:00:01+03:00", "2022-10", set()),
        ("0001-01-01T00:00+14:00", "2022-11", {"at_invalid"}),
        ("9999-12-31T23:59-14:00", "2022-11", {"at_invalid"}),
    ],
    ids=["a day", "the midnight that ends September", "a second later", "no clock shows it", "not yet"],
)
def test_a_control_reading_is_of_the_month_it_was_taken_in(at: str, period: str, found: set[str]) -> None:
    """No window binds it, so its own day tells the period; an instant at which nothing can have been read tells none."""
    new = sent({"A+": "5"}, "", at=datetime.fromisoformat(at))
    judged = judge(new, meter(register()), strict(), EARLY, told=Told(source="control"))
    assert (judged.period, set(weights(judged))) == (period, found)


def test_a_period_that_is_none_is_refused() -> None:
    judged = verdict({"A+": "5"}, meter(register()), period="2022-13")
    assert weights(judged) == {"period_invalid": "error"}
    assert judged.problems[0].values == {"period": "2022-13"}


@pytest.mark.parametrize(("day", "code"), [(5, "window_not_open"), (25, "window_closed")])
def test_when_no_period_is_open_the_month_of_arrival_is_objected_to(day: int, code: str) -> None:
    by = strict(window=Range(from_day=10, to_month=0, to_day=20))
    judged = verdict({"A+": "5"}, meter(register()), by, datetime(2022, 10, day, tzinfo=UTC), period="")
    assert weights(judged) == {code: "error"}
    assert judged.period == "2022-10"


@pytest.mark.parametrize(
    ("told", "refused"),
    [
        (OCTOBER + timedelta(hours=23), False),
        (OCTOBER + timedelta(hours=25), True),
        (datetime(1990, 1, 1, tzinfo=UTC), False),
        (datetime(1989, 12, 31, tzinfo=UTC), True),
        (datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14))), True),
    ],
)
def test_a_reading_cannot_have_been_taken_after_it_came(*, told: datetime, refused: bool) -> None:
    judged = verdict({"A+": "5"}, meter(register()), at=told)
    assert weights(judged) == ({"at_invalid": "error"} if refused else {})
    assert judged.at == (OCTOBER if refused else told)


@pytest.mark.parametrize(
    ("name", "told", "at", "source"),
    [
        ("legal_entity", None, local("2022-11-01T00:00", "Europe/Moscow"), AtFrom.PERIOD_END),
        ("household", None, OCTOBER, AtFrom.ARRIVAL),
        ("household", datetime(2022, 10, 20, tzinfo=UTC), datetime(2022, 10, 20, tzinfo=UTC), AtFrom.TYPED),
        ("legal_entity", datetime(2022, 10, 20, tzinfo=UTC), datetime(2022, 10, 20, tzinfo=UTC), AtFrom.TYPED),
    ],
)
def test_an_instant_is_told_or_comes_from_the_profile(name: str, told: datetime | None, at: datetime, source: AtFrom) -> None:
    judged = verdict({"A+": "5"}, meter(register()), profile(name), at=told, at_from=AtFrom.TYPED)
    assert (judged.at, judged.at_from) == (at, source)


def test_a_register_the_meter_lacks_and_one_given_twice_are_named() -> None:
    readings = tuple(Reading(register=code, value=Decimal(5), where=f"cell {n}") for n, code in enumerate(("A+", "heat", "A+")))
    judged = verdict({}, meter(register()), readings=readings)
    assert [(problem.code, problem.where, problem.values["register"]) for problem in judged.problems] == [
        ("register_unknown", "cell 1", "heat"),
        ("register_repeated", "cell 2", "A+"),
    ]
    assert judged.status is ReadingStatus.REJECTED


@pytest.mark.parametrize(
    ("known", "told", "source", "previous"),
    [
        ({}, None, "last_closed", None),
        ({}, "90", "last_closed", "90"),
        ({"last": "100"}, None, "last_closed", "100"),
        ({"last": "100"}, "90", "last_closed", "100"),
        ({"last": "100"}, "90", "declared", "90"),
        ({"last": "100"}, None, "declared", "100"),
        ({"last": "100", "last_period": "2022-10", "before": "80"}, None, "last_closed", "80"),
        ({"last": "100", "last_period": "2022-10"}, None, "last_closed", None),
        ({"last": "100", "last_period": "2022-10"}, "90", "last_closed", "90"),
        ({"last": "100", "last_period": ""}, None, "last_closed", "100"),
    ],
    ids=[
        "nothing known",
        "first report",
        "known",
        "known wins",
        "declared wins",
        "declared by default",
        "a correction",
        "a correction of the first",
        "a correction of the first report",
        "a value without a period",
    ],
)
def test_the_previous_value(known: dict[str, Any], told: str | None, source: str, previous: str | None) -> None:
    if "before" in known:
        known = {**known, "before": Decimal(known["before"])}
    reading = Reading(register="A+", value=Decimal(120), previous=None if told is None else Decimal(told))
    judged = verdict({}, meter(register(**known)), profile(reading={"previous": source}), readings=(reading,))
    value = judged.values[0]
    assert value.previous == (None if previous is None else Decimal(previous))
    assert value.consumption == (None if previous is None else 120 - Decimal(previous))
    assert judged.earlier_wanted == ()


@pytest.mark.parametrize(("per_period", "previous"), [("one", 80), ("many", 100)])
def test_a_second_reading_of_a_period_corrects_the_first_or_stands_for_itself(per_period: str, previous: int) -> None:
    one = register(last="100", last_period="2022-10", before=Decimal(80))
    assert verdict({"A+": "120"}, meter(one), profile(reading={"per_period": per_period})).values[0].previous == previous


def test_the_same_reading_again_is_a_duplicate_and_no_zero_consumption() -> None:
    one = meter(register(last="100", last_period="2022-10", last_at=OCTOBER, before=Decimal(80)))
    for name in ("household", "legal_entity"):
        judged = verdict({"A+": "100"}, one, profile(name), at=OCTOBER)
        assert weights(judged) == {"duplicate_reading": "hint"}
        assert (judged.duplicate, judged.values[0].consumption) == (True, Decimal(20))


def test_a_meter_without_a_single_value_is_not_accepted() -> None:
    assert weights(verdict({}, meter(register()), profile("household"))) == {"value_missing": "error"}
    assert weights(verdict({}, meter(register()), profile("legal_entity"))) == {"zone_missing": "error"}


@pytest.mark.parametrize(
    ("name", "known", "period", "at"),
    [
        ("legal_entity", {"last_period": "2022-11"}, "2022-10", None),
        ("household", {"last_period": "2022-10", "last_at": OCTOBER}, "2022-10", datetime(2022, 10, 20, tzinfo=UTC)),
    ],
    ids=["an older period", "an earlier day"],
)
def test_a_reading_before_the_last_one_asks_for_the_value_before_it(
    name: str, known: dict[str, Any], period: str, at: datetime | None
) -> None:
    one = meter(register(last="100", **known))
    first = judge(sent({"A+": "90"}, period=period, at=at), one, profile(name), OCTOBER)
    assert first.earlier_wanted == (one.registers[0].id,)
    assert (first.values[0].previous, first.status) == (None, ReadingStatus.ACCEPTED)

    again = judge(first.new, one, profile(name), OCTOBER, earlier={one.registers[0].id: Decimal(95)})
    assert again.earlier_wanted == ()
    assert again.values[0].consumption == -5
    assert "reading_decreased" in weights(again)

    never = judge(first.new, one, profile(name), OCTOBER, earlier={one.registers[0].id: None})
    assert (never.earlier_wanted, never.values[0].previous) == ((), None)


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        ({}, "2520"),
        ({"ratio_applied": True}, "63"),
        ({"losses_applied": True}, "2400"),
        ({"ratio_applied": True, "losses_applied": True}, "60"),
    ],
)
def test_ratio_and_losses_are_added_unless_the_value_has_them(applied: dict[str, Any], expected: str) -> None:
    reading = Reading(register="A+", value=Decimal(160), **applied)
    judged = verdict({}, meter(register(last="100"), ratio="40", losses="0.05"), readings=(reading,))
    assert judged.values[0].consumption == Decimal(expected)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ((), ReadingStatus.ACCEPTED),
        ((Severity.HINT, Severity.WARNING), ReadingStatus.ACCEPTED),
        ((Severity.NEEDS_REVIEW, Severity.HINT), ReadingStatus.NEEDS_REVIEW),
        ((Severity.NEEDS_REVIEW, Severity.ERROR), ReadingStatus.REJECTED),
    ],
)
def test_the_heaviest_problem_decides(found: tuple[Severity, ...], status: ReadingStatus) -> None:
    problems = tuple(Problem(code="not_a_number", severity=severity) for severity in found)
    assert sum_up(problems) is status
    judged = verdict({"A+": "5"}, meter(register()), problems=problems)
    assert (judged.status, judged.problems) == (status, problems)


def test_a_meter_with_zones_beside_its_whole_is_not_counted_twice() -> None:
    day, night, whole = register("A+:day", "0"), register("A+:night", "0"), register("A+", "0")
    judged = verdict({"A+:day": "5", "A+:night": "7", "A+": "12"}, meter(day, night, whole))
    alone = verdict({"A+": "100"}, meter(register(last="0")))
    assert totals([judged, alone]) == {Quantity.ACTIVE_RECEIVED: Decimal(112)}
