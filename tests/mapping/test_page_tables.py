"""An .xls that is none: pages with tables and the XML of Excel 2003, each read by its bytes, within the same limits."""

import random
from contextlib import suppress
from datetime import date, datetime, time

import pytest

from gateway.domain.problems import Rejected
from gateway.mapping.any_table import Options, read_any
from gateway.mapping.tables import Table
from gateway.settings import Limits
from tests.conftest import case

LIMITS = Limits()
SPREADSHEET = "urn:schemas-microsoft-com:office:spreadsheet"
PAGE = """<html xmlns:x="urn:schemas-microsoft-com:office:excel"><head><meta http-equiv=Content-Type content="text/html; charset={}"></head>
<body><table><tr><th>Лицевой</th><th>Показание</th></tr>
<tr><td>00123</td><td x:num="1250.5">1&nbsp;250,50</td></tr><tr><td>00124<td> 17 <!-- note --></table></body></html>"""
ROWS = [["Лицевой", "Показание"], ["00123", "1250.5"], ["00124", "17"]]


def read(body: str | bytes, limits: Limits = LIMITS) -> tuple[Table, ...]:
    return read_any(body if isinstance(body, bytes) else body.encode(), limits)


def refusal(body: str | bytes, limits: Limits = LIMITS) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        read(body, limits)
    return [(problem.code, problem.where) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("cp1251", "windows-1251"),
        ("koi8-r", "koi8-r"),
        ("utf-8", "utf-8"),
        ("utf-8-sig", "nonsense"),
        ("utf-16", "utf-16"),
        ("cp1251", ""),
        ("cp866", "cp866"),
    ],
)
def test_a_page_is_read_in_the_encoding_it_names(encoding: str, said: str) -> None:
    page = PAGE.format(said) if said else PAGE.replace("charset={}", "")
    [table] = read(page.encode(encoding))
    assert table.rows == ROWS
    assert table.where(1, 1) == "table 1!B2"


def test_a_page_that_names_no_encoding_is_asked_about() -> None:
    short = "<table><tr><td>ИВ</table>".encode("cp1251")
    assert refusal(short) == [("encoding_unknown", "")]
    assert read_any(short, LIMITS, Options(encoding="cp1251"))[0].rows == [["ИВ"]]
    assert refusal(PAGE.format("punycode").encode()) == [("encoding_unknown", "")]


@pytest.mark.parametrize(
    "start", ["<table>", "\r\n <style>td{}</style><table>", "<!DOCTYPE html><html><table>", '<?xml version="1.0"?><html><table>']
)
def test_a_page_may_begin_with_any_tag(start: str) -> None:
    assert read(f"{start}<tbody><tr><td>1<td>2</tr></tbody></table>")[0].rows == [["1", "2"]]


def test_cells_that_span_others_leave_them_empty() -> None:
    page = (
        "<table><thead><tr><th rowspan=2>a</th><th colspan=2>b</th><th rowspan='2'>c</th></tr><tr><th>d<th>e</tr></thead>"
        "<tr><td>1<td>2<td>3<td>4</table>"
    )
    assert read(page)[0].rows == [["a", "b", "", "c"], ["", "d", "e", ""], ["1", "2", "3", "4"]]


def test_every_table_is_one_and_one_inside_another_stands_for_itself() -> None:
    tables = read("<table><tr><td>1<table><tr><td>2<tr><td>3</table></table><p><table></table><table><tr><td>4</table>")
    assert [(table.name, table.rows) for table in tables] == [("table 1", [["123"]]), ("table 2", [["2"], ["3"]]), ("table 4", [["4"]])]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ("<html><body><table></table></body></html>", "file_type_mismatch"),
        ("<html><body>nothing</body></html>", "file_type_mismatch"),
        ("<table><tr><td colspan=5000>1</table>", "xlsx_too_wide"),
        ("<table><tr>" + "<td>1" * 1001 + "</table>", "xlsx_too_wide"),
        ("<table>" + "<tr><td>1" * 200_001 + "</table>", "xlsx_too_long"),
        (f"<table><tr><td>{'x' * 40_000}</table>", "xlsx_string_too_long"),
        ("<table>" + "<" * 4_000_001, "xml_too_large"),
    ],
)
def test_a_page_over_the_limits_is_refused(page: str, code: str) -> None:
    assert [found for found, _ in refusal(page)] == [code]


def test_a_page_as_deep_as_a_well_is_read_or_refused() -> None:
    found = refusal("<table>" + "<tr><td><table>" * 20_000)
    assert found[0][0] in ("file_type_mismatch", "file_too_costly")


