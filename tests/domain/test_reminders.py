"""Reminders over whole years against a loop that walks every window of every period, for each of the four kinds; each is told once."""

from collections import Counter
from datetime import date, timedelta

import pytest

from gateway.domain.calendars import Calendar
from gateway.domain.reminders import NAMED, Missing, Switches, due, facts
from gateway.domain.windows import CutOff, DueDay, MonthEnd, Range, Timing, Window, opening, shift
from tests.domain.test_windows import BUSY, LAZY, NAMES, WINDOWS

DAYS = [date(2023, 12, 1) + timedelta(days=number) for number in range(366 + 62)]
ZONE = "Europe/Moscow"


def periods() -> list[str]:
    """Every period whose window may touch these days, and more."""
    return [f"{shift(date(2022, 6, 1), number):%Y-%m}" for number in range(40)]


@pytest.mark.parametrize(("window", "calendar"), WINDOWS, ids=NAMES)
@pytest.mark.parametrize("switches", [Switches(4, 2), Switches(1, 15), Switches(15, 1), Switches(None, 3), Switches(3), Switches()])
def test_a_year_of_reminders_is_what_a_walk_over_all_windows_finds(window: Window, calendar: Calendar, switches: Switches) -> None:
    timing = Timing(window, ZONE, calendar)
    lacking = [Missing("M", period, timing) for period in periods()]
    found = [(day, reminder.kind, reminder.opening.period, reminder.days) for day in DAYS for reminder in due(switches, lacking, day)]
    walked = []
    for period in periods():
        days = opening(timing, period)
        if switches.start is not None:
            walked.append((days.first - timedelta(days=switches.start), "remind_start", period, switches.start))
        if switches.end is not None:
            walked.append((days.last - timedelta(days=switches.end), "remind_end", period, switches.end))
    assert sorted(found) == sorted(one for one in walked if one[0] in set(DAYS))
    assert bool(found) == (switches != Switches())


def test_every_kind_of_window_is_walked() -> None:
    assert {type(window) for window, _ in WINDOWS} == {CutOff, Range, MonthEnd, DueDay}
    assert {id(LAZY), id(BUSY)} <= {id(calendar) for _, calendar in WINDOWS}


def test_each_occasion_of_a_year_is_told_on_one_day_alone() -> None:
    lacking = [Missing("M", period, Timing(Range(), ZONE)) for period in periods()]
    told = Counter((one.kind, one.occasion(7)) for day in DAYS for one in due(Switches(4, 2), lacking, day))
    assert set(told.values()) == {1}
    assert ("remind_end", "7 2024-01 2024-02-21") in told


def test_nothing_missing_nothing_told_and_only_of_the_period_that_is_missing() -> None:
    timing, day = Timing(Range(), ZONE), date(2022, 11, 19)
    assert due(Switches(4, 2), [], day) == []
    assert due(Switches(4, 2), [Missing("M", "2022-11", timing)], day) == []
    [told] = due(Switches(4, 2), [Missing("M", "2022-11", timing), Missing("M", "2022-10", timing)], day)
    assert (told.opening.period, told.opening.last, told.meters) == ("2022-10", date(2022, 11, 21), ("M",))


def test_meters_of_one_window_are_told_together_and_of_another_apart() -> None:
    water, drain = Timing(Range(), ZONE), Timing(Range(to_day=25), ZONE)
    lacking = [
        Missing("1", "2022-10", water),
        Missing("2", "2022-10", drain),
        Missing("3", "2022-10", water),
        Missing("1", "2022-10", water),
    ]
    start = due(Switches(start=1), lacking, date(2022, 9, 30))
    assert [(one.meters, one.opening.last) for one in start] == [(("1", "3"), date(2022, 11, 21)), (("2",), date(2022, 11, 25))]
    assert [one.meters for one in due(Switches(end=2), lacking, date(2022, 11, 19))] == [("1", "3")]


def test_a_letter_names_twenty_meters_and_counts_the_rest() -> None:
    lacking = [Missing(f"M{number}", "2022-10", Timing(Range(), ZONE)) for number in range(NAMED + 3)]
    [told] = due(Switches(end=2), lacking, date(2022, 11, 19))
    said = facts(told, "City", "A-1", date(2022, 11, 19))
    assert (said["meters"].count(",") + 1, said["more"]) == (NAMED, "3")
    assert facts(due(Switches(end=2), lacking[:2], date(2022, 11, 19))[0], "City", "A-1", date(2022, 11, 19))["more"] == "0"
