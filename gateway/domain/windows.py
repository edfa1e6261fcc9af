"""When readings may be handed in: four kinds of window, each from one of the manuals, and the days they come to."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.calendars import WEEKDAYS, Calendar

Months = Annotated[int, msgspec.Meta(ge=-12, le=12)]
Day = Annotated[int, msgspec.Meta(ge=1, le=31)]


class CutOff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="cut_off"):
    """On any day; what comes after day `day` of a month counts for the next one and is never refused (household manual 4.2, F-042)."""

    day: Day = 25


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="range"):
    """From day `from_day` of the period's month plus `from_month` to the end of day `to_day` of the month plus `to_month`.

    It may reach into the next month, where two periods are open at once (legal-entity manual, figure 13; F-053).
    """

    from_month: Months = 0
    from_day: Day = 1
    to_month: Months = 1
    to_day: Day = 21

    def __post_init__(self) -> None:
        """Refuse a window that ends before it begins."""
        if (self.from_month, self.from_day) > (self.to_month, self.to_day):
            raise ValueError("the window ends before it begins")


class MonthEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="month_end"):
    """From day `day`, which the consumer's manager may set otherwise, to the last day of the month (consumer manual III, F-057)."""

    day: Day = 1


class DueDay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="due_day"):
    """The `lead_days` days before due day `day`, which an agreement may have otherwise, and that day itself (water manual 6, F-061).

    A due day on which nobody works extends the window to the first working day after it; its beginning stays.
    `month`: the month of the due day, counted from the period's. `count_due_day`: whether the due day is one of the `lead_days`.
    """

    day: Day = 6
    month: Months = 0
    lead_days: Annotated[int, msgspec.Meta(ge=0, le=31)] = 3
    count_due_day: bool = True


_INSTANT: Final = timedelta(microseconds=1)
_SLACK: Final = 2
"""Windows begin in the month before (a lead before the 1st, the day after a cut-off) or end in the one after (a day off at its end)."""

Window = CutOff | Range | MonthEnd | DueDay


def on_day(window: Window, day: int | None) -> Window:
    """The same window with the day that an agreement or a consumer has for itself; a `Range` has no such day and stays."""
    return window if day is None or isinstance(window, Range) else msgspec.structs.replace(window, day=day)


class Timing(msgspec.Struct, frozen=True):
    """A window where it applies: the days that count are those of `zone`, people work by `calendar`."""

    window: Window
    zone: str
    calendar: Calendar = WEEKDAYS


class Opening(msgspec.Struct, frozen=True):
    """The days of a window for one period, both in it. `nominal`: the last day as the rule names it, before it gives way to a day off."""

    period: str
    first: date
    last: date
    nominal: date


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


@lru_cache(maxsize=4096)
def opening(timing: Timing, period: str) -> Opening:
    """Return the days on which readings of `period` are taken. A day past the end of a month means its last day.

    Raises ValueError for what is no period.
    """
    first, window = month(period), timing.window
    if isinstance(window, CutOff):
        begins, nominal = _day(shift(first, -1), window.day) + timedelta(days=1), _day(first, window.day)
    elif isinstance(window, MonthEnd):
        begins, nominal = _day(first, window.day), shift(first, 1) - timedelta(days=1)
    elif isinstance(window, DueDay):
        nominal = _day(shift(first, window.month), window.day)
        begins = nominal - timedelta(days=max(window.lead_days - window.count_due_day, 0))
        return Opening(period, begins, timing.calendar.first_working(nominal), nominal)
    else:
        begins, nominal = _day(shift(first, window.from_month), window.from_day), _day(shift(first, window.to_month), window.to_day)
    return Opening(period, begins, nominal, nominal)


@lru_cache(maxsize=4096)
def bounds(timing: Timing, period: str) -> tuple[datetime, datetime]:
    """Return the first instant of the window and the first instant after it, counted by the days of its zone, told in UTC.

    UTC, because instants that share a zone are compared by the clock on the wall, which is wrong for the hour that is repeated in autumn.
    """
    days = opening(timing, period)
    return _midnight(days.first, timing.zone), _midnight(days.last + timedelta(days=1), timing.zone)


@lru_cache(maxsize=1024)
def period_end(period: str, zone: str) -> datetime:
    """First instant after a period that is a calendar month of `zone`. Raises ValueError for what is no period."""
    return _midnight(shift(month(period), 1), zone)


def period_of(arrival: datetime, zone: str) -> str:
    """The calendar month of `zone` in which `arrival` lies."""
    return f"{arrival.astimezone(ZoneInfo(zone)):%Y-%m}"


def local_day(moment: datetime, zone: str) -> date:
    """The day of `zone` in which a moment lies."""
    return moment.astimezone(ZoneInfo(zone)).date()


def day_read(at: datetime, zone: str) -> date:
    """The day of `zone` that a reading belongs to: what is read at a midnight belongs to the day that ends then."""
    return local_day(at - _INSTANT, zone)


def open_periods(timing: Timing, arrival: datetime) -> tuple[str, ...]:
    """Every period whose window is open at `arrival`, earliest first (GV-10: on 10 November October and November are)."""
    return tuple(one.period for one in open_on(timing, local_day(arrival, timing.zone)))


@lru_cache(maxsize=4096)
def open_on(timing: Timing, day: date) -> tuple[Opening, ...]:
    """The windows that are open on a day, those of earlier periods first."""
    return tuple(one for one in _around(timing, day) if one.first <= day <= one.last)


@lru_cache(maxsize=4096)
def next_after(timing: Timing, day: date) -> Opening:
    """The first window that opens after a day."""
    return min((one for one in _around(timing, day) if one.first > day), key=lambda one: (one.first, one.period))


def _around(timing: Timing, day: date) -> list[Opening]:
    """The windows of every period that could be open on a day, and of the next ones."""
    window = timing.window
    if isinstance(window, Range):
        latest, earliest = window.to_month, window.from_month
    else:
        latest = earliest = window.month if isinstance(window, DueDay) else 0
    here = day.replace(day=1)
    return [opening(timing, f"{shift(here, -back):%Y-%m}") for back in range(latest + _SLACK, earliest - _SLACK - 1, -1)]


def is_open(timing: Timing, period: str, arrival: datetime) -> bool:
    """Tell whether a reading of `period` that arrives at `arrival` comes in time: deadlines are judged by arrival."""
    start, end = bounds(timing, period)
    return start <= arrival < end
