"""Windows of three years against a calendar written another way, the vectors of the manuals, and what is no period."""

import calendar
import random
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.calendars import WEEKDAYS, Calendar, read_calendar
from gateway.domain.judging import judge
from gateway.domain.problems import Misconfigured
from gateway.domain.windows import (
    CutOff,
    DueDay,
    MonthEnd,
    Range,
    Timing,
    Window,
    bounds,
    is_open,
    month,
    next_after,
    on_day,
    open_on,
    open_periods,
    opening,
    period_end,
    period_of,
)
from gateway.profiles import calendars
from tests.domain.build import PROFILES, local, meter, profile, register, sent, strict, weights

ZONES = ("Asia/Irkutsk", "Europe/Kyiv", "America/Asuncion", "Pacific/Apia")
DAYS = [date(2023, 1, 1) + timedelta(days=number) for number in range(3 * 366)]
PICK = random.Random(61)  # noqa: S311 - days off, no secrets
LAZY = Calendar(off=frozenset(PICK.sample(DAYS, 200)), working=frozenset())
"""A country with many days off, some of them in a row."""
BUSY = Calendar(working=frozenset(day for day in PICK.sample(DAYS, 200)))
WINDOWS: tuple[tuple[Window, Calendar], ...] = (
    *((CutOff(day=day), WEEKDAYS) for day in (1, 25, 28, 29, 30, 31)),
    (Range(), WEEKDAYS),
    (Range(to_month=0, to_day=31), WEEKDAYS),
    (Range(from_month=-1, from_day=25, to_month=0, to_day=5), WEEKDAYS),
    (Range(from_month=1, from_day=1, to_month=1, to_day=10), WEEKDAYS),
    (Range(from_day=31, to_month=2, to_day=30), WEEKDAYS),
    (Range(from_day=29, to_month=0, to_day=29), WEEKDAYS),
    *((MonthEnd(day=day), WEEKDAYS) for day in (1, 15, 29, 31)),
    *(
        (DueDay(day=day, month=months, lead_days=lead, count_due_day=count), works)
        for day, months, lead, count in (
            (6, 0, 3, True),
            (6, 0, 3, False),
            (1, 1, 5, True),
            (2, 0, 0, True),
            (31, 0, 4, False),
            (28, -1, 3, True),
        )
        for works in (WEEKDAYS, LAZY, BUSY)
    ),
)


NAMES = [f"{window}, {'lazy' if days is LAZY else 'busy' if days is BUSY else 'weekdays'}" for window, days in WINDOWS]


def works(days: Calendar, day: date) -> bool:
    """Whether people work on a day, told by its name instead of its number."""
    if day in days.working or day in days.off:
        return day in days.working
    return calendar.day_name[calendar.weekday(day.year, day.month, day.day)] not in ("Saturday", "Sunday")


@lru_cache(maxsize=200_000)
def brute(window: Window, days: Calendar, day: date) -> list[str]:
    """Every period open on a day, found by numbering the months since year 0 and asking each of those around."""
    here = day.year * 12 + day.month - 1
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(here - 6, here + 7) if _open(window, days, number, day)]


