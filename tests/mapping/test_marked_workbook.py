"""The file comes back marked: exactly the wrong cells, in the sender's words, and everything else as he sent it."""

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.formatting.rule import Rule
from openpyxl.styles import Font, PatternFill
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.worksheet import Worksheet

from gateway import texts
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.table import Mapped
from gateway.mapping.marked_workbook import marked
from gateway.mapping.marks import AUTHOR, COLOURS
from gateway.mapping.tables import read_tables
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits
from gateway.texts import Language
from tests.formats.make import as_xls, expected, filled, outcome, samples
from tests.hostile.files import sheet
from tests.hostile.test_marked import declared

LIMITS = Limits()
SHEET = "Интегральные показания"
RED, YELLOW = COLOURS["error"], COLOURS["warning"]


def wrong(where: str, code: str = "not_a_number", severity: Severity = Severity.ERROR, **values: str) -> Problem:
    return Problem(code=code, where=where, severity=severity, values=values or {"value": "18х3"})


def back(
    body: bytes, problems: Sequence[Problem], language: Language = "ru", name: str = "x.xlsx", limits: Limits = LIMITS
) -> openpyxl.Workbook:
    found = marked(body, name, problems, language, limits)
    assert found is not None
    return openpyxl.load_workbook(io.BytesIO(found))


def saved(book: openpyxl.Workbook) -> bytes:
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def coloured(sheet: Worksheet) -> dict[str, str]:
    return {cell.coordinate: cell.fill.fgColor.rgb for row in sheet.iter_rows() for cell in row if cell.fill.fgColor.rgb in (RED, YELLOW)}


def noted(sheet: Worksheet) -> dict[str, str]:
    return {cell.coordinate: cell.comment.text for row in sheet.iter_rows() for cell in row if cell.comment is not None}


def listed(sheet: Worksheet) -> list[tuple[str, str, str | None]]:
    return [
        (row[0].value or "", row[1].value, row[0].hyperlink.location if row[0].hyperlink else None)  # type: ignore[misc]
        for row in sheet.iter_rows(min_row=3)
    ]


def parts(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def without_colour(sheet: Worksheet) -> list[tuple[Any, ...]]:
    """Everything of the cells but fill and comment."""
    return [
        (cell.coordinate, cell.value, cell.number_format, *map(repr, (cell.font, cell.border, cell.alignment, cell.protection)))
        for row in sheet.iter_rows()
        for cell in row
    ]


@pytest.mark.parametrize(
    ("language", "title", "said"),
    [
        ("ru", "Ошибки", "«18х3» не является числом."),
        ("uk", "Помилки", "«18х3» не є числом."),
        ("en", "Problems", "“18х3” is not a number."),
    ],
)
def test_exactly_the_wrong_cells_are_coloured_and_commented_in_the_senders_language(language: Language, title: str, said: str) -> None:
    body = filled({"I2": "18х3", "I3": 800})
    again = wrong(f"{SHEET}!I2", "entry_closed", meter="01284918")
    problems = [wrong(f"{SHEET}!I2"), again, wrong(f"{SHEET}!I4", severity=Severity.WARNING), wrong("", "nothing_to_take"), wrong(SHEET)]
    book = back(body, problems, language)
    sheet = book[SHEET]
    assert coloured(sheet) == {"I2": RED, "I4": YELLOW}
    text, todo = texts.problem("not_a_number", language, {"value": "18х3"})
    other = "\n".join(texts.problem("entry_closed", language, {"meter": "01284918"}))
    assert noted(sheet) == {"I2": f"{text}\n{todo}\n\n{other}", "I4": f"{text}\n{todo}"}
    assert (text, sheet["I2"].comment.author) == (said, AUTHOR)
    assert book.sheetnames == [SHEET, "_meta", title]
    assert listed(book[title]) == [
        (f"{SHEET}!I2", "not_a_number", f"'{SHEET}'!I2"),
        (f"{SHEET}!I2", "entry_closed", f"'{SHEET}'!I2"),
        (f"{SHEET}!I4", "not_a_number", f"'{SHEET}'!I4"),
        ("", "nothing_to_take", None),
        (SHEET, "not_a_number", f"'{SHEET}'!A1"),
    ]
    words = [cell.value for cell in book[title][2]]
    assert words == [texts.word(f"marked.{name}", language) for name in ("place", "code", "text", "todo")]


def test_everything_else_is_as_the_sender_left_it() -> None:
    body = filled({"I2": "18х3", "I3": 800})
    found = marked(body, "x.xlsx", [wrong(f"{SHEET}!I2")], "ru", LIMITS)
    assert found is not None
    before, after = parts(body), parts(found)
    assert before.keys() - after.keys() == set()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"[Content_Types].xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml", "xl/worksheets/sheet1.xml"}
    old, new = openpyxl.load_workbook(io.BytesIO(body)), openpyxl.load_workbook(io.BytesIO(found))
    assert without_colour(old[SHEET]) == without_colour(new[SHEET])
    assert new["_meta"].sheet_state == "hidden"
    for name in ("column_dimensions", "row_dimensions"):
        sizes = [
            {key: (one.width if name[0] == "c" else one.height) for key, one in getattr(book[SHEET], name).items()} for book in (old, new)
        ]
        assert sizes[0] == sizes[1]
    assert old[SHEET].freeze_panes == new[SHEET].freeze_panes == "A2"
    assert new[SHEET].protection.sheet
    assert not new[SHEET]["I2"].protection.locked
    assert [str(one.sqref) for one in new[SHEET].data_validations.dataValidation] == ["I2:I6"]


