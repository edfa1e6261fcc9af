"""Rows of time read by a mapping document: what hours are called, meters across, the days when clocks change."""

from datetime import date

import pytest

from gateway.domain.problems import Severity
from gateway.domain.readings import IntervalBlock, Step
from tests.formats.read_mapped import ACROSS, HOURS, blocks, book, decoded, mapped, rows, wrong


def test_an_hour_from_0_to_23_is_a_beginning() -> None:
    clocks = [f"{hour:02}:00" for hour in range(24)]
    assert blocks(
        mapped(HOURS), rows("Счетчик;Дата;Время;Расход", *(f"7;01.10.2026;{clock};{value}" for value, clock in enumerate(clocks, 1)))
    ) == {("7", "A+", "2026-10-01"): ",".join(map(str, range(1, 25)))}


def test_an_hour_from_1_to_24_is_an_end() -> None:
    lines = ["Счетчик;Дата;Время;Расход", *(f"7;01.10.2026;{hour};{hour}" for hour in range(1, 25))]
    assert blocks(mapped(HOURS), rows(*lines)) == {("7", "A+", "2026-10-01"): ",".join(map(str, range(1, 25)))}


def test_a_midnight_of_the_day_that_it_ends_is_its_hour_24() -> None:
    lines = [f"7;{day:02}.10.2026;{hour % 24:02}:00;{hour}" for day in (30, 31) for hour in range(1, 25)]
    assert blocks(mapped(HOURS), rows("Счетчик;Дата;Время;Расход", *lines)) == {
        ("7", "A+", "2026-10-30"): ",".join(map(str, range(1, 25))),
        ("7", "A+", "2026-10-31"): ",".join(map(str, range(1, 25))),
    }


@pytest.mark.parametrize(("label", "written"), [("start", ",2,3" + "," * 21), ("end", "2,3" + "," * 22)])
def test_the_document_says_what_the_hours_do_not(label: str, written: str) -> None:
    lines = ["Счетчик;Дата;Время;Расход", "7;01.10.2026;01:00;2", "7;01.10.2026;02:00;3"]
    assert blocks(mapped(f'label = "{label}"\n{HOURS}'), rows(*lines)) == {("7", "A+", "2026-10-01"): written}
    assert wrong(mapped(HOURS), rows(*lines)) == [("hour_labels_unclear", "line 2, column 4")], "nothing is guessed"


def test_a_beginning_and_an_end_of_one_day_are_unclear() -> None:
    lines = ["Счетчик;Дата;Время;Расход", "7;31.10.2026;;2", "7;31.10.2026;24:00;3"]
    assert wrong(mapped(HOURS), rows(*lines)) == [("hour_labels_unclear", "line 2, column 4")]


@pytest.mark.parametrize(("label", "day", "written"), [("start", "2026-10-02", "3" + "," * 23), ("end", "2026-10-01", "," * 23 + "3")])
def test_midnight_is_one_moment_by_either_name(label: str, day: str, written: str) -> None:
    lines = ["Счетчик;Дата;Время;Расход", "7;01.10.2026;24:00;3"]
    assert blocks(mapped(f'label = "{label}"\n{HOURS}'), rows(*lines)) == {("7", "A+", day): written}


def test_meters_across_are_named_by_the_header() -> None:
    lines = [
        ["Часы", None, None, None],
        ["Дата", "Время", "0071", 72],
        [date(2026, 10, 1), "0-1", 5, 6],
        [date(2026, 10, 1), "1-2", 7, None],
    ]
    found = blocks(mapped(ACROSS), book(("Лист1", lines)))

    assert {key: value.rstrip(",") for key, value in found.items()} == {
        ("0071", "A+", "2026-10-01"): "5,7",
        ("72", "A+", "2026-10-01"): "6",
    }


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_the_days_when_clocks_change_have_23_and_25_hours(day: date, hours: int) -> None:
    clocks = [hour for hour in range(24) if hours == 25 or hour != 3]
    clocks += [3] if hours == 25 else []
    lines = [f"7;{day:%d.%m.%Y};{hour:02}:00;{place}" for place, hour in enumerate(sorted(clocks), 1)]
    found = blocks(mapped(HOURS), rows("Счетчик;Дата;Время;Расход", *lines))

    assert found == {("7", "A+", day.isoformat()): ",".join(map(str, range(1, hours + 1)))}


def test_an_hour_that_is_not_or_comes_twice_refuses_its_meter() -> None:
    head = "Счетчик;Дата;Время;Расход"
    spring = [f"7;29.03.2026;{hour:02}:00;1" for hour in range(24)]
    twice = ["7;01.10.2026;00:00;1", "7;01.10.2026;05:00;1", "7;01.10.2026;05:00;2"]

    assert wrong(mapped(HOURS), rows(head, *spring)) == [("hour_nonexistent", "line 5, column 4")]
    assert wrong(mapped(HOURS), rows(head, *twice)) == [("moment_repeated", "line 4, column 4")]


