"""The interval workbook: every place that a problem names, what is taken and what is not, the template there and back."""

import io
import math
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from gateway import texts
from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import IntervalBlock, MeterReading, Step
from gateway.mapping import Envelope, formats
from gateway.mapping.hour_grid import find
from gateway.mapping.integral_template import template as integral_template
from gateway.mapping.interval_sheet import IntervalSheet
from gateway.mapping.interval_workbook import IntervalWorkbook, template
from gateway.mapping.recognising import recognise
from gateway.mapping.tables import Table, letters
from gateway.settings import Limits
from tests.conftest import SAMPLES as SHARED
from tests.formats.make_interval import FEBRUARY, SAMPLES, Row, book, changed, days, grid, old_book, turned, usage, without_column
from tests.formats.make_interval import texts as dates_as_texts
from tests.formats.make_meters import meters

FORMAT = IntervalWorkbook()
TOLD = Envelope(zone="Europe/Moscow", meter="01284918")


def decoded(body: bytes, envelope: Envelope = TOLD, limits: Limits | None = None) -> list[MeterReading]:
    found = list(IntervalWorkbook(limits=limits or Limits()).decode(body, envelope))
    assert not any(isinstance(thing, Problem) for thing in found)
    return [thing for thing in found if isinstance(thing, MeterReading)]


def one(body: bytes, envelope: Envelope = TOLD) -> MeterReading:
    [reading] = decoded(body, envelope)
    return reading


def refusal(body: bytes, envelope: Envelope = TOLD, limits: Limits | None = None) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        decoded(body, envelope, limits)
    return [(problem.code, problem.where) for problem in refused.value.problems]


def problems(body: bytes, envelope: Envelope = TOLD) -> list[tuple[str, str]]:
    return [(problem.code, problem.where) for problem in one(body, envelope).problems]


def total(reading: MeterReading) -> Decimal:
    return sum((value for block in reading.blocks for value in block.values if value is not None), Decimal(0))


@pytest.mark.parametrize(("year", "month", "count"), [(2022, 2, 28), (2024, 2, 29), (2022, 11, 30), (2022, 10, 31)])
@pytest.mark.parametrize("write", [book, old_book])
def test_gv14_a_month_of_24_by_28_to_31(year: int, month: int, count: int, write: Callable[[list[Row]], bytes]) -> None:
    reading = one(write(grid(days(year, month, count))))
    assert [(block.day, len(block.values)) for block in reading.blocks] == [(day, 24) for day in days(year, month, count)]
    assert (reading.period, reading.problems, reading.readings) == (f"{year}-{month:02}", (), ())
    assert {(block.register, block.step) for block in reading.blocks} == {("A+", Step.HOUR)}
    first, last = reading.blocks[0], reading.blocks[-1]
    assert (first.values[0], last.values[23]) == (Decimal(str(usage(0, 1))), Decimal(f"{usage(23, count):g}"))
    column = letters(count)
    assert (first.where, last.where) == ("Лист1!B2:B25", f"Лист1!{column}2:{column}25")


def test_gv14_a_row_too_many_is_told_by_its_cell() -> None:
    rows = grid()
    assert problems(book([*rows, ["24-25", *[1] * 28]])) == [("hour_invalid", "Лист1!A26")]
    assert problems(book([*rows, [None, *[1] * 28]])) == [("hour_invalid", "Лист1!A26")]
    assert problems(book([*rows, ["23-24", *[1] * 28]])) == [("hour_repeated", "Лист1!A26")]


def test_gv14_a_missing_day_is_named_with_the_cell_where_it_ought_to_stand() -> None:
    for body in (book(without_column(grid(), 16)), old_book(without_column(grid(), 16))):
        [problem] = one(body).problems
        assert (problem.code, problem.where, problem.values) == ("day_missing", "Лист1!P1", {"day": "15.02.2021"})
    [problem] = one(book(turned(without_column(grid(), 2)))).problems
    assert (problem.where, problem.values) == ("Лист1!A2", {"day": "01.02.2021"})


