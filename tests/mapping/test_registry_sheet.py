"""A registry as a workbook: the same rows as in a text, codes as they are written, and an empty one to fill in."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from gateway import texts
from gateway.domain.problems import Rejected
from gateway.mapping import registry_template
from gateway.mapping.registry_rows import COLUMNS, REQUIRED, Row
from gateway.mapping.registry_sheet import sheet_rows
from gateway.settings import Limits

HEAD = ("agreement", "Point", "meter", "register", "digits")


def workbook(*rows: tuple[Any, ...], change: Callable[[openpyxl.Workbook], None] = lambda _: None) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    change(book)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def read(*rows: tuple[Any, ...]) -> list[Row]:
    return list(sheet_rows(workbook(*rows), Limits()))


def codes(row: Row) -> list[tuple[str, str]]:
    return [(problem.code, problem.where) for problem in row.problems]


def test_cells_are_read_as_people_leave_them() -> None:
    head = (*HEAD, "installed_on", "last", "last_period", "losses", "entry_open", None, None)
    row = (
        78010000002778,
        "ИК-01",
        "00123",
        "A+",
        6,
        datetime(2020, 3, 1, tzinfo=UTC).replace(tzinfo=None),
        12.5,
        date(2024, 1, 1),
        "0,05",
        False,
        None,
        None,
    )
    empty = (None,) * len(head)
    first, second = read(head, row, empty, ("7-2", 1.0, "", "volume", "6"))
    assert (first.number, second.number) == (2, 4)
    assert first.line is not None
    assert (first.line.agreement, first.line.meter, first.line.digits) == ("78010000002778", "00123", 6)
    assert (first.line.installed_on, first.line.last, first.line.last_period) == (date(2020, 3, 1), Decimal("12.5"), "2024-01")
    assert (first.line.losses, first.line.entry_open) == (Decimal("0.05"), False)
    assert second.line is not None
    assert (second.line.point, second.line.meter, second.line.register) == ("1", "", "volume")


def test_a_code_whose_last_digits_a_sheet_has_lost_is_a_problem_and_no_other_row_suffers() -> None:
    long, good, error, stray = read(
        HEAD,
        (780100000027780001, "1", "1", "A+", 6),
        ("780100000027780001", "1", "1", "A+", 6),
        ("7", "=1/0", "1", "A+", 6),
        ("7", "2", "1", "A+", 6, "what is this"),
    )
    assert codes(long) == [("number_too_long", "line 2, Sheet!A2")]
    assert good.line is not None
    assert good.line.agreement == "780100000027780001"
    assert codes(error) == [("cell_formula_no_value", "line 4, Sheet!B4")]
    assert codes(stray) == [("registry_column", "line 5, Sheet!F5")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (workbook(HEAD[:3]), "column_missing"),
        (workbook((*HEAD, "colour")), "registry_column"),
        (workbook((*HEAD, "meter")), "column_repeated"),
        (workbook(), "file_empty"),
        (b"agreement;point\n", "file_type_mismatch"),
        (b"PK\x03\x04 xl/ and then nothing", "archive_corrupt"),
    ],
)
def test_what_is_no_registry_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        list(sheet_rows(body, Limits()))
    assert refused.value.problems[0].code == code


def test_the_empty_one_is_read_as_it_is_filled_in() -> None:
    book = openpyxl.load_workbook(io.BytesIO(registry_template.write()))
    sheet, said = book.worksheets
    assert [cell.value for cell in sheet[1]] == list(COLUMNS)
    assert [cell.value for cell in sheet[1] if cell.font.bold] == [column for column in COLUMNS if column in REQUIRED]
    filled = {
        "agreement": "007",
        "point": "1",
        "meter": "00123",
        "register": "A+",
        "digits": "6",
        "party_tax_number": "00032129",
        "party": "A",
    }
    for column, value in filled.items():
        sheet.cell(2, COLUMNS.index(column) + 1).value = value
    assert [row[0].value for row in said.iter_rows(min_row=2)] == list(COLUMNS)
    assert all(len({cell.value for cell in row}) == 4 for row in said.iter_rows(min_row=2)), "each language says it in its own words"
    packed = io.BytesIO()
    book.save(packed)
    [row] = sheet_rows(packed.getvalue(), Limits())
    assert row.line is not None
    assert (row.line.agreement, row.line.meter, row.line.party_tax_number) == ("007", "00123", "00032129")


def test_words_are_there_for_every_column_and_for_nothing_else() -> None:
    assert [*texts.book("en")["registry"]] == list(COLUMNS)
