"""One table in every container that a sender may put it in: each format knows it by its bytes and reads the same of it."""

import io
from collections.abc import Callable, Sequence
from datetime import date
from html import escape
from typing import Final

import openpyxl
import pytest
import xlwt

from gateway.domain.problems import Rejected
from gateway.domain.readings import MeterReading
from gateway.inbound import arriving
from gateway.mapping import Envelope, formats
from gateway.mapping.any_table import look_any, read_any
from gateway.mapping.cells import Cell
from gateway.mapping.dbf import Field
from gateway.mapping.dbf_writer import write_dbf
from gateway.mapping.marked_workbook import marked
from gateway.mapping.recognising import recognise
from gateway.mapping.sheet_parts import EXCEL_2003
from gateway.settings import Limits
from tests.hostile.files import archive
from tests.mapping.test_open_document import ods

LIMITS: Final = Limits()
KNOWN: Final = formats(LIMITS)
TOLD: Final = Envelope(zone="Europe/Moscow", agreement="90034", period="2026-02", meter="")
Rows = Sequence[Sequence[Cell]]


def as_xlsx(rows: Rows) -> bytes:
    book, packed = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(list(row))
    book.save(packed)
    return packed.getvalue()


def as_xls(rows: Rows) -> bytes:
    book, packed = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("S")
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            sheet.write(row, column, cell)
    book.save(packed)
    return packed.getvalue()


def as_ods(rows: Rows) -> bytes:
    def one(cell: Cell) -> str:
        kind = 'office:value-type="string"' if isinstance(cell, str) else f'office:value-type="float" office:value="{cell}"'
        return f"<table:table-cell {kind}><text:p>{escape(str(cell))}</text:p></table:table-cell>" if cell != "" else "<table:table-cell/>"

    lines = "".join(f"<table:table-row>{''.join(map(one, row))}</table:table-row>" for row in rows)
    return ods(f'<table:table table:name="S">{lines}</table:table>')


def as_page(rows: Rows) -> bytes:
    lines = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>\n" for row in rows)
    return f'<html><meta charset="windows-1251"><table>{lines}</table></html>'.encode("cp1251")


def as_xml(rows: Rows) -> bytes:
    def one(cell: Cell) -> str:
        return f'<Cell><Data ss:Type="{"String" if isinstance(cell, str) else "Number"}">{escape(str(cell))}</Data></Cell>'

    lines = "".join(f"<Row>{''.join(map(one, row))}</Row>" for row in rows)
    body = f'<Worksheet ss:Name="S"><Table>{lines}</Table></Worksheet>'
    return f'<?xml version="1.0"?><Workbook xmlns="{EXCEL_2003}" xmlns:ss="{EXCEL_2003}">{body}</Workbook>'.encode()


def as_text(rows: Rows) -> bytes:
    return "\r\n".join(";".join(map(str, row)) for row in rows).encode("cp1251")


def as_dbf(rows: Rows) -> bytes:
    return write_dbf([Field(str(name), "C", 12) for name in rows[0]], [list(map(str, row)) for row in rows[1:]])


CONTAINERS: dict[str, Callable[[Rows], bytes]] = {
    "xlsx": as_xlsx,
    "xls": as_xls,
    "ods": as_ods,
    "page called .xls": as_page,
    "SpreadsheetML called .xls": as_xml,
    "text": as_text,
    "dbf": as_dbf,
    "xlsx in a zip": lambda rows: archive({"показания.xlsx": as_xlsx(rows)}),
    "page in a zip": lambda rows: archive({"показания.xls": as_page(rows)}),
    "text in a zip": lambda rows: archive({"показания.csv": as_text(rows)}),
}
SHEETS: Final = tuple(name for name in CONTAINERS if "text" not in name and "dbf" not in name)

INTEGRAL: Final[list[list[Cell]]] = [
    ["Код ЭО", "Номер ПУ", "Измеряемая величина", "Шкала", "Предыдущие показания", "Текущие показания"],
    ["70001", "01284918", "А+", "День", 1430.5, 1843.5],
    ["70001", "01284918", "А+", "Ночь", 700.25, 800.25],
    ["70002", "ИКТ-258", "Р+", "Круглосуточно", 5, 12],
]


def heat(day: int) -> list[Cell]:
    return ["00451207", f"{day:02}.02.2026", 1.25 + day, 10.5, -3.5, "U,g"]


def hourly(hour: int) -> list[Cell]:
    return [f"{hour:02}-{hour + 1:02}", *(round(day + hour / 100, 2) for day in range(1, 29))]


HEAT: Rows = [["METER", "DATE", "Q", "M1", "T1", "ERROR"], *map(heat, range(1, 29))]
INTERVAL: Rows = [["Прибор учёта: 13711250"], ["Часы", *(f"{day:02}.02.2026" for day in range(1, 29))], *map(hourly, range(24))]
CASES: Final = [
    *(("integral_workbook", INTEGRAL, name) for name in CONTAINERS if name != "dbf"),
    *(("heat_archive", HEAT, name) for name in CONTAINERS),
    *(("interval_workbook", INTERVAL, name) for name in SHEETS),
]


