"""Windows of three years against a calendar written another way, and what is no period."""

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.windows import Window, bounds, days, is_open, month, open_periods, period_end, period_of
from tests.domain.build import PROFILES, local

ZONES = ("Asia/Irkutsk", "Europe/Kyiv", "America/Asuncion", "Pacific/Apia")
WINDOWS = (
    Window(),
    Window(to_month=0, to_day=31),
    Window(from_month=-1, from_day=25, to_month=0, to_day=5),
    Window(from_month=1, from_day=1, to_month=1, to_day=10),
    Window(from_day=31, to_month=2, to_day=30),
    Window(from_day=29, to_month=0, to_day=29),
)


def brute(window: Window, day: date) -> list[str]:
    """Every period open on a day, found by numbering the months since year 0 and trying those around."""
    found = []
    for number in range(day.year * 12 + day.month - 1 - 15, day.year * 12 + day.month + 15):

        def place(months: int, wanted: int, number: int = number) -> tuple[int, int]:
            count = number + months
            return count, min(wanted, calendar.monthrange(count // 12, count % 12 + 1)[1])

        here = (day.year * 12 + day.month - 1, day.day)
        if place(window.from_month, window.from_day) <= here <= place(window.to_month, window.to_day):
            found.append(f"{number // 12:04}-{number % 12 + 1:02}")
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_three_years_of_days_agree_with_a_calendar_written_another_way(window: Window, zone: str) -> None:
    tz = ZoneInfo(zone)
    for number in range(3 * 366):
        day = date(2023, 1, 1) + timedelta(days=number)
        for moment in (datetime(day.year, day.month, day.day, 4, tzinfo=tz), datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=tz)):
            arrival = moment.astimezone(UTC)
            expected = brute(window, arrival.astimezone(tz).date())
            assert list(open_periods(window, arrival, zone)) == expected
            assert all(is_open(window, period, arrival, zone) for period in expected)


@given(
    window=st.builds(
        Window, from_month=st.integers(-2, 0), from_day=st.integers(1, 31), to_month=st.integers(1, 3), to_day=st.integers(1, 31)
    ),
    arrival=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is given beside
    zone=st.sampled_from(ZONES),
)
def test_open_periods_are_those_whose_bounds_hold_the_moment(window: Window, arrival: datetime, zone: str) -> None:
    fitting = open_periods(window, arrival, zone)
    assert list(fitting) == brute(window, arrival.astimezone(ZoneInfo(zone)).date())
    for period in fitting:
        start, end = bounds(window, period, zone)
        assert start <= arrival < end
        assert (start.tzinfo, end.tzinfo) == (UTC, UTC)


def test_a_day_past_the_end_of_a_month_means_its_last_day() -> None:
    window = Window(from_day=30, to_month=0, to_day=31)
    assert days(window, "2023-02") == (date(2023, 2, 28), date(2023, 2, 28))
    assert days(window, "2024-02") == (date(2024, 2, 29), date(2024, 2, 29))


def test_two_months_overlap_until_the_21st() -> None:
    window = PROFILES["legal_entity"].window
    assert open_periods(window, local("2022-11-10T12:00", "Europe/Moscow"), "Europe/Moscow") == ("2022-10", "2022-11")
    assert open_periods(window, local("2022-11-22T00:00", "Europe/Moscow"), "Europe/Moscow") == ("2022-11",)


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
        bounds(Window(), text, "UTC")


@pytest.mark.parametrize(
    "keys", [{"from_day": 0}, {"to_day": 32}, {"from_month": -13}, {"from_month": 1, "to_month": 0}, {"kind": "due_day"}, {"day": 1}]
)
def test_a_window_that_cannot_be_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(keys, Window)