def _open(window: Window, days: Calendar, number: int, day: date) -> bool:
    """Whether a day is in the window of the month of that number."""

    def long(count: int) -> int:
        return calendar.monthrange(count // 12, count % 12 + 1)[1]

    def place(months: int, wanted: int) -> tuple[int, int]:
        return number + months, min(wanted, long(number + months))

    here = (day.year * 12 + day.month - 1, day.day)
    match window:
        case CutOff():
            return number == here[0] + (day.day > min(window.day, long(here[0])))
        case MonthEnd():
            return number == here[0] and day.day >= min(window.day, long(number))
        case Range():
            return place(window.from_month, window.from_day) <= here <= place(window.to_month, window.to_day)
        case DueDay():
            count, nominal = place(window.month, window.day)
            due = date(count // 12, count % 12 + 1, nominal)
            late = (due + timedelta(days=n) for n in range((day - due).days))
            return (due - day).days < window.lead_days + (not window.count_due_day or not window.lead_days) and not any(
                works(days, one) for one in late
            )


@pytest.mark.parametrize(("window", "works", "zone"), [(*one, ZONES[n % len(ZONES)]) for n, one in enumerate(WINDOWS)], ids=NAMES)
def test_three_years_of_days_agree_with_a_calendar_written_another_way(window: Window, works: Calendar, zone: str) -> None:
    tz, timing = ZoneInfo(zone), Timing(window, zone, works)
    for day in DAYS:
        for moment in (datetime(day.year, day.month, day.day, 4, tzinfo=tz), datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=tz)):
            arrival = moment.astimezone(UTC)
            expected = brute(window, works, arrival.astimezone(tz).date())
            assert list(open_periods(timing, arrival)) == expected
            assert all(is_open(timing, period, arrival) for period in expected)


@pytest.mark.parametrize(("window", "works"), WINDOWS, ids=NAMES)
def test_the_next_window_is_the_first_that_begins_later(window: Window, works: Calendar) -> None:
    timing = Timing(window, "UTC", works)
    starts = sorted({(one.first, one.period) for day in DAYS for one in open_on(timing, day)})
    for day in DAYS[:700]:
        following = next_after(timing, day)
        assert (following.first, following.period) == next(start for start in starts if start[0] > day)


@given(
    window=st.one_of(
        st.builds(Range, from_month=st.integers(-2, 0), from_day=st.integers(1, 31), to_month=st.integers(1, 3), to_day=st.integers(1, 31)),
        st.builds(CutOff, day=st.integers(1, 31)),
        st.builds(MonthEnd, day=st.integers(1, 31)),
        st.builds(DueDay, day=st.integers(1, 31), month=st.integers(-2, 2), lead_days=st.integers(0, 31), count_due_day=st.booleans()),
    ),
    arrival=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is given beside
    zone=st.sampled_from(ZONES),
)
def test_open_periods_are_those_whose_bounds_hold_the_moment(window: Window, arrival: datetime, zone: str) -> None:
    timing = Timing(window, zone)
    fitting = open_periods(timing, arrival)
    assert list(fitting) == brute(window, WEEKDAYS, arrival.astimezone(ZoneInfo(zone)).date())
    for period in fitting:
        start, end = bounds(timing, period)
        assert start <= arrival < end
        assert (start.tzinfo, end.tzinfo) == (UTC, UTC)


def test_a_day_past_the_end_of_a_month_means_its_last_day() -> None:
    timing = Timing(Range(from_day=30, to_month=0, to_day=31), "UTC")
    for period, day in (("2023-02", date(2023, 2, 28)), ("2024-02", date(2024, 2, 29))):
        found = opening(timing, period)
        assert (found.first, found.last) == (day, day)


def test_two_months_overlap_until_the_21st() -> None:
    timing = PROFILES["legal_entity"].timing()
    assert open_periods(timing, local("2022-11-10T12:00", "Europe/Moscow")) == ("2022-10", "2022-11")
    assert open_periods(timing, local("2022-11-22T00:00", "Europe/Moscow")) == ("2022-11",)


RUSSIA = read_calendar(calendars()["ru"])


@pytest.mark.parametrize(
    ("day", "codes"),
    [
        ("2018-09-03", {"window_not_open"}),
        ("2018-09-04", set()),
        ("2018-09-06", set()),
        ("2018-09-07", {"window_closed"}),
        ("2018-10-04", set()),
        ("2018-10-06", set()),
        ("2018-10-07", set()),
        ("2018-10-08", set()),
        ("2018-10-09", {"window_closed"}),
    ],
)
def test_gv_9_and_21_a_due_day_gives_way_to_the_first_working_day(day: str, codes: set[str]) -> None:
    by = PROFILES["water"]
    one = meter(register("volume", "231", last_period="2018-08"), service="cold_water", window_day=6)
    judged = judge(sent({"volume": "233"}, day[:7]), one, by, local(f"{day}T23:59:59", by.zone), calendar=RUSSIA)
    assert set(weights(judged)) == codes
    nominal = opening(by.timing("cold_water", 6, RUSSIA), day[:7])
    assert (nominal.nominal.day, nominal.last.day) == {"2018-09": (6, 6), "2018-10": (6, 8)}[day[:7]]


def test_gv_11_from_the_day_the_manager_set_to_the_last_of_the_month() -> None:
    by = PROFILES["consumer_ua"]
    one = meter(register(last="5", last_period="2018-12"), window_day=20)

    def codes(arrival: str) -> set[str]:
        return set(weights(judge(sent({"A+": "9"}, "2019-01"), one, by, local(arrival, by.zone))))

    assert codes("2019-01-19T23:59:59") == {"window_not_open"}
    assert codes("2019-01-20T00:00:00") == set()
    assert codes("2019-01-31T23:59:59") == set()
    assert codes("2019-02-01T00:00:00") == {"window_closed"}


@pytest.mark.parametrize(
    ("arrival", "told", "period", "codes"),
    [
        ("2020-12-25T23:59:59", "", "2020-12", set()),
        ("2020-12-26T00:00:00", "", "2021-01", {"counted_later"}),
        ("2020-12-31T12:00:00", "2020-12", "2021-01", {"counted_later"}),
        ("2021-01-10T12:00:00", "2020-12", "2021-01", {"counted_later"}),
        ("2021-01-10T12:00:00", "2021-01", "2021-01", set()),
        ("2021-01-10T12:00:00", "2021-02", "2021-02", {"window_not_open"}),
    ],
)
def test_what_comes_after_the_25th_counts_for_the_next_month(arrival: str, told: str, period: str, codes: set[str]) -> None:
    by = PROFILES["household"]
    judged = judge(sent({"A+": "9"}, told), meter(register(last="5", last_period="2020-11")), by, local(arrival, by.zone))
    assert (judged.period, set(weights(judged))) == (period, codes)
    if "counted_later" in codes:
        [later] = judged.problems
        assert later.values == {"period": "2020-12", "closed": "2020-12-25", "next_period": "2021-01"}
        assert judged.status == "accepted"


def test_a_late_reading_says_which_period_takes_it() -> None:
    by = strict(window=MonthEnd(day=20))
    for arrival, told in (
        ("2022-11-05T12:00", ("2022-11", "2022-11-20", "2022-11-30")),
        ("2022-11-25T12:00", ("2022-11", "2022-11-20", "2022-11-30")),
    ):
        judged = judge(sent({"A+": "9"}, "2022-10"), meter(register(last="5")), by, local(arrival, by.zone))
        [late] = judged.problems
        assert (late.code, late.values["closes"]) == ("window_closed", "2022-10-31")
        assert tuple(late.values[name] for name in ("next_period", "next_opens", "next_closes")) == told


def test_a_service_may_have_a_window_of_its_own() -> None:
    by = profile("water", windows={"drain": DueDay(day=8)})
    assert by.timing("drain").window == DueDay(day=8)
    assert by.timing("cold_water").window == DueDay(day=6)
    assert by.timing("cold_water", 12).window == DueDay(day=12)
    assert on_day(Range(), 12) == Range()


def test_the_working_days_of_russia() -> None:
    """Days moved by decree: 27 April 2024, 28 December 2024 and 1 November 2025 were worked, 9 January 2026 was not."""
    told = {"2024-04-27": True, "2024-12-28": True, "2025-11-01": True, "2026-01-09": False, "2018-10-06": False, "2018-10-08": True}
    assert {day: RUSSIA.works(date.fromisoformat(day)) for day in told} == told
    other = msgspec.structs.replace(RUSSIA, working=frozenset({date(2026, 1, 9)}), off=frozenset({date(2024, 4, 27)}))
    assert (other.works(date(2026, 1, 9)), other.works(date(2024, 4, 27))) == (True, False)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ('country = "XX"', "country"),
        ("holidays = []", "holidays"),
        ("off = [2026-13-01]", "calendar"),
        ('off = ["tomorrow"]', "$.off"),
        ("off = [2026-01-09]\nworking = [2026-01-09]", "working"),
        ("off = 5", "$.off"),
    ],
)
def test_a_wrong_calendar_is_refused_with_its_path(document: str, path: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read_calendar(document.encode())
    assert path in str(refused.value)


def test_a_country_where_nobody_works_is_no_calendar() -> None:
    idle = Calendar(name="idle", off=frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(100)))
    with pytest.raises(Misconfigured, match="idle"):
        idle.first_working(date(2026, 1, 1))


