"""What the child does with a workbook: weigh its parts, read it with calamine, name the cells that calamine would pass over in silence."""

import io
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from html import unescape
from itertools import chain, pairwise
from typing import Any, Final
from zlib import crc32

import msgspec
from lxml import etree
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from gateway.domain.problems import Problem, Rejected
from gateway.mapping import old_workbook
from gateway.mapping.sheet_parts import Piece, archive
from gateway.mapping.tables import number_of
from gateway.mapping.zip_gate import entries, unpack
from gateway.settings import Limits

_ENCODING: Final = re.compile(rb"""encoding\s*=\s*["']([^"']*)""")
_TAG: Final = re.compile(rb"<(row|c)(?=[\s/>])([^<>]*+)>")
_REF: Final = re.compile(rb'\sr\s*=\s*["\']([^"\']*)["\']')
_TYPE: Final = re.compile(rb'\st\s*=\s*["\']([^"\']*)["\']')
_VALUE: Final = re.compile(rb"<v(?:\s[^<>]*+)?>([^<]*+)</v>")
_FORMULA: Final = re.compile(rb"<f[ >/]")
_ENTITY: Final = len("&#x10FFFF;")
_SMALLEST: Final = len("<c><v>1</v></c>")
_PLACE: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})").fullmatch
_DIMENSION: Final = re.compile(rb'<dimension[^<>]*?ref="[A-Z]+[0-9]+:([A-Z]+)([0-9]+)"')
_UNUSED: Final = ("docprops/", "xl/theme/", "xl/media/", "xl/drawings/", "xl/charts/", "xl/printersettings/", "xl/comments", "customxml/")
_PARSER: Final[dict[str, Any]] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
_BARE: Final = {str, float, int, bool}
_ROWS, _COLUMNS = 1_048_576, 16_384

Found = tuple[str, str, str, bytes | None, bool]
"""A cell of the XML: reference, row's own number, type, text of its value (None without one), whether it holds a formula."""


class Sheet(msgspec.Struct, frozen=True, array_like=True):
    """A sheet as it goes to the parent: the first cell stands at (row, column), both counted from 0."""

    name: str
    hidden: bool
    row: int
    column: int
    rows: list[list[Any]]
    problems: list[Problem]


def read(body: bytes, limits: Limits, *, is_zip: bool) -> list[Sheet]:
    """Every worksheet of a workbook. Raises Rejected."""
    parts = weighed(body, limits) if is_zip else {}
    names = _sheet_names(parts) if is_zip else {}
    for part, name in names.items():
        _check_before(parts[part], name, limits)
    try:
        workbook = CalamineWorkbook.from_object(io.BytesIO(_stored(parts) if is_zip else body))
        found = [
            _sheet(workbook.get_sheet_by_name(meta.name), meta.visible != SheetVisibleEnum.Visible, limits)
            for meta in workbook.sheets_metadata
            if meta.typ == SheetTypeEnum.WorkSheet
        ]
    except PasswordError as error:
        raise Rejected(Problem(code="xlsx_encrypted")) from error
    except CalamineError as error:
        explain(body, limits)
        raise Rejected(Problem(code="xlsx_structure", values={"reason": str(error)[:200]})) from error
    if sum(len(sheet.rows) * len(sheet.rows[0]) for sheet in found if sheet.rows) > limits.sheet_cells:
        raise _limit("xlsx_too_many_cells", "", limits.sheet_cells)
    if not is_zip:
        wrong = old_workbook.errors(body, [sheet.name for sheet in found], limits.file_problems)
        return [msgspec.structs.replace(sheet, problems=wrong.get(sheet.name, [])) for sheet in found]
    by_name = {name: parts[part] for part, name in names.items()}
    return [_examined(sheet, by_name[sheet.name], limits) if sheet.name in by_name else sheet for sheet in found]


def explain(body: bytes, limits: Limits) -> list[Sheet]:
    """Walk every cell of an xlsx without building anything. Raises Rejected with the limit or reference that calamine stumbles over."""
    if body[:2] != b"PK":
        return []
    parts = weighed(body, limits)
    for part, name in _sheet_names(parts).items():
        _Walk(name, limits).run(parts[part])
    return []


def weighed(body: bytes, limits: Limits, *only: str) -> dict[str, bytearray]:
    """The XML parts of a workbook, or those named: in UTF-8, without a document type or endless texts. Raises Rejected."""
    found: dict[str, bytearray] = {}
    for entry in entries(body, limits):
        name = entry.name.replace("\\", "/")
        wanted = name in only if only else name.lower().endswith((".xml", ".rels")) and not name.lower().startswith(_UNUSED)
        if wanted:
            found[name] = unpack(body, entry)
            _check_text_runs(found[name], name, limits.cell_characters)
            declared = _ENCODING.search(found[name][:200])
            foreign = b"\0" in found[name][:64] or (declared is not None and declared[1].lower() not in (b"utf-8", b"us-ascii", b"ascii"))
            if foreign or b"<!DOCTYPE" in found[name][:2048]:
                raise Rejected(Problem(code="xlsx_structure", where=name))
    return found


