"""A new workbook with the cells of a file that cannot be marked itself: its values, the wrong ones coloured, and the same list."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from gateway.mapping import sheet_parts as parts
from gateway.mapping.cells import Cell
from gateway.mapping.marks import COLOURS, Level, Marking
from gateway.mapping.package import name_of
from gateway.mapping.sheet_parts import HEADER, MAIN, OFFICE, PACKAGE, TYPES, Styles, attribute, text_cell
from gateway.mapping.tables import Table, letters

_FORMATS: Final = ("0", "49", "14", "22", "21", "46")
"""Number formats by the place of a cell's kind: number, text, date, date and time, time of day, duration."""
_NUMBER, _TEXT, _DATE, _MOMENT, _TIME, _SPAN = range(len(_FORMATS))
_LEVELS: Final[tuple[Level | None, ...]] = (None, "error", "warning")
_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet's days have no zone
_VML: Final = "application/vnd.openxmlformats-officedocument.vmlDrawing"

_OURS: Final = Styles(plain=18, text=19, head=20, link=21, error=22, warning=23)


def write(tables: Iterable[Table], marking: Marking) -> bytes:
    """The workbook, marked: sheets in their order, hidden ones hidden, the list of problems last."""
    cells, said = marking.cells(), marking.comments()
    files: dict[str, bytes] = {}
    names: dict[str, str] = {}
    sheets: list[str] = []
    for number, table in enumerate(tables, 1):
        names[table.name] = name_of(table.name, (name.casefold() for name in names.values()))
        notes = said.get(table.name, {})
        files[f"xl/worksheets/sheet{number}.xml"] = _sheet(table, cells.get(table.name, {}), noted=bool(notes))
        if notes:
            files[f"xl/comments{number}.xml"] = parts.comments(notes)
            files[f"xl/drawings/vmlDrawing{number}.vml"] = parts.drawing(notes)
            files[f"xl/worksheets/_rels/sheet{number}.xml.rels"] = _links(
                ("vmlDrawing", f"/xl/drawings/vmlDrawing{number}.vml"), ("comments", f"/xl/comments{number}.xml")
            )
        sheets.append(
            f'name={attribute(names[table.name])} sheetId="{number}"{" state=" + chr(34) + "hidden" + chr(34) if table.hidden else ""}'
        )
    number = len(sheets) + 1
    title = name_of(marking.title, (name.casefold() for name in names.values()))
    sheets.append(f'name={attribute(title)} sheetId="{number}"')
    files[f"xl/worksheets/sheet{number}.xml"] = parts.list_of_problems(marking, names, _OURS)
    files["xl/styles.xml"] = _styles()
    listed = "".join(f'<sheet {said} r:id="rId{number}"/>' for number, said in enumerate(sheets, 1))
    files["xl/workbook.xml"] = HEADER + f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>'.encode()
    files["xl/_rels/workbook.xml.rels"] = _links(
        *(("worksheet", f"/xl/worksheets/sheet{number}.xml") for number in range(1, len(sheets) + 1)), ("styles", "/xl/styles.xml")
    )
    files["_rels/.rels"] = _links(("officeDocument", "/xl/workbook.xml"))
    return parts.archive({name: parts.piece(content) for name, content in ({"[Content_Types].xml": _types(files)} | files).items()})


def _sheet(table: Table, marks: Mapping[tuple[int, int], Level], *, noted: bool) -> bytes:
    rows = {table.row + index + 1: row for index, row in enumerate(table.rows)}
    by_row = dict(parts.coloured(marks))
    right = max((column for _, column in marks), default=0)
    names = [letters(column) for column in range(max(right, table.column + max(map(len, table.rows), default=0)))]
    lines = [
        _row(names, number, table.column, rows.get(number, ()), by_row.get(number, ()), marks)
        for number in sorted(rows.keys() | by_row.keys())
    ]
    drawing = '<legacyDrawing r:id="rId1"/>' if noted else ""
    return (
        HEADER
        + (
            f'<worksheet xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheetFormatPr defaultColWidth="14" defaultRowHeight="15"/>'
            f"<sheetData>{''.join(lines)}</sheetData>{drawing}</worksheet>"
        ).encode()
    )


