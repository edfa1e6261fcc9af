"""What a file is by its bytes, and honest archives that must pass."""

import io
import zipfile

import pytest

from gateway.domain.problems import Rejected
from gateway.mapping.tables import letters, read_tables
from gateway.mapping.zip_gate import entries, kind_of, unpack
from gateway.settings import Limits
from tests.hostile.files import good, sheet, utf16, workbook

LIMITS = Limits()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (good(), "xlsx"),
        (b"PK\5\6" + bytes(18), "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(9), "xls"),
        (b"%PDF-1.4", "pdf"),
        (b"<!DOCTYPE html>", "html"),
        (b"\xef\xbb\xbf  <HTML>", "html"),
        (b'<?xml version="1.0"?>', "xml"),
        (b' \n{"a":1}', "json"),
        (b"MZ\x90", "program"),
        (b"a;b\r\n", "text"),
        ("показания".encode("cp1251"), "text"),
        ("показания".encode("utf-16"), "text"),
        (b"\0\1\2", "binary"),
        (b" ", "binary"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_is_known_by_its_bytes(body: bytes, kind: str) -> None:
    assert kind_of(body) == kind


def test_an_honest_archive_is_unpacked() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("показания/а.txt", "текст" * 1000)
        with made.open(zipfile.ZipInfo("large.txt"), "w", force_zip64=True) as part:
            part.write(b"zip64 by a careful writer")
        made.comment = "замечание".encode()
    found = {entry.name: bytes(unpack(packed.getvalue(), entry)) for entry in entries(packed.getvalue(), LIMITS)}
    assert found == {"показания/а.txt": ("текст" * 1000).encode(), "large.txt": b"zip64 by a careful writer"}


def test_every_cut_of_an_archive_is_refused() -> None:
    body = good()
    for length in range(4, len(body)):
        with pytest.raises(Rejected):
            entries(body[:length], LIMITS)


def test_every_changed_byte_of_an_archive_is_refused_or_harmless() -> None:
    body = good()
    for place in range(0, len(body), 7):
        changed = bytearray(body)
        changed[place] ^= 0x41
        try:
            for entry in entries(bytes(changed), LIMITS):
                unpack(bytes(changed), entry)
        except Rejected as refused:
            assert refused.problems[0].code.startswith("archive_")  # noqa: PT017 - either way is right


def test_a_sheet_without_references_is_read_in_order() -> None:
    [table] = read_tables(workbook(sheet('<row><c t="inlineStr"><is><t>a:c &lt;v&gt;</t></is></c><c><v>2</v></c></row>')), LIMITS)
    assert table.rows == [["a:c <v>", 2.0]]
    assert table.problems == []


@pytest.mark.parametrize("part", [utf16(sheet("")), b'<?xml version="1.0" encoding="windows-1251"?>' + sheet("").encode()])
def test_a_sheet_in_another_encoding_is_refused_for_calamine_reads_it_as_empty(part: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        read_tables(workbook(part), LIMITS)
    assert refused.value.problems[0].code == "xlsx_structure"


def test_cells_that_calamine_drops_in_silence_are_named() -> None:
    cells = (
        '<row r="1"><c r="A1"><f>1+1</f></c><c r="B1"><f>1</f><v>5</v></c><c r="C1" t="str"><f>a</f><v></v></c>'
        '<c r="D1" t="e"><v>#N/A</v></c></row>'
        '<row r="2"><c r="B2"><v>1</v></c><c r="B2"><v>2</v></c></row>'
    )
    for written in (sheet(cells), sheet(cells).replace("<", "<x:").replace("<x:/", "</x:").replace("xmlns=", "xmlns:x=")):
        [table] = read_tables(workbook(written), LIMITS)
        assert [(problem.code, problem.where) for problem in table.problems] == [
            ("cell_formula_no_value", "S!A1"),
            ("cell_error", "S!D1"),
            ("cell_duplicate", "S!B2"),
        ]


def test_a_cell_is_named_as_people_know_it() -> None:
    [table] = read_tables(workbook(sheet('<row r="17"><c r="AB17"><v>1</v></c></row>')), LIMITS)
    assert table.where(0, 0) == "S!AB17"
    assert [letters(column) for column in (0, 25, 26, 701, 702, 16383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]
