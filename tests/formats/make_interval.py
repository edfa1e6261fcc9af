"""The sample workbooks of hours and days: every quirk that utilities really send, written by hand, by row and column."""

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import openpyxl
import xlwt
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from gateway.mapping import Envelope
from gateway.mapping.dbf import Field
from gateway.mapping.dbf_writer import Value, write_dbf
from gateway.mapping.hours import HOURS
from gateway.mapping.interval_workbook import template
from tests.formats import dirt
from tests.formats.make_meters import meters

Row = list[Any]
Sheets = Mapping[str, Sequence[Row]]
FEBRUARY = tuple(date(2021, 2, day) for day in range(1, 29))
MIXED = ("0-1", "1-2", "2-3", 4.0, "5:00", time(6), "6-7", "7-8", "8-9", "9 – 10", "10—11", "11-12", "12-13", "13-14")
MIXED_TO_THE_END = (*MIXED, time(15), "15-16", "16-17", "17-18", "18-19", "19-20", "20-21", 22, "22-23", "23-24")


def days(year: int, month: int, count: int) -> tuple[date, ...]:
    """The first days of a month."""
    return tuple(date(year, month, 1) + timedelta(days=number) for number in range(count))


def texts(dates: Sequence[date], shape: str = "%d.%m.%Y") -> list[Any]:
    """Dates as texts."""
    return [day.strftime(shape) for day in dates]


def usage(hour: int, day: float) -> float:
    """Consumption of an hour; each cell has its own."""
    return (hour + 1) * 10 + day / 8


def grid(head: Sequence[Any] = FEBRUARY, hours: Sequence[Any] = HOURS, corner: str = "Время") -> list[Row]:
    """The table of the manual: the hours in column A, the days in row 1; a head that is empty has no values under it."""
    empty = (None, "")
    return [[corner, *head]] + [
        [label, *(None if d in empty else usage(h, n) for n, d in enumerate(head, 1))] for h, label in enumerate(hours)
    ]


def changed(rows: Sequence[Row], cells: Mapping[tuple[int, int], Any]) -> list[Row]:
    """The same rows with cells changed, given by row and column counted from 1 as in A1."""
    fresh = [list(row) for row in rows]
    for (row, column), value in cells.items():
        fresh[row - 1][column - 1] = value
    return fresh


def without_column(rows: Sequence[Row], column: int) -> list[Row]:
    """The same rows without a column."""
    return [[cell for number, cell in enumerate(row, 1) if number != column] for row in rows]


def turned(rows: Sequence[Row]) -> list[Row]:
    """Rows as columns."""
    return [list(row) for row in zip(*rows, strict=True)]


def book(sheets: Sheets | Sequence[Row], hidden: Sequence[str] = (), shape: str = "DD.MM.YYYY", *, since_1904: bool = False) -> bytes:
    """A workbook of these rows; a lone sheet is called as Russian Excel calls it."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    if since_1904:
        made.epoch = CALENDAR_MAC_1904
    for name, rows in (sheets if isinstance(sheets, Mapping) else {"Лист1": sheets}).items():
        sheet = made.create_sheet(name)
        for number, row in enumerate(rows, 1):
            for column, value in enumerate(row, 1):
                if value is not None:
                    cell = sheet.cell(number, column, value)
                    if isinstance(value, date) and not isinstance(value, datetime):
                        cell.number_format = shape
        if name in hidden:
            sheet.sheet_state = "hidden"
    packed = io.BytesIO()
    made.save(packed)
    return packed.getvalue()


def old_book(sheets: Sheets | Sequence[Row], hidden: Sequence[str] = (), *, since_1904: bool = False) -> bytes:
    """The same in the old format."""
    made = xlwt.Workbook()
    made.dates_1904 = since_1904
    shapes = {date: xlwt.easyxf(num_format_str="DD.MM.YYYY"), time: xlwt.easyxf(num_format_str="h:mm")}
    plain = xlwt.easyxf()
    for name, rows in (sheets if isinstance(sheets, Mapping) else {"Лист1": sheets}).items():
        sheet = made.add_sheet(name)
        sheet.visibility = int(name in hidden)
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if value is not None:
                    sheet.write(number, column, value, shapes.get(type(value), plain))
    packed = io.BytesIO()
    made.save(packed)
    return packed.getvalue()


def ledger() -> list[Row]:
    """As a supplier near Samara sends it: titles, the point's code, days down, hours across in five notations, totals, signatures."""
    rows: list[Row] = [[None] * 27 for _ in range(11)]
    rows[0][0] = "Приложение № 3 к договору 90034"
    rows[2][0], rows[2][7] = "Почасовые объёмы потребления за Февраль 2021", "531a68_1"
    rows[4][0], rows[4][2] = "Прибор учёта", "01284918"
    rows.append(["Дата", "Уровень", "Часы", *[None] * 24])
    rows.append([None, None, *MIXED_TO_THE_END, "Сутки"])
    for number, day in enumerate(texts(FEBRUARY), 1):
        values = [usage(hour, number) for hour in range(24)]
        rows.append([day, "НН", *values, sum(values)])
    rows.append(["Итого", None, *[usage(hour, 14.5) * 28 for hour in range(24)], 1.0])
    rows += [[], ["Потребитель", None, "Поставщик"], ["_________ /Иванов И. И./ 01.03.2021"]]
    return [row + [None] * (27 - len(row)) for row in rows]


