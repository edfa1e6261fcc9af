"""When readings may be handed in; so far by one kind of window, a range relative to its period (legal-entity manual, figure 13)."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

Months = Annotated[int, msgspec.Meta(ge=-12, le=12)]
Day = Annotated[int, msgspec.Meta(ge=1, le=31)]


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="range"):
    """From day `from_day` of the period's month plus `from_month` to the end of day `to_day` of the month plus `to_month`.

    Both days belong to the window. A day past the end of a month means its last day.
    """

    from_month: Months = 0
    from_day: Day = 1
    to_month: Months = 1
    to_day: Day = 21

    def __post_init__(self) -> None:
        """Refuse a window that ends before it begins."""
        if (self.from_month, self.from_day) > (self.to_month, self.to_day):
            raise ValueError("the window ends before it begins")


def month(period: str) -> date:
    """First day of a period written `YYYY-MM`, of the years 1900 to 2199. Raises ValueError for any other text."""
    year, number = period[:4], period[5:]
    if (
        len(period) != 7
        or period[4] != "-"
        or not (year + number).isascii()
        or not (year + number).isdigit()
        or not "1900" <= year < "2200"
    ):
        raise ValueError(period)
    return date(int(year), int(number), 1)


def shift(first: date, months: int) -> date:
    """First day of the month that lies `months` after the month of `first`."""
    years, index = divmod(first.month - 1 + months, 12)
    return date(first.year + years, index + 1, 1)


def days_in(period: str) -> tuple[date, date]:
    """First and last day of a period."""
    first = month(period)
    return first, shift(first, 1) - timedelta(days=1)


def _day(first: date, day: int) -> date:
    return min(first + timedelta(days=day - 1), shift(first, 1) - timedelta(days=1))


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


@lru_cache(maxsize=1024)
def days(window: Window, period: str) -> tuple[date, date]:
    """Return the first and the last day on which readings of `period` are taken. Raises ValueError for what is no period."""
    first = month(period)
    return _day(shift(first, window.from_month), window.from_day), _day(shift(first, window.to_month), window.to_day)


@lru_cache(maxsize=1024)
def bounds(window: Window, period: str, zone: str) -> tuple[datetime, datetime]:
    """Return the first instant of the window and the first instant after it, counted by the days of `zone`, told in UTC.

    UTC, because instants that share a zone are compared by the clock on the wall, which is wrong for the hour that is repeated in autumn.
    """
    first, last = days(window, period)
    return _midnight(first, zone), _midnight(last + timedelta(days=1), zone)


@lru_cache(maxsize=1024)
def period_end(period: str, zone: str) -> datetime:
    """First instant after a period that is a calendar month of `zone`. Raises ValueError for what is no period."""
    return _midnight(shift(month(period), 1), zone)


def period_of(arrival: datetime, zone: str) -> str:
    """The calendar month of `zone` in which `arrival` lies."""
    return f"{arrival.astimezone(ZoneInfo(zone)):%Y-%m}"


def open_periods(window: Window, arrival: datetime, zone: str) -> tuple[str, ...]:
    """Every period whose window is open at `arrival`, earliest first (GV-10: on 10 November October and November are)."""
    return _open_on(window, arrival.astimezone(ZoneInfo(zone)).date())


@lru_cache(maxsize=1024)
def _open_on(window: Window, day: date) -> tuple[str, ...]:
    around = (f"{shift(day.replace(day=1), -back):%Y-%m}" for back in range(window.to_month, window.from_month - 1, -1))
    return tuple(period for period in around if days(window, period)[0] <= day <= days(window, period)[1])


def is_open(window: Window, period: str, arrival: datetime, zone: str) -> bool:
    """Tell whether a reading of `period` that arrives at `arrival` comes in time: deadlines are judged by arrival."""
    start, end = bounds(window, period, zone)
    return start <= arrival < end