def _check_text_runs(part: bytearray, name: str, longest: int) -> None:
    """A text of more than `longest` characters covers a whole window of that many bytes without a tag."""
    for start in range(0, len(part) - longest, longest):
        if part.find(b"<", start, start + longest) < 0:
            begin = part.rfind(b"<", 0, start) + 1
            end = part.find(b"<", start + longest, begin + longest * _ENTITY)
            if end < 0 or len(unescape(part[part.find(b">", begin, end) + 1 : end].decode("utf-8", "replace"))) > longest:
                raise _limit("xlsx_string_too_long", name, longest)


def _sheet_names(parts: dict[str, bytearray]) -> dict[str, str]:
    """Part name -> sheet name, by the workbook and its relations."""
    lower = {name.lower(): name for name in parts}
    try:
        book, relations = parts[lower["xl/workbook.xml"]], parts[lower["xl/_rels/workbook.xml.rels"]]
        links = etree.fromstring(bytes(relations), etree.XMLParser(**_PARSER)).iter("{*}Relationship")
        targets = {str(link.get("Id")): str(link.get("Target")) for link in links}
        sheets = list(etree.fromstring(bytes(book), etree.XMLParser(**_PARSER)).iter("{*}sheet"))
    except (KeyError, etree.XMLSyntaxError) as error:
        raise Rejected(Problem(code="xlsx_structure", where="xl/workbook.xml")) from error
    names: dict[str, str] = {}
    for sheet in sheets:
        link = next((value for key, value in sheet.attrib.items() if str(key).endswith("}id")), "")
        target = targets.get(str(link), "").removeprefix("/")
        part = lower.get(target.lower()) or lower.get(f"xl/{target}".lower())
        if part is None:
            raise Rejected(Problem(code="xlsx_structure", where=str(sheet.get("name"))[:100]))
        if b"worksheet" in parts[part][:4096]:
            names[part] = str(sheet.get("name"))
    return names


def _check_before(part: bytearray, name: str, limits: Limits) -> None:
    if not part[-64:].rstrip().endswith(b"worksheet>"):
        raise Rejected(Problem(code="xlsx_structure", where=name))
    told = _DIMENSION.search(part[:4096])
    wide = told is not None and (number_of(told[1].decode()) > limits.sheet_columns or int(told[2]) > limits.sheet_rows)
    if len(part) > limits.sheet_cells * _SMALLEST and part.count(b"</v>") > limits.sheet_cells:
        raise _limit("xlsx_too_many_cells", name, limits.sheet_cells)
    if wide or not _plain(part):
        _Walk(name, limits).run(part)


def _plain(part: bytearray) -> bool:
    return b"<sheetData" in part


def _stored(parts: dict[str, bytearray]) -> bytes:
    """The parts that were weighed, as an archive without compression: calamine sees these bytes and no others."""
    return archive({name: Piece(part, len(part), crc32(part), deflated=False) for name, part in parts.items()})


def _sheet(sheet: CalamineSheet, hidden: bool, limits: Limits) -> Sheet:  # noqa: FBT001
    start, end = sheet.start or (0, 0), sheet.end or (0, 0)
    if end[1] >= limits.sheet_columns:
        raise _limit("xlsx_too_wide", sheet.name, limits.sheet_columns)
    if end[0] >= limits.sheet_rows:
        raise _limit("xlsx_too_long", sheet.name, limits.sheet_rows)
    if sheet.height * sheet.width > limits.sheet_cells:
        raise _limit("xlsx_too_many_cells", sheet.name, limits.sheet_cells)
    rows: list[list[Any]] = sheet.to_python(skip_empty_area=True)
    if not set(map(type, chain.from_iterable(rows))) <= _BARE:
        rows = [row if set(map(type, row)) <= _BARE else list(map(dated, row)) for row in rows]
    return Sheet(sheet.name, hidden, start[0], start[1], rows, [])


def dated(cell: Any) -> Any:
    """A date or time in its shape on the wire; any other value as it is."""
    return cell if type(cell) in _BARE else _dated(cell)


