"""OpenDocument spreadsheets: what is shown and what is meant, repeated cells, formulas without values, and all that is refused."""

import io
import random
import zipfile
from contextlib import suppress
from datetime import date, datetime, time, timedelta

import pytest
from python_calamine import CalamineWorkbook

from gateway.domain.problems import Rejected
from gateway.mapping.any_table import read_any
from gateway.mapping.tables import Table
from gateway.settings import Limits
from tests.conftest import case

LIMITS = Limits()
OASIS = "urn:oasis:names:tc:opendocument:xmlns"
NAMES = " ".join(f'xmlns:{name}="{OASIS}:{name}:1.0"' for name in ("office", "table", "text", "style"))
KIND = "application/vnd.oasis.opendocument.spreadsheet"
CALC = 'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
HIDDEN = (
    '<office:automatic-styles><style:style style:name="ta2" style:family="table">'
    '<style:table-properties table:display="false"/></style:style></office:automatic-styles>'
)


def ods(sheets: str, more: dict[str, str] | None = None, before: str = "") -> bytes:
    """The smallest .ods around these tables."""
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<office:document-content {NAMES} {CALC} office:version="1.2">{HIDDEN}'
        f"<office:body><office:spreadsheet>{sheets}</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = (
        f'<manifest:manifest xmlns:manifest="{OASIS}:manifest:1.0" manifest:version="1.2">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{KIND}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return packed({"mimetype": KIND, "META-INF/manifest.xml": manifest, "content.xml": content, **(more or {})})


