"""Parts of a workbook as we write them: texts that never become formulas, comments with their boxes, the list of problems, the zip."""

import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import msgspec

from gateway.mapping.marks import AUTHOR, Area, Level, Marking
from gateway.mapping.tables import letters

EXCEL_2003: Final = "urn:schemas-microsoft-com:office:spreadsheet"
MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
HEADER: Final = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

_UNSEEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL: Final = re.compile("[^\t\n\u0020-\u0025\u0027-\u003b=\u003f-\u005e\u0060-\ud7ff]")
"""Any character for which a text may have to be changed before it stands between tags."""
_ESCAPED: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_LONGEST: Final = 32_767
_LINE: Final = 38
_LARGE: Final = 4 * 1024 * 1024


class Styles(msgspec.Struct, frozen=True):
    """Where the formats of the list stand in a workbook's style sheet."""

    plain: int
    text: int
    head: int
    link: int
    error: int
    warning: int

    def of(self, level: Level) -> int:
        """The format of a place by how wrong it is."""
        return self.error if level == "error" else self.warning


class Piece(msgspec.Struct, frozen=True):
    """A file of an archive whose bytes are as they must lie in it: `packed` of `size` once unpacked, deflated or not."""

    packed: bytes | bytearray
    size: int
    crc: int
    deflated: bool


def written(text: str) -> str:
    """A text as it stands between tags: what XML cannot hold is shown as a mark, what a spreadsheet would decode stays as it is."""
    if _SPECIAL.search(text) is None:
        return text
    return escape(_ESCAPED.sub("_x005F_", _UNSEEN.sub("\ufffd", text)), {"\r": "_x000D_"})


def attribute(text: str) -> str:
    """A text as the quoted value of an attribute."""
    return quoteattr(_UNSEEN.sub("\ufffd", text))


def text_cell(place: str, text: str, style: int) -> str:
    """A cell that holds this text and nothing else, however it begins."""
    return f'<c r="{place}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{written(text[:_LONGEST])}</t></is></c>'


def link_to(area: Area) -> str:
    """A place as hyperlinks name it; the sheet's name is quoted whatever it is."""
    quoted = area.sheet.replace("'", "''")
    return f"'{quoted}'!{letters(area.left - 1)}{area.top}"


def list_of_problems(marking: Marking, sheets: Mapping[str, str], styles: Styles) -> bytes:
    """The sheet that lists all problems, each with a link to its cell. `sheets`: names in the places -> names in this workbook."""
    rows = [f'<row r="1">{text_cell("A1", marking.hint, styles.plain)}</row>']
    head = "".join(text_cell(f"{letters(column)}2", word, styles.head) for column, word in enumerate(marking.head))
    rows.append(f'<row r="2">{head}</row>')
    links = []
    for number, line in enumerate(marking.lines, 3):
        area = line.area if line.area is not None and line.area.sheet in sheets else None
        cells = [
            text_cell(f"A{number}", line.where, styles.text if area is None else styles.link),
            text_cell(f"B{number}", line.code, styles.of(line.level)),
            text_cell(f"C{number}", line.text, styles.text),
            text_cell(f"D{number}", line.todo, styles.text),
        ]
        rows.append(f'<row r="{number}">{"".join(cells)}</row>')
        if area is not None:
            place = link_to(msgspec.structs.replace(area, sheet=sheets[area.sheet]))
            links.append(f'<hyperlink ref="A{number}" location={attribute(place)} display={attribute(line.where)}/>')
    last = len(marking.lines) + 2
    if marking.more:
        rows.append(f'<row r="{last + 1}">{text_cell(f"A{last + 1}", marking.more, styles.plain)}</row>')
    linked = f"<hyperlinks>{''.join(links)}</hyperlinks>" if links else ""
    widths = "".join(f'<col min="{n}" max="{n}" width="{w}" customWidth="1"/>' for n, w in enumerate((30, 26, 60, 60), 1))
    return (
        HEADER
        + (
            f'<worksheet xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheetViews><sheetView workbookViewId="0">'
            '<pane ySplit="2" topLeftCell="A3" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
            f'<cols>{widths}</cols><sheetData>{"".join(rows)}</sheetData><autoFilter ref="A2:D{last}"/>'
            f"{linked}</worksheet>"
        ).encode()
    )