def ledger_turned() -> list[Row]:
    """Its twin with the hours down: 31 columns of which three have no date, a level under each date, totals at both ends."""
    rows: list[Row] = [
        ["Почасовые объёмы"],
        [],
        ["Дата", *FEBRUARY, None, None, None, "Итого"],
        ["Уровень", *["НН"] * 28],
        ["Сутки", *[1.0] * 28],
    ]
    for hour, label in enumerate(MIXED_TO_THE_END):
        rows.append([label, *(usage(hour, day) for day in range(1, 29)), None, None, None, 1.0])
    return [*rows, ["Итого", *[100.0] * 28], [], ["Подпись", None, 12345]]


def mangled() -> list[Any]:
    """Hours after a spreadsheet made dates of `1-2`, `5-6` and the like, some where days come first and some where months do."""
    return ["0-1", date(2026, 2, 1), date(2026, 3, 2), date(2026, 3, 4), *HOURS[4:11], date(2026, 12, 11), *HOURS[12:]]


def filled(zone: str = "UTC", period: str = "2021-02", *, meta: bool = True) -> bytes:
    """Our own template, filled in wherever it is open."""
    made = openpyxl.load_workbook(io.BytesIO(template(meters()[0], period=period, zone=zone, language="ru")))
    for hour, row in enumerate(made.worksheets[0].iter_rows(min_row=2, min_col=2)):
        for day, cell in enumerate(row, 1):
            if not cell.protection.locked:
                cell.value = usage(hour, day)
    if not meta:
        del made["_meta"]
    packed = io.BytesIO()
    made.save(packed)
    return packed.getvalue()


def records(count: int) -> bytes:
    """The first days of February as a DBF: a record a day, a field an hour."""
    fields = [Field("DATA", "D", 8), *(Field(f"{hour}-{hour + 1}", "N", 9, 3) for hour in range(24))]
    rows: list[list[Value]] = [[day, *(Decimal(str(usage(h, n))) for h in range(24))] for n, day in enumerate(FEBRUARY[:count], 1)]
    return write_dbf(fields, rows, "cp866")


WRONG = {(3, 2): "18х3", (4, 2): -1, (5, 3): "1.234.567", (6, 3): 1e15, (7, 4): "=B2", (8, 5): 0.1234567, (9, 6): "#REF!", (10, 7): True}
AS_PEOPLE_WRITE = ("12,5", "12.5", "1 234,5", "1\u00a0234.5", None, "-", "н/д", "---", 0.1 + 0.2, 12600, 0, -0.0)
APRIL = [*days(2021, 4, 30)]
NOVEMBER = texts(days(2021, 11, 30))
TWICE = [*HOURS[:3], "02-03", *HOURS[3:]]
KYIV_TWICE = [*HOURS[:4], "03-04*", *HOURS[4:]]
NUMBERS = (
    "1 234,5",
    "1\u00a0234,5",
    "1\u2009234,5",
    "1\u202f234,5",
    "12.5",
    "12,5",
    "-",
    "---",
    "–",
    "н/д",
    "#",
    "0,12000000000000001",
    0.12000000000000001,
)
TITLED = [["Почасовые объёмы за Февраль 2021 г., договор от 5 января 2020 г."], [], *grid(texts(days(2021, 3, 31)))]
FORMULAS = {"C1": "B1+1", "D1": "C1+1", "B3": "B2+10", "C25": "SUM(B2:B3)"}
BERLIN_25 = {(5, column): None for column in range(2, 33) if column != 26}

