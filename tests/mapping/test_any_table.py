"""One door for every table: the same rows come out of each kind of file, told by its bytes and never by its name."""

import io
import random
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import msgspec
import openpyxl
import pytest
import xlwt
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from gateway.domain.problems import Rejected
from gateway.mapping.any_table import Options, read_any
from gateway.mapping.cells import Cell, cell_number
from gateway.mapping.dbf import Field
from gateway.mapping.dbf_writer import write_dbf
from gateway.settings import Limits
from tests.conftest import case
from tests.hostile.files import ARCHIVES, Hostile, archive

LIMITS = Limits()
HEAD = ["Лицевой", "ФИО", "Показание"]
ROWS: list[list[Cell]] = [["00123", "Дроздова Анна", "1250.5"], ["00124", "Пащенко Илья", "17"]]
TEXT = "Лицевой;ФИО;Показание\r\n00123;Дроздова Анна;1250.5\r\n00124;Пащенко Илья;17\r\n"


def xlsx() -> bytes:
    book, packed = openpyxl.Workbook(), io.BytesIO()
    sheet = book.worksheets[0]
    for row in (HEAD, ["00123", "Дроздова Анна", 1250.5], ["00124", "Пащенко Илья", 17]):
        sheet.append(row)
    book.save(packed)
    return packed.getvalue()


def xls() -> bytes:
    book, packed = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("S")
    rows: list[list[Cell]] = [[*HEAD], ["00123", "Дроздова Анна", 1250.5], ["00124", "Пащенко Илья", 17]]
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            sheet.write(row, column, value)
    book.save(packed)
    return packed.getvalue()


def dbf() -> bytes:
    return write_dbf([Field("LS", "C", 5), Field("FIO", "C", 20), Field("POKAZ", "N", 8, 1)], ROWS)


FILES: dict[str, Callable[[], bytes]] = {
    "xlsx": xlsx,
    "xls": xls,
    "dbf": dbf,
    "utf-8": TEXT.encode,
    "cp1251": lambda: TEXT.encode("cp1251"),
    "cp866": lambda: TEXT.encode("cp866"),
    "koi8-r": lambda: TEXT.encode("koi8-r"),
    "utf-16 without a mark": lambda: TEXT.encode("utf-16-le"),
    "utf-16": lambda: TEXT.replace(";", "\t").encode("utf-16"),
}


def refusal(body: bytes, options: Options | None = None, limits: Limits = LIMITS) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        read_any(body, limits, options or Options())
    return [(problem.code, problem.where) for problem in refused.value.problems]


@pytest.mark.parametrize("packed", [False, True], ids=["bare", "in a zip"])
@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_rows(name: str, packed: bool) -> None:  # noqa: FBT001
    body = FILES[name]()
    [table] = read_any(archive({"в архиве.bin": body, "папка/": b"", "__MACOSX/._x": b"x"}) if packed else body, LIMITS)
    assert [[row[0], row[1], cell_number(row[2])] for row in table.rows[1:]] == [[row[0], row[1], cell_number(row[2])] for row in ROWS]
    assert not table.problems


def test_places_are_named_as_the_sender_knows_them() -> None:
    places = {name: read_any(FILES[name](), LIMITS)[0].where(1, 2) for name in ("xlsx", "xls", "dbf", "cp866")}
    assert places == {"xlsx": "Sheet!C2", "xls": "S!C2", "dbf": "record 1, field POKAZ", "cp866": "line 2, column 3"}


def test_a_profile_tells_what_the_bytes_do_not() -> None:
    short = "ИВ,1;2\n".encode("cp1251")
    assert refusal(short) == [("encoding_unknown", "")]
    assert read_any(short, LIMITS, Options(encoding="cp1251"))[0].rows == [["ИВ,1", "2"]]
    assert read_any(short, LIMITS, Options(encoding="windows-1251", delimiter=","))[0].rows == [["ИВ", "1;2"]]
    assert read_any(b'"a;b\n', LIMITS, Options(quote=""))[0].rows == [['"a', "b"]]
    name = write_dbf([Field("A", "C", 2)], [["ИВ"]], "koi8-r")
    assert refusal(name) == [("encoding_unknown", "")]
    assert read_any(name, LIMITS, Options(encoding="koi8-r"))[0].rows[1] == ["ИВ"]
    assert read_any("дом;7".encode("utf-16-le"), LIMITS, Options(encoding="utf-16-le"))[0].rows == [["дом", "7"]]


@pytest.mark.parametrize(
    "told", [{"encoding": "cp9999"}, {"encoding": "base64"}, {"delimiter": ":"}, {"quote": "x"}, {"colour": "red"}], ids=str
)
def test_options_that_make_no_sense_are_refused_where_they_are_written(told: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(told, Options)


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        (b"", "file_empty", ""),
        (b"%PDF-1.7\n", "file_type_mismatch", ""),
        (b"MZ\x90\0", "file_type_mismatch", ""),
        (b'{"readings": []}', "file_type_mismatch", ""),
        (b"\0\1\2\3", "file_type_mismatch", ""),
        (archive({}), "archive_files", ""),
        (archive({"a": b"1", "b": b"2"}), "archive_files", ""),
        (archive({"a": b""}), "file_empty", ""),
        (archive({"a.zip": archive({"a.csv": b"1;2"})}), "file_type_mismatch", ""),
    ],
)
def test_what_is_no_table_is_refused(body: bytes, code: str, where: str) -> None:
    assert refusal(body) == [(code, where)]


