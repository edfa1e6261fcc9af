"""What programs do to workbooks between people and us: phantom cells, lying sizes, formulas, merged cells, foreign containers."""

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from html import escape
from typing import Any, Final

import openpyxl

from gateway.mapping.sheet_parts import EXCEL_2003

Rows = Sequence[Sequence[Any]]
SHEET: Final = "xl/worksheets/sheet1.xml"
_THEN: Final = (2026, 3, 1, 0, 0, 0)


def patched(book: bytes, change: Callable[[str], str], part: str = SHEET) -> bytes:
    """A workbook with one of its parts changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name in old.namelist():
            body = old.read(name)
            content = change(body.decode()).encode() if name == part else body
            made.writestr(zipfile.ZipInfo(name, _THEN), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def sized(book: bytes, dimension: str) -> bytes:
    """The same that says of itself that it has these cells."""
    return patched(book, lambda sheet: re.sub(r'<dimension ref="[^"]*"', f'<dimension ref="{dimension}"', sheet, count=1))


def phantom_rows(book: bytes, rows: Iterable[int]) -> bytes:
    """The same with rows far below that hold a style and nothing else."""
    empty = "".join(f'<row r="{row}"><c r="A{row}" s="1"/><c r="B{row}" s="1"/></row>' for row in rows)
    return patched(book, lambda sheet: sheet.replace("</sheetData>", f"{empty}</sheetData>"))


def phantom_columns(book: bytes, last: str) -> bytes:
    """The same with a styled empty cell far to the right of the first row."""
    return patched(book, lambda sheet: sheet.replace("</row>", f'<c r="{last}1" s="1"/></row>', 1))


def calculated(book: bytes, formulas: Mapping[str, str]) -> bytes:
    """The same with formulas in these cells, whose values are those that stood there."""

    def change(sheet: str) -> str:
        for cell, formula in formulas.items():
            sheet = re.sub(rf'(<c r="{cell}"[^>]*>)', rf"\1<f>{formula}</f>", sheet, count=1)
        return sheet

    return patched(book, change)


def merged(book: bytes, *spans: str) -> bytes:
    """The same with merged cells."""
    made = openpyxl.load_workbook(io.BytesIO(book))
    for span in spans:
        made.worksheets[0].merge_cells(span)
    packed = io.BytesIO()
    made.save(packed)
    return packed.getvalue()


def page(rows: Rows) -> bytes:
    """A page with a table, as programs write it and call it .xls."""
    lines = "".join(f"<tr>{''.join(f'<td>{escape(_text(cell))}</td>' for cell in row)}</tr>\r\n" for row in rows)
    head = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=windows-1251"></head><body>'
    return f"{head}<table border=1>\r\n{lines}</table></body></html>".encode("cp1251")


def excel_2003(rows: Rows) -> bytes:
    """A workbook in the XML of Excel 2003, which many call .xls."""

    def one(cell: Any) -> str:
        kind = "Number" if isinstance(cell, int | float) else "DateTime" if isinstance(cell, date) else "String"
        told = f"{cell:%Y-%m-%d}T00:00:00.000" if isinstance(cell, date) else escape(_text(cell))
        return f'<Cell><Data ss:Type="{kind}">{told}</Data></Cell>' if cell is not None else "<Cell/>"

    lines = "".join(f"<Row>{''.join(map(one, row))}</Row>\n" for row in rows)
    body = f'<Worksheet ss:Name="Лист1"><Table>\n{lines}</Table></Worksheet>'
    told = '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>'
    return f'{told}<Workbook xmlns="{EXCEL_2003}" xmlns:ss="{EXCEL_2003}">{body}</Workbook>'.encode()


def text(rows: Rows, encoding: str = "cp1251") -> bytes:
    """A delimited text."""
    return "".join(";".join(map(_text, row)) + "\r\n" for row in rows).encode(encoding)


def zipped(name: str, body: bytes) -> bytes:
    """An archive of one file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(zipfile.ZipInfo(name, _THEN), body, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:%d.%m.%Y}" if isinstance(cell, date) else f"{cell}".replace(".", ",") if isinstance(cell, float) else str(cell)
