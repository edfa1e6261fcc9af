"""The golden vectors of the five manuals (GV-n), as far as rules decide them; how the cells were written is the formats' part."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.domain.judging import judge
from gateway.domain.problems import Severity
from gateway.domain.readings import Quantity
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import Meter
from gateway.domain.totals import totals
from gateway.domain.windows import DueDay
from tests.domain.build import OCTOBER, PROFILES, local, meter, profile, register, sent, verdict, weights

WATER = profile("water", window=DueDay(day=25))
"""Due on the day these tests stand on."""


def test_gv_1_difference_times_the_ratio() -> None:
    judged = verdict({"A+": "1843.7"}, meter(register(last="1430.5", decimals=1), ratio="40"), PROFILES["consumer_ua"])
    assert judged.values[0].consumption == Decimal("16528.0")
    assert judged.status is ReadingStatus.ACCEPTED


def test_gv_2_totals_of_an_agreement_by_quantity() -> None:
    by = PROFILES["consumer_ua"]

    def three(active: str, reactive: str, generated: str, ratio: str) -> Meter:
        return meter(
            register("A+", active, decimals=1), register("R+", reactive, decimals=1), register("R-", generated, decimals=1), ratio=ratio
        )

    first = judge(sent({"A+": "1843.7", "R+": "0.0", "R-": "0.0"}), three("1430.5", "0.0", "0.0", "40"), by, OCTOBER)
    second = judge(sent({"A+": "25434.0", "R+": "524.0", "R-": "159.0"}), three("21340.0", "498.0", "145.0", "1"), by, OCTOBER)
    assert totals([first, second]) == {
        Quantity.ACTIVE_RECEIVED: Decimal("20622.0"),
        Quantity.REACTIVE_RECEIVED: Decimal("26.0"),
        Quantity.REACTIVE_DELIVERED: Decimal("14.0"),
    }
    assert [str(total) for total in totals([first, second]).values()] == ["20622.0", "26.0", "14.0"]


def test_gv_4_ratio_and_losses_exactly() -> None:
    judged = verdict({"A+": "450"}, meter(register(last="435", digits=6), ratio="12000", losses="0.003742"), PROFILES["legal_entity"])
    assert judged.values[0].consumption == Decimal("180673.56")
    assert judged.status is ReadingStatus.ACCEPTED


@pytest.mark.parametrize("last_period", ["2022-09", "2022-10"])
def test_gv_5_twelve_billion_kilowatt_hours_are_never_accepted(last_period: str) -> None:
    known = register(last="444", digits=6, last_period=last_period, before=Decimal(444))
    judged = verdict({"A+": "435"}, meter(known, ratio="12000", losses="0.003742"), PROFILES["legal_entity"])
    assert weights(judged) == {"reading_decreased": "needs_review"}
    assert judged.problems[0].values == {"value": "435", "previous": "444", "as_rollover": "12044795595.864"}
    assert Decimal("12044795595.864") == 999991 * Decimal("12044.904")
    assert judged.status is ReadingStatus.NEEDS_REVIEW


def test_gv_17_a_hundred_million_kilowatt_hours_wait_for_a_person() -> None:
    """450 in December, 012441 in January at 12000 x 1.003742: 144 430 443.864 kWh; November and December had used 15."""
    read = [datetime(2022, 11, 30, 21, tzinfo=UTC), datetime(2022, 12, 31, 21, tzinfo=UTC)]
    known = register(last="450", digits=6, last_period="2022-12", last_at=read[1], before=Decimal(435), before_at=read[0])
    one = meter(known, ratio="12000", losses="0.003742")
    judged = judge(sent({"A+": "012441"}, "2023-01"), one, PROFILES["legal_entity"], datetime(2023, 1, 28, tzinfo=UTC))
    assert judged.values[0].consumption == Decimal("144430443.864")
    assert weights(judged) == {"consumption_high": "needs_review"}
    assert judged.status is ReadingStatus.NEEDS_REVIEW
    assert judged.problems[0].values["consumption"] == "144430443.864"


def test_gv_26_an_untouched_form_is_warned_about() -> None:
    """The form is filled with last month's value: handed in as it is, nothing was entered."""
    judged = verdict({"A+": "1430.5"}, meter(register(last="1430.5", decimals=1)), PROFILES["consumer_ua"])
    assert weights(judged) == {"zero_consumption": "warning"}
    assert judged.status is ReadingStatus.ACCEPTED


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_gv_5_a_dial_that_may_have_passed_zero_waits_for_a_person(name: str) -> None:
    judged = verdict({"A+": "12"}, meter(register(last="999990", digits=6), window_day=25), PROFILES[name])
    assert weights(judged) == {"rollover_suspected": "needs_review"}
    assert judged.problems[0].values["as_rollover"] == "22"
    assert judged.status is ReadingStatus.NEEDS_REVIEW