@pytest.mark.parametrize("hostile", ARCHIVES.values(), ids=ARCHIVES)
def test_the_gate_of_archives_stands_before_all(hostile: Hostile) -> None:
    assert refusal(hostile.make()) == [(hostile.code, hostile.where)]


def test_limits_hold_inside_an_archive() -> None:
    body = archive({"a.csv": b"1;2\n" * 1000})
    assert refusal(body, limits=Limits(file_bytes=500)) == [("file_too_large", "a.csv")]
    assert refusal(body, limits=Limits(file_bytes=10)) == [("file_too_large", "")]


def test_a_workbook_that_counts_days_from_1904_has_the_same_dates() -> None:
    book, packed = openpyxl.Workbook(), io.BytesIO()
    book.epoch = CALENDAR_MAC_1904
    day = datetime.fromisoformat("2026-10-01T00:00")
    book.worksheets[0].append([day, datetime.fromisoformat("2026-10-01T13:30")])
    book.save(packed)
    [table] = read_any(packed.getvalue(), LIMITS)
    assert table.rows == [[day.date(), datetime.fromisoformat("2026-10-01T13:30")]]


def test_an_old_workbook_that_counts_days_from_1904_has_the_same_dates() -> None:
    book, packed, style = xlwt.Workbook(), io.BytesIO(), xlwt.XFStyle()
    book.dates_1904 = True
    style.num_format_str = "DD.MM.YYYY"
    sheet = book.add_sheet("S")
    sheet.write(0, 0, 44_834.0, style)
    book.save(packed)
    assert read_any(packed.getvalue(), LIMITS)[0].rows == [[datetime.fromisoformat("2026-10-01T00:00").date()]]


def with_results(result: bytes) -> bytes:
    """An old workbook with two formulas, one of them a day, that were calculated to this (2.4.127 of [MS-XLS])."""
    book, packed, style = xlwt.Workbook(), io.BytesIO(), xlwt.XFStyle()
    style.num_format_str = "DD.MM.YYYY"
    sheet = book.add_sheet("S")
    sheet.write(0, 0, 7.0)
    sheet.write(0, 1, xlwt.Formula("A1*2"))
    sheet.write(0, 2, xlwt.Formula("A1*3"), style)
    book.save(packed)
    body = bytearray(packed.getvalue())
    for formula in re.finditer(rb"\x06\x00..\x00\x00[\x01\x02]\x00..", bytes(body), re.DOTALL):
        body[formula.end() : formula.end() + 8] = result
    return bytes(body)


def test_formulas_of_an_old_workbook_are_their_values() -> None:
    [table] = read_any(with_results(struct.pack("<d", 46_296)), LIMITS)
    assert table.rows == [[7.0, 46_296.0, datetime.fromisoformat("2026-10-01T00:00").date()]]


@pytest.mark.parametrize(
    ("code", "shown"), [(0, "#NULL!"), (7, "#DIV/0!"), (15, "#VALUE!"), (23, "#REF!"), (29, "#NAME?"), (36, "#NUM!"), (42, "#N/A")]
)
def test_errors_of_an_old_workbook_are_told(code: int, shown: str) -> None:
    [table] = read_any(with_results(bytes([2, 0, code, 0, 0, 0, 0xFF, 0xFF])), LIMITS)
    told = [(problem.code, problem.where, problem.values["value"]) for problem in table.problems]
    assert told == [("cell_error", "S!B1", shown), ("cell_error", "S!C1", shown)]


def test_errors_are_told_in_the_sheet_they_stand_in() -> None:
    book, packed = xlwt.Workbook(), io.BytesIO()
    for name in ("One", "Two", "Three"):
        sheet = book.add_sheet(name)
        for row in range(300):
            sheet.write(row, 0, f"{name} {row}")
    book.get_sheet(2).row(7).set_cell_error(3, 42)
    book.get_sheet(1).row(1).set_cell_error(1, "#REF!")
    book.save(packed)
    tables = read_any(packed.getvalue(), LIMITS)
    assert [[problem.where for problem in table.problems] for table in tables] == [[], ["Two!B2"], ["Three!D8"]]


def test_broken_old_workbooks_are_read_or_refused() -> None:
    chance, good = random.Random(97), with_results(bytes([2, 0, 7, 0, 0, 0, 0xFF, 0xFF]))  # noqa: S311 - seeded on purpose
    for _ in range(case(100, 5_000)):
        body = bytearray(good)
        for _ in range(chance.randint(1, 5)):
            body[chance.randrange(8, 700 if chance.random() < 0.5 else len(body))] = chance.randrange(256)
        with suppress(Rejected):
            read_any(bytes(body), LIMITS)