@lru_cache(maxsize=4096)
def _dated(cell: Any) -> Any:
    """The days of a month stand on every sheet."""
    if isinstance(cell, timedelta):
        return msgspec.msgpack.Ext(4, str(cell.total_seconds()).encode())
    if isinstance(cell, (date, time)):
        return msgspec.msgpack.Ext(1 if isinstance(cell, datetime) else 2 if isinstance(cell, date) else 3, cell.isoformat().encode())
    return cell


def _examined(sheet: Sheet, part: bytearray, limits: Limits) -> Sheet:
    """Walk the XML only when it may hold what calamine drops: formulas, or more values than came out."""
    if _plain(part) and _FORMULA.search(part) is None:
        written = part.count(b"</v>") + part.count(b"</is>")
        if written == sum([len(row) - row.count("") for row in sheet.rows]):
            return sheet
    return msgspec.structs.replace(sheet, problems=_Walk(sheet.name, limits).run(part))


class _Walk:
    """Looks at every cell of one sheet, building nothing."""

    def __init__(self, sheet: str, limits: Limits) -> None:
        self.sheet, self.limits = sheet, limits
        self.problems: list[Problem] = []
        self.seen: set[str] = set()
        self.height = self.width = 0

    def run(self, part: bytearray) -> list[Problem]:
        """What is wrong with single cells. Raises Rejected for a reference that is none or outside the limits."""
        for reference, row, kind, value, formula in _cells(part) if _plain(part) and b":c" not in part else _any_cells(part, self.sheet):
            if value is None and not formula:
                continue
            where = f"{self.sheet}!{reference or row}"[:100]
            if reference:
                self._place(reference, row, where)
            if formula and not value and not (kind == "str" and value is not None):
                self.problems.append(Problem(code="cell_formula_no_value", where=where))
            elif kind == "e":
                shown = (value or b"").decode("utf-8", "replace")[:40]
                self.problems.append(Problem(code="cell_error", where=where, values={"value": shown}))
            if len(self.problems) >= self.limits.file_problems:
                break
        return self.problems

    def _place(self, reference: str, row: str, where: str) -> None:
        place = _PLACE(reference)
        if place is None or (row and row != place[2]):
            raise Rejected(Problem(code="xlsx_structure", where=where))
        column, line = number_of(place[1]), int(place[2])
        if line > _ROWS or column > _COLUMNS:
            raise Rejected(Problem(code="xlsx_structure", where=where))
        if column > self.limits.sheet_columns:
            raise _limit("xlsx_too_wide", where, self.limits.sheet_columns)
        if line > self.limits.sheet_rows:
            raise _limit("xlsx_too_long", where, self.limits.sheet_rows)
        self.height, self.width = max(self.height, line), max(self.width, column)
        if reference in self.seen:
            self.problems.append(Problem(code="cell_duplicate", where=where))
        self.seen.add(reference)
        if max(len(self.seen), self.height * self.width) > self.limits.sheet_cells:
            raise _limit("xlsx_too_many_cells", self.sheet, self.limits.sheet_cells)


def _cells(part: bytearray) -> Iterator[Found]:
    row = ""
    for tag, following in pairwise(chain(_TAG.finditer(part), (None,))):
        if tag is None:
            return
        attributes = b" " + tag[2]
        reference = _REF.search(attributes)
        text = reference[1].decode("utf-8", "replace") if reference else ""
        if tag[1] == b"row":
            row = text
            continue
        kind = _TYPE.search(attributes)
        last = len(part) if following is None else following.start()
        end = part.find(b"</c>", tag.end(), last)
        inner = b"" if attributes.endswith(b"/") else part[tag.end() : last if end < 0 else end]
        value = _VALUE.search(inner)
        content = value[1] if value else b"" if b"<is" in inner else None
        yield text, row, kind[1].decode("utf-8", "replace") if kind else "n", content, b"<f" in inner


def _any_cells(part: bytearray, sheet: str) -> Iterator[Found]:
    """The same by a real parser: for prefixed names."""
    row = ""
    try:
        for event, element in etree.iterparse(io.BytesIO(part), events=("start", "end"), tag=("{*}row", "{*}c"), **_PARSER):
            if element.tag.endswith("}row"):
                row = str(element.get("r", "")) if event == "start" else row
                if event == "end":
                    element.clear()
            elif event == "end":
                value, inline = element.find("{*}v"), element.find("{*}is")
                content = (value.text or "").encode() if value is not None else b"" if inline is not None else None
                yield str(element.get("r", "")), row, str(element.get("t", "n")), content, element.find("{*}f") is not None
    except etree.XMLSyntaxError as error:
        raise Rejected(Problem(code="xlsx_structure", where=sheet)) from error


def _limit(code: str, where: str, limit: int) -> Rejected:
    return Rejected(Problem(code=code, where=where[:100], values={"limit": str(limit)}))