def told(kind: str, body: bytes) -> list[tuple[str, dict[str, object], list[tuple[object, ...]], list[str]]]:
    """What is in a file, without places."""
    return [
        (
            one.meter,
            {reading.register: reading.value for reading in one.readings},
            [(block.register, block.day, block.values) for block in one.blocks],
            [problem.code for problem in one.problems],
        )
        for one in KNOWN[kind].decode(body, TOLD)
        if isinstance(one, MeterReading)
    ]


@pytest.mark.parametrize(("kind", "rows", "container"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_every_container_is_let_in_known_and_read_the_same(kind: str, rows: Rows, container: str) -> None:
    width = max(map(len, rows))
    body = CONTAINERS[container]([[*row, *[""] * (width - len(row))] for row in rows])
    arriving.look(body, LIMITS)
    assert recognise(KNOWN, body, "показания.xls") == kind
    assert told(kind, body) == told(kind, as_xlsx(rows))
    assert told(kind, body)[0][3] == []


@pytest.mark.parametrize("container", [name for name in CONTAINERS if name != "text"])
def test_a_file_is_read_once_however_many_formats_wonder(container: str) -> None:
    body = CONTAINERS[container](HEAT)
    seen = look_any(body, LIMITS)
    assert seen
    assert look_any(body, LIMITS) is seen
    assert read_any(body, LIMITS) is seen
    assert look_any(body, LIMITS) is not seen, "what was read is given away"


def test_what_a_file_is_refused_for_is_kept_too() -> None:
    body = archive({"a": b"1", "b": b"2"})
    assert look_any(body, LIMITS) == ()
    with pytest.raises(Rejected) as refused:
        read_any(body, LIMITS)
    assert [problem.code for problem in refused.value.problems] == ["archive_files"]


@pytest.mark.parametrize("container", [name for name in CONTAINERS if "text" not in name])
def test_a_table_that_nobody_knows_is_told_so(container: str) -> None:
    body = CONTAINERS[container]([["A", "B"], ["1", "2"]])
    with pytest.raises(Rejected) as refused:
        recognise({kind: KNOWN[kind] for kind in ("heat_archive", "integral_workbook", "interval_workbook")}, body, "x.xls")
    assert [problem.code for problem in refused.value.problems] == ["header_not_found"]


def test_a_page_without_a_table_is_let_in_by_nobody() -> None:
    with pytest.raises(Rejected):
        arriving.look(b"<html><p>404</p></html>", LIMITS)


WRONG: Rows = [[*INTEGRAL[0]], [*INTEGRAL[1][:-1], "12,3,4"], *INTEGRAL[2:]]
WRONG_HEAT: Rows = [[*HEAT[0]], *HEAT[1:3], [*HEAT[3][:2], "1,2O4", *HEAT[3][3:]]]


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_wrong_cell_is_told_at_its_place_and_comes_back_marked(container: str) -> None:
    kind, rows, column = ("heat_archive", WRONG_HEAT, 3) if container == "dbf" else ("integral_workbook", WRONG, 6)
    body = CONTAINERS[container](rows)
    problems = [problem for one in KNOWN[kind].decode(body, TOLD) if isinstance(one, MeterReading) for problem in one.problems]
    places = {
        "dbf": "record 3, field Q",
        "text": "line 2, column 6",
        "text in a zip": "line 2, column 6",
        "page called .xls": "table 1!F2",
        "page in a zip": "table 1!F2",
    }
    sheet = "Sheet" if "xlsx" in container else "S"
    assert [(problem.code, problem.where) for problem in problems] == [("not_a_number", places.get(container, f"{sheet}!F2"))]
    made = marked(body, "показания", problems, "ru", LIMITS)
    assert made is not None
    found = openpyxl.load_workbook(io.BytesIO(made))
    cell = found.worksheets[0].cell(4 if container == "dbf" else 2, column)
    assert (cell.value, cell.fill.fgColor.rgb, cell.comment is not None) == (problems_value(rows, column), "FFFFB0A8", True)


def problems_value(rows: Rows, column: int) -> Cell:
    return rows[3][column - 1] if rows is WRONG_HEAT else rows[1][column - 1]


def test_what_cannot_be_trusted_in_a_dbf_refuses_its_meter_and_no_other() -> None:
    fields = [Field("METER", "C", 8), Field("DATE", "D", 8), Field("Q", "N", 8, 3)]
    rows: Rows = [[meter, date(2026, 2, day), f"{day}.500"] for meter in "78" for day in (1, 2)]
    good = write_dbf(fields, rows)
    spoilt = good.replace(b"   1.500", b"   1x500", 1)
    assert spoilt != good
    assert [(number, problems) for number, _, _, problems in told("heat_archive", spoilt)] == [("7", ["not_a_number"]), ("8", [])]


def test_dates_of_a_dbf_are_dates() -> None:
    fields = [Field("METER", "C", 8), Field("DATE", "D", 8), Field("Q", "N", 8, 3)]
    body = write_dbf(fields, [["7", date(2026, 2, number), str(number)] for number in (1, 2)])
    assert told("heat_archive", body)[0][2][0][:2] == ("heat", date(2026, 2, 1))