def rich() -> bytes:
    """A workbook with what people put into workbooks."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Лист 'один'! №1"
    sheet["B2"], sheet["B2"].fill = 5, PatternFill("solid", fgColor="FF00FF00")
    sheet["B2"].font = Font(bold=True, color="FF112233")
    sheet["C3"] = "=B2*2"
    sheet["D4"] = "text"
    sheet["D4"].comment = Comment("проверить", "Бухгалтер")
    sheet["F9"].comment = Comment("моё", "Бухгалтер")
    sheet.merge_cells("A7:C8")
    sheet.conditional_formatting.add("B2:B9", Rule(type="cellIs", operator="lessThan", formula=["0"], dxf=None))
    sheet.column_dimensions["B"].width = 33
    sheet.row_dimensions[4].height = 44
    sheet["D5"].hyperlink = "https://example.org/"
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=2, min_row=2, max_row=3))
    sheet.add_chart(chart, "H2")
    other = book.create_sheet("Ошибки")
    other["A1"] = "мой лист"
    secret = book.create_sheet("тайный")
    secret.sheet_state = "veryHidden"
    secret["A1"] = "=SUM(1,2)"
    book.defined_names["итого"] = DefinedName("итого", attr_text="'тайный'!$A$1")
    return saved(book)


def test_charts_formulas_names_and_the_senders_own_comments_stay() -> None:
    body, title = rich(), "Лист 'один'! №1"
    problems = [wrong(f"{title}!B2"), wrong(f"{title}!D4"), wrong(f"{title}!C3"), wrong(f"{title}!Z99"), wrong("тайный!A1")]
    found = marked(body, "x.xlsx", problems, "ru", LIMITS)
    assert found is not None
    before, after = parts(body), parts(found)
    assert {
        name for name in before if name.startswith(("xl/charts", "xl/drawings/drawing", "xl/theme")) and before[name] != after[name]
    } == set()
    book = openpyxl.load_workbook(io.BytesIO(found))
    sheet = book[title]
    assert coloured(sheet) == dict.fromkeys(("B2", "C3", "D4", "Z99"), RED)
    assert (sheet["B2"].font.b, sheet["B2"].font.color.rgb, sheet["C3"].value) == (True, "FF112233", "=B2*2")
    assert noted(sheet)["D4"].startswith("проверить")
    assert "не является числом" in noted(sheet)["D4"]
    assert (noted(sheet)["F9"], sheet["F9"].comment.author) == ("моё", "Бухгалтер")
    assert (sheet.column_dimensions["B"].width, sheet.row_dimensions[4].height) == (33, 44)
    assert [str(one.sqref) for one in sheet.conditional_formatting] == ["B2:B9"]
    assert [str(one) for one in sheet.merged_cells.ranges] == ["A7:C8"]
    assert book.sheetnames == [title, "Ошибки", "тайный", "Ошибки (2)"]
    assert (book["Ошибки"]["A1"].value, book["тайный"].sheet_state) == ("мой лист", "veryHidden")
    assert book.defined_names["итого"].attr_text == "'тайный'!$A$1"
    assert [link for _, _, link in listed(book["Ошибки (2)"])][:2] == ["'Лист ''один''! №1'!B2", "'Лист ''один''! №1'!D4"]
    boxes = [name for name in after if name.endswith(".vml")]
    assert sum(after[name].count(b"<x:Row>") + after[name].count(b"<ns2:Row>") for name in boxes) >= 6


def test_a_marked_file_that_comes_back_loses_its_old_marks_and_gets_new_ones() -> None:
    body, title = rich(), "Лист 'один'! №1"
    first = marked(body, "x.xlsx", [wrong(f"{title}!B2"), wrong(f"{title}!D4"), wrong(f"{title}!E5")], "ru", LIMITS)
    assert first is not None
    second = marked(first, "x.xlsx", [wrong(f"{title}!E6")], "uk", LIMITS)
    assert second is not None
    book = openpyxl.load_workbook(io.BytesIO(second))
    sheet = book[title]
    assert coloured(sheet) == {"E6": RED}
    assert noted(sheet).keys() == {"D4", "F9", "E6"}
    assert noted(sheet)["D4"].strip() == "проверить"
    assert (sheet["B2"].fill.patternType, sheet["B2"].fill.fgColor.rgb) == ("solid", "FF00FF00")
    assert book.sheetnames == [title, "Ошибки", "тайный", "Помилки"]
    assert [where for where, _, _ in listed(book["Помилки"])] == [f"{title}!E6"]
    third = marked(second, "x.xlsx", [wrong(f"{title}!E6")], "uk", LIMITS)
    assert third is not None
    assert parts(third).keys() == parts(second).keys()


def test_the_corrected_file_is_read_as_if_it_had_never_been_marked() -> None:
    def read(body: bytes) -> dict[str, tuple[list[str], list[str]]]:
        found = [one for one in Mapped(mapping=shipped("integral_workbook")).decode(body, Envelope()) if isinstance(one, MeterReading)]
        return {one.meter: ([str(value.value) for value in one.readings], [problem.where for problem in one.problems]) for one in found}

    body = filled({"I2": "18х3", "I3": 800, "I6": "много"})
    problems = [
        problem for one in Mapped(mapping=shipped("integral_workbook")).decode(body, Envelope()) for problem in getattr(one, "problems", ())
    ]
    assert [problem.where for problem in problems] == [f"{SHEET}!I2", f"{SHEET}!I6"]
    found = marked(body, "x.xlsx", problems, "ru", LIMITS)
    assert found is not None
    assert read(found) == read(body)
    book = openpyxl.load_workbook(io.BytesIO(found))
    book[SHEET]["I2"], book[SHEET]["I6"] = 1843, 101
    assert read(saved(book)) == {"01284918": (["1843", "800"], []), "ИКТ-258": (["101"], [])}


def test_ranges_rows_columns_and_places_that_are_none() -> None:
    places = [f"{SHEET}!{place}" for place in ("B2:B4", "A2:Z999", "7", "C", "XFE1", "A1048577", "?", "a1")]
    book = back(filled({}), [wrong(place) for place in [*places, "kind", "нет такого!B2", "!", "A2"]])
    assert coloured(book[SHEET]) == dict.fromkeys(("B2", "B3", "B4", "A2"), RED)
    assert noted(book[SHEET]).keys() == {"B2", "A2"}
    links = {where: link for where, _, link in listed(book["Ошибки"])}
    assert [links[place] for place in places[:4]] == [f"'{SHEET}'!{cell}" for cell in ("B2", "A2", "A7", "C1")]
    assert links["нет такого!B2"] is None


def test_cells_that_do_not_say_where_they_stand_and_cells_that_are_not_there() -> None:
    rows = '<row><c><v>1</v></c><c><v>2</v></c></row><row r="5" spans="3:3"><c r="C5"><v>3</v></c></row><row><c><v>4</v></c></row>'
    body = declared(sheet(rows))
    places = ("B1", "C1", "A3", "A5", "C5", "D5", "A6", "B9")
    book = back(body, [wrong(f"S!{place}") for place in places])
    assert coloured(book["S"]) == dict.fromkeys(places, RED)
    found = marked(body, "x.xlsx", [wrong(f"S!{place}") for place in places], "ru", LIMITS)
    assert found is not None
    assert read_tables(found, LIMITS)[0].rows == read_tables(body, LIMITS)[0].rows


def test_a_cell_that_is_not_there_keeps_the_format_of_its_row_or_column() -> None:
    book = openpyxl.Workbook()
    own = book.worksheets[0]
    own["A1"] = 1
    own.column_dimensions["C"].font = Font(bold=True)
    own.row_dimensions[4].font = Font(italic=True)
    own["B4"] = 2
    seen = back(saved(book), [wrong("Sheet!C2"), wrong("Sheet!C4"), wrong("Sheet!D9")]).worksheets[0]
    assert [(seen[cell].font.b, seen[cell].font.i) for cell in ("C2", "C4", "D9")] == [(True, False), (False, True), (False, False)]


def test_at_most_so_many_problems_are_told_and_the_sheet_says_so() -> None:
    problems = [wrong(f"{SHEET}!B{row}") for row in range(2, 30)]
    book = back(filled({}), problems, limits=Limits(file_problems=10))
    assert len(coloured(book[SHEET])) == 10
    assert "первые 10" in str(book["Ошибки"]["A13"].value)
    refused = [*problems[:10], wrong("", "too_many_problems", limit="10")]
    assert "первые 10" in str(back(filled({}), refused)["Ошибки"]["A13"].value)


def test_an_old_workbook_comes_back_as_a_new_one_with_the_same_cells() -> None:
    body = as_xls(filled({"I2": "18х3", "I3": 800, "A2": "=1+1"}))
    book = back(body, [wrong(f"{SHEET}!I2"), wrong(f"{SHEET}!I4")], name="x.xls")
    assert book.sheetnames == [SHEET, "_meta", "Ошибки"]
    assert book["_meta"].sheet_state == "hidden"
    assert coloured(book[SHEET]) == {"I2": RED, "I4": RED}
    assert noted(book[SHEET]).keys() == {"I2", "I4"}
    found = marked(body, "x.xls", [wrong(f"{SHEET}!I2")], "ru", LIMITS)
    assert found is not None
    old, new = read_tables(body, LIMITS), read_tables(found, LIMITS)
    assert [(table.name, table.hidden, table.rows) for table in old] == [(table.name, table.hidden, table.rows) for table in new[:-1]]


def test_dates_times_and_truths_of_an_old_workbook_stay_what_they_are() -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for column, (value, form) in enumerate(
        ((datetime(2022, 2, 3, 4, 5), "DD.MM.YYYY HH:MM"), (date(2022, 2, 3), "DD.MM.YYYY"), (time(4, 5), "HH:MM"), (True, "General"))  # noqa: DTZ001
    ):
        sheet.write(0, column, value, xlwt.easyxf(num_format_str=form))
    packed = io.BytesIO()
    book.save(packed)
    found = marked(packed.getvalue(), "x.xls", [wrong("S!A1")], "ru", LIMITS)
    assert found is not None
    assert read_tables(found, LIMITS)[0].rows == read_tables(packed.getvalue(), LIMITS)[0].rows


def test_a_workbook_of_too_many_cells_or_with_macros_comes_back_as_a_new_one() -> None:
    body = filled({"I2": "18х3", "C3": "=1+1"})
    limited = marked(body, "x.xlsx", [wrong(f"{SHEET}!I2")], "ru", Limits(mark_cells=10))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in parts(body).items():
            macro = b"application/vnd.ms-excel.sheet.macroEnabled.main+xml"
            plain = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
            archive.writestr(name, content.replace(plain, macro))
        archive.writestr("xl/vbaProject.bin", b"macro")
    macros = marked(packed.getvalue(), "x.xlsm", [wrong(f"{SHEET}!I2")], "ru", LIMITS)
    for found in (limited, macros):
        assert found is not None
        assert not any("vba" in name for name in parts(found))
        assert b"macro" not in b"".join(parts(found).values())
        book = openpyxl.load_workbook(io.BytesIO(found))
        assert book[SHEET]["H2"].number_format == "General"
        assert coloured(book[SHEET]) == {"I2": RED}


RISKY = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "＋1", "－1", "＠x", "=cmd|'/C calc'!A0")


def test_what_begins_like_a_formula_stays_text_in_every_workbook_we_write() -> None:
    text = "\n".join(["Прибор;Показание", *(f'"{value}";5' for value in RISKY)])
    book = back(text.encode(), [wrong(f"line {row}, column 1", value=value) for row, value in enumerate(RISKY, 2)], name="=архив.csv")
    sheet, problems = book.worksheets
    cells = [sheet.cell(row, 1) for row in range(2, len(RISKY) + 2)]
    assert [cell.value for cell in cells] == [value.replace("\r", "_x000D_") for value in RISKY]
    for cell in [*cells, *problems["C"]]:
        assert (cell.data_type, cell.number_format, cell.quotePrefix) == ("s", "@", True) or cell.value is None
    marked_own = back(filled({"D2": "=1+1"}), [wrong(f"{SHEET}!D2", value="=1+1")])
    assert {cell.data_type for row in marked_own["Ошибки"].iter_rows() for cell in row if cell.value is not None} == {"s"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
def test_a_text_comes_back_as_a_workbook_with_its_lines_at_their_places(encoding: str) -> None:
    text = 'Прибор;Показание;Дата\n"в две\nстроки";18х3;01.02.2022\n00012;7;лапа\n'
    problems = [wrong("line 2, column 2"), wrong("line 4, column 3"), wrong("lines 2-4, column 1"), wrong("line 4"), wrong("line 99")]
    book = back(text.encode(encoding), problems, "uk", "Архів за лютий.csv")
    assert book.sheetnames == ["Архів за лютий", "Помилки"]
    sheet = book.worksheets[0]
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [
        ["Прибор", "Показание", "Дата"],
        ["в две\nстроки", "18х3", "01.02.2022"],
        ["00012", "7", "лапа"],
    ]
    assert coloured(sheet) == {"B2": RED, "C3": RED, "A2": RED, "A3": RED}
    assert [link for _, _, link in listed(book["Помилки"])][3] == "'Архів за лютий'!A3"


def test_what_a_cell_cannot_hold_is_shown_as_a_mark() -> None:
    bad = "a\x00b\x1b[31m<&>\ud800_x0041_" + "я" * 40_000
    book = back(filled({}), [wrong(f"{SHEET}!I2", value=bad)])
    told = str(book["Ошибки"]["C3"].value)
    assert "a\ufffdb\ufffd[31m<&>?_x005F_x0041_" in told
    assert len(told.replace("_x005F_", "_")) <= 32_767
    assert len(noted(book[SHEET])["I2"].replace("_x005F_", "_")) <= 2000


@pytest.mark.parametrize("body", [b"", b'{"readings": []}', b"<?xml version='1.0'?><a/>", b"%PDF-1.7", b"\x00\x01\x02"])
def test_kinds_without_cells_come_back_as_nothing(body: bytes) -> None:
    assert marked(body, "x", [wrong("")], "ru", LIMITS) is None
    assert marked(filled({}), "x.xlsx", [], "ru", LIMITS) is None


@pytest.mark.parametrize(
    "sample", [path for path in samples() if kind_of(path.read_bytes()) == "xlsx"], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_sample_says_the_same_when_it_comes_back_marked(sample: Path) -> None:
    envelope, _ = expected(sample)
    body = sample.read_bytes()
    told = outcome(sample, body, envelope)
    first = read_tables(body, LIMITS)[0].where(1, 0)
    found = marked(body, sample.name, [wrong(first)], "ru", LIMITS)
    assert found is not None
    assert parts(found).keys() > parts(body).keys()
    assert outcome(sample, found, envelope) == told