def test_entities_of_a_page_bring_nothing_in() -> None:
    page = '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><table><tr><td>&x;|&amp;</table>'
    assert "root" not in str(read(page)[0].rows)


def book(rows: str, name: str = "Лист1", more: str = "") -> str:
    return (
        '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>'
        f'<Workbook xmlns="{SPREADSHEET}" xmlns:ss="{SPREADSHEET}" xmlns:x="urn:schemas-microsoft-com:office:excel">'
        f'<Worksheet ss:Name="{name}"><Table>{rows}</Table>{more}</Worksheet></Workbook>'
    )


def cell(kind: str, text: str, more: str = "") -> str:
    return f'<Cell{more}><Data ss:Type="{kind}">{text}</Data></Cell>'


AT_3 = ' ss:Index="3"'


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (cell("Number", "1250.5"), 1250.5),
        (cell("Number", "1.5E3"), 1500.0),
        (cell("Number", "nan"), "nan"),
        (cell("String", "Дроздова &amp; Ко"), "Дроздова & Ко"),
        (cell("DateTime", "2026-10-01T00:00:00.000"), date(2026, 10, 1)),
        (cell("DateTime", "2026-10-01T13:30:00.000"), datetime.fromisoformat("2026-10-01T13:30")),
        (cell("DateTime", "1899-12-31T13:30:00.000"), time(13, 30)),
        (cell("Boolean", "1"), True),
        (cell("Number", "7", ' ss:Formula="=RC[1]"'), 7.0),
    ],
)
def test_a_cell_of_excel_2003_is_read_by_its_type(written: str, read_as: object) -> None:
    [table] = read(book(f"<Row>{written}</Row>"))
    assert table.rows == [[read_as]]
    assert not table.problems


def test_places_of_excel_2003_may_be_told() -> None:
    first = cell("String", "a", ' ss:MergeAcross="1"') + cell("String", "b")
    rows = f'<Row ss:Index="2">{first}</Row><Row>{cell("String", "c", AT_3)}</Row>'
    [table] = read(book(rows))
    assert table.rows == [["", "", ""], ["a", "", "b"], ["", "", "c"]]
    assert table.where(1, 2) == "Лист1!C2"


def test_hidden_sheets_errors_and_formulas_without_a_value_are_told() -> None:
    hidden = "<x:WorksheetOptions><x:Visible>SheetHidden</x:Visible></x:WorksheetOptions>"
    [table] = read(book(f'<Row>{cell("Error", "#N/A")}<Cell ss:Formula="=1"/></Row>', more=hidden))
    assert table.hidden
    assert [(problem.code, problem.where) for problem in table.problems] == [
        ("cell_error", "Лист1!A1"),
        ("cell_formula_no_value", "Лист1!B1"),
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (book(f'<Row ss:Index="9999999">{cell("Number", "1")}</Row>'), "xlsx_too_long"),
        (book("<Row>" + cell("Number", "1", ' ss:Index="5000"') + "</Row>"), "xlsx_too_wide"),
        (book('<Row ss:Index="0"/>'), "xlsx_structure"),
        (book("<Row>" + cell("Number", "1", AT_3) + cell("Number", "1", AT_3) + "</Row>"), "xlsx_structure"),
        (book("<Row>"), "xml_malformed"),
        (book("").replace("<Workbook", "<!DOCTYPE x><Workbook"), "xml_doctype_forbidden"),
        (f'<?xml version="1.0"?><x xmlns="{SPREADSHEET}"/>', "file_type_mismatch"),
        ('<?xml version="1.0"?><message class="80020"/>', "file_type_mismatch"),
    ],
)
def test_a_book_of_excel_2003_that_is_none_is_refused(body: str, code: str) -> None:
    assert [found for found, _ in refusal(body)] == [code]


def test_broken_pages_and_books_are_read_or_refused() -> None:
    chance = random.Random(2003)  # noqa: S311 - seeded on purpose
    rows = book(f"<Row>{cell('Number', '1')}{cell('DateTime', '2026-10-01T00:00:00.000')}</Row>" * 3)
    for _ in range(case(100, 5_000)):
        body = bytearray(chance.choice((PAGE.format("utf-8"), rows)).encode())
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(body))
            body[at : at + chance.randrange(9)] = chance.choice(
                (b"", b"<", b">", b'"', b"</", b"<table>", b"<td rowspan=9>", chance.randbytes(3))
            )
        with suppress(Rejected):
            assert all(len(row) == len(table.rows[0]) for table in read(bytes(body)) for row in table.rows)
