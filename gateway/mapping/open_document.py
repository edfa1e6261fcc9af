"""What the child does with an OpenDocument spreadsheet (ODF 1.2, part 1, 9): its content is walked, within the limits, cell by cell."""

import io
import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.cells import Cell
from gateway.mapping.growing_sheet import GrowingSheet, clock, moment, within
from gateway.mapping.workbook import Sheet, weighed
from gateway.mapping.zip_gate import entries, unpack
from gateway.settings import Limits

_OASIS: Final = "urn:oasis:names:tc:opendocument:xmlns:"
_TABLE, _OFFICE = f"{{{_OASIS}table:1.0}}", f"{{{_OASIS}office:1.0}}"
_TEXT, _STYLE = f"{{{_OASIS}text:1.0}}", f"{{{_OASIS}style:1.0}}"
_ERROR: Final = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"
_PARSER: Final[dict[str, Any]] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
_length: Final = re.compile(r"PT(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6}(?:\.[0-9]{1,9})?)S)?").fullmatch
_NUMBERS: Final = ("float", "percentage", "currency")


def read(body: bytes, limits: Limits) -> list[Sheet]:
    """Every sheet of an .ods. Raises Rejected with the codes of workbooks."""
    manifest = next((entry for entry in entries(body, limits) if entry.name == "META-INF/manifest.xml"), None)
    if manifest is not None and b"encryption-data" in unpack(body, manifest):
        raise Rejected(Problem(code="xlsx_encrypted"))
    content = weighed(body, limits, "content.xml").get("content.xml")
    if content is None:
        raise Rejected(Problem(code="xlsx_structure", where="content.xml"))
    try:
        return within(list(_grids(content, limits)), limits)
    except etree.XMLSyntaxError as error:
        raise Rejected(Problem(code="xlsx_structure", where="content.xml")) from error


def _grids(content: bytearray, limits: Limits) -> Iterator[GrowingSheet]:
    """The sheets one after the other; each row is forgotten when it has been read."""
    tags = (f"{_TABLE}table", f"{_TABLE}table-row", f"{_STYLE}style")
    hidden: set[str] = set()
    grid, row, depth = GrowingSheet("", limits), 0, 0
    for event, element in etree.iterparse(io.BytesIO(content), events=("start", "end"), tag=tags, **_PARSER):
        if element.tag == tags[2]:
            properties = element.find(f"{_STYLE}table-properties") if event == "end" else None
            if properties is not None and properties.get(f"{_TABLE}display") == "false":
                hidden.add(str(element.get(f"{_STYLE}name")))
        elif element.tag == tags[0]:
            depth += 1 if event == "start" else -1
            if event == "start" and depth == 1:
                style = str(element.get(f"{_TABLE}style-name"))
                grid, row = GrowingSheet(str(element.get(f"{_TABLE}name", ""))[:100], limits, hidden=style in hidden), 0
            elif event == "end" and depth == 0:
                yield grid
                element.clear()
        elif event == "end" and depth == 1:
            _row(element, grid, row)
            again = _times(element, "rows")
            grid.repeat(row, again - 1)
            row += again
            element.clear()


def _row(element: Any, grid: GrowingSheet, row: int) -> None:
    column = 0
    for cell in element.iterchildren(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
        again = _times(cell, "columns")
        if len(cell) or cell.get(f"{_OFFICE}value-type") or cell.get(f"{_TABLE}formula"):
            value = _value(cell)
            if cell.get(_ERROR) == "error":
                grid.objects("cell_error", row, column, value=str(value)[:40])
            elif value == "" and cell.get(f"{_TABLE}formula") and not cell.get(f"{_OFFICE}value-type"):
                grid.objects("cell_formula_no_value", row, column)
            grid.put(row, column, value, again)
        column += again


def _times(element: Any, what: str) -> int:
    """How often a cell or row stands there. Raises Rejected for what is no such number."""
    written = str(element.get(f"{_TABLE}number-{what}-repeated", "1"))
    if not written.isascii() or not written.isdigit() or not 0 < len(written) < 9:
        raise Rejected(Problem(code="xlsx_structure", where="content.xml"))
    return max(1, int(written))


def _value(cell: Any) -> Cell:
    """What a cell holds, by its kind; a value that is not of its kind is the text that is shown."""
    kind = str(cell.get(f"{_OFFICE}value-type", ""))
    written = str(cell.get(f"{_OFFICE}{'value' if kind in _NUMBERS else f'{kind}-value'}", ""))
    if kind in _NUMBERS:
        try:
            return float(written)
        except ValueError:
            return _shown(cell)
    if kind == "date" and written:
        return moment(written)
    if kind == "time" and (found := _length(written)):
        return clock(int(found[1] or 0), int(found[2] or 0), float(found[3] or 0))
    if kind == "boolean" and written in ("true", "false"):
        return written == "true"
    return written or _shown(cell)


def _shown(cell: Any) -> str:
    """The paragraphs of a cell, without its notes."""
    return "\n".join("".join(_pieces(paragraph)) for paragraph in cell.iterchildren(f"{_TEXT}p"))


def _pieces(paragraph: Any) -> Iterator[str]:
    for event, element in etree.iterwalk(paragraph, events=("start", "end")):
        if event == "start":
            yield element.text or ""
            if element.tag == f"{_TEXT}s":
                count = str(element.get(f"{_TEXT}c", "1"))
                yield " " * (int(count) if count.isdigit() and len(count) < 5 else 1)
            elif element.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
                yield "\t" if element.tag.endswith("tab") else "\n"
        elif element is not paragraph:
            yield element.tail or ""