def test_a_month_ends_at_midnight_of_its_zone() -> None:
    assert period_end("2022-12", "Asia/Irkutsk") == datetime(2022, 12, 31, 16, tzinfo=UTC)
    assert period_of(datetime(2022, 12, 31, 16, tzinfo=UTC), "Asia/Irkutsk") == "2023-01"
    assert period_of(datetime(2022, 12, 31, 15, 59, tzinfo=UTC), "Asia/Irkutsk") == "2022-12"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2022",
        "2022-13",
        "2022-00",
        "2022-1",
        "2022-010",
        "2022/10",
        "22-10-01",
        "0001-01",
        "9999-12",
        "1899-12",
        "2200-01",
        "٢٠٢٢-١٠",
        "2022-1 ",
        "+022-10",
    ],
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        month(text)
    with pytest.raises(ValueError, match=r"^"):
        bounds(Timing(Range(), "UTC"), text)


@pytest.mark.parametrize(
    "keys",
    [
        {"kind": "range", "from_day": 0},
        {"kind": "range", "to_day": 32},
        {"kind": "range", "from_month": -13},
        {"kind": "range", "from_month": 1, "to_month": 0},
        {"kind": "range", "day": 1},
        {"kind": "cut_off", "day": 0},
        {"kind": "month_end", "day": 32},
        {"kind": "due_day", "lead_days": -1},
        {"kind": "due_day", "to_day": 3},
        {"kind": "whenever"},
        {"day": 1},
    ],
)
def test_a_window_that_cannot_be_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(keys, Window)
