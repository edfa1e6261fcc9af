"""A crosswalk in whatever table it comes: it is kept as one CSV."""

import io
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.problems import Misconfigured, Rejected
from gateway.mapping.mapped.partner import Codes, crosswalk_text
from gateway.outbound.by_mapping import codes_at
from gateway.settings import Limits

TEXT = "code;meter;agreement\nЩ-7;0071;\n18;101;А-1\n"


def sheet(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def test_a_workbook_a_text_of_windows_and_the_csv_itself_say_the_same() -> None:
    told = sheet(["code", "meter", "agreement"], ["Щ-7", "0071", None], [None, None, None], [18, 101.0, "А-1"])
    assert crosswalk_text(told, Limits()).decode() == TEXT
    long = TEXT + "Котельная школы;0072;\nДетский сад «Солнышко»;0073;Договор\n"
    assert (
        read_crosswalk(crosswalk_text(long.replace("\n", "\r\n").encode("cp1251"), Limits())).links == read_crosswalk(long.encode()).links
    )
    assert crosswalk_text(TEXT.encode(), Limits()) == TEXT.encode(), "what is one already is kept byte for byte"


@pytest.mark.parametrize(
    ("cell", "said"),
    [(date(2026, 1, 2), "Sheet!B2: cell_not_text"), (1.5e17, "Sheet!B2: cell_not_text"), ("=1/0", "Sheet!B2: cell_formula_no_value")],
)
def test_a_code_that_the_sheet_has_spoilt_is_named_by_its_cell(cell: object, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        crosswalk_text(sheet(["code", "meter"], ["Щ-7", cell]), Limits())


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(Rejected):
        crosswalk_text(b"%PDF-1.7 x", Limits())
    with pytest.raises(Misconfigured, match="columns must be among"):
        read_crosswalk(crosswalk_text(sheet(["код", "прибор"], ["Щ-7", "1"]), Limits()))


def test_a_target_reads_the_same_crosswalk_from_its_disk(tmp_path: Path) -> None:
    (tmp_path / "codes.xlsx").write_bytes(sheet(["code", "point"], ["А-1", "62Z17"]))
    assert codes_at(str(tmp_path / "codes.xlsx")).back("", "62Z17") == ("", "А-1")
    assert codes_at("") == Codes()
    with pytest.raises(Misconfigured, match="nowhere"):
        codes_at(str(tmp_path / "nowhere.csv"))