def comments(said: Mapping[tuple[int, int], str]) -> bytes:
    """The comments of a sheet, all of them ours."""
    found = "".join(comment((row, column), text, 0) for (row, column), text in said.items())
    return (
        HEADER
        + f'<comments xmlns="{MAIN}"><authors><author>{AUTHOR}</author></authors><commentList>{found}</commentList></comments>'.encode()
    )


def comment(place: tuple[int, int], text: str, author: int) -> str:
    """One comment, without its namespace."""
    row, column = place
    return (
        f'<comment ref="{letters(column - 1)}{row}" authorId="{author}"><text><r><rPr><sz val="9"/></rPr>'
        f'<t xml:space="preserve">{written(text)}</t></r></text></comment>'
    )


_BOX: Final = """<v:shape xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"
 xmlns:x="urn:schemas-microsoft-com:office:excel" id="_x0000_s{id}" type="#_x0000_t202"
 style="position:absolute;z-index:{z};visibility:hidden" fillcolor="#ffffe1" o:insetmode="auto"><v:fill color2="#ffffe1"/>
<v:shadow color="black" obscured="t"/><v:path o:connecttype="none"/><v:textbox/><x:ClientData ObjectType="Note"><x:MoveWithCells/>
<x:SizeWithCells/><x:Anchor>{left}, 15, {top}, 2, {right}, 15, {bottom}, 4</x:Anchor><x:AutoFill>False</x:AutoFill>
<x:Row>{row}</x:Row><x:Column>{column}</x:Column></x:ClientData></v:shape>"""
_BOXES: Final = """<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"
 xmlns:x="urn:schemas-microsoft-com:office:excel"><o:shapelayout v:ext="edit"><o:idmap v:ext="edit" data="1"/></o:shapelayout>
<v:shapetype id="_x0000_t202" coordsize="21600,21600" o:spt="202" path="m,l,21600r21600,l21600,xe"><v:stroke joinstyle="miter"/>
<v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>"""


def boxes(said: Mapping[tuple[int, int], str], after: int = 1024) -> str:
    """The boxes in which the comments of these places show themselves, as tall as their text; ids begin behind `after`."""
    return "".join(
        _BOX.format(
            id=after + number,
            z=number,
            row=row - 1,
            column=column - 1,
            left=column,
            right=column + 4,
            top=max(0, row - 2),
            bottom=max(0, row - 2) + 2 + sum(1 + len(part) // _LINE for part in text.split("\n")),
        )
        for number, ((row, column), text) in enumerate(said.items(), 1)
    )


def drawing(said: Mapping[tuple[int, int], str]) -> bytes:
    """The part that holds the boxes of a sheet's comments."""
    return f"{_BOXES}{boxes(said)}</xml>".encode()


def coloured(cells: Iterable[tuple[int, int]]) -> list[tuple[int, list[int]]]:
    """Cells by row, in order, with their columns in order."""
    return [(row, [column for _, column in found]) for row, found in groupby(sorted(cells), key=lambda cell: cell[0])]


def piece(content: bytes | bytearray) -> Piece:
    """A file's content, packed."""
    packer = zlib.compressobj(1 if len(content) > _LARGE else 6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Piece(packer.compress(content) + packer.flush(), len(content), zlib.crc32(content), deflated=True)


def archive(pieces: Mapping[str, Piece]) -> bytes:
    """A zip of these files, in their order, written from beginning to end without a file on disk."""
    parts: list[bytes | bytearray] = []
    directory, at = bytearray(), 0
    for name, one in pieces.items():
        encoded = name.encode()
        common = (20, 0 if name.isascii() else 0x800, 8 if one.deflated else 0, 0, 33, one.crc, len(one.packed), one.size, len(encoded), 0)
        directory += struct.pack("<4sH5H3L2H3H2L", b"PK\1\2", 20, *common, 0, 0, 0, 0, at) + encoded
        parts += [struct.pack("<4s5H3L2H", b"PK\3\4", *common), encoded, one.packed]
        at += 30 + len(encoded) + len(one.packed)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(pieces), len(pieces), len(directory), at, 0)
    return b"".join([*parts, directory, end])
