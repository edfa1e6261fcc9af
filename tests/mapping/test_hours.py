"""How hours and days are written along the edges of tables, and which local days have not 24 hours."""

from datetime import date, datetime, time, timedelta

import pytest

from gateway.mapping.cells import Cell
from gateway.mapping.hours import HOURS, Label, day, hour, odd_days
from gateway.mapping.sheet_owner import named
from gateway.mapping.tables import Table

NO_ZONE = datetime(2021, 2, 5, 7)  # noqa: DTZ001 - what a sheet's cell is


@pytest.mark.parametrize(
    ("cell", "begins"),
    [
        ("00-01", 0),
        ("0-1", 0),
        ("23-24", 23),
        ("23-0", 23),
        ("23-00", 23),
        ("9 – 10", 9),
        ("9—10", 9),
        ("9−10", 9),
        (" 09-10\u00a0", 9),
        ("00:00-01:00", 0),
        ("1:00 - 2:00", 1),
        (1.0, 0),
        (24.0, 23),
        (6, 5),
        ("6", 5),
        ("5:00", 4),
        ("05:00:00", 4),
        ("24:00", 23),
        ("0:00", 23),
        (time(6), 5),
        (time(6, 0, 0, 1), 5),
        (time(5, 59, 59, 999_999), 5),
        (time(0), 23),
        (timedelta(hours=24), 23),
        (timedelta(hours=1), 0),
        (NO_ZONE, 6),
        (date(1900, 1, 1), 23),
        (date(1904, 1, 2), 23),
        (date(2026, 2, 1), 1),
        (date(2026, 1, 2), 1),
        (date(2026, 6, 5), 5),
        (date(2026, 12, 11), 11),
        (datetime(2026, 6, 5), 5),  # noqa: DTZ001
    ],
)
def test_a_label_names_its_hour_or_the_hours_end(cell: Cell, begins: int) -> None:
    found = hour(cell)
    assert found is not None
    assert (found.hour, found.mark) == (begins, "")


TEXTS = ("", "24-00", "24-25", "1-3", "2-1", "1-2-3", "час", "25", "0", "-1", "6:30", "1.5", "٣", "1" * 30, "00-01 лишнее")
OTHERS = (0.0, 25.0, 1.5, float("nan"), float("inf"), True, time(6, 30), timedelta(hours=25), date(2026, 5, 5), date(2026, 1, 12))


@pytest.mark.parametrize("cell", [*TEXTS, *OTHERS])
def test_anything_else_is_no_hour(cell: Cell) -> None:
    assert hour(cell) is None


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ("02-03*", Label(2, "*")),
        ("02-03 *", Label(2, "*")),
        ("02-03 Б", Label(2, "*")),
        ("02-03А", Label(2)),
        ("2А", Label(2, "A")),
        ("2a", Label(2, "A")),
        ("2Б", Label(2, "B")),
        ("3B", Label(3, "B")),
        ("3*", Label(2, "*")),
    ],
)
def test_the_second_of_two_equal_hours_may_say_so(cell: str, label: Label) -> None:
    assert hour(cell) == label


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("01.02.2021", date(2021, 2, 1)),
        ("1.2.21", date(2021, 2, 1)),
        ("01/02/2021", date(2021, 2, 1)),
        ("01-02-2021", date(2021, 2, 1)),
        ("01.02.2021 г.", date(2021, 2, 1)),
        ("01.02.2021 0:00:00", date(2021, 2, 1)),
        ("2021-02-01", date(2021, 2, 1)),
        ("2021-02-01T00:00:00", date(2021, 2, 1)),
        (44228.0, date(2021, 2, 1)),
        (NO_ZONE, date(2021, 2, 5)),
        (date(2021, 2, 1), date(2021, 2, 1)),
        ("31.11.2021", None),
        ("29.02.2026", None),
        ("2021-13-01", None),
        ("01.02", None),
        ("1", None),
        ("", None),
        (44228.5, None),
        (12.0, None),
        (True, None),
        (time(1), None),
    ],
)
def test_a_day_is_a_date_a_text_or_a_number(cell: Cell, found: date | None) -> None:
    assert day(cell) == found


@pytest.mark.parametrize(
    ("zone", "month", "odd"),
    [
        ("Europe/Kyiv", date(2026, 3, 1), {date(2026, 3, 29): (3, -1)}),
        ("Europe/Kyiv", date(2026, 10, 1), {date(2026, 10, 25): (3, 1)}),
        ("Europe/Berlin", date(2026, 3, 1), {date(2026, 3, 29): (2, -1)}),
        ("Europe/Berlin", date(2026, 10, 1), {date(2026, 10, 25): (2, 1)}),
        ("Europe/Moscow", date(2026, 3, 1), {}),
        ("Europe/Moscow", date(2010, 10, 1), {date(2010, 10, 31): (2, 1)}),
        ("America/Havana", date(2026, 3, 1), {date(2026, 3, 8): (0, -1)}),
        ("UTC", date(2026, 10, 1), {}),
    ],
)
def test_days_that_have_not_24_hours_follow_from_the_zone(zone: str, month: date, odd: dict[date, tuple[int, int]]) -> None:
    assert odd_days(zone, month) == odd


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("01284918", "01284918"),
        ("ИКТ-258", "ИКТ-258"),
        ("ПУ 01284918 • РТП 100. яч.2", "01284918"),
        ("№ 13 300963", "13 300963"),
        ("Лист1", ""),
        ("Sheet1", ""),
        ("Февраль 2021", ""),
        ("02.2021", ""),
        ("Показания", ""),
    ],
)
def test_a_sheets_name_may_be_a_meters_number(name: str, code: str) -> None:
    assert named(Table(name, False, 0, 0, [], [])) == code


def test_there_are_24_hours() -> None:
    assert [hour(label) for label in HOURS] == [Label(begins) for begins in range(24)]
