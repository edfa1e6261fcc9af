"""A hostile file that is to be marked costs no more than one that is read, leaves nothing behind, and its sender gets the list at least."""

import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import openpyxl
import pytest

from gateway.domain.problems import Problem
from gateway.mapping.child import children
from gateway.mapping.marked_workbook import marked
from gateway.mapping.tables import read_tables
from gateway.settings import Limits
from tests.conftest import ROOT
from tests.hostile.files import ARCHIVES, MEBIBYTE, OFFICE, PACKAGE, WORKBOOKS, Hostile, archive, sheet

LIMITS: Final = Limits()
PROBLEMS: Final = [Problem(code="not_a_number", where="S!A1", values={"value": "x"}), Problem(code="not_a_number", where="S!XFD1048576")]
TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
STYLES: Final = (
    '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><fonts><font/></fonts><fills><fill><patternFill/></fill></fills>'
    '<borders><border/></borders><cellStyleXfs><xf/></cellStyleXfs><cellXfs><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellXfs>'
    '<cellStyles><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
A1: Final = sheet('<row r="1"><c r="A1"><v>1</v></c></row>')


def declared(worksheet: str, styles: str = STYLES, more: dict[str, str | bytes] | None = None) -> bytes:
    """A workbook that says what its parts are, so that it is edited itself."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kinds = {"xl/workbook.xml": "sheet.main", "xl/worksheets/sheet1.xml": "worksheet", "xl/styles.xml": "styles"}
    overrides = "".join(f'<Override PartName="/{name}" ContentType="{TYPES}.{kind}+xml"/>' for name, kind in kinds.items())
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{OFFICE}"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": worksheet,
        "xl/styles.xml": styles,
    }
    return archive(parts | (more or {}))


def three_million_cells() -> bytes:
    chance = random.Random(5)  # noqa: S311 - seeded on purpose
    rows = [f"<row>{''.join(f'<c><v>{digit}</v></c>' for digit in chance.choices(range(10), k=100))}</row>" for _ in range(2000)]
    return declared(sheet("".join(chance.choices(rows, k=30_000))))


LAUGHS: Final = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 20}'>" for n in range(9)) + "]>"
LINKS: Final = f'<Relationships xmlns="{PACKAGE}/relationships">%s</Relationships>'

EDITED: Final = {
    "a hundred million formats": Hostile(lambda: declared(A1, STYLES.replace("<xf ", "<xf a='" + "x" * 9_000_000 + "' ")), ""),
    "a million formats": Hostile(lambda: declared(A1, STYLES.replace("</cellXfs>", "<xf/>" * 1_000_000 + "</cellXfs>")), ""),
    "three million cells": Hostile(three_million_cells, ""),
    "format of nowhere": Hostile(lambda: declared(A1.replace('r="A1"', 'r="A1" s="-99999999999"')), ""),
    "format that is none": Hostile(lambda: declared(A1.replace('r="A1"', 'r="A1" s="x"')), ""),
    "laughs in the styles": Hostile(lambda: declared(A1, LAUGHS + STYLES.replace("<font/>", "<font>&j;</font>")), ""),
    "laughs in the sheet": Hostile(lambda: declared(LAUGHS + A1), ""),
    "ninety thousand empty rows": Hostile(lambda: declared(sheet("<row/>" * 90_000 + '<row r="1"><c r="A1"/></row>')), ""),
    "ten million empty rows": Hostile(lambda: declared(sheet("<row/>" * 10_000_000)), ""),
    "elements in elements": Hostile(lambda: declared(A1.replace("<sheetData>", "<a>" * 200_000 + "</a>" * 200_000 + "<sheetData>")), ""),
    "a row of another number": Hostile(lambda: declared(sheet('<row r="x"><c r="1A"/></row>')), ""),
    "comments outside": Hostile(
        lambda: declared(
            A1,
            more={
                "xl/worksheets/_rels/sheet1.xml.rels": LINKS
                % f'<Relationship Id="rId1" Type="{OFFICE}/comments" Target="../../../../etc/passwd"/>'
                f'<Relationship Id="rId2" Type="{OFFICE}/vmlDrawing" TargetMode="External" Target="http://127.0.0.1:9/x"/>'
            },
        ),
        "",
    ),
    "comments that are the sheet": Hostile(
        lambda: declared(
            A1,
            more={
                "xl/worksheets/_rels/sheet1.xml.rels": LINKS
                % f'<Relationship Id="rId1" Type="{OFFICE}/comments" Target="/xl/worksheets/sheet1.xml"/>'
            },
        ),
        "",
    ),
    "boxes without an end": Hostile(
        lambda: declared(
            A1,
            more={
                "xl/worksheets/_rels/sheet1.xml.rels": LINKS % f'<Relationship Id="rId1" Type="{OFFICE}/vmlDrawing" Target="/xl/v.vml"/>',
                "xl/v.vml": b"<v:shape " * 300_000,
            },
        ),
        "",
    ),
}
SLOW: Final = {"long string", "bomb"}  # slow to make, and refused by the same gate that reading has
ALL: Final = {
    name: one for name, one in (ARCHIVES | WORKBOOKS | EDITED).items() if name not in SLOW
}  # ours of three million is quickly made


@pytest.mark.parametrize("hostile", ALL.values(), ids=ALL)
def test_is_marked_or_listed_within_its_limits_and_the_next_file_is_served(hostile: Hostile) -> None:
    body = hostile.make()
    children.peak = 0
    started = time.monotonic()
    found = marked(body, "x.xlsx", PROBLEMS, "ru", LIMITS)
    took = time.monotonic() - started
    assert took < 10
    assert children.peak < 512 * MEBIBYTE
    if found is not None:
        told = read_tables(found, LIMITS)[-1]
        assert (told.name, told.rows[2][0]) == ("Ошибки", "S!A1")
    assert marked(declared(A1), "x.xlsx", PROBLEMS, "ru", LIMITS) is not None


def test_nothing_is_written_to_a_disk(tmp_path: Path) -> None:
    code = (
        "from tests.hostile.test_marked import A1, LIMITS, PROBLEMS, WORKBOOKS, declared, marked\n"
        "for body in (declared(A1), WORKBOOKS['wide and long'].make()):\n"
        "    assert marked(body, 'x.xlsx', PROBLEMS, 'ru', LIMITS) is not None\n"
    )
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_takes_too_long_costs_the_sender_only_his_colours() -> None:
    rows = "".join(f'<row r="{row}"><c r="A{row}"><v>1</v></c></row>' for row in range(1, 90_001))
    found = marked(declared(sheet(rows)), "x.xlsx", PROBLEMS, "ru", Limits(child_seconds=0.05))
    assert found is not None
    assert openpyxl.load_workbook(io.BytesIO(found)).sheetnames == ["Ошибки"]
