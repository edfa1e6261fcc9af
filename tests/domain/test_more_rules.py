"""Rules that ask the registry, the season and the interval values beside a dial: when each fires, when it does not, and at its edge."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.belief import believe, usual_between
from gateway.domain.judging import Judged, judge
from gateway.domain.profile import Plausible, Profile
from gateway.domain.readings import MeterReading, Quality, Reading
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import Meter, Register
from gateway.domain.suspicion import Around, hints
from tests.domain.build import OCTOBER, meter, profile, register, sent, strict, verdict, weights
from tests.samples.profiles import NOVEMBER, beside, month

LAST = datetime(2022, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("power", "value", "fires"),
    [("10", "1264", False), ("10", "1265", False), ("10", "1266", True), (None, "99999", False), ("0", "1001", False), ("0", "1002", True)],
    ids=["below", "at the limit", "above", "no power known", "a unit of the dial", "two units"],
)
def test_no_more_energy_than_the_object_can_draw(*, power: str | None, value: str, fires: bool) -> None:
    """24 hours of 10 kW and a tenth more are 264 kWh; the dial may be one unit behind."""
    one = meter(register(last="1000"), max_power=None if power is None else Decimal(power))
    at = LAST + timedelta(days=1)
    assert ("power_exceeded" in weights(verdict({"A+": value}, one, at=at))) is fires


def test_of_values_typed_one_after_the_other_only_the_day_is_known() -> None:
    one = meter(register(last="1000"), max_power=Decimal(10))
    for value, fires in (("1265", False), ("1266", True)):
        found = weights(verdict({"A+": value}, one, at=LAST + timedelta(seconds=5)))
        assert ("power_exceeded" in found) is fires


def test_power_is_held_against_the_consumption_with_the_ratio() -> None:
    one, at = meter(register(last="1000"), ratio="100", max_power=Decimal(10)), LAST + timedelta(days=1)
    judged = verdict({"A+": "1004"}, one, at=at)
    [problem] = [problem for problem in judged.problems if problem.code == "power_exceeded"]
    assert (problem.values["consumption"], problem.values["most"]) == ("400", "364")
    assert judged.status is ReadingStatus.REJECTED
    assert "power_exceeded" not in weights(verdict({"A+": "1003"}, one, at=at))
    assert "power_exceeded" not in weights(verdict({"volume": "9000"}, meter(register("volume", "1000"), max_power=Decimal(1)), at=at))
    wide = strict(plausible=msgspec.structs.replace(Plausible(), power=2.0))
    assert "power_exceeded" not in weights(verdict({"A+": "1005"}, one, wide, at=at))


@pytest.mark.parametrize(
    ("flow", "value", "fires"),
    [("2.5", "1067", False), ("2.5", "1068", True), (None, "99999", False)],
    ids=["at the limit", "above", "no flow known"],
)
def test_no_more_water_than_can_run_through_the_meter(*, flow: str | None, value: str, fires: bool) -> None:
    """24 hours of 2.5 m3/h and a tenth more are 66 m3; the dial may be one unit behind."""
    one = meter(register("volume", "1000"), max_flow=None if flow is None else Decimal(flow), max_power=Decimal(0))
    judged = verdict({"volume": value}, one, at=LAST + timedelta(days=1))
    assert ("flow_exceeded" in weights(judged)) is fires
    assert (judged.status is ReadingStatus.REJECTED) is fires
    energy = meter(register(last="1000"), max_flow=Decimal(0))
    assert "flow_exceeded" not in weights(verdict({"A+": value}, energy, at=LAST + timedelta(days=1))), "energy does not flow"


@pytest.mark.parametrize("closed", ["point_closed", "agreement_closed"])
@pytest.mark.parametrize(
    ("day", "value", "fires"),
    [(date(2022, 10, 25), "1500", False), (date(2022, 10, 24), "1500", True), (date(2022, 10, 24), "1430", False), (None, "1500", False)],
    ids=["on the last day", "after it", "nothing used", "not closed"],
)
def test_usage_where_nothing_is_supplied_any_more_waits_for_a_person(*, closed: str, day: date | None, value: str, fires: bool) -> None:
    one = msgspec.structs.replace(meter(register(last="1430")), **{f"{closed}_on": day})
    judged = verdict({"A+": value}, one)
    assert (closed in weights(judged)) is fires
    assert (judged.status is ReadingStatus.NEEDS_REVIEW) is fires


def test_hours_of_a_closed_point_are_usage_only_if_they_are_not_zero() -> None:
    one = meter(register(), point_closed_on=date(2022, 9, 30))
    new = MeterReading(meter="20300109", readings=(), period="2022-10", blocks=(month("0.00"),))
    assert "point_closed" not in weights(judge(new, one, strict(), NOVEMBER))
    assert "point_closed" in weights(judge(msgspec.structs.replace(new, blocks=(month("0.01"),)), one, strict(), NOVEMBER))


@pytest.mark.parametrize(
    ("quality", "before", "period", "fires"),
    [
        (Quality.ESTIMATED, 2, "2022-10", False),
        (Quality.ESTIMATED, 3, "2022-10", True),
        (Quality.SUBSTITUTED, 3, "2022-10", True),
        (Quality.VALID, 9, "2022-10", False),
        (Quality.ESTIMATED, 3, "2022-09", False),
    ],
    ids=["third period", "fourth", "put in for another", "read", "the third one again"],
)
def test_estimates_of_many_periods_in_a_row_are_pointed_out(*, quality: Quality, before: int, period: str, fires: bool) -> None:
    reading = Reading(register="A+", value=Decimal(1500), quality=quality)
    judged = verdict({}, meter(register(last="1430", estimated=before)), readings=(reading,), period=period)
    assert ("estimated_too_long" in weights(judged)) is fires


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_a_register_counts_the_periods_that_nobody_read(told: list[tuple[bool, bool]]) -> None:
    """Each step goes on by a period or corrects the one before; a value that was read begins anew."""
    known, count, number = register(last="0", last_period="2020-01", last_at=LAST), 0, 0
    for onward, estimated in told:
        number += onward
        count = (count + 1 if onward else max(count, 1)) if estimated else 0
        period, at = f"{2020 + number // 12}-{number % 12 + 1:02}", LAST + timedelta(days=30 * number)
        known = believe(known, Decimal(number), period=period, at=at, reading=None, chain=False, estimated=estimated)
        assert known.estimated == count


@pytest.mark.parametrize(
    ("values", "fires"),
    [
        ({"A+": "1130", "A+:day": "60", "A+:night": "70"}, False),
        ({"A+": "1133", "A+:day": "60", "A+:night": "70"}, False),
        ({"A+": "1134", "A+:day": "60", "A+:night": "70"}, True),
        ({"A+": "1126", "A+:day": "60", "A+:night": "70"}, True),
        ({"A+": "1300", "A+:day": "60"}, False),
        ({"A+:day": "60", "A+:night": "70"}, False),
    ],
    ids=["alike", "a unit of each dial", "more", "less", "a zone is missing", "no total"],
)
def test_zones_add_up_to_the_register_that_runs_round_the_clock(*, values: Mapping[str, str], fires: bool) -> None:
    three = meter(register(last="1000"), register("A+:day", "0"), register("A+:night", "0"), ratio="40")
    assert ("zones_differ" in weights(verdict(values, three, profile(reading={"together": False})))) is fires


def compared(judged: Judged) -> tuple[str, str] | None:
    """What interval values and dials come to, where they do not agree."""
    return next(((one.values["integral"], one.values["interval"]) for one in judged.problems if one.code == "intervals_differ"), None)


@pytest.mark.parametrize(
    ("value", "each", "told"),
    [
        ("1310", "10", None),
        ("1311", "10", None),
        ("1312", "10", ("13104", "13020")),
        ("11000", "322.9", None),
        ("1310", "1", ("13020", "1302")),
    ],
    ids=["alike", "a unit", "two units", "a thousandth", "a tenth"],
)
def test_interval_values_are_held_against_the_dial_beside_them(value: str, each: str, told: tuple[str, str] | None) -> None:
    one = meter(register(last="1000", digits=6), ratio="40", losses="0.05")
    assert compared(judge(beside(month(each), value=value), one, strict(), NOVEMBER)) == told


@pytest.mark.parametrize(
    ("known", "blocks", "told"),
    [
        ({"last": "1310", "last_period": "2022-10", "before": Decimal(1000)}, [month("1")], ("310", "31")),
        ({"last": "1310", "last_period": "2022-10", "before": Decimal(1000)}, [month("1", 30)], None),
        ({"last": "1310", "last_period": "2022-10"}, [month("1")], None),
        ({"last": "1310", "last_period": "2022-09", "before": Decimal(1000)}, [month("1")], None),
    ],
    ids=["read before", "a day is missing", "nothing before it", "of another period"],
)
def test_interval_values_are_held_against_a_dial_read_before(
    known: Mapping[str, Any], blocks: list[Any], told: tuple[str, str] | None
) -> None:
    new = MeterReading(meter="20300109", readings=(), period="2022-10", blocks=tuple(blocks))
    assert compared(judge(new, meter(register(**known)), strict(), NOVEMBER)) == told


@pytest.mark.parametrize(
    ("each", "code"),
    [("10", "delta_ratio_missing"), ("16000", "delta_ratio_twice"), ("0.25", "delta_ratio_inverse"), ("777", None)],
)
def test_the_multiplier_that_makes_both_agree_is_named(each: str, code: str | None) -> None:
    """310 x 40 by the dial; days of 400 are right where they contain the ratio."""
    one = meter(register(last="1000"), ratio="40")
    judged = judge(beside(month(each, ratio_applied=True), value="1310"), one, strict(), NOVEMBER)
    assert [hint.code for hint in hints(judged, Around([]))] == ([code] if code else [])
    assert compared(judge(beside(month("400", ratio_applied=True), value="1310"), one, strict(), NOVEMBER)) is None


CATEGORY = profile(severity={})


@pytest.mark.parametrize(
    ("category", "fires"), [(None, False), (2, False), (3, True), (6, True)], ids=["not told", "second", "third", "sixth"]
)
def test_a_dial_of_a_high_price_category_wants_interval_values(*, category: int | None, fires: bool) -> None:
    one = meter(register(last="1000"), price_category=category)
    assert ("intervals_missing_for_category" in weights(verdict({"A+": "1310"}, one, CATEGORY))) is fires
    assert "intervals_missing_for_category" not in weights(verdict({"A+": "1310"}, one, strict())), "only where the profile says so"


def test_interval_values_in_the_same_submission_or_taken_before_are_enough() -> None:
    one = meter(register(last="1000"), price_category=3)

    def said(*, stored: Mapping[tuple[str, str], Decimal] | None = None, blocks: bool = False, by: Profile = CATEGORY) -> dict[str, str]:
        new = beside(month("10")) if blocks else sent({"A+": "1310"})
        return weights(judge(new, one, by, NOVEMBER, stored=stored or {}))

    assert said() == {"intervals_missing_for_category": "warning"}
    assert "intervals_missing_for_category" not in said(blocks=True)
    assert said(stored={("2022-10", "A+"): Decimal(310)}) == {}
    assert set(said(stored={("2022-09", "A+"): Decimal(310)})) == {"intervals_missing_for_category"}
    assert set(said(stored={("2022-10", "A+"): Decimal(31)})) == {"intervals_differ"}, "and they must agree with the dial"
    reactive = meter(register("R+", last="1000"), price_category=3)
    assert weights(judge(sent({"R+": "1310"}), reactive, CATEGORY, NOVEMBER)) == {}


def two_years(summer: int, winter: int) -> Register:
    """A register read at the end of each month of 2020 and 2021, with a usual advance a day in summer and another in winter."""
    known = register(last="0", last_period="2019-12", last_at=datetime(2020, 1, 1, tzinfo=UTC))
    for number in range(24):
        first, following = (datetime(2020 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in (number, number + 1))
        value = (known.last or Decimal(0)) + (following - first).days * (summer if 4 <= first.month <= 9 else winter)
        known = believe(known, value, period=f"{first:%Y-%m}", at=following, reading=None, chain=False)
    return known


def test_a_consumption_is_held_against_the_same_month_of_the_years_before() -> None:
    """10 a day in summer and 200 in winter: the first cold month is no leap, and a warm one like it is."""
    known = two_years(10, 200)
    season = known.season.split(",")
    assert (season[6], season[1], season[11]) == ("10", "200", "200")
    october, april = (datetime(2022, month_, 1, tzinfo=UTC) for month_ in (10, 4))
    assert usual_between(known, october, october + timedelta(days=30), Decimal(10)) == 200
    assert usual_between(known, april, april + timedelta(days=30), Decimal(200)) == 10
    assert usual_between(known, april, april + timedelta(days=90), Decimal(77)) == 77, "a longer time lies in no month"
    cold = msgspec.structs.replace(register(last="1000"), season=known.season, daily=Decimal(10))
    assert weights(verdict({"A+": "6000"}, meter(cold), at=OCTOBER)) == {}
    assert "consumption_high" in weights(verdict({"A+": "6000"}, meter(msgspec.structs.replace(cold, season="")), at=OCTOBER))
    warm = msgspec.structs.replace(
        cold, season=known.season.replace("200", "x").replace("10", "200").replace("x", "10"), daily=Decimal(200)
    )
    assert "consumption_high" in weights(verdict({"A+": "6000"}, meter(warm), at=OCTOBER))


def test_a_month_that_is_not_over_is_not_yet_known() -> None:
    """Readings of every third day: what was used this month is of late, and not of the years before."""
    known = register(last="0", last_period="2022-10", last_at=datetime(2022, 10, 1, tzinfo=UTC))
    for number in range(1, 9):
        at = datetime(2022, 10, 1, tzinfo=UTC) + timedelta(days=3 * number)
        known = believe(known, Decimal(300 * number), period="2022-10", at=at, reading=None, chain=True)
    assert (known.season, known.daily) == ("", Decimal(100))


def test_a_meter_without_any_of_this_is_asked_nothing() -> None:
    one: Meter = meter(register(last="1000"))
    assert weights(verdict({"A+": "1310"}, one)) == {}