SAMPLES: dict[str, Callable[[], bytes]] = {
    "canonical.xlsx": lambda: book(grid(texts(days(2021, 1, 31)))),
    "canonical.xls": lambda: old_book(grid(texts(days(2021, 1, 31)))),
    "leap_february.xlsx": lambda: book(grid(texts(days(2024, 2, 29)))),
    "thirty_days_of_31_columns.xlsx": lambda: book(grid([*APRIL, None])),
    "thirty_first_of_april_left_empty.xlsx": lambda: book(without_values(grid([*texts(APRIL), "31.04.2021"]), 32)),
    "value_under_31_november.xlsx": lambda: book(changed(without_values(grid([*NOVEMBER, "31.11.2021"]), 32), {(5, 32): 1.5, (9, 32): 2})),
    "value_under_no_date.xlsx": lambda: book(changed(grid([*NOVEMBER, None]), {(25, 32): 1.5})),
    "day_missing.xlsx": lambda: book(without_column(grid(), 16)),
    "days_missing_at_the_end.xlsx": lambda: book(grid(FEBRUARY[:20])),
    "day_twice.xlsx": lambda: book(changed(grid(), {(1, 5): FEBRUARY[2]})),
    "day_of_another_month.xlsx": lambda: book(grid([*FEBRUARY, date(2021, 3, 1)])),
    "days_out_of_order.xlsx": lambda: book(grid([*FEBRUARY[14:], *FEBRUARY[:14]])),
    "two_digit_years.xlsx": lambda: book(grid(texts(FEBRUARY, "%d.%m.%y"))),
    "iso_dates.xlsx": lambda: book(grid(texts(FEBRUARY, "%Y-%m-%d"))),
    "dates_as_bare_numbers.xlsx": lambda: book(grid([float((day - date(1899, 12, 30)).days) for day in FEBRUARY])),
    "dates_as_bare_numbers_since_1904.xlsx": lambda: book(grid([float((day - date(1904, 1, 1)).days) for day in FEBRUARY])),
    "dates_with_times.xlsx": lambda: book(grid([datetime(2021, 2, day, 5) for day in range(1, 29)])),  # noqa: DTZ001 - cells have no zone
    "dates_since_1904.xlsx": lambda: book(grid(), since_1904=True),
    "dates_since_1904.xls": lambda: old_book(grid(), since_1904=True),
    "ledger.xlsx": lambda: book({"Лист1": ledger(), "Накопление": grid(corner="x")}, hidden=["Накопление"]),
    "ledger.xls": lambda: old_book({"Лист1": ledger(), "Накопление": grid(corner="x")}, hidden=["Накопление"]),
    "ledger_turned.xlsx": lambda: book(ledger_turned()),
    "hours_mangled_into_dates.xlsx": lambda: book(grid(hours=mangled())),
    "hours_as_numbers.xlsx": lambda: book(grid(hours=range(1, 25))),
    "hours_as_times.xlsx": lambda: book(grid(hours=[*(time(hour) for hour in range(1, 24)), time(0)])),
    "hours_as_durations.xlsx": lambda: book(grid(hours=[timedelta(hours=hour) for hour in range(1, 25)])),
    "hours_as_their_beginnings.xlsx": lambda: book(grid(hours=[f"{hour}:00" for hour in range(24)])),
    "hour_missing.xlsx": lambda: book(grid(hours=[*HOURS[:5], *HOURS[6:]])),
    "hour_twice.xlsx": lambda: book(grid(hours=[*HOURS[:5], "03-04", *HOURS[6:]])),
    "hour_24_00.xlsx": lambda: book(grid(hours=[*HOURS[:23], "24-00"])),
    "written_by_people.xlsx": lambda: book(changed(grid(), {(row, 2): value for row, value in enumerate(AS_PEOPLE_WRITE, 2)})),
    "wrong_cells.xlsx": lambda: book(changed(grid(), WRONG)),
    "days_left_empty.xlsx": lambda: book(without_values(grid(), 9, 10, 20)),
    "delivered_rows.xlsx": lambda: book([*grid(), [], ["А-"], *grid()[1:]]),
    "delivered_column.xlsx": lambda: book([[row[0], mark, *row[1:]] for row, mark in zip(grid(), [None, *["A+"] * 23, "А-"], strict=True)]),
    "delivered_sheet.xlsx": lambda: book({"А+": grid(), "А-": grid()}),
    "sheet_per_meter.xlsx": lambda: book({"01284918": grid(), "ИКТ-258": changed(grid(), WRONG), "13 300963": grid(), "77": [["нет"]]}),
    "meter_in_a_cell.xlsx": lambda: book([["Прибор учёта: ПУ 01284918"], ["Точка учёта", None, "531a68_1"], *grid()]),
    "another_meter_in_a_cell.xlsx": lambda: book([["Номер ПУ", 1284919], *grid()]),
    "no_meter.xlsx": lambda: book(grid()),
    "another_month.xlsx": lambda: book(grid()),
    "look_alikes.xlsx": lambda: book([[*row, total] for row, total in zip(grid(corner="Bpeмя"), ["Cyтки", *[1] * 24], strict=True)]),
    "untouched.xlsx": lambda: book(grid([None, *FEBRUARY])[:1] + [[label] for label in HOURS]),
    "no_hours.xlsx": lambda: book([["Дата", "Время", "Потребление"], *[[f"{day:02}.02.2021", "0-1", 1.5] for day in range(1, 29)]]),
    "template.xlsx": filled,
    "template_without_its_hidden_sheet.xlsx": partial(filled, meta=False),
    "template_of_another_meter.xlsx": filled,
    "kyiv_october.xlsx": partial(filled, "Europe/Kyiv", "2026-10"),
    "kyiv_march.xlsx": partial(filled, "Europe/Kyiv", "2026-03"),
    "kyiv_march_with_the_hour_that_was_not.xlsx": lambda: book(grid(days(2026, 3, 31))),
    "kyiv_october_of_24_rows.xlsx": lambda: book(grid(days(2026, 10, 31))),
    "kyiv_october_filled_on_every_day.xlsx": lambda: book(grid(days(2026, 10, 31), KYIV_TWICE)),
    "berlin_october.xlsx": lambda: book(changed(grid(days(2026, 10, 31), TWICE), BERLIN_25)),
    "berlin_october_with_letters.xlsx": lambda: book(changed(grid(days(2026, 10, 31), [*HOURS[:2], "2А", "2Б", *HOURS[3:]]), BERLIN_25)),
    "moscow_february_of_25_rows.xlsx": lambda: book(grid(hours=TWICE)),
    "title_of_another_month.xlsx": lambda: book(TITLED),
    "title_of_its_month.xlsx": lambda: book([["Потребление за 02.2021 (в январе 2021 г. было меньше)"], *grid()]),
    "numbers_in_every_notation.xlsx": lambda: book(changed(grid(), {(row, 2): value for row, value in enumerate(NUMBERS, 2)})),
    "noise_of_17_digits_in_a_text.xlsx": lambda: book(changed(grid(), {(2, 2): 0.12000000000000001, (3, 2): "0,12000000000000001"})),
    "formulas_with_values.xlsx": lambda: dirt.calculated(book(grid()), FORMULAS),
    "formulas_without_values.xlsx": lambda: book(changed(grid(), {(1, 4): "=C1+1", (3, 2): "=B2+10", (5, 5): "=SUM(B2:B3)"})),
    "merged_cells.xlsx": lambda: dirt.merged(book(ledger()), "A1:H1", "A12:A13", "B12:B13", "C12:Z12"),
    "phantom_width.xlsx": lambda: dirt.phantom_columns(dirt.sized(book(grid()), "A1:IS746"), "IS"),
    "phantom_rows.xlsx": lambda: dirt.phantom_rows(book(grid()), (*range(30, 400), 1_048_553, 1_048_576)),
    "lying_dimension.xlsx": lambda: dirt.sized(book(grid()), "A1"),
    "blank_rows_before_signatures.xlsx": lambda: book([*grid(), *[[]] * 300, ["Ответственный: Петрова", 12345]]),
    "page_called.xls": lambda: dirt.page(grid()),
    "excel_2003_called.xls": lambda: dirt.excel_2003(grid()),
    "xlsx_called.xls": lambda: book(grid()),
    "xls_called.xlsx": lambda: old_book(grid()),
    "text_called.xlsx": lambda: dirt.text(grid(texts(FEBRUARY))),
    "text_without_its_last_days.csv": lambda: dirt.text(turned(grid(texts(FEBRUARY[:26])))),
    "table_of_records.dbf": lambda: records(28),
    "table_of_records_without_its_last_days.dbf": lambda: records(26),
    "zipped.zip": lambda: dirt.zipped("31x24.xls", old_book(turned(grid()))),
    "pdf_called.xls": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
}


def without_values(rows: Sequence[Row], *columns: int) -> list[Row]:
    """The same rows with nothing under the heads of these columns."""
    return changed(rows, {(row, column): None for row in range(2, len(rows) + 1) for column in columns})


def envelope(name: str) -> Envelope:
    """What is told beside a sample."""
    stem = name.partition(".")[0]
    zone = "Europe/Kyiv" if stem.startswith("kyiv") else "Europe/Berlin" if stem.startswith("berlin") else "Europe/Moscow"
    silent = ("ledger", "sheet_per_meter", "meter_in_a_cell", "no_meter", "template", "kyiv_october", "kyiv_march", "no_hours")
    meter = "" if stem in silent else "13 300963" if stem == "template_of_another_meter" else "01284918"
    period = "2021-03" if stem == "another_month" else "2021-02" if stem.endswith("1904") else ""
    act = stem == "canonical"
    return Envelope(zone=zone, meter=meter, period=period, agreement="90034", ratio_applied=act, losses_applied=act)