def test_gv3_intervals_are_read_exactly() -> None:
    """012441 to 012442 with a ratio of 12000 and losses of 5 % is 12600 by the dial; the hours of the file come to 137130.48."""
    hours, left = 28 * 24, Decimal("137130.48")
    value = Decimal("204.06")
    rows = grid()
    for number in range(hours):
        told = value if number < hours - 1 else left - value * (hours - 1)
        rows[1 + number % 24][1 + number // 24] = told if number % 3 else f"{told}".replace(".", ",")
    reading = one(book(rows))
    assert total(reading) == left
    assert Decimal(12600) - total(reading) == Decimal("-124530.48")


def test_integers_stay_integers_and_noise_is_no_digit() -> None:
    cells = {(2, 2): 12600, (3, 2): 12600.5, (4, 2): 0.1 + 0.2, (5, 2): 1e14, (6, 2): 0.000001, (7, 2): 10.05}
    [first, *_] = one(book(changed(grid(), cells))).blocks
    assert [str(value) for value in first.values[:6]] == ["12600", "12600.5", "0.3", "100000000000000", "0.000001", "10.05"]


def test_a_blank_is_missing_and_never_zero() -> None:
    cells = {(2, 2): None, (3, 2): "-", (4, 2): "н/д", (5, 2): 0, (6, 2): " "}
    [first, *_] = one(book(changed(grid(), cells))).blocks
    assert first.values[:5] == (None, None, None, Decimal(0), None)


def test_a_day_left_empty_has_no_block_and_is_told_of() -> None:
    rows = grid()
    for row in rows[1:]:
        row[5] = row[6] = None
    reading = one(book(rows))
    assert [block.day.day for block in reading.blocks] == [day for day in range(1, 29) if day not in (5, 6)]
    [problem] = reading.problems
    assert (problem.code, problem.where, problem.severity) == ("days_blank", "Лист1!F1", Severity.WARNING)
    assert problem.values == {"days": "05.02.2021–06.02.2021", "count": "2"}


def test_a_day_of_marks_says_that_there_are_no_values() -> None:
    rows = grid()
    for row in rows[1:]:
        row[5] = "-"
    block = one(book(rows)).blocks[4]
    assert (block.day.day, set(block.values)) == (5, {None})


def test_the_kind_of_readings_is_on_every_block() -> None:
    envelope = Envelope(meter="1", ratio_applied=True, losses_applied=True)
    assert {(block.ratio_applied, block.losses_applied) for block in one(book(grid()), envelope).blocks} == {(True, True)}
    assert {(block.ratio_applied, block.losses_applied) for block in one(book(grid())).blocks} == {(False, False)}


def test_every_wrong_cell_is_told_at_once_and_refuses_only_its_meter() -> None:
    bad = changed(grid(), {(2, 2): "18х3", (3, 2): -0.5, (25, 29): "1.234.567", (4, 4): "=B2", (5, 5): float(10**15)})
    good, wrong = decoded(book({"1001": grid(), "1002": bad}), Envelope())
    assert (good.meter, good.problems, len(good.blocks)) == ("1001", (), 28)
    assert wrong.meter == "1002"
    assert [(problem.code, problem.where, problem.severity) for problem in wrong.problems] == [
        ("not_a_number", "1002!B2", Severity.ERROR),
        ("interval_negative", "1002!B3", Severity.ERROR),
        ("cell_formula_no_value", "1002!D4", Severity.ERROR),
        ("number_too_long", "1002!E5", Severity.ERROR),
        ("not_a_number", "1002!AC25", Severity.ERROR),
    ]


def test_a_total_without_a_calculated_value_harms_nobody() -> None:
    rows = [[*row, f"=SUM(B{number}:AC{number})" if number > 1 else "Итого"] for number, row in enumerate(grid(), 1)]
    assert problems(book([*rows, ["Итого", "=SUM(B2:B25)"]])) == []


def test_a_label_that_stands_twice_in_the_file_cannot_be_trusted() -> None:
    spoilt = [Problem(code="cell_duplicate", where=where) for where in ("Лист1!A3", "Лист1!C1", "Лист1!D4", "Лист1!Z99")]
    found = find(Table("Лист1", False, 0, 0, grid(), spoilt))
    assert found is not None
    assert {problem.where for problem in IntervalSheet(found, TOLD, None).problems} == {"Лист1!A3", "Лист1!C1", "Лист1!D4"}


def test_days_as_formulas_that_nobody_calculated_are_told_by_their_cells() -> None:
    body = book([["Время", FEBRUARY[0], *["=B1+1"] * 27], *grid()[1:]])
    found = refusal(body)
    assert (found[0], found[-1]) == (("cell_formula_no_value", "Лист1!C1"), ("hours_not_found", "Лист1"))
    one_spoilt = changed(grid(), {(1, 6): "=E1+1"})
    assert problems(book(one_spoilt)) == [("cell_formula_no_value", "Лист1!F1"), ("day_missing", "Лист1!G1")]


@pytest.mark.parametrize("rows", [grid(), turned(grid())], ids=["down", "across"])
@pytest.mark.parametrize(("above", "left"), [(0, 0), (7, 0), (0, 3), (12, 5)])
def test_the_table_is_found_wherever_it_stands(rows: list[list[object]], above: int, left: int) -> None:
    moved = [["Приложение", None, "от 01.03.2021"] for _ in range(above)] + [[None] * left + row for row in rows]
    reading = one(book(moved))
    assert (total(reading), reading.problems) == (total(one(book(grid()))), ())
    assert len(reading.blocks) == 28


def test_values_that_look_like_hours_are_values() -> None:
    rows = grid(hours=range(1, 25))
    for number, row in enumerate(rows[1:], 1):
        row[1:] = [number] * 28
    assert one(book(rows)).blocks[0].values == tuple(Decimal(number) for number in range(1, 25))
    assert one(book(turned(rows))).blocks[27].values == tuple(Decimal(number) for number in range(1, 25))


def test_23_and_25_hours_are_where_the_zone_puts_them() -> None:
    for zone, number in (("Europe/Kyiv", 3), ("Europe/Berlin", 2)):
        spring = one(book(changed(grid(days(2026, 3, 31)), {(number + 2, 30): None})), Envelope(zone=zone, meter="1"))
        assert (spring.problems, [len(block.values) for block in spring.blocks]) == ((), [24] * 28 + [23] + [24] * 2)
        missing = one(book(grid(days(2026, 10, 31))), Envelope(zone=zone, meter="1"))
        assert [(problem.code, problem.where) for problem in missing.problems] == [("hour_missing", "Лист1!Z1")]
        assert problems(book(grid(days(2026, 3, 31))), Envelope(zone=zone, meter="1")) == [("hour_absent", f"Лист1!AD{number + 2}")]
    assert problems(book(changed(grid(days(2026, 3, 31)), {(4, 30): 0})), Envelope(zone="Europe/Berlin", meter="1")) == [
        ("hour_absent", "Лист1!AD4")
    ]


@pytest.mark.parametrize(("zone", "period", "hours"), [("Europe/Kyiv", "2026-10", 745), ("Europe/Kyiv", "2026-03", 743)])
@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_the_template_comes_back_as_it_was_filled(zone: str, period: str, hours: int, language: texts.Language) -> None:
    meter = meters()[0]
    made = openpyxl.load_workbook(io.BytesIO(template(meter, period=period, zone=zone, language=language)))
    sheet = made.worksheets[0]
    cells = [cell for row in sheet.iter_rows(min_row=2, min_col=2) for cell in row if not cell.protection.locked]
    assert (len(cells), {cell.number_format for cell in cells}) == (hours, {"0.000"})
    assert (sheet["A2"].number_format, sheet["A2"].data_type, sheet["B1"].number_format, sheet["B1"].is_date) == (
        "@",
        "s",
        "DD.MM.YYYY",
        True,
    )
    assert (sheet.protection.sheet, sheet.freeze_panes, made["_meta"].sheet_state) == (True, "B2", "hidden")
    for number, cell in enumerate(cells):
        cell.value = number / 8
    packed = io.BytesIO()
    made.save(packed)
    reading = one(packed.getvalue(), Envelope(zone=zone))
    assert (reading.meter, reading.agreement, reading.point, reading.period) == ("01284918", "90034", "51261", period)
    assert (reading.problems, sum(len(block.values) for block in reading.blocks)) == ((), hours)
    assert total(reading) == sum(range(hours)) * Decimal("0.125")
    del made["_meta"]
    made.worksheets[0].title = "Лист1"
    packed = io.BytesIO()
    made.save(packed)
    again = one(packed.getvalue(), Envelope(zone=zone, meter="01284918", period=period))
    assert [block.values for block in again.blocks] == [block.values for block in reading.blocks]
    assert refusal(packed.getvalue(), Envelope(zone=zone)) == [("meter_not_told", "Лист1")]


def test_a_meters_number_that_is_no_name_of_a_sheet_stays_in_the_hidden_sheet() -> None:
    for serial in ("1/2", "a" * 40, "[1]", "=1+1"):
        meter = type(meters()[0])(id=1, serial=serial, agreement="1", agreement_id=1, point="1")
        made = openpyxl.load_workbook(io.BytesIO(template(meter, period="2022-10", zone="UTC", language="en")))
        assert (made["_meta"]["B4"].value, made["_meta"]["B4"].data_type) == (serial, "s")
        assert made.worksheets[0].title == (serial if serial == "=1+1" else "Interval readings")


@pytest.mark.parametrize(
    ("envelope", "found"),
    [
        (Envelope(agreement="90035"), [("template_mismatch", "_meta!B3")]),
        (Envelope(zone="UTC"), []),
    ],
)
def test_a_template_of_another_agreement_is_refused_whole(envelope: Envelope, found: list[tuple[str, str]]) -> None:
    body = SAMPLES["template.xlsx"]()
    assert (refusal(body, envelope) if found else problems(body, envelope)) == found


def test_a_template_of_another_month_or_meter_refuses_its_meter() -> None:
    body = SAMPLES["template.xlsx"]()
    assert problems(body, Envelope(period="2021-03")) == [("period_differs", "01284918!B1:AC1")]
    assert problems(body, Envelope(meter="13 300963")) == [("meter_differs", "_meta!B4")]
    assert problems(body, Envelope(meter="1284918")) == []


def test_each_sheet_is_of_the_meter_that_it_names() -> None:
    body = book({"1001": grid(), "1002": grid(), "Лист3": [["Прибор учёта", "1003"], *grid()], "1004": [["пусто"]], "Заметки": [["нет"]]})
    assert [(reading.meter, [problem.code for problem in reading.problems]) for reading in decoded(body, Envelope())] == [
        ("1001", []),
        ("1002", []),
        ("1003", []),
        ("1004", ["hours_not_found"]),
    ]
    told = decoded(body, Envelope(meter="1001"))
    assert [[problem.code for problem in reading.problems] for reading in told[:3]] == [[], ["meter_differs"], ["meter_differs"]]
    nameless = decoded(book({"1001": grid(), "Лист2": grid()}), Envelope())
    assert [[(problem.code, problem.where) for problem in reading.problems] for reading in nameless] == [[], [("meter_not_told", "Лист2")]]


def test_two_sheets_of_one_meter_may_hold_two_months_and_no_day_twice() -> None:
    two = decoded(book({"Февраль": grid(), "Март": grid(days(2021, 3, 31))}))
    assert [(reading.meter, reading.period, len(reading.blocks)) for reading in two] == [
        ("01284918", "2021-02", 28),
        ("01284918", "2021-03", 31),
    ]
    found = problems(book({"Февраль": grid(), "Копия": grid()}))
    assert (len(found), found[0]) == (28, ("date_repeated", "Копия!B1"))


def test_hidden_sheets_are_not_read() -> None:
    body = book({"1001": grid(), "1002": grid()}, hidden=["1002"])
    assert [reading.meter for reading in decoded(body, Envelope())] == ["1001"]


def test_only_received_energy_is_taken() -> None:
    assert problems(book({"А-": grid()})) == [("channel_not_allowed", "А-")]
    assert problems(book([["Величина", "Р+"], *grid()])) == [("channel_not_allowed", "Лист1!B1")]
    assert problems(book([["Величина", "А+"], *grid()])) == []
    empty = [*grid(), ["А-"], *[[row[0]] for row in grid()[1:]]]
    assert problems(book(empty)) == []


def test_refused_whole() -> None:
    assert refusal(book([["а", "б"], [1, 2]])) == [("hours_not_found", "Лист1")]
    assert refusal(book(grid(FEBRUARY[:4]))) == [("hours_not_found", "Лист1")]
    assert refusal(book([["Время", *FEBRUARY], *[[row[0]] for row in grid()[1:]]])) == [("nothing_to_take", "Лист1")]
    wrong = book(changed(grid(), {(row, column): "x" for row in range(2, 26) for column in range(2, 30)}))
    found = refusal(wrong, limits=Limits(file_problems=10))
    assert (len(found), found[-1]) == (11, ("too_many_problems", ""))
    assert refusal(integral_template(meters(), agreement="1", period="2022-10", language="ru")) == [("template_mismatch", "_meta!B1")]


def sniffed(body: bytes) -> list[str]:
    return [kind for kind, format_ in formats(Limits()).items() if format_.sniff(body, "a.xlsx")]


def test_a_workbook_is_one_of_hours_or_an_integral_one_and_never_both() -> None:
    for name in (
        "canonical.xlsx",
        "canonical.xls",
        "ledger.xls",
        "ledger_turned.xlsx",
        "template.xlsx",
        "untouched.xlsx",
        "hour_missing.xlsx",
    ):
        assert sniffed(SAMPLES[name]()) == ["interval_workbook"], name
    integral = integral_template(meters(), agreement="1", period="2022-10", language="ru")
    assert sniffed(integral)[0] == "integral_workbook"
    assert "interval_workbook" not in sniffed(SAMPLES["no_hours.xlsx"]())
    damaged = openpyxl.load_workbook(io.BytesIO(SAMPLES["template.xlsx"]()))
    damaged.worksheets[0].delete_cols(1)
    packed = io.BytesIO()
    damaged.save(packed)
    assert sniffed(packed.getvalue()) == ["interval_workbook"]
    assert refusal(packed.getvalue())[-1][0] == "hours_not_found"


def test_what_is_no_workbook_is_not_sniffed_at() -> None:
    for body in (b"", b"{}", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"a;b"):
        assert not FORMAT.sniff(body, "a.xlsx")


def test_a_file_that_cannot_be_read_is_refused_the_same_after_a_look() -> None:
    body = b"PK\x03\x04" + b"[Content_Types].xml" * 10
    assert not FORMAT.sniff(body, "")
    looked = refusal(body)
    assert looked == refusal(bytes(bytearray(body)))
    with pytest.raises(Rejected) as refused:
        recognise({"interval_workbook": FORMAT}, body, "")
    assert [problem.code for problem in refused.value.problems] == [code for code, *_ in looked]


def blocks(readings: list[MeterReading]) -> Iterator[IntervalBlock]:
    for reading in readings:
        yield from reading.blocks


def test_a_whole_year_of_meters_is_read_alike_from_both_formats() -> None:
    sheets = {str(1000 + month): grid(days(2022, month, (date(2022, month % 12 + 1, 1) - timedelta(days=1)).day)) for month in range(1, 12)}
    new, old = decoded(book(sheets), Envelope()), decoded(old_book(sheets), Envelope())
    assert new == old
    assert math.isclose(len(list(blocks(new))), 334)


def test_dates_as_texts_of_any_shape_are_the_same_days() -> None:
    expected = [block.day for block in one(book(grid())).blocks]
    for shape in ("%d.%m.%Y", "%d.%m.%y", "%Y-%m-%d", "%d/%m/%Y"):
        assert [block.day for block in one(book(grid(dates_as_texts(FEBRUARY, shape)))).blocks] == expected


if SHARED is not None:

    @pytest.mark.parametrize("path", sorted(SHARED.glob("ru_water_xlsx/*.xlsx")), ids=lambda path: path.name)
    def test_real_long_tables_are_not_mistaken_for_hours_and_days(path: Path) -> None:
        """One row per hour, several columns of values: another format, refused in words."""
        body = path.read_bytes()
        assert not FORMAT.sniff(body, path.name)
        [(code, where)] = refusal(body)
        assert (code, bool(where)) == ("hours_not_found", True)
