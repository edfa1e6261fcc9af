"""Hostile files, made when they are wanted by a seeded generator: each with the code and place by which it must be refused."""

import io
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import Final, NamedTuple

SPREADSHEET: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
MEBIBYTE: Final = 1024 * 1024


class Hostile(NamedTuple):
    """A file, its code and its place."""

    make: Callable[[], bytes]
    code: str
    where: str = ""


def sheet(cells: str) -> str:
    """A worksheet of these rows."""
    return f'<worksheet xmlns="{SPREADSHEET}"><sheetData>{cells}</sheetData></worksheet>'


def workbook(worksheet: str | bytes, strings: str = "", more: dict[str, bytes] | None = None) -> bytes:
    """The smallest xlsx around a worksheet called S."""
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{SPREADSHEET}" xmlns:r="{OFFICE}"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": worksheet,
        "xl/sharedStrings.xml": strings or f'<sst xmlns="{SPREADSHEET}"/>',
        **(more or {}),
    }
    return archive(parts)


def archive(parts: dict[str, str | bytes], level: int = 1) -> bytes:
    """A zip of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as made:
        for name, content in parts.items():
            made.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def good() -> bytes:
    """A workbook with nothing wrong in it."""
    return workbook(sheet('<row r="1"><c r="A1"><v>1</v></c></row>'))


def far_corner() -> bytes:
    return workbook(sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'))


def wide_and_long() -> bytes:
    """Within both limits, yet the rectangle around its two cells is not."""
    return workbook(sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="99999"><c r="ALL99999"><v>1</v></c></row>'))


def three_million_cells() -> bytes:
    chance = random.Random(3)  # noqa: S311 - seeded on purpose
    letters = [f"{chr(65 + first)}{chr(65 + second)}" for first in range(4) for second in range(25)]
    rows = (
        f'<row r="{row}">' + "".join([f'<c r="{column}{row}"><v>{chance.getrandbits(4)}</v></c>' for column in letters]) + "</row>"
        for row in range(1, 30_001)
    )
    return workbook(sheet("".join(rows)))


def long_string() -> bytes:
    """250 MB in one shared string, packed no better than an honest file."""
    chance = random.Random(4)  # noqa: S311 - the same
    words = [chance.randbytes(400).hex() for _ in range(20)]
    text = "".join(chance.choices(words, k=250_000_000 // 800))
    cells = sheet('<row r="1"><c r="A1" t="s"><v>0</v></c></row>')
    return workbook(cells, f'<sst xmlns="{SPREADSHEET}"><si><t>{text}</t></si></sst>')


def bomb() -> bytes:
    return workbook(b"<worksheet>" + b" " * (200 * MEBIBYTE))


def many_entries() -> bytes:
    return archive({f"{number}.txt": b"" for number in range(1001)})


def overlap() -> bytes:
    """One file lies inside another one's bytes (CVE-2024-0450)."""
    inner = _local(b"b", b"inside")
    outer = _local(b"a", inner)
    directory = _central(b"a", inner, 0) + _central(b"b", b"inside", len(outer) - len(inner))
    return outer + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(directory), len(outer), 0)


def duplicate() -> bytes:
    return archive({"same_1": b"1", "same_2": b"2"}).replace(b"same_2", b"same_1")


def named(name: str) -> Callable[[], bytes]:
    return lambda: archive({name: b"x"})


def symlink() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "target")
    return packed.getvalue()


def patched(offset: int, form: str, *values: int) -> Callable[[], bytes]:
    """A workbook whose first central entry has been changed at an offset."""

    def make() -> bytes:
        body = bytearray(good())
        struct.pack_into(form, body, body.find(b"PK\1\2") + offset, *values)
        return bytes(body)

    return make


def zip64_lie() -> bytes:
    """Sizes that stand in a zip64 field which is not there."""
    return patched(24, "<L", 0xFFFFFFFF)()


def utf16(text: str) -> bytes:
    return b"\xff\xfe" + text.encode("utf-16-le")