def _row(
    names: Sequence[str], number: int, first: int, row: Sequence[Cell], marked: Sequence[int], marks: Mapping[tuple[int, int], Level]
) -> str:
    if not marked:
        cells = [_cell(f"{name}{number}", cell, 0) for name, cell in zip(names[first:], row, strict=False) if cell != ""]
        return f'<row r="{number}">{"".join(cells)}</row>' if cells else ""
    values = {first + index + 1: cell for index, cell in enumerate(row) if cell != ""}
    cells = [
        _cell(f"{names[column - 1]}{number}", values.get(column, ""), _LEVELS.index(marks.get((number, column))))
        for column in sorted(values.keys() | set(marked))
    ]
    return f'<row r="{number}">{"".join(cells)}</row>'


def _cell(place: str, value: Cell, level: int) -> str:
    """One cell; a number keeps its number format where it has one, a text stays text."""
    first = level * len(_FORMATS)
    if isinstance(value, str):
        return text_cell(place, value, first + _TEXT) if value else f'<c r="{place}" s="{first}"/>'
    if isinstance(value, bool):
        return f'<c r="{place}" s="{first}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, (int, float)):
        return f'<c r="{place}" s="{first}"><v>{value!r}</v></c>'
    serial, kind = _serial(value)
    return f'<c r="{place}" s="{first + kind}"><v>{serial!r}</v></c>'


def _serial(value: date | time | timedelta) -> tuple[float, int]:
    """A date or time as sheets count it: days since the end of 1899."""
    day = timedelta(days=1)
    if isinstance(value, timedelta):
        return value / day, _SPAN
    if isinstance(value, datetime):
        return (value.replace(tzinfo=None) - _EPOCH) / day, _MOMENT
    if isinstance(value, date):
        return float((value - _EPOCH.date()).days), _DATE
    return timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond) / day, _TIME


def _styles() -> bytes:
    """Formats of cells, three levels of each kind, and behind them those of the list, in the order of `Styles`."""
    font = '<sz val="11"/><name val="Calibri"/>'
    fonts = f'<font>{font}</font><font><b/>{font}</font><font><u/><sz val="11"/><color rgb="FF0563C1"/><name val="Calibri"/></font>'
    solid = "".join(
        f'<fill><patternFill patternType="solid"><fgColor rgb="{colour}"/><bgColor indexed="64"/></patternFill></fill>'
        for colour in (COLOURS["error"], COLOURS["warning"])
    )
    fills = f'<fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>{solid}'
    formats = [_format(kind, 0, fill) for fill in (0, 2, 3) for kind in _FORMATS]
    formats += [_format("49", 0, 0), *(_format("49", font, fill, wrap=True) for font, fill in ((0, 0), (1, 0), (2, 0), (0, 2), (0, 3)))]
    return (
        HEADER
        + (
            f'<styleSheet xmlns="{MAIN}"><fonts count="3">{fonts}</fonts><fills count="4">{fills}</fills>'
            '<borders count="1"><border/></borders>'
            '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
            f'<cellXfs count="{len(formats)}">{"".join(formats)}</cellXfs>'
            '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
        ).encode()
    )


def _format(kind: str, font: int, fill: int, *, wrap: bool = False) -> str:
    quoted = ' quotePrefix="1"' if kind == "49" else ""
    inside = '<alignment vertical="top" wrapText="1"/>' if wrap else ""
    return (
        f'<xf numFmtId="{kind}" fontId="{font}" fillId="{fill}" borderId="0" xfId="0"{quoted} applyNumberFormat="1" applyFont="1" '
        f'applyFill="1" applyAlignment="1">{inside}</xf>'
    )


def _links(*told: tuple[str, str]) -> bytes:
    found = "".join(f'<Relationship Id="rId{n}" Type="{OFFICE}/{kind}" Target="{to}"/>' for n, (kind, to) in enumerate(told, 1))
    return HEADER + f'<Relationships xmlns="{PACKAGE}/relationships">{found}</Relationships>'.encode()


def _types(files: Iterable[str]) -> bytes:
    kinds = {"xl/workbook": "sheet.main", "xl/worksheets/sheet": "worksheet", "xl/comments": "comments", "xl/styles": "styles"}
    found = "".join(
        f'<Override PartName="/{name}" ContentType="{TYPES}.{kind}+xml"/>'
        for name in files
        for start, kind in kinds.items()
        if name.startswith(start)
    )
    defaults = (("rels", "application/vnd.openxmlformats-package.relationships+xml"), ("xml", "application/xml"), ("vml", _VML))
    told = "".join(f'<Default Extension="{extension}" ContentType="{kind}"/>' for extension, kind in defaults)
    return HEADER + f'<Types xmlns="{PACKAGE}/content-types">{told}{found}</Types>'.encode()