def test_days_of_a_month_are_a_block() -> None:
    document = 'layout = "series"\nstep = "P1D"\n[columns]\nmeter = ["ПУ"]\nday = ["День"]\n'
    document += '[[values]]\ncolumn = ["Расход"]\nregister = "volume"\nunit = "l"\n'
    lines = ["ПУ;День;Расход, л", *(f"{meter};{day:02}.02.2026;{day * 1000}" for meter in ("1", "2") for day in (1, 2, 28))]
    [first, second] = decoded(mapped(document), rows(*lines))
    [block] = first.blocks

    assert (first.meter, second.meter, first.period) == ("1", "2", "2026-02")
    assert isinstance(block, IntervalBlock)
    assert (block.step, block.day, block.count, block.where) == (Step.DAY, date(2026, 2, 1), 28, "lines 2-4, column 3")
    assert [value for value in block.values if value is not None] == [1, 2, 28]


def test_a_month_is_a_reading_of_its_own() -> None:
    lines = [f"7;{day};{hour:02}:00;1" for day in ("31.10.2026", "01.11.2026") for hour in range(24)]
    found = decoded(mapped(HOURS), rows("Счетчик;Дата;Время;Расход", *lines))
    assert [(one.period, len(one.blocks)) for one in found] == [("2026-10", 1), ("2026-11", 1)]


def test_sheets_of_one_meter_and_month_are_one_reading() -> None:
    def sheet(day: int) -> list[list[object]]:
        return [["Счетчик", "Дата", "Время", "Расход"], *(["7", date(2026, 10, day), hour, hour] for hour in range(1, 25))]

    [one] = decoded(mapped(HOURS), book(("1", sheet(1)), ("2", sheet(2))))

    assert [(block.day.day, block.where) for block in one.blocks] == [(1, "1!D2:D25"), (2, "2!D2:D25")]


def test_a_column_that_no_meter_names_is_told_and_the_others_are_read() -> None:
    lines = [["Дата", "Время", "0071", date(2026, 10, 1)], [date(2026, 10, 1), "0-1", 5, 6]]
    body = book(("Лист1", lines))

    assert wrong(mapped(ACROSS), body) == [("cell_not_text", "Лист1!D1")]
    assert [(one.meter, len(one.blocks), len(one.problems)) for one in decoded(mapped(ACROSS), body)] == [("", 0, 1), ("0071", 1, 0)]


def test_numbers_without_a_day_are_told_and_refuse_nobody() -> None:
    lines = ["Счетчик;Дата;Время;Расход", "7;01.10.2026;0-1;2", "7;01.10.2026;1-2;3", ";;;5", "Главный энергетик;;;"]

    [one] = decoded(mapped(HOURS), rows(*lines))

    assert [(problem.code, problem.where, problem.severity) for problem in one.problems] == [
        ("moment_invalid", "line 4, column 2", Severity.WARNING)
    ]
    assert one.blocks[0].written.rstrip(",") == "2,3"


@pytest.mark.parametrize("by_meter", [True, False], ids=["one meter after the other", "one hour after the other"])
@pytest.mark.parametrize("first", [0, 1], ids=["beginnings", "ends"])
def test_a_midnight_is_of_its_own_meter_and_not_of_the_row_above(first: int, by_meter: bool) -> None:  # noqa: FBT001 - two orders
    lines = [(meter, hour) for meter in ("7", "8", "9") for hour in range(first, first + 24)]
    lines = lines if by_meter else sorted(lines, key=lambda one: one[1])
    body = rows("Счетчик;Дата;Время;Расход", *(f"{meter};01.10.2026;{hour % 24:02}:00;{hour}" for meter, hour in lines))

    assert blocks(mapped(HOURS), body) == {(meter, "A+", "2026-10-01"): ",".join(map(str, range(first, first + 24))) for meter in "789"}


def test_a_row_without_a_moment_refuses_its_meter_and_no_other() -> None:
    body = rows(
        "Счетчик;Дата;Время;Расход",
        *(f"{meter};01.10.2026;{hour}-{hour + 1};1" for meter in ("7", "8") for hour in range(3)),
        "8;32.10.2026;3-4;1",
        "9;01.10.2026;3-5;1",
    )
    found = [
        (one.meter, [(problem.code, problem.where) for problem in one.problems], len(one.blocks)) for one in decoded(mapped(HOURS), body)
    ]

    assert found == [
        ("7", [], 1),
        ("8", [("moment_invalid", "line 8, column 2")], 1),
        ("9", [("moment_invalid", "line 9, column 3")], 0),
    ]


def test_a_total_beside_the_meters_is_no_meter() -> None:
    body = rows("Дата;Время;0071;0072;Итого", *(f"01.10.2026;{hour}:00;{hour};1;{hour + 1}" for hour in range(24)))
    assert {meter for meter, _, _ in blocks(mapped(ACROSS), body)} == {"0071", "0072"}