ARCHIVES: Final[dict[str, Hostile]] = {
    "bomb": Hostile(bomb, "archive_ratio", "xl/worksheets/sheet1.xml"),
    "many entries": Hostile(many_entries, "archive_entries"),
    "overlap": Hostile(overlap, "archive_overlap", "b"),
    "same name twice": Hostile(duplicate, "archive_duplicate", "same_1"),
    "parent folder": Hostile(named("../evil"), "archive_path", "../evil"),
    "absolute": Hostile(named("/etc/evil"), "archive_path", "/etc/evil"),
    "drive": Hostile(named("C:\\evil"), "archive_path", "C:\\evil"),
    "backslash": Hostile(named("a\\..\\..\\evil"), "archive_path", "a\\..\\..\\evil"),
    "symlink": Hostile(symlink, "archive_symlink", "link"),
    "encrypted": Hostile(patched(8, "<H", 1), "archive_encrypted", "[Content_Types].xml"),
    "declares gigabytes": Hostile(patched(24, "<L", 3_000_000_000), "archive_too_large"),
    "declares too little": Hostile(patched(24, "<L", 5), "archive_corrupt", "[Content_Types].xml"),
    "wrong checksum": Hostile(patched(16, "<L", 5), "archive_corrupt", "[Content_Types].xml"),
    "zip64 without its field": Hostile(zip64_lie, "archive_corrupt", "[Content_Types].xml"),
    "cut": Hostile(lambda: good()[:-30], "archive_corrupt"),
    "junk before": Hostile(lambda: b"PK\3\4 junk" + good(), "archive_corrupt"),
    "junk after": Hostile(lambda: good() + b"junk", "archive_corrupt"),
}

WORKBOOKS: Final[dict[str, Hostile]] = {
    "far corner": Hostile(far_corner, "xlsx_too_wide", "S!XFD1048576"),
    "long": Hostile(lambda: workbook(sheet('<row r="900000"><c r="A900000"><v>1</v></c></row>')), "xlsx_too_long", "S"),
    "wide and long": Hostile(wide_and_long, "xlsx_too_many_cells", "S"),
    "three million cells": Hostile(three_million_cells, "xlsx_too_many_cells", "S"),
    "long string": Hostile(long_string, "xlsx_string_too_long", "xl/sharedStrings.xml"),
    "column ZZZZ": Hostile(lambda: workbook(sheet('<row r="1"><c r="ZZZZ1"><v>1</v></c></row>')), "xlsx_too_wide", "S"),
    "row 0": Hostile(lambda: workbook(sheet('<row r="0"><c r="A0"><v>1</v></c></row>')), "xlsx_structure", "S!A0"),
    "string of nowhere": Hostile(lambda: workbook(sheet('<row r="1"><c r="A1" t="s"><v>9</v></c></row>')), "xlsx_structure"),
    "sheet cut off": Hostile(lambda: workbook(f'<worksheet xmlns="{SPREADSHEET}"><sheetData><row r="1">'), "xlsx_structure", "S"),
    "document type": Hostile(lambda: workbook("<!DOCTYPE x [<!ENTITY a 'b'>]>" + sheet("")), "xlsx_structure", "xl/worksheets/sheet1.xml"),
    "no workbook": Hostile(lambda: archive({"xl/other.xml": b"<x/>"}), "xlsx_structure", "xl/workbook.xml"),
    "password": Hostile(lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "xlsx_encrypted"),
}

FAKES: Final[dict[str, Hostile]] = {
    "empty": Hostile(lambda: b"", "file_empty"),
    "one byte": Hostile(lambda: b"\xd0", "file_type_mismatch"),
    "page": Hostile(lambda: b"<html><body><table>", "file_type_mismatch"),
    "document": Hostile(lambda: b"%PDF-1.7\n", "file_type_mismatch"),
    "program": Hostile(lambda: b"MZ\x90\0", "file_type_mismatch"),
    "old document of another program": Hostile(lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "file_type_mismatch"),
    "text": Hostile(lambda: b"a;b\n1;2\n", "file_type_mismatch"),
}


def _local(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, len(content), len(content), len(name), 0) + name + content


def _central(name: bytes, content: bytes, start: int) -> bytes:
    head = (b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, len(content), len(content), len(name), 0, 0, 0, 0, 0, start)
    return struct.pack("<4s6H3L5H2L", *head) + name