def packed(parts: dict[str, str]) -> bytes:
    """An archive whose first part lies bare, as ODF 1.2, part 3, 3.3 wants it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return made.getvalue()


def sheet(rows: str, name: str = "Лист1", style: str = "ta1") -> str:
    return f'<table:table table:name="{name}" table:style-name="{style}">{rows}</table:table>'


def row(cells: str, again: str = "") -> str:
    return f"<table:table-row{again}>{cells}</table:table-row>"


def cell(kind: str, written: str = "", shown: str = "", more: str = "") -> str:
    attribute = {"float": "value", "string": "string-value", "percentage": "value", "currency": "value"}.get(kind, f"{kind}-value")
    value = f' office:value-type="{kind}"' + (f' office:{attribute}="{written}"' if written else "") if kind else ""
    return f"<table:table-cell{value}{more}>{f'<text:p>{shown}</text:p>' if shown else ''}</table:table-cell>"


def read(rows: str, limits: Limits = LIMITS) -> Table:
    [table] = read_any(ods(sheet(rows)), limits)
    return table


def refusal(body: bytes, limits: Limits = LIMITS) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        read_any(body, limits)
    return [(problem.code, problem.where) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (cell("float", "1250.5", "1 250,50"), 1250.5),
        (cell("currency", "12", "12,00 ₽"), 12.0),
        (cell("percentage", "0.2", "20%"), 0.2),
        (cell("string", "", "Дроздова"), "Дроздова"),
        (cell("string", "exact", "shown"), "exact"),
        (cell("date", "2026-10-01", "01.10.26"), date(2026, 10, 1)),
        (cell("date", "2026-10-01T00:00:00", "01.10.26"), date(2026, 10, 1)),
        (cell("date", "2026-10-01T13:30:00", "x"), datetime.fromisoformat("2026-10-01T13:30")),
        (cell("date", "soon", "soon"), "soon"),
        (cell("time", "PT13H30M00S", "13:30"), time(13, 30)),
        (cell("time", "PT24H00M00S", "24:00"), timedelta(days=1)),
        (cell("time", "P1Y", "x"), "P1Y"),
        (cell("boolean", "true", "ИСТИНА"), True),
        (cell("float", "many", "много"), "много"),
        (cell("", "", "bare"), "bare"),
        (
            cell("string", "", 'два<text:s text:c="3"/>слова<text:tab/>и<text:line-break/><text:span>ещё</text:span>!'),
            "два   слова\tи\nещё!",
        ),
        (cell("string", "", "a</text:p><text:p>b"), "a\nb"),
        (
            cell("string", "", "</text:p><office:annotation><text:p>note</text:p></office:annotation><text:p>a").replace(
                "<text:p></text:p>", ""
            ),
            "a",
        ),
        (cell("float", "7", "7", ' table:formula="of:=[.B1]"'), 7.0),
    ],
)
def test_a_cell_is_read_by_its_kind(written: str, read_as: object) -> None:
    table = read(row(written))
    assert table.rows == [[read_as]]
    assert not table.problems


def test_a_formula_without_a_value_and_an_error_are_told() -> None:
    broken = ' table:formula="of:=1/0" calcext:value-type="error"'
    table = read(row(cell("float", "1") + cell("", "", "", ' table:formula="of:=[.A1]+1"') + cell("string", "", "#DIV/0!", broken)))
    assert [(problem.code, problem.where) for problem in table.problems] == [
        ("cell_formula_no_value", "Лист1!B1"),
        ("cell_error", "Лист1!C1"),
    ]


def test_repeated_cells_and_rows_stand_where_they_are_shown() -> None:
    twice, gap = ' table:number-columns-repeated="2"', '<table:table-cell table:number-columns-repeated="16000"/>'
    down = ' table:number-rows-repeated="2"'
    table = read(
        row(cell("float", "1", "1", twice) + cell("", "", "", twice) + cell("float", "2") + gap)
        + row(gap, ' table:number-rows-repeated="3"')
        + row(cell("string", "", "x"), down)
        + row(gap, ' table:number-rows-repeated="1048000"')
    )
    blank = [""] * 5
    assert table.rows == [[1.0, 1.0, "", "", 2.0], blank, blank, blank, ["x", "", "", "", ""], ["x", "", "", "", ""]]
    assert table.where(5, 0) == "Лист1!A6"


def test_sheets_keep_their_names_and_hidden_ones_are_marked() -> None:
    tables = read_any(ods(sheet(row(cell("float", "1"))) + sheet(row(cell("float", "2")), "Скрытый", "ta2") + sheet("", "Пустой")), LIMITS)
    assert [(table.name, table.hidden, table.rows) for table in tables] == [
        ("Лист1", False, [[1.0]]),
        ("Скрытый", True, [[2.0]]),
        ("Пустой", False, []),
    ]


def test_covered_cells_and_a_table_in_a_cell_shift_nothing() -> None:
    inner = "<table:table-cell>" + sheet(row(cell("float", "9")), "Inner") + "</table:table-cell>"
    table = read(row(cell("float", "1") + "<table:covered-table-cell/>" + inner + cell("float", "3")) + row(cell("float", "4")))
    assert table.rows == [[1.0, "", "", 3.0], [4.0, "", "", ""]]


def test_calamine_reads_the_same() -> None:
    rows = row(cell("string", "", "Лицевой") + cell("string", "", "Дата")) + row(cell("float", "1250.5") + cell("date", "2026-10-01")) * 3
    body = ods(sheet(rows))
    assert read_any(body, LIMITS)[0].rows == CalamineWorkbook.from_object(io.BytesIO(body)).get_sheet_by_index(0).to_python()


MANY = ' table:number-columns-repeated="{}"'


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (row(cell("float", "1", "", MANY.format(1001))), "xlsx_too_wide"),
        (row(cell("float", "1", "", MANY.format(1000)), ' table:number-rows-repeated="200000"'), "xlsx_too_many_cells"),
        (row(cell("float", "1"), ' table:number-rows-repeated="1048576"'), "xlsx_too_long"),
        (row("", ' table:number-rows-repeated="300000"') + row(cell("float", "1")), "xlsx_too_long"),
        (row(cell("string", "x" * 40_000)), "xlsx_string_too_long"),
        (row(cell("string", "", "x" * 40_000)), "xlsx_string_too_long"),
        (row(cell("float", "1", "", MANY.format("-1"))), "xlsx_structure"),
        (row(cell("float", "1", "", MANY.format("9" * 30))), "xlsx_structure"),
        ("<table:table-row>", "xlsx_structure"),
    ],
)
def test_a_sheet_over_the_limits_or_broken_is_refused(rows: str, code: str) -> None:
    assert [found for found, _ in refusal(ods(sheet(rows)))] == [code]


def test_what_is_no_spreadsheet_is_refused() -> None:
    assert refusal(packed({"mimetype": KIND})) == [("xlsx_structure", "content.xml")]
    assert refusal(ods("", before="<!DOCTYPE x [<!ENTITY a 'b'>]>")) == [("xlsx_structure", "content.xml")]
    locked = '<manifest xmlns="x"><encryption-data/></manifest>'
    assert refusal(ods("", {"META-INF/manifest.xml": locked})) == [("xlsx_encrypted", "")]
    two = sheet(row(cell("float", "1", "", MANY.format(10))))
    assert refusal(ods(two + two), Limits(sheet_cells=15)) == [("xlsx_too_many_cells", "")]


def test_broken_spreadsheets_are_read_or_refused() -> None:
    chance = random.Random(1200)  # noqa: S311 - seeded on purpose
    good = sheet(row(cell("float", "1", "1", MANY.format(2)) + cell("date", "2026-10-01")) * 3 + row(cell("time", "PT1H0M0S")))
    for _ in range(case(100, 5_000)):
        rows = good
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(rows))
            rows = (
                rows[:at] + chance.choice(("", "<", ">", '"', "9", "x", "&amp;", "\0", "<table:table>")) + rows[at + chance.randrange(9) :]
            )
        with suppress(Rejected):
            assert all(len(line) == len(table.rows[0]) for table in read_any(ods(rows), LIMITS) for line in table.rows)
