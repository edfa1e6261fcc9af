"""Each rule: when it fires, when it does not, and at its edge."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.domain.cases import Case, text
from gateway.domain.judging import judge
from gateway.domain.problems import Problem, Severity
from gateway.domain.profile import Plausible
from gateway.domain.readings import Reading
from gateway.domain.rules import RULES, check
from gateway.domain.status import ReadingStatus
from tests.domain.build import OCTOBER, local, meter, profile, register, sent, strict, verdict, weights


@pytest.mark.parametrize(
    ("last", "new", "codes"),
    [
        ("1430", "1843", set()),
        ("1430", "1430", {"zero_consumption"}),
        ("1430", "1429", {"reading_decreased"}),
        ("99990", "12", {"rollover_suspected"}),
        ("90000", "9999", {"rollover_suspected"}),
        ("90000", "10000", {"reading_decreased"}),
        ("89999", "12", {"reading_decreased"}),
        ("1430", "99999", set()),
        ("1430", "100000", {"too_many_digits"}),
        ("1430", "1843.0", set()),
        ("1430", "1843.5", {"too_many_decimals"}),
        (None, "0", set()),
        (None, "-1", {"value_negative"}),
        ("10", "-100000", {"value_negative", "too_many_digits", "reading_decreased"}),
    ],
    ids=[
        "forward",
        "unchanged",
        "backward",
        "past zero",
        "edge of past zero",
        "bottom not low enough",
        "top not high enough",
        "all five digits",
        "sixth digit",
        "zeros after the point",
        "a decimal",
        "first value",
        "below zero",
        "far below zero",
    ],
)
def test_a_value_is_believed_only_if_the_dial_could_show_it(last: str | None, new: str, codes: set[str]) -> None:
    assert set(weights(verdict({"A+": new}, meter(register(last=last))))) == codes


@pytest.mark.parametrize(
    ("value", "decimals", "fires"),
    [("1.25", 2, False), ("1.250", 2, False), ("1.251", 2, True), ("1.250000001", 2, True), ("1E+2", 0, False), ("1.5E-3", 3, True)],
)
def test_only_decimals_that_say_something_are_counted(*, value: str, decimals: int, fires: bool) -> None:
    assert ("too_many_decimals" in weights(verdict({"A+": value}, meter(register(decimals=decimals))))) is fires


@pytest.mark.parametrize(("is_open", "fires"), [(True, False), (False, True)])
def test_a_meter_closed_for_entry_takes_nothing(*, is_open: bool, fires: bool) -> None:
    judged = verdict({"A+": "5"}, meter(register(), entry_open=is_open))
    assert ("entry_closed" in weights(judged)) is fires
    assert (judged.status is ReadingStatus.REJECTED) is fires


def test_a_period_that_billing_has_closed_takes_nothing_and_another_does() -> None:
    closed = meter(register(), entry_periods={"2022-10": False})
    assert "entry_closed" in weights(verdict({"A+": "5"}, closed))
    assert "entry_closed" not in weights(verdict({"A+": "5"}, meter(register(), entry_open=False, entry_periods={"2022-10": True})))
    assert "entry_closed" not in weights(verdict({"A+": "5"}, meter(register(), entry_periods={"2022-09": False})))


LATER = {"next_period": "2022-11", "next_opens": "2022-11-01", "next_closes": "2022-12-21"}


@pytest.mark.parametrize(
    ("arrival", "codes"),
    [
        ("2022-09-30T23:59:59", {"window_not_open"}),
        ("2022-10-01T00:00:00", set()),
        ("2022-11-21T23:59:59", set()),
        ("2022-11-22T00:00:00", {"window_closed"}),
    ],
)
def test_the_window_is_judged_by_arrival_in_the_zone_of_the_utility(arrival: str, codes: set[str]) -> None:
    judged = verdict({"A+": "5"}, meter(register()), arrival=local(arrival, "Europe/Moscow"))
    assert set(weights(judged)) == codes
    assert [problem.values for problem in judged.problems] == [
        {"period": "2022-10", "opens": "2022-10-01", "closes": "2022-11-21"} | (LATER if "window_closed" in codes else {}) for _ in codes
    ]


def test_a_zone_that_could_not_be_read_is_not_missed_as_well() -> None:
    two = meter(register("A+:day"), register("A+:night"))
    unreadable = Problem(code="not_a_number", where="I8", values={"value": "abc", "register": "A+:night"})
    judged = verdict({"A+:day": "5"}, two, profile(reading={"together": True}), problems=(unreadable,))
    assert [problem.code for problem in judged.problems] == ["not_a_number"]


@pytest.mark.parametrize(
    ("came", "together", "missing"),
    [
        ({"A+:day": "5", "A+:night": "7"}, True, []),
        ({"A+:day": "5"}, True, ["A+:night"]),
        ({"A+:day": "5"}, False, []),
        ({}, True, ["A+:day", "A+:night"]),
    ],
)
def test_all_zones_come_together(*, came: Mapping[str, str], together: bool, missing: list[str]) -> None:
    two = meter(register("A+:day"), register("A+:night"))
    judged = verdict(came, two, profile(reading={"together": together}))
    assert [problem.values["register"] for problem in judged.problems if problem.code == "zone_missing"] == missing
    assert (judged.status is ReadingStatus.REJECTED) is bool(missing)


@pytest.mark.parametrize(
    ("last", "typed", "hint"),
    [
        ("231", "233", None),
        ("231", "233417", "233"),
        ("231", "233417.5", None),
        ("0", "5417", None),
        ("3", "130250", "130"),
        ("10", "20000", "20"),
        ("10", "21000", None),
        ("9", "18000", None),
        ("231", "230999", None),
        (None, "233417", None),
    ],
    ids=[
        "cubic metres",
        "over the dial",
        "decimals",
        "from zero",
        "far over",
        "edge",
        "leap",
        "too little known",
        "falls",
        "nothing known",
    ],
)
def test_a_value_a_thousand_times_too_high_looks_like_litres(last: str | None, typed: str, hint: str | None) -> None:
    found = {p.code: p for p in verdict({"volume": typed}, meter(register("volume", last))).problems}
    assert (found["litres_suspected"].values["cubic_metres"] if "litres_suspected" in found else None) == hint


@pytest.mark.parametrize(
    ("code", "decimals", "typed", "hint"), [("volume", 0, "233.417", "233"), ("volume", 3, "233.417", None), ("A+", 0, "233.4", None)]
)
def test_decimals_on_a_dial_without_them_look_like_red_digits(code: str, decimals: int, typed: str, hint: str | None) -> None:
    found = {p.code: p for p in verdict({code: typed}, meter(register(code, "231", decimals=decimals))).problems}
    assert (found["red_digits_suspected"].values["cubic_metres"] if "red_digits_suspected" in found else None) == hint


def test_litres_are_a_matter_of_water_only() -> None:
    assert set(weights(verdict({"A+": "233417"}, meter(register(last="231"))))) == {"too_many_digits"}


@pytest.mark.parametrize(
    ("known", "per_period", "duplicate"),
    [
        ({"last": "15", "last_period": "2022-10"}, "one", True),
        ({"last": "15.0", "last_period": "2022-10"}, "one", True),
        ({"last": "14", "last_period": "2022-10"}, "one", False),
        ({"last": "15", "last_period": "2022-09"}, "one", False),
        ({"last": "15", "last_period": "2022-10", "last_at": OCTOBER}, "many", True),
        ({"last": "15", "last_period": "2022-10", "last_at": datetime(2022, 10, 24, tzinfo=UTC)}, "many", False),
        ({}, "one", False),
    ],
)
def test_the_same_values_are_a_duplicate(*, known: Mapping[str, Any], per_period: str, duplicate: bool) -> None:
    judged = verdict(
        {"A+": "15"}, meter(register(**known)), strict(reading=msgspec.structs.replace(strict().reading, per_period=per_period))
    )
    assert judged.duplicate is duplicate
    assert ("duplicate_reading" in weights(judged)) is duplicate


def test_a_duplicate_wants_every_register_to_be_the_same() -> None:
    night = register("A+:night", "7", last_period="2022-10")
    both = meter(register("A+:day", "5", last_period="2022-10"), night)
    assert verdict({"A+:day": "5", "A+:night": "7"}, both).duplicate
    assert not verdict({"A+:day": "5", "A+:night": "8"}, both).duplicate


@pytest.mark.parametrize(("told", "fires"), [(None, False), ("1430", False), ("1430.0", False), ("1431", True)])
def test_a_previous_value_that_is_not_ours_is_pointed_out(*, told: str | None, fires: bool) -> None:
    reading = Reading(register="A+", value=Decimal(1500), previous=None if told is None else Decimal(told))
    judged = verdict({}, meter(register(last="1430")), readings=(reading,))
    assert ("previous_differs" in weights(judged)) is fires
    assert judged.values[0].previous == 1430


@pytest.mark.parametrize(
    ("applied", "new", "codes"), [(False, "3999960", {"too_many_digits"}), (True, "3999960", set()), (True, "4000000", {"too_many_digits"})]
)
def test_a_value_with_its_ratio_in_it_is_measured_against_the_dial_times_the_ratio(*, applied: bool, new: str, codes: set[str]) -> None:
    reading = Reading(register="A+", value=Decimal(new), ratio_applied=applied)
    assert set(weights(verdict({}, meter(register(), ratio="40"), readings=(reading,)))) == codes


def test_rules_are_asked_in_the_order_they_are_listed_in() -> None:
    everything = meter(register("A+:day", "1430"), register("A+:night", "1"), entry_open=False)
    late = datetime(2023, 1, 1, tzinfo=UTC)
    found = [problem.code for problem in verdict({"A+:day": "-100000.5"}, everything, arrival=late).problems]
    order = [rule.__name__ for rule in RULES]
    assert found == sorted(found, key=order.index)
    assert found == [
        "entry_closed",
        "window_closed",
        "too_many_digits",
        "too_many_decimals",
        "value_negative",
        "reading_decreased",
        "zone_missing",
    ]


@pytest.mark.parametrize(
    ("severity", "status"),
    [
        (Severity.ERROR, ReadingStatus.REJECTED),
        (Severity.NEEDS_REVIEW, ReadingStatus.NEEDS_REVIEW),
        (Severity.WARNING, ReadingStatus.ACCEPTED),
        (Severity.HINT, ReadingStatus.ACCEPTED),
    ],
)
def test_a_profile_says_how_much_a_rule_weighs(severity: Severity, status: ReadingStatus) -> None:
    judged = verdict({"A+": "1429"}, meter(register(last="1430")), strict(severity={"reading_decreased": severity}))
    assert weights(judged) == {"reading_decreased": str(severity)}
    assert judged.status is status


def test_a_rule_looks_at_nothing_but_the_case() -> None:
    one = meter(register(last="1430"))
    case = Case(sent({"A+": "5"}), one, (), "2022-10", OCTOBER, OCTOBER, strict(), strict().timing())
    assert [problem.code for problem in check(case)] == ["zone_missing"]
    assert check(case) == check(case)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("231.000", "231"), ("12.50", "12.5"), ("0.000", "0"), ("-0", "0"), ("1E+3", "1000"), ("100", "100"), ("1E-7", "0.0000001")],
)
def test_a_number_is_shown_plainly(value: str, shown: str) -> None:
    assert text(Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        ("1100", set()),
        ("1499", set()),
        ("1501", {"consumption_high"}),
        ("1010", set()),
        ("1009", {"consumption_low"}),
        ("1000", {"zero_consumption"}),
    ],
)
def test_a_consumption_is_held_against_the_usual_one(value: str, codes: set[str]) -> None:
    """100 in the 30 days before, and 30 days since: more than five times that and less than a tenth are told."""
    read = OCTOBER - timedelta(days=30)
    known = register(last="1000", last_at=read, before=Decimal(900), before_at=read - timedelta(days=30))
    judged = verdict({"A+": value}, meter(known, ratio="40"), at=OCTOBER)
    assert set(weights(judged)) == codes
    if codes & {"consumption_high", "consumption_low"}:
        [told] = judged.problems
        assert (told.values["consumption"], told.values["usual"]) == (str((int(value) - 1000) * 40), "4000")


@pytest.mark.parametrize(
    ("value", "codes"), [("1030", set()), ("1029", {"consumption_low"}), ("1660", set()), ("1661", {"consumption_high"})]
)
def test_shares_of_the_usual_consumption_are_the_ones_that_are_written(value: str, codes: set[str]) -> None:
    """300 in the 30 days before: a tenth is 30 and 2.2 times as much 660 exactly, whatever binary fractions come to."""
    read = OCTOBER - timedelta(days=30)
    known = register(last="1000", last_at=read, before=Decimal(700), before_at=read - timedelta(days=30))
    by = strict(plausible=Plausible(high=2.2))
    assert set(weights(verdict({"A+": value}, meter(known), by, at=OCTOBER))) == codes


def test_a_few_units_are_never_out_of_all_proportion() -> None:
    read = OCTOBER - timedelta(days=30)
    known = register(last="1000", last_at=read, before=Decimal(999), before_at=read - timedelta(days=30))
    assert weights(verdict({"A+": "1020"}, meter(known), at=OCTOBER)) == {}
    assert weights(verdict({"A+": "1022"}, meter(known), at=OCTOBER)) == {"consumption_high": "warning"}
    by = strict(plausible=Plausible(high=50.0))
    assert weights(judge(sent({"A+": "1022"}, at=OCTOBER), meter(known), by, OCTOBER)) == {}
