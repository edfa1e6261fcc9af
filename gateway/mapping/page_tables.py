"""What the child does with an .xls that is none: a web page with tables, or the XML of Excel 2003 (SpreadsheetML)."""

import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.cells import Cell
from gateway.mapping.growing_sheet import GrowingSheet, moment, within
from gateway.mapping.markup import parse_untrusted
from gateway.mapping.sheet_parts import EXCEL_2003
from gateway.mapping.workbook import Sheet
from gateway.settings import Limits

_SS: Final = f"{{{EXCEL_2003}}}"
_X: Final = "{urn:schemas-microsoft-com:office:excel}"
_number: Final = re.compile(r"-?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][-+]?[0-9]{1,3})?").fullmatch
_span: Final = re.compile(r"\s*\+?([0-9]{1,6})").match
_MARKS: Final = 4_000_000
"""How many tags a page may have: each costs the child some hundred bytes."""


def read_page(body: bytes, limits: Limits) -> list[Sheet]:
    """Every table of a page in UTF-8, as it is shown: `table 1` and so on. Raises Rejected for a page without any."""
    if body.count(b"<") > _MARKS:
        raise Rejected(Problem(code="xml_too_large", values={"reason": "elements and attributes", "limit": str(_MARKS)}))
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False)
    root = etree.fromstring(body, parser)
    grids = [_grid(table, number, limits) for number, table in enumerate([] if root is None else root.iter("table"), 1)]
    if not any(grid.rows for grid in grids):
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": "html"}))
    return within([grid for grid in grids if grid.rows], limits)


def _grid(table: Any, number: int, limits: Limits) -> GrowingSheet:
    """One table; cells that span others leave these empty."""
    grid = GrowingSheet(f"table {number}", limits)
    taken: dict[int, int] = {}
    for row, line in enumerate(_own(table, "tr")):
        column = 0
        for cell in line.iterchildren("td", "th"):
            while taken.get(column, 0) > row:
                column += 1
            across, down = _times(cell, "colspan"), _times(cell, "rowspan")
            grid.put(row, column, _shown(cell))
            if column + across > limits.sheet_columns:
                raise Rejected(Problem(code="xlsx_too_wide", where=grid.name, values={"limit": str(limits.sheet_columns)}))
            if down > 1:
                taken.update(dict.fromkeys(range(column, column + across), row + down))
            column += across
    return grid


def _own(table: Any, tag: str) -> Iterator[Any]:
    """The rows of a table that are not those of a table inside it."""
    for child in table.iterchildren():
        if child.tag == tag:
            yield child
        elif child.tag in ("thead", "tbody", "tfoot"):
            yield from child.iterchildren(tag)


def _times(cell: Any, name: str) -> int:
    found = _span(str(cell.get(name, "")))
    return max(1, int(found[1])) if found else 1


def _shown(cell: Any) -> str:
    """The number that Excel keeps beside the text, else the words that are shown."""
    exact = str(cell.get("x:num", ""))
    return exact if _number(exact) else " ".join("".join(cell.itertext()).split())


def read_xml(body: bytes, limits: Limits) -> list[Sheet]:
    """Every worksheet of a workbook of Excel 2003 in XML. Raises Rejected with the codes of XML and of workbooks."""
    root = parse_untrusted(body, limits)
    if root.tag != f"{_SS}Workbook":
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": "xml"}))
    return within([_worksheet(sheet, limits) for sheet in root.iterchildren(f"{_SS}Worksheet")], limits)


def _worksheet(sheet: Any, limits: Limits) -> GrowingSheet:
    visible = sheet.findtext(f"{_X}WorksheetOptions/{_X}Visible", "")
    grid = GrowingSheet(str(sheet.get(f"{_SS}Name", ""))[:100], limits, hidden=visible.startswith("Sheet"))
    row = 0
    for line in sheet.iterfind(f"{_SS}Table/{_SS}Row"):
        row = _place(line, row, limits.sheet_rows)
        column = 0
        for cell in line.iterchildren(f"{_SS}Cell"):
            column = _place(cell, column, limits.sheet_columns)
            data = cell.find(f"{_SS}Data")
            if data is not None:
                grid.put(row, column, _typed(data, grid, row, column))
            elif cell.get(f"{_SS}Formula"):
                grid.objects("cell_formula_no_value", row, column)
            merged = str(cell.get(f"{_SS}MergeAcross", "0"))
            column += 1 + (int(merged) if merged.isdigit() and len(merged) < 6 else 0)
        row += 1
    return grid


def _place(element: Any, expected: int, limit: int) -> int:
    """Where a row or cell stands, counted from 0: behind the one before it unless it says otherwise. Raises Rejected for no such place."""
    written = str(element.get(f"{_SS}Index", expected + 1))
    if not written.isascii() or not written.isdigit() or len(written) > 9 or int(written) <= expected:
        raise Rejected(Problem(code="xlsx_structure", where=f"line {element.sourceline}"))
    return min(int(written) - 1, limit)


def _typed(data: Any, grid: GrowingSheet, row: int, column: int) -> Cell:
    """What a cell holds, by its type."""
    text = "".join(data.itertext())
    match data.get(f"{_SS}Type"):
        case "Number" if _number(text.strip()):
            return float(text)
        case "DateTime":
            return moment(text.strip())
        case "Boolean" if text.strip() in ("0", "1"):
            return text.strip() == "1"
        case "Error":
            grid.objects("cell_error", row, column, value=text[:40])
            return text
    return text