@pytest.mark.parametrize("name", sorted(set(PROFILES) - {"legal_entity"}))
def test_gv_5_other_utilities_refuse_a_value_that_went_back(name: str) -> None:
    assert verdict({"A+": "435"}, meter(register(last="444")), PROFILES[name]).status is ReadingStatus.REJECTED


def test_gv_7_a_household_hands_in_what_its_meter_shows() -> None:
    by = PROFILES["household"]
    last, used = "33055", []
    for value, period, day in (("33055", "2020-12", "2020-12-25"), ("33248", "2021-01", "2021-01-25"), ("33451", "2021-02", "2021-02-25")):
        known = register(last=last, last_period="2020-12", last_at=local("2020-12-24T12:00", by.zone))
        judged = verdict({"A+": value}, meter(known), by, local(f"{day}T12:00", by.zone), period=period)
        assert judged.status is ReadingStatus.ACCEPTED
        assert weights(judged) == ({"zero_consumption": "warning"} if value == last else {})
        used.append(judged.values[0].consumption)
        last = value
    assert used == [0, 193, 203]
    assert "too_many_digits" in weights(verdict({"A+": "100000"}, meter(register(last=last)), by))


@pytest.mark.parametrize(
    ("typed", "found", "cubic_metres"),
    [
        ("233", {}, None),
        ("233417", {"too_many_digits": "error", "litres_suspected": "hint"}, "233"),
        ("233.417", {"too_many_decimals": "error", "red_digits_suspected": "hint"}, "233"),
    ],
    ids=["black digits", "all eight digits", "with red digits"],
)
def test_gv_8_litres_are_refused_and_recognised(typed: str, found: dict[str, str], cubic_metres: str | None) -> None:
    judged = verdict({"volume": typed}, meter(register("volume", "231.000")), WATER)
    assert weights(judged) == found
    assert judged.status is (ReadingStatus.REJECTED if found else ReadingStatus.ACCEPTED)
    hints = [problem.values["cubic_metres"] for problem in judged.problems if problem.severity is Severity.HINT]
    assert hints == ([] if cubic_metres is None else [cubic_metres])
    if not found:
        assert judged.values[0].consumption == 2


def test_gv_8_the_last_value_is_shown_without_its_zeros() -> None:
    judged = verdict({"volume": "230"}, meter(register("volume", "231.000")), WATER)
    assert judged.problems[0].values["previous"] == "231"


def test_gv_10_october_is_taken_on_10_november_if_it_is_named() -> None:
    by = PROFILES["legal_entity"]
    one = meter(register(last="5"))
    assert judge(sent({"A+": "9"}), one, by, local("2022-11-10T12:00", by.zone)).status is ReadingStatus.ACCEPTED
    assert judge(sent({"A+": "9"}), one, by, local("2022-11-21T23:59:59", by.zone)).status is ReadingStatus.ACCEPTED
    assert weights(judge(sent({"A+": "9"}), one, by, local("2022-11-22T00:00", by.zone))) == {"window_closed": "error"}


def test_gv_12_day_without_night_refuses_the_whole_meter() -> None:
    judged = verdict({"A+:day": "12"}, meter(register("A+:day", "5"), register("A+:night", "5")), PROFILES["legal_entity"])
    assert weights(judged) == {"zone_missing": "error"}
    assert judged.status is ReadingStatus.REJECTED
    assert verdict({"A+": "12"}, meter(register(last="5")), PROFILES["legal_entity"]).status is ReadingStatus.ACCEPTED


def test_gv_22_sixty_seven_cubic_metres() -> None:
    assert verdict({"volume": "300"}, meter(register("volume", "233.000")), WATER).values[0].consumption == 67


def test_gv_23_the_first_of_three_readings_in_a_month() -> None:
    judged = verdict({"A+": "33055"}, meter(register(last="32891", last_period="2022-10")), PROFILES["household"])
    assert judged.values[0].consumption == 164


def test_gv_24_leading_zeros_are_not_digits_of_the_value() -> None:
    assert verdict({"A+": "012442"}, meter(register(last="12441", digits=5))).status is ReadingStatus.ACCEPTED
